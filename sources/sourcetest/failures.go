package sourcetest

import (
	"context"
	"errors"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// failureCases: every failure is a *sources.Error whose kind says what to do.
func failureCases() []testCase {
	return []testCase{
		{
			name: "an unreachable source is unavailable, not empty",
			check: func(t *testing.T, s suite) {
				if s.Unavailable == nil {
					t.Skip("the source cannot be unavailable")
				}
				for _, signal := range s.signals() {
					for op, err := range ask(t.Context(), s.Unavailable(t), signal) {
						wantKind(t, op, err, sources.Unavailable)
					}
				}
			},
		},
		{
			name: "a cancelled context ends the question",
			check: func(t *testing.T, s suite) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				for _, signal := range s.signals() {
					for op, err := range ask(ctx, s.source, signal) {
						wantKind(t, op, err, sources.Unavailable)
						if !errors.Is(err, context.Canceled) {
							t.Errorf("%s: %v does not wrap context.Canceled", op, err)
						}
					}
				}
			},
		},
		{
			name: "a signal that cannot be asked is rejected",
			check: func(t *testing.T, s suite) {
				ratio, distribution, level := errorRatio(), duration(), memory("By")
				ratio.Total, distribution.Histogram, level.Gauge = nil, nil, nil
				for _, signal := range []analysis.Signal{ratio, distribution, level} {
					for op, err := range ask(t.Context(), s.source, signal) {
						wantKind(t, op, err, sources.Rejected)
					}
				}
				for _, signal := range []analysis.Signal{errorRatio(), memory("By")} {
					_, err := s.source.Distribution(t.Context(), analysis.DistributionQuery{Signal: s.Signal(signal), Matches: matches("any"), From: at(0), To: at(60)})
					wantKind(t, "distribution", err, sources.Rejected)
				}
			},
		},
		{
			name: "what the source does not answer it rejects",
			check: func(t *testing.T, s suite) {
				for signal, answered := range map[*analysis.Signal]bool{new(errorRatio()): !s.NoCounters, new(duration()): s.Histograms || s.Exponential, new(memory("By")): s.Levels} {
					for op, err := range ask(t.Context(), s.source, s.Signal(*signal)) {
						if !answered {
							wantKind(t, op, err, sources.Rejected)
						} else if err != nil {
							t.Errorf("%s of a %s: %v", op, signal.Shape, err)
						}
					}
				}
				for signal, answered := range map[*analysis.Signal]bool{
					new(logs(failure)): s.Lines, new(mustAppear("stored")): s.Lines, new(templates()): s.Lines,
					new(spansWith(analysis.SpanErrors)): s.Spans, new(spansWith(analysis.SpanExclusive)): s.Spans, new(spansWith(analysis.SpanCalls)): s.Spans,
					new(spanDuration()): s.Spans, new(topology()): s.Spans,
				} {
					for op, err := range ask(t.Context(), s.source, *signal) {
						if !answered {
							wantKind(t, op, err, sources.Rejected)
						} else if err != nil {
							t.Errorf("%s of %s: %v", op, signal.Name, err)
						}
					}
				}
				if !s.Strata {
					q := s.query("any", fold(0, 15))
					q.Strata = []string{route}
					_, err := s.source.Rows(t.Context(), q)
					wantKind(t, "rows", err, sources.Rejected)
				}
			},
		},
		{
			name: "a pattern is understood or rejected, never taken literally",
			check: func(t *testing.T, s suite) {
				signal := errorRatio()
				signal.Bad.Conditions = []analysis.Condition{{Name: statusCode, Op: analysis.OpRegexp, Values: []string{"5.."}}}
				for op, err := range ask(t.Context(), s.source, s.Signal(signal)) {
					if !s.Regexps {
						wantKind(t, op, err, sources.Rejected)
					} else if err != nil {
						t.Errorf("%s: %v", op, err)
					}
				}
				if !s.Regexps {
					return
				}
				q := s.query("combinations", fold(60, 75), "1.0")
				q.Signal = s.Signal(signal)
				s.want(t, q, row("combinations", "1.0", "a", 1, 5, 18))
				signal.Bad.Conditions[0] = analysis.Condition{Name: statusCode, Op: analysis.OpNotRegexp, Values: []string{"2..|404"}}
				q.Signal = s.Signal(signal)
				s.want(t, q, row("combinations", "1.0", "a", 1, 5, 18))
			},
		},
	}
}

// signals are one of each shape that the source answers.
func (s suite) signals() []analysis.Signal {
	var all []analysis.Signal
	if !s.NoCounters {
		all = append(all, s.Signal(errorRatio()))
	}
	if s.Histograms || s.Exponential {
		all = append(all, s.Signal(duration()))
	}
	if s.Levels {
		all = append(all, s.Signal(memory("By")))
	}
	if s.Lines {
		all = append(all, logs(failure), mustAppear("stored"), templates())
	}
	if s.Spans {
		all = append(all, spansWith(analysis.SpanErrors), spansWith(analysis.SpanCalls), spanDuration(), topology())
	}
	return all
}

func wantKind(t *testing.T, op string, err error, want sources.Kind) {
	t.Helper()
	var e *sources.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: got %v, want a *sources.Error", op, err)
		return
	}
	if e.Kind != want || e.Op != op || e.Source == "" {
		t.Errorf("%s: got kind %v, operation %q, source %q; want kind %v", op, e.Kind, e.Op, e.Source, want)
	}
}
