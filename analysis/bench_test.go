package analysis

import (
	"math"
	"slices"
	"testing"
	"time"
)

// benchSlots is the number of restarts of an objective with a deadline of 80 min.
const benchSlots = 7

//

// A foldBench folds and assesses the same small fold for ever: an hour of it is
// folded, then the state is as it was a fold earlier. All restarts are taken, and
// all log-likelihoods stay within 60 nats, where no exp is skipped.
type foldBench struct {
	s        *State
	evidence Evidence
	profile  []float64
}

func newFoldBench(tb testing.TB) *foldBench {
	tb.Helper()
	p, err := NewPlan(PlanInput{
		Deployment: Deployment{ID: "bench", Attempt: 1, StartedAt: testStart, Release: Release{Version: "2", PreviousVersion: "1"}},
		Policy: Policy{
			Name: "bench", Objectives: []Objective{{Name: "errors", Role: Critical, Signal: ratioSignal("errors")}},
			Window:        Window{MinBake: Duration(10 * time.Minute), Deadline: Duration(80 * time.Minute)},
			AlphaRollback: DefaultAlphaRollback, AlphaPromote: DefaultAlphaPromote,
		},
		Facts: []Facts{{Spacing: 5 * time.Second, History: History{Calibrated: true, Phi0: [3]float64{1.2, 1.2, 1.2}, Bad: 5e4, Exposure: 1e7}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := NewState(p)
	if err != nil {
		tb.Fatal(err)
	}
	b := &foldBench{s: s, evidence: Evidence{Objective: "errors", Rows: []ArmRow{
		{Arm: Baseline, Pod: "b", Bad: 5, Exposure: 900, Received: 1, Version: "1"},
		{Arm: Canary, Pod: "c", Bad: 1, Exposure: 100, Received: 1, Version: "2"},
	}}}
	quiet := Evidence{Objective: "errors"}
	for k := range 71 * 12 { // the last restart is at 70 min
		e := &quiet
		if k%100 == 50 {
			e = &b.evidence
		}
		e.Fold, _ = s.Next(0)
		if err := s.Fold(e); err != nil {
			tb.Fatal(err)
		}
	}
	r := trialOf(s)
	if len(r.Used) != benchSlots || r.starts.count() != benchSlots {
		tb.Fatalf("%d of %d restarts are taken, want all of %d", len(r.Used), r.starts.count(), benchSlots)
	}
	b.profile = slices.Clone(r.Sums)
	return b
}

// look folds and assesses once, and puts the profile back.
func (b *foldBench) look(tb testing.TB) {
	copy(trialOf(b.s).Sums, b.profile)
	b.evidence.Fold = b.s.objectives[0].next
	if err := b.s.Fold(&b.evidence); err != nil {
		tb.Fatal(err)
	}
	sink = float64(b.s.Assess()[0].ERollback)
}

var sink float64

// bareLoop is what the look costs at least: a log1p for each grid point, an exp
// for each point above the tolerance, of the first start alone, and one for each
// point below the margin.
type bareLoop struct {
	l, rm1       []float64
	above, below int
}

func newBareLoop(b *foldBench) *bareLoop {
	g := trialOf(b.s).engine.(*profileEngine).grid
	n := g.Len()
	loop := &bareLoop{l: make([]float64, n), rm1: make([]float64, n)}
	for j := range n {
		loop.rm1[j] = g.Rho(j) - 1
	}
	loop.above, loop.below = n-1-g.IndexOf(g.RhoR()), g.IndexOf(g.RhoP())
	return loop
}

func (b *bareLoop) look() {
	for j := range b.l {
		b.l[j] += math.Log1p(b.rm1[j] * .1)
	}
	s := 0.0
	for j := range b.above {
		s += math.Exp(-.01 * float64(j))
	}
	for j := range b.below {
		s += math.Exp(-.01 * float64(j))
	}
	sink = s
}

// BenchmarkFoldAssess is Fold and Assess of one ratio objective with 7 restarts.
func BenchmarkFoldAssess(b *testing.B) {
	f := newFoldBench(b)
	b.ReportAllocs()
	for b.Loop() {
		f.look(b)
	}
}

func BenchmarkBareLoop(b *testing.B) {
	l := newBareLoop(newFoldBench(b))
	for b.Loop() {
		l.look()
	}
}

// BenchmarkFoldAssessOverBare measures both in short turns, so that a busy machine
// slows both alike, and reports how many times the bare loop a look costs: the
// ratio of the median turns.
func BenchmarkFoldAssessOverBare(b *testing.B) {
	f := newFoldBench(b)
	l := newBareLoop(f)
	const turn = 10
	var look, bare []float64
	for b.Loop() {
		t0 := time.Now()
		for range turn {
			f.look(b)
		}
		t1 := time.Now()
		for range turn {
			l.look()
		}
		look = append(look, float64(t1.Sub(t0)))
		bare = append(bare, float64(time.Since(t1)))
	}
	slices.Sort(look)
	slices.Sort(bare)
	half := len(look) / 2
	b.ReportMetric(look[half]/bare[half], "x_bare")
	b.ReportMetric(look[half]/turn, "ns/look")
}

// BenchmarkChecks is a look in full: what people see included.
func BenchmarkChecks(b *testing.B) {
	f := newFoldBench(b)
	b.ReportAllocs()
	for b.Loop() {
		f.look(b)
		sinkChecks = f.s.Checks()
	}
}

// BenchmarkFoldAffine is Fold and Assess of an objective with an SLO; its interval
// for people is brought up to date every 64 folds.
func BenchmarkFoldAffine(b *testing.B) {
	f := newFoldBench(b)
	p := *f.s.plan
	o := p.Objectives[0]
	o.Target, o.Null, o.BaseRate = .98, NullAffine, .005
	o.ToleranceBound, o.MarginBound = Bound{1.05, .25}, Bound{1, .5}
	p.Objectives = []PlannedObjective{o}
	s, err := NewState(&p)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f.evidence.Fold, _ = s.Next(0)
		if err := s.Fold(&f.evidence); err != nil {
			b.Fatal(err)
		}
		sink = float64(s.Assess()[0].ERollback)
	}
}

var sinkChecks Checks

// TestFoldAndAssessAllocateNothing: a look of 10,000 validations every five
// seconds must leave nothing to collect.
func TestFoldAndAssessAllocateNothing(t *testing.T) {
	f := newFoldBench(t)
	if got := testing.AllocsPerRun(500, func() { f.look(t) }); got != 0 {
		t.Errorf("%v allocations in Fold and Assess, want 0", got)
	}
	s := testState(t, withSLO)
	e := Evidence{Objective: "errors", Rows: rows(1, 5, 100, 900)}
	look := func() {
		e.Fold = s.objectives[0].next
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		s.Assess()
	}
	for range 100 {
		look()
	}
	if got := testing.AllocsPerRun(500, look); got != 0 {
		t.Errorf("affine: %v allocations in Fold and Assess, want 0", got)
	}
}
