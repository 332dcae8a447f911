package otlp

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// exponents are exponential buckets with one observation each.
func exponents(scale int8, indexes ...int32) *buckets {
	var populated []bucket
	for _, i := range indexes {
		populated = append(populated, bucket{i, 1})
	}
	return (&buckets{exponential: true, scale: scale}).pack(populated)
}

// What is packed comes back, whatever the indexes and counts.
func TestPack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		indexes := rapid.SliceOfDistinct(rapid.Int32(), func(i int32) int32 { return i }).Draw(rt, "indexes")
		slices.Sort(indexes)
		var want []bucket
		for _, i := range indexes {
			want = append(want, bucket{i, rapid.Uint64Range(1, maxCount).Draw(rt, "count")})
		}
		b := (&buckets{exponential: true}).pack(want)
		if got := slices.Collect(b.all); !slices.Equal(got, want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

// A power of 2^(2^-scale) is a bound at its scale and all above it, to a part in a
// billion; what lies between two is none.
func TestExponentialBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for scale := int8(minScale); scale <= maxScale; scale++ {
		lowest, highest := indexRange(scale)
		for range 200 {
			index := lowest + 1 + rng.Int64N(highest-lowest)
			value := edgeValue(index, scale)
			if value < 0x1p-1000 || value > 0x1p1000 {
				continue // few of their bits are left
			}
			for _, finer := range []int8{scale, min(maxScale, scale+3)} {
				got, ok := edgeAt(value, finer)
				if want := index << (finer - scale); !ok || got != want {
					t.Errorf("%v: index %d at scale %d, %v; want %d", value, got, finer, ok, want)
				}
			}
			if _, ok := edgeAt(value*(1+4e-10), scale); !ok {
				t.Errorf("%v is missed by rounding, at scale %d", value, scale)
			}
			if _, ok := edgeAt(value*(1+1e-8), scale); ok {
				t.Errorf("%v is met by what is beside it, at scale %d", value, scale)
			}
			if _, ok := edgeAt(value, scale-1); ok != (index%2 == 0) {
				t.Errorf("index %d of scale %d at the scale below: %v", index, scale, ok)
			}
		}
	}
	for _, odd := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		if _, ok := edgeAt(odd, 3); ok {
			t.Errorf("%v is a bound", odd)
		}
	}
}

// At the ends of all numbers, the zero bucket stays below every bound.
func TestZeroBucketIsBelowAll(t *testing.T) {
	low := exponents(maxScale, zeroBucket, -1000<<maxScale)
	high := exponents(minScale, zeroBucket, 0)
	g, ok := common([]*buckets{low, high})
	if !ok {
		t.Fatal("nothing in common")
	}
	for _, b := range []*buckets{low, high} {
		if above := g.above(b); above[0] != 1 {
			t.Errorf("%v above %v: want the one that is not zero in %+v", above, g.edges, b)
		}
	}
}

// Grids of more buckets than anybody needs become coarser, so that millions of
// buckets of hostile senders do not fill the memory; nothing is lost.
func TestGridIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var all []*buckets
	for range 50 {
		var indexes []int32
		for range 1000 {
			indexes = append(indexes, rng.Int32N(2<<20)-1<<20)
		}
		slices.Sort(indexes)
		all = append(all, exponents(maxScale, slices.Compact(indexes)...))
	}
	g, ok := common(all)
	if !ok || g.len() > 2*maxBuckets || g.scale >= maxScale {
		t.Fatalf("%d edges at scale %d", g.len(), g.scale)
	}
	for _, b := range all {
		n := float64(len(slices.Collect(b.all)))
		above := g.above(b)
		if above == nil || above[0] != n || above[len(above)-1] != 0 {
			t.Fatalf("%v of %v above the lowest bound", above, n)
		}
		// Bucket by bucket it is b at the scale of the grid.
		if back := g.buckets(above, n); !slices.Equal(slices.Collect(back.all), b.at(g.scale)) {
			t.Fatal("a minute holds something else than was observed")
		}
	}
}

// A larger zero threshold takes in the buckets below it.
func TestZeroThresholds(t *testing.T) {
	wide := exponents(0, zeroBucket, 3, 5)
	wide.zero = 4 // bucket 1 ends there
	fine := exponents(0, zeroBucket, 0, 1, 2, 3)
	g, ok := common([]*buckets{wide, fine})
	if !ok || g.zero != 4 {
		t.Fatalf("%+v", g)
	}
	if got := slices.Collect(g.buckets(g.above(fine), 5).all); !slices.Equal(got, []bucket{{zeroBucket, 3}, {2, 1}, {3, 1}}) {
		t.Errorf("%v", got)
	}
	for bound, want := range map[float64][]float64{2: nil, 4: {2}, 8: {2}, 16: {1}} {
		if got := bounded([]float64{bound}).above(wide); !slices.Equal(got, want) {
			t.Errorf("%v above %v, want %v", got, bound, want)
		}
	}
}
