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

// A mixedWorld is a healthy service that is judged by objectives of every shape at
// once: ratios of every null, distributions of 160 buckets, levels and leaks.
type mixedWorld struct {
	cadence    time.Duration
	deadline   time.Duration
	ratios     []ratioKind
	latencies  int
	levels     int
	leaks      int
	strata     int // zones in which each pod serves; 0: not asked
	comparison analysis.Comparison
}

// A ratioKind is how often a ratio's events are bad, and its SLO.
type ratioKind struct{ rate, target float64 }

var (
	plainRatio  = ratioKind{rate: .005}
	slowBurn    = ratioKind{rate: .005, target: .98} // the affine null
	commonBad   = ratioKind{rate: .4}                // Bernoulli
	rareSuccess = ratioKind{rate: .95}               // good events are counted
)

// eightRatios are of every null; twentyObjectives are a validation with them.
var eightRatios = []ratioKind{plainRatio, slowBurn, commonBad, rareSuccess, plainRatio, slowBurn, plainRatio, slowBurn}

func twentyObjectives(cadence time.Duration) mixedWorld {
	return mixedWorld{cadence: cadence, deadline: 80 * time.Minute, ratios: eightRatios, latencies: 6, levels: 5, leaks: 1}
}

const (
	mixedBaselines = 3 // pods
	mixedCanaries  = 2
	bucketsOfMixed = 160
)

// mixedDurations is the day of a distribution that lies evenly, in logarithms, between
// an eighth and eight.
func mixedDurations() analysis.Histogram {
	schema := 5
	h := analysis.Histogram{Schema: &schema}
	for i := range bucketsOfMixed {
		h.Bounds = append(h.Bounds, math.Exp2(float64(i-bucketsOfMixed/2)*math.Exp2(-float64(schema))))
		h.Counts = append(h.Counts, 1e4)
	}
	h.Counts = append(h.Counts, 0)
	return h
}

// slowerThan is the share of mixedDurations that lies above a bound.
func slowerThan(bound float64) float64 {
	return max(0, min(1, (float64(bucketsOfMixed/2-1)-32*math.Log2(bound))/bucketsOfMixed))
}

func (w mixedWorld) input(tb testing.TB) analysis.PlanInput {
	tb.Helper()
	base := settingsE
	base.deadline = w.deadline
	in := base.input(analysis.History{})
	in.Policy.Comparison = w.comparison
	in.Policy.Objectives, in.Facts = nil, nil
	add := func(o analysis.Objective, f analysis.Facts) {
		o.Name, f.Spacing = fmt.Sprintf("%s-%d", o.Name, len(in.Policy.Objectives)), w.cadence
		if w.strata > 0 && o.Signal.Shape != analysis.ShapeLevel {
			o.Strata = []string{"zone"}
		}
		in.Policy.Objectives, in.Facts = append(in.Policy.Objectives, o), append(in.Facts, f)
	}
	for _, k := range w.ratios {
		add(analysis.Objective{Name: "ratio", Role: analysis.Critical, Target: k.target, Signal: base.signal("requests")},
			analysis.Facts{History: analysis.History{
				Calibrated: true, Minutes: 1440, Pods: 10, Phi0: [3]float64{1.2, 1.2, 1.2}, PhiBefore: [3]float64{1.2, 1.2, 1.2},
				Bad: 1e7 * k.rate, Exposure: 1e7, BadHour: 4e5 * k.rate, HourTotal: 4e5, HourSpan: 60,
			}})
	}
	for range w.latencies {
		o, h := settingsL.objective(), mixedDurations()
		bounds := analysis.LatencyBounds(o, h)
		past := &analysis.LatencyHistory{Exposure: 1e6, HourTotal: 4e5}
		for _, b := range bounds {
			past.Above, past.HourAbove = append(past.Above, 1e6*slowerThan(b)), append(past.HourAbove, 4e5*slowerThan(b))
			past.Phi0, past.PhiBefore = append(past.Phi0, [3]float64{1, 1, 1}), append(past.PhiBefore, [3]float64{1, 1, 1})
		}
		add(o, analysis.Facts{Distribution: h, History: analysis.History{Calibrated: true, Minutes: 1440, Pods: 10, Phi0: [3]float64{1, 1, 1}, Latency: past}})
	}
	for i := range w.levels + w.leaks {
		o := settingsG.objective()
		if i >= w.levels {
			o.Name, o.Leak = "leak", &analysis.Leak{Limit: 1000}
		}
		add(o, analysis.Facts{Step: w.cadence, History: w.levelHistory(o, uint64(i))})
	}
	return in
}

// levelHistory is what two pods held before the deployment, row by row.
func (w mixedWorld) levelHistory(o analysis.Objective, seed uint64) analysis.History {
	rng := rand.New(rand.NewPCG(31, seed))
	var sums []analysis.MinuteSum
	for m := 300; m > 0; m-- {
		for pod := range 2 {
			sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(-time.Duration(m) * w.cadence), Pod: fmt.Sprint(pod), Level: noisy(100, .05)(rng)})
		}
	}
	return baseline.LearnLevel(sums, deployedAt, w.cadence, .5, "seed", o)
}

func (w mixedWorld) plan(tb testing.TB) *analysis.Plan {
	tb.Helper()
	p, err := analysis.NewPlan(w.input(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// A mixedRun folds seeded rows of a mixedWorld; the same fold of the same objective
// has the same rows however it is come to.
type mixedRun struct {
	mixedWorld
	tb   testing.TB
	s    *analysis.State
	rows [][]analysis.ArmRow // of each objective, reused
	pcg  rand.PCG
	rng  *rand.Rand
}

func (w mixedWorld) run(tb testing.TB, s *analysis.State) *mixedRun {
	r := &mixedRun{mixedWorld: w, tb: tb, s: s}
	r.rng = rand.New(&r.pcg)
	for i := range s.Plan().Objectives {
		r.rows = append(r.rows, r.blank(&s.Plan().Objectives[i]))
	}
	return r
}

// blank are the rows of one objective, sorted by arm and pod, of which nothing is
// counted yet.
func (r *mixedRun) blank(o *analysis.PlannedObjective) []analysis.ArmRow {
	var rows []analysis.ArmRow
	add := func(arm analysis.Arm, pod, version string) {
		for zone := range max(1, len(o.Strata)*r.strata) {
			row := analysis.ArmRow{Arm: arm, Pod: pod, PodStart: deployedAt, Version: version, Received: 1, Fresh: true}
			if len(o.Strata) > 0 {
				row.Stratum = fmt.Sprint("zone-", zone)
			}
			if o.Latency != nil {
				row.Above = make([]float64, len(o.Latency.Bounds))
			}
			rows = append(rows, row)
		}
	}
	for pod := range mixedBaselines {
		add(analysis.Baseline, fmt.Sprint("b-", pod), "1.4.9")
	}
	for pod := range mixedCanaries {
		add(analysis.Canary, fmt.Sprint("c-", pod), "1.5.0")
	}
	return rows
}

// evidence draws the i-th objective's next fold.
func (r *mixedRun) evidence(i int) analysis.Evidence {
	o := &r.s.Plan().Objectives[i]
	fold, _ := r.s.Next(i)
	r.pcg.Seed(uint64(i), uint64(fold.End.Unix()))
	for j := range r.rows[i] {
		row := &r.rows[i][j]
		if o.Signal.Shape == analysis.ShapeLevel {
			row.Level = 100 * math.Exp(.05*r.rng.NormFloat64())
			continue
		}
		row.Exposure = float64(200 + r.rng.IntN(200))
		if row.Arm == analysis.Canary {
			row.Exposure = float64(40 + r.rng.IntN(40))
		}
		if o.Latency == nil {
			row.Bad = math.Floor(row.Exposure*r.ratios[i].rate*(.9+.2*r.rng.Float64()) + r.rng.Float64())
			row.Bad = min(row.Bad, row.Exposure)
			continue
		}
		least := row.Exposure
		for k, b := range o.Latency.Bounds {
			least = min(least, math.Floor(row.Exposure*slowerThan(b)*(.95+.1*r.rng.Float64())+r.rng.Float64()))
			row.Above[k] = least
		}
	}
	return analysis.Evidence{Objective: o.Name, Fold: fold, Rows: r.rows[i]}
}

// look folds every objective whose next fold ends by then, and assesses.
func (r *mixedRun) look(until time.Time) {
	for i := range r.rows {
		for {
			fold, left := r.s.Next(i)
			if !left || fold.End.After(until) {
				break
			}
			e := r.evidence(i)
			if err := r.s.Fold(&e); err != nil {
				r.tb.Fatal(err)
			}
		}
	}
	r.s.Assess()
}

// looks folds n cadences, from the one after the first.
func (r *mixedRun) looks(from, to int) *mixedRun {
	for k := from + 1; k <= to; k++ {
		r.look(deployedAt.Add(time.Duration(k) * r.cadence))
	}
	return r
}
