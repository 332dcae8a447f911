// Package sources is the contract between Assay and the telemetry it judges from.
//
// A source answers five questions: what did every matching pod count in one fold
// (Rows), how far apart are samples (Spacing), what were the one-minute sums
// before the deployment (History), how were the observations of a histogram
// distributed then (Distribution), and which releases were heard of at all
// (Seen). Both arms of a comparison are asked for at once, and an answer knows no
// arms: package internal/gather merges questions and splits answers.
//
// Every source, present and future, passes the conformance suite of
// sources/sourcetest. Three promises matter most:
//
//   - No future: an answer as of a fold's end uses no sample after it, however
//     late it is asked, so the answer is the same whenever it comes.
//   - The rule for deltas, resets and first samples is analysis.IncreaseOf.
//   - "No data" is an empty answer, never an error; an error is always an *Error
//     whose Kind says what to do.
//
// Sources do not judge, keep no state about validations, and know no objectives.
package sources

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Source answers questions about telemetry. Implementations are safe for
// concurrent use.
type Source interface {
	// Rows answers a query for one fold. Rows are sorted by Values, then Pod. A pod
	// that has no sample of the signal in the fold but another fresh series is a
	// row with Received 0 and Fresh true, if the source can tell.
	Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error)
	// Spacing returns the median time between consecutive samples of a series, 0
	// if unknown.
	Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error)
	// History returns one-minute sums per pod, sorted by minute, then pod.
	History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error)
	// Distribution returns the observations of a histogram, all matching pods
	// together.
	Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error)
	// Seen returns the releases that were heard of, sorted.
	Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error)
}

// A LineSampler is a source of logs: it answers questions about signals with Logs, and
// gives bounded history to learn templates from.
type LineSampler interface {
	Source
	// SampleLines returns lines in order of time, pod and text.
	SampleLines(ctx context.Context, q analysis.LineSampleQuery) ([]analysis.Line, error)
}

// A SpanSource is a source of spans: it answers questions about signals with Spans, and
// knows which operations there were.
type SpanSource interface {
	Source
	// Operations returns what a service served, the most frequent first, those alike by
	// name.
	Operations(ctx context.Context, q analysis.OperationQuery) ([]analysis.OperationCount, error)
}

// An ExemplarSource finds whole traces, to be looked at and never folded. It need not be
// a Source: Jaeger and Tempo are not.
type ExemplarSource interface {
	// Exemplars returns the trace of an id, or those of a cohort and window that show
	// what is asked, redacted. No trace is no error.
	Exemplars(ctx context.Context, q analysis.ExemplarQuery) ([]analysis.Exemplar, error)
}

// Kind says what an error means for the one who asked.
type Kind uint8

const (
	// Unavailable: no answer now (down, timeout, 429, 5xx); asking again later may
	// work and gives the answer that would have come now. The zero value.
	Unavailable Kind = iota
	// Rejected: the question or the credentials are wrong (4xx); asking again is
	// useless until a person changes something.
	Rejected
	// Malformed: the source answered what the question does not admit (wrong
	// type, duplicate series, truncated or oversized body).
	Malformed
)

func (k Kind) String() string {
	switch k {
	case Rejected:
		return "rejected"
	case Malformed:
		return "malformed"
	}
	return "unavailable"
}

// An Error is a source that could not answer.
type Error struct {
	Kind       Kind
	Source     string        // name of the source
	Op         string        // "rows", "spacing", "history", "distribution", "seen"
	RetryAfter time.Duration // as the source asked; 0: it did not
	Err        error
}

func (e *Error) Error() string {
	return fmt.Sprintf("source %s: %s: %s: %v", e.Source, e.Op, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err; an error that no source classified (a cancelled
// context, say) is Unavailable.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unavailable
}

// RetryAfter returns how long the source asked to be left alone, 0 if it did not.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
