// Package prometheus answers questions from a server that speaks Prometheus'
// HTTP API: Prometheus, Mimir, Thanos, VictoriaMetrics.
//
// The server is asked for samples and for nothing else. A selector of the user,
// with the matchers of a question bound to it (question.go, selector.go), is sent as
// an instant query of a range selector,
// `http_requests_total{service_name="checkout"}[6m]`, which returns the raw samples
// as they were scraped. Deltas, resets, first samples and coverage are ours (rows.go,
// fold.go, count.go): `rate` and `increase` would extrapolate, would treat each series
// alone, and differ between products. Only history (history.go, chronicle.go), the
// distribution before a deployment (distribution.go) and the list of releases
// (seen.go) read one sample a step, because a day of raw samples would be too much.
//
// A histogram is named as its targets name it: the classic series _bucket, _count and
// _sum and the native histogram of that name are asked for at once (histogram.go), all
// buckets of them, because which are compared is the plan's business and not the
// server's. A gauge is the newest of its samples in a fold.
//
// A target is what is scraped at once: one pod and one instance and job. Resets
// hold for all series of a target, whatever stratum they count for, and a row is the
// sum of a pod's targets. When a target began to count, and whether its pod is alive,
// is read from process_start_time_seconds, where the cohort's labels are on it
// (starts.go).
//
// Two things are for people who write names down and not for the line: what the
// server has of a service under whatever names (catalogue.go), and what it knows of
// one metric (metadata.go).
//
// Everything that the server says is checked (series.go) and limited (client.go):
// bytes, series, samples, time, redirects. How far its clock is off is read from the
// Date of its answers (skew.go). What an error means:
//
//   - Unavailable: no connection, timeout, 408, 429, 499, 5xx, a 422 that tells of
//     an outage behind the server (a store of Thanos, a ring of Mimir), an answer
//     that says it is partial, and any body that is no JSON: a login page or half
//     an answer comes from something on the way, and the server behind it may still
//     answer. Such an outage lasts at most until the deadline, and never becomes
//     data.
//   - Rejected: any other 4xx, so also every limit of the server, a redirect to
//     another host, and questions that cannot be put to Prometheus.
//   - Malformed: JSON that is no range of samples as the signal has them, or more of
//     it than the limits admit.
//
// The package does not evaluate expressions, does not read exemplars or the buckets
// of VictoriaMetrics (vmrange), does not retry, merge or cache (package
// internal/gather does), and makes no network call before the first question.
package prometheus
