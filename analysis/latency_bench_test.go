package analysis

import (
	"testing"
	"time"
)

// latencyBench is six distributions, as sources count histograms of 160 buckets: each
// row has what lies above the twelve bounds of the plan.
func latencyBench(tb testing.TB) (*State, []Evidence) {
	tb.Helper()
	counts := make([]float64, 160)
	for i := range counts {
		counts[i] = 1e4
	}
	h := exponentialOf(5, -80, counts...)
	s := testState(tb, judging(h), withHistory, lasting(80*time.Minute), func(in *PlanInput) {
		o, facts := in.Policy.Objectives[0], in.Facts[0]
		in.Policy.Objectives, in.Facts = nil, nil
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			o.Name = name
			in.Policy.Objectives, in.Facts = append(in.Policy.Objectives, o), append(in.Facts, facts)
		}
	})
	var all []Evidence
	for i := range s.plan.Objectives {
		o := &s.plan.Objectives[i]
		e := Evidence{Objective: o.Name}
		for _, r := range []ArmRow{slowRow(Baseline, "b", 900), slowRow(Canary, "c", 100)} {
			for _, b := range o.Latency.Bounds {
				r.Above = append(r.Above, r.Exposure*h.tail(b))
			}
			e.Rows = append(e.Rows, r)
		}
		all = append(all, e)
	}
	return s, all
}

// lookAtLatencies folds and assesses all of them once.
func lookAtLatencies(tb testing.TB, s *State, all []Evidence) {
	for i := range all {
		all[i].Fold = s.objectives[i].next
		if err := s.Fold(&all[i]); err != nil {
			tb.Fatal(err)
		}
	}
	s.Assess()
}

func BenchmarkFoldSixHistograms(b *testing.B) {
	s, all := latencyBench(b)
	for range 1000 { // all restarts of the plan are taken
		lookAtLatencies(b, s, all)
	}
	b.ReportAllocs()
	for b.Loop() {
		lookAtLatencies(b, s, all)
	}
}

func TestFoldOfHistogramsAllocatesNothing(t *testing.T) {
	s, all := latencyBench(t)
	for range 100 {
		lookAtLatencies(t, s, all)
	}
	if got := testing.AllocsPerRun(500, func() { lookAtLatencies(t, s, all) }); got != 0 {
		t.Errorf("%v allocations in Fold and Assess, want 0", got)
	}
}
