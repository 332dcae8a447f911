// Package exemplar makes of traces that a trace store returned what is shown of them:
// the examples of a finding.
//
// A trace is brought into one form whatever the store and the order in which it answered
// (trace.go): spans told twice are dropped, those that end after the instant that was
// asked about too, attributes and spans are sorted. Which of the traces that a search
// returned are shown is decided by what was asked and by a hash of their ids (choose.go),
// so that the same answer of the store gives the same examples. What is kept is redacted,
// every text of it, then cut to the size that was asked for, and digested (body.go).
//
// The client of a trace store's HTTP API is here too (client.go, config.go): who asks, as
// which tenant, for how long and for how much; the rest is of internal/httpquery.
//
// The package knows no product: addresses, parameters and wrappings are those of
// sources/jaeger and sources/tempo. It counts nothing. A trace store keeps what it was
// given or found worth keeping, so that no rate is read from it.
package exemplar
