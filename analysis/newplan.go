package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// PlanSchema names the layout of a plan.
const PlanSchema = "assay.dev/plan/v1"

// PlanInput is all that a plan is made from. Everything in it was known before
// the deployment started.
type PlanInput struct {
	Deployment Deployment // Release.PreviousVersion resolved
	Policy     Policy
	Cohorts    Cohorts
	Facts      []Facts  // one for each objective of the policy, in their order
	Warnings   []string // what could not be established
	// Logs and Traces are what was learned for objectives about logs and traces: the
	// templates, the share that is read, what is muted and expected; the operations. What
	// the deployment expects is added, the sources are the objectives' own. Nil: nothing
	// was learned.
	Logs   *LogPlan
	Traces *TracePlan
	// Refused and its reason are set where no comparison is possible; the plan
	// then records why.
	Refused       Code
	RefusedReason string
}

// Facts are what the time before the deployment says about one objective.
type Facts struct {
	Spacing time.Duration // median sample spacing of the baseline; 0: unknown
	Lag     time.Duration // how far the source is behind the moment it describes; 0: PullLag
	History History
	// Distribution is what a distribution's thresholds are chosen from.
	Distribution Histogram
	// Step is what lies between two values of a level's history; 0: a minute.
	Step time.Duration

	// recorded is set where an earlier plan is made again: it keeps the thresholds of a
	// distribution, but not the histogram that they were chosen from.
	recorded *PlannedObjective
}

// assumedWeight is the canary's share where the deployment declares none.
const assumedWeight = 0.1

// decideBy is the share of the deadline within which a margin must be forecast
// to be shown for it to be chosen (statistics 11.4).
const decideBy = 0.7

// NewPlan freezes a plan. It returns every fault of the policy, joined.
func NewPlan(in PlanInput) (*Plan, error) {
	d, policy := in.Deployment, in.Policy
	p := &Plan{
		Schema: PlanSchema, Validation: d.Validation(), Deployment: d, Policy: policy.Name, BuiltIn: policy.BuiltIn,
		Cohorts: in.Cohorts, Comparison: policy.Comparison, AlphaRollback: policy.AlphaRollback, AlphaPromote: policy.AlphaPromote,
		AlphaHold: AlphaHold, Costs: policy.Costs, Warnings: in.Warnings, Refused: in.Refused, RefusedReason: in.RefusedReason,
	}
	p.Window = d.window(policy.Window)
	p.Weight, p.WeightDeclared = plannedWeight(d)
	p.Restarts = restartTimes(d.StartedAt, p.Window.Deadline.D())
	p.IdentityBySelector = selectsOn(in.Cohorts.Canary, d.Release.Version) && selectsOn(in.Cohorts.Baseline, d.Release.PreviousVersion)
	if in.Refused != "" {
		return p, nil
	}
	var errs []error
	if len(in.Facts) != len(policy.Objectives) {
		return nil, fmt.Errorf("plan of %s: %d objectives but facts for %d", p.Validation, len(policy.Objectives), len(in.Facts))
	}
	if err := policy.validate(); err != nil {
		errs = append(errs, err)
	}
	weights := objectiveWeights(policy.Objectives)
	p.planStreams(in)
	p.Calibrated = len(policy.Objectives) > 0
	for i, o := range policy.Objectives {
		if err := o.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		planned, err := p.plan(o, in.Facts[i], weights[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("objective %q: %w", o.Name, err))
			continue
		}
		p.Objectives = append(p.Objectives, planned)
		p.Calibrated = p.Calibrated && p.calibratedBy(planned, in.Facts[i].History)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// window is that of a policy, as far as the deployment itself does not say otherwise.
func (d Deployment) window(w Window) Window {
	if d.Warmup > 0 {
		w.Warmup = d.Warmup
	}
	if d.MaxDuration > 0 {
		w.Deadline = d.MaxDuration
	}
	return w
}

// calibratedBy reports whether history tells how much what o is compared with varies:
// pods beside each other, or, of counts against the time before, that time itself.
func (p *Plan) calibratedBy(o PlannedObjective, h History) bool {
	if o.Signal.ofStreams() && o.Role != Critical { // of a small share, and weighed with care
		return true
	}
	if p.Comparison == PreviousWindow && o.Signal.Shape == ShapeRatio {
		return o.History.PhiBefore != stats.NoHistory()
	}
	return h.Calibrated
}

func (p Policy) validate() error {
	var errs []error
	for _, a := range []struct {
		name  string
		value float64
	}{{"alphaRollback", p.AlphaRollback}, {"alphaPromote", p.AlphaPromote}} {
		if !(a.value > 0 && a.value < 0.5) {
			errs = append(errs, fmt.Errorf("policy %q: %s %v is not in (0, 0.5)", p.Name, a.name, a.value))
		}
	}
	if err := p.Costs.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("policy %q: %w", p.Name, err))
	}
	seen := map[string]bool{}
	for _, o := range p.Objectives {
		if seen[o.Name] {
			errs = append(errs, fmt.Errorf("policy %q: two objectives are named %q", p.Name, o.Name))
		}
		seen[o.Name] = true
	}
	if p.Window.Deadline.D() <= 0 {
		errs = append(errs, fmt.Errorf("policy %q: the deadline %v must be positive", p.Name, p.Window.Deadline))
	}
	return errors.Join(errs...)
}

// selectsOn reports whether a cohort selects on the version itself.
func selectsOn(c Cohort, version string) bool {
	return version != "" && c[AttrVersion] == version
}

// plannedWeight is the share that forecasts assume: the mean over the declared
// steps.
func plannedWeight(d Deployment) (float64, bool) {
	sum, n := 0.0, 0
	for _, s := range d.Steps {
		if s.Weight > 0 && s.Weight < 1 {
			sum += s.Weight
			n++
		}
	}
	if n == 0 {
		return assumedWeight, false
	}
	return sum / float64(n), true
}

// PlannedWeight is the canary's share that the plan of d will assume.
func PlannedWeight(d Deployment) float64 {
	w, _ := plannedWeight(d)
	return w
}

// restartTimes are the start times of the late-onset mixture: 10, 20, ... minutes
// before the deadline, at most stats.MaxStartSlots, further apart where the
// deadline asks for more (statistics 3.7).
func restartTimes(start time.Time, deadline time.Duration) []time.Time {
	gap := 10 * minute
	for deadline > gap*(stats.MaxStartSlots+1) {
		gap += 10 * minute
	}
	var out []time.Time
	for at := start.Add(deadline).Add(-gap); at.After(start); at = at.Add(-gap) {
		out = append([]time.Time{at}, out...)
	}
	return out
}

// plan resolves one objective: cadence, null hypothesis, bounds and forecasts.
func (p *Plan) plan(o Objective, facts Facts, weight float64) (PlannedObjective, error) {
	method, err := methodFor(&o)
	if err != nil {
		return PlannedObjective{}, err
	}
	cadence := o.Signal.cadence(facts.Spacing)
	o.Strata = o.strata()
	if o.Signal.untested() && !o.Signal.Listed() {
		o.Role = Advisory
		p.Warnings = append(slices.Clip(p.Warnings), o.Name+": no signal counts the requests: lines are listed, not tested")
	}
	h := facts.History
	if !h.Calibrated {
		h.Phi0 = stats.NoHistory()
	}
	if p.beforeAfter() && h.PhiBefore == [3]float64{} {
		h.PhiBefore = stats.NoHistory()
	}
	h.PlanPhi = stats.Priors(h.Phi0).Max()
	out := PlannedObjective{
		Objective: o, Method: method.ID(), Weight: weight,
		Cadence: Duration(cadence), Lateness: Duration(o.Signal.lateness(cadence, facts.Lag)),
		Null: NullRatio, ToleranceBound: o.tolerance(), History: h,
		MinutesToPromote: Figure(math.NaN()), MinutesToDetectDouble: Figure(math.NaN()), WeightNeeded: Figure(math.NaN()),
	}
	switch o.Signal.Shape {
	case ShapeDistribution:
		err = p.planDistribution(&out, facts)
	case ShapeLevel:
		err = p.planLevel(&out, facts)
	case ShapeTemplates, ShapeTopology:
		out.ToleranceBound = Bound{}
	default:
		err = p.planRatio(&out)
	}
	if err != nil {
		return PlannedObjective{}, err
	}
	if _, err := method.newAccumulator(p, &out); err != nil { // a bound that no test can have is told now
		return PlannedObjective{}, err
	}
	return out, nil
}

// planRatio chooses null hypothesis and bounds of a ratio and forecasts.
func (p *Plan) planRatio(out *PlannedObjective) error {
	o, h, budget := out.Objective, out.History, 1-out.Target
	if o.Target > 0 {
		out.BaseRate = stats.HistoryRate(h.Bad, h.Exposure, budget)
		out.BaselineOverSLO = h.HourTotal > 0 && h.BadHour/h.HourTotal > budget
	} else {
		out.BaseRate = stats.HistoryRate(h.Bad, h.Exposure, 0.01)
	}
	if err := p.chooseMargin(out, budget); err != nil {
		return err
	}
	if p.Comparison == PreviousWindow { // nothing promotes: no forecast can say when
		out.MinutesToPromote, out.WeightNeeded, out.Underpowered = Figure(math.NaN()), Figure(math.NaN()), false
	}
	out.MinutesToDetectDouble = Figure(p.minutesToDetect(out, out.doubled(out.BaseRate)))
	return nil
}

// chooseMargin picks the null hypothesis and the margin of statistics 3.3 and
// 11.4. Whatever it picks is frozen before data is seen, hence valid.
func (p *Plan) chooseMargin(o *PlannedObjective, budget float64) error {
	explicit := o.Margin
	affine := o.Target > 0 && (o.BaseRate <= 0.5*budget || explicit != nil && explicit.Budget > 0)
	if explicit != nil && explicit.Budget == 0 && (o.Tolerance == nil || o.Tolerance.Budget == 0) {
		affine = false // the user asked for a ratio
	}
	if !affine {
		o.Null = NullRatio
		if o.Tolerance == nil || o.Tolerance.Budget != 0 {
			o.ToleranceBound, _ = o.Signal.ratioBounds()
		}
		_, o.MarginBound = o.Signal.ratioBounds()
		o.Rung = RungRatio
		if explicit != nil && explicit.Budget == 0 {
			o.MarginBound, o.Rung = *explicit, RungExplicit
		}
		if err := o.countRarer(); err != nil {
			return err
		}
		p.forecast(o)
		return nil
	}
	o.Null = NullAffine
	if err := o.countRarer(); err != nil {
		return err
	}
	if explicit != nil {
		o.MarginBound, o.Rung = *explicit, RungExplicit
		p.forecast(o)
		return nil
	}
	o.MarginBound, o.Rung = halfBudget, RungHalfBudget
	if p.forecast(o) {
		return nil
	}
	if known := !math.IsNaN(float64(o.MinutesToPromote)); !known {
		return nil // no traffic to forecast from: the narrow rung, and time will tell
	}
	o.MarginBound, o.Rung = o.keepsSLO(), RungKeepsSLO
	p.forecast(o)
	return nil
}

// keepsSLO is the margin up to which a canary keeps the SLO.
func (o *PlannedObjective) keepsSLO() Bound { return Bound{1, 1 - o.BaseRate/(1-o.Target)} }

// The rungs of the margin, as the verdict names them.
const (
	RungExplicit   = "explicit"    // the user's own margin
	RungHalfBudget = "half_budget" // costs less than half of the error budget
	RungKeepsSLO   = "keeps_slo"   // keeps its SLO
	RungRatio      = "ratio"       // no SLO, or a baseline above half its budget: 1.25 times the baseline
)

// forecast fills in the minutes to promote and whether the objective is
// underpowered, and reports whether the margin can be shown in time.
func (p *Plan) forecast(o *PlannedObjective) bool {
	return p.fits(o, func(weight float64) float64 { return p.minutesToPromote(o, weight) })
}

// fits is forecast with the method's own minutes to promote at a canary's weight.
func (p *Plan) fits(o *PlannedObjective, minutes func(weight float64) float64) bool {
	need := minutes(p.Weight)
	o.MinutesToPromote = Figure(need)
	limit := decideBy * p.Window.Deadline.D().Minutes()
	o.Underpowered = need > limit // false for an unknown (NaN)
	o.WeightNeeded = Figure(math.NaN())
	if o.Underpowered {
		for _, w := range []float64{.05, .1, .15, .2, .25, .3, .4, .5} {
			if w > p.Weight && minutes(w) <= limit {
				o.WeightNeeded = Figure(w)
				break
			}
		}
	}
	return need <= limit
}

// rate is the baseline's requests a minute in the hour before the deployment, NaN
// where unknown.
func (o *PlannedObjective) rate() float64 {
	if o.History.HourSpan <= 0 || o.History.HourTotal <= 0 {
		return math.NaN()
	}
	return o.History.HourTotal / o.History.HourSpan
}

// minutesToPromote forecasts how long a healthy canary at the given weight needs
// to be shown within the margin; NaN where traffic is unknown, +Inf for never.
func (p *Plan) minutesToPromote(o *PlannedObjective, weight float64) float64 {
	nC, nB := p.exposure(o, weight)
	demand := stats.Demand{Alpha: p.AlphaPromote, C: stats.LossSafety, Phi: o.History.PlanPhi}
	return minutesNeeded(o, stats.Safety, o.MarginBound, nC, nB, o.BaseRate, o.BaseRate, demand)
}

// exposure is what both arms are expected to serve a minute, the canary at the given
// weight; NaN where unknown. Against the time before, the canary serves everything.
func (p *Plan) exposure(o *PlannedObjective, weight float64) (nC, nB float64) {
	rate := o.rate()
	if p.Comparison == PreviousWindow {
		return rate, o.History.HourTotal / p.Window.Deadline.D().Minutes()
	}
	return weight * rate, (1 - weight) * rate
}

// minutesToDetect forecasts how long harm at the canary rate pC needs to be shown.
func (p *Plan) minutesToDetect(o *PlannedObjective, pC float64) float64 {
	if o.Weight <= 0 {
		return math.NaN()
	}
	nC, nB := p.exposure(o, p.Weight)
	phi := o.History.PlanPhi
	if p.Comparison == PreviousWindow {
		phi = stats.Priors(o.History.PhiBefore).Max()
	}
	demand := stats.Demand{Alpha: p.AlphaRollback * o.Weight, C: stats.LossHarm, Phi: phi}
	return minutesNeeded(o, stats.Harm, o.ToleranceBound, nC, nB, pC, o.BaseRate, demand)
}

// minutesNeeded evaluates the planning formulas (12) and (12a) of statistics 11.1,
// and their like for common outcomes, for exposures a minute nC and nB and true rates
// of bad events pC and pB; NaN where they are unknown.
func minutesNeeded(o *PlannedObjective, side stats.Side, bound Bound, nC, nB, pC, pB float64, demand stats.Demand) float64 {
	if !(nC > 0) || !(nB > 0) || !(pB > 0) {
		return math.NaN()
	}
	c := o.rarer(foldCounts{xC: nC * min(1, pC), xB: nB * min(1, pB), nC: nC, nB: nB})
	rho0, delta := o.boundary(bound)
	var m float64
	var err error
	plan := stats.AffinePlan{Side: side, NC: c.nC, NB: c.nB, PC: c.xC / c.nC, PB: c.xB / c.nB, Rho0: rho0, Delta: delta, Demand: demand}
	switch o.Null {
	case NullAffine:
		m, err = stats.MinutesAffine(plan)
	case NullBernoulli:
		m, err = stats.MinutesBernoulli(plan)
	default:
		m, err = stats.MinutesRatio(stats.RatioPlan{
			Side: side, Events: (c.nC + c.nB) * plan.PB, Weight: c.nC / (c.nC + c.nB), Rho1: plan.PC / plan.PB, Rho0: rho0, Demand: demand,
		})
	}
	if err != nil {
		return math.NaN()
	}
	return m
}
