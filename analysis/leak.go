package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

var methodLeak = Method{
	Name: "leak", Version: 1, Shape: ShapeLevel, Leak: true,
	Assumptions:    "pods of the same age grow alike; the difference of the arms is a line plus AR(1) noise whose correlation is that of history; one sample a minute shows the sawtooth of a collector as noise",
	References:     "Lindon, Ham, Tingley & Bojinov 2022 (Gaussian e-processes in linear models); Sen 1968 (median of slopes)",
	newAccumulator: func(p *Plan, o *PlannedObjective) (accumulator, error) { return newLeak(p, o) },
}

const (
	// sameAge is how long before the deployment a baseline pod may have started to be
	// compared with the canary's: a cache that fills is no leak.
	sameAge = 15 * time.Minute
	// defaultHorizon is the time within which a limit must not be reached.
	defaultHorizon = 24 * time.Hour
	// leakBake is the least time over which a critical leak is watched.
	leakBake = 30.0 // minutes
	// bakeZ is how many standard errors the critical slope must measure by the end of
	// the bake (statistics 6, formula 11).
	bakeZ = 5
	// risingNeeded is the share of canary pods whose own median slope must be positive.
	risingNeeded = .7
	// assumedLeakAR is the correlation between minutes where there is no history: so
	// high that only a clear line stands out of it.
	assumedLeakAR = .95
)

// planLeak fixes the slope that is allowed, and how long it takes to see one that is
// not. Without a limit any growth is harm, and one that adds the present level within
// the horizon is what the bake must be long enough for.
func (p *Plan) planLeak(o *PlannedObjective) {
	horizon := o.Leak.Horizon.D()
	if horizon <= 0 {
		horizon = defaultHorizon
	}
	plan := &LevelPlan{Scale: ScaleDifference, Bake: Figure(math.Inf(1))}
	h := o.History.Level
	now := 0.0
	if h != nil {
		now = h.Newest
	}
	switch {
	case o.Leak.Limit > 0 && o.Signal.Better == BetterHigher:
		plan.Slope = max(0, (now-o.Leak.Limit)/horizon.Minutes())
		plan.Critical = plan.Slope
	case o.Leak.Limit > 0:
		plan.Slope = max(0, (o.Leak.Limit-now)/horizon.Minutes())
		plan.Critical = plan.Slope
	default:
		plan.Critical = math.Abs(now) / horizon.Minutes()
	}
	o.Level = plan
	if h != nil && h.Pairs != nil && plan.Critical > 0 {
		tau := stats.IntegratedTime(h.Pairs.Phi) * o.Cadence.D().Minutes()
		plan.Bake = Figure(Round6(max(leakBake, bakeMinutes(h.SD, tau, plan.Critical)))) // as the plan is written down
	}
	o.MinutesToPromote = plan.Bake
	limit := p.Window.Deadline.D().Minutes()
	o.Underpowered = h != nil && h.Pairs != nil && float64(plan.Bake) > limit
	switch {
	case !o.Underpowered || o.Role != Critical:
	case plan.Critical == 0:
		p.warn("%s: the baseline is at the limit of the leak already: the canary cannot promote", o.Name)
	default:
		p.warn("%s: a leak of %s a minute shows after %.0f minutes only, the deadline is %.0f: it cannot promote", o.Name, amount(plan.Critical, o.Signal.Unit), math.Ceil(float64(plan.Bake)), limit)
	}
}

// bakeMinutes is how long a slope b (a minute) must be watched until it measures bakeZ
// standard errors, for differences of standard deviation sd of which one in tau minutes
// is independent: T = (12 sd^2 tau z^2 / b^2)^(1/3).
func bakeMinutes(sd, tau, b float64) float64 {
	return math.Cbrt(12 * sd * sd * tau * bakeZ * bakeZ / (b * b))
}

// validate returns what no leak can be asked.
func (l *Leak) validate() error {
	if !(l.Limit >= 0) || math.IsInf(l.Limit, 0) {
		return fmt.Errorf("the limit %v of a leak must be positive, or 0 for none", l.Limit)
	}
	if l.Horizon < 0 {
		return fmt.Errorf("the horizon %v of a leak must not be negative", l.Horizon.D())
	}
	return nil
}
