package analysis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	baseline "github.com/release-assay/assay/analysis/history"
)

// leakWorld is a service whose memory is 500 MiB a pod, with noise such that the
// difference of one pod from another varies by 15.8 MiB, one in 4.75 minutes
// independent (statistics 6). A pod's cache fills by 100 MiB in its first 15 minutes.
type leakWorld struct {
	deadline time.Duration
	limit    float64
	age      time.Duration // of the baseline's pod at the deployment
	noPast   bool
	higher   bool // free memory is measured: less is worse
}

const (
	leakSD  = 15.8 / math.Sqrt2
	leakPhi = .652
)

func (w leakWorld) objective() analysis.Objective {
	o := analysis.Objective{
		Name: "memory", Role: analysis.Critical, Leak: &analysis.Leak{Limit: w.limit},
		Signal: analysis.Signal{Name: "memory", Source: "prometheus", Unit: "MiB", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "memory"}},
	}
	if w.higher {
		o.Signal.Better = analysis.BetterHigher
	}
	return o
}

// memory is the level of a pod of some age that leaks b MiB a minute.
func (w leakWorld) memory(noise, age, leaked float64) float64 {
	used := 400 + 100*min(1, age/15) + leaked + leakSD*noise
	if w.higher {
		return 2000 - used
	}
	return used
}

func ar(rng *rand.Rand, v, phi float64) float64 {
	return phi*v + math.Sqrt(1-phi*phi)*rng.NormFloat64()
}

func (w leakWorld) plan(tb testing.TB, seed uint64) *analysis.Plan {
	rng := rand.New(rand.NewPCG(79, seed))
	var sums []analysis.MinuteSum
	noise := [2]float64{rng.NormFloat64(), rng.NormFloat64()}
	for m := 24 * 60; m > 0 && !w.noPast; m-- {
		for i := range noise {
			noise[i] = ar(rng, noise[i], leakPhi)
			sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(-time.Duration(m) * time.Minute), Pod: fmt.Sprint("old-", i), Level: w.memory(noise[i], 100, 0)})
		}
	}
	in := settingsE.input(analysis.History{})
	in.Policy.Objectives = []analysis.Objective{w.objective()}
	in.Policy.Window.Deadline = analysis.Duration(w.deadline)
	in.Facts = []analysis.Facts{{Spacing: 15 * time.Second, History: baseline.LearnLevel(sums, deployedAt, time.Minute, .5, fmt.Sprint(seed), w.objective())}}
	p, err := analysis.NewPlan(in)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// run folds one deployment whose canary leaks b MiB a minute from the given minute on.
func (w leakWorld) run(tb testing.TB, p *analysis.Plan, seed uint64, b, from float64) (o outcome, last *analysis.State) {
	s, err := analysis.NewState(p)
	if err != nil {
		tb.Error(err)
		return o, s
	}
	rng := rand.New(rand.NewPCG(20260306, seed))
	rows := []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "b", PodStart: deployedAt.Add(-w.age), Received: 1, Fresh: true, Version: "1.4.9"},
		{Arm: analysis.Canary, Pod: "c", PodStart: deployedAt, Received: 1, Fresh: true, Version: "1.5.0"},
	}
	noise := [2]float64{rng.NormFloat64(), rng.NormFloat64()}
	e := analysis.Evidence{Objective: "memory", Rows: rows}
	for o.harm == 0 {
		fold, left := s.Next(0)
		if !left {
			break
		}
		t := fold.End.Sub(deployedAt)
		for i := range noise {
			noise[i] = ar(rng, noise[i], leakPhi)
		}
		rows[0].Level = w.memory(noise[0], (t + w.age).Minutes(), 0)
		rows[1].Level = w.memory(noise[1], t.Minutes(), b*max(0, t.Minutes()-from))
		e.Fold = fold
		if err := s.Fold(&e); err != nil {
			tb.Error(err)
			return o, s
		}
		s.Assess()
		if s.Checks().Harm.State == analysis.Bad {
			o.harm = t
		}
		if o.safety == 0 && s.Checks().Safety.State == analysis.Good {
			o.safety = t
		}
	}
	return o, s
}

func (w leakWorld) simulate(tb testing.TB, n int, b, from float64) []outcome {
	out := make([]outcome, n)
	plans := make([]*analysis.Plan, 8)
	for i := range plans {
		plans[i] = w.plan(tb, uint64(i))
	}
	parallel(n, func(i int) { out[i], _ = w.run(tb, plans[i%len(plans)], uint64(i), b, from) })
	return out
}

func TestLeakPower(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name    string
		w       leakWorld
		b, from float64
		minutes float64 // at the median at most
	}{
		{"0.5 MiB/min", leakWorld{deadline: 4 * time.Hour}, .5, 0, 116},
		{"1 MiB/min", leakWorld{deadline: 4 * time.Hour}, 1, 0, 78},
		{"2 MiB/min", leakWorld{deadline: 4 * time.Hour}, 2, 0, 53},
		{"5 MiB/min", leakWorld{deadline: 4 * time.Hour}, 5, 0, 35},
		{"5 MiB/min of free memory", leakWorld{deadline: 4 * time.Hour, higher: true}, 5, 0, 35},
		{"5 MiB/min, from minute 100 on", leakWorld{deadline: 4 * time.Hour}, 5, 100, 160},
	} {
		all := c.w.simulate(t, 200, c.b, c.from)
		got, median := share(all, harmed), medianMinutes(all, func(o outcome) time.Duration { return o.harm })
		t.Logf("%s: rolled back in %.3f, median %.0f min", c.name, got, median)
		if median > c.minutes {
			t.Errorf("%s: rolled back in %.3f after %.0f min, want %.0f", c.name, got, median, c.minutes)
		}
	}
}

func TestLeakFalseRollbacks(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name string
		w    leakWorld
		b    float64
	}{
		{"null", leakWorld{deadline: 2 * time.Hour}, 0},
		{"null, no history", leakWorld{deadline: 2 * time.Hour, noPast: true}, 0},
		{"the allowed slope", leakWorld{deadline: 2 * time.Hour, limit: 500 + 1440}, 1},
		{"a baseline of old pods", leakWorld{deadline: 2 * time.Hour, age: time.Hour}, 0},
	} {
		const runs = 300
		got := share(c.w.simulate(t, runs, c.b, 0), harmed)
		t.Logf("%s: rolled back in %.4f of %d runs", c.name, got, runs)
		if got > limit(.01, runs) {
			t.Errorf("%s: rolled back in %.4f of %d runs", c.name, got, runs)
		}
	}
}

// A critical leak promotes by the end of the bake that would have shown it, and hardly
// ever one that is twice what the limit allows.
func TestLeakPromotes(t *testing.T) {
	slow(t)
	w := leakWorld{deadline: 2 * time.Hour, limit: 500 + 2*1440} // 2 MiB a minute reach it within the day
	bake := w.plan(t, 0).Objectives[0].Level.Bake
	if bake < 40 || bake > 50 {
		t.Errorf("bake of %v minutes, want about 44 (statistics 6)", bake)
	}
	all := w.simulate(t, 200, 0, 0)
	healthy, median := share(all, promoted), medianMinutes(all, func(o outcome) time.Duration { return o.safety })
	t.Logf("healthy: promoted in %.3f, median %.0f min; bake %.0f", healthy, median, float64(bake))
	if healthy < .95 || median < 40 || median > 52 {
		t.Errorf("healthy: promoted in %.3f after %.0f min, want .95 at the end of the bake", healthy, median)
	}
	leaking := share(w.simulate(t, 200, 4, 0), promoted)
	t.Logf("twice the allowed slope: promoted in %.3f", leaking)
	if leaking > limit(.05, 200) {
		t.Errorf("twice the allowed slope: promoted in %.3f", leaking)
	}
}
