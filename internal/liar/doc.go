// Package liar is a metrics server that lies as it is told. It speaks the part of
// Prometheus' HTTP API that sources/prometheus asks (instant queries of range
// selectors, and range queries of bare selectors), honestly, from what the
// simulated shop of internal/lab exports; and it misbehaves by a [Script].
//
// A script is a list of rules: when (a window relative to the deployment), whom it
// concerns (path, query, metric, arm, pod) and what to do. There are two sorts:
//
//   - what the server holds: samples are silent, reset, relabelled, stamped by a
//     clock that is wrong. The window is that of the samples, and the answers about
//     them are honest: they agree with each other, whenever they are asked.
//   - how an answer is sent: refused, late, cut off, bloated, of the wrong type. The
//     window is that of the moment at which it is asked.
//
// [Server] is an http.Handler, so that a test meets it through a real socket;
// [Collector] does to pushed metrics what the first sort of rules says. Neither
// sleeps unless a rule says so, and time is what the clock says that they are given.
//
// The package is for tests. It is no Prometheus: it evaluates no expressions, keeps
// no data, and knows the shop's own metrics only. It does not know what is asked of
// Assay when it lies: that is the catalogue of internal/faults.
package liar
