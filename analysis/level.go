package analysis

import (
	"fmt"
	"math"
	"time"
)

// A LevelScale is how the levels of two arms are compared.
type LevelScale string

const (
	// ScaleLog compares the logarithms: tolerance and margin are relative.
	ScaleLog LevelScale = "log"
	// ScaleDifference compares the levels themselves, which may be 0 or negative:
	// tolerance and margin are the objective's shares of the typical level.
	ScaleDifference LevelScale = "difference"
	// ScaleShare compares shares of bad outcomes in [0,1]: tolerance and margin are
	// parts of the error budget, never relative.
	ScaleShare LevelScale = "share"
)

// LevelHistory is what the time before the deployment says about a level, on the
// scale on which it will be compared: positive is worse.
type LevelHistory struct {
	Scale   LevelScale `json:"scale"`
	Step    Duration   `json:"step"`    // spacing of the rows that it was learned from
	Typical float64    `json:"typical"` // mean level of the baseline's pods, without its sign; of bad shares on ScaleShare
	Newest  float64    `json:"newest"`  // mean level in the last hour before the deployment, in the signal's unit
	Floor   float64    `json:"floor"`   // on ScaleLog, what lower levels are raised to
	SD      float64    `json:"sd"`      // of the difference of the arms, before prewhitening
	// Pairs describes pseudo-canaries against the rest. Nil: too short, or a single pod.
	Pairs *LevelFit `json:"pairs,omitempty"`
	// Before describes the service itself over time, relative to the control where
	// there is one: what a comparison with the time before rests on. Nil: too short.
	Before  *LevelFit `json:"before,omitempty"`
	Control bool      `json:"control,omitempty"` // Before is relative to a control
	// PodSD is the standard deviation between pods of their time means, on the scale
	// of the comparison; it is known where at least two pods were seen.
	PodSD      float64 `json:"podSd"`
	PodSDPods  int     `json:"podSdPods"` // pods that it was learned from
	PodSDKnown bool    `json:"podSdKnown"`
	Pods       int     `json:"pods"` // of the baseline before the deployment
}

// A LevelFit is the AR(1) noise of a series (statistics 5.2): residuals are
// h_t = x_t - Phi x_(t-1).
type LevelFit struct {
	Phi   float64 `json:"phi"`
	N     float64 `json:"n"`     // residuals
	Mean  float64 `json:"mean"`  // of the residuals
	SS    float64 `json:"ss"`    // sum of their squares about it
	Kappa float64 `json:"kappa"` // long-run variance that Phi leaves, in units of the variance
	// Winsor says that the tails are heavy: residuals further than Low and High from
	// their expected mean are moved there.
	Winsor bool    `json:"winsor,omitempty"`
	Low    float64 `json:"low,omitempty"`
	High   float64 `json:"high,omitempty"`
}

// LevelPlan is what a plan freezes of a level, on the scale of the comparison.
type LevelPlan struct {
	Scale     LevelScale `json:"scale"`
	Tolerance float64    `json:"tolerance"`
	Margin    float64    `json:"margin"`
	// Of a leak, in the signal's unit a minute: what may be used up without harm,
	// and the minutes after which a growth of Critical would have been seen.
	Slope    float64 `json:"slope,omitempty"`
	Critical float64 `json:"criticalSlope,omitempty"`
	Bake     Figure  `json:"bakeMinutes,omitempty"`
}

const (
	// minLevelRows is how many rows after the deployment tell anything.
	minLevelRows = 8
	// minResiduals is the same after prewhitening, which costs the first row.
	minResiduals = minLevelRows - 1
	// podQuantile moves both bounds by what a slow pod may add (statistics 5.2), where
	// manyPods or more told how much they differ.
	podQuantile = 1.645
	manyPods    = 10
	// assumedPodSD is the spread between pods where history does not tell it: 5 % of
	// the level. It guards the rollback only; without history nothing is promoted.
	assumedPodSD = .05
)

var methodLevel = Method{
	Name: "level", Version: 1, Shape: ShapeLevel,
	Assumptions: "what both arms share cancels in each row; what is left is AR(1) noise with the variance of history, up to kappa and a variance guard; the pods of a version differ by no more than those of the version before",
	References:  "Lindon, Ham, Tingley & Bojinov 2022 (Gaussian e-processes in linear models); Wang & Ramdas 2025 (any-time t-tests); Vovk & Wang 2021 (averages of e-values)",
	newAccumulator: func(p *Plan, o *PlannedObjective) (accumulator, error) {
		if usesPlacebos(p, o) {
			return newPlaceboJudge(p, o)
		}
		return newLevel(p, o)
	},
}

// badShare reports whether o holds a level of shares against an SLO.
func (o *Objective) badShare() bool { return o.Target > 0 && o.Leak == nil && o.Signal.unitIsShare() }

func (s *Signal) unitIsShare() bool { return s.Unit == "1" || s.Unit == "%" }

// OnScale puts the mean level of a group of pods on a scale on which two groups are
// subtracted and more is worse: its logarithm (levels below floor raised to it), the
// share of bad outcomes, or the level itself; where more is better, its negative. NaN
// says that it has no place there, as what is no share.
func (o *Objective) OnScale(scale LevelScale, mean, floor float64) float64 {
	higher := o.Signal.Better == BetterHigher
	switch scale {
	case ScaleShare:
		if o.Signal.Unit == "%" {
			mean /= 100
		}
		if !(mean >= -roundingOfBounds && mean <= 1+roundingOfBounds) {
			return math.NaN()
		}
		if higher {
			return 1 - mean
		}
		return mean
	case ScaleLog:
		if mean = max(mean, floor); mean > 0 {
			mean = math.Log(mean)
		} else {
			mean = math.NaN()
		}
	}
	if higher {
		return -mean
	}
	return mean
}

// validateLevel returns what no comparison of levels can be asked.
func (o *Objective) validateLevel() error {
	switch {
	case o.Signal.Shape != ShapeLevel:
		return nil
	case o.Leak != nil && o.Target > 0:
		return fmt.Errorf("a leak has no target: give it a limit")
	case o.Target > 0 && !o.Signal.unitIsShare():
		return fmt.Errorf("a level with a target must be a share (unit 1 or %%), not %q", o.Signal.Unit)
	case o.badShare() && !(o.tolerance().Budget > 0 && o.margin().Budget > o.tolerance().Budget):
		return fmt.Errorf("a level of shares is held against its error budget: give tolerance and margin as growing shares of it (tolerance %v, margin %v)", o.tolerance(), o.margin())
	case o.Leak != nil:
		return o.Leak.validate()
	case o.Target == 0 && o.Signal.unitIsShare() && o.Signal.Better == BetterHigher:
		return fmt.Errorf("a share of which more is better is no level: 85 %% instead of 99.9 %% would be a small ratio; give counts or a target")
	}
	return nil
}

// LevelCadence is how far apart the rows of a level lie: at the sample spacing of its
// source, but no closer than the history that its noise is learned from (step, 0: a
// minute), or that noise would be another one.
func LevelCadence(spacing, step time.Duration) time.Duration {
	if step <= 0 {
		step = time.Minute
	}
	if spacing <= 0 {
		return CadenceOf(step)
	}
	return max(CadenceOf(spacing), CadenceOf(step))
}

// TooSlow returns why no row of a level can be decided in time within w: at the
// given cadence fewer than 8 rows come between the warm-up and 0.7 of the deadline.
// Nil where they can.
func (w Window) TooSlow(cadence time.Duration) error {
	left := time.Duration(decideBy*float64(w.Deadline)) - w.Warmup.D()
	if left >= minLevelRows*cadence {
		return nil
	}
	if slowest := (left / minLevelRows).Truncate(BaseTick); slowest >= BaseTick {
		return fmt.Errorf("samples every %v give fewer than %d before 0.7 of the deadline of %v, warm-up of %v left out: a scrape interval of %v would do",
			cadence, minLevelRows, w.Deadline.D(), w.Warmup.D(), slowest)
	}
	return fmt.Errorf("the warm-up of %v leaves no time before 0.7 of the deadline of %v: no scrape interval would do", w.Warmup.D(), w.Deadline.D())
}

// planLevel fixes what a level is judged with, and forecasts.
func (p *Plan) planLevel(o *PlannedObjective, facts Facts) error {
	cadence := LevelCadence(facts.Spacing, facts.Step)
	if o.Leak != nil {
		cadence = max(cadence, time.Minute)
	}
	if h := o.History.Level; h != nil && h.Step.D() != cadence {
		if facts.Spacing > 0 && h.Step.D() < CadenceOf(facts.Spacing) {
			o.History.Level = nil // noise between closer rows is another one
			p.warn("%s: its history has values every %v, its samples come every %v: it is judged without history", o.Name, h.Step.D(), cadence)
		} else {
			cadence = h.Step.D()
		}
	}
	o.Cadence, o.Lateness = Duration(cadence), Duration(LatenessOf(cadence, facts.Lag))
	if o.Leak != nil {
		p.planLeak(o)
		return nil
	}
	o.Level = o.levelBounds()
	o.MarginBound = o.margin()
	if o.Margin != nil {
		o.Rung = RungExplicit
	}
	if err := p.Window.TooSlow(cadence); err != nil && o.Role == Critical {
		p.warn("%s: it cannot be decided: %v", o.Name, err)
	}
	p.forecastLevel(o)
	return nil
}

// levelBounds puts tolerance and margin on the scale of the comparison.
func (o *PlannedObjective) levelBounds() *LevelPlan {
	tolerance, margin := o.tolerance(), o.margin()
	out := &LevelPlan{Scale: ScaleLog, Tolerance: math.Log(tolerance.Ratio), Margin: math.Log(margin.Ratio)}
	h := o.History.Level
	switch {
	case o.badShare():
		budget := 1 - o.Target
		out = &LevelPlan{Scale: ScaleShare, Tolerance: tolerance.Budget * budget, Margin: margin.Budget * budget}
	case h != nil && h.Scale == ScaleDifference:
		typical := h.Typical
		if !(typical > 0) {
			typical = 1 // a level that was always 0 is judged in its unit
		}
		out = &LevelPlan{Scale: ScaleDifference, Tolerance: (tolerance.Ratio - 1) * typical, Margin: (margin.Ratio - 1) * typical}
	}
	return out
}

// warn notes what weakens the plan.
func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings[:len(p.Warnings):len(p.Warnings)], fmt.Sprintf(format, args...))
}
