package peers

import "math"

// Ratio alarms when the canary's mean over the last Window looks is more than Times
// the baseline's: the alert rule that is written first.
type Ratio struct {
	Times  float64
	Window int // looks
}

// Alarm returns the first look, counted from 1, at which the rule fires, 0 for
// never.
func (r Ratio) Alarm(canary, baseline []float64) int {
	c, b := 0.0, 0.0
	for i := range canary {
		c += canary[i]
		b += baseline[i]
		if i >= r.Window {
			c -= canary[i-r.Window]
			b -= baseline[i-r.Window]
		}
		if i >= r.Window-1 && c > r.Times*b {
			return i + 1
		}
	}
	return 0
}

// Counts are what both arms counted in one look's window: bad events of requests.
type Counts struct{ CanaryBad, Canary, BaselineBad, Baseline float64 }

// ZTest alarms when the two-proportion z-test over everything so far is beyond Z:
// a fixed-sample test that is looked at again and again.
type ZTest struct{ Z float64 }

// Alarm returns the first look, counted from 1, at which the test rejects, 0 for
// never.
func (t ZTest) Alarm(looks []Counts) int {
	var s Counts
	for i, c := range looks {
		s.CanaryBad += c.CanaryBad
		s.Canary += c.Canary
		s.BaselineBad += c.BaselineBad
		s.Baseline += c.Baseline
		p := (s.CanaryBad + s.BaselineBad) / (s.Canary + s.Baseline)
		se := math.Sqrt(p * (1 - p) * (1/s.Canary + 1/s.Baseline))
		if (s.CanaryBad/s.Canary-s.BaselineBad/s.Baseline)/se > t.Z { // false for NaN
			return i + 1
		}
	}
	return 0
}
