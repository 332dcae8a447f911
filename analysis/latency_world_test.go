package analysis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	baseline "github.com/release-assay/assay/analysis/history"
)

// latencySetting describes a service whose requests take lognormal times: settings L
// of statistics 13 have 50 requests a second, a canary of 20%, a median of 100 ms with
// sigma 0.6 and an hour of time.
type latencySetting struct {
	cadence  time.Duration
	deadline time.Duration
	rps      float64
	share    float64
	median   float64 // seconds
	sigma    float64
	unit     float64 // of the signal, in seconds
	layout   layout
}

var settingsL = latencySetting{cadence: 5 * time.Second, deadline: time.Hour, rps: 50, share: .2, median: .1, sigma: .6, unit: 1, layout: exact}

// A layout is how the service counts its durations.
type layout struct {
	name string
	day  func(w latencySetting, rng *rand.Rand) analysis.Histogram // what a day looks like
}

var (
	exact   = layout{"exact", exactDay}
	classic = layout{"classic", classicDay}
)

// above is the share of requests that take longer than v units when all take factor
// times as long.
func (w latencySetting) above(v, factor float64) float64 {
	return .5 * math.Erfc(math.Log(v*w.unit/(w.median*factor))/w.sigma/math.Sqrt2)
}

// exactDay is the histogram of 20,000 single requests.
func exactDay(w latencySetting, rng *rand.Rand) analysis.Histogram {
	values := make([]float64, 20_000)
	for i := range values {
		values[i] = w.median / w.unit * math.Exp(w.sigma*rng.NormFloat64())
	}
	h, err := analysis.ExactHistogram(values)
	if err != nil {
		panic(err)
	}
	return h
}

// daily is how many requests a day has that histograms count.
const daily = 3_456_000

// counts are those of a day of requests between the bounds.
func (w latencySetting) counts(bounds []float64) []float64 {
	out := make([]float64, 0, len(bounds)+1)
	last := 1.0
	for _, b := range bounds {
		s := w.above(b, 1)
		out = append(out, math.Round(daily*(last-s)))
		last = s
	}
	return append(out, math.Round(daily*last))
}

// exponential is the layout of a native histogram of that schema.
func exponential(schema int) layout {
	return layout{fmt.Sprint("schema ", schema), func(w latencySetting, _ *rand.Rand) analysis.Histogram {
		g := math.Exp2(math.Exp2(-float64(schema)))
		var bounds []float64
		for i := math.Floor(math.Log(.002/w.unit) / math.Log(g)); ; i++ {
			b := math.Exp2(i * math.Exp2(-float64(schema)))
			bounds = append(bounds, b)
			if w.above(b, 1) < .1/daily {
				break
			}
		}
		counts := w.counts(bounds)
		return analysis.Histogram{Bounds: bounds, Counts: counts, Schema: &schema}
	}}
}

// classicDay has the buckets that Prometheus' client libraries have by default.
func classicDay(w latencySetting, _ *rand.Rand) analysis.Histogram {
	bounds := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	for i := range bounds {
		bounds[i] /= w.unit
	}
	return analysis.Histogram{Bounds: bounds, Counts: w.counts(bounds)}
}

func (w latencySetting) objective() analysis.Objective {
	return analysis.Objective{
		Name: "latency", Role: analysis.Critical,
		Signal: analysis.Signal{Name: "latency", Source: "prometheus", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "duration_seconds"}},
	}
}

// A slowdown is by which factor the requests of both arms take longer t after the
// deployment, and which share of the canary's takes spiked times as long in addition.
type slowdown struct {
	factor func(t time.Duration) (canary, baseline float64)
	share  float64
	spiked float64
	noise  float64 // sd of the log factor by which a pod differs from the others in a minute
}

// by is a canary that takes factor times as long.
func by(factor float64) slowdown {
	return slowdown{factor: func(time.Duration) (float64, float64) { return factor, 1 }}
}

// noisy is s among pods that differ.
func (s slowdown) noisy(noise float64) slowdown {
	s.noise = noise
	return s
}

// tail has a share of the canary's requests take spiked times as long.
func tail(share, spiked float64) slowdown {
	s := by(1)
	s.share, s.spiked = share, spiked
	return s
}

// sharedSlowness has both arms take twice as long for five minutes twice.
func sharedSlowness(factor float64) slowdown {
	return slowdown{factor: func(t time.Duration) (float64, float64) {
		if m := t.Minutes(); 12 < m && m <= 17 || 40 < m && m <= 45 {
			return 2 * factor, 2
		}
		return factor, 1
	}}
}

// input is the plan's, after a simulated day of the service.
func (w latencySetting) input(rng *rand.Rand, seed string, noise float64) analysis.PlanInput {
	o := w.objective()
	h := w.layout.day(w, rng)
	bounds := analysis.LatencyBounds(o, h)
	const minutes = 24 * 60
	sums := make([]analysis.MinuteSum, 0, minutes*baselinePods)
	for m := range minutes {
		at := deployedAt.Add(-time.Duration(minutes-m) * time.Minute)
		for pod := range baselinePods {
			n, above := w.draw(rng, bounds, w.rps*60/baselinePods, math.Exp(noise*rng.NormFloat64()), 0, 1)
			sums = append(sums, analysis.MinuteSum{Minute: at, Pod: fmt.Sprintf("baseline-%d", pod), Exposure: n, Above: above})
		}
	}
	return w.planInput(analysis.Facts{Spacing: w.cadence, History: baseline.Learn(sums, deployedAt, w.share, seed), Distribution: h})
}

// draw draws how many requests there are of a mean, and how many of them lie above each
// bound. Requests come as a Poisson process, so what lies between two bounds does, too.
func (w latencySetting) draw(rng *rand.Rand, bounds []float64, mean, factor, share, spiked float64) (n float64, above []float64) {
	above = make([]float64, len(bounds))
	last := 0.0
	for i := len(bounds) - 1; i >= -1; i-- {
		s := 1.0
		if i >= 0 {
			s = (1-share)*w.above(bounds[i], factor) + share*w.above(bounds[i], factor*spiked)
		}
		n += poisson(rng, mean*(s-last))
		last = s
		if i >= 0 {
			above[i] = n
		}
	}
	return n, above
}

// run folds a simulated deployment and calls each after every fold, until it returns
// false.
func (w latencySetting) run(tb testing.TB, p *analysis.Plan, rng *rand.Rand, slow slowdown, each func(s *analysis.State, t time.Duration) bool) {
	s, err := analysis.NewState(p)
	if err != nil {
		tb.Error(err)
		return
	}
	rows := []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "b", Received: 1, Fresh: true, Version: "1.4.9"},
		{Arm: analysis.Canary, Pod: "c", Received: 1, Fresh: true, Version: "1.5.0"},
	}
	e := analysis.Evidence{Objective: "latency", Rows: rows}
	bounds := p.Objectives[0].Latency.Bounds
	noiseC, noiseB := 1.0, 1.0
	minute := time.Duration(-1)
	for {
		fold, left := s.Next(0)
		if !left {
			return
		}
		t := fold.End.Sub(deployedAt)
		n := w.rps * w.cadence.Seconds()
		if now := t.Truncate(time.Minute); slow.noise > 0 && now != minute { // a canary of two pods, a baseline of eight
			minute = now
			noiseC, noiseB = math.Exp(slow.noise/math.Sqrt2*rng.NormFloat64()), math.Exp(slow.noise/math.Sqrt(8)*rng.NormFloat64())
		}
		fC, fB := slow.factor(t)
		fC, fB = fC*noiseC, fB*noiseB
		rows[0].Exposure, rows[0].Above = w.draw(rng, bounds, (1-w.share)*n, fB, 0, 1)
		rows[1].Exposure, rows[1].Above = w.draw(rng, bounds, w.share*n, fC, slow.share, max(1, slow.spiked))
		e.Fold = fold
		if err := s.Fold(&e); err != nil {
			tb.Error(err)
			return
		}
		s.Assess()
		if !each(s, t) {
			return
		}
	}
}

// days are what was learned before the deployment, drawn once for all runs and cadences.
var days sync.Map

// plans is a pool of plans, each with a history of its own.
func (w latencySetting) plans(tb testing.TB, noise float64) []*analysis.Plan {
	tb.Helper()
	const n = 4
	draw := sync.OnceValue(func() []analysis.Facts {
		facts := make([]analysis.Facts, n)
		parallel(n, func(i int) {
			facts[i] = w.input(rand.New(rand.NewPCG(78, uint64(i))), fmt.Sprint("seed", i), noise).Facts[0]
		})
		return facts
	})
	cached, _ := days.LoadOrStore(fmt.Sprint(w.layout.name, noise, w.unit), draw)
	pool := make([]*analysis.Plan, n)
	for i, facts := range cached.(func() []analysis.Facts)() {
		facts.Spacing = w.cadence
		in := w.planInput(facts)
		p, err := analysis.NewPlan(in)
		if err != nil {
			tb.Fatal(err)
		}
		pool[i] = p
	}
	return pool
}

// planInput is the plan's, given what was learned.
func (w latencySetting) planInput(facts analysis.Facts) analysis.PlanInput {
	base := settingsE
	base.cadence, base.deadline, base.share = w.cadence, w.deadline, w.share
	in := base.input(facts.History)
	in.Policy.Objectives = []analysis.Objective{w.objective()}
	in.Facts[0] = facts
	return in
}

// simulate is setting.simulate for durations. Safety counts from the first fold on: how
// fast it is shown is asked, not when the bake is over.
func (w latencySetting) simulate(tb testing.TB, n int, pool []*analysis.Plan, slow slowdown, stop func(outcome) bool) []outcome {
	out := make([]outcome, n)
	parallel(n, func(i int) {
		p, o := pool[i%len(pool)], &out[i]
		w.run(tb, p, rand.New(rand.NewPCG(20260305, uint64(i))), slow, func(s *analysis.State, t time.Duration) bool {
			f := s.Assess()[0]
			if o.harm == 0 && float64(f.ERollback) >= 1/p.AlphaRollback && s.Checks().Harm.State == analysis.Bad {
				o.harm = t
			}
			if o.safety == 0 && float64(f.EPromote) >= 1/p.AlphaPromote && s.Checks().Safety.State == analysis.Good {
				o.safety = t
			}
			return !stop(*o)
		})
	})
	return out
}
