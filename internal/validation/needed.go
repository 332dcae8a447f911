package validation

import "time"

// NeededFrom returns the instant from which telemetry is still to be folded by open
// validations, or the zero time if none is open. Those that have not been resumed yet
// need all since their deployment began.
func (r *Runner) NeededFrom() time.Time {
	var first time.Time
	need := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, v := range r.open {
		if v.judge == nil || v.asleep {
			need(v.row.Deployment.StartedAt)
			continue
		}
		for _, t := range v.judge.folded() {
			need(t)
		}
	}
	return first
}
