package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func compared(with Comparison) func(*PlanInput) {
	return func(in *PlanInput) { in.Policy.Comparison = with }
}

// pastPhi is the dispersion of blocks of minutes against the hour before them.
func pastPhi(phi float64) func(*PlanInput) {
	return func(in *PlanInput) { in.Facts[0].History.PhiBefore = [3]float64{phi, phi, phi} }
}

// alone are the rows of a canary that took everything over; its pods carry no version.
func alone(x, n float64) []ArmRow {
	r := row(Canary, "c", x, n)
	r.Version = ""
	return []ArmRow{r}
}

// The hour before the deployment is the baseline: spread evenly over the folds, all
// of it is used once (statistics 7.2).
func TestTheHourBeforeIsTheBaseline(t *testing.T) {
	s := testState(t, compared(PreviousWindow), cadence60, pastPhi(1))
	r := s.objectives[0].acc.(*ratio)
	if r.concurrent != nil || r.hour != (foldCounts{xB: 60, nB: 12_000}) {
		t.Fatalf("baseline of a fold %+v", r.hour)
	}
	want, err := newTrial(s.plan, &s.plan.Objectives[0], [3]float64{1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		f, _ := s.Next(0)
		foldRows(t, s, 0, alone(70, 12_000))
		if err := want.fold(f, []cell{{foldCounts: foldCounts{70, 60, 12_000, 12_000}}}); err != nil {
			t.Fatal(err)
		}
		if got := r.exactHarm(); got != want.logHarm(false) {
			t.Fatalf("ln E_R %v, want %v", got, want.logHarm(false))
		}
	}
	if n := s.Assess()[0].N; n.BaselineBad != 3600 || n.BaselineExposure != 720_000 {
		t.Errorf("counts %+v, want those of the hour", n)
	}
}

// Harm against the time before rolls back and says so; nothing promotes.
func TestBeforeAndAfter(t *testing.T) {
	worse := testState(t, compared(PreviousWindow), cadence60, pastPhi(1.2))
	for range 5 {
		foldRows(t, worse, 0, alone(180, 12_000))
	}
	c, f := worse.Checks(), worse.Describe()[0]
	if c.Harm.State != Bad || c.Identity.State != Good || f.State != FindingBreached || f.Evidence != BeforeAfter || !strings.Contains(c.Harm.Reason, "of the time before") {
		t.Errorf("harm %+v, identity %+v, finding %+v", c.Harm, c.Identity, f)
	}
	healthy := testState(t, compared(PreviousWindow), cadence60, pastPhi(1.2))
	for range 60 {
		foldRows(t, healthy, 0, alone(60, 12_000))
	}
	c, f = healthy.Checks(), healthy.Describe()[0]
	if c.Safety.State != Undecided || c.Safety.Code != BeforeAfterOnly || f.State != FindingUndecided || f.EPromote != 1 {
		t.Errorf("safety %+v, finding %+v", c.Safety, f)
	}
	if c.Harm.State != Good || c.Coverage.State != Good || c.Identity.State != Good || c.Serving.State != NotRequired || c.Environment.State != NotRequired {
		t.Errorf("checks %+v", c)
	}
	if !math.IsNaN(float64(f.MinutesToPromote)) || math.IsNaN(float64(f.MinutesToDetectDouble)) {
		t.Errorf("minutes to promote %v, to detect %v", f.MinutesToPromote, f.MinutesToDetectDouble)
	}
}

// No baseline is expected, but the canary is; whom the baseline's cohort selects now
// is not compared with, and a wrong version is still one.
func TestChecksWithoutABaselineBeside(t *testing.T) {
	s := testState(t, compared(PreviousWindow), cadence60)
	for range 12 {
		foldRows(t, s, 0, nil)
	}
	if c := s.Checks().Coverage; c.State != Missing || c.Code != CanaryTelemetryMissing {
		t.Errorf("nothing heard: %+v", c)
	}
	if !s.Uncovered() {
		t.Error("a canary that was never heard of is not asked about")
	}
	s = testState(t, compared(PreviousWindow), cadence60)
	for range 12 {
		foldRows(t, s, 0, zones(alone(60, 12_000), []ArmRow{row(Baseline, "c", 60, 12_000)})) // one pod, no version: both cohorts select it
	}
	if c := s.Checks(); c.Coverage.State != Good || c.Identity.State != Good || s.Uncovered() {
		t.Errorf("coverage %+v, identity %+v", c.Coverage, c.Identity)
	}
	for range 3 {
		foldRows(t, s, 0, nil)
	}
	if c := s.Checks().Coverage; c.State != Stale || c.Code != CanaryTelemetryMissing {
		t.Errorf("silent canary: %+v", c)
	}
	s = testState(t, compared(PreviousWindow), cadence60)
	for range 12 {
		r := row(Canary, "c", 60, 12_000)
		r.Version = "1.4.9"
		foldRows(t, s, 0, []ArmRow{r})
	}
	if c := s.Checks().Identity; c.State != Bad || c.Code != IdentityMismatch {
		t.Errorf("the old version: %+v", c)
	}
}

// Without an hour before there is nothing to compare with, and that is said.
func TestNothingBefore(t *testing.T) {
	s := testState(t, compared(PreviousWindow), cadence60, func(in *PlanInput) { in.Facts[0].History = History{} })
	for range 12 {
		foldRows(t, s, 0, alone(6000, 12_000))
	}
	c := s.Checks()
	if c.Harm.State != Good || c.Safety.Code != BeforeAfterOnly || !strings.Contains(c.Safety.Reason, "nothing to compare with") {
		t.Errorf("harm %+v, safety %+v", c.Harm, c.Safety)
	}
}

// Both: the average of the two e-processes may roll back, the concurrent baseline
// alone may promote.
func TestBothComparisons(t *testing.T) {
	beside := func(in *PlanInput) { compared(Both)(in); cadence60(in); pastPhi(1)(in) }
	fold := func(xC, xB float64, folds int) *State {
		s := testState(t, beside)
		for range folds {
			foldRows(t, s, 0, rows(xC, xB, 6000, 6000))
		}
		return s
	}
	healthy := fold(30, 30, 60)
	if c, f := healthy.Checks(), healthy.Describe()[0]; c.Safety.State != Good || c.Harm.State != Good || f.Evidence != BesideBaseline {
		t.Errorf("healthy: %+v, %+v", c, f)
	}
	one := testState(t, cadence60)
	for range 60 {
		foldRows(t, one, 0, rows(30, 30, 6000, 6000))
	}
	if a, b := healthy.Assess()[0].EPromote, one.Assess()[0].EPromote; a != b {
		t.Errorf("safety %v with both, %v beside the baseline alone", a, b)
	}
	worse := fold(60, 30, 12)
	r := worse.objectives[0].acc.(*ratio)
	want := math.Log(.5*math.Exp(r.concurrent.logHarm(false)) + .5*math.Exp(r.before.logHarm(false)))
	if got := r.exactHarm(); !near(got, want) {
		t.Errorf("ln E_R %v, want the average %v", got, want)
	}
	if c := worse.Checks().Harm; c.State != Bad {
		t.Errorf("worse than both: %+v", c)
	}
	// Both arms are worse than before, the canary no more than the baseline: the
	// environment is to blame.
	shared := fold(150, 150, 30)
	if f := shared.Assess()[0]; f.State != FindingUndecided && f.State != FindingWithin || f.Evidence != BesideBaseline {
		t.Fatalf("shared: %+v", f)
	}
	if c := shared.Checks(); c.Harm.State != Good || c.Environment.State != Conflicting {
		t.Errorf("shared: harm %+v, environment %+v", c.Harm, c.Environment)
	}
}

func TestRestoringBeforeAndAfter(t *testing.T) {
	for _, with := range []Comparison{PreviousWindow, Both} {
		for _, c := range eachNull {
			p := testPlan(t, withRate(c.rate), c.change, compared(with), cadence60)
			sameAfterRestoring(t, p, func(rng *rand.Rand) []ArmRow { return someRows(rng, "", c.rate) })
		}
	}
	one, err := NewState(testPlan(t, compared(PreviousWindow)))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := one.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := RestoreState(testPlan(t, compared(Both)), snapshot); err == nil || !strings.Contains(err.Error(), "another plan") {
		t.Errorf("a checkpoint of another comparison: %v", err)
	}
}

// What became as much worse beside the canary as in it, is no news of the release, also
// where both still keep their SLO.
func TestBothIsNotFooledByWhatBothArmsShare(t *testing.T) {
	for _, with := range []func(*PlanInput){withSLO, func(*PlanInput) {}} {
		s := testState(t, compared(Both), cadence60, pastPhi(1.2), with)
		for range 20 {
			foldRows(t, s, 0, rows(18, 162, 1200, 10_800)) // 1.5 %, before it 0.5 %
		}
		wantCheck(t, "a shared incident", s.Checks().Harm, Good, "")
		s = testState(t, compared(Both), cadence60, pastPhi(1.2), with)
		for range 20 {
			foldRows(t, s, 0, rows(60, 162, 1200, 10_800))
		}
		wantCheck(t, "worse than the incident", s.Checks().Harm, Bad, HarmShown)
		s = testState(t, compared(Both), cadence60, pastPhi(1.2), with)
		for range 20 {
			foldRows(t, s, 0, rows(18, 54, 1200, 10_800))
		}
		wantCheck(t, "the canary alone", s.Checks().Harm, Bad, HarmShown)
	}
}
