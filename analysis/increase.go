package analysis

import (
	"slices"
	"time"
)

// A Sample is one cumulative reading of a counter.
type Sample struct {
	T time.Time
	V float64
}

// A CounterSeries is one label combination of a target's counters.
type CounterSeries struct {
	// Event and Total say which counters of the ratio the series belongs to: the
	// event counter (bad or good, as the signal says) and the total. A series
	// may belong to both.
	Event, Total bool
	Samples      []Sample // ascending in time, no duplicate times
	// Above is, of a histogram's count, what each sample held above each bound; an
	// entry is nil where the sample does not tell. Nil altogether: no histogram.
	Above [][]float64
}

// A Target is one pod with all series of a ratio, as a source holds them.
type Target struct {
	// Starts holds the instants at which the pod's counters are known to have
	// begun to count, ascending: OTLP's StartTimeUnixNano, Prometheus'
	// process_start_time_seconds. Each after the first is a restart. Empty: unknown.
	Starts []time.Time
	Series []CounterSeries
}

// An Increase is what a target counted in one fold.
type Increase struct {
	Bad      float64 `json:"bad"`
	Exposure float64 `json:"exposure"`
	// New says that the target had no sample at or before the fold's start and
	// is not known to have started inside the fold. What its first sample held is
	// in FirstBad and FirstExposure, uncounted: see Counted.
	New           bool    `json:"new,omitempty"`
	FirstBad      float64 `json:"firstBad,omitempty"`
	FirstExposure float64 `json:"firstExposure,omitempty"`
	// Above and FirstAbove are, of a distribution, the observations above each bound
	// of the query; Exposure is all observations, Bad is 0. There are none where the
	// histogram of the pod does not have all of these bounds in the fold.
	Above      []float64 `json:"above,omitempty"`
	FirstAbove []float64 `json:"firstAbove,omitempty"`
}

// IncreaseOf is the one rule for deltas, resets and first samples (statistics
// 2.1), used by every source. Samples after fold.End are ignored. It returns what
// the target counted in the fold and how many readings (instants with a sample
// of any series) fell inside it.
//
//   - Deltas are summed over consecutive readings, from the last one at or before
//     fold.Start to the last one at or before fold.End.
//   - A decrease of any series, or a start between two readings, resets every
//     series of the target: each then counts from 0.
//   - A series that a known target did not have before had the value 0, so its
//     first value counts in full: an error series is born with its first error.
//   - The first reading of a new target counts in full if the target started
//     inside the fold; otherwise it is left to Counted, which knows the arm.
//
// What histograms held above each bound is counted by the same rule, and is left out
// where a reading that matters does not tell it.
//
// Where the event counter counts good events (good is true), bad events are
// exposures less good ones, pod by pod, never below 0. Splitting a counter into
// label combinations changes nothing.
func IncreaseOf(target Target, fold Fold, good bool) (inc Increase, received int) {
	readings := readingTimes(target, fold.End)
	if len(readings) == 0 {
		return Increase{}, 0
	}
	values := make([]float64, len(target.Series)) // last known value of each series
	next := make([]int, len(target.Series))       // first sample not yet read
	above := newAboveSum(target)
	var event, total, firstEvent, firstTotal float64
	for i, t := range readings {
		reset := i > 0 && startedBetween(target.Starts, readings[i-1], t)
		for s, series := range target.Series {
			if n := next[s]; n < len(series.Samples) && series.Samples[n].T.Equal(t) && (series.Samples[n].V < values[s] || above.falls(s, n)) {
				reset = true
			}
		}
		if reset {
			clear(values)
			above.reset()
		}
		above.begin()
		var dEvent, dTotal float64
		for s, series := range target.Series {
			n := next[s]
			if n >= len(series.Samples) || !series.Samples[n].T.Equal(t) {
				continue
			}
			delta := series.Samples[n].V - values[s]
			values[s] = series.Samples[n].V
			next[s]++
			above.read(s, n)
			if series.Event {
				dEvent += delta
			}
			if series.Total {
				dTotal += delta
			}
		}
		if !t.After(fold.Start) {
			continue // a reference only
		}
		received++
		if i == 0 {
			if startedIn(target.Starts, fold.Start, t) {
				event, total = dEvent, dTotal
				above.count(false)
			} else {
				inc.New = true
				firstEvent, firstTotal = dEvent, dTotal
				above.count(true)
			}
			continue
		}
		event += dEvent
		total += dTotal
		above.count(false)
	}
	inc.Bad, inc.Exposure = event, total
	if received > 0 {
		inc.Above, inc.FirstAbove = above.sums(inc.New)
	}
	inc.FirstBad, inc.FirstExposure = firstEvent, firstTotal
	if good {
		inc.Bad = max(0, total-event)
		inc.FirstBad = max(0, firstTotal-firstEvent)
	}
	return inc, received
}

// Counted returns the bad events and exposures that count for a pod of the given
// arm. The first reading of a new target is counted for a canary pod that started
// at or after the deployment (an unknown start is taken to be the deployment), so
// that errors before the first scrape count; for any other pod it is a reference.
func (r Row) Counted(arm Arm, deployedAt time.Time) (bad, exposure float64) {
	if r.New && arm == Canary && (r.PodStart.IsZero() || !r.PodStart.Before(deployedAt)) {
		return r.Bad + r.FirstBad, r.Exposure + r.FirstExposure
	}
	return r.Bad, r.Exposure
}

// CountedAbove is Counted for the observations above each bound.
func (r Row) CountedAbove(arm Arm, deployedAt time.Time) []float64 {
	if len(r.FirstAbove) == 0 || len(r.FirstAbove) != len(r.Above) || !(r.New && arm == Canary && (r.PodStart.IsZero() || !r.PodStart.Before(deployedAt))) {
		return r.Above
	}
	out := make([]float64, len(r.Above))
	for i := range out {
		out[i] = r.Above[i] + r.FirstAbove[i]
	}
	return out
}

func readingTimes(target Target, end time.Time) []time.Time {
	var times []time.Time
	for _, series := range target.Series {
		for _, s := range series.Samples {
			if s.T.After(end) {
				break
			}
			times = append(times, s.T)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return slices.CompactFunc(times, time.Time.Equal)
}

// startedIn reports whether a start lies in [from, to]. Unlike a sample, a start
// exactly at a fold's own start belongs to the fold: all that the target counted
// came after it.
func startedIn(starts []time.Time, from, to time.Time) bool {
	for _, s := range starts {
		if !s.Before(from) && !s.After(to) {
			return true
		}
	}
	return false
}

// startedBetween reports whether a start lies in (from, to].
func startedBetween(starts []time.Time, from, to time.Time) bool {
	for _, s := range starts {
		if s.After(from) && !s.After(to) {
			return true
		}
	}
	return false
}
