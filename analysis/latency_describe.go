package analysis

import (
	"fmt"
	"math"
	"strconv"

	"github.com/release-assay/assay/analysis/stats"
)

// intervalLevel is that of the intervals that people see.
const intervalLevel = 0.05

// shown is the threshold that people see: the one with the most evidence of harm once
// there is some, before that the critical one which is shown safe least.
func (l *latency) shown() *latencyTrial {
	if len(l.at) == 0 {
		return nil
	}
	if l.harms[l.lead] >= math.Log(1/l.plan.AlphaHold) {
		return &l.at[l.lead]
	}
	shown, least := &l.at[len(l.at)-1], math.Inf(1)
	for i := range l.at {
		if t := &l.at[i]; t.safety != nil {
			if t.logSafety < least {
				shown, least = t, t.logSafety
			}
		}
	}
	return shown
}

// describe reports the effect as the ratio of the canary's quantile to the baseline's,
// with its interval, at the threshold that is shown.
func (l *latency) describe(f *Finding) {
	f.EffectKind = "ratio"
	f.Tolerance, f.Margin = Figure(l.o.ToleranceBound.Ratio), Figure(l.o.MarginBound.Ratio)
	f.Effect, f.Low, f.High = Figure(math.NaN()), 0, Figure(math.Inf(1))
	if t := l.shown(); t != nil {
		f.Tolerance, f.Margin = Figure(1+t.EffectiveTolerance), Figure(1+t.EffectiveMargin)
		lo, hi := t.harm.engine.(*profileEngine).interval(t.harm.Sums, intervalLevel)
		f.Effect, f.Low, f.High = t.slower(t.observed()), t.slower(lo), t.slower(hi)
	}
	f.MinutesToPromote, f.MinutesToDetectDouble = l.stillNeeded()
}

// observed is the ratio of the shares that harm compares: to the baseline's where the
// canary was, as strata differ.
func (t *latencyTrial) observed() float64 {
	n := t.harm.Total
	fair := rate(n.BaselineBad, n.BaselineExposure)
	if len(t.harm.Strata) > 1 {
		fair = rate(t.harm.AtBaseline, n.CanaryExposure)
	}
	return rate(n.CanaryBad, n.CanaryExposure) / fair
}

// slower turns a ratio of the shares that harm compares into how many times as long
// the canary takes: exactly where the ratio is the tolerance, elsewhere by the slope of
// the tail before the deployment.
func (t *latencyTrial) slower(ratio float64) Figure {
	return Figure((1 + t.EffectiveTolerance) * math.Pow(ratio/t.RhoR, 1/t.Slope))
}

func (l *latency) counted() string {
	t := l.shown()
	if t == nil || t.harm.Total.Folds == 0 {
		return ""
	}
	n := t.total()
	return fmt.Sprintf("%.0f of %.0f over %s in the canary, %.0f of %.0f in the baseline%s", n.CanaryBad, n.CanaryExposure, l.bound(t), n.BaselineBad, n.BaselineExposure, l.ofBefore())
}

func (l *latency) compared() string {
	t := l.shown()
	if t == nil {
		return "nothing compared"
	}
	n := t.total()
	return fmt.Sprintf("%s over %s in the canary, %s in the baseline%s, %s", percent(n.CanaryBad, n.CanaryExposure), l.bound(t),
		percent(n.BaselineBad, n.BaselineExposure), l.ofBefore(), t.resolved(l.o.Signal.Unit))
}

// ofBefore says which baseline it is.
func (l *latency) ofBefore() string {
	if l.before != nil {
		return " of the time before"
	}
	return ""
}

// resolved names the threshold's quantiles, and how exactly the first is known.
func (t *latencyTrial) resolved(unit string) string {
	if t.TauHigh <= t.TauLow {
		return t.name()
	}
	return fmt.Sprintf("%s before %s to %s", t.name(), amount(t.TauLow, ""), amount(t.TauHigh, unit))
}

// bound is the bound above which an observation counts as slow.
func (l *latency) bound(t *latencyTrial) string {
	return amount(l.o.Latency.Bounds[t.Baseline], l.o.Signal.Unit)
}

// amount prints a value of a signal with its unit, bytes in those that people use.
func amount(v float64, unit string) string {
	if unit == "By" {
		for _, larger := range [...]string{"KiB", "MiB", "GiB", "TiB"} {
			if math.Abs(v) < 1024 {
				break
			}
			v, unit = v/1024, larger
		}
	}
	text := strconv.FormatFloat(v, 'g', 4, 64)
	if unit == "" || unit == "1" {
		return text
	}
	return text + " " + unit
}

// lateBreak looks at the newest folds of every critical threshold.
func (l *latency) lateBreak(*recent) (Check, bool) {
	for i := range l.at {
		t := &l.at[i]
		if t.safety == nil {
			continue
		}
		c, span, broke := t.recent.beyond(tooMany(Bound{Ratio: t.RhoP}, Bound{Ratio: t.RhoP}, max(1, stats.Priors(t.Phi0).Max())), l.o.Cadence.D(), t.total())
		if broke {
			return Check{Undecided, LateBreak, fmt.Sprintf("%s: safe over the whole run, but in the last %v the canary is beyond its margin (%s over %s, baseline %s over %s)",
				l.o.Name, span, percent(c.xC, c.nC), amount(l.o.Latency.Bounds[t.Safety], l.o.Signal.Unit), percent(c.xB, c.nB), l.bound(t))}, true
		}
	}
	return Check{}, false
}

// stillNeeded forecasts, from the traffic seen so far (or of history, before there is
// any), the minutes until a healthy canary is shown safe at every critical threshold,
// and until a canary that takes twice as long is shown harmful, given the evidence
// there already is.
func (l *latency) stillNeeded() (promote, detect Figure) {
	promote, detect = Figure(math.NaN()), Figure(math.NaN())
	nC, nB := l.exposurePerMinute()
	for i := range l.at {
		t := &l.at[i]
		if m := Figure(l.minutesToSlow(t, nC, nB)); !(m >= detect) {
			detect = m
		}
		if t.safety == nil || l.barred.Code != "" {
			continue
		}
		if m := Figure(l.minutesToFast(t, nC, nB)); !(m <= promote) {
			promote = m
		}
	}
	return promote, detect
}

func (l *latency) minutesToFast(t *latencyTrial, nC, nB float64) float64 {
	logE := t.logSafety
	if logE >= math.Log(1/l.plan.AlphaPromote) {
		return 0
	}
	return t.LatencyThreshold.minutesToFast(nC, nB, stats.Demand{Alpha: l.plan.AlphaPromote, C: stats.LossSafety, Phi: t.harm.phi(), LogE: max(0, logE)})
}

func (l *latency) minutesToSlow(t *latencyTrial, nC, nB float64) float64 {
	if l.o.Weight <= 0 {
		return math.NaN()
	}
	return t.LatencyThreshold.minutesToSlow(nC, nB, t.Doubled,
		stats.Demand{Alpha: l.plan.AlphaRollback * l.o.Weight * t.Weight, C: stats.LossHarm, Phi: t.harm.phi(), LogE: max(0, t.harm.logHarm(false))})
}

func (l *latency) exposurePerMinute() (nC, nB float64) {
	if len(l.at) > 0 {
		n := l.at[0].harm.Total
		if minutes := float64(n.Folds) * l.o.Cadence.D().Minutes(); minutes > 0 {
			return n.CanaryExposure / minutes, n.BaselineExposure / minutes
		}
	}
	return l.plan.exposure(l.o, l.plan.Weight)
}
