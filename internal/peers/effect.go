package peers

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// An Effect says how large a difference must be to count beside being significant.
type Effect struct {
	CLES                               bool // the common language effect size instead of the ratio of means
	AllowedDecrease, AllowedIncrease   float64
	CriticalDecrease, CriticalIncrease float64
}

// MeanRatio is the default: any difference counts.
var MeanRatio = Effect{AllowedDecrease: 1, AllowedIncrease: 1, CriticalDecrease: 1, CriticalIncrease: 1}

// CLES is the default of the common language effect size: any difference counts.
var CLES = Effect{CLES: true, AllowedDecrease: .5, AllowedIncrease: .5, CriticalDecrease: .5, CriticalIncrease: .5}

func (e Effect) size(experiment, control []float64) float64 {
	if e.CLES {
		return cles(experiment, control)
	}
	return meanRatio(experiment, control)
}

// meanRatio is NaN where a mean is 0: the size is then not checked at all.
func meanRatio(experiment, control []float64) float64 {
	e, c := stat.Mean(experiment, nil), stat.Mean(control, nil)
	if e == 0 || c == 0 {
		return math.NaN()
	}
	return e / c
}

// cles is the share of pairs in which the experiment is higher, ties count half
// (Vargha & Delaney 2000).
func cles(experiment, control []float64) float64 {
	above := 0.0
	for _, e := range experiment {
		for _, c := range control {
			switch {
			case e > c:
				above++
			case e == c:
				above += 0.5
			}
		}
	}
	return above / float64(len(experiment)*len(control))
}

// withoutOutliers drops what lies outside the fences: Tukey's, or the first and
// the last percentile where those are further out. Up to about a hundred values
// that can be one value on each side at most.
func withoutOutliers(values []float64, factor float64) []float64 {
	lower, upper := fences(values, factor)
	lower, upper = min(lower, quantile(values, .01)), max(upper, quantile(values, .99))
	return slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v < lower || v > upper })
}

// fences are Tukey's: factor times the interquartile range beyond the quartiles.
func fences(values []float64, factor float64) (lower, upper float64) {
	q1, q3 := quantile(values, .25), quantile(values, .75)
	return q1 - factor*(q3-q1), q3 + factor*(q3-q1)
}

// quantile is of type R-7: linear between order statistics at (n-1) p. NaN for no
// values.
func quantile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	at := p * float64(len(v)-1)
	i := int(at)
	if i == len(v)-1 {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
