package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis/stats"
)

// LatencyPlan is what a plan freezes of a distribution: above which bounds sources
// count, and what is compared at them (statistics 4).
type LatencyPlan struct {
	Bounds     []float64          `json:"bounds"` // what sources count above: ascending
	Thresholds []LatencyThreshold `json:"thresholds"`
	Untested   []UntestedQuantile `json:"untested,omitempty"`
}

// UntestedQuantile is a quantile that cannot be judged, and why. Its share of the
// harm evidence goes to the others; one that is critical keeps safety undecided.
type UntestedQuantile struct {
	Quantile float64 `json:"quantile"`
	Critical bool    `json:"critical,omitempty"`
	Why      string  `json:"why"`
}

// LatencyHistory is what the time before the deployment says about a distribution at
// each of the bounds that were asked for, those of [LatencyBounds].
type LatencyHistory struct {
	Exposure float64      `json:"exposure"` // observations
	Above    []float64    `json:"above"`    // of them, above each bound
	Phi0     [][3]float64 `json:"phi0"`     // dispersion of what lies above each bound, as in History
	// The hour before the deployment, and how much the minutes before it differ from
	// the hour before each: for a comparison with that time.
	HourTotal float64      `json:"exposureLastHour"`
	HourAbove []float64    `json:"aboveLastHour"`
	PhiBefore [][3]float64 `json:"phiBefore"`
}

var methodDistribution = Method{
	Name: "distribution", Version: 1, Shape: ShapeDistribution,
	Assumptions:    "as ratio, at each threshold; thresholds are quantiles of the baseline before the deployment, frozen; a tolerance of m means that the canary is nowhere slower than (1+m) times the baseline of the same fold; where buckets are too coarse for the tolerance, it is translated by the slope of the tail before the deployment",
	References:     "Lindon & Malek 2022 (conditional counts); Howard et al. 2021 (sub-Bernoulli mixtures); Vovk & Wang 2021 (averages of e-values); Shin, Ramdas & Rinaldo 2024 (start times); Howard & Ramdas 2022 (quantile confidence sequences); Berger 1982 (safety of every quantile)",
	newAccumulator: func(p *Plan, o *PlannedObjective) (accumulator, error) { return newLatency(p, o) },
}

// validateLatency returns what no distribution can be judged by.
func (o Objective) validateLatency() error {
	if o.Signal.Shape != ShapeDistribution {
		if len(o.Quantiles) > 0 {
			return fmt.Errorf("only a distribution has quantiles")
		}
		return nil
	}
	for i, q := range o.Quantiles {
		if !(q > 0 && q < 1) || slices.Contains(o.Quantiles[:i], q) {
			return fmt.Errorf("quantiles %v: each lies between 0 and 1 and is named once", o.Quantiles)
		}
	}
	if o.Target > 0 {
		return fmt.Errorf("a distribution has no target: the share of requests that are fast enough is a ratio")
	}
	return nil
}

// LatencyBounds returns above which bounds the observations of a distribution are
// counted, given what was observed before the deployment: those of the plan that
// NewPlan will make of the same histogram, so that history can be asked for at them.
// Ascending; none where nothing can be judged.
func LatencyBounds(o Objective, h Histogram) []float64 {
	if o.Signal.Shape != ShapeDistribution || h.Validate() != nil {
		return nil
	}
	return planLatency(o, h).Bounds
}

// planDistribution chooses the thresholds and forecasts.
func (p *Plan) planDistribution(o *PlannedObjective, facts Facts) error {
	if err := facts.Distribution.Validate(); err != nil {
		return fmt.Errorf("what was observed before the deployment: %w", err)
	}
	o.Null, o.MarginBound, o.Rung = NullRatio, o.margin(), RungRatio
	if o.Margin != nil {
		o.Rung = RungExplicit
	}
	plan := planLatency(o.Objective, facts.Distribution)
	if facts.recorded != nil {
		plan = *facts.recorded.Latency
		plan.Thresholds = slices.Clone(plan.Thresholds)
	}
	plan.learn(o.History, p.Comparison == PreviousWindow)
	o.Latency = &plan
	o.History.PlanPhi, o.BaseRate = 1, 0
	for i := range plan.Thresholds {
		t := &plan.Thresholds[i]
		o.History.PlanPhi = max(o.History.PlanPhi, stats.Priors(t.Phi0).Max())
		if t.Critical {
			o.BaseRate = t.Share
		}
	}
	if p.Comparison != PreviousWindow { // else nothing promotes: no forecast can say when
		p.fits(o, func(weight float64) float64 { return p.minutesToFast(o, weight) })
	}
	o.MinutesToDetectDouble = Figure(p.minutesToSlow(o, func(t *LatencyThreshold) float64 { return t.Doubled }))
	p.Warnings = append(slices.Clip(p.Warnings), p.latencyWarnings(o, facts.Distribution)...)
	return nil
}

// learn takes over the dispersion of history: between pods, or against the time before.
func (l *LatencyPlan) learn(h History, before bool) {
	for i := range l.Thresholds {
		t := &l.Thresholds[i]
		t.Phi0 = stats.NoHistory()
		switch known := h.Latency; {
		case known == nil:
		case before && len(known.PhiBefore) == len(l.Bounds):
			t.Phi0 = known.PhiBefore[t.Baseline]
		case !before && h.Calibrated && len(known.Phi0) == len(l.Bounds):
			t.Phi0 = known.Phi0[t.Baseline]
		}
	}
}

// barred says which critical quantiles cannot be shown safe; no Code: none.
func (l *LatencyPlan) barred(objective string) Check {
	var parts []string
	for _, u := range l.Untested {
		if u.Critical {
			parts = append(parts, fmt.Sprintf("%s: %s", quantileName(u.Quantile), u.Why))
		}
	}
	if len(parts) == 0 {
		return Check{}
	}
	return Check{Undecided, NotTestable, objective + " cannot be shown safe: " + strings.Join(parts, "; ")}
}

// minutesToFast forecasts how long a healthy canary at the given weight needs until
// every critical quantile is shown within the margin; NaN where traffic is unknown.
func (p *Plan) minutesToFast(o *PlannedObjective, weight float64) float64 {
	if o.Latency.barred("").Code != "" {
		return math.NaN()
	}
	nC, nB := p.exposure(o, weight)
	longest := math.NaN()
	for i := range o.Latency.Thresholds {
		t := &o.Latency.Thresholds[i]
		if !t.Critical {
			continue
		}
		demand := stats.Demand{Alpha: p.AlphaPromote, C: stats.LossSafety, Phi: stats.Priors(t.Phi0).Max()}
		m := t.minutesToFast(nC, nB, demand)
		if math.IsNaN(m) || math.IsNaN(longest) || m > longest {
			longest = m
		}
		if math.IsNaN(m) {
			return m
		}
	}
	return longest
}

// MinutesToDetectSlower forecasts, from the baseline's last hour and what was observed
// before the deployment, the minutes until a canary that takes factor times as long is
// shown to be slower than tolerated; NaN where traffic is unknown, +Inf for never.
func (p *Plan) MinutesToDetectSlower(o *PlannedObjective, h Histogram, factor float64) float64 {
	if !(factor > 0) {
		return math.NaN()
	}
	return p.minutesToSlow(o, func(t *LatencyThreshold) float64 { return t.slowed(h, o.Latency.Bounds[t.Harm], factor) })
}

// minutesToSlow is the same of a canary that has so many times the baseline's share of
// slow observations at each threshold.
func (p *Plan) minutesToSlow(o *PlannedObjective, slowed func(*LatencyThreshold) float64) float64 {
	if o.Latency == nil || o.Weight <= 0 {
		return math.NaN()
	}
	nC, nB := p.exposure(o, p.Weight)
	soonest := math.NaN()
	for i := range o.Latency.Thresholds {
		t := &o.Latency.Thresholds[i]
		demand := stats.Demand{Alpha: p.AlphaRollback * o.Weight * t.Weight, C: stats.LossHarm, Phi: stats.Priors(t.Phi0).Max()}
		if m := t.minutesToSlow(nC, nB, slowed(t), demand); !(m >= soonest) {
			soonest = m
		}
	}
	return soonest
}

// latencyWarnings lists what weakens the answer.
func (p *Plan) latencyWarnings(o *PlannedObjective, h Histogram) []string {
	var out []string
	if h.Mixed && h.Schema == nil { // exponential ones lose no bound that could be asked for
		out = append(out, fmt.Sprintf("%s: %s: not all histograms had the same buckets before the deployment; only the bounds that all of them have are used", LayoutChanged, o.Name))
	}
	for _, u := range o.Latency.Untested {
		out = append(out, fmt.Sprintf("%s: %s of %s is not judged: %s", NotTestable, quantileName(u.Quantile), o.Name, u.Why))
	}
	const few, span = 5, 10 // exceedances in so many minutes
	for i := range o.Latency.Thresholds {
		t := &o.Latency.Thresholds[i]
		if n := o.rate() * p.Weight * t.Share * span; n < few {
			out = append(out, fmt.Sprintf("%s: %s has about %.2g slow requests of the canary in %d minutes: it decides little", o.Name, t.name(), n, span))
		}
	}
	return out
}

// quantileName is p95 for .95, p99.9 for .999.
func quantileName(p float64) string { return fmt.Sprintf("p%.6g", 100*p) }
