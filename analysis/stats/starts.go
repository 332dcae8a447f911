package stats

import "math"

// A regression may begin long after the deployment (cron jobs, cache expiry);
// after a healthy stretch the evidence of the one start has far to climb. The
// harm test is therefore averaged over start times fixed before the data: weight
// 1/2 on the deployment, 1/2 shared equally by a number of slots. A weighted
// average of e-processes is one, and an immediate onset loses ln 2 = 0.7 nats.
// (Shin, Ramdas, Rinaldo 2024, "E-detectors", is the change-point version.)

// MaxStartSlots is the largest number of timed slots that a plan may use; ramp
// steps may add to it.
const MaxStartSlots = 16

// StartWeights returns the weight of the deployment and of each slot. Without
// slots the deployment has weight 1.
func StartWeights(slots int) (first, each float64) {
	if slots <= 0 {
		return 1, 0
	}
	return .5, .5 / float64(slots)
}

// LogStartMixture is the log of the average over start times: first is the log
// e-value since the deployment, restarts those of the slots used so far, slots
// the number fixed in the plan. An unused slot counts as 1.
//
// Special cases: restarts beyond slots are ignored, so that a fault upstream can
// only lose evidence; a NaN counts as evidence 0.
func LogStartMixture(first float64, restarts []float64, slots int) float64 {
	wFirst, wEach := StartWeights(slots)
	used := min(len(restarts), max(slots, 0))
	restarts = restarts[:used]
	unused := float64(max(slots, 0)-used) * wEach

	top := math.Inf(-1)
	if unused > 0 {
		top = 0
	}
	if first > top {
		top = first
	}
	for _, v := range restarts {
		if v > top {
			top = v
		}
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := weighted(unused, -top) + weighted(wFirst, first-top)
	for _, v := range restarts {
		sum += weighted(wEach, v-top)
	}
	return top + math.Log(sum)
}

// weighted is w exp(a), 0 for a weight of 0 and for NaN.
func weighted(w, a float64) float64 {
	if w == 0 || math.IsNaN(a) {
		return 0
	}
	return w * math.Exp(a)
}
