package tracediff

import (
	"slices"

	"github.com/release-assay/assay/analysis"
)

// A Sketch is how durations were distributed. The zero value is empty. Sketches that are
// merged in any order are the same.
type Sketch struct {
	first  int32    // bucket of counts[0]
	counts []uint64 // by bucket, from the lowest that was seen to the highest
	zero   uint64   // that took no time
	total  uint64
}

// Add takes in a duration in nanoseconds; below 0 it is none.
func (s *Sketch) Add(nanoseconds int64) {
	if nanoseconds <= 0 {
		s.AddBucket(minBucket-1, 1)
		return
	}
	s.AddBucket(Bucket(nanoseconds), 1)
}

// AddBucket takes in n durations of a bucket; one below all others is zero.
func (s *Sketch) AddBucket(bucket int32, n uint64) {
	s.total += n
	if bucket < minBucket {
		s.zero += n
		return
	}
	bucket = min(bucket, maxBucket)
	switch i := int(bucket) - int(s.first); {
	case len(s.counts) == 0:
		s.first, s.counts = bucket, append(s.counts, n)
	case i < 0:
		s.counts = slices.Insert(s.counts, 0, make([]uint64, -i)...)
		s.first = bucket
		s.counts[0] = n
	case i >= len(s.counts):
		s.counts = append(s.counts, make([]uint64, i+1-len(s.counts))...)
		s.counts[i] = n
	default:
		s.counts[i] += n
	}
}

// Merge adds what t holds.
func (s *Sketch) Merge(t *Sketch) {
	for i, n := range t.counts {
		if n > 0 {
			s.AddBucket(t.first+int32(i), n)
		}
	}
	s.zero += t.zero
	s.total += t.zero
}

// Total is how many durations it holds.
func (s *Sketch) Total() uint64 { return s.total }

// All goes through the populated buckets, ascending; what took no time is not among them.
func (s *Sketch) All(yield func(bucket int32, n uint64) bool) {
	for i, n := range s.counts {
		if n > 0 && !yield(s.first+int32(i), n) {
			return
		}
	}
}

// Above returns how many durations are above a bucket's bound. It is exact.
func (s *Sketch) Above(bucket int32) uint64 {
	n := uint64(0)
	for b, more := range s.All {
		if b > bucket {
			n += more
		}
	}
	return n
}

// Quantile returns the p-quantile in seconds, as the nearest rank: at most 0.55 % off. It
// is 0 without durations.
func (s *Sketch) Quantile(p float64) float64 {
	if s.total == 0 {
		return 0
	}
	rank := uint64(p * float64(s.total))
	if float64(rank) < p*float64(s.total) || rank == 0 {
		rank++
	}
	seen := s.zero
	if seen >= rank {
		return 0
	}
	for b, n := range s.All {
		if seen += n; seen >= rank {
			low, high := Bound(b-1), Bound(b)
			return 2 * low * high / (low + high) // the relative error is the same at both ends
		}
	}
	return Bound(s.first + int32(len(s.counts)) - 1)
}

// Histogram is what bounds are chosen from.
func (s *Sketch) Histogram() analysis.Histogram {
	if s.total == 0 {
		return analysis.Histogram{}
	}
	schema := Scale
	h := analysis.Histogram{Schema: &schema}
	if s.zero > 0 {
		h.Bounds, h.Counts = append(h.Bounds, 0), append(h.Counts, float64(s.zero))
	}
	last, any := int32(0), false
	for b, n := range s.All {
		if !any || b != last+1 {
			h.Bounds, h.Counts = append(h.Bounds, Bound(b-1)), append(h.Counts, 0)
		}
		h.Bounds, h.Counts = append(h.Bounds, Bound(b)), append(h.Counts, float64(n))
		last, any = b, true
	}
	h.Counts = append(h.Counts, 0)
	return h
}
