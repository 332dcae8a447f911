package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func planFor(target float64, tolerance, margin *Bound, h History) (*PlannedObjective, error) {
	in := testInput()
	o := &in.Policy.Objectives[0]
	o.Target, o.Tolerance, o.Margin = target, tolerance, margin
	in.Facts[0].History = h
	p, err := NewPlan(in)
	if err != nil {
		return nil, err
	}
	return &p.Objectives[0], nil
}

func TestObjectiveWeights(t *testing.T) {
	for _, c := range []struct {
		roles []Role
		want  []float64
	}{
		{[]Role{Critical}, []float64{1}},
		{[]Role{Secondary}, []float64{1}},
		{[]Role{Critical, Secondary}, []float64{7. / 9, 2. / 9}},
		{[]Role{Critical, Secondary, Critical}, []float64{3.5 / 9, 2. / 9, 3.5 / 9}},
		{[]Role{Secondary, Advisory, Secondary}, []float64{.5, 0, .5}},
		{[]Role{Critical, Advisory}, []float64{1, 0}},
		{[]Role{Advisory, Advisory}, []float64{0, 0}},
		{nil, nil},
	} {
		var objectives []Objective
		for _, r := range c.roles {
			objectives = append(objectives, Objective{Role: r})
		}
		got := objectiveWeights(objectives)
		for i := range c.want {
			if !near(got[i], c.want[i]) {
				t.Errorf("%v: weights %v, want %v", c.roles, got, c.want)
			}
		}
	}
}

func TestRestartTimes(t *testing.T) {
	for _, c := range []struct {
		deadline int // minutes
		want     []int
	}{
		{5, nil},
		{10, nil}, // 10 minutes before the deadline is the start itself
		{11, []int{1}},
		{60, []int{10, 20, 30, 40, 50}},
		{65, []int{5, 15, 25, 35, 45, 55}},
		{80, []int{10, 20, 30, 40, 50, 60, 70}},
		{170, []int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160}},
		{171, []int{11, 31, 51, 71, 91, 111, 131, 151}}, // 17 would be too many: every 20
		{340, []int{20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 280, 300, 320}},
	} {
		var got []int
		for _, v := range restartTimes(testStart, time.Duration(c.deadline)*minute) {
			got = append(got, int(v.Sub(testStart)/minute))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("a deadline of %d min: restarts at %v, want %v", c.deadline, got, c.want)
		}
	}
}

func TestPlannedWeight(t *testing.T) {
	for _, c := range []struct {
		weights  []float64
		want     float64
		declared bool
	}{
		{nil, .1, false},
		{[]float64{0}, .1, false},
		{[]float64{1}, .1, false},
		{[]float64{.05}, .05, true},
		{[]float64{.1, .2, 0, 1}, .15, true},
	} {
		d := Deployment{}
		for _, w := range c.weights {
			d.Steps = append(d.Steps, Step{Weight: w})
		}
		if got, declared := plannedWeight(d); !near(got, c.want) || declared != c.declared || !near(PlannedWeight(d), c.want) {
			t.Errorf("%v: %v (%v), want %v (%v)", c.weights, got, declared, c.want, c.declared)
		}
	}
}

// The null hypothesis and the bounds that follow from SLO, history and what the
// user set (statistics 3.3, 11.4). The history has .5% errors; an SLO of 99% has
// a budget of 1%.
func TestNullAndBounds(t *testing.T) {
	h, none := knownHistory(), History{}
	more := h
	more.Bad++
	affine := Bound{1.05, .25}
	for _, c := range []struct {
		name              string
		target            float64
		tolerance, margin *Bound
		h                 History
		null              Null
		wantT, wantM      Bound
		rung              string
	}{
		{"no SLO", 0, nil, nil, h, NullRatio, Bound{1.05, 0}, Bound{1.25, 0}, RungRatio},
		{"no SLO, no history", 0, nil, nil, none, NullRatio, Bound{1.05, 0}, Bound{1.25, 0}, RungRatio},
		{"half the budget", .99, nil, nil, h, NullAffine, affine, Bound{1, .5}, RungHalfBudget},
		{"a bit more than half the budget", .99, nil, nil, more, NullRatio, Bound{1.05, 0}, Bound{1.25, 0}, RungRatio},
		{"SLO without history", .99, nil, nil, none, NullAffine, affine, Bound{1, .5}, RungHalfBudget},
		{"its own margin", .98, nil, &Bound{1.05, .3}, h, NullAffine, affine, Bound{1.05, .3}, RungExplicit},
		{"its own margin, above half the budget", .99, nil, &Bound{1.2, .3}, more, NullAffine, affine, Bound{1.2, .3}, RungExplicit},
		{"its own ratio", .98, nil, &Bound{1.4, 0}, h, NullRatio, Bound{1.05, 0}, Bound{1.4, 0}, RungExplicit},
		{"its own ratios", .98, &Bound{1.2, 0}, &Bound{1.4, 0}, h, NullRatio, Bound{1.2, 0}, Bound{1.4, 0}, RungExplicit},
		{"its own ratio, no SLO", 0, nil, &Bound{1.4, 0}, h, NullRatio, Bound{1.05, 0}, Bound{1.4, 0}, RungExplicit},
		{"its own tolerance", .98, &Bound{1.02, .3}, nil, h, NullAffine, Bound{1.02, .3}, Bound{1, .5}, RungHalfBudget},
		{"its own tolerance without a share", .98, &Bound{1.1, 0}, nil, h, NullAffine, Bound{1.1, 0}, Bound{1, .5}, RungHalfBudget},
		{"its own tolerance, no SLO", 0, &Bound{1.2, 0}, nil, h, NullRatio, Bound{1.2, 0}, Bound{1.25, 0}, RungRatio},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := planFor(c.target, c.tolerance, c.margin, c.h)
			if err != nil {
				t.Fatal(err)
			}
			if o.Null != c.null || o.ToleranceBound != c.wantT || o.MarginBound != c.wantM || o.Rung != c.rung {
				t.Errorf("%s, tolerance %v, margin %v (%s); want %s, %v, %v (%s)", o.Null, o.ToleranceBound, o.MarginBound, o.Rung, c.null, c.wantT, c.wantM, c.rung)
			}
		})
	}
}

func TestBaseRate(t *testing.T) {
	for _, c := range []struct {
		target float64
		h      History
		want   float64
	}{
		{.99, knownHistory(), .005}, // (43199.5 + 1/2) / 8.64e6
		{.99, History{}, .005},      // half the budget
		{0, History{}, .005},        // as if the budget were 1%
		{.999, History{}, .0005},
		{.999, History{Exposure: 1000}, .0005},
	} {
		o, err := planFor(c.target, nil, nil, c.h)
		if err != nil {
			t.Fatal(err)
		}
		if !near(o.BaseRate, c.want) {
			t.Errorf("target %v: base rate %v, want %v", c.target, o.BaseRate, c.want)
		}
	}
}

// An uncalibrated history lends its rate, not its dispersion.
func TestUncalibratedHistory(t *testing.T) {
	h := knownHistory()
	h.Calibrated, h.Phi0 = false, [3]float64{1, 1, 1}
	in := testInput()
	in.Facts[0].History = h
	p, err := NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	o := p.Objectives[0]
	if o.History.Phi0 != [3]float64{3, 3, 3} || o.History.PlanPhi != 3 || p.Calibrated || !near(o.BaseRate, .005) {
		t.Errorf("phi %v (%v), calibrated %v, rate %v", o.History.Phi0, o.History.PlanPhi, p.Calibrated, o.BaseRate)
	}
	if p := testPlan(t, func(in *PlanInput) { in.Policy.Objectives, in.Facts = nil, nil }); p.Calibrated {
		t.Error("a plan without objectives is calibrated")
	}
	in.Facts[0].History.Calibrated, in.Facts[0].History.Phi0 = true, [3]float64{1, 2.5, 1.5}
	if p, _ = NewPlan(in); p.Objectives[0].History.PlanPhi != 2.5 || !p.Calibrated {
		t.Errorf("the largest phi plans: %v", p.Objectives[0].History.PlanPhi)
	}
}

// V18 of statistics 14: 300 base events a minute, a tenth of the traffic, 25%:
// 5.600 min. And (12) for x2 at 2%, by hand.
func TestForecastOfARatio(t *testing.T) {
	p := testPlan(t, func(in *PlanInput) { in.Facts[0].History.HourTotal = 60 * 60_000 })
	o := p.Objectives[0]
	if math.Abs(float64(o.MinutesToPromote)-5.6) > .0005 {
		t.Errorf("minutes to promote %v, want 5.600", o.MinutesToPromote)
	}
	q := func(rho float64) float64 { return rho * .1 / (1 + (rho-1)*.1) }
	kl := func(a, b float64) float64 { return a*math.Log(a/b) + (1-a)*math.Log((1-a)/(1-b)) }
	if want := (math.Log(100) + 2.5) / (300 * 1.1 * kl(q(2), q(1.05))); !near(float64(o.MinutesToDetectDouble), want) {
		t.Errorf("minutes to detect x2 %v, want %v", o.MinutesToDetectDouble, want)
	}
	two := testPlan(t, func(in *PlanInput) {
		in.Facts[0].History.HourTotal = 60 * 60_000
		side := in.Policy.Objectives[0]
		side.Name, side.Role = "side", Advisory
		other := in.Policy.Objectives[0]
		other.Name = "other"
		in.Policy.Objectives = append(in.Policy.Objectives, side, other)
		in.Facts = append(in.Facts, in.Facts[0], in.Facts[0])
	})
	if want := (math.Log(200) + 2.5) / (300 * 1.1 * kl(q(2), q(1.05))); !near(float64(two.Objectives[0].MinutesToDetectDouble), want) {
		t.Errorf("with half of the weight: %v, want %v", two.Objectives[0].MinutesToDetectDouble, want)
	}
	if d := float64(two.Objectives[1].MinutesToDetectDouble); !math.IsNaN(d) {
		t.Errorf("an advisory objective is found in %v minutes, it never rolls back", d)
	}
}

// minutesToSafety is (12a) with the best bet found by trying many.
func minutesToSafety(phi, nC, nB, pC, pB, rho0, delta float64) float64 {
	best := 0.0
	for i := 1; i < 200_000; i++ {
		lam := -float64(i) / 200_000
		best = max(best, nC*pC*math.Log1p(lam)+nB*pB*math.Log1p(-lam*rho0*nC/nB)-lam*nC*delta)
	}
	return phi * (math.Log(20) + 1) / best
}

// The rung is the narrowest margin that 70% of the deadline suffices for.
func TestRungs(t *testing.T) {
	const target, nC, nB, p = .98, 1200, 10800, .005 // a tenth of 12,000 a minute
	half := minutesToSafety(1, nC, nB, p, p, 1, .5*.02)
	keeps := minutesToSafety(1, nC, nB, p, p, 1, .02-.005)
	if !(keeps < half && half < 1) {
		t.Fatalf("%v and %v minutes", half, keeps)
	}
	for _, c := range []struct {
		slower       float64 // how much less traffic
		rung         string
		margin       Bound
		minutes      float64
		underpowered bool
	}{
		{.99 * 42 / half, RungHalfBudget, Bound{1, .5}, .99 * 42, false},
		{1.01 * 42 / half, RungKeepsSLO, Bound{1, .75}, 1.01 * 42 * keeps / half, false},
		{.99 * 42 / keeps, RungKeepsSLO, Bound{1, .75}, .99 * 42, false},
		{1.01 * 42 / keeps, RungKeepsSLO, Bound{1, .75}, 1.01 * 42, true},
	} {
		h := knownHistory()
		h.HourTotal /= c.slower
		o, err := planFor(target, nil, nil, h)
		if err != nil {
			t.Fatal(err)
		}
		if o.Rung != c.rung || !near(o.MarginBound.Budget, c.margin.Budget) || o.MarginBound.Ratio != 1 || o.Underpowered != c.underpowered {
			t.Errorf("at %.4g of the traffic: %s, margin %v, underpowered %v; want %s, %v, %v", 1/c.slower, o.Rung, o.MarginBound, o.Underpowered, c.rung, c.margin, c.underpowered)
		}
		if got := float64(o.MinutesToPromote); math.Abs(got/c.minutes-1) > 1e-4 {
			t.Errorf("at %.4g of the traffic: %v minutes, want %v", 1/c.slower, got, c.minutes)
		}
		if w := float64(o.WeightNeeded); math.IsNaN(w) == c.underpowered {
			t.Errorf("at %.4g of the traffic: weight needed %v", 1/c.slower, w)
		}
	}
}

// An explicit margin is never widened.
func TestExplicitMarginIsNotWidened(t *testing.T) {
	h := knownHistory()
	h.HourTotal /= 1000
	o, err := planFor(.98, nil, &Bound{1.05, .3}, h)
	if err != nil {
		t.Fatal(err)
	}
	if o.MarginBound != (Bound{1.05, .3}) || o.Rung != RungExplicit || !o.Underpowered {
		t.Errorf("margin %v (%s), underpowered %v", o.MarginBound, o.Rung, o.Underpowered)
	}
}

// Without traffic before there is no forecast: the narrow rung, and not called
// underpowered.
func TestNoForecastWithoutTraffic(t *testing.T) {
	for _, target := range []float64{0, .98} {
		o, err := planFor(target, nil, nil, History{})
		if err != nil {
			t.Fatal(err)
		}
		if !math.IsNaN(float64(o.MinutesToPromote)) || !math.IsNaN(float64(o.MinutesToDetectDouble)) || !math.IsNaN(float64(o.WeightNeeded)) || o.Underpowered || o.Rung == RungKeepsSLO {
			t.Errorf("target %v: %+v", target, o)
		}
	}
}

func TestWeightNeeded(t *testing.T) {
	// (12) at phi 1, 56 minutes at a tenth; 42 are there. 15% needs 40.
	h := knownHistory()
	h.HourTotal /= 2
	o, err := planFor(0, nil, nil, h)
	if err != nil {
		t.Fatal(err)
	}
	if o.WeightNeeded != .15 || !o.Underpowered {
		t.Errorf("weight needed %v, underpowered %v", o.WeightNeeded, o.Underpowered)
	}
	h.HourTotal /= 100 // no weight would do
	if o, _ = planFor(0, nil, nil, h); !math.IsNaN(float64(o.WeightNeeded)) {
		t.Errorf("weight needed %v, want none", o.WeightNeeded)
	}
}

func TestCadenceOfAPlan(t *testing.T) {
	for _, c := range []struct{ spacing, cadence, lateness time.Duration }{
		{0, 60 * time.Second, 130 * time.Second},
		{15003 * time.Millisecond, 15 * time.Second, 40 * time.Second},
		{17 * time.Second, 20 * time.Second, 50 * time.Second},
	} {
		p := testPlan(t, func(in *PlanInput) { in.Facts[0].Spacing = c.spacing })
		if o := p.Objectives[0]; o.Cadence.D() != c.cadence || o.Lateness.D() != c.lateness {
			t.Errorf("spacing %v: cadence %v, lateness %v", c.spacing, o.Cadence, o.Lateness)
		}
	}
}

// The event may set warm-up and duration; the deadline counts from the start.
func TestWindowOfTheEvent(t *testing.T) {
	p := testPlan(t, func(in *PlanInput) {
		in.Deployment.Warmup, in.Deployment.MaxDuration = Duration(time.Minute), Duration(30*time.Minute)
	})
	if p.Window.Warmup.D() != time.Minute || p.Window.Deadline.D() != 30*time.Minute || p.Window.MinBake.D() != 10*time.Minute || len(p.Restarts) != 2 {
		t.Errorf("%+v, restarts %v", p.Window, p.Restarts)
	}
	if !p.Deadline().Equal(at(30 * 60)) {
		t.Errorf("deadline %v", p.Deadline())
	}
	if w := testPlan(t).Window; w.Warmup.D() != 3*time.Minute || w.Deadline.D() != time.Hour {
		t.Errorf("%+v", w)
	}
}

func TestRefusedPlan(t *testing.T) {
	p := testPlan(t, func(in *PlanInput) {
		in.Refused, in.RefusedReason, in.Facts = NoBaseline, "checkout: no other version was heard of", nil
	})
	if p.Refused != NoBaseline || p.RefusedReason == "" || len(p.Objectives) != 0 || p.Validation == "" {
		t.Errorf("%+v", p)
	}
	if _, err := NewState(p); err != nil {
		t.Errorf("a refused plan has a state: %v", err)
	}
}

// Every fault is reported, and no plan is made.
func TestNewPlanReportsEveryFault(t *testing.T) {
	in := testInput()
	in.Policy.AlphaRollback, in.Policy.AlphaPromote, in.Policy.Window.Deadline = 0, .5, 0
	in.Policy.Objectives[0].Role = "vital"
	in.Policy.Objectives[0].Signal.Source = ""
	o := Objective{Name: "errors", Role: Critical, Signal: ratioSignal("x"), Margin: &Bound{Ratio: 1.05}}
	in.Policy.Objectives = append(in.Policy.Objectives, o)
	in.Facts = append(in.Facts, Facts{})
	p, err := NewPlan(in)
	if err == nil || p != nil {
		t.Fatalf("plan %v, error %v", p, err)
	}
	for _, part := range []string{"alphaRollback 0", "alphaPromote 0.5", "deadline", `role "vital"`, "no source", `two objectives are named "errors"`, "must lie below the margin"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	in = testInput()
	in.Facts = nil
	if _, err := NewPlan(in); err == nil {
		t.Error("no facts: no error")
	}
	for _, m := range []Bound{{Ratio: 40}, {Ratio: math.Inf(1)}} { // outside the grid
		if _, err := planFor(0, nil, &m, knownHistory()); err == nil {
			t.Errorf("a margin of %v: no error", m)
		}
	}
}

func TestObjectiveValidate(t *testing.T) {
	for _, c := range []struct {
		name              string
		target            float64
		tolerance, margin *Bound
		ok                bool
	}{
		{"defaults, no SLO", 0, nil, nil, true},
		{"defaults with SLO", .99, nil, nil, true},
		{"a target of 1", 1, nil, nil, false},
		{"a negative target", -.1, nil, nil, false},
		{"no number", math.NaN(), nil, nil, false},
		{"a share of no budget", 0, nil, &Bound{1, .5}, false},
		{"a tolerance of no budget", 0, &Bound{1.05, .1}, &Bound{1.5, 0}, false},
		{"tolerance below 1", 0, &Bound{.99, 0}, nil, false},
		{"tolerance of 1", 0, &Bound{1, 0}, nil, true},
		{"a negative share", .99, &Bound{1, -.1}, nil, false},
		{"tolerance no number", .99, &Bound{math.NaN(), 0}, nil, false},
		{"margin at the tolerance", 0, nil, &Bound{1.05, 0}, false},
		{"margin just above the tolerance", 0, nil, &Bound{1.06, 0}, true},
		{"margin no number", 0, nil, &Bound{math.NaN(), 0}, false},
		{"half of the budget, said", .99, nil, &Bound{1, .5}, true}, // they meet at 5 budgets
		{"a little less crosses below 5 budgets", .99, nil, &Bound{1, .49}, false},
		{"with a ratio it does not", .99, nil, &Bound{1.01, .45}, true},
		{"a third, at the same ratio", .99, nil, &Bound{1.05, .3}, true},
		{"the same share", .99, nil, &Bound{2, .25}, false}, // at p_B = 0 both are a quarter
		{"a ratio for an SLO", .99, nil, &Bound{1.25, 0}, true},
		{"tolerance at the default ratio", 0, &Bound{1.25, 0}, nil, false},
		{"tolerance below the default ratio", 0, &Bound{1.24, 0}, nil, true},
		{"tolerance above the default margin", .99, &Bound{1.05, .6}, nil, false},
		{"tolerance ratio above the default margin", .99, &Bound{1.2, 0}, nil, false},
		{"an affine tolerance for a ratio", .99, &Bound{1.05, .25}, &Bound{1.25, 0}, false},
	} {
		o := Objective{Name: "errors", Role: Critical, Signal: ratioSignal("x"), Target: c.target, Tolerance: c.tolerance, Margin: c.margin}
		if err := o.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: error %v, want none: %v", c.name, err, c.ok)
		}
	}
}

// Whatever is accepted has a tolerance below its margin wherever it is judged.
func TestToleranceLiesBelowTheMargin(t *testing.T) {
	n := 0
	for _, target := range []float64{0, .98, .99, .9999} {
		for _, rate := range []float64{0, 1e-5, .004, .006, .02, .3} {
			for _, tol := range []*Bound{nil, {1, 0}, {1.1, 0}, {1.05, .25}, {1.2, .1}, {1, .45}, {1.24, 0}} {
				for _, margin := range []*Bound{nil, {1.25, 0}, {2, 0}, {1, .5}, {1.3, .5}, {.5, 4}} {
					h := knownHistory()
					h.Bad = rate * h.Exposure
					o, err := planFor(target, tol, margin, h)
					if err != nil {
						continue
					}
					n++
					for p := 0.; p < 5; p += .25 { // in budgets; as a ratio any scale will do
						lower := o.ToleranceBound.Ratio*p + o.ToleranceBound.Budget
						upper := o.MarginBound.Ratio*p + o.MarginBound.Budget
						if lower > upper+1e-9 || p == 1 && !(lower < upper) {
							t.Fatalf("target %v, rate %v, tolerance %v, margin %v: %v is not below %v at %v budgets", target, rate, tol, margin, o.ToleranceBound, o.MarginBound, p)
						}
					}
				}
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d plans were made", n)
	}
}

func TestSignalValidate(t *testing.T) {
	for name, change := range map[string]func(*Signal){
		"shape":         func(s *Signal) { s.Shape = "level" },
		"no source":     func(s *Signal) { s.Source = "" },
		"no total":      func(s *Signal) { s.Total = nil },
		"unnamed total": func(s *Signal) { s.Total.Metric = "" },
		"bad and good":  func(s *Signal) { s.Good = s.Bad },
		"neither":       func(s *Signal) { s.Bad = nil },
	} {
		s := ratioSignal("x")
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if change(&s); s.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
