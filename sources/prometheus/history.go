package prometheus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

const (
	// maxPoints is how many steps one range query may have; Prometheus refuses
	// more than 11,000.
	maxPoints = 10_000
	// firstSpan is how much history is asked for at first, minSpan the least that
	// is tried where an answer is over the limit of bytes.
	firstSpan = 6 * time.Hour
	minSpan   = 10 * time.Minute
)

// KeepsSamples says that the history of a level can be had at a step below a minute.
func (s *Source) KeepsSamples() bool { return true }

// History returns the sums of the whole minutes in [From, To), from one reading a
// minute, and of a level one reading a step. It is asked for newest first, in spans
// that keep each answer within the limits; where the samples are over the limit it
// is shorter, not wrong.
//
// A reading is the newest sample in its minute, so the sums are those of IncreaseOf
// but for what a pod counted between its last reading and a restart. A target's
// first reading is a reference only, and a minute without a sample has no sum.
func (s *Source) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	const op = "history"
	asked, err := s.question(q.Signal, q.Matches)
	if err != nil {
		return nil, s.rejected(op, err)
	}
	step := time.Minute
	if q.Signal.Shape == analysis.ShapeLevel && q.Step > 0 {
		if step = q.Step; step%time.Second != 0 || time.Minute%step != 0 {
			return nil, s.rejected(op, fmt.Errorf("a step of %v does not divide a minute into whole seconds", step))
		}
	}
	first, last := q.From.UTC().Add(step-1).Truncate(step), q.To.UTC().Truncate(step)
	var spans [][]series // newest first
	budget, span := s.maxSamples, firstSpan
	for end := last; end.After(first); {
		start := end.Add(-min(span, end.Sub(first), maxPoints*step))
		i := &inquiry{Source: s, op: op}
		found, err := asked.read(func(f form, ms []*labels.Matcher) ([]series, error) {
			ctx, cancel := context.WithTimeout(ctx, s.timeout)
			defer cancel()
			return i.steps(ctx, f, ms, start, end, step)
		})
		if errors.Is(err, httpquery.ErrTooBig) && end.Sub(start) > minSpan {
			span = end.Sub(start) / 2
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(i.warnings) > 0 {
			return nil, &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: fmt.Errorf("the server warns: %s", httpquery.Clip(i.warnings[0]))}
		}
		if budget -= i.samples; budget < 0 && len(spans) > 0 {
			first = end
			break
		}
		spans = append(spans, found)
		end = start
	}
	slices.Reverse(spans)
	h := chronicle{labels: s.labels, HistoryQuery: q, good: asked.good, step: step}
	for _, span := range spans {
		h.join(span)
	}
	return h.sums(first, last), nil
}
