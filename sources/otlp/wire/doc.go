// Package wire reads spans and log records out of the protobuf bytes of OTLP export
// requests, without making objects of them.
//
// [Spans] and [Logs] walk one request and show a visitor each resource, and then what
// it sent. What they show is what pdata, the Collector's own decoder, would have read of
// the same bytes: fields come in any order and repeated (a later scalar replaces an
// earlier one, a repeated message is merged, which of two oneof values came last
// counts), the resource is found although pdata itself writes it after its spans, and
// unknown fields are skipped. Tests hold both against each other.
//
// Nothing is allocated in the steady state: what is shown points into the request or
// into memory that is used again, and is valid during the call only. Attributes are
// decoded when the visitor asks for them, lists and maps only when it asks for their
// text. Hence a request that claims millions of messages, or nests values a million deep,
// costs no more than its bytes.
//
// A request is looked over down to the fields of each span or record before the first
// visit: of one that is malformed or cut off nothing is shown. What is read of spans is
// staged meanwhile, so that their bytes are gone through once. Attributes are not looked
// into; one that proves malformed when it is decoded is left out, and the walk goes on
// and ends in an error.
//
// The package does not read events, links, scopes and flags, checks no UTF-8, knows no
// semantic conventions, and does not read metrics: these go through pdata.
package wire
