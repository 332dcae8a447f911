package analysis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A fleetBench folds and assesses the eight ratios of a validation of an hour, in
// five-second folds of a healthy canary.
type fleetBench struct {
	s        *State
	evidence Evidence
	rng      *rand.Rand
}

const benchRatios = 8

func newFleetBench(tb testing.TB, folds int) *fleetBench {
	tb.Helper()
	in := PlanInput{
		Deployment: Deployment{ID: "bench", Attempt: 1, StartedAt: testStart, Release: Release{Version: "2", PreviousVersion: "1"}},
		Policy: Policy{
			Name: "bench", Window: Window{MinBake: Duration(10 * time.Minute), Deadline: Duration(80 * time.Minute)},
			AlphaRollback: DefaultAlphaRollback, AlphaPromote: DefaultAlphaPromote,
		},
	}
	for i := range benchRatios {
		in.Policy.Objectives = append(in.Policy.Objectives, Objective{Name: fmt.Sprint("errors-", i), Role: Critical, Signal: ratioSignal("errors")})
		in.Facts = append(in.Facts, Facts{Spacing: 5 * time.Second, History: History{Calibrated: true, Phi0: [3]float64{1.2, 1.2, 1.2}, Bad: 5e4, Exposure: 1e7}})
	}
	p, err := NewPlan(in)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := NewState(p)
	if err != nil {
		tb.Fatal(err)
	}
	b := &fleetBench{s: s, rng: rand.New(rand.NewPCG(1, 2)), evidence: Evidence{Rows: []ArmRow{
		{Arm: Baseline, Pod: "b", Exposure: 900, Received: 1, Version: "1"},
		{Arm: Canary, Pod: "c", Exposure: 100, Received: 1, Version: "2"},
	}}}
	for range folds {
		b.look(tb)
	}
	return b
}

func (b *fleetBench) look(tb testing.TB) {
	for i := range b.s.objectives {
		b.evidence.Rows[0].Bad = float64(2 + b.rng.IntN(6)) // half a percent
		b.evidence.Rows[1].Bad = float64(b.rng.IntN(2))
		b.evidence.Objective, b.evidence.Fold = b.s.objectives[i].o.Name, b.s.objectives[i].next
		if err := b.s.Fold(&b.evidence); err != nil {
			tb.Fatal(err)
		}
	}
	sink = float64(b.s.Assess()[0].ERollback)
}

// BenchmarkFold20 is the share of ratios in a full fold of 20 objectives, late in a
// validation, when all restarts are taken. It reports how many times the bare loops
// of one start it costs (a log1p for each grid point, an exp for each point of either
// side: see bareLoop), and how many times the fold after 10 folds.
func BenchmarkFold20(b *testing.B) {
	late := newFleetBench(b, 80*12)
	if got := len(trialOf(late.s).Used); got != benchSlots {
		b.Fatalf("%d restarts are taken, want %d", got, benchSlots)
	}
	bare := newBareLoop(newFoldBench(b))
	early := newFleetBench(b, 10)
	snapshot, err := early.s.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	var looks, bares, youngs []float64
	const turn = 20
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		if early.s, err = RestoreState(late.s.plan, snapshot); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		t0 := time.Now()
		for range turn {
			late.look(b)
		}
		t1 := time.Now()
		for range turn * benchRatios {
			bare.look()
		}
		t2 := time.Now()
		for range turn {
			early.look(b)
		}
		looks, bares = append(looks, float64(t1.Sub(t0))), append(bares, float64(t2.Sub(t1)))
		youngs = append(youngs, float64(time.Since(t2)))
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(median(looks)/median(bares), "x_bare")
	b.ReportMetric(median(looks)/median(youngs), "x_fold10")
	b.ReportMetric(median(looks)/turn/benchRatios, "ns/objective")
}

// A look of eight ratios leaves nothing to collect, early or late.
func TestFoldOfEightRatiosAllocatesNothing(t *testing.T) {
	f := newFleetBench(t, 80*12)
	if got := testing.AllocsPerRun(200, func() { f.look(t) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
