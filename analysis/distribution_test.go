package analysis

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis/stats"
)

func TestExactThresholds(t *testing.T) {
	o := durations()
	plan := planLatency(o, evenly(2000))
	if len(plan.Thresholds) != 4 || len(plan.Untested) != 0 {
		t.Fatalf("%+v", plan)
	}
	for i, want := range []struct{ p, b, share float64 }{{.5, 1000, .5}, {.9, 1800, .1}, {.95, 1900, .05}, {.99, 1980, .01}} {
		c := plan.Thresholds[i]
		if c.Form != FormExact || !slices.Equal(c.Quantiles, []float64{want.p}) || c.Weight != .25 || c.Critical != (want.p >= .95) ||
			plan.Bounds[c.Baseline] != want.b || plan.Bounds[c.Harm] != 1.05*want.b || plan.Bounds[c.Safety] != 1.2*want.b ||
			c.RhoR != 1 || c.RhoP != 1 || !near(c.EffectiveTolerance, .05) || !near(c.EffectiveMargin, .2) || !near(c.Share, want.share) || c.Tau != want.b {
			t.Errorf("p%v: %+v at %v", want.p, c, plan.Bounds)
		}
		if !(c.TauLow < c.Tau && c.Tau < c.TauHigh) {
			t.Errorf("p%v: %v is not inside %v to %v", want.p, c.Tau, c.TauLow, c.TauHigh)
		}
	}
	if !slices.IsSorted(plan.Bounds) || len(plan.Bounds) != 12 {
		t.Errorf("bounds %v", plan.Bounds)
	}
}

// Native and exponential histograms: b at or above the quantile, the tolerance at the
// next bound up, the margin at the next one down.
func TestRoundedThresholds(t *testing.T) {
	for schema, want := range map[int][2]float64{3: {.0905, .1892}, 4: {.0905, .1892}, 5: {.0671, .1892}, 6: {.0556, .1892}, 8: {.0528, .1989}} {
		g := exponentialBound(schema, 1)
		counts := make([]float64, 0, 400)
		n := int(math.Log(1000) / math.Log(g))
		for i := range n {
			counts = append(counts, 1e6*(math.Pow(g, -float64(i))-math.Pow(g, -float64(i+1))))
		}
		plan := planLatency(durations(), exponentialOf(schema, 1, counts...)) // 1/v lies above v
		if len(plan.Thresholds) != 4 {
			t.Fatalf("schema %d: %+v", schema, plan.Untested)
		}
		wide := g
		if schema == 4 { // buckets of schema 3 do as well
			wide *= g
		}
		for _, c := range plan.Thresholds {
			b := plan.Bounds[c.Baseline]
			if c.Form != FormRounded || b < c.Tau || b > c.Tau*wide || c.RhoR != 1 || c.RhoP != 1 ||
				!closeTo(c.EffectiveTolerance, want[0], 5e-5) || !closeTo(c.EffectiveMargin, want[1], 5e-5) ||
				!near(plan.Bounds[c.Harm]/b-1, c.EffectiveTolerance) || !near(plan.Bounds[c.Safety]/b-1, c.EffectiveMargin) {
				t.Errorf("schema %d: %+v at %v", schema, c, plan.Bounds)
			}
		}
	}
}

// Classic buckets too coarse for a tolerance of 5 %: a tail of slope 1 makes 1.05 of
// it, and quantiles in one bucket are one threshold.
func TestSlopeThresholds(t *testing.T) {
	plan := planLatency(durations(), paretoBuckets(1e9, 1, 2.5, 5, 10, 25, 50, 100, 250))
	if !reflect.DeepEqual(plan.Bounds, []float64{2.5, 10, 25, 100}) || len(plan.Thresholds) != 4 {
		t.Fatalf("%+v", plan)
	}
	for _, c := range plan.Thresholds {
		if c.Form != FormSlope || c.Harm != c.Baseline || c.Safety != c.Baseline || !closeTo(c.RhoR, 1.05, 1e-4) || !closeTo(c.RhoP, 1.2, 1e-3) ||
			!closeTo(c.Slope, 1, 1e-3) || !closeTo(c.EffectiveTolerance, .05, 1e-3) || !closeTo(c.EffectiveMargin, .2, 1e-3) {
			t.Errorf("%+v", c)
		}
	}

	// The steeper neighbour makes the tolerance, the flatter one the margin.
	steep := Histogram{Bounds: []float64{1, 2, 4}, Counts: []float64{4e8, 5e8, 1e8 - 1e6, 1e6}} // 6e8, 1e8, 1e6 above
	plan = planLatency(durations(), steep)
	c := plan.Thresholds[0]
	flat, sharp := math.Log2(6), math.Log2(100)
	if !reflect.DeepEqual(c.Quantiles, []float64{.5, .9, .95}) || c.Weight != 1 || len(plan.Untested) != 1 || !closeTo(c.RhoR, math.Pow(1.05, sharp), 1e-2) || c.RhoR < math.Pow(1.05, sharp) ||
		!closeTo(c.RhoP, math.Pow(1.2, flat), 1e-2) || c.RhoP > math.Pow(1.2, flat) {
		t.Errorf("%+v", c)
	}

	// Few observations leave the slope uncertain, which costs on both sides.
	few := planLatency(durations(), paretoBuckets(2000, 1, 2.5, 5, 10, 25, 50, 100, 250))
	if c := few.Thresholds[0]; !(c.RhoR > 1.051) || !(c.RhoP < 1.19) {
		t.Errorf("of 2000 observations the slope is known to %v and %v", c.RhoR, c.RhoP)
	}
}

func TestUntestedQuantiles(t *testing.T) {
	for _, c := range []struct {
		name string
		h    Histogram
		want map[float64]string // part of why
	}{
		{"no history", Histogram{}, map[float64]string{.5: "0 observations before the deployment, 20 are needed", .9: "100", .95: "200", .99: "1000 are needed"}},
		{"too few", evenly(999), map[float64]string{.99: "999 observations before the deployment, 1000 are needed"}},
		{"just enough", evenly(1000), nil},
		{
			"beyond the buckets",
			Histogram{Bounds: []float64{1, 2, 4, 8}, Counts: []float64{100, 700, 60, 60, 80}},
			map[float64]string{.95: "above the highest bucket, 8 s", .99: "above the highest bucket, 8 s"},
		},
		{"in the lowest bucket", Histogram{Bounds: []float64{1, 2, 4}, Counts: []float64{600, 350, 45, 25}}, map[float64]string{.5: "lowest bucket, up to 1 s", .99: "above the highest"}},
		{"nothing beyond", Histogram{Bounds: []float64{1, 2, 4, 8}, Counts: []float64{100, 900, 0, 0, 0}}, map[float64]string{.5: "only 0 observations lie above it", .9: "only 0", .95: "only 0", .99: "only 0"}},
		{"all at the largest", Histogram{Exact: true, Bounds: []float64{1, 7}, Counts: []float64{700, 700, 0}}, map[float64]string{.9: "nothing was observed above it, 7 s", .95: "nothing", .99: "nothing"}},
		{"all zero", Histogram{Exact: true, Bounds: []float64{0, 7}, Counts: []float64{5000, 1, 0}}, map[float64]string{.5: "it is 0 s", .9: "it is 0 s", .95: "it is 0 s", .99: "it is 0 s"}},
		{"nothing in common", Histogram{Counts: []float64{5000}, Mixed: true}, map[float64]string{.5: "no bucket in common", .9: "no bucket", .95: "no bucket", .99: "no bucket"}},
	} {
		plan := planLatency(durations(), c.h)
		if len(plan.Untested) != len(c.want) {
			t.Errorf("%s: %+v", c.name, plan.Untested)
		}
		for _, u := range plan.Untested {
			if !strings.Contains(u.Why, c.want[u.Quantile]) || c.want[u.Quantile] == "" || u.Critical != (u.Quantile >= .95) {
				t.Errorf("%s: %+v, want %q", c.name, u, c.want[u.Quantile])
			}
		}
		weight := 0.0
		for _, th := range plan.Thresholds {
			weight += th.Weight
		}
		if len(plan.Thresholds) > 0 && !near(weight, 1) {
			t.Errorf("%s: the weights add up to %v", c.name, weight)
		}
	}
}

// Zero thresholds: what lies at or below one cannot be told from zero.
func TestThresholdsLieAboveZero(t *testing.T) {
	h := exponentialOf(5, 0, 10, 400, 300, 200, 90, 9, 5)
	h.Zero = h.Bounds[1]
	h.Counts[1], h.Counts[0] = 410, 0
	plan := planLatency(durations(), h)
	for _, c := range plan.Thresholds {
		if plan.Bounds[c.Baseline] <= h.Zero {
			t.Errorf("%+v lies at or below zero", c)
		}
	}
	if len(plan.Thresholds) == 0 {
		t.Errorf("%+v", plan.Untested)
	}
}

func TestOwnQuantiles(t *testing.T) {
	o := durations()
	o.Quantiles = []float64{.999, .5}
	plan := planLatency(o, evenly(20_000))
	var critical, all []float64
	for _, c := range plan.Thresholds {
		all = append(all, c.Quantiles...)
		if c.Critical {
			critical = append(critical, c.Quantiles...)
		}
	}
	if !slices.Equal(all, []float64{.5, .9, .95, .99, .999}) || !slices.Equal(critical, []float64{.5, .999}) {
		t.Errorf("judged at %v, critical at %v", all, critical)
	}
}

// History is asked for at the very bounds of the plan.
func TestLatencyBoundsAreThoseOfThePlan(t *testing.T) {
	for _, h := range []Histogram{evenly(5000), paretoBuckets(1e6, 1, 2.5, 5, 10, 25, 50, 100, 250), exponentialOf(3, -3, 50, 100, 500, 900, 600, 300, 80, 20, 3), {}} {
		p := testPlan(t, judging(h))
		if got := LatencyBounds(durations(), h); !slices.Equal(got, p.Objectives[0].Latency.Bounds) {
			t.Errorf("%v, but the plan has %v", got, p.Objectives[0].Latency.Bounds)
		}
		if q := p.Query(&p.Objectives[0], Fold{}); !slices.Equal(q.Bounds, p.Objectives[0].Latency.Bounds) {
			t.Errorf("sources are asked for %v", q.Bounds)
		}
	}
	if got := LatencyBounds(durations(), Histogram{Bounds: []float64{2, 1}, Counts: []float64{1, 1, 1}}); got != nil {
		t.Errorf("of an impossible histogram %v", got)
	}
	if got := LatencyBounds(testInput().Policy.Objectives[0], evenly(5000)); got != nil {
		t.Errorf("of a ratio %v", got)
	}
}

func TestPlanOfADistribution(t *testing.T) {
	p := testPlan(t, judging(evenly(100_000)), withHistory)
	o := p.Objectives[0]
	if o.Method != "distribution/1" || o.Null != NullRatio || o.ToleranceBound != (Bound{Ratio: 1.05}) || o.MarginBound != (Bound{Ratio: 1.2}) || o.Rung != RungRatio {
		t.Errorf("%+v", o)
	}
	if len(p.Warnings) != 0 {
		t.Errorf("warned of %q", p.Warnings)
	}
	// p99 of values that lie evenly: 1.2 times as slow, and nothing is left above.
	if m := float64(o.MinutesToPromote); !(m > 0 && m < 5) || o.Underpowered {
		t.Errorf("promoted in %v minutes", m)
	}
	if m := float64(o.MinutesToDetectDouble); !(m > 0 && m < 1) {
		t.Errorf("doubled latency is found in %v minutes", m)
	}

	in := testInput()
	judging(evenly(100_000))(&in)
	in.Policy.Objectives[0].Target = .99
	if _, err := NewPlan(in); err == nil || !strings.Contains(err.Error(), "target") {
		t.Errorf("a target: %v", err)
	}
	in.Policy.Objectives[0].Target = 0
	in.Facts[0].Distribution.Counts = nil
	if _, err := NewPlan(in); err == nil {
		t.Error("an impossible history is accepted")
	}
}

// Too little traffic is forecast, and said.
func TestDistributionUnderpowered(t *testing.T) {
	p := testPlan(t, judging(evenly(100_000)), withHistory, func(in *PlanInput) {
		in.Facts[0].History.HourTotal = 600 // ten a minute, one of the canary
	})
	o := p.Objectives[0]
	if !o.Underpowered || !(float64(o.MinutesToPromote) > 42) {
		t.Errorf("promoted in %v minutes, underpowered %v", o.MinutesToPromote, o.Underpowered)
	}
	if !slices.ContainsFunc(p.Warnings, func(w string) bool {
		return strings.Contains(w, "p99 has about 0.1 slow requests of the canary in 10 minutes")
	}) {
		t.Errorf("warned of %q", p.Warnings)
	}
}

// A critical quantile that cannot be judged keeps safety undecided, from the start and
// for ever, and says why.
func TestUntestedCriticalQuantileHolds(t *testing.T) {
	s := testState(t, judging(evenly(900)), withHistory)
	if len(s.plan.Warnings) == 0 || !strings.Contains(s.plan.Warnings[0], "not_testable: p99 of latency is not judged: 900 observations") {
		t.Errorf("warned of %q", s.plan.Warnings)
	}
	bounds := float64(len(s.plan.Objectives[0].Latency.Bounds))
	for range 200 {
		above := slices.Repeat([]float64{0}, int(bounds))
		foldSlow(t, s, slowRow(Baseline, "b", 9000, slices.Repeat([]float64{900}, int(bounds))...), slowRow(Canary, "c", 1000, above...))
	}
	if e := s.Assess()[0]; !(float64(e.EPromote) > 1e6) {
		t.Fatalf("safety evidence %v at the others", e.EPromote)
	}
	c := s.Checks().Safety
	if c.State != Undecided || c.Code != NotTestable || !strings.Contains(c.Reason, "p99: 900 observations before the deployment, 1000 are needed") {
		t.Errorf("%+v", c)
	}
}

// Without any history nothing is judged, and nothing is shown.
func TestDistributionWithoutHistory(t *testing.T) {
	s := testState(t, judging(Histogram{}))
	for range 50 {
		foldSlow(t, s, slowRow(Baseline, "b", 900), slowRow(Canary, "c", 100))
	}
	f := s.Describe()[0]
	if f.ERollback != 1 || f.EPromote != 0 || f.State != FindingUndecided {
		t.Errorf("%+v", f)
	}
	if c := s.Checks().Safety; c.Code != NotTestable {
		t.Errorf("%+v", c)
	}
}

func TestObjectiveOfADistribution(t *testing.T) {
	for name, change := range map[string]func(*Objective){
		"a target":              func(o *Objective) { o.Target = .99 },
		"a quantile of 1":       func(o *Objective) { o.Quantiles = []float64{.5, 1} },
		"a quantile of 0":       func(o *Objective) { o.Quantiles = []float64{0} },
		"a quantile twice":      func(o *Objective) { o.Quantiles = []float64{.9, .5, .9} },
		"no number":             func(o *Objective) { o.Quantiles = []float64{math.NaN()} },
		"quantiles of a ratio":  func(o *Objective) { *o = testInput().Policy.Objectives[0]; o.Quantiles = []float64{.9} },
		"a margin in tolerance": func(o *Objective) { o.Margin = &Bound{Ratio: 1.04} },
	} {
		o := durations()
		change(&o)
		if o.Validate() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := durations().Validate(); err != nil {
		t.Error(err)
	}
}

// The example of statistics 11.1: 250 requests a second, a canary of 2 %, lognormal with
// sigma 0.6, p95 slower by 10 % against a tolerance of 5 %.
func TestForecastOfASlowdown(t *testing.T) {
	const sigma = .6
	above := func(z float64) float64 { return .5 * math.Erfc(z/math.Sqrt2) }
	z := 1.6448536269514722 // p95
	c := LatencyThreshold{Share: .05, RhoR: 1}
	slower := above(z+math.Log(1.05/1.1)/sigma) / c.Share
	if !closeTo(slower, 1.170, 5e-4) {
		t.Errorf("%v times as many are slow, want 1.170", slower)
	}
	demand := stats.Demand{Alpha: DefaultAlphaRollback / 4, C: stats.LossHarm, Phi: 1} // one of four quantiles
	for rps, want := range map[float64]float64{250: 42, 1000: 10.5} {
		if got := c.minutesToSlow(.02*60*rps, .98*60*rps, slower, demand); !closeTo(got, want, .02*want) {
			t.Errorf("at %v requests a second it is found in %v minutes, want %v", rps, got, want)
		}
	}
}

// Where buckets of twice the width serve the tolerance and the margin as well, bounds are
// taken from those: they survive histograms that widen their buckets during the run.
func TestBoundsOutliveWiderBuckets(t *testing.T) {
	counts := make([]float64, 160)
	for i := range counts {
		counts[i] = 1e6 * math.Exp2(-float64(i)/16)
	}
	h := exponentialOf(4, 1, counts...)
	three := 3
	wider := Histogram{Schema: &three}
	plan := planLatency(durations(), h)
	if len(plan.Bounds) == 0 {
		t.Fatalf("%+v", plan.Untested)
	}
	for _, b := range plan.Bounds {
		if up, ok := wider.ceil(b); !ok || up != b {
			t.Errorf("%v is no bound of schema 3", b)
		}
	}
	// Buckets that widened are no news of exponential histograms, other bounds of classic ones are.
	for schema, want := range map[*int]bool{nil: true, &three: false} {
		warned := false
		o := PlannedObjective{Objective: durations(), Latency: &plan}
		for _, w := range (&Plan{}).latencyWarnings(&o, Histogram{Mixed: true, Schema: schema}) {
			warned = warned || strings.HasPrefix(w, string(LayoutChanged))
		}
		if warned != want {
			t.Errorf("exponential %v: warned %v", schema != nil, warned)
		}
	}
}
