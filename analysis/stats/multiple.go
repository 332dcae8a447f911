package stats

import (
	"cmp"
	"math"
	"slices"
)

// AdjustedLogE returns, for each of several tests with weights v, the log of its
// e-value adjusted for their number: the smallest weighted average over all sets of
// tests that contain it. Tests whose adjusted e-value reaches 1/alpha may be named
// together, with probability at most alpha that any of them is named wrongly, under
// any dependence: closed testing with averages (Vovk, Wang 2021, section 5; e-Holm
// where the weights are equal). It is for the e-values of one stopping time, never for
// running maxima.
//
// The smallest average around a test is reached by adding the others from the
// smallest on while they lower it. Tests of weight 0 are left alone: an adjusted value
// of -Inf. Errors are those of LogWeightedMean.
func AdjustedLogE(logE, weights []float64) ([]float64, error) {
	if _, err := LogWeightedMean(logE, weights); err != nil {
		return nil, err
	}
	order := make([]int, 0, len(logE))
	for i, v := range weights {
		if v > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logE[a], logE[b]) })
	out := make([]float64, len(logE))
	for k := range out {
		out[k] = math.Inf(-1)
		if weights[k] > 0 {
			out[k] = smallestAround(k, order, logE, weights)
		}
	}
	return out, nil
}

// smallestAround is the log of the smallest weighted average of a set with test k,
// relative to the test itself so that nothing overflows.
func smallestAround(k int, order []int, logE, weights []float64) float64 {
	sum, total := weights[k], weights[k] // in units of e_k
	if math.IsInf(logE[k], -1) {
		return logE[k]
	}
	for _, i := range order {
		e := math.Exp(logE[i] - logE[k])
		if i == k {
			continue
		}
		if e >= sum/total {
			break
		}
		sum += float64(weights[i] * e)
		total += weights[i]
	}
	return logE[k] + math.Log(sum/total)
}

// EBH returns how many of the e-values, from the largest on, are discoveries at false
// discovery rate alpha: the largest k with k e_(k) / K >= 1/alpha (Wang, Ramdas 2022,
// e-BH), under any dependence. The e-values are those of one stopping time, in logs,
// in any order; a NaN counts as 0.
func EBH(logE []float64, alpha float64) int {
	sorted := make([]float64, 0, len(logE))
	for _, v := range logE {
		if math.IsNaN(v) {
			v = math.Inf(-1)
		}
		sorted = append(sorted, v)
	}
	slices.Sort(sorted)
	slices.Reverse(sorted)
	found, bar := 0, math.Log(float64(len(sorted)))-math.Log(alpha)
	for i, v := range sorted {
		if math.Log(float64(i+1))+v >= bar {
			found = i + 1
		}
	}
	return found
}

// WeightedEBH tells which of several e-values are discoveries at false discovery rate
// alpha, where each has a weight that was fixed before its data: those of the largest k
// with k v_(k) e_(k) >= 1/alpha, in the order of v e (Wang, Ramdas 2022, weighted e-BH;
// weights that add up to 1, not to the number of tests), under any dependence. Equal
// weights 1/K make it EBH. Weights that add up to less are conservative; one that is not
// positive, and a NaN, discover nothing.
func WeightedEBH(logE, weights []float64, alpha float64) []bool {
	found := make([]bool, len(logE))
	order := make([]int, 0, len(logE))
	weighted := make([]float64, len(logE))
	for i, v := range logE {
		if i < len(weights) && weights[i] > 0 && v > math.Inf(-1) {
			weighted[i] = v + math.Log(weights[i])
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weighted[b], weighted[a]) })
	last, bar := 0, -math.Log(alpha)
	for k, i := range order {
		if math.Log(float64(k+1))+weighted[i] >= bar {
			last = k + 1
		}
	}
	for _, i := range order[:last] {
		found[i] = true
	}
	return found
}
