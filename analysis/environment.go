package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

const (
	breachEvents  = 5   // events in each arm before a rate counts as over its SLO
	envTolerance  = 2.0 // E_env: how much worse than before the baseline may be (statistics 8.2)
	envConflict   = 20  // E_env at which the environment blocks a promote
	hourOfHistory = 60  // minutes
)

// environment compares the baseline now with the baseline before the deployment:
// a bad day of both arms must not be promoted through, and is never the canary's
// fault. With an SLO the question is whether both arms breach it now; without, the
// profile of baseline now against baseline before, the counts of the hour before
// spread evenly over the folds up to the deadline.
type environment struct {
	o       *PlannedObjective
	grid    *stats.Grid
	profile *stats.Profile
	perFold foldCounts // of the hour before, in xB and nB
	left    int        // folds that still get a share
}

func newEnvironment(p *Plan, o *PlannedObjective) (environment, error) {
	e := environment{o: o}
	h := o.History
	if o.Signal.Shape != ShapeRatio || o.Target > 0 || h.HourTotal <= 0 {
		return e, nil
	}
	e.grid = stats.NewGrid(envTolerance, 0)
	e.profile = stats.NewProfile(e.grid)
	e.left = max(1, int(p.Window.Deadline.D()/o.Cadence.D()))
	e.perFold = foldCounts{xB: h.BadHour / float64(e.left), nB: h.HourTotal / float64(e.left)}
	return e, nil
}

func (e *environment) fold(c foldCounts, phi float64) error {
	if e.profile == nil || e.left == 0 || c.nB == 0 {
		return nil
	}
	e.left--
	return e.profile.Add(e.grid, c.xB, e.perFold.xB, c.nB, e.perFold.nB, phi)
}

func (e *environment) check(r *recent) Check {
	h := e.o.History
	if e.o.Signal.Shape != ShapeRatio || h.HourTotal <= 0 {
		return Check{State: NotRequired, Reason: "no time before the deployment to compare with; what both arms share cancels"}
	}
	if e.o.Target > 0 {
		if e.o.BaselineOverSLO {
			return Check{State: Good, Code: BaselineOverSLO, Reason: "the baseline breached its SLO before the deployment already; the canary is held against the baseline"}
		}
		now := r.sum()
		budget := 1 - e.o.Target
		pC, pB := rate(now.xC, now.nC), rate(now.xB, now.nB)
		if now.xC >= breachEvents && now.xB >= breachEvents && pC > budget && pB > budget {
			return Check{Conflicting, EnvironmentDegraded, fmt.Sprintf("%s: both arms are over their SLO now (baseline %.3g%%, canary %.3g%%, allowed %.3g%%) and the baseline was not before", e.o.Name, 100*pB, 100*pC, 100*budget)}
		}
		return Check{State: Good}
	}
	if logE := e.profile.LogHarm(e.grid); logE >= math.Log(envConflict) {
		return Check{Conflicting, EnvironmentDegraded, fmt.Sprintf("%s: the baseline itself is more than %g times worse than before the deployment (evidence %.3g)", e.o.Name, envTolerance, math.Exp(min(logE, 700)))}
	}
	return Check{State: Good}
}
