// Package httpapi serves Assay's HTTP interface: deployment events in, verdicts
// out, bundles, and the addresses of operation.
//
// The verdict address is made for pipeline tools that poll one word: it answers
// every key with 200 and a full object, pending with not_seen while a deployment
// is unknown, so that no tool takes a missing key or an error for a verdict. All
// other addresses answer errors as RFC 9457 problems.
//
// The package decides nothing and keeps no state; it reads the store and hands
// events to the same intake that Kafka feeds.
package httpapi
