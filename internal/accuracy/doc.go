// Package accuracy makes release-validation cases from recordings of real programs
// that others disturbed on purpose, and counts what Assay and naive rules answer.
//
// A recording becomes cases: a [Case] is one deployment that is made up at an
// instant of the recording, with the truth about its release. The delag recording
// holds single requests, which are dealt over folds and judged by the library
// ([Draw.Judge]). The other two hold points of time: each case is written as a
// Prometheus would have scraped it ([WriteOpenMetrics]), so that the whole line can
// be asked from a real server, which internal/e2e does. Answers are counted in a
// [Table] beside those of the naive rules, and [Report] prints them as
// docs/accuracy.md.
//
// One decision configuration holds for all recordings: the [Window], the default
// error rates, tolerances and margins. No case can have settings of its own. The
// package neither judges nor decides.
package accuracy
