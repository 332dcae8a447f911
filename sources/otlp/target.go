package otlp

import (
	"cmp"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// increase counts what the picked series of one window counted in the fold. It
// also returns when their counters began, as told by the newest reading (zero:
// unknown), and how many readings lay inside the fold.
func increase(picked []counted, fold analysis.Fold, since time.Time, good bool) (inc analysis.Increase, received int, start time.Time) {
	s := stretchOf(picked, fold, since)
	inc, received = analysis.IncreaseOf(s.target(nil), fold, good)
	return inc, received, newestStart(s.cuts)
}

// A stretch is what one fold needs of the series of one target.
type stretch struct {
	fold  analysis.Fold
	cuts  []portion
	exact bool
}

func stretchOf(picked []counted, fold analysis.Fold, since time.Time) stretch {
	start, end, since0 := fold.Start.UnixNano(), fold.End.UnixNano(), nanos(since)
	s := stretch{fold: fold, cuts: cut(picked, start, end, since0, false)}
	s.exact = exact(s.cuts)
	if !s.exact {
		s.cuts = cut(picked, start, end, since0, true)
	}
	return s
}

// target is the stretch as analysis.IncreaseOf counts it, histograms above the bounds
// of g if that is not nil.
func (s stretch) target(g *grid) analysis.Target {
	if len(s.cuts) == 0 {
		return analysis.Target{}
	}
	start := s.fold.Start.UnixNano()
	target := analysis.Target{Starts: starts(s.cuts, start)}
	if !s.exact {
		target.Starts = append(target.Starts, restarts(s.cuts)...)
		target.Starts = append(target.Starts, falls(s.cuts)...)
		slices.SortFunc(target.Starts, time.Time.Compare)
	}
	reference, whole := deltaReference(s.cuts, start)
	for _, c := range s.cuts {
		series := c.counter(s.exact, reference, whole)
		if g != nil {
			series.Above = c.above(g, s.exact, start, len(series.Samples) > len(c.samples))
		}
		target.Series = append(target.Series, series)
	}
	return target
}

// nanos is since in nanoseconds; the zero time means: forever.
func nanos(since time.Time) int64 {
	if since.IsZero() {
		return 0
	}
	return since.UnixNano()
}

// A portion is the part of a series that matters to a fold.
type portion struct {
	counted
	samples []sample
	buckets []*buckets // of the samples; nil: none are kept
}

// cut takes from each series what matters to the fold and was known at its end to
// one who remembers nothing before since. A target with any sample in [since,
// start] is known, and then even older samples of its quieter series are
// references: an error series may be silent for hours without being born anew. A
// target without one is new, whatever it sent long ago.
//
// Of what lies before the fold, each series' last sample is all that matters if
// start times tell of resets. Otherwise it matters which series fell when, so that
// one that vanished in a restart is not counted from its old value: then all that
// is remembered is taken (whole).
func cut(picked []counted, start, end, since int64, whole bool) []portion {
	known := slices.ContainsFunc(picked, func(c counted) bool {
		n := c.until(start)
		return n > 0 && c.samples[n-1].t >= since
	})
	cuts := make([]portion, 0, len(picked))
	for _, c := range picked {
		from, to := c.until(max(start, since-1)), c.until(end)
		switch {
		case !known:
		case whole:
			from = max(0, searchTimes(c.samples[:to], since-1)-1)
		default:
			from = max(0, from-1)
		}
		if from < to {
			part := portion{counted: c, samples: c.samples[from:to]}
			if c.buckets != nil {
				part.buckets = c.buckets[from:to]
			}
			cuts = append(cuts, part)
		}
	}
	return cuts
}

// restarted reports whether the counter began anew between two of its samples.
// A start that changes without that is an exporter's rounding.
func restarted(before, after sample) bool { return after.start > before.t }

// exact reports whether start times alone tell of every reset. Then each series is
// counted by its own: since a start may be that of the series (its first event) and
// not of the process, one series' new start must not reset the others.
func exact(cuts []portion) bool {
	for _, c := range cuts {
		if c.kind == delta {
			continue
		}
		for i, s := range c.samples {
			if s.start == 0 {
				return false
			}
			if i > 0 && !restarted(c.samples[i-1], s) && (s.v < c.samples[i-1].v || c.fellAt(i)) {
				return false
			}
		}
	}
	return true
}

// counter turns the portion into a cumulative series. Where start times are exact,
// a restart goes on counting instead of falling.
func (c portion) counter(exact bool, reference int64, whole bool) analysis.CounterSeries {
	out := analysis.CounterSeries{Event: c.event, Total: c.total, Samples: make([]analysis.Sample, 0, len(c.samples)+1)}
	if whole && reference < c.samples[0].t {
		out.Samples = append(out.Samples, analysis.Sample{T: instant(reference)})
	}
	var sum float64
	for i, s := range c.samples {
		switch {
		case c.kind == delta:
			sum += s.v
		case exact && i > 0 && !restarted(c.samples[i-1], s):
			sum += s.v - c.samples[i-1].v
		case exact:
			sum += s.v
		default:
			sum = s.v
		}
		out.Samples = append(out.Samples, analysis.Sample{T: instant(s.t), V: sum})
	}
	return out
}

// starts returns when a target that is new in this fold began to count, if its
// first reading tells: the earliest start among its series. A start at the time of
// the sample itself means that the sender does not know it.
func starts(cuts []portion, foldStart int64) []time.Time {
	first := firstReading(cuts)
	if first <= foldStart {
		return nil // not new: its first reading is a reference
	}
	var earliest int64
	for _, c := range cuts {
		s := c.samples[0]
		if s.t == first && s.start > 0 && s.start < s.t && (earliest == 0 || s.start < earliest) {
			earliest = s.start
		}
	}
	if earliest == 0 {
		return nil
	}
	return []time.Time{instant(earliest)}
}

func firstReading(cuts []portion) int64 {
	first := cuts[0].samples[0].t
	for _, c := range cuts {
		first = min(first, c.samples[0].t)
	}
	return first
}

// deltaReference returns the instant at which a new target of increments certainly
// stood at zero, if that was before the fold: an increment counts in full from its
// own start, however old the pod is.
func deltaReference(cuts []portion, foldStart int64) (int64, bool) {
	first := firstReading(cuts)
	if first <= foldStart {
		return 0, false
	}
	earliest := first
	for _, c := range cuts {
		s := c.samples[0]
		if c.kind != delta {
			return 0, false
		}
		if s.t == first {
			if s.start == 0 {
				return 0, false
			}
			earliest = min(earliest, s.start)
		}
	}
	return earliest, earliest <= foldStart
}

// restarts returns the fewest instants that explain all new starts: one restart of
// a process gives its series different starts, and those come back one by one.
func restarts(cuts []portion) []time.Time {
	type gap struct{ after, start int64 }
	var gaps []gap
	for _, c := range cuts {
		if c.kind == delta {
			continue
		}
		for i := 1; i < len(c.samples); i++ {
			if restarted(c.samples[i-1], c.samples[i]) {
				gaps = append(gaps, gap{c.samples[i-1].t, c.samples[i].start})
			}
		}
	}
	slices.SortFunc(gaps, func(a, b gap) int { return cmp.Compare(a.start, b.start) })
	var out []time.Time
	var last int64
	for _, g := range gaps {
		if last <= g.after { // not explained by the restart before
			last = g.start
			out = append(out, instant(last))
		}
	}
	return out
}

// newestStart returns when the process of the newest reading began to count: the
// earliest start in that reading, since a series may begin later than its process.
func newestStart(cuts []portion) time.Time {
	var newest, start int64
	for _, c := range cuts {
		newest = max(newest, c.samples[len(c.samples)-1].t)
	}
	for _, c := range cuts {
		s := c.samples[len(c.samples)-1]
		if c.kind == cumulative && s.t == newest && s.start > 0 && s.start < s.t && (start == 0 || s.start < start) {
			start = s.start
		}
	}
	if start == 0 {
		return time.Time{}
	}
	return instant(start)
}
