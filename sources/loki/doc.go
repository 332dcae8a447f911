// Package loki reads log lines from a server that speaks Loki's HTTP API.
//
// A question is a selector of streams with filters on labels, all of them literals that
// are quoted here and read back before they are sent (expression.go). The label of the
// service names the streams; every other attribute is looked for in the line's labels,
// whether it is one of the stream or came as structured metadata, where OpenTelemetry's
// service.version is kept (naming.go).
//
// A fold takes few queries (rows.go). A cheap count says which pods wrote at all; where
// none did nothing else is asked. Lines of ERROR and above are always pulled, of both
// arms at once (severe.go): those whose own level says so, and those without a level
// that have a word of failure in them, which we then read. Of the lines below, one slice
// of the fold is pulled, as long as the question's share of it, whose place follows from
// the fold's time alone: what is read does not depend on what was written.
//
// Lines come page by page, forward, each page from the last instant of the one before
// (pages.go). They are joined where a stack trace came as separate entries, tallied by
// pod and redacted (tally.go, package logdiff). Where there are more lines than one
// question may read, all that is later is left out, of both arms alike, and the answer
// is partial. History (history.go) is read the same way, newest first, and is shorter
// where there is too much of it.
//
// Everything that the server says is checked (decode.go) and limited (client.go): bytes,
// lines, series, time, redirects. What an error means:
//
//   - Unavailable: no connection, timeout, 408, 425, 429, 499, 5xx and any body that is
//     no JSON: a login page or half an answer comes from something on the way.
//   - Rejected: any other 4xx, so also the limits of the server, a redirect to another
//     host, and questions that cannot be put to Loki.
//   - Malformed: JSON that is no answer to the question, or more of it than the limits
//     admit.
//
// The package talks to the server and has nothing of it linked. It does not tail, asks
// no index for sizes (recent lines are not in it), does not retry, merge or cache
// (package internal/gather does), and makes no network call before the first question.
package loki
