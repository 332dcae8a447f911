package peers

import "math"

// Argo is a metric of an Argo Rollouts AnalysisRun with the failure condition
// "value > Above". The run fails, and the rollout is aborted, with the first
// failure beyond FailureLimit (Argo's default is 0), or with more than ErrorLimit
// errors in a row (Argo's default is 4).
type Argo struct {
	Above        float64
	FailureLimit int
	ErrorLimit   int
}

// Alarm returns the first look, counted from 1, at which the run fails, 0 for
// never. A value that is NaN is a measurement in error.
func (a Argo) Alarm(values []float64) int {
	failures, errors := 0, 0
	for i, v := range values {
		switch {
		case math.IsNaN(v):
			errors++
		case v > a.Above:
			failures, errors = failures+1, 0
		default:
			errors = 0
		}
		if failures > a.FailureLimit || errors > a.ErrorLimit {
			return i + 1
		}
	}
	return 0
}

// Flagger is a metric of a Flagger canary with a threshold range that ends at
// Above. Failed checks add up; a check that succeeds takes none back. What cannot
// be measured is a failed check.
type Flagger struct {
	Above     float64
	Threshold int // failed checks at which the canary is rolled back
}

// Alarm returns the first look, counted from 1, at which the canary is rolled back,
// 0 for never.
func (f Flagger) Alarm(values []float64) int {
	failed := 0
	for i, v := range values {
		if !(v <= f.Above) {
			failed++
		}
		if failed >= f.Threshold {
			return i + 1
		}
	}
	return 0
}
