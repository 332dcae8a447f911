package otlp

import (
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// newest returns the level that the picked series tell in a fold: of each the newest
// sample inside it. Received is how many readings lie inside; without one there is no
// level.
func (s *selection) newest(picked []counted, fold analysis.Fold) (value float64, received int) {
	from, to := fold.Start.UnixNano(), fold.End.UnixNano()
	var times []int64
	n := 0.
	for _, c := range picked {
		last := c.until(to)
		first := searchTimes(c.samples[:last], from)
		if first == last {
			continue
		}
		value += c.samples[last-1].v
		n++
		for _, p := range c.samples[first:last] {
			times = append(times, p.t)
		}
	}
	if s.mean && n > 0 {
		value /= n
	}
	slices.Sort(times)
	return value, len(slices.Compact(times))
}

// startedIn returns when the window's process began to count, as its newest cumulative
// reading in a fold tells (zero: unknown): a gauge does not know.
func (w *window) startedIn(fold analysis.Fold) time.Time {
	var counters []counted
	for _, s := range w.series {
		if s.kind == cumulative {
			counters = append(counters, counted{series: s})
		}
	}
	return newestStart(cut(counters, fold.Start.UnixNano(), fold.End.UnixNano(), 0, false))
}
