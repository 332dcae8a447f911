package otlp

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unique"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// buckets are the populated ones of one histogram, packed: about 2 to 3 bytes each.
// They are never changed. There are two kinds:
//
//   - Explicit: bucket i ends at the i-th bound, inclusive; one more has no end.
//   - Exponential: bucket i covers (g^i, g^(i+1)] with g = 2^(2^-scale), and
//     zeroBucket what is not above the zero threshold.
type buckets struct {
	odd         oddity // not 0: there are none
	exponential bool
	mixed       bool // of a minute: added up from histograms with different buckets
	scale       int8
	zero        float64
	bounds      unique.Handle[string] // of explicit ones: their bits, 8 bytes each
	packed      string
}

const (
	zeroBucket = math.MinInt32
	// maxBuckets is how many one point may have; SDKs send 160 at most by default.
	maxBuckets = 4096
	minScale   = -10
	maxScale   = 20
	// maxCount is the largest count that is exact as a float64.
	maxCount = 1 << 53
)

// An oddity is why a histogram does not say how its observations were distributed.
type oddity uint8

const (
	noOddity oddity = iota
	noBuckets
	tooManyBuckets
	miscounted
	disordered
	negative
	beyondNumbers
)

func (o oddity) String() string {
	return [...]string{
		noOddity:       "",
		noBuckets:      "no buckets were sent",
		tooManyBuckets: "more than 4096 buckets",
		miscounted:     "buckets that do not add up to the count",
		disordered:     "bounds that are not finite, not ascending, or not one fewer than the buckets",
		negative:       "negative observations",
		beyondNumbers:  "buckets beyond all numbers, or a scale that is not in -10 to 20",
	}[o]
}

// A bucket is one with observations.
type bucket struct {
	index int32
	count uint64
}

// cost is how many samples' memory the buckets take.
func (b *buckets) cost() int {
	if b == nil {
		return 0
	}
	const fixed, sampleSize = 64, 24
	return (fixed + len(b.packed) + sampleSize - 1) / sampleSize
}

// all goes through the populated buckets, ascending.
func (b *buckets) all(yield func(bucket) bool) {
	packed, index := b.packed, int64(zeroBucket)
	for len(packed) > 0 {
		gap, n := uvarint(packed)
		count, m := uvarint(packed[n:])
		packed = packed[n+m:]
		index += int64(gap)
		if !yield(bucket{int32(index), count}) {
			return
		}
	}
}

// uvarint is binary.Uvarint of a string that this package packed.
func uvarint(s string) (v uint64, n int) {
	for shift := 0; ; shift += 7 {
		c := s[n]
		n++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, n
		}
	}
}

// fell reports whether a bucket holds less than before, which a counter never does
// without a restart. Buckets that cannot be compared did not.
func fell(before, after *buckets) bool {
	if before == nil || after == nil || before.odd+after.odd != noOddity ||
		before.exponential != after.exponential || before.bounds != after.bounds || before.zero != after.zero {
		return false
	}
	scale := min(before.scale, after.scale)
	now := after.at(scale)
	for _, was := range before.at(scale) {
		for len(now) > 0 && now[0].index < was.index {
			now = now[1:]
		}
		if len(now) == 0 || now[0].index > was.index || now[0].count < was.count {
			return true
		}
	}
	return false
}

// at returns the populated buckets at a scale that is not above b's.
func (b *buckets) at(scale int8) []bucket {
	out := make([]bucket, 0, len(b.packed)/2)
	for one := range b.all {
		if one.index != zeroBucket {
			one.index >>= b.scale - scale
		}
		if n := len(out); n > 0 && out[n-1].index == one.index {
			out[n-1].count += one.count
			continue
		}
		out = append(out, one)
	}
	return out
}

// pack sets the populated buckets; populated is ascending.
func (b *buckets) pack(populated []bucket) *buckets {
	packed := make([]byte, 0, 3*len(populated)+8)
	last := int64(zeroBucket)
	for _, one := range populated {
		if one.count == 0 {
			continue
		}
		packed = binary.AppendUvarint(packed, uint64(int64(one.index)-last))
		packed = binary.AppendUvarint(packed, one.count)
		last = int64(one.index)
	}
	b.packed = string(packed)
	return b
}

// explicitBuckets are those of a histogram with bounds of its own.
func explicitBuckets(p pmetric.HistogramDataPoint) *buckets {
	bounds, counts := p.ExplicitBounds(), p.BucketCounts()
	switch {
	case counts.Len() == 0 && p.Count() == 0:
		return &buckets{}
	case counts.Len() == 0:
		return &buckets{odd: noBuckets}
	case counts.Len() > maxBuckets:
		return &buckets{odd: tooManyBuckets}
	case bounds.Len() != counts.Len()-1:
		return &buckets{odd: disordered}
	}
	layout := make([]byte, 0, 8*bounds.Len())
	populated := make([]bucket, 0, counts.Len())
	var total, carry uint64
	for i := range counts.Len() {
		count := counts.At(i)
		if i < bounds.Len() {
			bound := bounds.At(i)
			if math.IsNaN(bound) || math.IsInf(bound, 0) || i > 0 && bound <= bounds.At(i-1) {
				return &buckets{odd: disordered}
			}
			if bound < 0 && count > 0 {
				return &buckets{odd: negative}
			}
			layout = binary.LittleEndian.AppendUint64(layout, math.Float64bits(bound))
		}
		if total, carry = bits.Add64(total, count, 0); carry > 0 {
			return &buckets{odd: miscounted}
		}
		populated = append(populated, bucket{int32(i), count})
	}
	if total != p.Count() || total > maxCount {
		return &buckets{odd: miscounted}
	}
	b := &buckets{bounds: unique.Make(string(layout))}
	return b.pack(populated)
}

// exponentialBuckets are those of an exponential histogram.
func exponentialBuckets(p pmetric.ExponentialHistogramDataPoint) *buckets {
	for _, count := range p.Negative().BucketCounts().All() {
		if count > 0 {
			return &buckets{odd: negative}
		}
	}
	scale, offset, counts := p.Scale(), int64(p.Positive().Offset()), p.Positive().BucketCounts()
	zero := p.ZeroThreshold()
	switch {
	case counts.Len() > maxBuckets:
		return &buckets{odd: tooManyBuckets}
	case scale < minScale || scale > maxScale || !(zero >= 0) || math.IsInf(zero, 0):
		return &buckets{odd: beyondNumbers}
	}
	lowest, highest := indexRange(int8(scale))
	populated := []bucket{{zeroBucket, p.ZeroCount()}}
	total := p.ZeroCount()
	for i := range counts.Len() {
		count, index := counts.At(i), offset+int64(i)
		if count == 0 {
			continue
		}
		if index < lowest || index > highest {
			return &buckets{odd: beyondNumbers}
		}
		var carry uint64
		if total, carry = bits.Add64(total, count, 0); carry > 0 {
			return &buckets{odd: miscounted}
		}
		populated = append(populated, bucket{int32(index), count})
	}
	if total != p.Count() || total > maxCount {
		return &buckets{odd: miscounted}
	}
	b := &buckets{exponential: true, scale: int8(scale), zero: zero}
	return b.pack(populated)
}

// indexRange is that of the buckets at a scale that hold positive numbers of 64 bits.
func indexRange(scale int8) (lowest, highest int64) {
	const smallest, largest = -1074, 1024 // powers of two
	if scale >= 0 {
		return smallest<<scale - 1, largest<<scale - 1
	}
	return smallest>>-scale - 1, largest >> -scale
}

// boundsOf are the bounds of explicit buckets.
func boundsOf(layout unique.Handle[string]) []float64 {
	if layout == (unique.Handle[string]{}) {
		return nil
	}
	text := layout.Value()
	bounds := make([]float64, len(text)/8)
	for i := range bounds {
		bounds[i] = math.Float64frombits(binary.LittleEndian.Uint64([]byte(text[8*i : 8*i+8])))
	}
	return bounds
}

// layoutOf is what boundsOf undoes.
func layoutOf(bounds []float64) unique.Handle[string] {
	layout := make([]byte, 0, 8*len(bounds))
	for _, bound := range bounds {
		layout = binary.LittleEndian.AppendUint64(layout, math.Float64bits(bound))
	}
	return unique.Make(string(layout))
}
