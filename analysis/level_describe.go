package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// sd is the standard deviation of a residual, kappa included.
func (f *LevelFit) sd() float64 { return math.Sqrt(f.Kappa * f.SS / max(1, f.N-1)) }

// bar says why a level may not promote with the pods that there are; no Code: it may.
func (l *levelJudge) bar() Check {
	s := l.promoting()
	switch {
	case l.o.badShare() && !l.o.AcceptWeak:
		return Check{Undecided, WeakEvidence, l.o.Name + ": a gauge of shares does not tell of how many requests: it may promote only with acceptWeak"}
	case l.o.badShare() && l.h != nil && l.h.Typical > .5:
		return Check{Undecided, WeakEvidence, fmt.Sprintf("%s: before the deployment %.3g%% was bad: is it measured in %q, and is that of bad outcomes?", l.o.Name, 100*l.h.Typical, l.o.Signal.Unit)}
	case l.pairs == nil && !l.o.BeforeAfterPromote:
		return Check{Undecided, BeforeAfterOnly, l.o.Name + ": compared with the time before only, which may promote only with beforeAfter.promote"}
	case l.pairs != nil && l.h != nil && l.h.Pods == 1:
		return Check{Undecided, NeedsPods, l.o.Name + ": the baseline had a single pod, so how much pods of one version differ is not known: it needs two"}
	case s == nil || s.fit == nil || l.pairs != nil && !l.h.PodSDKnown:
		return Check{Undecided, NeedsHistory, l.o.Name + ": without history nothing tells how much pods of one version differ: it cannot be shown safe"}
	case l.Rows > 0 && !(l.bounds(l.Canary, l.Other).safety > 0):
		return Check{Undecided, NeedsPods, fmt.Sprintf("%s: pods of one version differ by %.3g, too much for %d against %d%s", l.o.Name, l.h.PodSD, l.Canary, l.Other, l.morePods())}
	}
	return Check{}
}

// morePods says how many canary pods would do: the fewest with which the moved margin
// is not below the tolerance.
func (l *levelJudge) morePods() string {
	reach := (l.o.Level.Margin - l.o.Level.Tolerance) / (l.podQuantile() * l.podSD())
	left := reach*reach - 1/float64(max(1, l.Other))
	if left <= 0 {
		return "; no number of canary pods would do against so few"
	}
	k := int(math.Ceil(1/left - 1e-9))
	return fmt.Sprintf("; %d canary pods are needed, %d more", k, k-l.Canary)
}

// describe reports the effect with its interval: the ratio of the levels, or their
// difference in the signal's unit (of bad shares: as a share).
func (l *levelJudge) describe(f *Finding) {
	f.EffectKind, f.Tolerance, f.Margin = "difference", Figure(l.o.Level.Tolerance), Figure(l.o.Level.Margin)
	if l.o.badShare() {
		f.Strength = "weak"
	}
	x, half := math.NaN(), math.Inf(1)
	if s := l.promoting(); s != nil {
		const level = 0.05
		x, half = s.estimate(level)
		if l.Rows > 0 {
			half += l.bounds(l.Canary, l.Other).harm - l.o.Level.Tolerance
		}
	}
	lo, hi := x-half, x+half
	if l.o.Signal.Better == BetterHigher && l.o.Level.Scale != ScaleShare {
		x, lo, hi = -x, -hi, -lo
		f.Tolerance, f.Margin = -f.Tolerance, -f.Margin
	}
	f.Effect, f.Low, f.High = Figure(x), Figure(lo), Figure(hi)
	if l.o.Level.Scale == ScaleLog {
		f.EffectKind = "ratio"
		for _, v := range []*Figure{&f.Effect, &f.Low, &f.High, &f.Tolerance, &f.Margin} {
			*v = Figure(math.Exp(float64(*v)))
		}
	}
	if l.pairs == nil || l.plan.Comparison == Both && l.LogOwn > l.LogHarm {
		f.Evidence = BeforeAfter
	}
	f.MinutesToPromote, f.MinutesToDetectDouble = l.stillNeeded()
}

// stillNeeded forecasts the minutes until a canary as good as the baseline is shown
// within its margin, and until one of double the level is shown harmful, given the
// rows there are (before the first one the warm-up counts): at the median, by the
// expected t-statistic. NaN without history.
func (l *levelJudge) stillNeeded() (promote, detect Figure) {
	return l.minutesToPromote(), l.minutesToSee(2)
}

func (l *levelJudge) minutesToPromote() Figure {
	s := l.promoting()
	if s == nil || s.fit == nil {
		return Figure(math.NaN())
	}
	b := l.expectedBounds()
	switch bar := math.Log(1 / l.plan.AlphaPromote); {
	case s.logSafety() >= bar:
		return 0
	case b.safety > 0:
		return l.minutesOf(s.rowsNeeded(s.USafety, -1, -b.safety, bar))
	}
	return Figure(math.Inf(1))
}

// minutesToSee forecasts the minutes until a canary of factor times the level is shown
// harmful.
func (l *levelJudge) minutesToSee(factor float64) Figure {
	s := l.promoting()
	if s == nil || s.fit == nil || l.o.Weight <= 0 {
		return Figure(math.NaN())
	}
	bar := math.Log(1 / (l.plan.AlphaRollback * l.o.Weight))
	if l.LogHarm >= bar {
		return 0
	}
	_, each := stats.StartWeights(l.starts.count())
	bar += math.Log(1 / max(.5, 1-float64(l.starts.count())*each)) // an onset now counts in the first start
	return l.minutesOf(s.rowsNeeded(s.UHarm, 1, l.farther(factor)-l.expectedBounds().harm, bar))
}

func (l *levelJudge) minutesOf(rows float64) Figure {
	m := l.o.Cadence.D().Minutes() * rows
	if l.Rows == 0 {
		m += l.plan.Window.Warmup.D().Minutes()
	}
	return Figure(m)
}

// farther is how far a level of factor times the baseline's lies from that.
func (l *levelJudge) farther(factor float64) float64 {
	if l.o.Level.Scale == ScaleLog {
		return math.Log(factor)
	}
	return (factor - 1) * l.h.Typical
}

// expectedBounds are those of the pods there are, before the first row of the planned.
func (l *levelJudge) expectedBounds() bounds {
	if l.Rows == 0 {
		return l.plannedBounds()
	}
	return l.bounds(max(1, l.Canary), max(1, l.Other))
}

// plannedBounds are those of a canary of the planned share of the baseline's pods.
func (l *levelJudge) plannedBounds() bounds {
	pods := max(1, l.h.Pods)
	return l.bounds(max(1, int(math.Round(l.plan.Weight*float64(pods)))), pods)
}

// forecastLevel fills in the forecasts of a plan.
func (p *Plan) forecastLevel(o *PlannedObjective) {
	acc, err := methodLevel.newAccumulator(p, o)
	if err != nil {
		return // it is told by the plan that makes the same accumulator
	}
	o.MinutesToPromote, o.MinutesToDetectDouble = acc.stillNeeded()
	o.Underpowered = float64(o.MinutesToPromote) > decideBy*p.Window.Deadline.D().Minutes()
}
