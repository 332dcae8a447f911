package analysis

import (
	"errors"
	"fmt"
	"math"
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
}

// assumedWeight is the canary's share where the deployment declares none.
const assumedWeight = 0.1

// decideBy is the share of the deadline within which a margin must be forecast
// to be shown for it to be chosen (statistics 11.4).
const decideBy = 0.7

// Shares of the harm evidence by role (statistics 9.1). Roles that a plan lacks
// give theirs to the others in proportion.
var roleShare = map[Role]float64{Critical: .70, Secondary: .20, Advisory: 0}

// NewPlan freezes a plan. It returns every fault of the policy, joined.
func NewPlan(in PlanInput) (*Plan, error) {
	d, policy := in.Deployment, in.Policy
	p := &Plan{
		Schema: PlanSchema, Validation: d.Validation(), Deployment: d, Policy: policy.Name, BuiltIn: policy.BuiltIn,
		Cohorts: in.Cohorts, Window: policy.Window, AlphaRollback: policy.AlphaRollback, AlphaPromote: policy.AlphaPromote,
		AlphaHold: AlphaHold, Warnings: in.Warnings, Refused: in.Refused, RefusedReason: in.RefusedReason,
	}
	if d.Warmup > 0 {
		p.Window.Warmup = d.Warmup
	}
	if d.MaxDuration > 0 {
		p.Window.Deadline = d.MaxDuration
	}
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
		p.Calibrated = p.Calibrated && in.Facts[i].History.Calibrated
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
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

func objectiveWeights(objectives []Objective) []float64 {
	count := map[Role]float64{}
	for _, o := range objectives {
		count[o.Role]++
	}
	total := 0.0
	for role, share := range roleShare {
		if count[role] > 0 {
			total += share
		}
	}
	out := make([]float64, len(objectives))
	for i, o := range objectives {
		if total > 0 {
			out[i] = roleShare[o.Role] / total / count[o.Role]
		}
	}
	return out
}

// plan resolves one objective: cadence, null hypothesis, bounds and forecasts.
func (p *Plan) plan(o Objective, facts Facts, weight float64) (PlannedObjective, error) {
	method, err := methodFor(o.Signal.Shape)
	if err != nil {
		return PlannedObjective{}, err
	}
	cadence := CadenceOf(facts.Spacing)
	h := facts.History
	if !h.Calibrated {
		h.Phi0 = stats.NoHistory()
	}
	h.PlanPhi = stats.Priors(h.Phi0).Max()
	out := PlannedObjective{
		Objective: o, Method: method.ID(), Weight: weight,
		Cadence: Duration(cadence), Lateness: Duration(LatenessOf(cadence, facts.Lag)),
		Null: NullRatio, ToleranceBound: o.tolerance(), History: h,
		MinutesToPromote: Figure(math.NaN()), MinutesToDetectDouble: Figure(math.NaN()), WeightNeeded: Figure(math.NaN()),
	}
	budget := 1 - o.Target
	if o.Target > 0 {
		out.BaseRate = stats.HistoryRate(h.Bad, h.Exposure, budget)
		out.BaselineOverSLO = h.HourTotal > 0 && h.BadHour/h.HourTotal > budget
	} else {
		out.BaseRate = stats.HistoryRate(h.Bad, h.Exposure, 0.01)
	}
	p.chooseMargin(&out, budget)
	out.MinutesToDetectDouble = Figure(p.minutesToDetect(&out, 2*out.BaseRate))
	if _, err := method.newAccumulator(p, &out); err != nil { // a bound that no test can have is told now
		return PlannedObjective{}, err
	}
	return out, nil
}

// chooseMargin picks the null hypothesis and the margin of statistics 3.3 and
// 11.4. Whatever it picks is frozen before data is seen, hence valid.
func (p *Plan) chooseMargin(o *PlannedObjective, budget float64) {
	explicit := o.Margin
	affine := o.Target > 0 && (o.BaseRate <= 0.5*budget || explicit != nil && explicit.Budget > 0)
	if explicit != nil && explicit.Budget == 0 && (o.Tolerance == nil || o.Tolerance.Budget == 0) {
		affine = false // the user asked for a ratio
	}
	if !affine {
		o.Null = NullRatio
		if o.Tolerance == nil || o.Tolerance.Budget != 0 {
			o.ToleranceBound = Bound{Ratio: 1.05}
		}
		o.MarginBound, o.Rung = ratioMargin, RungRatio
		if explicit != nil && explicit.Budget == 0 {
			o.MarginBound, o.Rung = *explicit, RungExplicit
		}
		p.forecast(o)
		return
	}
	o.Null = NullAffine
	if explicit != nil {
		o.MarginBound, o.Rung = *explicit, RungExplicit
		p.forecast(o)
		return
	}
	o.MarginBound, o.Rung = halfBudget, RungHalfBudget
	if p.forecast(o) {
		return
	}
	if known := !math.IsNaN(float64(o.MinutesToPromote)); !known {
		return // no traffic to forecast from: the narrow rung, and time will tell
	}
	o.MarginBound, o.Rung = Bound{1, 1 - o.BaseRate/budget}, RungKeepsSLO
	p.forecast(o)
}

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
	need := p.minutesToPromote(o, p.Weight)
	o.MinutesToPromote = Figure(need)
	limit := decideBy * p.Window.Deadline.D().Minutes()
	o.Underpowered = need > limit // false for an unknown (NaN)
	o.WeightNeeded = Figure(math.NaN())
	if o.Underpowered {
		for _, w := range []float64{.05, .1, .15, .2, .25, .3, .4, .5} {
			if w > p.Weight && p.minutesToPromote(o, w) <= limit {
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
	rate := o.rate()
	demand := stats.Demand{Alpha: p.AlphaPromote, C: stats.LossSafety, Phi: o.History.PlanPhi}
	return minutesNeeded(o, stats.Safety, o.MarginBound, weight*rate, (1-weight)*rate, o.BaseRate, o.BaseRate, demand)
}

// minutesToDetect forecasts how long harm at the canary rate pC needs to be shown.
func (p *Plan) minutesToDetect(o *PlannedObjective, pC float64) float64 {
	if o.Weight <= 0 {
		return math.NaN()
	}
	rate := o.rate()
	demand := stats.Demand{Alpha: p.AlphaRollback * o.Weight, C: stats.LossHarm, Phi: o.History.PlanPhi}
	return minutesNeeded(o, stats.Harm, o.ToleranceBound, p.Weight*rate, (1-p.Weight)*rate, pC, o.BaseRate, demand)
}

// minutesNeeded evaluates the planning formulas (12) and (12a) of statistics 11.1
// for exposures a minute nC and nB and true rates pC and pB; NaN where they are
// unknown.
func minutesNeeded(o *PlannedObjective, side stats.Side, bound Bound, nC, nB, pC, pB float64, demand stats.Demand) float64 {
	if !(nC > 0) || !(nB > 0) || !(pB > 0) {
		return math.NaN()
	}
	var m float64
	var err error
	if o.Null == NullAffine {
		m, err = stats.MinutesAffine(stats.AffinePlan{
			Side: side, NC: nC, NB: nB, PC: min(1, pC), PB: min(1, pB),
			Rho0: bound.Ratio, Delta: bound.Budget * (1 - o.Target), Demand: demand,
		})
	} else {
		m, err = stats.MinutesRatio(stats.RatioPlan{
			Side: side, Events: (nC + nB) * pB, Weight: nC / (nC + nB), Rho1: pC / pB, Rho0: bound.Ratio, Demand: demand,
		})
	}
	if err != nil {
		return math.NaN()
	}
	return m
}
