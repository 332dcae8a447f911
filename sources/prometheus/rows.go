package prometheus

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
)

// lookBack is how far before a fold a sample is looked for that deltas count
// from: the longest gap that Prometheus itself bridges, or three folds.
const lookBack = 5 * time.Minute

// maxPods is how many pods are named in one query.
const maxPods = 250

// Rows answers a query for one fold from raw samples.
func (s *Source) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	const op = "rows"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	asked, err := s.question(q.Signal, q.Matches)
	if err != nil {
		return analysis.Answer{}, s.rejected(op, err)
	}
	i := &inquiry{Source: s, op: op}
	from := rangeStart(q.Fold)
	ask := func(from time.Time) func(form, []*labels.Matcher) ([]series, error) {
		return func(f form, ms []*labels.Matcher) ([]series, error) {
			return i.raw(ctx, f, ms, q.AsOf().Sub(from), q.AsOf())
		}
	}

	found, err := asked.read(ask(from))
	if err != nil {
		return analysis.Answer{}, err
	}
	starts, err := i.starts(ctx, q.Matches, q.AsOf().Sub(from), q.AsOf())
	if err != nil {
		return analysis.Answer{}, err
	}
	f := newFold(s.labels, q, asked.good)
	f.add(found, starts)
	// What is new within the look-back, a target or one of its series, may have
	// been there before an outage. That is asked once: in the next fold it is known.
	if !q.Since.IsZero() && q.Since.Before(from) && q.Signal.Shape != analysis.ShapeLevel {
		if err := f.lookFurther(asked, ask(q.Since.Truncate(time.Second))); err != nil {
			return analysis.Answer{}, err
		}
	}
	return analysis.Answer{Rows: f.rows(), Partial: len(i.warnings) > 0, Skew: s.clock.latest(), Warnings: unique(i.warnings), Rendered: i.rendered}, nil
}

// rangeStart is from when on samples are asked for.
func rangeStart(f analysis.Fold) time.Time {
	return f.Start.Add(-max(lookBack, 3*f.End.Sub(f.Start)))
}

// Render returns the queries that a question comes to, without asking them: what a
// merged question would have been for one of those it was merged from. A question
// that cannot be put has none.
func (s *Source) Render(q analysis.Query) []string {
	question, err := s.question(q.Signal, q.Matches)
	if err != nil {
		return nil
	}
	starts, err := s.labels.bind(&analysis.Selector{Metric: startMetric}, q.Matches)
	if err != nil {
		return nil
	}
	asked := [][]*labels.Matcher{question.total}
	if !question.within {
		asked = append(asked, question.event)
	}
	var rendered []string
	for _, ms := range append(asked, starts) {
		query, err := render(ms, q.AsOf().Sub(rangeStart(q.Fold)))
		if err != nil {
			return nil
		}
		rendered = append(rendered, query)
	}
	return rendered
}

// unique returns the strings sorted, each once, in a slice of their own.
func unique(all []string) []string {
	if len(all) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}
