package prometheus

import (
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// count counts what each stratum of the target did in the fold. Resets, and whether
// the target is known, are those of all its series.
func (t *target) count(f *fold) {
	t.counted = t.counted[:0]
	keys := slices.Sorted(maps.Keys(t.series))
	var all, native, classic analysis.Target
	switch f.query.Signal.Shape {
	case analysis.ShapeLevel:
	case analysis.ShapeDistribution:
		native, classic = t.histograms(keys, true, f.query.Bounds), t.histograms(keys, false, f.query.Bounds)
	default:
		all = t.counters(keys)
	}
	for _, key := range keys {
		c := stratum{values: t.strata[key]}
		switch f.query.Signal.Shape {
		case analysis.ShapeLevel:
			c.level, c.received = levelOf(t.series[key], f.query)
		case analysis.ShapeDistribution:
			some, received := analysis.IncreaseOf(t.only(native, keys, key, func(s series) bool { return s.native }), f.query.Fold, false)
			more, also := analysis.IncreaseOf(t.only(classic, keys, key, func(s series) bool { return !s.native }), f.query.Fold, false)
			c.Increase, c.received = choose(some, received, more, also)
		default:
			c.Increase, c.received = analysis.IncreaseOf(t.only(all, keys, key, nil), f.query.Fold, f.good)
		}
		t.counted = append(t.counted, c)
	}
}

// counters returns the target with all its series.
func (t *target) counters(keys []string) analysis.Target {
	out := analysis.Target{Starts: t.starts}
	for _, key := range keys {
		for _, s := range t.series[key] {
			out.Series = append(out.Series, s.CounterSeries)
		}
	}
	return out
}

// only returns the target, of which those series count that belong to one stratum. It
// holds the series that pass, in the order of the keys.
func (t *target) only(all analysis.Target, keys []string, stratum string, pass func(series) bool) analysis.Target {
	if len(keys) == 1 {
		return all
	}
	all.Series = slices.Clone(all.Series)
	n := 0
	for _, key := range keys {
		for _, s := range t.series[key] {
			if pass != nil && !pass(s) {
				continue
			}
			if key != stratum {
				all.Series[n].Event, all.Series[n].Total = false, false
			}
			n++
		}
	}
	return all
}

// choose returns what the native or the classic histograms of a target counted, where
// it exposes both: the native ones, unless they do not have the bounds and the
// classic ones do, or they are new and the classic ones are not.
func choose(native analysis.Increase, some int, classic analysis.Increase, more int) (analysis.Increase, int) {
	if some == 0 || more > 0 && (native.Above == nil && classic.Above != nil || native.New && !classic.New) {
		return classic, more
	}
	return native, some
}

// histograms returns the target with its native or its classic histograms.
func (t *target) histograms(keys []string, native bool, bounds []float64) analysis.Target {
	out := analysis.Target{Starts: slices.Clone(t.starts)}
	for _, key := range keys {
		for _, s := range t.series[key] {
			if s.native != native {
				continue
			}
			c, anew := analysis.CountReadings(s.readings, t.starts, bounds)
			c.Total = true
			out.Series = append(out.Series, c)
			out.Starts = append(out.Starts, anew...)
		}
	}
	slices.SortFunc(out.Starts, time.Time.Compare)
	return out
}

// levelOf returns the level of gauges at the end of a fold, and how many readings
// there were in it.
func levelOf(gauges []series, q analysis.Query) (level float64, received int) {
	var newest time.Time
	times := map[time.Time]bool{}
	for _, s := range gauges {
		for _, sample := range s.Samples {
			if sample.T.After(q.Fold.Start) {
				times[sample.T] = true
				if sample.T.After(newest) {
					newest = sample.T
				}
			}
		}
	}
	n := 0.0
	for _, s := range gauges {
		if last := s.Samples[len(s.Samples)-1]; last.T.After(q.Fold.Start) && !over(s.Samples, newest) {
			level += last.V
			n++
		}
	}
	if n > 0 && !q.Signal.Adds() {
		level /= n
	}
	return level, len(times)
}

// over reports whether a series ended before others of its target: it missed one of
// its own readings, by the gap between its last two. A container that was replaced
// is not counted beside its successor.
func over(samples []analysis.Sample, newest time.Time) bool {
	n := len(samples)
	if n < 2 {
		return false
	}
	gap := samples[n-1].T.Sub(samples[n-2].T)
	return newest.Sub(samples[n-1].T) >= gap*3/2
}
