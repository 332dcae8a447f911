package otlp

import (
	"maps"
	"time"

	"github.com/release-assay/assay/analysis"
)

// losses are the times in which points of a service were dropped that stand for
// something that happened: beyond a limit, or of no number. Errors come as new series
// with long attributes, so that they are the first to be lost; what is left of the
// metric looks healthier than it is, and no fold may be judged by it. The service's
// lock protects them.
type losses map[loss]struct{}

// A loss is a base tick of a metric. The zero value stands for all that there are.
type loss struct {
	metric string
	tick   int64 // since the epoch
}

const (
	baseTick = int64(5 * time.Second) // folds begin and end at multiples of it
	// maxLosses bounds what is remembered of a service: two hours of a dozen metrics.
	maxLosses = 20_000
)

// tickOf returns the tick that an instant lies in; its end is in it.
func tickOf(t int64) int64 { return (t - 1) / baseTick }

// costs reports whether dropping a point for this reason loses what it stands for.
func (d Drop) costs() bool {
	switch d {
	case DropNotFinite, DropNegative, DropTooLong, DropSeriesLimit, DropSampleLimit:
		return true
	}
	return false
}

// add notes that a point at t was dropped, which may have been of the reading just
// before it.
func (l losses) add(metric string, t int64) {
	if len(metric) > maxSeriesKey {
		return // no signal has it
	}
	for _, at := range []int64{t, t - int64(alignment)} {
		lost := loss{metric, tickOf(at)}
		if _, known := l[lost]; known {
			continue
		}
		if len(l) >= maxLosses {
			lost = loss{}
		}
		lost.metric = intern(lost.metric)
		l[lost] = struct{}{}
	}
}

// during reports whether points of a selection may be missing in a fold.
func (l losses) during(f analysis.Fold, sel *selection) bool {
	if len(l) == 0 {
		return false
	}
	if _, all := l[loss{}]; all {
		return true
	}
	return l.of(f, sel.event.metric) || l.of(f, sel.total.metric)
}

// of reports whether points of a metric were dropped in a fold.
func (l losses) of(f analysis.Fold, metric string) bool {
	for tick := tickOf(f.Start.UnixNano() + 1); tick <= tickOf(f.End.UnixNano()); tick++ {
		if _, lost := l[loss{metric, tick}]; lost {
			return true
		}
	}
	return false
}

// forget removes what lies outside of the time for which samples are kept. Clocks that
// run ahead leave minutes that no fold will reach. That there were too many to be told
// apart stays until all others are gone: it may stand for the newest of them.
func (l losses) forget(now time.Time, retention time.Duration) {
	first, last := tickOf(now.Add(-retention).UnixNano()), tickOf(now.Add(24*time.Hour).UnixNano())
	maps.DeleteFunc(l, func(lost loss, _ struct{}) bool {
		return lost != loss{} && (lost.tick < first || lost.tick > last)
	})
	if len(l) == 1 {
		delete(l, loss{})
	}
}
