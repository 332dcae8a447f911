package analysis

import (
	"math"
	"slices"
	"time"
)

// A Bucket counts the observations in (Lower, Upper]. That around zero of an
// exponential histogram holds its lower end too, which makes no difference to what
// lies above.
type Bucket struct{ Lower, Upper, Count float64 }

// A Reading is what a histogram of a target held at one instant, since it began to
// count, or what it observed from one instant to the next. Classic and exponential
// histograms are read alike.
type Reading struct {
	T       time.Time
	Count   float64  // of all observations, also those in no bucket
	Odd     float64  // of those that are no durations or sizes: NaN, negative
	Buckets []Bucket // ascending; they do not overlap
	// All says that every bucket is listed, the first from -Inf, the last to +Inf:
	// the layout of a classic histogram. Otherwise only populated ones are, and
	// those tell the growth of an exponential layout.
	All bool
}

// roundingOfBounds is how far apart two writings of one bucket bound may lie,
// relatively: 0.1 and 2^(k/8) have been through texts and other people's powers.
const roundingOfBounds = 1e-9

func isBound(a, b float64) bool {
	return a == b || math.Abs(a-b) <= roundingOfBounds*min(math.Abs(a), math.Abs(b)) // which is false of infinities
}

// atMost reports whether bound a lies at or below bound b.
func atMost(a, b float64) bool { return a <= b || isBound(a, b) }

// Above returns how many observations lie strictly above bound. It reports false
// where the layout cannot tell: the bound is none of its own.
func (r Reading) Above(bound float64) (float64, bool) {
	above, has := r.split([]float64{bound})
	return above[0], has[0] || r.Count == 0 // of nothing, nothing lies above, whatever the layout
}

// split returns what lies above each of ascending bounds, and which of them the layout
// has.
func (r Reading) split(bounds []float64) (above []float64, has []bool) {
	above, has = make([]float64, len(bounds)), make([]bool, len(bounds))
	schema, exponential := r.schema()
	n, sum := len(r.Buckets), 0.0
	for i := len(bounds) - 1; i >= 0; i-- {
		bound := bounds[i]
		for ; n > 0 && atMost(bound, r.Buckets[n-1].Lower); n-- {
			sum += r.Buckets[n-1].Count
		}
		above[i] = sum // and the bucket before, if there is one, begins below the bound
		switch {
		case r.All:
			has[i] = n > 0 && isBound(r.Buckets[n-1].Upper, bound)
		case exponential && bound > 0 && !onGrid(bound, schema):
		default:
			has[i] = n == 0 || atMost(r.Buckets[n-1].Upper, bound)
		}
	}
	return above, has
}

// common returns those of ascending bounds that the layout has.
func (r Reading) common(bounds []float64) []float64 {
	_, has := r.split(bounds)
	var out []float64
	for i, bound := range bounds {
		if has[i] {
			out = append(out, bound)
		}
	}
	return out
}

// schema returns the schema s of an exponential layout, whose bounds are the powers
// of 2^(2^-s). A reading without positive observations does not tell it, and one
// with other bounds has none.
func (r Reading) schema() (s int, ok bool) {
	for _, b := range r.Buckets {
		if b.Lower <= 0 || math.IsInf(b.Upper, 1) {
			continue
		}
		this := int(math.Round(-math.Log2(math.Log2(b.Upper / b.Lower))))
		if this < minSchema || this > maxSchema || !isBound(b.Upper/b.Lower, exponentialBound(this, 1)) || !onGrid(b.Upper, this) || ok && this != s {
			return 0, false
		}
		s, ok = this, true
	}
	return s, ok
}

// onGrid reports whether a positive bound is a power of 2^(2^-schema).
func onGrid(bound float64, schema int) bool {
	step := math.Exp2(-float64(schema))
	power := math.Log2(bound)
	return math.Abs(math.Round(power/step)*step-power)*math.Ln2 <= roundingOfBounds
}

// fellFrom reports whether r holds less than earlier, a reading of the same
// histogram, in any bucket: then it began anew between them. A layout that became
// coarser, as exponential ones do when they are full, is no new beginning; one that
// became finer is.
func (r Reading) fellFrom(earlier Reading) bool {
	switch {
	case r.Count < earlier.Count || r.Odd < earlier.Odd:
		return true
	case r.All && earlier.All:
		return r.fellBelow(earlier)
	case r.All != earlier.All:
		return earlier.Count > 0
	}
	next := 0
	for _, b := range r.Buckets {
		inside := 0.0
		for ; next < len(earlier.Buckets) && atMost(earlier.Buckets[next].Upper, b.Upper); next++ {
			if !atMost(b.Lower, earlier.Buckets[next].Lower) {
				return true // it has no place in the buckets of today
			}
			inside += earlier.Buckets[next].Count
		}
		if inside > b.Count {
			return true
		}
	}
	return next < len(earlier.Buckets)
}

// fellBelow compares two classic layouts at the bounds that both have, by what lies
// at or below them: that is what targets count, and a scrape in the middle of an
// observation can make the difference of two of their counters smaller.
func (r Reading) fellBelow(earlier Reading) bool {
	below, before, next := 0.0, 0.0, 0
	for _, b := range r.Buckets {
		below += b.Count
		for ; next < len(earlier.Buckets) && atMost(earlier.Buckets[next].Upper, b.Upper); next++ {
			before += earlier.Buckets[next].Count
			if isBound(earlier.Buckets[next].Upper, b.Upper) && below < before {
				return true
			}
		}
	}
	return false
}

// Since returns what the histogram observed after an earlier reading, and true; or
// all that it holds, and false, where it began anew between them.
func (r Reading) Since(earlier Reading) (Reading, bool) {
	if earlier.Count == 0 {
		return r, true
	}
	if r.fellFrom(earlier) {
		return r, false
	}
	out := Reading{T: r.T, Count: r.Count - earlier.Count, Odd: r.Odd - earlier.Odd, All: r.All}
	if r.All {
		common := earlier.common(r.bounds())
		r, earlier = r.coarse(common), earlier.coarse(common)
	}
	next := 0
	for _, b := range r.Buckets {
		for ; next < len(earlier.Buckets) && atMost(earlier.Buckets[next].Upper, b.Upper); next++ {
			b.Count -= earlier.Buckets[next].Count
		}
		if b.Count = max(0, b.Count); b.Count > 0 || r.All {
			out.Buckets = append(out.Buckets, b)
		}
	}
	return out, true
}

// bounds returns the finite upper bounds of the buckets.
func (r Reading) bounds() []float64 {
	var out []float64
	for _, b := range r.Buckets {
		if !math.IsInf(b.Upper, 0) {
			out = append(out, b.Upper)
		}
	}
	return out
}

// coarse returns a classic reading in the layout of some of its bounds.
func (r Reading) coarse(bounds []float64) Reading {
	lower, next := math.Inf(-1), 0
	buckets := make([]Bucket, 0, len(bounds)+1)
	for _, upper := range append(slices.Clone(bounds), math.Inf(1)) {
		b := Bucket{Lower: lower, Upper: upper}
		for ; next < len(r.Buckets) && atMost(r.Buckets[next].Upper, upper); next++ {
			b.Count += r.Buckets[next].Count
		}
		buckets = append(buckets, b)
		lower = upper
	}
	r.Buckets = buckets
	return r
}

// CountReadings reduces the readings of one histogram, ascending in time, to what
// [IncreaseOf] counts: all observations, and those above each of ascending bounds. Starts are those
// of the target that are known; the instants at which the histogram is seen to have
// begun anew belong to them too: a bucket can fall while all that is counted grows.
//
// A reading does not tell what is above the bounds where its layout does not have
// them all, or where something odd was observed since the reading before.
func CountReadings(readings []Reading, starts []time.Time, bounds []float64) (series CounterSeries, anew []time.Time) {
	series.Above = make([][]float64, 0, len(readings))
	for i, r := range readings {
		above, has := r.split(bounds)
		ok := r.Count == 0 || !slices.Contains(has, false)
		if i > 0 && r.fellFrom(readings[i-1]) {
			anew = append(anew, r.T)
		} else if i > 0 && !startedBetween(starts, readings[i-1].T, r.T) {
			ok = ok && r.Odd == readings[i-1].Odd
			// A scrape in the middle of an observation may have counted it below a bound
			// and not yet below the next, or as a whole.
			grown := r.Count - readings[i-1].Count
			for k, before := range series.Above[i-1] {
				grown = max(0, min(grown, above[k]-before))
				above[k] = before + grown
			}
		}
		if !ok {
			above = nil
		}
		series.Above = append(series.Above, above)
		series.Samples = append(series.Samples, Sample{T: r.T, V: r.Count})
	}
	return series, anew
}

// ObservedIn returns what the series of one target's histogram observed between their
// readings in a fold: the rule of [IncreaseOf] for all buckets. What a target held at
// its first reading is nobody's.
func ObservedIn(target [][]Reading, fold Fold) []Reading {
	var times []time.Time
	for _, readings := range target {
		for _, r := range readings {
			if !r.T.After(fold.End) {
				times = append(times, r.T)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	times = slices.CompactFunc(times, time.Time.Equal)
	last, next := make([]Reading, len(target)), make([]int, len(target))
	var out []Reading
	for i, at := range times {
		due := func(k int) bool { return next[k] < len(target[k]) && target[k][next[k]].T.Equal(at) }
		for k := range target {
			if due(k) && last[k].Count > 0 && target[k][next[k]].fellFrom(last[k]) {
				clear(last)
			}
		}
		for k := range target {
			if !due(k) {
				continue
			}
			r := target[k][next[k]]
			if since, _ := r.Since(last[k]); i > 0 && at.After(fold.Start) && (since.Count > 0 || since.All) {
				out = append(out, since)
			}
			last[k] = r
			next[k]++
		}
	}
	return out
}

// Reading returns what h holds as the reading of an instant. Of exponential buckets
// those are populated that h lists with a count; one that ends at or below the zero
// threshold is that around zero.
func (h Histogram) Reading(at time.Time) Reading {
	r := Reading{T: at, Count: h.Total(), All: h.Schema == nil}
	lower := math.Inf(-1)
	for i, count := range h.Counts {
		upper := math.Inf(1)
		if i < len(h.Bounds) {
			upper = h.Bounds[i]
		}
		if h.Schema != nil {
			switch {
			case count == 0:
				continue
			case upper <= h.Zero:
				lower, upper = -h.Zero, h.Zero
			case !math.IsInf(upper, 1):
				lower = upper / exponentialBound(*h.Schema, 1)
			}
		}
		r.Buckets = append(r.Buckets, Bucket{Lower: lower, Upper: upper, Count: count})
		lower = upper
	}
	return r
}
