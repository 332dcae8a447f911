package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis/stats"
)

// Form says how a tolerance on durations became a comparison of counts.
type Form string

const (
	FormExact   Form = "exact"   // single observations: canary above (1+m) b against baseline above b
	FormRounded Form = "rounded" // the same at the next bounds: the tolerance up, the margin down
	FormSlope   Form = "slope"   // buckets too coarse for that: both arms above one end of the bucket, the ratio that the tail makes of (1+m)
)

// A LatencyThreshold compares how many observations are slow: those of the baseline
// above one bound b with those of the canary above another one.
type LatencyThreshold struct {
	Quantiles []float64 `json:"quantiles"` // of the baseline; several where buckets do not tell them apart
	Weight    float64   `json:"weight"`    // share of the objective's harm evidence
	Critical  bool      `json:"critical,omitempty"`
	Form      Form      `json:"form"`
	// Tau is the lowest of the quantiles before the deployment; with 95 % probability
	// it lies between TauLow and TauHigh (TauHigh 0: unknown).
	Tau     float64 `json:"tau"`
	TauLow  float64 `json:"tauLow"`
	TauHigh float64 `json:"tauHigh"`
	// Places in the plan's Bounds: b, at or above Tau (of a slope the nearer end of its
	// bucket); the canary's bound against the tolerance, and against the margin.
	Baseline int `json:"baseline"`
	Harm     int `json:"harm"`
	Safety   int `json:"safety"`
	// The ratio of the two shares that is still acceptable, and the one that is not.
	RhoR float64 `json:"rhoR"`
	RhoP float64 `json:"rhoP"`
	// What tolerance and margin amount to with these bounds: 0.0905 for 9.05 %.
	EffectiveTolerance float64 `json:"effectiveTolerance"`
	EffectiveMargin    float64 `json:"effectiveMargin"`

	Share   float64    `json:"share"`   // of the observations before the deployment above b
	Slope   float64    `json:"slope"`   // of their tail at b: -d ln(share above x)/d ln x
	Healthy float64    `json:"healthy"` // share above the canary's bound against the margin, over Share
	Doubled float64    `json:"doubled"` // the same for a canary that is twice as slow, against the tolerance
	Phi0    [3]float64 `json:"phi0"`    // dispersion of what lies above b
}

// harmQuantiles are judged of every distribution; critical ones by default are
// criticalQuantiles.
var (
	harmQuantiles     = []float64{.5, .9, .95, .99}
	criticalQuantiles = []float64{.95, .99}
)

const (
	perQuantile   = 10     // observations beyond a quantile without which it is not known
	slopeEvents   = 10     // observations above b without which the tail's slope is not known
	slopeErrors   = 2      // standard errors by which a slope is taken steeper or flatter than it looks
	farOff        = 8      // how many times as many as beyond the quantile may lie above the lower end of its bucket
	smallest      = 1e-300 // of which a share can be taken
	flattest      = 0.01   // ln of the smallest ratio that a margin may be
	steepest      = 3.4    // ln of the largest ratio that the grid of ratios holds
	quantileLevel = 0.05   // of the interval of Tau
)

// criticalQuantiles are those that must be shown safe, ascending.
func (o Objective) criticalQuantiles() []float64 {
	if len(o.Quantiles) == 0 {
		return criticalQuantiles
	}
	return slices.Sorted(slices.Values(o.Quantiles))
}

// planLatency chooses what is compared, from what was observed before the deployment.
// h is valid.
func planLatency(o Objective, h Histogram) LatencyPlan {
	critical := o.Quantiles
	if len(critical) == 0 {
		critical = criticalQuantiles
	}
	h = h.reserved(o.tolerance().Ratio, o.margin().Ratio)
	quantiles := slices.Concat(harmQuantiles, critical)
	slices.Sort(quantiles)
	quantiles = slices.Compact(quantiles)
	var chosen []chosenThreshold
	var plan LatencyPlan
	for _, p := range quantiles {
		c, why := choose(o, h, p, slices.Contains(critical, p))
		switch n := len(chosen); {
		case why != "":
			plan.Untested = append(plan.Untested, UntestedQuantile{p, slices.Contains(critical, p), why})
		case n > 0 && chosen[n-1].b == c.b:
			chosen[n-1].Quantiles = append(chosen[n-1].Quantiles, p)
			chosen[n-1].Critical = chosen[n-1].Critical || c.Critical
		default:
			chosen = append(chosen, c)
		}
	}
	tested := 0
	for _, c := range chosen {
		plan.Bounds = append(plan.Bounds, c.b, c.harm, c.safety)
		tested += len(c.Quantiles)
	}
	slices.Sort(plan.Bounds)
	plan.Bounds = slices.Compact(plan.Bounds)
	for _, c := range chosen {
		t := c.LatencyThreshold
		t.Weight = float64(len(t.Quantiles)) / float64(tested)
		t.Baseline, t.Harm, t.Safety = slices.Index(plan.Bounds, c.b), slices.Index(plan.Bounds, c.harm), slices.Index(plan.Bounds, c.safety)
		plan.Thresholds = append(plan.Thresholds, t)
	}
	return plan
}

// chosenThreshold is a threshold with its bounds, not yet placed among those of the
// plan.
type chosenThreshold struct {
	LatencyThreshold
	b, harm, safety float64
}

// choose returns the threshold of one quantile, or why it cannot be judged.
func choose(o Objective, h Histogram, p float64, critical bool) (c chosenThreshold, why string) {
	total, unit := h.Total(), o.Signal.Unit
	if needed := perQuantile / (1 - p); total < needed*(1-1e-9) {
		return c, fmt.Sprintf("%.0f observations before the deployment, %.0f are needed", total, math.Ceil(needed*(1-1e-9)))
	}
	i := h.bucketOf(p)
	switch {
	case len(h.Bounds) == 0:
		return c, "the histograms have no bucket in common"
	case i == len(h.Bounds):
		return c, "it lies above the highest bucket, " + amount(h.Bounds[i-1], unit)
	case i == 0 && h.Schema == nil && !h.Exact:
		return c, "it lies in the lowest bucket, up to " + amount(h.Bounds[0], unit)
	case !(h.Bounds[i] > smallest && h.Bounds[i] < 1/smallest) || h.Schema != nil && h.Bounds[i] <= h.Zero:
		return c, "it is " + amount(h.Bounds[i], unit) + ", of which no share can be taken"
	}
	c.Quantiles, c.Critical, c.b = []float64{p}, critical, h.Bounds[i]
	if h.Schema != nil {
		c.b, _ = h.ceil(h.Bounds[i])
	}
	c.Tau, _, _ = h.Quantile(p)
	c.TauLow, c.TauHigh = h.quantileInterval(p)
	rR, rP := o.tolerance().Ratio, o.margin().Ratio
	if c.above(h, rR, rP) {
		return c, ""
	}
	if h.Exact {
		return c, "nothing was observed above it, " + amount(c.b, unit)
	}
	if why := c.bySlope(h, p, rR, rP); why != "" {
		return c, fmt.Sprintf("its bucket, up to %s, is too wide for a tolerance of %.3g%%, and %s", amount(c.b, unit), 100*(rR-1), why)
	}
	return c, ""
}

// quantileInterval is the confidence interval of a quantile before the deployment, at
// the resolution of the layout; high is 0 where there is none on that side.
func (h Histogram) quantileInterval(p float64) (low, high float64) {
	n := int(h.Total())
	lo, hi, err := stats.QuantileRanks(n, p, quantileLevel, n)
	if err != nil {
		return 0, 0
	}
	if lo >= 1 {
		low, _ = h.edges(h.bucketOfRank(float64(lo)))
	}
	if hi <= n {
		if _, high = h.edges(h.bucketOfRank(float64(hi))); math.IsInf(high, 1) {
			high = 0
		}
	}
	return max(0, low), high
}

// above counts the canary above a bound that is higher than b by the tolerance rR, or
// the margin rP, and reports whether the layout has such bounds.
func (c *chosenThreshold) above(h Histogram, rR, rP float64) bool {
	total, n := h.Total(), h.above(c.b)
	harm, ok := h.ceil(rR * c.b)
	safety, _ := h.floor(rP * c.b)
	if n == 0 || !h.Exact && !(ok && safety > c.b && harm <= safety) {
		return false
	}
	c.Form = FormRounded
	if h.Exact {
		c.Form = FormExact
	}
	c.harm, c.safety, c.RhoR, c.RhoP = harm, safety, 1, 1
	c.EffectiveTolerance, c.EffectiveMargin = harm/c.b-1, safety/c.b-1
	c.Share = n / total
	c.Slope = slope(n, total*h.tail(safety), safety/c.b)
	c.Healthy = max(h.tail(safety), 0.5/total) / c.Share
	c.Doubled = c.slowed(h, harm, 2)
	return true
}

// bySlope counts both arms above one end of the bucket of the p-quantile: the one above
// which nearer to 1-p of the observations lie, if the slope of the tail is known there,
// else the other. A lower end above which far more lie says nothing of the quantile.
func (c *chosenThreshold) bySlope(h Histogram, p, rR, rP float64) (why string) {
	off := func(b float64) float64 { return math.Log(h.above(b) / h.Total() / (1 - p)) }
	upper := *c
	why = upper.slopeAt(h, rR, rP)
	lower := *c
	lower.b, _, _ = h.neighbours(c.b)
	usable := lower.b > 0 && off(lower.b) <= math.Log(farOff) && lower.slopeAt(h, rR, rP) == ""
	switch {
	case usable && (why != "" || off(lower.b) < -off(upper.b)):
		*c = lower
		return ""
	case why == "":
		*c = upper
	}
	return why
}

// slopeAt translates (1+m) by the slope of the tail around b: a canary that is slower
// by 1+m has (1+m)^slope times as many observations above b. The steepest slope that
// is plausible makes the tolerance, the flattest the margin.
func (c *chosenThreshold) slopeAt(h Histogram, rR, rP float64) (why string) {
	below, beyond, ok := h.neighbours(c.b)
	if !ok {
		return "it has no neighbour on both sides to tell the slope of the tail from"
	}
	nBelow, n, nBeyond := h.above(below), h.above(c.b), h.above(beyond)
	if n < slopeEvents {
		return fmt.Sprintf("only %.0f observations lie above it to tell the slope of the tail from", n)
	}
	before, errBefore := slope(nBelow, n, c.b/below), slopeError(nBelow, n, c.b/below)
	after, errAfter := slope(n, nBeyond, beyond/c.b), slopeError(n, nBeyond, beyond/c.b)
	most := max(before+slopeErrors*errBefore, after+slopeErrors*errAfter)
	least := max(0, min(before-slopeErrors*errBefore, after-slopeErrors*errAfter))
	lnR, lnP := math.Log(rR)*most, min(steepest, math.Log(rP)*least)
	if lnR > steepest {
		return "the tail there is too steep"
	}
	if c.Critical && lnP < flattest {
		return "the tail there is too flat"
	}
	c.Form, c.harm, c.safety, c.RhoR, c.RhoP = FormSlope, c.b, c.b, math.Exp(lnR), math.Exp(lnP)
	c.Share, c.Slope = n/h.Total(), slope(nBelow, nBeyond, beyond/below)
	c.EffectiveTolerance, c.EffectiveMargin = math.Expm1(lnR/c.Slope), math.Expm1(lnP/c.Slope)
	c.Healthy, c.Doubled = 1, c.slowed(h, c.b, 2)
	return ""
}

// slowed is how many times the baseline's share of slow observations a canary has above
// bound that takes factor times as long. Inside of a coarse bucket the slope around it
// tells more than its two ends.
func (t *LatencyThreshold) slowed(h Histogram, bound, factor float64) float64 {
	if t.Form == FormSlope {
		return min(1/t.Share, math.Pow(factor, t.Slope))
	}
	return h.tail(bound/factor) / t.Share
}

// slope is how steeply a tail falls from n observations to less over a ratio of
// bounds. Half an observation more keeps it finite.
func slope(n, less, ratio float64) float64 {
	return max(0.05, math.Log((n+.5)/(less+.5))/math.Log(ratio))
}

// slopeError is the standard error of slope: less of n is binomial.
func slopeError(n, less, ratio float64) float64 {
	return math.Sqrt(max(0, 1/(less+.5)-1/(n+.5))) / math.Log(ratio)
}

// minutesToFast forecasts how long a healthy canary needs until this threshold is
// shown within the margin, for nC and nB observations a minute; NaN where unknown.
func (t *LatencyThreshold) minutesToFast(nC, nB float64, demand stats.Demand) float64 {
	return minutesOf(stats.RatioPlan{
		Side: stats.Safety, Events: (nC + nB) * t.Share, Weight: nC / (nC + nB), Rho1: t.Healthy, Rho0: t.RhoP, Demand: demand,
	})
}

// minutesToSlow forecasts how long a canary with slower times the baseline's share of
// slow observations needs until it is shown beyond the tolerance.
func (t *LatencyThreshold) minutesToSlow(nC, nB, slower float64, demand stats.Demand) float64 {
	return minutesOf(stats.RatioPlan{
		Side: stats.Harm, Events: (nC + nB) * t.Share, Weight: nC / (nC + nB), Rho1: slower, Rho0: t.RhoR, Demand: demand,
	})
}

// minutesOf is the forecast of a plan, NaN where it cannot be.
func minutesOf(plan stats.RatioPlan) float64 {
	m, err := stats.MinutesRatio(plan)
	if err != nil {
		return math.NaN()
	}
	return m
}

// name is how people call the threshold: "p95", or "p95, p99" where buckets do not
// tell them apart.
func (t *LatencyThreshold) name() string {
	names := make([]string, len(t.Quantiles))
	for i, p := range t.Quantiles {
		names[i] = quantileName(p)
	}
	return strings.Join(names, ", ")
}
