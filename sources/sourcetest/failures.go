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
				for op, err := range ask(t.Context(), s.Unavailable(t), s.Signal(errorRatio())) {
					wantKind(t, op, err, sources.Unavailable)
				}
			},
		},
		{
			name: "a cancelled context ends the question",
			check: func(t *testing.T, s suite) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				for op, err := range ask(ctx, s.source, s.Signal(errorRatio())) {
					wantKind(t, op, err, sources.Unavailable)
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%s: %v does not wrap context.Canceled", op, err)
					}
				}
			},
		},
		{
			name: "a signal that cannot be asked is rejected",
			check: func(t *testing.T, s suite) {
				signal := errorRatio()
				signal.Total = nil
				for op, err := range ask(t.Context(), s.source, signal) {
					wantKind(t, op, err, sources.Rejected)
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
