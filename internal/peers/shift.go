package peers

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// errTied is Kayenta's exception where no interval can be had.
var errTied = errors.New("all observations are tied")

// A Shift is by how much the experiment lies above the control, with an interval.
// Where the root search cannot resolve the values the ends may be inverted.
type Shift struct{ Low, Estimate, High float64 }

// shift inverts the Mann-Whitney test (normal approximation, tie-corrected sigma,
// continuity 0.5) at the given confidence.
func shift(experiment, control []float64, confidence float64) (Shift, error) {
	x, y := slices.Sorted(slices.Values(experiment)), slices.Sorted(slices.Values(control))
	lo, hi := x[0]-y[len(y)-1], x[len(x)-1]-y[0]
	var failed error
	z := func(mu float64) float64 {
		v, err := standardised(x, y, mu)
		if err != nil {
			failed = err
		}
		return v
	}
	zLo, zHi := z(lo), z(hi)
	find := func(quantile float64) float64 {
		switch {
		case zLo-quantile <= 0:
			return lo
		case zHi-quantile >= 0:
			return hi
		}
		return root(lo, hi, zLo-quantile, zHi-quantile, func(mu float64) float64 { return z(mu) - quantile })
	}
	q := distuv.UnitNormal.Quantile((1 - confidence) / 2)
	s := Shift{Low: find(-q), High: find(q), Estimate: root(lo, hi, zLo, zHi, z)}
	return s, failed
}

// standardised is the z-value of the rank sum of x - mu among y; both are sorted.
func standardised(x, y []float64, mu float64) (float64, error) {
	m, n := float64(len(x)), float64(len(y))
	sum, ties, seen := 0.0, 0.0, 0.0
	for i, j := 0, 0; i < len(x) || j < len(y); {
		v := math.Inf(1)
		if i < len(x) {
			v = x[i] - mu
		}
		if j < len(y) {
			v = min(v, y[j])
		}
		ofX, t := 0.0, 0.0
		for i < len(x) && x[i]-mu == v {
			i, ofX, t = i+1, ofX+1, t+1
		}
		for j < len(y) && y[j] == v {
			j, t = j+1, t+1
		}
		sum += ofX * (seen + (t+1)/2)
		ties += t*t*t - t
		seen += t
	}
	sigma := math.Sqrt(m * n / 12 * (m + n + 1 - ties/((m+n)*(m+n-1))))
	if sigma == 0 {
		return 0, errTied
	}
	d := sum - m*(m+1)/2 - m*n/2
	correction := 0.0
	if d != 0 {
		correction = math.Copysign(0.5, d)
	}
	return (d - correction) / sigma, nil
}
