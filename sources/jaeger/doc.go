// Package jaeger finds whole traces in Jaeger, over its HTTP API /api/v3: one by its id,
// or some of a cohort and window that show what a finding says. Nothing is counted from
// them.
//
// Jaeger's search knows services, operations, times and durations; versions, pods and
// errors it does not know over HTTP, or only in newer releases. So as many traces as the
// search depth allows are read whole, and which of them show what was asked is seen here
// (package internal/exemplar). The number of traces has two names, of older and newer
// releases; a server ignores the one that it does not know, so that both are sent. Where none
// of the traces shows what is asked, ten times as many are read, once. An
// answer that is over the limit of bytes is asked for again with fewer traces.
//
// Errors: 404 with Jaeger's own word for it means that there is no such trace, which is
// none. Otherwise 4xx is Rejected, no connection, time-out, 408, 425, 429, 499, 5xx and
// what is no JSON Unavailable, and JSON that holds no traces, or too much of it,
// Malformed. The package makes no network call before the first question, does not retry
// and keeps nothing.
package jaeger
