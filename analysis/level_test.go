package analysis_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	baseline "github.com/release-assay/assay/analysis/history"
)

// levelRun folds rows of one level objective, fold by fold.
type levelRun struct {
	tb testing.TB
	s  *analysis.State
}

func runLevel(tb testing.TB, in analysis.PlanInput) *levelRun {
	tb.Helper()
	p, err := analysis.NewPlan(in)
	if err != nil {
		tb.Fatal(err)
	}
	return &levelRun{tb, newState(tb, p)}
}

// fold takes in one level for each arm; NaN is a scrape that is missing.
func (r *levelRun) fold(canary, base float64) {
	r.tb.Helper()
	if err := r.tryFold(canary, base); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *levelRun) tryFold(canary, base float64) error {
	e := analysis.Evidence{Objective: "cpu"}
	e.Fold, _ = r.s.Next(0)
	for _, a := range []struct {
		arm   analysis.Arm
		level float64
	}{{analysis.Baseline, base}, {analysis.Canary, canary}} {
		row := analysis.ArmRow{Arm: a.arm, Pod: a.arm.String(), PodStart: deployedAt, Level: a.level, Received: 1, Fresh: true}
		if math.IsNaN(a.level) {
			row.Level, row.Received = 0, 0
		}
		e.Rows = append(e.Rows, row)
	}
	if err := r.s.Fold(&e); err != nil {
		return err
	}
	r.s.Assess()
	return nil
}

func (r *levelRun) finding() analysis.Finding { return r.s.Describe()[0] }

// quiet is a history of two pods with little noise, learned for o.
func quiet(o analysis.Objective, level func(rng *rand.Rand) float64) analysis.History {
	rng := rand.New(rand.NewPCG(11, 12))
	var sums []analysis.MinuteSum
	for m := 300; m > 0; m-- {
		for pod := range 2 {
			sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(-time.Duration(m) * 15 * time.Second), Pod: fmt.Sprint(pod), Level: level(rng)})
		}
	}
	return baseline.LearnLevel(sums, deployedAt, 15*time.Second, .5, "seed", o)
}

func noisy(mean, sd float64) func(*rand.Rand) float64 {
	return func(rng *rand.Rand) float64 { return mean * math.Exp(sd*rng.NormFloat64()) }
}

// levelInput is the plan input of settings G for one objective with a history.
func levelInput(change func(*analysis.Objective), level func(*rand.Rand) float64) analysis.PlanInput {
	w := settingsG
	w.target = change
	h := analysis.History{}
	if level != nil {
		h = quiet(w.objective(), level)
	}
	return w.input(h)
}

func shareOf(unit string, better analysis.Better, target float64, acceptWeak bool) func(*analysis.Objective) {
	return func(o *analysis.Objective) {
		o.Signal.Unit, o.Signal.Better, o.Target, o.AcceptWeak = unit, better, target, acceptWeak
	}
}

// The first row after the deployment has no neighbour, and fewer than 8 rows say nothing.
func TestLevelNeedsEightRows(t *testing.T) {
	r := runLevel(t, levelInput(nil, noisy(100, .02)))
	for i := range 8 {
		f := r.finding()
		if f.ERollback != 1 || f.EPromote != 1 {
			t.Fatalf("after %d rows: E %v and %v, want 1", i, f.ERollback, f.EPromote)
		}
		r.fold(200, 100)
	}
	if f := r.finding(); !(f.ERollback > 100) || f.EffectKind != "ratio" || math.Abs(float64(f.Effect)-2) > 1e-9 || !(f.Low > 1.5 && f.High < 2.7) {
		t.Errorf("8 rows of a doubled level: %+v", f)
	}
}

// A scrape that is missing in one arm drops the row, and the next has no neighbour:
// what was in it does not matter.
func TestLevelMissingScrape(t *testing.T) {
	run := func(while float64) *levelRun {
		r := runLevel(t, levelInput(nil, noisy(100, .02)))
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range 30 {
			base := 100 * math.Exp(.02*rng.NormFloat64())
			if i == 10 {
				r.fold(while, math.NaN())
				continue
			}
			r.fold(100, base)
		}
		return r
	}
	a, b := run(100), run(1e6)
	if fa, fb := a.finding(), b.finding(); fa.ERollback != fb.ERollback || fa.EPromote != fb.EPromote || fa.N.Folds != 29 {
		t.Errorf("with a dropped row: %v %v and %v %v of %d rows", fa.ERollback, fa.EPromote, fb.ERollback, fb.EPromote, fa.N.Folds)
	}
}

// The unit does not matter on the logarithmic scale.
func TestLevelUnitScaling(t *testing.T) {
	var want analysis.Finding
	for _, unit := range []float64{1, 1e-9, 1e-3, 7, 1e9} {
		r := runLevel(t, levelInput(nil, func(rng *rand.Rand) float64 { return unit * noisy(100, .05)(rng) }))
		rng := rand.New(rand.NewPCG(2, 2))
		for range 40 {
			r.fold(unit*110*math.Exp(.05*rng.NormFloat64()), unit*100*math.Exp(.05*rng.NormFloat64()))
		}
		got := r.finding()
		if unit == 1 {
			want = got
		}
		for _, v := range [][2]analysis.Figure{{got.ERollback, want.ERollback}, {got.EPromote, want.EPromote}, {got.Effect, want.Effect}, {got.High, want.High}} {
			if math.Abs(float64(v[0]/v[1])-1) > 1e-6 {
				t.Errorf("unit %g: %v, want %v", unit, got, want)
			}
		}
		if got.State != want.State {
			t.Errorf("unit %g: %s, want %s", unit, got.State, want.State)
		}
	}
}

// Where more is better the reciprocal level is judged alike.
func TestLevelBetterHigher(t *testing.T) {
	higher := func(o *analysis.Objective) { o.Signal.Better = analysis.BetterHigher }
	a := runLevel(t, levelInput(nil, noisy(100, .05)))
	b := runLevel(t, levelInput(higher, func(rng *rand.Rand) float64 { return 1e4 / noisy(100, .05)(rng) }))
	rng := rand.New(rand.NewPCG(3, 3))
	for range 40 {
		canary, base := 150*math.Exp(.05*rng.NormFloat64()), 100*math.Exp(.05*rng.NormFloat64())
		a.fold(canary, base)
		b.fold(1e4/canary, 1e4/base)
	}
	fa, fb := a.finding(), b.finding()
	if fa.State != analysis.FindingBreached || fb.State != analysis.FindingBreached {
		t.Fatalf("states %s and %s", fa.State, fb.State)
	}
	for _, v := range [][2]analysis.Figure{{fa.Effect, 1 / fb.Effect}, {fa.Low, 1 / fb.High}, {fa.Tolerance, 1 / fb.Tolerance}, {fa.Margin, 1 / fb.Margin}} {
		if math.Abs(float64(v[0]/v[1])-1) > 1e-3 {
			t.Errorf("mirrored: %v and %v", fa, fb)
		}
	}
}

// A success rate that falls from 99.9 % to 85 % is a small ratio and a disaster: a
// gauge of shares is held against the error budget, and promotes only if asked to.
func TestLevelOfShares(t *testing.T) {
	for _, c := range []struct {
		name             string
		change           func(*analysis.Objective)
		base, canary     float64
		state            analysis.FindingState
		safety           analysis.Code
		tolerance, scale float64
	}{
		{"success falls", shareOf("1", analysis.BetterHigher, .99, true), .999, .85, analysis.FindingBreached, analysis.Collecting, .0025, 1},
		{"success falls, percent", shareOf("%", analysis.BetterHigher, .99, true), 99.9, 85, analysis.FindingBreached, analysis.Collecting, .0025, 100},
		{"errors rise", shareOf("1", analysis.BetterLower, .99, false), .001, .15, analysis.FindingBreached, analysis.WeakEvidence, .0025, 1},
		{"healthy, weak", shareOf("1", analysis.BetterHigher, .99, false), .999, .999, analysis.FindingWithin, analysis.WeakEvidence, .0025, 1},
		{"healthy, weak accepted", shareOf("1", analysis.BetterHigher, .99, true), .999, .999, analysis.FindingWithin, analysis.AllSafe, .0025, 1},
	} {
		sd := .0003 * c.scale
		r := runLevel(t, levelInput(c.change, func(rng *rand.Rand) float64 { return c.base + sd*rng.NormFloat64() }))
		rng := rand.New(rand.NewPCG(4, 4))
		for range 40 {
			r.fold(c.canary+sd*rng.NormFloat64(), c.base+sd*rng.NormFloat64())
		}
		f, safety := r.finding(), r.s.Checks().Safety
		if f.State != c.state || f.Strength != "weak" || f.EffectKind != "difference" || math.Abs(float64(f.Tolerance)-c.tolerance) > 1e-12 {
			t.Errorf("%s: %+v", c.name, f)
		}
		if safety.Code != c.safety || (safety.State == analysis.Good) != (c.safety == analysis.AllSafe) {
			t.Errorf("%s: safety %+v, want %s", c.name, safety, c.safety)
		}
	}
}

func TestLevelRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*analysis.Objective)
		want   string
	}{
		{"share without a target", shareOf("%", analysis.BetterHigher, 0, false), "give counts or a target"},
		{"target without a share", shareOf("s", analysis.BetterLower, .99, false), "must be a share"},
		{"relative bounds of a share", func(o *analysis.Objective) {
			shareOf("1", analysis.BetterHigher, .99, false)(o)
			o.Tolerance, o.Margin = &analysis.Bound{Ratio: 1.05}, &analysis.Bound{Ratio: 1.2}
		}, "held against its error budget"},
		{"leak with a target", func(o *analysis.Objective) { o.Target, o.Leak = .99, &analysis.Leak{} }, "a leak has no target"},
		{"leak with a negative limit", func(o *analysis.Objective) { o.Leak = &analysis.Leak{Limit: -1} }, "must be positive"},
	} {
		if _, err := analysis.NewPlan(levelInput(c.change, nil)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A critical level whose rows come too slowly is told at once, with what would do.
func TestLevelTooSlow(t *testing.T) {
	window := analysis.Window{Warmup: analysis.Duration(3 * time.Minute), Deadline: analysis.Duration(10 * time.Minute)}
	if err := window.TooSlow(time.Minute); err == nil || !strings.Contains(err.Error(), "30s would do") {
		t.Errorf("60-s rows in a window of 10 minutes: %v", err)
	}
	if err := window.TooSlow(30 * time.Second); err != nil {
		t.Errorf("30-s rows in a window of 10 minutes: %v", err)
	}
	window.Warmup = analysis.Duration(8 * time.Minute)
	if err := window.TooSlow(5 * time.Second); err == nil || !strings.Contains(err.Error(), "no scrape interval would do") {
		t.Errorf("a warm-up as long as the window: %v", err)
	}
	in := levelInput(nil, nil)
	in.Facts[0].Spacing = time.Minute
	in.Policy.Window.Warmup, in.Policy.Window.Deadline = analysis.Duration(3*time.Minute), analysis.Duration(10*time.Minute)
	p, err := analysis.NewPlan(in)
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "cpu: it cannot be decided") {
		t.Errorf("plan: %v, warnings %q", err, p.Warnings)
	}
	if got := analysis.LevelCadence(15*time.Second, 0); got != time.Minute {
		t.Errorf("with history of minutes a row is %v, want a minute", got)
	}
	if got := analysis.LevelCadence(15*time.Second, 15*time.Second); got != 15*time.Second {
		t.Errorf("with history at 15 s a row is %v", got)
	}
}

func TestLevelNeedsPods(t *testing.T) {
	single := settingsG.input(quietSingle())
	differ := levelInput(nil, nil)
	var sums []analysis.MinuteSum
	rng := rand.New(rand.NewPCG(8, 8))
	for m := 300; m > 0; m-- {
		for pod := range 10 {
			sums = append(sums, analysis.MinuteSum{
				Minute: deployedAt.Add(-time.Duration(m) * 15 * time.Second), Pod: fmt.Sprint(pod),
				Level: 100 * math.Exp(.25*float64(pod-5)/3+.02*rng.NormFloat64()),
			})
		}
	}
	differ.Facts[0].History = baseline.LearnLevel(sums, deployedAt, 15*time.Second, .5, "seed", settingsG.objective())
	for _, c := range []struct {
		name string
		in   analysis.PlanInput
		want analysis.Code
		says string
	}{
		{"no history", levelInput(nil, nil), analysis.NeedsHistory, "cannot be shown safe"},
		{"one pod before", single, analysis.NeedsPods, "a single pod"},
		{"pods differ by a quarter", differ, analysis.NeedsPods, "no number of canary pods"},
	} {
		r := runLevel(t, c.in)
		for range 60 {
			r.fold(100*math.Exp(.01*rng.NormFloat64()), 100*math.Exp(.01*rng.NormFloat64()))
		}
		if got := r.s.Checks().Safety; got.State != analysis.Undecided || got.Code != c.want || !strings.Contains(got.Reason, c.says) {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
	// Of what is not critical it is a warning.
	differ.Policy.Objectives[0].Role = analysis.Secondary
	r := runLevel(t, differ)
	for range 60 {
		r.fold(100*math.Exp(.01*rng.NormFloat64()), 100*math.Exp(.01*rng.NormFloat64()))
	}
	if all := strings.Join(r.s.Warnings(), "\n"); !strings.Contains(all, "needs_pods: cpu: pods of one version differ") {
		t.Errorf("warnings %q", all)
	}
}

// The reason counts the pods that would do: with a spread of 15 % and 9 baseline pods
// the margin of 20 % is moved onto the tolerance of 5 % by 6 canary pods.
func TestLevelCountsPodsNeeded(t *testing.T) {
	w := settingsG.with(func(w *levelWorld) { w.canary, w.baseline = 1, 9 })
	in := levelInput(nil, noisy(100, .02))
	in.Facts[0].History.Level.PodSD, in.Facts[0].History.Level.PodSDPods = .15, 10
	s := runLevel(t, in).s
	for range 10 {
		e := analysis.Evidence{Objective: "cpu", Rows: w.rows()}
		for i := range e.Rows {
			e.Rows[i].Level = 100
		}
		e.Fold, _ = s.Next(0)
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		s.Assess()
	}
	if got := s.Checks().Safety; got.Code != analysis.NeedsPods || !strings.Contains(got.Reason, "6 canary pods are needed, 5 more") {
		t.Errorf("%+v", got)
	}
	if o := s.Plan().Objectives[0]; !o.Underpowered {
		t.Errorf("forecast to promote in %v minutes", o.MinutesToPromote)
	}
}

// quietSingle is a history of one pod.
func quietSingle() analysis.History {
	rng := rand.New(rand.NewPCG(9, 9))
	var sums []analysis.MinuteSum
	for m := 300; m > 0; m-- {
		sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(-time.Duration(m) * 15 * time.Second), Pod: "only", Level: noisy(100, .02)(rng)})
	}
	return baseline.LearnLevel(sums, deployedAt, 15*time.Second, .5, "seed", settingsG.objective())
}

// Constant, zero, negative and huge levels: a finite answer, and the right one.
func TestLevelDegenerate(t *testing.T) {
	constant := func(v float64) func(*rand.Rand) float64 { return func(*rand.Rand) float64 { return v } }
	for _, c := range []struct {
		name         string
		past         func(*rand.Rand) float64
		canary, base float64
		want         analysis.FindingState
	}{
		{"constant and equal", constant(100), 100, 100, analysis.FindingWithin},
		{"constant, a hair higher", constant(100), 100.001, 100, analysis.FindingWithin},
		{"constant, half more", constant(100), 150, 100, analysis.FindingBreached},
		{"constant, no history", nil, 150, 100, analysis.FindingUndecided},
		{"zero in both", constant(0), 0, 0, analysis.FindingWithin},
		{"zero, then a queue", constant(0), 50, 0, analysis.FindingBreached},
		{"zero, no history", nil, 0, 0, analysis.FindingUndecided},
		{"negative", func(rng *rand.Rand) float64 { return -50 + rng.NormFloat64() }, -50, -50, analysis.FindingWithin},
		{"negative, higher", func(rng *rand.Rand) float64 { return -50 + rng.NormFloat64() }, -20, -50, analysis.FindingBreached},
		{"canary at zero on the logarithmic scale", noisy(100, .02), 0, 100, analysis.FindingWithin},
		{"baseline at zero on the logarithmic scale", noisy(100, .02), 100, 0, analysis.FindingBreached},
		{"huge", noisy(1e90, .02), 1.7e308, 1e90, analysis.FindingBreached},
		{"not to be believed", noisy(1e300, .02), 1.7e308, 1e300, analysis.FindingUndecided},
		{"tiny", noisy(1e-300, .02), 2e-300, 1e-300, analysis.FindingBreached},
	} {
		r := runLevel(t, levelInput(nil, c.past))
		for range 60 {
			r.fold(c.canary, c.base)
		}
		f := r.finding()
		if f.State != c.want {
			t.Errorf("%s: %s (E %v and %v), want %s", c.name, f.State, f.ERollback, f.EPromote, c.want)
		}
		if _, err := r.s.Plan().Encode(); err != nil {
			t.Errorf("%s: the plan cannot be written: %v", c.name, err)
		}
		for _, v := range []analysis.Figure{f.ERollback, f.EPromote} {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("%s: E %v", c.name, v)
			}
		}
	}
	r := runLevel(t, levelInput(nil, noisy(100, .02)))
	if err := r.tryFold(math.Inf(1), 100); err == nil {
		t.Error("an infinite level was folded")
	}
}

// At fixed noise more harm is never a softer verdict.
func TestLevelMonotone(t *testing.T) {
	harm, safety := -1.0, math.Inf(1)
	for _, effect := range []float64{.8, 1, 1.05, 1.1, 1.2, 1.3, 1.5, 2} {
		r := runLevel(t, levelInput(nil, noisy(100, .05)))
		rng := rand.New(rand.NewPCG(5, 5))
		for range 100 {
			r.fold(effect*100*math.Exp(.05*rng.NormFloat64()), 100*math.Exp(.05*rng.NormFloat64()))
		}
		f := r.finding()
		if float64(f.ERollback) < harm || float64(f.EPromote) > safety {
			t.Errorf("x%v: E %v and %v after %v and %v", effect, f.ERollback, f.EPromote, harm, safety)
		}
		harm, safety = float64(f.ERollback), float64(f.EPromote)
	}
	if !(harm > 100) {
		t.Errorf("a doubled level: E %v", harm)
	}
}

// A canary that breaks when it is shown safe already is not promoted.
func TestLevelLateBreak(t *testing.T) {
	r := runLevel(t, levelInput(nil, noisy(100, .02)))
	rng := rand.New(rand.NewPCG(6, 6))
	for range 100 {
		r.fold(noisy(100, .02)(rng), noisy(100, .02)(rng))
	}
	if got := r.s.Checks().Safety; got.State != analysis.Good {
		t.Fatalf("healthy: %+v", got)
	}
	for range 3 {
		r.fold(130, 100)
	}
	if got := r.s.Checks().Safety; got.State == analysis.Good {
		t.Errorf("three rows beyond the margin: %+v", got)
	}
}

// One sample far off is no regression, however far: a scrape in the middle of a restart
// of the process that is measured must not roll back.
func TestLevelOneGlitch(t *testing.T) {
	for at := 8; at < 60; at++ {
		r := runLevel(t, levelInput(nil, noisy(100, .02)))
		rng := rand.New(rand.NewPCG(14, uint64(at)))
		for i := range 60 {
			canary := noisy(100, .02)(rng)
			if i == at {
				canary *= 20
			}
			r.fold(canary, noisy(100, .02)(rng))
			if got := r.s.Checks().Harm; got.State == analysis.Bad {
				t.Fatalf("glitch in row %d: rolled back at row %d: %+v", at, i, got)
			}
		}
	}
}

// An assessment may know of a level's harm no more than a bound, until it matters; what
// people see is exact.
func TestLevelHarmIsBounded(t *testing.T) {
	bounded, exact := 0, 0
	for _, effect := range []float64{1, 1.1, 1.3} {
		r := runLevel(t, levelInput(nil, noisy(100, .05)))
		rng := rand.New(rand.NewPCG(15, 15))
		for range 150 {
			r.fold(noisy(100*effect, .05)(rng), noisy(100, .05)(rng))
			rough, shown := r.s.Assess()[0].ERollback, r.finding().ERollback
			switch {
			case rough < shown || rough > shown && rough >= 10:
				t.Fatalf("x%v: assessed %v, shown %v", effect, rough, shown)
			case rough == shown:
				exact++
			default:
				bounded++
			}
		}
	}
	if bounded < 100 || exact < 100 {
		t.Errorf("%d were bounds, %d exact: nothing was tested", bounded, exact)
	}
}

// A checkpoint in the middle gives bit for bit what folding everything gives.
func TestLevelCheckpoint(t *testing.T) {
	leak := func(o *analysis.Objective) { o.Leak = &analysis.Leak{Limit: 1000} }
	for name, in := range map[string]analysis.PlanInput{
		"with history": levelInput(nil, noisy(100, .05)), "without": levelInput(nil, nil), "leak": levelInput(leak, noisy(100, .05)),
		"before and after": func() analysis.PlanInput {
			in := levelInput(nil, noisy(100, .05))
			in.Policy.Comparison = analysis.Both
			return in
		}(),
	} {
		whole, rng := runLevel(t, in), rand.New(rand.NewPCG(7, 7))
		var again *levelRun
		for i := range 200 {
			if i == 101 {
				snapshot, err := whole.s.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				s, err := analysis.RestoreState(whole.s.Plan(), snapshot)
				if err != nil {
					t.Fatal(err)
				}
				again = &levelRun{t, s}
			}
			canary, base := noisy(105, .05)(rng), noisy(100, .05)(rng)
			if i%37 == 0 {
				base = math.NaN()
			}
			whole.fold(canary, base)
			if again != nil {
				again.fold(canary, base)
			}
		}
		a, err := whole.s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		b, err := again.s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) || fmt.Sprint(whole.finding()) != fmt.Sprint(again.finding()) {
			t.Errorf("%s: a restored state goes on differently:\n%v\n%v", name, whole.finding(), again.finding())
		}
		if _, err := analysis.RestoreState(whole.s.Plan(), a[:len(a)/2]); err == nil {
			t.Errorf("%s: half a checkpoint was restored", name)
		}
	}
}

// A look allocates nothing once all pods are known.
func TestLevelAllocatesNothing(t *testing.T) {
	leak := func(o *analysis.Objective) { o.Leak = &analysis.Leak{Limit: 1000} }
	for name, change := range map[string]func(*analysis.Objective){"level": nil, "leak": leak} {
		in := levelInput(change, noisy(100, .05))
		in.Policy.Window.Deadline = analysis.Duration(24 * time.Hour)
		s := newState(t, func() *analysis.Plan {
			p, err := analysis.NewPlan(in)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}())
		e := analysis.Evidence{Objective: "cpu", Rows: settingsG.rows()}
		for i := range e.Rows {
			e.Rows[i].PodStart = deployedAt
		}
		rng := rand.New(rand.NewPCG(10, 10))
		look := func() {
			for i := range e.Rows {
				e.Rows[i].Level = noisy(100, .05)(rng)
			}
			e.Fold, _ = s.Next(0)
			if err := s.Fold(&e); err != nil {
				t.Fatal(err)
			}
			s.Assess()
		}
		for range 50 {
			look()
		}
		if n := testing.AllocsPerRun(200, look); n != 0 {
			t.Errorf("%s: %v allocations a look", name, n)
		}
	}
}

// The forecasts are near what the simulation of settings G takes at the median.
func TestLevelForecast(t *testing.T) {
	p := settingsG.plan(t, settingsG.history(rand.New(rand.NewPCG(78, 0)), "seed0"))
	o := p.Objectives[0]
	if o.MinutesToPromote < 6 || o.MinutesToPromote > 16 || o.MinutesToDetectDouble > 4 || o.Underpowered {
		t.Errorf("promote in %v min, doubling in %v min, underpowered %v; want about 10 and 2", o.MinutesToPromote, o.MinutesToDetectDouble, o.Underpowered)
	}
	w := settingsG
	w.sd, w.phi = .3, .97
	if o := w.plan(t, w.history(rand.New(rand.NewPCG(78, 1)), "seed1")).Objectives[0]; !o.Underpowered {
		t.Errorf("a level that wanders by 30%%: promote in %v min, not underpowered", o.MinutesToPromote)
	}
}

// BenchmarkLevelFoldAssess is Fold and Assess of one level with all restarts of an hour.
func BenchmarkLevelFoldAssess(b *testing.B) {
	in := levelInput(nil, noisy(100, .05))
	p, err := analysis.NewPlan(in)
	if err != nil {
		b.Fatal(err)
	}
	s := newState(b, p)
	rng := rand.New(rand.NewPCG(13, 13))
	e := analysis.Evidence{Objective: "cpu", Rows: settingsG.rows()}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%240 == 0 {
			s = newState(b, p)
		}
		for j := range e.Rows {
			e.Rows[j].Level = noisy(100, .05)(rng)
		}
		e.Fold, _ = s.Next(0)
		if err := s.Fold(&e); err != nil {
			b.Fatal(err)
		}
		s.Assess()
	}
}

// A gauge in another unit than its own is no share of the error budget: shares that are
// called per cent make all differences small, per cent that are called shares large.
func TestLevelOfSharesInAnotherUnit(t *testing.T) {
	for _, c := range []struct {
		unit         string
		full, canary float64
		says         string
	}{
		{"%", 1, .85, "before the deployment 99% was bad"},
		{"1", 100, 99, "cannot be shown safe"},
	} {
		good := func(rng *rand.Rand) float64 { return c.full * (.999 + .0002*rng.NormFloat64()) }
		r := runLevel(t, levelInput(shareOf(c.unit, analysis.BetterHigher, .99, true), func(rng *rand.Rand) float64 { return min(c.full, good(rng)) }))
		if _, err := json.Marshal(r.s.Plan()); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			r.fold(c.canary, .999*c.full)
		}
		checks := r.s.Checks()
		if checks.Safety.State == analysis.Good || checks.Harm.State == analysis.Bad || !strings.Contains(checks.Safety.Reason, c.says) {
			t.Errorf("unit %q: harm %+v, safety %+v", c.unit, checks.Harm, checks.Safety)
		}
	}
}

func TestLevelSaysBytes(t *testing.T) {
	r := runLevel(t, levelInput(func(o *analysis.Objective) { o.Signal.Unit = "By" }, noisy(6e8, .02)))
	for range 12 {
		r.fold(632.4e6*2, 632.4e6)
	}
	if why := r.s.Checks().Harm.Reason; !strings.Contains(why, "now 1.178 GiB in the canary, 603.1 MiB in the baseline") {
		t.Error(why)
	}
}

// The strata of a pod add up where the levels of a pod do: a further one does not dilute
// the others.
func TestLevelStrataOfAPodAddUp(t *testing.T) {
	in := levelInput(func(o *analysis.Objective) { o.Signal.Unit, o.Strata = "By", []string{"container"} }, noisy(100, .02))
	s := runLevel(t, in).s
	for range 20 {
		e := analysis.Evidence{Objective: "cpu"}
		e.Fold, _ = s.Next(0)
		for _, r := range []analysis.ArmRow{
			{Arm: analysis.Baseline, Stratum: "app", Pod: "b", Level: 100},
			{Arm: analysis.Canary, Stratum: "app", Pod: "c", Level: 170},
			{Arm: analysis.Canary, Stratum: "sidecar", Pod: "c", Level: 30},
		} {
			r.PodStart, r.Received, r.Fresh = deployedAt, 1, true
			e.Rows = append(e.Rows, r)
		}
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		s.Assess()
	}
	if c := s.Checks(); c.Harm.State != analysis.Bad || !strings.Contains(c.Harm.Reason, "now 200 B") {
		t.Errorf("harm %+v, safety %+v", c.Harm, c.Safety)
	}
}
