package analysis

import (
	"math/rand/v2"
	"testing"
)

// spanRows are two pods an arm with so many spans each; one with -1 is not heard of, one
// with 0 is proven alive by something else where alive is set.
func spanRows(alive bool, spans ...int) []ArmRow {
	var out []ArmRow
	for i, n := range spans {
		arm := Baseline
		if i >= 2 {
			arm = Canary
		}
		if n < 0 || n == 0 && !alive {
			continue
		}
		r := row(arm, []string{"b-1", "b-2", "c-1", "c-2"}[i], 0, float64(n))
		r.Received, r.Fresh = n, alive || n > 0
		out = append(out, r)
	}
	return out
}

func spansState(tb testing.TB) *State {
	return testState(tb, func(in *PlanInput) {
		in.Policy.Objectives = []Objective{spansObjective("span_errors", Critical, ShapeRatio, SpanErrors)}
		in.Facts = []Facts{{}}
		in.Deployment.Steps = []Step{{Index: 1, Total: 1, Weight: .5, At: testStart}}
	})
}

func coverageAfter(tb testing.TB, folds ...[]ArmRow) Check {
	s := spansState(tb)
	for _, rows := range folds {
		foldRows(tb, s, 0, rows)
	}
	return s.Checks().Coverage
}

func repeated(n int, rows []ArmRow) [][]ArmRow {
	out := make([][]ArmRow, n)
	for i := range out {
		out[i] = rows
	}
	return out
}

// Spans come with requests: pods that serve little are not missed in folds without any.
func TestCoverageOfQuietServices(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, mean := range []float64{1, 3, 8} {
		s, worst := spansState(t), 0
		for k := range 200 {
			n := func() int { return int(poissonOf(rng, mean)) }
			foldRows(t, s, 0, spanRows(false, n(), n(), n(), n()))
			if c := s.Checks().Coverage; k > 20 && c.State == Partial {
				worst++
			}
		}
		if worst > 0 {
			t.Errorf("%v spans a fold: partial in %d of 180 folds", mean, worst)
		}
	}
}

func TestCoverageOfSpans(t *testing.T) {
	busy := spanRows(false, 100, 100, 100, 100)
	for name, c := range map[string]struct {
		folds [][]ArmRow
		want  CheckState
	}{
		"all report":              {repeated(20, busy), Good},
		"nothing yet":             {repeated(5, nil), Missing},
		"the canary falls silent": {append(repeated(20, busy), repeated(3, spanRows(false, 100, 100, -1, -1))...), Stale},
		"all fall silent":         {append(repeated(20, busy), repeated(3, nil)...), Stale},
		"one pod falls silent":    {append(repeated(5, busy), repeated(7, spanRows(false, 100, 100, 100, -1))...), Partial},
		"every fifth fold is lost": {func() (out [][]ArmRow) {
			for range 10 {
				out = append(out, busy, busy, spanRows(false, 100, -1, 100, -1), busy, busy)
			}
			return out
		}(), Good}, // one in ten pod-folds
		"every second fold of a pod is lost": {func() (out [][]ArmRow) {
			for range 20 {
				out = append(out, busy, spanRows(false, 100, 100, 100, -1))
			}
			return out
		}(), Partial},
		"without requests, and proven alive": {append(repeated(20, busy), repeated(40, spanRows(true, 0, 0, 0, 0))...), Good},
	} {
		if got := coverageAfter(t, c.folds...); got.State != c.want {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
		}
	}
}

// Spans that stay away do not show that the canary serves nothing, even where its pods
// are proven alive.
func TestMissingSpansAreNoRollback(t *testing.T) {
	s := spansState(t)
	for range 40 {
		foldRows(t, s, 0, spanRows(true, 1000, 1000, 0, 0))
	}
	if c := s.Checks().Serving; c.State != Undecided || c.Code != CanaryTelemetryMissing {
		t.Errorf("%+v", c)
	}
}

// A state with pods that were counted by their spans is restored as it was.
func TestSpanCoverageIsRestored(t *testing.T) {
	s := spansState(t)
	for k := range 12 {
		foldRows(t, s, 0, spanRows(false, 100, k, 100, 3))
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := RestoreState(s.plan, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		for _, s := range []*State{s, again} {
			foldRows(t, s, 0, spanRows(false, 100, -1, -1, 3))
		}
	}
	if a, b := s.Checks().Coverage, again.Checks().Coverage; a != b {
		t.Errorf("%+v, restored %+v", a, b)
	}
	if e, r, pods, _ := again.Received(Baseline); e == 0 || r == 0 || pods == 0 {
		t.Errorf("%d %d %d", e, r, pods)
	}
}
