// Package otlp is the source to which telemetry is pushed: a receiver of
// OpenTelemetry metrics over gRPC and HTTP that keeps rolling windows in memory
// and answers questions from them. With it Assay needs no other server.
//
// The story, in the order of the data:
//
//  1. [Source.Run] serves OTLP/gRPC and OTLP/HTTP; both end in [Source.Consume],
//     which is also called in process (the demo, a Kafka topic). Requests are
//     bounded before they are decoded: bytes after inflating, nesting, messages.
//  2. Each data point becomes a sample of a series, in the window of the resource
//     that sent it. Windows are found by service, and keyed by all attributes of
//     the resource: a pod that is relabelled is another window from then on.
//     Points of one export are one reading, hence get one instant (align.go).
//  3. A question selects windows by resource attributes and series by metric and
//     conditions: who plays which arm is decided when it is asked. Series become
//     an [analysis.Target] (target.go), and [analysis.IncreaseOf] counts. Strata are
//     groups of one target's series (rows.go).
//  4. Raw samples are kept for two hours. Before they go, the signals that a loaded
//     objective names ([Source.Track]) are summed by minute and kept for a day.
//  5. People ask what there is ([Source.Seen], [Source.Metric], [Source.Values]) before
//     they rely on it. That closes no fold.
//
// Time is the senders' alone: no answer, no eviction and no decision about a
// sample reads a clock. [Source.Evict] is told the time.
//
// An answer never changes. Once a fold was asked for, samples that arrive for it
// are counted late and dropped (a repeated question must not learn what the first
// could not know), and so are samples older than what was summed by minute. Hence:
// ask only for folds that are closed.
//
// Counters are sums (cumulative or delta), and the counts and sums of histograms,
// explicit or exponential. Levels are gauges and cumulative sums that may fall; of one
// that is sent as changes nothing is known but that its sender lives. A pod whose
// metric is not what the signal needs is left out of the answer, with a warning, so
// that it counts as missing and not as silent. So are all pods of a service in a fold
// in which points of the metric were dropped (lost.go): a receiver that is full loses
// errors first, since they come as new series.
//
// Histograms keep their buckets (buckets.go) where a loaded objective judges their
// distribution; of others the count and the sum are enough. What lies above a bound is
// told only where the bound is one between two buckets, to a part in a billion (grid.go):
// nothing is interpolated. Exponential histograms of several scales, which SDKs lower
// as they fill, have the bounds of the lowest. One with negative or uncounted
// observations, NaN among them, or with impossible buckets, is counted and tells nothing
// more.
//
// The memory of buckets is counted in samples of 24 bytes and so bounded by
// Config.MaxSamples. By measurement (160 buckets, 10 requests a second, 15-second
// exports), two hours of a series take 180 KB of exponential histograms and 55 KB of
// explicit ones with 8 bounds; a day of minutes of a pod, all its series together,
// 380 KB and 150 KB. Where three quarters are in use, minutes are kept without buckets:
// the dispersion of the baseline is then learned from fewer of them.
//
// Traces and logs come in by the same doors, and all three signals from Kafka too
// ([Source.ReadTopics]). Package wire walks their bytes where pdata would make objects of
// them: over gRPC the codec hands them on as they are, JSON is made protobuf first. What
// is malformed is refused for good (400, InvalidArgument), and a request that is
// malformed or cut off counts for nothing; who should try again is told when (429, 503,
// Unavailable with RetryInfo).
//
// Lines are not kept (lines.go): each is read, masked and added to the tally of its pod
// and base tick, which answers for requests with a line of a severity or text, and for
// lines by template of whichever plan asks. Neither the order of arrival nor how lines are
// dealt out to requests matters; a request of the same bytes counts once. A fold of lines
// is closed by questions about lines alone. Texts take at most 64 MiB, or 16 MiB of one
// resource, the counts of severities 128 MiB, and a day's sample of texts 32 MiB: what
// goes is told as dropped, severities are counted exactly. What is told of a line is
// redacted.
//
// Spans are not kept either, but for a sample (spans.go): each is counted for its
// operation in the tick of its end, and how long it took goes into a bucket where a loaded
// objective judges that. Whole traces are held for those of the smallest hashes, about a
// thousand a minute that touch services which are asked about, for six minutes and at most
// 64 MiB; an answer about them tells the share. Spans that stand for several (tracestate
// ot=th) count as effective numbers. Neither order, nor how spans are dealt out, nor the
// same block again changes an answer. A service keeps the names of 200 operations, those
// of a plan among them. By measurement, 500 services of 10 pods and 20 operations with
// 100,000 spans a second take 220 MiB.
//
// This package keeps nothing on disk (what was pushed in the last seconds before a crash
// is lost and will be missing; what is in Kafka is read again), does not authenticate (the default is loopback), does not understand
// regular expressions, and judges nothing.
package otlp
