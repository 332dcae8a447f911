package analysis

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// thousandRPS is a service of 1000 requests a second of which rate failed in the hour
// before, with an SLO of 99.9 %.
func thousandRPS(rate float64) func(*PlanInput) {
	return func(in *PlanInput) {
		in.Policy.Objectives[0].Target = .999
		in.Facts[0].Spacing = time.Minute
		h := &in.Facts[0].History
		h.BadHour, h.HourTotal, h.HourSpan = rate*3.6e6, 3.6e6, 60
		h.Bad, h.Exposure = rate*8.64e7, 8.64e7
	}
}

// The worked example of statistics 12.1: a canary of 2 % fails .15 % of its requests
// for 10 minutes and the baseline .05 %, on either test.
func TestBudgetOfTheWorkedExample(t *testing.T) {
	for null, rate := range map[Null]float64{NullAffine: .0004, NullRatio: .0006} {
		s := testState(t, declared(.02), thousandRPS(rate))
		if got := s.plan.Objectives[0].Null; got != null {
			t.Fatalf("null %s, want %s", got, null)
		}
		for range 10 {
			foldRows(t, s, 0, rows(1.8, 29.4, 1200, 58800))
		}
		f := s.Describe()[0]
		b := f.Budget
		if b == nil {
			t.Fatal("no budget")
		}
		for _, c := range []struct {
			what      string
			got       Figure
			want, tol float64
		}{
			{"attributable events", b.Attributable, 12, 1e-9},
			{"events", b.Total, 18, 1e-9},
			{"B", b.Size, 2.592e6, 1e-3},
			{"share of B", b.ShareOfBudget, 4.6e-6, .05e-6},
			{"burn rate", b.BurnRate, 1.5, 1e-9},
			{"B in 30 days: share an hour", b.ProjectedPerHour.Effect, 1. / 30 / 24, 1e-9},
		} {
			if !(math.Abs(float64(c.got)-c.want) <= c.tol) {
				t.Errorf("%s: %s %v, want %v", null, c.what, c.got, c.want)
			}
		}
		// The ends are those of the finding, at the baseline's rate.
		low, high := float64(f.Low), float64(f.High)
		if null == NullRatio {
			low, high = .0005*(low-1), .0005*(high-1)
		}
		p := b.ProjectedPerHour
		if !near(float64(p.Low), low/.001/720) || !near(float64(p.High), high/.001/720) || !(p.Low < p.Effect && p.Effect < p.High) {
			t.Errorf("%s: an hour %+v, the finding's ends are %v and %v", null, p, f.Low, f.High)
		}
		if b.Window.D() != 720*time.Hour || !b.WindowAssumed {
			t.Errorf("%s: window %v, assumed %v", null, b.Window, b.WindowAssumed)
		}
	}
}

// The window is the SLO's where it names one.
func TestBudgetOfANamedWindow(t *testing.T) {
	s := testState(t, thousandRPS(.0004), func(in *PlanInput) { in.Policy.Objectives[0].SLOWindow = Duration(7 * 24 * time.Hour) })
	foldRows(t, s, 0, rows(1.8, 29.4, 1200, 58800))
	b := s.Describe()[0].Budget
	if b.Window.D() != 168*time.Hour || b.WindowAssumed || !near(float64(b.Size), 604800) || !near(float64(b.ProjectedPerHour.Effect), 1./168) {
		t.Errorf("%+v", b)
	}
}

// Of rare events nearly every one lies above what its fold expects. A canary that fails
// like its baseline is blamed for none of them; one that fails less, neither.
func TestHealthyCanaryUsesNoBudgetOfItsOwn(t *testing.T) {
	s := testState(t, withSLO)
	for k := range 40 {
		xC := 0.0
		if k%20 == 7 {
			xC = 1
		}
		foldRows(t, s, 0, rows(xC, .45, 100, 900))
	}
	if b := s.Describe()[0].Budget; !(math.Abs(float64(b.Attributable)) < 1e-9) || b.Total != 2 {
		t.Errorf("%+v, want 0 of 2", b)
	}
	foldRows(t, s, 0, rows(0, 9, 100, 900))
	if b := s.Describe()[0].Budget; b.Attributable != 0 || b.Total != 2 || !(b.ProjectedPerHour.Effect < 0) {
		t.Errorf("%+v, want 0 of 2 and a projection below 0", b)
	}
}

// Every key is there as soon as there is an SLO; what is not known is null, and the
// interval is all that is drawn.
func TestBudgetBeforeData(t *testing.T) {
	s := testState(t, withSLO, func(in *PlanInput) { in.Facts[0].History.HourTotal = 0 })
	b, err := json.Marshal(s.Describe()[0].Budget)
	want := `{"attributable":0,"total":0,"size":null,"shareOfBudget":null,"burnRate":null,` +
		`"projectedPerHour":{"effect":null,"low":-0.0694444,"high":0.0694444},"window":"720h0m0s","windowAssumed":true}`
	if err != nil || string(b) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b, want)
	}
	plain, err := json.Marshal(testState(t).Describe()[0])
	if err != nil || !strings.Contains(string(plain), `"budget":null,"posterior":{"pBad":0.1,`) || !strings.Contains(string(plain), `"cost":null`) {
		t.Errorf("without an SLO: %v\n%s", err, plain)
	}
}

// Strata: what the canary would have had is reckoned where it was.
func TestBudgetOverStrata(t *testing.T) {
	s := testState(t, withSLO, func(in *PlanInput) { in.Policy.Objectives[0].Strata = []string{"zone"} })
	in := func(r ArmRow, zone string) ArmRow { r.Stratum = zone; return r }
	foldRows(t, s, 0, []ArmRow{ // a zone with an incident, in which most of the canary is
		in(row(Baseline, "b1", 10, 100), "a"), in(row(Baseline, "b2", 9, 900), "b"),
		in(row(Canary, "c1", 32, 300), "a"), in(row(Canary, "c2", 1, 100), "b"),
	})
	if b := s.Describe()[0].Budget; !near(float64(b.Attributable), 2) || b.Total != 33 {
		t.Errorf("%+v, want 2 of 33: 30 and 1 were to be expected", b)
	}
}

// The three folds of V2, whatever is tested.
func TestPublishedPosterior(t *testing.T) {
	folds := []foldCounts{{1, 10, 100, 9900}, {3, 11, 500, 9500}, {9, 20, 2500, 7500}}
	for _, null := range []Null{NullRatio, NullAffine, NullBernoulli} {
		p := accumulated(t, null, folds, 1).concurrent.posterior()
		if p == nil || !(math.Abs(float64(p.PBad)-.240) < 5e-4) || !(math.Abs(float64(p.ExpectedExcess)-.647) < 5e-4) ||
			p.Prior != (ReleasePrior{.1, .05}) {
			t.Errorf("%s: %+v, want P(bad) .240 and E[rho-1 | bad] .647", null, p)
		}
	}
}

// Where good events are counted, and where the tolerance lies beyond the grid, there is
// no posterior, and costs do not advise.
func TestNoPosterior(t *testing.T) {
	s := testState(t, withRate(.95), withCosts(1e9, 1))
	if !s.plan.Objectives[0].CountGood {
		t.Fatal("good events are not the rarer ones")
	}
	foldRows(t, s, 0, rows(990, 8550, 1000, 9000))
	if f := s.Describe()[0]; f.Posterior != nil || f.Cost.ReduceWeight || !math.IsNaN(float64(f.Cost.Waiting)) {
		t.Errorf("good events: %+v, %+v", f.Posterior, f.Cost)
	}
	s = testState(t, withSLO, withCosts(1e9, 1), func(in *PlanInput) {
		in.Policy.Objectives[0].Tolerance, in.Policy.Objectives[0].Margin = &Bound{40, .1}, &Bound{41, .5}
	})
	foldRows(t, s, 0, rows(50, 45, 1000, 9000))
	if f := s.Describe()[0]; !math.IsNaN(float64(f.Posterior.PBad)) || f.Cost.ReduceWeight {
		t.Errorf("a tolerance of 40 times: %+v, %+v", f.Posterior, f.Cost)
	}
}

// A fold beside an SLO and costs leaves nothing to collect.
func TestFoldWithBudgetAllocatesNothing(t *testing.T) {
	s := testState(t, withSLO, withCosts(1, 100))
	e := Evidence{Objective: "errors", Rows: rows(1, 9, 100, 900)}
	fold := func() {
		e.Fold, _ = s.Next(0)
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		s.Assess()
	}
	for range 40 {
		fold()
	}
	if got := testing.AllocsPerRun(200, fold); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
