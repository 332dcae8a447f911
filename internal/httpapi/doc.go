// Package httpapi serves Assay's HTTP interface: deployment events in, verdicts
// out, bundles, and the addresses of operation.
//
// The verdict address is made for pipeline tools that poll one word: it answers
// every key with 200 and a full object, pending with not_seen while a deployment
// is unknown, so that no tool takes a missing key or an error for a verdict. All
// other addresses answer errors as RFC 9457 problems.
//
// Both addresses of a verdict can be waited for (?wait=). Who waits costs a goroutine
// and a place in the store's list of watches, and reads nothing until the store tells
// of a change; see serve.
//
// Operators list and replay dead letters here, let stopped partitions go on, and take
// backups of the server that works.
//
// What is pushed to this server only it can tell: 'assay check' asks it about its OTLP
// source as it asks a Prometheus (sources.go).
//
// The package decides nothing and keeps no state; it reads the store and hands
// events to the same intake that Kafka feeds.
package httpapi
