package gather

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// SampleLines asks a source of logs for bounded history. One that knows no logs rejects
// the question.
func (g *Gatherer) SampleLines(ctx context.Context, q analysis.LineSampleQuery) ([]analysis.Line, error) {
	q.Signal = eventsOf(q.Signal)
	return put(ctx, g, plans, q.Signal.Source, "lines", func(s sources.Source) ([]analysis.Line, error) {
		if sampler, ok := s.(sources.LineSampler); ok {
			return sampler.SampleLines(ctx, q)
		}
		return nil, &sources.Error{Kind: sources.Rejected, Source: q.Signal.Source, Op: "lines", Err: fmt.Errorf("it is no source of logs")}
	})
}

// Operations asks a source of spans which operations a service served. One that knows
// no spans rejects the question.
func (g *Gatherer) Operations(ctx context.Context, q analysis.OperationQuery) ([]analysis.OperationCount, error) {
	return put(ctx, g, plans, q.Signal.Source, "operations", func(s sources.Source) ([]analysis.OperationCount, error) {
		if spans, ok := s.(sources.SpanSource); ok {
			return spans.Operations(ctx, q)
		}
		return nil, &sources.Error{Kind: sources.Rejected, Source: q.Signal.Source, Op: "operations", Err: fmt.Errorf("it is no source of spans")}
	})
}

// Exemplars asks the sources of whole traces until one has what is asked for: first those
// that are nothing else, which keep them longest, then by name. It fails only where none
// has it and one failed.
func (g *Gatherer) Exemplars(ctx context.Context, q analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	var failed error
	names := slices.Sorted(maps.Keys(g.opts.Exemplars))
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(btoi(g.table[a] != nil), btoi(g.table[b] != nil))
	})
	for _, name := range names {
		found, err := inTurn(ctx, g, plans, name, "exemplars", func() ([]analysis.Exemplar, error) {
			return g.opts.Exemplars[name].Exemplars(ctx, q)
		})
		if len(found) > 0 && err == nil {
			return found, nil
		}
		if err != nil && failed == nil {
			failed = err
		}
	}
	return nil, failed
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// HasExemplars reports whether there is any source of whole traces.
func (g *Gatherer) HasExemplars() bool { return len(g.opts.Exemplars) > 0 }
