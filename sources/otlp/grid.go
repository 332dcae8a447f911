package otlp

import (
	"math"
	"slices"
	"unique"

	"github.com/release-assay/assay/analysis"
)

// A grid is a list of bounds, ascending, above which several histograms are counted.
// Those of exponential buckets are known by their index, not by their value.
type grid struct {
	bounds []float64 // nil: exponential

	scale int8
	edges []int32 // the lower ends of buckets at the scale
	zero  float64 // the largest zero threshold; no edge lies below it

	mixed bool // not all histograms had the same buckets
	known map[layout][]int64
}

// A layout is what the buckets of two histograms have in common.
type layout struct {
	exponential bool
	scale       int8
	zero        float64
	bounds      unique.Handle[string]
}

func (b *buckets) layout() layout { return layout{b.exponential, b.scale, b.zero, b.bounds} }

// bounded is the grid of given bounds.
func bounded(bounds []float64) *grid { return &grid{bounds: bounds} }

func (g *grid) len() int {
	if g.bounds != nil {
		return len(g.bounds)
	}
	return len(g.edges)
}

// above counts what b holds above each bound of g, nil if one of them is none of b's.
func (g *grid) above(b *buckets) []float64 {
	if b == nil || b.odd != noOddity {
		return nil
	}
	if b.packed == "" { // of nothing, whatever the layout
		return make([]float64, g.len())
	}
	firsts, known := g.known[b.layout()]
	if !known {
		firsts = g.firsts(b)
		if g.known == nil {
			g.known = map[layout][]int64{}
		}
		g.known[b.layout()] = firsts
	}
	if firsts == nil {
		return nil
	}
	out := make([]float64, len(firsts))
	var total uint64
	next := 0
	for one := range b.all {
		for next < len(firsts) && one.index != zeroBucket && int64(one.index) >= firsts[next] {
			out[next] = float64(total)
			next++
		}
		total += one.count
	}
	for ; next < len(firsts); next++ {
		out[next] = float64(total)
	}
	for i := range out {
		out[i] = float64(total) - out[i]
	}
	return out
}

// firsts returns the lowest bucket of b that lies above each bound, nil if a bound is
// not one between two buckets of b.
func (g *grid) firsts(b *buckets) []int64 {
	out := make([]int64, 0, g.len())
	if g.bounds == nil {
		if !b.exponential || b.scale < g.scale {
			return nil
		}
		for _, edge := range g.edges {
			out = append(out, int64(edge)<<(b.scale-g.scale))
		}
		return out
	}
	own := boundsOf(b.bounds)
	for _, bound := range g.bounds {
		var first int64
		var ok bool
		if b.exponential {
			first, ok = edgeAt(bound, b.scale)
			ok = ok && bound >= b.zero
		} else {
			first, ok = bucketAbove(bound, own)
		}
		if !ok {
			return nil
		}
		out = append(out, first)
	}
	return out
}

// rounding is by how much, of its value, a bound may miss a boundary that is meant.
const rounding = 1e-9

// same reports whether y is the finite x.
func same(x, y float64) bool { return math.Abs(x-y) <= rounding*math.Abs(x) }

// bucketAbove returns the bucket that begins at a bound.
func bucketAbove(bound float64, bounds []float64) (int64, bool) {
	i, _ := slices.BinarySearch(bounds, bound-rounding*math.Abs(bound))
	if i < len(bounds) && same(bound, bounds[i]) {
		return int64(i) + 1, true
	}
	return 0, false
}

// edgeAt returns the exponential bucket that begins at a bound.
func edgeAt(bound float64, scale int8) (int64, bool) {
	if !(bound > 0) || math.IsInf(bound, 1) {
		return 0, false
	}
	index := math.Round(math.Ldexp(math.Log2(bound), int(scale)))
	return int64(index), same(bound, edgeValue(int64(index), scale))
}

// edgeValue is where the exponential bucket begins.
func edgeValue(index int64, scale int8) float64 {
	power := math.Ldexp(float64(index), -int(scale)) // of two
	whole := math.Floor(power)
	return math.Ldexp(math.Exp2(power-whole), int(whole))
}

// common is the finest grid of bounds that all the histograms have: at its bounds the
// populated buckets are told apart. There is none if one of them does not tell.
func common(all []*buckets) (g *grid, ok bool) {
	g = &grid{scale: maxScale}
	var layouts []unique.Handle[string]
	exponential := false
	for _, b := range all {
		if b == nil || b.odd != noOddity {
			return nil, false
		}
		g.mixed = g.mixed || b.mixed
		switch {
		case b.packed == "": // of nothing: it is no witness of the layout
		case b.exponential:
			g.mixed = g.mixed || exponential && b.scale != g.scale
			exponential = true
			g.scale, g.zero = min(g.scale, b.scale), max(g.zero, b.zero)
		case !slices.Contains(layouts, b.bounds):
			layouts = append(layouts, b.bounds)
		}
	}
	if len(layouts) > 0 {
		g.mixed = g.mixed || exponential || len(layouts) > 1
		g.bounds = g.shared(layouts, exponential)
		return g, true
	}
	g.edges = g.ends(all)
	return g, len(all) > 0
}

// ends returns where the populated exponential buckets begin and end, ascending. It
// lowers the scale if there are more buckets than anybody needs.
func (g *grid) ends(all []*buckets) []int32 {
	var populated, merged []int32
	for _, b := range all {
		merged = merged[:0]
		rest := populated
		for one := range b.all {
			if one.index == zeroBucket {
				continue
			}
			index := one.index >> (b.scale - g.scale)
			for len(rest) > 0 && rest[0] < index {
				merged = append(merged, rest[0])
				rest = rest[1:]
			}
			if n := len(merged); n == 0 || merged[n-1] < index {
				merged = append(merged, index)
			}
			if len(rest) > 0 && rest[0] == index {
				rest = rest[1:]
			}
		}
		populated, merged = append(merged, rest...), populated
		for len(populated) > maxBuckets {
			g.scale--
			for i := range populated {
				populated[i] >>= 1
			}
			populated = slices.Compact(populated)
		}
	}
	var edges []int32
	for _, index := range populated {
		if n := len(edges); n == 0 || edges[n-1] < index {
			edges = append(edges, index)
		}
		edges = append(edges, index+1)
	}
	n := 0
	for n < len(edges) && g.hidden(edgeValue(int64(edges[n]), g.scale)) {
		n++
	}
	return edges[n:]
}

// hidden reports whether what lies just above a bound may be taken for zero.
func (g *grid) hidden(bound float64) bool { return bound < g.zero || bound == 0 }

// shared are the bounds that all explicit layouts have, and the exponential ones too,
// if there are any.
func (g *grid) shared(layouts []unique.Handle[string], exponential bool) []float64 {
	bounds := boundsOf(layouts[0])
	for _, layout := range layouts[1:] {
		own := boundsOf(layout)
		bounds = slices.DeleteFunc(bounds, func(bound float64) bool { _, has := bucketAbove(bound, own); return !has })
	}
	if exponential {
		bounds = slices.DeleteFunc(bounds, func(bound float64) bool {
			_, has := edgeAt(bound, g.scale)
			return !has || g.hidden(bound)
		})
	}
	return bounds
}

// buckets turns counts above each bound of g, of so many observations, into buckets.
func (g *grid) buckets(above []float64, observations float64) *buckets {
	b := &buckets{exponential: g.bounds == nil, mixed: g.mixed, scale: g.scale, zero: g.zero}
	populated := make([]bucket, 0, len(above)+1)
	at, left := int32(zeroBucket), observations
	if g.bounds != nil {
		b.scale, b.zero, b.bounds, at = 0, 0, layoutOf(g.bounds), 0
	}
	for i, more := range above {
		populated = append(populated, bucket{at, uint64(max(0, left-more))})
		if at, left = int32(i)+1, more; g.bounds == nil {
			at = g.edges[i]
		}
	}
	return b.pack(append(populated, bucket{at, uint64(max(0, left))}))
}

// histogram is what those are told who choose bounds: counts above each bound of g, as
// buckets. What cannot be told from zero is one, up to the threshold.
func (g *grid) histogram(above []float64, observations float64) analysis.Histogram {
	h := analysis.Histogram{Mixed: g.mixed}
	left := observations
	push := func(bound, above float64) {
		if !math.IsInf(bound, 1) {
			h.Bounds, h.Counts = append(h.Bounds, bound), append(h.Counts, left-above)
			left = above
		}
	}
	if g.bounds == nil {
		schema := int(g.scale)
		h.Schema, h.Zero = &schema, g.zero
		if len(above) == 0 {
			push(g.zero, 0)
		} else if above[0] < observations {
			push(g.zero, above[0])
		}
		for i, edge := range g.edges {
			if value := edgeValue(int64(edge), g.scale); i > 0 || len(h.Bounds) == 0 || value > g.zero {
				push(value, above[i])
			}
		}
	} else {
		for i, bound := range g.bounds {
			push(bound, above[i])
		}
	}
	h.Counts = append(h.Counts, left)
	return h
}
