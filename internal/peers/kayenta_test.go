package peers

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The acceptance cases of Kayenta's own tests, as far as their data can be written
// in a line. Those on 30 values and more are left out (the intervals that its tests of
// 90 to 850 values print were compared once: equal to the last digit), and so are
// K-sigma, Cohen's d and the mean-inequality classifier, which its judge does not call.

// classifierTests are the settings of Kayenta's MannWhitneyClassifier tests.
var classifierTests = Kayenta{Tolerance: .10, Confidence: .95}

func effects(allowedDecrease, allowedIncrease float64) Effect {
	e := MeanRatio
	e.AllowedDecrease, e.AllowedIncrease = allowedDecrease, allowedIncrease
	return e
}

func critical(allowed, criticalIncrease float64) Effect {
	e := MeanRatio
	e.AllowedIncrease, e.CriticalIncrease = allowed, criticalIncrease
	return e
}

var (
	high5  = []float64{20, 22, 21, 25, 30}
	low5   = []float64{1, 2.2, 1.1, 2.5, 3}
	zeros5 = []float64{0, 0, 0, 0, 0}
	ones5  = []float64{1, 1, 1, 1, 1}
	tens5  = []float64{10, 10, 10, 10, 10}
	fifty5 = []float64{54.9, 54.5, 55.1, 55.6, 57.4}
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name                string
		experiment, control []float64
		metric              Metric
		want                Label
		critical            bool
		ratio               float64 // 0: not given
	}{
		{"high beyond its allowed increase", high5, low5, Metric{Effect: effects(.8, 1.2)}, High, false, 12.04},
		{"not significant with a bound", []float64{10, 12.2, 10.1, 12.5, 23}, high5, Metric{Effect: effects(.5, 1)}, Pass, false, .575},
		{"not significant without a bound", []float64{10, 12.2, 10.1, 12.5, 23}, high5, Metric{}, Pass, false, .575},
		{"critical beyond its bound", high5, low5, Metric{Critical: true, Effect: critical(1, 1.2)}, High, true, 0},
		{"critical without a bound", high5, low5, Metric{Critical: true}, High, true, 0},
		{"critical low", []float64{2, 2, 2, 2, 3}, []float64{10, 20.2, 10.1, 20.5, 30}, Metric{Critical: true, Effect: critical(1, 1.2)}, Low, true, 0},
		{"high, below the critical bound", high5, low5, Metric{Critical: true, Effect: critical(5, 13)}, High, false, 0},
		{"below both bounds", high5, low5, Metric{Critical: true, Effect: critical(13, 15)}, Pass, false, 0},
		{"one value", []float64{1, 1, 1}, []float64{1, 1}, Metric{}, Pass, false, 0},
		{"a permutation", []float64{1, 2, 3, 4, 5}, []float64{5, 3, 1, 2, 4}, Metric{}, Pass, false, 0},
		{"one lower value", []float64{0, 1, 1, 1, 1}, ones5, Metric{Direction: Decrease}, Pass, false, 0},
		{"one higher value", []float64{1, 1, 1, 1, 10}, ones5, Metric{}, Pass, false, 0},
		{"two constants", tens5, ones5, Metric{}, High, false, 0},
		{"a constant above zero", tens5, zeros5, Metric{}, High, false, 0},
		{"above zeros", fifty5, zeros5, Metric{Effect: effects(.8, 1.2)}, High, false, math.NaN()},
		{"zeros below", zeros5, fifty5, Metric{Effect: effects(.8, 1.2)}, Low, false, math.NaN()},
		{"all zero", zeros5, zeros5, Metric{}, Pass, false, 1},
		{"no experiment", nil, low5, Metric{}, NoData, false, 0},
		{"no experiment, critical", nil, low5, Metric{Critical: true}, NoData, true, 0},
		{"no experiment, replaced", nil, low5, Metric{ReplaceNaN: true}, Pass, false, 0},
		{"nothing at all", nil, nil, Metric{}, NoData, false, 0},
		{"data demanded", nil, low5, Metric{MustHaveData: true}, NoDataFail, false, 0},
		{"data demanded, critical", nil, low5, Metric{MustHaveData: true, Critical: true}, NoData, true, 0},
		{
			"an arm of NaN becomes zeros",
			[]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()},
			[]float64{1, 2, 1, 2, 1},
			Metric{ReplaceNaN: true, Direction: Decrease},
			Low, false, 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := classifierTests.Classify(c.experiment, c.control, c.metric)
			if got.Label != c.want || got.Critical != c.critical {
				t.Errorf("%s, critical %v, want %s, %v (%+v)", got.Label, got.Critical, c.want, c.critical, got)
			}
			if math.IsNaN(c.ratio) && !math.IsNaN(got.Ratio) || c.ratio > 0 && math.Abs(got.Ratio-c.ratio) > .006 {
				t.Errorf("ratio %v, want %v", got.Ratio, c.ratio)
			}
		})
	}
}

// The intervals that Kayenta prints for data of its tests.
func TestShift(t *testing.T) {
	for _, c := range []struct {
		experiment, control []float64
		low, estimate, high float64
		within              float64
	}{
		{[]float64{10, 20, 30, 40}, []float64{1, 2, 3, 4}, 6, 22.5, 39, 1e-3},
		{high5, low5, 17.8, 20, 27.8, .06},
		{[]float64{10, 12.2, 10.1, 12.5, 23}, high5, -17.8, math.NaN(), 1, .06},
	} {
		got, err := shift(c.experiment, c.control, .95)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range []struct {
			name      string
			got, want float64
		}{{"low", got.Low, c.low}, {"estimate", got.Estimate, c.estimate}, {"high", got.High, c.high}} {
			if math.Abs(end.got-end.want) > c.within {
				t.Errorf("%v against %v: %s %v, want %v", c.experiment, c.control, end.name, end.got, end.want)
			}
		}
	}
}

// The shipped settings on users' data: releases that people expected to fail, and
// that pass (spinnaker/spinnaker#5622 and #6275), beside what is found.
func TestUsersData(t *testing.T) {
	one25 := make([]float64, 25)
	five25 := append([]float64{1, 2, 1, 3, 1}, make([]float64, 20)...)
	for _, c := range []struct {
		name                string
		experiment, control []float64
		metric              Metric
		want                Label
	}{
		{"#5622: errors where there were none", []float64{0, .048, 0, .18, .089, 0, .098, .035, 0, 0}, make([]float64, 10), Metric{Direction: Increase, ReplaceNaN: true, Critical: true}, Pass},
		{"#6275: five points of 25", five25, one25, Metric{}, Pass},
		{"#6275: five points of five", []float64{1, 4, 2, 3, 1}, zeros5, Metric{}, High},
		{"#6275: nothing to compare with", []float64{1, 4, 2, 3, 1}, nil, Metric{}, NoData},
		{"an arm of NaN, replaced by zeros", []float64{1, 2, 1, 2, 1}, []float64{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()}, Metric{ReplaceNaN: true}, High},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Netflix.Classify(c.experiment, c.control, c.metric); got.Label != c.want {
				t.Errorf("%s, want %s (%+v)", got.Label, c.want, got)
			}
		})
	}
}

// Without a number above zero to compare with, noise cannot be made: Kayenta's
// exception, which counts as nothing in the score.
func TestTiedIsAnError(t *testing.T) {
	got := Netflix.Classify([]float64{1}, []float64{1.5}, Metric{Critical: true})
	if got.Label != Error || got.Critical {
		t.Errorf("one value against one within a factor of two: %+v, want an error that is not critical", got)
	}
}

// The tolerance of the root search is absolute: the same shift in smaller units is
// not seen.
func TestUnitsMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	experiment, control := make([]float64, 60), make([]float64, 60)
	for i := range control {
		experiment[i], control[i] = 1.5+.2*rng.NormFloat64(), 1+.2*rng.NormFloat64()
	}
	for _, c := range []struct {
		unit float64
		want Label
	}{{1, High}, {1e-3, High}, {1e-6, Pass}} {
		e, b := make([]float64, len(experiment)), make([]float64, len(control))
		for i := range e {
			e[i], b[i] = c.unit*experiment[i], c.unit*control[i]
		}
		if got := Netflix.Classify(e, b, Metric{}); got.Label != c.want {
			t.Errorf("in units of %v: %s, want %s", c.unit, got.Label, c.want)
		}
	}
}

func TestEffects(t *testing.T) {
	for _, c := range []struct {
		e, c        []float64
		ratio, cles float64
	}{
		{[]float64{1, 1, 1}, []float64{1, 1, 1}, 1, .5},
		{[]float64{10, 10}, []float64{1, 1}, 10, 1},
		{[]float64{1, 1}, []float64{10, 10}, .1, 0},
		{[]float64{0, 0}, []float64{10, 10}, math.NaN(), 0},
	} {
		if got := meanRatio(c.e, c.c); got != c.ratio && !(math.IsNaN(got) && math.IsNaN(c.ratio)) {
			t.Errorf("mean ratio of %v to %v: %v, want %v", c.e, c.c, got, c.ratio)
		}
		if got := cles(c.e, c.c); got != c.cles {
			t.Errorf("CLES of %v to %v: %v, want %v", c.e, c.c, got, c.cles)
		}
	}
}

func TestOutliers(t *testing.T) {
	steps := []float64{0, .5, 1, 1.5, 2, 2.5, 3, 3.5}
	for p, want := range map[float64]float64{.05: .175, .5: 1.75} {
		if got := quantile(steps, p); math.Abs(got-want) > 1e-12 {
			t.Errorf("quantile %v: %v, want %v", p, got, want)
		}
	}
	for _, c := range []struct {
		values []float64
		want   []float64
	}{
		{[]float64{21, 23, 24, 25, 50, 29, 23, 21}, []float64{50}},
		{[]float64{1, 1, 1, 5, -1, -1, -1, -5}, []float64{5, -5}},
	} {
		lower, upper := fences(c.values, 1.5)
		var got []float64
		for _, v := range c.values {
			if v < lower || v > upper {
				got = append(got, v)
			}
		}
		if len(got) != len(c.want) || got[0] != c.want[0] {
			t.Errorf("outliers of %v: %v, want %v", c.values, got, c.want)
		}
	}
	// The judge's fences reach to the first and last percentile: fifty outliers of a
	// hundred lose the largest one only.
	many := make([]float64, 100)
	for i := range 20 {
		many[i] = 1000 + float64(i)
	}
	if got := withoutOutliers(many, 3); len(got) != 99 {
		t.Errorf("%d of 100 values are left, want 99", len(got))
	}
}

func TestAlarmOfAGrowingWindow(t *testing.T) {
	canary, baseline := make([]float64, 40), make([]float64, 40)
	for i := range canary {
		canary[i], baseline[i] = 1+.01*float64(i%7), 1+.01*float64(i%5)
		if i >= 20 {
			canary[i] += 5
		}
	}
	if got := Netflix.Alarm(canary, baseline, 4, 2); got <= 5 || got > 10 {
		t.Errorf("alarm at look %d, want after the fifth, when the canary rises", got)
	}
	if got := Netflix.Alarm(baseline, baseline, 4, 2); got != 0 {
		t.Errorf("alarm at look %d on equal arms", got)
	}
}
