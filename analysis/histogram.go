package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// The layout of a [Histogram]: which bounds can be asked for, and how many
// observations lie above one. "Above" is strict everywhere, as a bucket's bound
// belongs to the bucket.

// The schemas that exponential buckets can have: they grow by 2^(2^-schema).
const (
	minSchema = -10
	maxSchema = 20
)

var (
	errBounds = errors.New("the bounds are not finite and ascending")
	errCounts = errors.New("a histogram has one count for each bound and one more, none of them negative")
)

// ExactHistogram is the histogram of single observations, for data whose every value
// is known. An observation of +Inf is one that never ended; it lies above every
// bound. The values may come in any order and are left as they are.
func ExactHistogram(values []float64) (Histogram, error) {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	h := Histogram{Exact: true}
	above := 0.0
	for _, v := range sorted {
		switch n := len(h.Bounds); {
		case math.IsNaN(v) || math.IsInf(v, -1):
			return Histogram{}, fmt.Errorf("the observation %v is no number", v)
		case math.IsInf(v, 1):
			above++
		case n == 0 || h.Bounds[n-1] != v:
			h.Bounds, h.Counts = append(h.Bounds, v), append(h.Counts, 1)
		default:
			h.Counts[n-1]++
		}
	}
	h.Counts = append(h.Counts, above)
	return h, nil
}

// Validate returns what makes h impossible.
func (h Histogram) Validate() error {
	if len(h.Counts) == 0 && len(h.Bounds) == 0 {
		return nil
	}
	if len(h.Counts) != len(h.Bounds)+1 {
		return errCounts
	}
	for _, c := range h.Counts {
		if !(c >= 0 && c <= maxCount) {
			return errCounts
		}
	}
	for i, b := range h.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && !(b > h.Bounds[i-1]) {
			return errBounds
		}
	}
	if s := h.Schema; s != nil && (*s < minSchema || *s > maxSchema || h.Exact || !(h.Zero >= 0) || math.IsInf(h.Zero, 1)) {
		return fmt.Errorf("schema %d with the zero threshold %v is not known (legal: %d to %d, of buckets only)", *s, h.Zero, minSchema, maxSchema)
	}
	return nil
}

// Total is how many observations h has.
func (h Histogram) Total() float64 {
	n := 0.0
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// above returns how many observations lie above a bound of the layout.
func (h Histogram) above(bound float64) float64 {
	n := 0.0
	for i := len(h.Counts) - 1; i >= 0 && (i == len(h.Bounds) || h.beyond(i, bound)); i-- {
		n += h.Counts[i]
	}
	return n
}

// beyond reports whether what bucket i holds lies above bound.
func (h Histogram) beyond(i int, bound float64) bool {
	return h.Bounds[i] > bound && (h.Exact || !isBound(h.Bounds[i], bound))
}

// bucketOf returns the bucket in which the p-quantile lies, as the nearest rank:
// len(h.Bounds) for the one above all bounds. h is not empty.
func (h Histogram) bucketOf(p float64) int {
	return h.bucketOfRank(math.Ceil(p * h.Total() * (1 - 1e-12)))
}

// bucketOfRank returns the bucket of the observation of a rank, counted from 1.
func (h Histogram) bucketOfRank(rank float64) int {
	n := 0.0
	for i, c := range h.Counts {
		if n += c; n >= rank && c > 0 {
			return i
		}
	}
	return len(h.Bounds)
}

// exponentialBound is the upper bound of bucket index, in Prometheus' numbering:
// (g^(index-1), g^index] with g = 2^(2^-schema). The bounds of a lower schema are
// bit for bit among those of a higher one.
func exponentialBound(schema, index int) float64 {
	if schema <= 0 {
		return math.Ldexp(1, index<<-schema)
	}
	whole := index >> schema
	return math.Ldexp(math.Exp2(float64(index-whole<<schema)/float64(int(1)<<schema)), whole)
}

// power is the index, not always a whole one, of which v is the exponential bound.
func (h Histogram) power(v float64) float64 { return math.Ldexp(math.Log2(v), *h.Schema) }

// sliver is how far the power of a bound may be off its whole number: what isBound
// forgives, and what rounding does to a logarithm.
func (h Histogram) sliver() float64 { return math.Ldexp(roundingOfBounds/math.Ln2, *h.Schema) + 1e-9 }

// ceil returns the smallest bound of the layout that is at least v.
func (h Histogram) ceil(v float64) (bound float64, ok bool) {
	switch {
	case h.Exact:
		return v, true
	case h.Schema != nil:
		if !(v > 0) {
			return 0, false
		}
		bound = exponentialBound(*h.Schema, int(math.Ceil(h.power(v)-h.sliver())))
		return bound, bound > h.Zero && !math.IsInf(bound, 1)
	}
	for _, b := range h.Bounds {
		if atMost(v, b) {
			return b, true
		}
	}
	return 0, false
}

// floor returns the largest bound of the layout that is at most v.
func (h Histogram) floor(v float64) (bound float64, ok bool) {
	switch {
	case h.Exact:
		return v, true
	case h.Schema != nil:
		if !(v > 0) {
			return 0, false
		}
		bound = exponentialBound(*h.Schema, int(math.Floor(h.power(v)+h.sliver())))
		return bound, bound > h.Zero
	}
	for i := len(h.Bounds) - 1; i >= 0; i-- {
		if atMost(h.Bounds[i], v) {
			return h.Bounds[i], true
		}
	}
	return 0, false
}

// neighbours returns the bounds of the layout next to one of its own, 0 for none, and
// whether it has both and no bound at or below 0.
func (h Histogram) neighbours(bound float64) (below, beyond float64, ok bool) {
	if h.Schema != nil {
		i := int(math.Round(h.power(bound)))
		below, beyond = exponentialBound(*h.Schema, i-1), exponentialBound(*h.Schema, i+1)
		return below, beyond, below > h.Zero && !math.IsInf(beyond, 1)
	}
	i := slices.Index(h.Bounds, bound)
	if i < 1 {
		return 0, 0, false
	}
	if below = h.Bounds[i-1]; i == len(h.Bounds)-1 {
		return below, 0, false
	}
	return below, h.Bounds[i+1], below > 0
}

// tail returns the share of the observations above v, between two bounds as if the
// tail were a power law. It is for forecasts; a test counts at bounds.
func (h Histogram) tail(v float64) float64 {
	total := h.Total()
	i, found := slices.BinarySearch(h.Bounds, v)
	switch {
	case total == 0:
		return math.NaN()
	case found:
		return h.above(v) / total
	case i == 0:
		return 1
	case i == len(h.Bounds):
		return h.Counts[i] / total
	}
	low, high := h.Bounds[i-1], h.Bounds[i]
	if h.Schema != nil {
		low = max(low, high/exponentialBound(*h.Schema, 1))
	}
	most, least := h.above(h.Bounds[i-1])/total, h.above(high)/total
	switch {
	case v <= low:
		return most
	case low <= 0 || least == 0:
		return most + (least-most)*(v-low)/(high-low)
	}
	return most * math.Pow(least/most, math.Log(v/low)/math.Log(high/low))
}

// Quantile returns the p-quantile for people, with the bounds of the bucket that it
// lies in as its resolution: interpolated linearly in classic buckets, as PromQL
// does, geometrically in exponential ones, and exact for single observations. Never
// test with it. NaN without observations; in the bucket above all bounds it is the
// highest bound, and high is +Inf.
func (h Histogram) Quantile(p float64) (q, low, high float64) {
	total := h.Total()
	if !(p >= 0 && p <= 1) || total == 0 || len(h.Bounds) == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	i := h.bucketOf(p)
	low, high = h.edges(i)
	switch {
	case h.Exact || i == len(h.Bounds) || low == high:
		return low, low, high
	case math.IsInf(low, -1):
		return high, low, high
	}
	before := 0.0
	for _, c := range h.Counts[:i] {
		before += c
	}
	share := min(1, max(0, (p*total-before)/h.Counts[i]))
	if h.Schema != nil && low > 0 {
		return low * math.Pow(high/low, share), low, high
	}
	return low + (high-low)*share, low, high
}

// edges returns the ends of bucket i. A first bucket above 0 begins at 0: nothing
// that is measured lasts less.
func (h Histogram) edges(i int) (low, high float64) {
	switch n := len(h.Bounds); {
	case i == n && n > 0 && h.Counts[i] > 0:
		return h.Bounds[n-1], math.Inf(1)
	case h.Exact:
		return h.Bounds[min(i, n-1)], h.Bounds[min(i, n-1)]
	case i > 0:
		low = h.Bounds[i-1]
	case h.Bounds[0] <= 0:
		low = math.Inf(-1)
	}
	high = h.Bounds[min(i, len(h.Bounds)-1)]
	if h.Schema != nil && high > h.Zero {
		low = max(low, high/exponentialBound(*h.Schema, 1))
	}
	return low, high
}
