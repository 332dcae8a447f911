package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// ForecastEffects are the effects that a forecast tells the minutes of: how many times
// as much of what is worse (errors, time taken, memory held).
var ForecastEffects = [...]float64{1.10, 1.25, 1.5, 2, 5}

// CriticalEffect is the effect that a step of a ramp should last long enough to show. Of
// a rate with an SLO that may double without harm it is the one that loses the SLO.
const CriticalEffect = 2.0

// A Forecast is what can be expected of a release before it is made: of one plan, at one
// weight of the canary. All minutes count from the deployment and are of the traffic that
// the facts of the plan tell. What is not a number is unknown, or never: the reason is
// beside it.
type Forecast struct {
	Weight         float64             `json:"weight"`         // the canary's share
	Step           Duration            `json:"step"`           // how long a ramp stays at it
	Deadline       Duration            `json:"deadline"`       // by when there is a verdict
	CriticalEffect float64             `json:"criticalEffect"` // what a step should show
	Objectives     []ObjectiveForecast `json:"objectives"`
	// Of all critical objectives:
	MinutesToPromote Figure `json:"minutesToPromote"` // until the slowest is shown safe
	MinutesToDetect  Figure `json:"minutesToDetect"`  // until the slowest shows the critical effect
	// Fits says that every critical objective shows the critical effect within the step
	// and promotes within 0.7 of the deadline.
	Fits     bool     `json:"fits"`
	HoldRate Figure   `json:"holdRate"` // chance that a healthy canary is not promoted by the deadline
	Why      string   `json:"why,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // of the plan
}

// An ObjectiveForecast is what can be expected of one objective.
type ObjectiveForecast struct {
	Name         string           `json:"name"`
	Role         Role             `json:"role"`
	Shape        Shape            `json:"shape"`
	Unit         string           `json:"unit,omitempty"`
	Target       float64          `json:"target,omitempty"` // the SLO's; 0: none
	PerMinute    Figure           `json:"perMinute"`        // requests of both arms together; null: unknown, or a level
	BaseRate     Figure           `json:"baseRate"`         // share of bad events in history, of a distribution of slow ones; null: a level
	Phi          float64          `json:"phi"`              // the dispersion that is planned with; 1 is chance alone
	Calibrated   bool             `json:"calibrated"`       // it was learned from history
	Detect       []EffectForecast `json:"detect"`
	Critical     EffectForecast   `json:"critical"` // what a step should show
	Margins      []MarginForecast `json:"margins"`  // the chosen one first
	HoldRate     Figure           `json:"holdRate"`
	Underpowered bool             `json:"underpowered,omitempty"` // promotes after 0.7 of the deadline, if at all
	WeightNeeded Figure           `json:"weightNeeded,omitempty"` // smallest weight that would do, where underpowered
	Why          string           `json:"why,omitempty"`          // why there is no forecast of a promote, or none by the deadline
}

// An EffectForecast is how long an effect takes to be shown harmful.
type EffectForecast struct {
	Effect  Figure `json:"effect"` // how many times as bad
	Minutes Figure `json:"minutes"`
	Why     string `json:"why,omitempty"` // where that is null
}

// A MarginForecast is how long a healthy canary takes to be shown within a margin.
type MarginForecast struct {
	Rung    string `json:"rung"`
	Margin  Bound  `json:"margin"`
	Minutes Figure `json:"minutes"`
}

// NewForecast forecasts the plan that in would make. A canary that stays at a weight for
// a step should show criticalEffect in it; a step of 0 is one that lasts until the
// deadline. It returns the faults that [NewPlan] returns.
func NewForecast(in PlanInput, step Duration, criticalEffect float64) (*Forecast, error) {
	if !(criticalEffect > 1) || math.IsInf(criticalEffect, 1) {
		return nil, fmt.Errorf("the critical effect %v must be above 1: how many times as bad", criticalEffect)
	}
	p, err := NewPlan(in)
	if err != nil {
		return nil, err
	}
	if step <= 0 {
		step = p.Window.Deadline
	}
	f := &Forecast{Weight: p.Weight, Step: step, Deadline: p.Window.Deadline, CriticalEffect: criticalEffect, Objectives: []ObjectiveForecast{}, Warnings: p.Warnings}
	if p.Refused != "" {
		f.unknown(p.RefusedReason)
		return f, nil
	}
	f.HoldRate, f.Fits = 1, true
	critical, promoted := 0, 1.0
	for i := range p.Objectives {
		o := &p.Objectives[i]
		acc, err := p.begin(o)
		if err != nil {
			return nil, fmt.Errorf("objective %q: %w", o.Name, err)
		}
		of := p.forecastOf(o, in.Facts[i], acc, criticalEffect)
		f.Objectives = append(f.Objectives, of)
		if o.Role != Critical {
			continue
		}
		critical++
		promoted *= 1 - float64(of.HoldRate)
		f.take(&of, o)
	}
	if critical == 0 {
		f.unknown("no objective is critical: nothing could be promoted")
		f.HoldRate = 1
		return f, nil
	}
	f.HoldRate = Figure(1 - promoted)
	return f, nil
}

// begin makes the accumulator of an objective, which has seen nothing.
func (p *Plan) begin(o *PlannedObjective) (accumulator, error) {
	m, err := methodFor(&o.Objective)
	if err != nil {
		return nil, err
	}
	return m.newAccumulator(p, o)
}

func (f *Forecast) unknown(why string) {
	nan := Figure(math.NaN())
	f.MinutesToPromote, f.MinutesToDetect, f.HoldRate, f.Fits, f.Why = nan, nan, nan, false, why
}

// take adds what a critical objective needs.
func (f *Forecast) take(of *ObjectiveForecast, o *PlannedObjective) {
	promote, detect := of.Margins[0].Minutes, of.Critical.Minutes
	f.MinutesToPromote = slower(f.MinutesToPromote, promote)
	f.Fits = f.Fits && float64(promote) <= decideBy*f.Deadline.D().Minutes()
	if o.Leak == nil { // a leak is watched for longer than any step
		f.MinutesToDetect = slower(f.MinutesToDetect, detect)
		f.Fits = f.Fits && float64(detect) <= f.Step.D().Minutes()
	}
	if f.Why == "" && of.Why != "" {
		f.Why = of.Name + ": " + of.Why
	}
}

// slower is the larger of two; unknown if one is.
func slower(a, b Figure) Figure { return Figure(math.Max(float64(a), float64(b))) }

// forecastOf forecasts one objective, of which acc has seen nothing.
func (p *Plan) forecastOf(o *PlannedObjective, facts Facts, acc accumulator, critical float64) ObjectiveForecast {
	out := ObjectiveForecast{
		Name: o.Name, Role: o.Role, Shape: o.Signal.Shape, Unit: o.Signal.Unit, Target: o.Target, PerMinute: Figure(math.NaN()), BaseRate: Figure(math.NaN()),
		Phi: max(1, o.History.PlanPhi), Calibrated: o.History.Calibrated, Underpowered: o.Underpowered, WeightNeeded: o.WeightNeeded,
	}
	if o.countsExposure() {
		out.PerMinute, out.BaseRate = Figure(o.rate()), Figure(o.BaseRate)
	}
	for _, effect := range ForecastEffects {
		out.Detect = append(out.Detect, p.effectOf(o, facts, acc, effect))
	}
	out.Critical = p.effectOf(o, facts, acc, critical)
	if lost := (1 - o.Target) / o.BaseRate; o.Null == NullAffine && math.IsInf(float64(out.Critical.Minutes), 1) && lost > critical {
		out.Critical = p.effectOf(o, facts, acc, lost)
	}
	promote, _ := acc.stillNeeded()
	if barred := acc.evidence().barred; barred.Code != "" {
		promote, out.Why = Figure(math.Inf(1)), barred.Reason
	} else if !known(promote) {
		out.Why = p.whyUnknown(o, promote)
	} else if o.Underpowered {
		out.Why = p.tooSlow(o, promote)
	}
	out.Margins = []MarginForecast{{o.Rung, o.MarginBound, promote}}
	if other, bound, ok := o.otherRung(); ok {
		nC, nB := p.exposure(o, p.Weight)
		demand := stats.Demand{Alpha: p.AlphaPromote, C: stats.LossSafety, Phi: o.History.PlanPhi}
		out.Margins = append(out.Margins, MarginForecast{other, bound, Figure(minutesNeeded(o, stats.Safety, bound, nC, nB, o.BaseRate, o.BaseRate, demand))})
	}
	out.HoldRate = Figure(p.holdRate(o, float64(promote)))
	return out
}

// otherRung is the automatic margin that was not chosen (statistics 11.4), if there is a
// choice.
func (o *PlannedObjective) otherRung() (rung string, bound Bound, ok bool) {
	switch {
	case o.Signal.Shape != ShapeRatio:
		return "", Bound{}, false
	case o.Rung == RungHalfBudget:
		return RungKeepsSLO, o.keepsSLO(), true
	case o.Rung == RungKeepsSLO:
		return RungHalfBudget, halfBudget, true
	}
	return "", Bound{}, false
}

// An accumulator that is foreseeing forecasts an effect of any size itself.
type foreseeing interface {
	// minutesToSee forecasts the minutes until a canary of factor times the level is
	// shown harmful.
	minutesToSee(factor float64) Figure
}

func (p *Plan) effectOf(o *PlannedObjective, facts Facts, acc accumulator, effect float64) EffectForecast {
	minutes := p.minutesOf(o, facts, acc, effect)
	return EffectForecast{Figure(effect), minutes, p.whyNot(o, minutes)}
}

// minutesOf forecasts the minutes until an effect is shown harmful: NaN where that is
// unknown, +Inf for never.
func (p *Plan) minutesOf(o *PlannedObjective, facts Facts, acc accumulator, effect float64) Figure {
	switch o.Signal.Shape {
	case ShapeTemplates, ShapeTopology:
		return Figure(math.NaN())
	case ShapeDistribution:
		return Figure(p.MinutesToDetectSlower(o, facts.Distribution, effect))
	case ShapeLevel:
		if f, ok := acc.(foreseeing); ok {
			return f.minutesToSee(effect)
		}
		return Figure(math.NaN())
	}
	if worse := o.worse(o.BaseRate, effect); worse <= 1 {
		return Figure(p.minutesToDetect(o, worse))
	}
	return Figure(math.NaN())
}

func known(m Figure) bool { return !math.IsNaN(float64(m)) && !math.IsInf(float64(m), 0) }

// whyNot says why an effect has no minutes.
func (p *Plan) whyNot(o *PlannedObjective, minutes Figure) string {
	switch {
	case known(minutes):
		return ""
	case o.Weight <= 0:
		return "advisory: reported, never harm"
	case o.Leak != nil:
		return "a leak is judged by how fast it grows"
	case math.IsInf(float64(minutes), 1):
		return "within what is tolerated"
	case o.Signal.Shape == ShapeRatio && o.rate() > 0:
		return fmt.Sprintf("no rate grows so much from %.3g%%", 100*o.BaseRate)
	}
	return p.whyUnknown(o, minutes)
}

// whyUnknown says why there is no forecast.
func (p *Plan) whyUnknown(o *PlannedObjective, minutes Figure) string {
	switch {
	case math.IsInf(float64(minutes), 1):
		return "it cannot be shown within its margin, however long it is watched"
	case o.countsExposure() && !(o.rate() > 0):
		return "the traffic is unknown: the baseline served nothing in the last hour"
	case o.Signal.Shape == ShapeLevel:
		return "no history tells how much its level varies"
	case o.Latency != nil && len(o.Latency.Untested) > 0:
		u := o.Latency.Untested[0]
		return fmt.Sprintf("%s is not judged: %s", quantileName(u.Quantile), u.Why)
	case o.Signal.Shape == ShapeDistribution:
		return "too little was observed before"
	}
	return "history tells too little"
}

// tooSlow says what an underpowered objective needs.
func (p *Plan) tooSlow(o *PlannedObjective, promote Figure) string {
	short := "too little traffic"
	if !o.countsExposure() {
		short = "too few samples"
	}
	out := fmt.Sprintf("underpowered: %s, it needs about %.0f minutes", short, math.Ceil(float64(promote)))
	if known(o.WeightNeeded) {
		out += fmt.Sprintf(" or %.0f%% weight", 100*o.WeightNeeded)
	}
	return out
}

// The simulated times of (12) and (12a), statistics 11.1: a healthy canary is shown safe
// within 0.6 of the forecast at the median and 1.2 of it in eight of ten runs. Between
// and beyond them the time is taken to be log-normal. The forecast of a level is a median
// itself.
const (
	medianOfForecast = 0.6
	spreadOfForecast = 2.0       // the 80% quantile in units of the median
	quantile80       = 0.8416212 // of the standard normal distribution
)

// holdRate is the chance that a healthy canary with a forecast of so many minutes is not
// shown safe by the deadline, which for distributions is counted from the end of the
// warm-up; the bake must be over, too.
func (p *Plan) holdRate(o *PlannedObjective, forecast float64) float64 {
	within := p.Window.Deadline.D()
	if o.Signal.Shape == ShapeDistribution {
		within -= p.Window.Warmup.D()
	}
	if p.Window.MinBake.D() >= p.Window.Deadline.D() || o.Underpowered && p.Window.OnUnderpowered == HoldUnderpowered {
		return 1
	}
	median := forecast
	if o.Signal.Shape != ShapeLevel {
		median *= medianOfForecast
	}
	return afterwards(median, within.Minutes())
}

// afterwards is the chance that a log-normal time of the given median takes longer than
// within; NaN where the median is.
func afterwards(median, within float64) float64 {
	switch {
	case math.IsNaN(median):
		return median
	case !(within > 0) || math.IsInf(median, 1):
		return 1
	case !(median > 0):
		return 0
	}
	z := math.Log(within/median) * quantile80 / math.Log(spreadOfForecast)
	return 0.5 * math.Erfc(z/math.Sqrt2)
}
