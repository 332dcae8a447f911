package stats

import (
	"math"
	"slices"
)

// TheilSen is the median of the slopes between all pairs of points with different
// x (Sen 1968): an estimate that no sawtooth moves. NaN for no such pair or vectors
// of different lengths. It takes O(n^2).
func TheilSen(x, y []float64) float64 {
	if len(x) != len(y) {
		return math.NaN()
	}
	slopes := make([]float64, 0, len(x)*(len(x)-1)/2)
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	return Quantiles(slopes, .5)[0]
}

// MannKendall is the test for a monotone trend of independent values: S, the number
// of rising less that of falling pairs, its variance under none with the correction
// for ties, and z with the correction for continuity. It is one look at a fixed
// sample, and false on autocorrelated values: never act on it repeatedly.
func MannKendall(y []float64) (s, variance, z float64) {
	for i := range y {
		for j := range i {
			switch {
			case y[i] > y[j]:
				s++
			case y[i] < y[j]:
				s--
			}
		}
	}
	n := float64(len(y))
	variance = n * (n - 1) * (2*n + 5)
	sorted := slices.Sorted(slices.Values(y))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		variance -= t * (t - 1) * (2*t + 5)
		i = j
	}
	variance /= 18
	switch {
	case variance <= 0 || s == 0:
		z = 0
	case s > 0:
		z = (s - 1) / math.Sqrt(variance)
	default:
		z = (s + 1) / math.Sqrt(variance)
	}
	return s, variance, z
}
