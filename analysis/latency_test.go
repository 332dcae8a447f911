package analysis

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// thresholdOracle is the evidence of one threshold written down from statistics (2) to (4): the
// grid, the priors and the sums, nothing shared with the kernel.
type thresholdOracle struct {
	rhoR, rhoP float64
	sd         float64 // of the safety prior
	folds      []thresholdFold
}

type thresholdFold struct{ xR, xP, xB, nC, nB, phi float64 } // canary above both bounds, baseline above its own

func (o thresholdOracle) points(null float64) []float64 {
	ln := []float64{math.Log(null)}
	for i := -60; i <= 70; i++ {
		if v := float64(i) / 20; math.Abs(v-ln[0]) > 1e-9 {
			ln = append(ln, v)
		}
	}
	slices.Sort(ln)
	return ln
}

func (o thresholdOracle) evidence(null float64, harm bool, x func(thresholdFold) float64) float64 {
	ln := o.points(null)
	var num, den float64
	for j, v := range ln {
		if harm == (v <= math.Log(null)) || !harm && v == math.Log(null) {
			continue
		}
		width := ln[min(j+1, len(ln)-1)] - ln[max(j-1, 0)]
		if j > 0 && j < len(ln)-1 {
			width /= 2
		}
		prior := 1 / (1 + math.Pow((v-math.Log(null))/.3, 2))
		if !harm {
			z := v / o.sd
			prior = .7*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)/o.sd + .3/(math.Pi*o.sd*(1+z*z))
		}
		l := 0.0
		for _, f := range o.folds {
			w := f.nC / (f.nC + f.nB)
			d := x(f) + f.xB
			l += (x(f)*(v-math.Log(null)) - d*(math.Log(1+(math.Exp(v)-1)*w)-math.Log(1+(null-1)*w))) / f.phi
		}
		num += width * prior * math.Exp(l)
		den += width * prior
	}
	return num / den
}

// Against raw observations: counts by brute force, evidence by the oracle. There are no
// restarts, and the dispersion is the one that the fold was tempered with.
func TestLatencyAgainstRawObservations(t *testing.T) {
	for _, layout := range []struct {
		name string
		h    Histogram
	}{{"exact", evenly(4000)}, {"slope", evenBuckets(1e8, 4000, 300, 600, 1200, 2400, 3000, 3600, 3800, 3950, 6000)}} {
		s := testState(t, judging(layout.h), withHistory, lasting(10*time.Minute))
		plan := s.plan.Objectives[0].Latency
		rng := rand.New(rand.NewPCG(5, 6))
		oracles := make([]thresholdOracle, len(plan.Thresholds))
		for i, c := range plan.Thresholds {
			oracles[i] = thresholdOracle{rhoR: c.RhoR, rhoP: c.RhoP, sd: .5}
			if c.Form == FormSlope {
				oracles[i].sd = .1
			}
		}
		draw := func(n int, factor float64) (values []float64) {
			for range n {
				values = append(values, factor*4000*rng.Float64())
			}
			return values
		}
		count := func(values []float64, bound float64) float64 {
			n := 0.0
			for _, v := range values {
				if v > bound {
					n++
				}
			}
			return n
		}
		for range 30 {
			nB, nC := 120+rng.IntN(30), 10+rng.IntN(20)
			basis, canary := draw(nB, 1), draw(nC, 1.04)
			rowOf := func(arm Arm, values []float64) ArmRow {
				r := slowRow(arm, "p", float64(len(values)))
				for _, b := range plan.Bounds {
					r.Above = append(r.Above, count(values, b))
				}
				return r
			}
			for i, c := range plan.Thresholds {
				oracles[i].folds = append(oracles[i].folds, thresholdFold{
					count(canary, plan.Bounds[c.Harm]), count(canary, plan.Bounds[c.Safety]), count(basis, plan.Bounds[c.Baseline]),
					float64(nC), float64(nB), latencyOf(s).at[i].harm.phi(),
				})
			}
			foldSlow(t, s, rowOf(Baseline, basis), rowOf(Canary, canary))
		}
		l := latencyOf(s)
		wantHarm, wantSafety := 0.0, math.Inf(1)
		for i, c := range plan.Thresholds {
			o := oracles[i]
			wantHarm += c.Weight * o.evidence(o.rhoR, true, func(f thresholdFold) float64 { return f.xR })
			if c.Critical {
				wantSafety = min(wantSafety, o.evidence(o.rhoP, false, func(f thresholdFold) float64 { return f.xP }))
			}
		}
		if got := math.Exp(l.exactHarm()); math.Abs(got-wantHarm) > 1e-9*wantHarm {
			t.Errorf("%s: harm %.12g, want %.12g", layout.name, got, wantHarm)
		}
		if got := math.Exp(l.logSafety()); math.Abs(got-wantSafety) > 1e-9*wantSafety {
			t.Errorf("%s: safety %.12g, want %.12g", layout.name, got, wantSafety)
		}
	}
}

// A canary as fast as its baseline is shown safe at every critical quantile, and only
// then; one that is fine at p95 and slow at p99 is not.
func TestSafetyNeedsEveryCriticalQuantile(t *testing.T) {
	s := testState(t, judging(evenly(4000)), withHistory)
	plan := s.plan.Objectives[0].Latency
	above := func(n, p99 float64) []float64 { // p99 is the factor on what lies above the highest thresholds
		var out []float64
		for _, b := range plan.Bounds {
			share := max(0, 1-b/4000)
			if b >= plan.Bounds[plan.Thresholds[3].Baseline] {
				share = .01 * p99
			}
			out = append(out, n*share)
		}
		return out
	}
	slow, fast := slowRow(Canary, "c", 1000, above(1000, 1)...), slowRow(Canary, "c", 1000, above(1000, 0)...)
	basis := slowRow(Baseline, "b", 9000, above(9000, 1)...)
	for range 60 {
		foldSlow(t, s, basis, slow)
	}
	l := latencyOf(s)
	p95, p99 := l.at[2].safety.LogSafety(l.at[2].grid), l.at[3].safety.LogSafety(l.at[3].grid)
	if f := s.Assess()[0]; p95 < math.Log(20) || p99 >= 0 || f.State != FindingUndecided || !near(float64(f.EPromote), math.Exp(p99)) {
		t.Errorf("p95 %v, p99 %v, %+v", p95, p99, f)
	}
	for range 200 {
		foldSlow(t, s, basis, fast)
	}
	if f := s.Assess()[0]; f.State != FindingWithin {
		t.Errorf("%+v", f)
	}
}

// One burst in the canary reaches the bar, but not without its fold: no rollback. What
// lasts is found.
func TestOneSlowFoldDoesNotRollBack(t *testing.T) {
	s := testState(t, judging(pareto(4000)), withHistory)
	at := func(arm Arm, n, factor float64) ArmRow { return paretoRow(s, arm, n, factor) }
	for range 20 {
		foldSlow(t, s, at(Baseline, 3600, 1), at(Canary, 400, 1))
	}
	foldSlow(t, s, at(Baseline, 3600, 1), at(Canary, 400, 20))
	if s.Evidence() < 100 {
		t.Fatalf("harm evidence %v", s.Evidence())
	}
	if c := s.Checks().Harm; c.State != Undecided || c.Code != TooFewEvents {
		t.Errorf("%+v", c)
	}
	if rest := latencyOf(s).harmWithoutWorst(); !(rest < 0) {
		t.Errorf("without the burst the harm evidence is e^%v", rest)
	}

	s = testState(t, judging(pareto(4000)), withHistory)
	for range 12 {
		foldSlow(t, s, at(Baseline, 3600, 1), at(Canary, 400, 1.5))
	}
	if c := s.Checks().Harm; c.State != Bad || !strings.Contains(c.Reason, "over 2 s in the canary") {
		t.Errorf("%+v", c)
	}
}

// Pods that still warm up tell nothing of the release.
func TestWarmUpIsLeftOut(t *testing.T) {
	s := testState(t, judging(evenly(4000)), withHistory, func(in *PlanInput) { in.Policy.Window.Warmup = Duration(3 * time.Minute) })
	bounds := len(s.plan.Objectives[0].Latency.Bounds)
	many := slices.Repeat([]float64{100}, bounds)
	for range 36 { // three minutes
		foldSlow(t, s, slowRow(Baseline, "b", 9000, many...), slowRow(Canary, "c", 100, many...))
	}
	if f := s.Assess()[0]; f.N.Folds != 0 || f.ERollback != 1 {
		t.Fatalf("%+v", f)
	}
	foldSlow(t, s, slowRow(Baseline, "b", 9000, many...), slowRow(Canary, "c", 100, many...))
	if f := s.Assess()[0]; f.N.Folds != 1 || !(f.ERollback > 100) {
		t.Errorf("%+v", f)
	}
}

// A pod whose process begins anew every two minutes is judged all the same.
func TestWarmUpEnds(t *testing.T) {
	s := testState(t, judging(evenly(4000)), withHistory, func(in *PlanInput) { in.Policy.Window.Warmup = Duration(3 * time.Minute) })
	many := slices.Repeat([]float64{100}, len(s.plan.Objectives[0].Latency.Bounds))
	for range 60 { // five minutes
		next, _ := s.Next(0)
		crashing := slowRow(Canary, "c", 100, many...)
		crashing.PodStart = next.End.Add(-next.End.Sub(testStart) % (2 * time.Minute))
		foldSlow(t, s, slowRow(Baseline, "b", 9000, many...), crashing)
	}
	if f := s.Assess()[0]; f.N.Folds != 24 || !(f.ERollback > 100) {
		t.Errorf("%+v", f)
	}
}

// A canary whose pods replace each other before any is warm reports all the time, and is
// compared no more: what its first pod showed does not promote the others.
func TestPodsThatAreNeverWarmAreNotSafe(t *testing.T) {
	s := testState(t, judging(evenly(4000)), withHistory, func(in *PlanInput) { in.Policy.Window.Warmup = Duration(3 * time.Minute) })
	bounds := len(s.plan.Objectives[0].Latency.Bounds)
	slow, fast := slices.Repeat([]float64{100}, bounds), slices.Repeat([]float64{1}, bounds)
	play := func(folds int, pod func(at time.Time) (name string, begun time.Time)) {
		for range folds {
			next, _ := s.Next(0)
			canary := slowRow(Canary, "", 1000, fast...)
			canary.Pod, canary.PodStart = pod(next.End)
			foldSlow(t, s, slowRow(Baseline, "b", 9000, slow...), canary)
		}
		s.Assess()
	}
	first := func(time.Time) (string, time.Time) { return "first", testStart }
	play(10*12, first) // ten minutes
	if c := s.safety(); c.State != Good {
		t.Fatalf("a better canary is not shown safe: %+v", c)
	}
	play(staleAfter, func(at time.Time) (string, time.Time) {
		k := at.Sub(testStart) / (2 * time.Minute)
		return fmt.Sprint("later-", int(k)), testStart.Add(k * 2 * time.Minute)
	})
	if c := s.safety(); c.State != Undecided || c.Code != TelemetryStale {
		t.Errorf("nothing was compared any more: %+v", c)
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := RestoreState(s.plan, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := restored.safety(), s.safety(); got != want {
		t.Errorf("after a restart %+v, before %+v", got, want)
	}
	play(1, first)
	if c := s.safety(); c.State != Good {
		t.Errorf("it is compared again: %+v", c)
	}
}

// A fold whose pods do not have the plan's bounds is no evidence.
func TestOtherLayoutIsNoEvidence(t *testing.T) {
	s := testState(t, judging(evenly(4000)), withHistory)
	bounds := len(s.plan.Objectives[0].Latency.Bounds)
	foldSlow(t, s, slowRow(Baseline, "b", 9000, slices.Repeat([]float64{100}, bounds)...), slowRow(Canary, "c", 100))
	if f := s.Assess()[0]; f.N.Folds != 0 || f.ERollback != 1 || s.objectives[0].missing != LayoutChanged {
		t.Errorf("%+v, %s", f, s.objectives[0].missing)
	}
	if c := s.Checks().Coverage; c.State == Good || c.Code != LayoutChanged {
		t.Errorf("%+v: the other buckets are not named", c)
	}
}

// A checkpoint carries everything: folding on gives the same bytes.
func TestLatencyCheckpoint(t *testing.T) {
	in := testInput()
	judging(evenly(4000))(&in)
	withHistory(&in)
	in.Policy.Objectives[0].Strata = []string{"zone"}
	p, err := NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	bounds := p.Objectives[0].Latency.Bounds
	fold := func(s *State, rng *rand.Rand) {
		var rows []ArmRow
		for _, arm := range []Arm{Baseline, Canary} {
			for i := range 6 {
				r := slowRow(arm, fmt.Sprint("pod", i), 400)
				r.Stratum = []string{"a", "b", "c"}[i%3]
				left := 400.0
				for range bounds {
					left = math.Floor(left * (.5 + .5*rng.Float64()))
					r.Above = append(r.Above, left)
				}
				rows = append(rows, r)
			}
		}
		foldSlow(t, s, rows...)
	}
	whole, err := NewState(p)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for k := range 300 {
		fold(whole, rng)
		if k%97 != 40 {
			continue
		}
		data, err := whole.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		back, err := RestoreState(p, data)
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.Snapshot()
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("fold %d: the restored state is another one (%v)", k, err)
		}
		whole = back
	}
	straight, err := NewState(p)
	if err != nil {
		t.Fatal(err)
	}
	rng = rand.New(rand.NewPCG(1, 2))
	for range 300 {
		fold(straight, rng)
	}
	a, _ := whole.Snapshot()
	b, _ := straight.Snapshot()
	if !bytes.Equal(a, b) {
		t.Error("folding on after checkpoints is not folding straight on")
	}
	if _, err := RestoreState(testPlan(t, judging(evenly(900)), withHistory), a); err == nil {
		t.Error("the checkpoint of another plan is taken")
	}
}

// What people read: counts above the bound, the quantile's ratio with its interval.
func TestLatencyIsDescribed(t *testing.T) {
	s := testState(t, judging(pareto(4000)), withHistory)
	if f := s.Describe()[0]; f.Reason != "latency: nothing counted yet" || !math.IsNaN(float64(f.Effect)) || f.Low != 0 || !math.IsInf(float64(f.High), 1) {
		t.Errorf("%+v", f)
	}
	for range 100 {
		foldSlow(t, s, paretoRow(s, Baseline, 9e4, 1), paretoRow(s, Canary, 1e4, 1.15))
	}
	f := s.Describe()[0]
	if f.EffectKind != "ratio" || f.State != FindingBreached || !near(float64(f.Tolerance), 1.05) || !near(float64(f.Margin), 1.2) {
		t.Errorf("%+v", f)
	}
	if !(f.Low > 1.05 && f.Low < f.Effect && f.Effect < f.High) || !closeTo(float64(f.Effect), 1.15, .005) {
		t.Errorf("effect %v in %v to %v", f.Effect, f.Low, f.High)
	}
	if f.Reason != "latency: harm beyond the tolerance is shown (575100 of 1000000 over 2 s in the canary, 4501100 of 9000000 in the baseline)" {
		t.Errorf("%q", f.Reason)
	}
	if c := s.Checks().Harm; !strings.HasPrefix(c.Reason, "latency: 57.5% over 2 s in the canary, 50% in the baseline, p50 before 1.909 to 2.1 s; ") {
		t.Errorf("%q", c.Reason)
	}
}

// Strata are compared each by itself: a canary that serves the slow operation more
// often than its baseline is not slower.
func TestMixShiftBetweenStrata(t *testing.T) {
	plan := func(strata []string) *State {
		return testState(t, judging(evenly(4000)), withHistory, func(in *PlanInput) { in.Policy.Objectives[0].Strata = strata })
	}
	rowsOf := func(s *State, split bool) []ArmRow {
		bounds := s.plan.Objectives[0].Latency.Bounds
		var rows []ArmRow
		for _, c := range []struct {
			arm       Arm
			stratum   string
			n, factor float64
		}{{Baseline, "fast", 8000, .5}, {Baseline, "slow", 1000, 1.9}, {Canary, "fast", 500, .5}, {Canary, "slow", 500, 1.9}} {
			r := slowRow(c.arm, c.stratum, c.n)
			if split {
				r.Stratum = c.stratum
			}
			for _, b := range bounds {
				r.Above = append(r.Above, math.Round(c.n*max(0, 1-b/c.factor/4000)))
			}
			rows = append(rows, r)
		}
		return rows
	}
	pooled, split := plan(nil), plan([]string{"operation"})
	for range 40 {
		foldSlow(t, pooled, rowsOf(pooled, false)...)
		foldSlow(t, split, rowsOf(split, true)...)
	}
	if e := pooled.Assess()[0].ERollback; !(e > 100) {
		t.Errorf("pooled, the shift looks like harm %v", e)
	}
	if e := split.Assess()[0].ERollback; !(e < 1) {
		t.Errorf("split, harm %v", e)
	}
	if f := split.Describe()[0]; f.State != FindingWithin || !(f.Effect < 1.1) {
		t.Errorf("split: %+v", f)
	}
}

// A canary that breaks just before the end is not promoted on its healthy start.
func TestLatencyLateBreak(t *testing.T) {
	s := testState(t, judging(pareto(4000)), withHistory)
	at := func(arm Arm, n, factor float64) ArmRow { return paretoRow(s, arm, n, factor) }
	for range 240 {
		foldSlow(t, s, at(Baseline, 9000, 1), at(Canary, 1000, 1))
	}
	if c := s.Checks().Safety; c.State != Good {
		t.Fatalf("%+v", c)
	}
	for range 10 {
		foldSlow(t, s, at(Baseline, 9000, 1), at(Canary, 1000, 1.6))
	}
	if f := s.Assess()[0]; !(float64(f.EPromote) > 20) {
		t.Fatalf("safety evidence %v is gone already", f.EPromote)
	}
	if c := s.Checks().Safety; c.State != Undecided || c.Code != LateBreak || !strings.Contains(c.Reason, "s, baseline") {
		t.Errorf("%+v", c)
	}
}

// The intervals of the interval grid and of the test agree: the tolerance is outside
// exactly where harm is shown at the same level.
func TestLatencyIntervalAgreesWithHarm(t *testing.T) {
	s := testState(t, judging(pareto(4000)), withHistory, lasting(10*time.Minute))
	crossed := false
	for range 100 {
		foldSlow(t, s, paretoRow(s, Baseline, 900, 1), paretoRow(s, Canary, 100, 1.3))
		l := latencyOf(s)
		th := l.shown()
		harm := th.harm.engine.(*profileEngine)
		p := stats.Profile{L: th.harm.Sums}
		lo, _ := harm.interval(th.harm.Sums, intervalLevel)
		shown := p.LogHarm(harm.grid) >= math.Log(2/intervalLevel)
		if (lo >= th.RhoR) != shown {
			t.Fatalf("the interval begins at %v of a tolerance of %v, harm shown: %v", lo, th.RhoR, shown)
		}
		crossed = crossed || shown
	}
	if !crossed {
		t.Error("harm was never shown")
	}
}

// Compared with the hour before the deployment, harm is shown and safety never. Whoever
// the baseline's cohort selects now says nothing, nor do strata.
func TestLatencyAgainstTheTimeBefore(t *testing.T) {
	before := func(in *PlanInput) {
		in.Policy.Comparison = PreviousWindow
		in.Policy.Objectives[0].Strata = []string{"zone"}
		h := in.Facts[0].History.Latency
		h.HourTotal, h.HourAbove, h.PhiBefore = 72e4, make([]float64, len(h.Above)), h.Phi0
		for i := range h.HourAbove {
			h.HourAbove[i] = h.HourTotal * h.Above[i] / h.Exposure
		}
	}
	for _, c := range []struct {
		factor float64
		harm   bool
	}{{1, false}, {1.5, true}} {
		s := testState(t, judging(pareto(4000)), withHistory, before)
		for range 60 {
			a, b := paretoRow(s, Canary, 400, c.factor), paretoRow(s, Canary, 600, c.factor)
			a.Pod, a.Stratum, b.Pod, b.Stratum = "p", "a", "q", "b"
			foldSlow(t, s, paretoRow(s, Baseline, 1000, 100), a, b)
		}
		f := s.Describe()[0]
		if f.N.Folds != 60 || f.N.CanaryExposure != 6e4 || !near(f.N.BaselineExposure, 6e4) || !near(f.N.BaselineBad/f.N.BaselineExposure, latencyOf(s).shown().Share) {
			t.Errorf("x%v: %+v", c.factor, f.N)
		}
		if got := f.State == FindingBreached; got != c.harm || f.State == FindingWithin && s.Checks().Safety.State == Good {
			t.Errorf("x%v: %+v", c.factor, f)
		}
		if c.harm && !strings.Contains(s.Checks().Harm.Reason, "in the baseline of the time before") {
			t.Errorf("%q", s.Checks().Harm.Reason)
		}
		if check := s.Checks().Safety; check.State != Undecided || check.Code != BeforeAfterOnly {
			t.Errorf("x%v: %+v", c.factor, check)
		}
		if m := s.plan.Objectives[0].MinutesToPromote; !math.IsNaN(float64(m)) {
			t.Errorf("promoted in %v minutes", m)
		}
	}
}
