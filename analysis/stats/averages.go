package stats

import "math"

// LogWeightedMean is ln sum_i v_i exp(logE_i) with the weights divided by their
// sum: the union of several tests. A weighted average of e-values is an e-value
// under any dependence, and the only admissible way to merge them without
// knowledge of it (Vovk, Wang 2021, theorem 3.2). It dominates weighted
// Bonferroni: v_i E_i >= 1/alpha implies that the average is there too.
//
// Special cases: -Inf is an e-value of 0; an objective without data must be
// passed with its weight and a log e-value of 0, not left out. Errors: ErrShape
// for different lengths; ErrParameter for a NaN, an infinite e-value, a negative
// or infinite weight, or weights that sum to 0. With an error the result is -Inf.
func LogWeightedMean(logE, weights []float64) (float64, error) {
	if len(logE) != len(weights) {
		return math.Inf(-1), ErrShape
	}
	top, total := math.Inf(-1), 0.0
	for i, v := range weights {
		if !(v >= 0 && v < 1e300) || math.IsNaN(logE[i]) || math.IsInf(logE[i], 1) {
			return math.Inf(-1), ErrParameter
		}
		total += v
		if v > 0 && logE[i] > top {
			top = logE[i]
		}
	}
	if !positive(total) {
		return math.Inf(-1), ErrParameter
	}
	if math.IsInf(top, -1) {
		return top, nil
	}
	sum := 0.0
	for i, v := range weights {
		sum += weighted(v, logE[i]-top)
	}
	return top + math.Log(sum/total), nil
}
