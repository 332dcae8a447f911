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

// levelWorld is a service whose pods hold a level: a load that all share (AR .95,
// 20 %) and noise of each pod. The defaults are settings G of statistics 13: a canary
// of one pod whose noise is 8 %, against seven whose mean varies by 3 %.
type levelWorld struct {
	cadence  time.Duration
	deadline time.Duration
	warmup   time.Duration
	canary   int // pods
	baseline int
	phi      float64 // of a pod's noise, row by row
	slowPhi  float64 // of a second component of the same variance; 0: none
	sd       float64 // of a pod's noise
	podSD    float64 // between pods
	heavy    bool    // one innovation in a hundred is ten times as large
	load     float64 // standard deviation of the load that all share, AR .95
	control  bool    // pods outside of the change hold the load alone
	past     time.Duration
	target   func(*analysis.Objective)
	window   analysis.Comparison
}

var settingsG = levelWorld{
	cadence: 15 * time.Second, deadline: time.Hour, canary: 1, baseline: 7, phi: .9, sd: .08, load: .2, past: 24 * time.Hour,
}

func (w levelWorld) objective() analysis.Objective {
	o := analysis.Objective{
		Name: "cpu", Role: analysis.Critical,
		Signal: analysis.Signal{Name: "cpu", Source: "prometheus", Unit: "s", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "cpu"}},
	}
	if w.target != nil {
		w.target(&o)
	}
	return o
}

// noisyPod is one pod's noise.
type noisyPod struct{ offset, fast, slow float64 }

// pods draws n of them, in the stationary state.
func (w levelWorld) pods(rng *rand.Rand, n int) []noisyPod {
	out := make([]noisyPod, n)
	for i := range out {
		out[i] = noisyPod{w.podSD * rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
	}
	return out
}

// next moves a pod by one row and returns its deviation.
func (w levelWorld) next(rng *rand.Rand, p *noisyPod) float64 {
	innovation := math.Sqrt(1-w.phi*w.phi) * rng.NormFloat64()
	if w.heavy && rng.IntN(100) == 0 {
		innovation *= 10
	}
	p.fast = w.phi*p.fast + innovation
	if w.slowPhi == 0 {
		return p.offset + w.sd*p.fast
	}
	p.slow = w.slowPhi*p.slow + math.Sqrt(1-w.slowPhi*w.slowPhi)*rng.NormFloat64()
	return p.offset + w.sd*math.Sqrt(.5)*(p.fast+p.slow)
}

// history simulates the time before the deployment and learns from it.
func (w levelWorld) history(rng *rand.Rand, seed string) analysis.History {
	n := w.canary + w.baseline
	pods, load := w.pods(rng, n), rng.NormFloat64()
	var sums, control []analysis.MinuteSum
	for t := w.past; t > 0; t -= w.cadence {
		load = .95*load + math.Sqrt(1-.95*.95)*rng.NormFloat64()
		if w.control {
			control = append(control, analysis.MinuteSum{Minute: deployedAt.Add(-t), Pod: "other", Level: 100 * math.Exp(w.load*load)})
		}
		for i := range pods {
			sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(-t), Pod: fmt.Sprint("pod-", i), Level: 100 * math.Exp(w.load*load+w.next(rng, &pods[i]))})
		}
	}
	share := float64(w.canary) / float64(n)
	return baseline.LearnLevel(sums, deployedAt, w.cadence, share, seed, w.objective(), control...)
}

func (w levelWorld) histories(n int) []analysis.History {
	pool := make([]analysis.History, n)
	parallel(n, func(i int) {
		pool[i] = w.history(rand.New(rand.NewPCG(78, uint64(i))), fmt.Sprint("seed", i))
	})
	return pool
}

func (w levelWorld) input(h analysis.History) analysis.PlanInput {
	in := settingsE.input(analysis.History{})
	in.Deployment.Steps[0].Weight = float64(w.canary) / float64(w.canary+w.baseline)
	in.Policy.Objectives = []analysis.Objective{w.objective()}
	in.Policy.Window.Deadline, in.Policy.Window.Warmup = analysis.Duration(w.deadline), analysis.Duration(w.warmup)
	in.Policy.Comparison = w.window
	in.Facts = []analysis.Facts{{Spacing: w.cadence, Step: w.cadence, History: h}}
	return in
}

func (w levelWorld) plan(tb testing.TB, h analysis.History) *analysis.Plan {
	tb.Helper()
	p, err := analysis.NewPlan(w.input(h))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// simulate runs n deployments whose canary's level is that of a baseline pod times
// effect(t), in the way of setting.simulate: minBake does not delay safety.
func (w levelWorld) simulate(tb testing.TB, n int, pool []analysis.History, effect func(t time.Duration) float64, stop func(outcome) bool) []outcome {
	plans := make([]*analysis.Plan, len(pool))
	for i := range pool {
		plans[i] = w.plan(tb, pool[i])
	}
	out := make([]outcome, n)
	parallel(n, func(i int) {
		p, o := plans[i%len(plans)], &out[i]
		s, err := analysis.NewState(p)
		if err != nil {
			tb.Error(err)
			return
		}
		rng := rand.New(rand.NewPCG(20260305, uint64(i)))
		pods, load := w.pods(rng, w.canary+w.baseline), rng.NormFloat64()
		rows := w.rows()
		e := analysis.Evidence{Objective: "cpu", Rows: rows}
		for !stop(*o) {
			fold, left := s.Next(0)
			if !left {
				return
			}
			t := fold.End.Sub(deployedAt)
			load = .95*load + math.Sqrt(1-.95*.95)*rng.NormFloat64()
			for j := range rows {
				switch rows[j].Arm {
				case analysis.Control:
					rows[j].Level = 100 * math.Exp(w.load*load)
				case analysis.Canary:
					rows[j].Level = 100 * math.Exp(w.load*load+w.next(rng, &pods[j])) * effect(t)
				default:
					rows[j].Level = 100 * math.Exp(w.load*load+w.next(rng, &pods[j]))
				}
			}
			e.Fold = fold
			if err := s.Fold(&e); err != nil {
				tb.Error(err)
				return
			}
			s.Assess()
			if o.harm == 0 && s.Evidence() >= 1/p.AlphaRollback && s.Checks().Harm.State == analysis.Bad {
				o.harm = t
			}
			if o.safety == 0 && float64(s.Assess()[0].EPromote) >= 1/p.AlphaPromote && s.Checks().Safety.State == analysis.Good {
				o.safety = t
			}
		}
	})
	return out
}

// rows are those of one fold, levels to be filled in.
func (w levelWorld) rows() []analysis.ArmRow {
	var rows []analysis.ArmRow
	for i := range w.baseline {
		rows = append(rows, analysis.ArmRow{Arm: analysis.Baseline, Pod: fmt.Sprintf("b-%02d", i), Received: 1, Fresh: true, Version: "1.4.9"})
	}
	for i := range w.canary {
		rows = append(rows, analysis.ArmRow{Arm: analysis.Canary, Pod: fmt.Sprintf("c-%02d", i), Received: 1, Fresh: true, Version: "1.5.0"})
	}
	if w.control {
		rows = append(rows, analysis.ArmRow{Arm: analysis.Control, Pod: "other", Received: 1, Fresh: true, Version: "7"})
	}
	return rows
}

func lasting(f float64) func(time.Duration) float64 { return func(time.Duration) float64 { return f } }
