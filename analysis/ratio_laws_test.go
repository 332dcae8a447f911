package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// worlds are all nulls, plain, in strata, and against the time before.
func eachWorld(t *testing.T, each func(name string, s *State)) {
	t.Helper()
	for _, null := range eachNull {
		for name, change := range map[string]func(*PlanInput){
			"plain": func(*PlanInput) {}, "strata": stratified, "before": compared(PreviousWindow), "both": compared(Both),
		} {
			s := testState(t, withRate(null.rate), null.change, change, func(in *PlanInput) { in.Policy.Window.Deadline = Duration(30 * minute) })
			each(null.name+", "+name, s)
		}
	}
}

// Whatever can be counted gives finite numbers, whatever cannot is an error that
// changes nothing.
func TestExtremeCounts(t *testing.T) {
	sizes := []float64{0, 1, 2, .5, 1e-9, 1e3, 1e9, 4e14}
	impossible := []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), 2e15}
	eachWorld(t, func(name string, s *State) {
		rng := rand.New(rand.NewPCG(31, 1))
		pick := func(from []float64) float64 { return from[rng.IntN(len(from))] }
		for k := range 60 {
			var fold []ArmRow
			for _, zone := range []string{"a", "b"} {
				nC, nB := pick(sizes), pick(sizes)
				fold = append(fold, inZone(zone, nC*pick([]float64{0, .01, .5, 1}), nB*pick([]float64{0, .01, .5, 1}), nC, nB)...)
			}
			fold = zones(fold)
			before, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			f, _ := s.Next(0)
			wrong := slices.Clone(fold)
			wrong[rng.IntN(len(wrong))].Bad = pick(impossible)
			if err := s.Fold(&Evidence{Objective: "errors", Fold: f, Rows: wrong}); err == nil {
				t.Fatalf("%s, fold %d: %+v was taken", name, k, wrong)
			}
			if after, err := s.Snapshot(); err != nil || string(after) != string(before) {
				t.Fatalf("%s, fold %d: what was refused changed the state (%v)", name, k, err)
			}
			foldRows(t, s, 0, fold)
			d := s.Describe()[0]
			for _, v := range []Figure{d.ERollback, d.EPromote, d.Phi, Figure(s.Evidence())} {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) || v < 0 {
					t.Fatalf("%s, fold %d: %+v", name, k, d)
				}
			}
			if c := s.Checks(); c.Harm.State == Errored {
				t.Fatalf("%s, fold %d: %+v", name, k, c.Harm)
			}
		}
	})
}

// An outcome that history never saw, and one that it always saw, can be planned.
func TestHistoriesWithoutAnOutcome(t *testing.T) {
	for _, bad := range []float64{0, 1} {
		for _, slo := range []func(*PlanInput){func(*PlanInput) {}, withSLO} {
			s := testState(t, func(in *PlanInput) {
				h := &in.Facts[0].History
				h.Bad, h.BadHour = bad*h.Exposure, bad*h.HourTotal
			}, slo)
			for range 5 {
				foldRows(t, s, 0, rows(50*bad, 450*bad, 50, 450))
			}
			if d := s.Describe()[0]; !(d.ERollback < 1.5) || !(d.Low <= d.High) {
				t.Errorf("bad %v: %+v", bad, d)
			}
		}
	}
}

// Without any event a ratio can show nothing, however long one looks; a margin with a
// share of the budget is shown by 3.3 phi/delta requests (statistics 3.6).
func TestNoEventsAtAll(t *testing.T) {
	ratio, affine := testState(t), testState(t, withSLO, withRate(1e-7))
	delta := .5 * .02
	phi := trialOf(affine).phi()
	need := 3.3 * phi / delta
	shownAt := 0.0
	for k := range 60 {
		foldRows(t, ratio, 0, rows(0, 0, 10, 90))
		foldRows(t, affine, 0, rows(0, 0, 10, 90))
		if f := affine.Assess()[0]; f.State == FindingWithin && shownAt == 0 {
			shownAt = 10 * float64(k+1)
		}
	}
	if f := ratio.Assess()[0]; !near(float64(f.ERollback), 1) || !near(float64(f.EPromote), 1) || f.State != FindingUndecided {
		t.Errorf("ratio: %+v", f)
	}
	if shownAt < .7*need || shownAt > 1.3*need {
		t.Errorf("shown safe after %v canary requests, want about %.0f", shownAt, need)
	}
}

// The bound that saves evaluating restarts is never below what they say, and no
// finding ever rests on it: at 1/alpha_hold and above the evidence is exact.
func TestRoughEvidenceIsAnUpperBound(t *testing.T) {
	for _, null := range eachNull {
		s := testState(t, withRate(null.rate), null.change, declared(.1))
		acc := s.objectives[0].acc.(*ratio)
		rng := rand.New(rand.NewPCG(32, 1))
		roughly, exactly := 0, 0
		for k := range 700 {
			worse := 1.0
			if k > 400 {
				worse = 1 + .1*float64(k%3)
			}
			bad := null.rate * worse
			if null.rate > .5 {
				bad = 1 - (1-null.rate)/worse
			}
			x := math.Floor(100 * bad * (.8 + .4*rng.Float64()*min(1, (1-bad)/bad)))
			if null.rate < .1 && rng.IntN(2) == 0 {
				x = float64(rng.IntN(3))
			}
			foldRows(t, s, 0, rows(min(100, x), math.Floor(900*null.rate), 100, 900))
			e, want := s.objectives[0].last, acc.exactHarm()
			switch {
			case e.rough && (e.logHarm < want-1e-9 || e.logHarm >= math.Log(10)):
				t.Fatalf("%s, fold %d: ln E_R at most %v, it is %v", null.name, k, e.logHarm, want)
			case !e.rough && !near(e.logHarm, want):
				t.Fatalf("%s, fold %d: ln E_R %v, it is %v", null.name, k, e.logHarm, want)
			case e.rough:
				roughly++
			default:
				exactly++
			}
			if d := s.Describe()[0]; d.ERollback != figureOf(want) {
				t.Fatalf("%s, fold %d: described %v, want %v", null.name, k, d.ERollback, figureOf(want))
			}
		}
		if roughly < 50 {
			t.Errorf("%s: only %d of %d folds saved the restarts", null.name, roughly, roughly+exactly)
		}
	}
}

// Over how many pods what a fold counts is spread does not matter.
func TestSplittingPodsChangesNothing(t *testing.T) {
	eachWorld(t, func(name string, whole *State) {
		split, err := NewState(whole.plan)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(34, 1))
		for range 60 {
			fold := zones(someRows(rng, "a", whole.plan.Objectives[0].BaseRate), someRows(rng, "b", whole.plan.Objectives[0].BaseRate))
			var parts []ArmRow
			for _, r := range fold {
				for i := range 4 { // of a quarter each: exact in a float64
					part := r
					part.Pod, part.Bad, part.Exposure = fmt.Sprint(r.Pod, i), r.Bad/4, r.Exposure/4
					parts = append(parts, part)
				}
			}
			foldRows(t, whole, 0, fold)
			foldRows(t, split, 0, parts)
			a, b := whole.Describe()[0], split.Describe()[0]
			if a.ERollback != b.ERollback || a.EPromote != b.EPromote || a.Phi != b.Phi || a.N != b.N {
				t.Fatalf("%s: %+v\n%+v", name, a, b)
			}
		}
	})
}
