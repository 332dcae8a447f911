package analysis_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	baseline "github.com/release-assay/assay/analysis/history"
)

// requests are raw durations of one pod in one fold.
type requests struct {
	arm    analysis.Arm
	pod    string
	zone   string
	values []float64
}

// row counts the requests above the bounds.
func (r requests) row(bounds []float64) analysis.ArmRow {
	out := analysis.ArmRow{Arm: r.arm, Pod: r.pod, Stratum: r.zone, Exposure: float64(len(r.values)), Received: 1, Fresh: true, Version: "1.4.9"}
	if r.arm == analysis.Canary {
		out.Version = "1.5.0"
	}
	for _, b := range bounds {
		n := 0.0
		for _, v := range r.values {
			if v > b {
				n++
			}
		}
		out.Above = append(out.Above, n)
	}
	return out
}

// recordRequests draws folds of raw requests of some pods, in seconds, the canary factor
// times as slow.
func recordRequests(rng *rand.Rand, folds int, factor float64) [][]requests {
	out := make([][]requests, folds)
	for k := range out {
		for i := range 5 {
			r := requests{arm: analysis.Baseline, pod: fmt.Sprint("pod", i), zone: []string{"a", "b"}[i%2]}
			f := 1.0
			if i >= 3 {
				r.arm, f = analysis.Canary, factor
			}
			for range 20 + rng.IntN(30) {
				r.values = append(r.values, f*.1*math.Exp(.6*rng.NormFloat64()))
			}
			out[k] = append(out[k], r)
		}
	}
	return out
}

// scaled is the requests in another unit.
func scaled(folds [][]requests, by float64) [][]requests {
	out := make([][]requests, len(folds))
	for k := range folds {
		for _, r := range folds[k] {
			r.values = slices.Clone(r.values)
			for i := range r.values {
				r.values[i] *= by
			}
			out[k] = append(out[k], r)
		}
	}
	return out
}

// latencyPlan is a plan made of 5,000 requests before the deployment, in units of by
// seconds.
func latencyPlan(tb testing.TB, by float64, strata ...string) *analysis.Plan {
	tb.Helper()
	rng := rand.New(rand.NewPCG(8, 8))
	values := make([]float64, 5000)
	for i := range values {
		values[i] = .1 * math.Exp(.6*rng.NormFloat64()) * by
	}
	h, err := analysis.ExactHistogram(values)
	if err != nil {
		tb.Fatal(err)
	}
	in := settingsL.planInput(analysis.Facts{Spacing: tick, Distribution: h, History: analysis.History{Calibrated: true, Phi0: [3]float64{1, 1, 1}}})
	in.Policy.Objectives[0].Strata = strata
	p, err := analysis.NewPlan(in)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// judged folds the requests and returns the state's bytes after every fold.
func judged(tb testing.TB, p *analysis.Plan, folds [][]requests) (*analysis.State, [][]byte) {
	tb.Helper()
	s := newState(tb, p)
	var states [][]byte
	for _, rows := range folds {
		fold, _ := s.Next(0)
		e := analysis.Evidence{Objective: "latency", Fold: fold}
		for _, r := range rows {
			e.Rows = append(e.Rows, r.row(p.Objectives[0].Latency.Bounds))
		}
		if err := s.Fold(&e); err != nil {
			tb.Fatal(err)
		}
		s.Assess()
		data, err := s.Snapshot()
		if err != nil {
			tb.Fatal(err)
		}
		states = append(states, data)
	}
	return s, states
}

// The unit of a duration is nobody's business: nanoseconds and gigaseconds give the same
// evidence, bit for bit.
func TestLatencyUnitScaling(t *testing.T) {
	for _, factor := range []float64{1, 1.12, 1.5} {
		folds := recordRequests(rand.New(rand.NewPCG(3, uint64(10*factor))), 80, factor)
		want, _ := judged(t, latencyPlan(t, 1), folds)
		f := want.Describe()[0]
		for _, by := range []float64{1e-9, 1e-3, 1e3, 1e9} {
			got, _ := judged(t, latencyPlan(t, by), scaled(folds, by))
			g := got.Describe()[0]
			if g.ERollback != f.ERollback || g.EPromote != f.EPromote || g.State != f.State || g.N != f.N || math.Abs(float64(g.Effect/f.Effect)-1) > 1e-9 {
				t.Errorf("x%v in units of %v: %+v, want %+v", factor, by, g, f)
			}
		}
	}
}

// Into how many pods the requests are split makes no difference.
func TestLatencySplitting(t *testing.T) {
	folds := recordRequests(rand.New(rand.NewPCG(4, 4)), 60, 1.1)
	p := latencyPlan(t, 1)
	split := make([][]requests, len(folds))
	for k := range folds {
		for _, r := range folds[k] {
			for i := range 3 {
				part := r
				part.pod, part.values = fmt.Sprint(r.pod, "-", i), nil
				for j := i; j < len(r.values); j += 3 {
					part.values = append(part.values, r.values[j])
				}
				split[k] = append(split[k], part)
			}
		}
	}
	s, _ := judged(t, p, split)
	whole, _ := judged(t, p, folds)
	if a, b := s.Assess()[0], whole.Assess()[0]; a.ERollback != b.ERollback || a.EPromote != b.EPromote || a.N != b.N {
		t.Errorf("%+v, want %+v", a, b)
	}
}

// Nothing after fold k changes the states 1 to k.
func TestLatencySeesNoFuture(t *testing.T) {
	folds := recordRequests(rand.New(rand.NewPCG(5, 4)), 60, 1.2)
	p := latencyPlan(t, 1, "zone")
	_, whole := judged(t, p, folds)
	_, cut := judged(t, p, folds[:40])
	for k := range cut {
		if !bytes.Equal(cut[k], whole[k]) {
			t.Fatalf("the state after fold %d depends on what came later", k+1)
		}
	}
}

// One stratum is none.
func TestOneStratumIsNone(t *testing.T) {
	folds := recordRequests(rand.New(rand.NewPCG(6, 4)), 60, 1.1)
	for k := range folds {
		for i := range folds[k] {
			folds[k][i].zone = "only"
		}
	}
	a, _ := judged(t, latencyPlan(t, 1, "zone"), folds)
	for k := range folds {
		for i := range folds[k] {
			folds[k][i].zone = ""
		}
	}
	b, _ := judged(t, latencyPlan(t, 1), folds)
	if f, g := a.Assess()[0], b.Assess()[0]; f.ERollback != g.ERollback || f.EPromote != g.EPromote {
		t.Errorf("%+v, want %+v", f, g)
	}
}

// A slower canary never gets a softer verdict, at a dispersion of 1 and without restarts
// and the worst fold: one more request above each bound in every fold is more harm and
// less safety.
func TestMoreSlownessIsMoreHarm(t *testing.T) {
	in := settingsL.planInput(latencyFactsOf(t))
	in.Policy.Window.Deadline = analysis.Duration(10 * time.Minute)
	p, err := analysis.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	lastHarm, lastSafety := math.Inf(-1), math.Inf(1)
	for _, more := range []float64{0, 1, 2, 4, 8} {
		s := newState(t, p)
		for range 24 {
			fold, _ := s.Next(0)
			rows := make([]analysis.ArmRow, 2)
			for i, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary} {
				n := []float64{800, 200}[i]
				rows[i] = analysis.ArmRow{Arm: arm, Pod: "p", Exposure: n, Received: 1, Fresh: true}
				for _, b := range p.Objectives[0].Latency.Bounds {
					x := math.Round(n * settingsL.above(b, 1))
					if arm == analysis.Canary {
						x = min(n, x+more)
					}
					rows[i].Above = append(rows[i].Above, x)
				}
			}
			if err := s.Fold(&analysis.Evidence{Objective: "latency", Fold: fold, Rows: rows}); err != nil {
				t.Fatal(err)
			}
		}
		f := s.Assess()[0]
		harm, safety := s.Evidence(), float64(f.EPromote)
		if f.Phi != 1 {
			t.Fatalf("dispersion %v", f.Phi)
		}
		if !(harm > lastHarm) || !(safety < lastSafety) {
			t.Errorf("%v more: harm %v after %v, safety %v after %v", more, harm, lastHarm, safety, lastSafety)
		}
		lastHarm, lastSafety = harm, safety
	}
}

// latencyFactsOf is a history of dispersion 1.
func latencyFactsOf(t *testing.T) analysis.Facts {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	h := exactDay(settingsL, rng)
	bounds := analysis.LatencyBounds(settingsL.objective(), h)
	sums := make([]analysis.MinuteSum, 0, 4*150)
	for m := range 150 {
		for pod := range 4 {
			s := analysis.MinuteSum{Minute: deployedAt.Add(-time.Duration(150-m) * time.Minute), Pod: fmt.Sprint("pod", pod), Exposure: 1e4}
			for _, b := range bounds {
				s.Above = append(s.Above, math.Round(1e4*settingsL.above(b, 1)))
			}
			sums = append(sums, s)
		}
	}
	return analysis.Facts{Spacing: tick, Distribution: h, History: baseline.Learn(sums, deployedAt, .2, "seed")}
}
