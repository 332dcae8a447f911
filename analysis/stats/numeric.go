package stats

import "math"

// negligible is the distance in nats below the reference at which a term of a
// mixture is dropped. 300 such terms sum to less than 1e-15 of the smallest sum
// that logMix accepts without looking for a better reference.
const negligible = -60

// Sums outside these limits are taken again relative to their largest term.
const (
	smallSum = 1e-9
	largeSum = 1e300
)

// logMix returns ln sum_j w_j exp(l_j - s_j - inc_j - ref) for weights that sum to
// 1: the mean over a prior of a likelihood ratio against ref. Both s and inc are nil
// or neither is.
//
// The sum is first taken as it stands. Where it is too large for that, or so
// small that dropped terms could matter, it is taken again with the largest term
// in the place of ref, which is exact at any size.
//
// Special cases: no terms, or all weights zero, give -Inf (an empty sum is 0).
func logMix(w, l, s, inc []float64, ref float64) float64 {
	if sum := mix(w, l, s, inc, ref); sum > smallSum && sum < largeSum {
		return math.Log(sum)
	}
	top := maxDifference(l, s, inc)
	sum := mix(w, l, s, inc, top)
	if sum == 0 {
		return math.Inf(-1)
	}
	return top - ref + math.Log(sum)
}

// mix returns sum_j w_j exp(l_j - s_j - inc_j - ref) without negligible terms.
// Without s and inc (nil) it is the same to the last bit, and faster.
func mix(w, l, s, inc []float64, ref float64) float64 {
	if s == nil && inc == nil {
		w = w[:len(l)]
		sum := 0.0
		for j := range l {
			if a := l[j] - ref; a > negligible {
				sum += float64(w[j] * math.Exp(a))
			}
		}
		return sum
	}
	s, inc, w = s[:len(l)], inc[:len(l)], w[:len(l)]
	sum := 0.0
	for j := range l {
		if a := l[j] - s[j] - inc[j] - ref; a > negligible {
			sum += float64(w[j] * math.Exp(a))
		}
	}
	return sum
}

// maxDifference returns max_j (l_j - s_j - inc_j), -Inf for none. Four maxima at
// a time: one would wait for the previous comparison at every step.
func maxDifference(l, s, inc []float64) float64 {
	if s == nil && inc == nil {
		return greatest(l)
	}
	s, inc = s[:len(l)], inc[:len(l)]
	low := math.Inf(-1)
	a, b, c, d := low, low, low, low
	j := 0
	for ; j+3 < len(l); j += 4 {
		if v := l[j] - s[j] - inc[j]; v > a {
			a = v
		}
		if v := l[j+1] - s[j+1] - inc[j+1]; v > b {
			b = v
		}
		if v := l[j+2] - s[j+2] - inc[j+2]; v > c {
			c = v
		}
		if v := l[j+3] - s[j+3] - inc[j+3]; v > d {
			d = v
		}
	}
	for ; j < len(l); j++ {
		if v := l[j] - s[j] - inc[j]; v > a {
			a = v
		}
	}
	return max(a, b, c, d)
}

// greatest returns max_j l_j, -Inf for none.
func greatest(l []float64) float64 {
	top := math.Inf(-1)
	for _, v := range l {
		if v > top {
			top = v
		}
	}
	return top
}

// logSumExp returns ln sum_j exp(a_j). Special cases: no terms, or all -Inf,
// give -Inf.
func logSumExp(a []float64) float64 {
	top := greatest(a)
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, v := range a {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
