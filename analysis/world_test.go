package analysis_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	baseline "github.com/release-assay/assay/analysis/history"
)

// deployedAt lies on the grid of every usual cadence.
var deployedAt = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// setting describes the objective and traffic of a simulated deployment: the
// service has rps requests a second with a swing of 30% over half an hour, of
// which the canary gets share, and fails rate of them.
type setting struct {
	cadence  time.Duration
	deadline time.Duration
	rps      float64
	share    float64
	rate     float64
	target   float64 // SLO; 0: none
}

// settingsE are those of statistics 13: 200 requests a second, a canary of 10%,
// 0.5% errors, one hour.
var settingsE = setting{cadence: 5 * time.Second, deadline: time.Hour, rps: 200, share: .1, rate: .005}

func (w setting) signal(name string) analysis.Signal {
	return analysis.Signal{
		Name: name, Source: "prometheus", Unit: "1", Shape: analysis.ShapeRatio,
		Bad:   &analysis.Selector{Metric: "requests_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpIn, Values: []string{"5xx"}}}},
		Total: &analysis.Selector{Metric: "requests_total"},
	}
}

// input is the plan input of one critical objective.
func (w setting) input(h analysis.History) analysis.PlanInput {
	return analysis.PlanInput{
		Deployment: analysis.Deployment{
			ID: "d1", Attempt: 1, StartedAt: deployedAt, Mode: analysis.Live,
			Release: analysis.Release{Environment: "prod", Namespace: "shop", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"},
			Steps:   []analysis.Step{{Index: 1, Total: 1, Weight: w.share, At: deployedAt}},
		},
		Policy: analysis.Policy{
			Name:          "checkout-prod",
			Objectives:    []analysis.Objective{{Name: "errors", Role: analysis.Critical, Target: w.target, Signal: w.signal("errors")}},
			Window:        analysis.Window{MinBake: analysis.Duration(10 * time.Minute), Deadline: analysis.Duration(w.deadline), OnUnderpowered: analysis.WaitUnderpowered},
			AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		},
		Facts: []analysis.Facts{{Spacing: w.cadence, History: h}},
	}
}

func (w setting) plan(tb testing.TB, h analysis.History) *analysis.Plan {
	tb.Helper()
	p, err := analysis.NewPlan(w.input(h))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func newState(tb testing.TB, p *analysis.Plan) *analysis.State {
	tb.Helper()
	s, err := analysis.NewState(p)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// exposure of both arms in the fold that ends t after the deployment.
func (w setting) exposure(t time.Duration) (nC, nB float64) {
	n := w.rps * w.cadence.Seconds() * (1 + .3*math.Sin(2*math.Pi*t.Minutes()/30))
	return math.Round(w.share * n), math.Round((1 - w.share) * n)
}

// baselinePods is how many pods the baseline of a simulated history has.
const baselinePods = 10

// history simulates a day of minute sums with the given way to draw counts, and
// learns from it.
func (w setting) history(rng *rand.Rand, seed string, draw drawer) analysis.History {
	const minutes = 24 * 60
	sums := make([]analysis.MinuteSum, 0, minutes*baselinePods)
	for m := range minutes {
		at := deployedAt.Add(-time.Duration(minutes-m) * time.Minute)
		n := math.Round(w.rps * 60 / baselinePods * (1 + .3*math.Sin(2*math.Pi*float64(m)/30)))
		for pod := range baselinePods {
			sums = append(sums, analysis.MinuteSum{Minute: at, Pod: fmt.Sprintf("baseline-%d", pod), Bad: min(n, draw(rng, w.rate*n)), Exposure: n})
		}
	}
	return baseline.Learn(sums, deployedAt, w.share, seed)
}

// histories is a pool of simulated histories, drawn once for all runs and rows of
// the tables: what a deployment learns varies, and is not the same for all.
func (w setting) histories(draw drawer) []analysis.History {
	pool := make([]analysis.History, 16)
	parallel(len(pool), func(i int) {
		pool[i] = w.history(rand.New(rand.NewPCG(77, uint64(i))), fmt.Sprint("seed", i), draw)
	})
	return pool
}

// The pools of settings E. Neither cadence nor target touches them.
var (
	poissonHistories   = sync.OnceValue(func() []analysis.History { return settingsE.histories(poisson) })
	clusteredHistories = sync.OnceValue(func() []analysis.History { return settingsE.histories(clustered) })
)

// A drawer draws a count of the given mean.
type drawer func(rng *rand.Rand, mean float64) float64

// poisson draws from Poisson(mean): by multiplication, in pieces that exp can hold.
func poisson(rng *rand.Rand, mean float64) float64 {
	k := 0.0
	for ; mean > 100; mean -= 100 {
		k += poisson(rng, 100)
	}
	limit, prod := math.Exp(-mean), rng.Float64()
	for prod > limit {
		prod *= rng.Float64()
		k++
	}
	return k
}

// clustered draws a count whose events come in clusters of geometric size, mean 3:
// the dispersion is E S^2/E S = 5.
func clustered(rng *rand.Rand, mean float64) float64 {
	total := 0.0
	for range int(poisson(rng, mean/3)) {
		total += 1 + math.Floor(math.Log(1-rng.Float64())/math.Log(2./3))
	}
	return total
}

// A rates function gives the true rates of both arms t after the deployment.
type rates func(t time.Duration) (pC, pB float64)

// steady are rates that stay as they are.
func steady(pC, pB float64) rates { return func(time.Duration) (float64, float64) { return pC, pB } }

// run folds a simulated deployment to its deadline, one pod an arm, and calls each
// after every fold with the time since the deployment, until it returns false.
func (w setting) run(tb testing.TB, p *analysis.Plan, rng *rand.Rand, draw drawer, r rates, each func(s *analysis.State, t time.Duration) bool) {
	s, err := analysis.NewState(p)
	if err != nil {
		tb.Error(err)
		return
	}
	s.HoldIntervals(1 << 11)
	rows := []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "b", Received: 1, Fresh: true, Version: "1.4.9"},
		{Arm: analysis.Canary, Pod: "c", Received: 1, Fresh: true, Version: "1.5.0"},
	}
	e := analysis.Evidence{Objective: "errors", Rows: rows}
	for {
		fold, left := s.Next(0)
		if !left {
			return
		}
		t := fold.End.Sub(deployedAt)
		nC, nB := w.exposure(t)
		pC, pB := r(t)
		rows[0].Exposure, rows[0].Bad = nB, min(nB, draw(rng, pB*nB))
		rows[1].Exposure, rows[1].Bad = nC, min(nC, draw(rng, pC*nC))
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

// parallel calls f for 0 to n-1 on all processors.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < n; i += workers {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// outcome is what came of one simulated deployment.
type outcome struct {
	harm   time.Duration // when the harm check was bad first; 0: never
	safety time.Duration // when safety was good after the bake first; 0: never
}

// simulate runs n deployments. Each has its own seed, so that the result does not
// depend on the number of processors. stop ends a run early.
func (w setting) simulate(tb testing.TB, n int, hist []analysis.History, draw drawer, r func(p *analysis.Plan) rates, stop func(outcome) bool) []outcome {
	plans := make([]*analysis.Plan, len(hist))
	for i := range hist {
		plans[i] = w.plan(tb, hist[i])
	}
	out := make([]outcome, n)
	parallel(n, func(i int) {
		p, o := plans[i%len(plans)], &out[i]
		bake := p.Window.MinBake.D()
		w.run(tb, p, rand.New(rand.NewPCG(20260304, uint64(i))), draw, r(p), func(s *analysis.State, t time.Duration) bool {
			f := s.Assess()[0]
			if o.harm == 0 && float64(f.ERollback) >= 1/p.AlphaRollback && s.Evidence() >= 1/p.AlphaRollback && s.Checks().Harm.State == analysis.Bad {
				o.harm = t
			}
			if o.safety == 0 && t >= bake && float64(f.EPromote) >= 1/p.AlphaPromote && s.Checks().Safety.State == analysis.Good {
				o.safety = t
			}
			return !stop(*o)
		})
	})
	return out
}

func harmed(o outcome) bool   { return o.harm > 0 }
func promoted(o outcome) bool { return o.safety > 0 }
func ended(o outcome) bool    { return harmed(o) || promoted(o) }

func share(all []outcome, what func(outcome) bool) float64 {
	n := 0
	for _, o := range all {
		if what(o) {
			n++
		}
	}
	return float64(n) / float64(len(all))
}

// medianMinutes is the median over all runs; never counts as infinite.
func medianMinutes(all []outcome, when func(outcome) time.Duration) float64 {
	v := make([]float64, len(all))
	for i, o := range all {
		v[i] = math.Inf(1)
		if t := when(o); t > 0 {
			v[i] = t.Minutes()
		}
	}
	slices.Sort(v)
	return v[(len(v)-1)/2]
}
