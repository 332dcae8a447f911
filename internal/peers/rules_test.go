package peers

import (
	"math"
	"testing"
)

func TestArgo(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		rule   Argo
		values []float64
		want   int
	}{
		{"the default: one failure", Argo{Above: .01, ErrorLimit: 4}, []float64{.01, .02, 0}, 2},
		{"at the limit", Argo{Above: .01, FailureLimit: 2, ErrorLimit: 4}, []float64{.02, .02, 0}, 0},
		{"beyond the limit, not in a row", Argo{Above: .01, FailureLimit: 2, ErrorLimit: 4}, []float64{.02, .02, 0, .02}, 4},
		{"four errors", Argo{Above: .01, ErrorLimit: 4}, []float64{nan, nan, nan, nan, 0}, 0},
		{"five errors in a row", Argo{Above: .01, ErrorLimit: 4}, []float64{nan, nan, nan, nan, nan}, 5},
		{"errors with a success between", Argo{Above: .01, ErrorLimit: 1}, []float64{nan, 0, nan, 0}, 0},
	} {
		if got := c.rule.Alarm(c.values); got != c.want {
			t.Errorf("%s: look %d, want %d", c.name, got, c.want)
		}
	}
}

// Failed checks of Flagger add up over successes, and what cannot be measured is
// one.
func TestFlagger(t *testing.T) {
	f := Flagger{Above: .01, Threshold: 3}
	for _, c := range []struct {
		values []float64
		want   int
	}{
		{[]float64{.02, 0, .02, 0, 0, .02}, 6},
		{[]float64{.02, .01, .02, 0}, 0},
		{[]float64{.02, math.NaN(), math.NaN()}, 3},
	} {
		if got := f.Alarm(c.values); got != c.want {
			t.Errorf("%v: look %d, want %d", c.values, got, c.want)
		}
	}
}

func TestRatio(t *testing.T) {
	r := Ratio{Times: 1.5, Window: 3}
	if got := r.Alarm([]float64{9, 9, 1, 1, 1, 2, 2, 2}, []float64{1, 1, 99, 1, 1, 1, 1, 1}); got != 7 {
		t.Errorf("look %d, want 7: the first window whose mean is more than 1.5 times the baseline's", got)
	}
	if got := r.Alarm([]float64{0, 0, 0}, []float64{0, 0, 0}); got != 0 {
		t.Errorf("look %d where nothing happens", got)
	}
}

func TestZTest(t *testing.T) {
	z := ZTest{Z: 2.326}
	same := Counts{CanaryBad: 5, Canary: 1000, BaselineBad: 45, Baseline: 9000}
	double := Counts{CanaryBad: 10, Canary: 1000, BaselineBad: 45, Baseline: 9000}
	// By hand: 30 of 3000 against 135 of 27000, pooled .0055: z = 3.51; after two looks 2.87, after one 2.03.
	if got := z.Alarm([]Counts{double, double, double}); got != 2 {
		t.Errorf("look %d, want 2", got)
	}
	if got := z.Alarm([]Counts{same, {}, same}); got != 0 {
		t.Errorf("look %d on equal rates", got)
	}
}
