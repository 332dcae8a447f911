package analysis

import (
	"maps"
	"math"
	"slices"
)

// HistogramOf returns readings, or what was observed between them, as one
// histogram. Exponential layouts are lowered to the coarsest of them. Where a
// classic one is among them, or one with bounds of its own, the bounds are those
// that all have. What is odd is left out.
func HistogramOf(readings []Reading) Histogram {
	total, exponential := 0.0, true
	for _, r := range readings {
		total += r.Count - r.Odd
		_, known := r.schema()
		exponential = exponential && !r.All && (known || !r.positive())
	}
	switch {
	case total <= 0:
		return Histogram{}
	case exponential:
		return lowered(readings)
	}
	return intersection(readings)
}

// positive reports whether a bucket of positive observations is populated.
func (r Reading) positive() bool {
	return slices.ContainsFunc(r.Buckets, func(b Bucket) bool { return b.Upper > 0 && b.Lower != -b.Upper && !math.IsInf(b.Upper, 1) })
}

// lowered merges exponential layouts. Of two bounds with only empty buckets between
// them both are listed.
func lowered(readings []Reading) Histogram {
	schema, known, mixed, zero := maxSchema, false, false, 0.0
	for _, r := range readings {
		if s, ok := r.schema(); ok {
			mixed = mixed || known && s != schema
			schema, known = min(schema, s), true
		}
		for _, b := range r.Buckets {
			if b.Lower <= 0 && b.Upper >= 0 {
				zero = max(zero, b.Upper)
			}
		}
	}
	h := Histogram{Schema: &schema, Mixed: mixed}
	counts := map[int]float64{} // by the power that is the bucket's upper bound
	low, over := 0.0, 0.0
	for _, r := range readings {
		for _, b := range r.Buckets {
			switch {
			case b.Upper < 0: // odd
			case b.Lower < zero: // that around zero, or one that a larger threshold takes in
				low += b.Count
				zero = max(zero, b.Upper)
			case math.IsInf(b.Upper, 1):
				over += b.Count
			default:
				counts[int(math.Ceil(h.power(b.Upper)-h.sliver()))] += b.Count
			}
		}
	}
	h.Zero = zero
	for k := range counts {
		if atMost(exponentialBound(schema, k), zero) {
			low += counts[k]
			delete(counts, k)
		}
	}
	push := func(bound, count float64) {
		h.Bounds, h.Counts = append(h.Bounds, bound), append(h.Counts, count)
	}
	if low > 0 || len(counts) == 0 {
		push(zero, low)
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		// What lies between two populated buckets is empty, which a bound of its own says.
		if lower := exponentialBound(schema, k-1); lower > zero && (len(h.Bounds) == 0 || !atMost(lower, h.Bounds[len(h.Bounds)-1])) {
			push(lower, 0)
		}
		push(exponentialBound(schema, k), counts[k])
	}
	h.Counts = append(h.Counts, over)
	return h
}

// intersection merges layouts at the bounds that all of them have.
func intersection(readings []Reading) Histogram {
	var h Histogram
	for _, r := range readings {
		h.Bounds = append(h.Bounds, r.bounds()...)
	}
	slices.Sort(h.Bounds)
	h.Bounds = slices.CompactFunc(h.Bounds, isBound)
	all := len(h.Bounds)
	for _, r := range readings {
		h.Bounds = r.common(h.Bounds)
	}
	h.Mixed = len(h.Bounds) < all
	above := make([]float64, len(h.Bounds)+1) // the first entry is all observations
	for _, r := range readings {
		above[0] += r.Count - r.Odd
		beyond, _ := r.split(h.Bounds)
		for i, n := range beyond {
			above[i+1] += n
		}
	}
	for i, n := range above {
		if i+1 < len(above) {
			n = max(0, n-above[i+1])
		}
		h.Counts = append(h.Counts, n)
	}
	return h
}
