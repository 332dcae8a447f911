package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// beforeShare is the weight of the comparison with the time before the deployment
// in the harm evidence, where the canary is also compared with a baseline beside it.
// The average of two e-processes is one, whatever they have in common.
const beforeShare = 0.5

// hourShare is what of the hour before the deployment stands against one fold: its
// counts are spread evenly over the folds up to the deadline, so that all of it is
// used once (statistics 7.2).
func hourShare(p *Plan, o *PlannedObjective) foldCounts {
	folds := math.Max(1, float64(p.Window.Deadline.D()/o.Cadence.D()))
	return foldCounts{xB: o.History.BadHour / folds, nB: o.History.HourTotal / folds}
}

// newBefore returns the trial of the canary against the time before the deployment.
// It is tempered by how much the counts of history vary from one block of minutes to
// the hour before it: time is what sets these arms apart, not pods.
func newBefore(p *Plan, o *PlannedObjective) (*trial, error) {
	plain := *o
	plain.Strata = nil // history knows none
	return newTrial(p, &plain, stats.Priors(o.History.PhiBefore))
}

// barredBefore says why a comparison with the time before never promotes: what has
// changed since then may be the world.
func barredBefore(o *PlannedObjective) Check {
	if o.History.HourTotal <= 0 {
		return Check{Undecided, BeforeAfterOnly, fmt.Sprintf("%s: nothing was counted in the hour before the deployment, there is nothing to compare with", o.Name)}
	}
	return Check{Undecided, BeforeAfterOnly, fmt.Sprintf("%s: compared with the hour before the deployment, which can show harm but never safety", o.Name)}
}
