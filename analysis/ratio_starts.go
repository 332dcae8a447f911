package analysis

import (
	"slices"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// start is a snapshot from which a restarted test counts.
type start struct {
	Sums []float64 // their harm part
	// Bound is at least ln E_R since then: it grows by what a fold can have added at
	// most, and is brought down again when it gets in the way.
	Bound float64
}

// rampSlots is step.total - 1 where the starting event declared it.
func rampSlots(d Deployment) int {
	if len(d.Steps) == 0 {
		return 0
	}
	return min(stats.MaxStartSlots, max(0, d.Steps[0].Total-1))
}

func (t *trial) step(at time.Time) { t.starts.step(at) }

// takeSnapshots starts the restarts that are due: those whose start time lies
// before the fold's end, from the state after the folds before it.
func (t *trial) takeSnapshots(f Fold) {
	for t.starts.due(f) {
		t.Used = append(t.Used, start{Sums: slices.Clone(t.engine.harmPart(t.Sums))})
	}
}

// logHarm is ln E_R averaged over start times, with or without the worst fold. A
// restart taken after the worst fold never saw it.
func (t *trial) logHarm(withoutWorst bool) float64 {
	t.logs = t.logs[:0]
	for i := range t.Used {
		t.logs = append(t.logs, t.logHarmSince(t.Used[i].Sums, withoutWorst && i < t.Worst.Starts))
	}
	return stats.LogStartMixture(t.logHarmSince(nil, withoutWorst), t.logs, t.starts.count())
}

func (t *trial) logHarmSince(since []float64, withoutWorst bool) float64 {
	var without []float64
	if withoutWorst {
		without = t.Worst.L
	}
	return t.engine.logHarm(t.Sums, since, without)
}

// roughHarm is ln E_R, or, where that is below the bar, at least ln E_R: restarts
// are evaluated only when their bounds could cross it (statistics 16).
func (t *trial) roughHarm(bar float64) (logE float64, rough bool) {
	first := t.logHarmSince(nil, false)
	if len(t.Used) == 0 {
		return stats.LogStartMixture(first, nil, t.starts.count()), false
	}
	if e := t.boundMixture(first); e < bar {
		return e, true
	}
	for i := range t.Used {
		t.Used[i].Bound = t.engine.bound(t.Sums, t.Used[i].Sums)
	}
	if e := t.boundMixture(first); e < bar {
		return e, true
	}
	return t.logHarm(false), false
}

func (t *trial) boundMixture(first float64) float64 {
	t.logs = t.logs[:0]
	for i := range t.Used {
		t.logs = append(t.logs, t.Used[i].Bound)
	}
	return stats.LogStartMixture(first, t.logs, t.starts.count())
}
