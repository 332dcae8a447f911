package analysis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/release-assay/assay/analysis"
	baseline "github.com/release-assay/assay/analysis/history"
)

// drawn is how many of n outcomes at the risk p are bad, at random.
type drawn func(rng *rand.Rand, n, p float64) float64

// binomial draws independent outcomes.
func binomial(rng *rand.Rand, n, p float64) float64 {
	if n == 0 || p == 0 {
		return 0
	}
	return distuv.Binomial{N: n, P: min(1, p), Src: rng}.Rand()
}

// inPairs draws outcomes that come in clusters of two: phi is 2.
func inPairs(rng *rand.Rand, n, p float64) float64 {
	return min(n, 2*binomial(rng, math.Floor(n/2), p))
}

// learned is a pool of histories of ten pods over a day, drawn with count.
func (w setting) learned(n int, count drawn) []analysis.History {
	pool := make([]analysis.History, n)
	parallel(n, func(i int) {
		rng := rand.New(rand.NewPCG(78, uint64(i)))
		var sums []analysis.MinuteSum
		for m := range 24 * 60 {
			exposure := math.Round(w.rps * 60 / baselinePods)
			for pod := range baselinePods {
				sums = append(sums, analysis.MinuteSum{
					Minute: deployedAt.Add(time.Duration(m-24*60) * time.Minute), Pod: fmt.Sprintf("baseline-%d", pod),
					Bad: count(rng, exposure, w.rate), Exposure: exposure,
				})
			}
		}
		pool[i] = baseline.Learn(sums, deployedAt, w.share, fmt.Sprint("seed", i))
	})
	return pool
}

// verdictOf is what came of one deployment whose rows are given.
type verdictOf struct {
	outcome
	localised bool // harm that rests on one stratum was seen
}

// judge folds rows until the deadline, or until stop.
func judge(tb testing.TB, p *analysis.Plan, rows func(t time.Duration) []analysis.ArmRow, stop func(outcome) bool) (v verdictOf) {
	s, err := analysis.NewState(p)
	if err != nil {
		tb.Error(err)
		return v
	}
	s.HoldIntervals(1 << 13)
	e := analysis.Evidence{Objective: "errors"}
	for {
		fold, left := s.Next(0)
		if !left || stop(v.outcome) {
			return v
		}
		t := fold.End.Sub(deployedAt)
		e.Fold, e.Rows = fold, rows(t)
		if err := s.Fold(&e); err != nil {
			tb.Error(err)
			return v
		}
		f := s.Assess()[0]
		if f.State == analysis.FindingBreached && v.harm == 0 {
			switch c := s.Checks().Harm; {
			case c.State == analysis.Bad:
				v.harm = t
			case c.Code == analysis.Localised:
				v.localised = true
			}
		}
		if v.safety == 0 && t >= p.Window.MinBake.D() && f.State == analysis.FindingWithin && s.Checks().Safety.State == analysis.Good {
			v.safety = t
		}
	}
}

// common are runs of a deployment with the given risks of both arms.
func (w setting) common(tb testing.TB, runs int, pool []analysis.History, count drawn, pC, pB float64, stop func(outcome) bool) []outcome {
	plans := make([]*analysis.Plan, len(pool))
	for i := range pool {
		plans[i] = w.plan(tb, pool[i])
		if null := plans[i].Objectives[0].Null; null != analysis.NullBernoulli && min(w.rate, 1-w.rate) > .1 {
			tb.Fatalf("null %s", null)
		}
	}
	out := make([]outcome, runs)
	parallel(runs, func(i int) {
		rng := rand.New(rand.NewPCG(20260306, uint64(i)))
		out[i] = judge(tb, plans[i%len(plans)], func(t time.Duration) []analysis.ArmRow {
			nC, nB := w.exposure(t)
			return []analysis.ArmRow{
				{Arm: analysis.Baseline, Pod: "b", Bad: count(rng, nB, pB), Exposure: nB, Received: 1, Fresh: true, Version: "1.4.9"},
				{Arm: analysis.Canary, Pod: "c", Bad: count(rng, nC, pC), Exposure: nC, Received: 1, Fresh: true, Version: "1.5.0"},
			}
		}, stop).outcome
	})
	return out
}

// settingsC are those of statistics 3.4: 100 requests a second of which two fifths
// fail, a canary of 10 %.
var settingsC = setting{cadence: 5 * time.Second, deadline: time.Hour, rps: 100, share: .1, rate: .4}

// withGood are the same with the given share of bad events.
func withBad(rate float64) setting {
	w := settingsC
	w.rate = rate
	return w
}

// Common outcomes on the boundaries: harm at the tolerance, safety at the margin. In
// clusters of two, whose dispersion history shows, as well.
func TestCommonOutcomesAreCalibrated(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name  string
		w     setting
		runs  int
		count drawn
		pC    float64
		harm  bool
	}{
		{"two fifths, at the tolerance", settingsC, 1000, binomial, .42, true},
		{"two fifths, in pairs, at the tolerance", settingsC, 300, inPairs, .42, true},
		{"a conversion of 30 %, at the tolerance", withBad(.7), 300, binomial, .715, true},
		{"a conversion of 5 %, at the tolerance", withBad(.95), 300, binomial, .9525, true},
		{"a conversion of 5 %, in pairs, at the tolerance", withBad(.95), 300, inPairs, .9525, true},
		{"two fifths, at the margin", settingsC, 500, binomial, .5, false},
		{"a conversion of 30 %, at the margin", withBad(.7), 300, binomial, .775, false},
		{"a conversion of 5 %, at the margin", withBad(.95), 300, binomial, .9625, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			stop, alpha := promoted, .05
			if c.harm {
				stop, alpha = harmed, .01
			}
			got := share(c.w.common(t, c.runs, c.w.learned(4, c.count), c.count, c.pC, c.w.rate, stop), stop)
			t.Logf("%.4f of %d runs; %.1f s", got, c.runs, time.Since(started).Seconds())
			if want := limit(alpha, c.runs); got > want {
				t.Errorf("%.4f of %d runs, want at most %.4f", got, c.runs, want)
			}
		})
	}
}

// 40 % against 43 %: the exact test takes 5.7 minutes at tolerance 0 (statistics
// 3.4), the Poisson test 9.2. At 5 % of tolerance (42 %) there is a third of the
// effect left, so a larger one is asked for; and a healthy canary is promoted.
func TestPowerOfCommonOutcomes(t *testing.T) {
	slow(t)
	pool := settingsC.learned(4, binomial)
	found := settingsC.common(t, 100, pool, binomial, .46, .4, harmed)
	median := medianMinutes(found, func(o outcome) time.Duration { return o.harm })
	healthy := settingsC.common(t, 100, pool, binomial, .4, .4, ended)
	t.Logf("46 %% against 40 %%: %.3f at %.1f min; healthy promoted %.3f", share(found, harmed), median, share(healthy, promoted))
	if median > 6 || share(healthy, promoted) < .98 {
		t.Errorf("median %.1f min, want at most 6; promoted %.3f, want .98", median, share(healthy, promoted))
	}
	conversion := withBad(.95)
	pool = conversion.learned(4, binomial)
	lost := conversion.common(t, 100, pool, binomial, .975, .95, harmed) // half of the conversions
	median = medianMinutes(lost, func(o outcome) time.Duration { return o.harm })
	healthy = conversion.common(t, 100, pool, binomial, .95, .95, ended)
	t.Logf("half of the conversions lost: %.3f at %.1f min; healthy promoted %.3f", share(lost, harmed), median, share(healthy, promoted))
	if median > 2 || share(healthy, promoted) < .95 {
		t.Errorf("median %.1f min, want at most 2; promoted %.3f, want .95", median, share(healthy, promoted))
	}
}

// zone is a stratum of a simulated deployment.
type zone struct {
	share         float64                       // of the canary
	canary, worse func(t time.Duration) float64 // factors on the canary's rate and on both arms'
}

func steadily(f float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return f }
}

// zonal are the rows of zones of equal traffic.
func (w setting) zonal(rng *rand.Rand, zones []zone) func(t time.Duration) []analysis.ArmRow {
	return func(t time.Duration) []analysis.ArmRow {
		out := make([]analysis.ArmRow, 2*len(zones))
		n := w.rps * w.cadence.Seconds() / float64(len(zones))
		for i, z := range zones {
			name, rate := fmt.Sprintf("zone-%02d", i), w.rate*z.worse(t)
			nC, nB := math.Round(n*z.share), math.Round(n*(1-z.share))
			out[i] = analysis.ArmRow{Arm: analysis.Baseline, Stratum: name, Pod: "b" + name, Bad: min(nB, poisson(rng, rate*nB)), Exposure: nB, Received: 1, Fresh: true, Version: "1.4.9"}
			out[len(zones)+i] = analysis.ArmRow{Arm: analysis.Canary, Stratum: name, Pod: "c" + name, Bad: min(nC, poisson(rng, rate*z.canary(t)*nC)), Exposure: nC, Received: 1, Fresh: true, Version: "1.5.0"}
		}
		return out
	}
}

// The world of statistics 8.1: a canary that is mostly in one zone takes the blame
// for that zone's incident, unless zones are strata.
func TestStrataAreNotBlamed(t *testing.T) {
	slow(t)
	w := withCadence(settingsE, 15*time.Second)
	incident := func(t time.Duration) float64 {
		if t > 10*time.Minute && t <= 40*time.Minute {
			return 6
		}
		return 1
	}
	zones := []zone{{.3, steadily(1), incident}, {.05, steadily(1), steadily(1)}, {.05, steadily(1), steadily(1)}}
	blamed := func(strata []string) float64 {
		in := w.input(known)
		in.Policy.Objectives[0].Strata = strata
		return harmShare(t, in, 200, func(rng *rand.Rand) func(time.Duration) []analysis.ArmRow { return w.zonal(rng, zones) })
	}
	pooled, stratified := blamed(nil), blamed([]string{"zone"})
	t.Logf("blamed: pooled %.3f, stratified %.3f", pooled, stratified)
	if pooled < .95 || stratified > .01 {
		t.Errorf("blamed: pooled %.3f, want all; stratified %.3f, want none", pooled, stratified)
	}
}

func harmShare(t *testing.T, in analysis.PlanInput, runs int, rows func(*rand.Rand) func(time.Duration) []analysis.ArmRow) float64 {
	t.Helper()
	p, err := analysis.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]outcome, runs)
	parallel(runs, func(i int) {
		out[i] = judge(t, p, rows(rand.New(rand.NewPCG(20260307, uint64(i)))), harmed).outcome
	})
	return share(out, harmed)
}

// A bad node under the canary is localised and named; a regression everywhere is
// rolled back all the same.
func TestBadNodesAreLocalised(t *testing.T) {
	slow(t)
	w := withCadence(settingsE, 15*time.Second)
	in := w.input(known)
	in.Policy.Objectives[0].Strata = []string{"node"}
	p, err := analysis.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	const runs = 100
	run := func(factor func(node int) float64) (back, localised float64) {
		out := make([]verdictOf, runs)
		parallel(runs, func(i int) {
			zones := make([]zone, 12)
			for z := range zones {
				zones[z] = zone{.1, steadily(factor(z)), steadily(1)}
			}
			out[i] = judge(t, p, w.zonal(rand.New(rand.NewPCG(20260308, uint64(i))), zones), harmed)
		})
		for _, v := range out {
			if v.harm > 0 {
				back += 1. / runs
			} else if v.localised {
				localised += 1. / runs
			}
		}
		return back, localised
	}
	back, localised := run(func(node int) float64 {
		if node == 3 {
			return 20
		}
		return 1
	})
	everywhere, _ := run(func(int) float64 { return 2 })
	t.Logf("bad node: rolled back %.2f, localised %.2f; everywhere: rolled back %.2f", back, localised, everywhere)
	if localised < .9 || everywhere < .99 {
		t.Errorf("bad node localised %.2f, want .9; regression found %.2f, want all", localised, everywhere)
	}
}

// timeWorld is one pod a service that is replaced as a whole: minutes whose rate
// wanders (log AR(1) of the given sd), before and after.
type timeWorld struct {
	setting
	sd, ar float64
}

// minutes draws the wandering factors of n minutes.
func (w timeWorld) minutes(rng *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	level := rng.NormFloat64()
	for i := range out {
		out[i] = math.Exp(w.sd * level)
		level = w.ar*level + math.Sqrt(1-w.ar*w.ar)*rng.NormFloat64()
	}
	return out
}

// Placebos: a comparison with the hour before, of which phi is learned, rolls back
// at most one healthy deployment in a hundred; a fivefold rate is found.
func TestBeforeAndAfterIsCalibrated(t *testing.T) {
	slow(t)
	const hours = 3
	for _, c := range []struct {
		name string
		w    timeWorld
	}{
		{"steady", timeWorld{setting{cadence: time.Minute, deadline: 10 * time.Minute, rps: 20, share: .1, rate: .01}, 0, 0}},
		{"wandering", timeWorld{setting{cadence: time.Minute, deadline: 10 * time.Minute, rps: 20, share: .1, rate: .01}, .3, .8}},
		{"wandering slowly", timeWorld{setting{cadence: time.Minute, deadline: 10 * time.Minute, rps: 20, share: .1, rate: .01}, .3, .97}},
	} {
		run := func(runs int, factor float64) float64 {
			out := make([]outcome, runs)
			parallel(runs, func(i int) {
				rng := rand.New(rand.NewPCG(20260309, uint64(i)))
				level := c.w.minutes(rng, hours*60+10)
				n := c.w.rps * 60
				var sums []analysis.MinuteSum
				for m, f := range level[:hours*60] {
					sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(time.Duration(m-hours*60) * time.Minute), Pod: "old", Bad: min(n, poisson(rng, n*c.w.rate*f)), Exposure: n})
				}
				in := c.w.input(baseline.Learn(sums, deployedAt, 1, fmt.Sprint(i)))
				in.Policy.Comparison = analysis.PreviousWindow
				p, err := analysis.NewPlan(in)
				if err != nil {
					t.Error(err)
					return
				}
				out[i] = judge(t, p, func(at time.Duration) []analysis.ArmRow {
					f := level[hours*60+int(at/time.Minute)-1] * factor
					return []analysis.ArmRow{{Arm: analysis.Canary, Pod: "new", Bad: min(n, poisson(rng, n*c.w.rate*f)), Exposure: n, Received: 1, Fresh: true, Version: "1.5.0"}}
				}, harmed).outcome
			})
			return share(out, harmed)
		}
		placebo, found := run(1000, 1), run(100, 5)
		t.Logf("%s: placebo %.4f, x5 found %.2f", c.name, placebo, found)
		if placebo > .02 || found < .9 {
			t.Errorf("%s: placebos rolled back %.4f, want at most .02; x5 found %.2f, want .9", c.name, placebo, found)
		}
	}
}
