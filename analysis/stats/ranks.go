package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/combin"
	"gonum.org/v1/gonum/stat/distuv"
)

// The tests of this file are robust tools for one look at a fixed sample: at the
// end of a bake, on summaries of pods. They say nothing about repeated looks; who
// peeks with them is wrong far more often than the level says.

// Sizes up to which a null distribution is computed exactly.
const (
	exactSmaller     = 20      // of the smaller sample, without ties
	exactLarger      = 400     // of the larger one, without ties
	exactAssignments = 2e6     // with ties: ways to choose the first sample among all
	pairsInMemory    = 1 << 22 // differences that are listed rather than searched for
)

// A RankTest is the result of a two-sample rank test of "x tends to be larger than
// y". All of it is for a single look.
type RankTest struct {
	Statistic float64 // U for Mann-Whitney, W for Brunner-Munzel
	Z         float64 // of Mann-Whitney, with tie and continuity correction
	DF        float64 // degrees of freedom, of Brunner-Munzel
	Superior  float64 // share of pairs in which x is larger, ties count half
	P         float64 // one-sided: how likely such or a larger statistic is without a difference
	Exact     bool    // P comes from the permutation distribution
}

// MannWhitney tests whether x tends to be larger than y: exactly where the samples
// are small, by the normal approximation with tie and continuity correction
// elsewhere (Mann & Whitney 1947). Values that are all equal give P = 1.
//
// Special cases: an empty sample or a NaN gives NaN everywhere.
func MannWhitney(x, y []float64) RankTest {
	r, ok := rankedPair(x, y)
	if !ok {
		return RankTest{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN(), false}
	}
	m, n := float64(r.m), float64(r.n)
	t := RankTest{Statistic: r.u(), DF: math.NaN(), Superior: r.u() / (m * n)}
	sd := r.sd()
	if sd == 0 {
		t.P, t.Exact = 1, true
		return t
	}
	t.Z = (t.Statistic - m*n/2 - math.Copysign(0.5, t.Statistic-m*n/2)) / sd
	if t.Statistic == m*n/2 {
		t.Z = 0
	}
	if p, exact := r.exactP(); exact {
		t.P, t.Exact = p, true
		return t
	}
	t.P = distuv.UnitNormal.Survival((t.Statistic - m*n/2 - 0.5) / sd)
	return t
}

// BrunnerMunzel is MannWhitney without the assumption that both samples spread
// alike (Brunner & Munzel 2000), by its t approximation, which wants ten values in
// each sample. Samples that do not overlap have no variance to divide by: their P
// is that of MannWhitney.
func BrunnerMunzel(x, y []float64) RankTest {
	r, ok := rankedPair(x, y)
	if !ok {
		return RankTest{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN(), false}
	}
	m, n := float64(r.m), float64(r.n)
	t := RankTest{Superior: r.u() / (m * n), Z: math.NaN(), DF: math.NaN(), Statistic: math.NaN()}
	vx, vy := placementVariance(r.ofX, x)/(n*n), placementVariance(r.ofY, y)/(m*m)
	if se := vx/m + vy/n; se > 0 && r.m > 1 && r.n > 1 {
		t.Statistic = (t.Superior - 0.5) / math.Sqrt(se)
		t.DF = se * se / (vx*vx/(m*m*(m-1)) + vy*vy/(n*n*(n-1)))
		t.P = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: t.DF}.Survival(t.Statistic)
		return t
	}
	if r.sd() == 0 { // all values are equal
		t.P, t.Exact = 1, true
		return t
	}
	if p, exact := r.exactP(); exact {
		t.P, t.Exact = p, true
		return t
	}
	t.P = distuv.UnitNormal.Survival((r.u() - m*n/2 - 0.5) / r.sd())
	return t
}

// CliffsDelta is the share of pairs in which x is larger minus the share in which
// it is smaller: -1 to 1. Below 0.15 in size it is usually called negligible.
func CliffsDelta(x, y []float64) float64 {
	r, ok := rankedPair(x, y)
	if !ok {
		return math.NaN()
	}
	return 2*r.u()/(float64(r.m)*float64(r.n)) - 1
}

// AttainableP is the smallest one-sided P that a rank test of m against n values
// can give: what one canary pod against ten can never be better than.
func AttainableP(m, n int) float64 {
	if m < 1 || n < 1 {
		return 1
	}
	return math.Exp(-combin.LogGeneralizedBinomial(float64(m+n), float64(m)))
}

// ranked holds the joint ranks of two samples, ties averaged.
type ranked struct {
	m, n     int
	ofX, ofY []float64
	all      []float64 // ranks in ascending order
	ties     float64   // sum of t^3 - t over groups of equal values
}

func rankedPair(x, y []float64) (ranked, bool) {
	r := ranked{m: len(x), n: len(y)}
	if len(x) == 0 || len(y) == 0 || slices.ContainsFunc(x, math.IsNaN) || slices.ContainsFunc(y, math.IsNaN) {
		return r, false
	}
	var ranks []float64
	ranks, r.all, r.ties = ranksOf(append(slices.Clone(x), y...))
	r.ofX, r.ofY = ranks[:r.m], ranks[r.m:]
	return r, true
}

// ranksOf returns the ranks of values, ties averaged, the same in ascending order,
// and the sum of t^3 - t over groups of t equal values.
func ranksOf(values []float64) (ranks, ascending []float64, ties float64) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	ranks, ascending = make([]float64, len(values)), make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		mean := float64(i+1+j) / 2
		for k := i; k < j; k++ {
			ranks[order[k]], ascending[k] = mean, mean
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return ranks, ascending, ties
}

// u is the number of pairs in which x is larger, ties counting half.
func (r *ranked) u() float64 {
	sum := 0.0
	for _, v := range r.ofX {
		sum += v
	}
	return sum - float64(r.m)*float64(r.m+1)/2
}

func (r *ranked) sd() float64 {
	m, n := float64(r.m), float64(r.n)
	all := m + n
	return math.Sqrt(m * n / 12 * (all + 1 - r.ties/(all*(all-1))))
}

// exactP is the share of all assignments of the ranks to the samples whose U is at
// least that seen.
func (r *ranked) exactP() (float64, bool) {
	switch {
	case r.ties == 0 && min(r.m, r.n) <= exactSmaller && max(r.m, r.n) <= exactLarger:
		return tailWithoutTies(min(r.m, r.n), max(r.m, r.n), int(math.Round(r.u()))), true
	case combin.LogGeneralizedBinomial(float64(r.m+r.n), float64(r.m)) <= math.Log(exactAssignments):
		return r.tailOfAssignments(), true
	}
	return 0, false
}

// tailWithoutTies is P(U >= u) for samples of m and n different values. The number
// of ways to reach a sum of ranks is counted by taking one rank after the other.
func tailWithoutTies(m, n, u int) float64 {
	// ways[i][s]: ways to choose i of the ranks so far whose U adds up to s.
	ways := make([][]float64, m+1)
	for i := range ways {
		ways[i] = make([]float64, i*n+1)
	}
	ways[0][0] = 1
	for rank := 1; rank <= m+n; rank++ {
		for i := min(m, rank); i >= 1; i-- {
			gain := rank - i // of the values below, those of the other sample
			if gain > n {
				continue
			}
			for s, w := range ways[i-1] {
				if w > 0 {
					ways[i][s+gain] += w
				}
			}
		}
	}
	tail, total := 0.0, 0.0
	for s, w := range ways[m] {
		total += w
		if s >= u {
			tail += w
		}
	}
	return tail / total
}

// tailOfAssignments lists every way to choose the first sample among all ranks.
func (r *ranked) tailOfAssignments() float64 {
	const rounding = 1e-9
	seen := 0.0
	for _, v := range r.ofX {
		seen += v
	}
	atLeast, total := 0.0, 0.0
	gen := combin.NewCombinationGenerator(r.m+r.n, r.m)
	chosen := make([]int, r.m)
	for gen.Next() {
		sum := 0.0
		for _, i := range gen.Combination(chosen) {
			sum += r.all[i]
		}
		total++
		if sum >= seen-rounding {
			atLeast++
		}
	}
	return atLeast / total
}

// placementVariance is the sample variance of the joint ranks less the ranks
// within the sample.
func placementVariance(joint, values []float64) float64 {
	own, _, _ := ranksOf(values)
	place := make([]float64, len(values))
	for i := range values {
		place[i] = joint[i] - own[i]
	}
	if len(values) < 2 {
		return 0
	}
	return stat.Variance(place, nil)
}

// HodgesLehmann estimates by how much x lies above y: the median of all pairwise
// differences, with the interval of the given confidence from the order statistics
// at mn/2 -+ z sd. Empty samples, NaN, or a confidence outside (0,1) give NaN.
func HodgesLehmann(x, y []float64, confidence float64) (shift, low, high float64) {
	if _, ok := rankedPair(x, y); !ok || !(confidence > 0 && confidence < 1) {
		return math.NaN(), math.NaN(), math.NaN()
	}
	m, n := len(x), len(y)
	pairs := float64(m) * float64(n)
	z := distuv.UnitNormal.Quantile(0.5 + confidence/2)
	reach := z * math.Sqrt(pairs*float64(m+n+1)/12)
	lo := int(max(0, math.Floor(pairs/2-reach)))
	hi := int(min(pairs-1, math.Ceil(pairs/2+reach)-1))
	at := pairwiseDifferences(x, y)
	mid := m * n / 2
	shift = at(mid)
	if m*n%2 == 0 {
		shift = (at(mid-1) + shift) / 2
	}
	return shift, at(lo), at(hi)
}

// pairwiseDifferences returns what gives the k-th smallest of all x_i - y_j, counted from 0.
func pairwiseDifferences(x, y []float64) func(k int) float64 {
	if len(x)*len(y) <= pairsInMemory {
		all := make([]float64, 0, len(x)*len(y))
		for _, a := range x {
			for _, b := range y {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		return func(k int) float64 { return all[k] }
	}
	xs, ys := slices.Clone(x), slices.Clone(y)
	slices.Sort(xs)
	slices.Sort(ys)
	return func(k int) float64 { return searchDifference(xs, ys, k) }
}

// searchDifference bisects on the value of a difference until no further double
// lies between the ends; each step counts in O(m+n) how many differences are at
// most the middle.
func searchDifference(xs, ys []float64, k int) float64 {
	lo, hi := xs[0]-ys[len(ys)-1], xs[len(xs)-1]-ys[0]
	for lo < hi {
		mid := lo + (hi-lo)/2
		if mid >= hi { // the ends are neighbours
			mid = lo
		}
		count, j := 0, 0 // differences at most mid
		for _, v := range xs {
			for j < len(ys) && v-ys[j] > mid {
				j++
			}
			count += len(ys) - j
		}
		if count > k {
			hi = mid
		} else {
			lo = math.Nextafter(mid, math.Inf(1))
		}
	}
	return lo
}
