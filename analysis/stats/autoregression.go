package stats

import (
	"math"
	"slices"
)

// maxAR bounds a fitted AR(1) coefficient: at 1 nothing would be left to compare.
const maxAR = .995

// FitAR1 returns the AR(1) coefficient of a series, cautiously large: the lag-one
// correlation r_1 over the pairs of neighbours, corrected for bias by (1+3 r_1)/n,
// plus one standard error sqrt((1-phi^2)/n), within [0, .995]. A NaN is a gap: its
// neighbours are no pair. A constant series, or fewer than 3 values, gives 0.
func FitAR1(x []float64) float64 {
	n, sum := 0.0, 0.0
	for _, v := range x {
		if !math.IsNaN(v) {
			n++
			sum += v
		}
	}
	mean := sum / n
	squares, products, pairs := 0.0, 0.0, 0.0
	for i, v := range x {
		if math.IsNaN(v) {
			continue
		}
		squares += float64((v - mean) * (v - mean))
		if i > 0 && !math.IsNaN(x[i-1]) {
			pairs++
			products += float64((v - mean) * (x[i-1] - mean))
		}
	}
	if n < 3 || pairs < 2 || !(squares > 0) {
		return 0
	}
	r1 := max(-1, min(1, (products/pairs)/(squares/n)))
	phi := max(-1, min(1, r1+(1+float64(3*r1))/n))
	return max(0, min(maxAR, phi+math.Sqrt((1-float64(phi*phi))/n)))
}

// Prewhiten appends to out the residuals x_t - phi x_(t-1) of all neighbours.
func Prewhiten(out, x []float64, phi float64) []float64 {
	for i := 1; i < len(x); i++ {
		if !math.IsNaN(x[i]) && !math.IsNaN(x[i-1]) {
			out = append(out, x[i]-float64(phi*x[i-1]))
		}
	}
	return out
}

// kappaBatches are the batch lengths that Kappa looks at, minBatches how many
// batches tell something of their variance.
var kappaBatches = [...]int{5, 20, 60}

const minBatches = 8

// Kappa is the long-run variance that prewhitening left, in units of the variance:
// max(1, max_b b Var(batch means of h)/Var(h)) over batches of 5, 20 and 60. Lengths
// of which there are fewer than 8 batches are left out.
func Kappa(h []float64) float64 {
	var all Moments
	for _, v := range h {
		_ = all.Add(v) // what is not finite tells nothing
	}
	kappa := 1.0
	if !(all.SS() > 0) {
		return kappa
	}
	variance := all.SS() / (all.N - 1)
	for _, b := range kappaBatches {
		var means Moments
		for i := b; i <= len(h); i += b {
			sum := 0.0
			for _, v := range h[i-b : i] {
				sum += v
			}
			_ = means.Add(sum / float64(b))
		}
		if means.N >= minBatches {
			kappa = max(kappa, float64(b)*means.SS()/(means.N-1)/variance)
		}
	}
	return kappa
}

// BatchCorrelation is the correlation of adjacent means of b values of an AR(1)
// series, phi(1-phi^b)^2/[b(1-phi^2) - 2 phi(1-phi^b)]. NaN outside 0 <= phi < 1,
// b >= 1.
func BatchCorrelation(phi float64, b int) float64 {
	if !(phi >= 0 && phi < 1) || b < 1 {
		return math.NaN()
	}
	n := float64(b)
	p := 1 - math.Pow(phi, n)
	return phi * p * p / (float64(n*(1-float64(phi*phi))) - float64(2*phi*p))
}

// IntegratedTime is how many values of an AR(1) series count as one independent
// one: (1+phi)/(1-phi).
func IntegratedTime(phi float64) float64 { return (1 + phi) / (1 - phi) }

// Kurtosis is the fourth moment about the mean over the squared second one: 3 for a
// Gaussian, 0 for a constant series.
func Kurtosis(x []float64) float64 {
	n := float64(len(x))
	mean := 0.0
	for _, v := range x {
		mean += v / n
	}
	var m2, m4 float64
	for _, v := range x {
		d2 := (v - mean) * (v - mean)
		m2 += d2 / n
		m4 += float64(d2*d2) / n
	}
	if !(m2 > 0) {
		return 0
	}
	return m4 / (m2 * m2)
}

// Quantiles returns the q-quantiles of x by linear interpolation between order
// statistics; NaN for no values.
func Quantiles(x []float64, q ...float64) []float64 {
	sorted := slices.Sorted(slices.Values(x))
	out := make([]float64, len(q))
	for i, p := range q {
		if len(sorted) == 0 {
			out[i] = math.NaN()
			continue
		}
		at := p * float64(len(sorted)-1)
		lo := int(at)
		hi := min(lo+1, len(sorted)-1)
		out[i] = sorted[lo] + float64((at-float64(lo))*(sorted[hi]-sorted[lo]))
	}
	return out
}
