package prometheus

import (
	"context"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// startMetric is exported by every official Prometheus client. Its value is the
// Unix time at which the process started.
const startMetric = "process_start_time_seconds"

// sameStart is how far the reported start of one and the same process may wander:
// Linux computes it from a boot time that clock corrections move by a second.
const sameStart = 2 * time.Second

// starts asks for the start times of the processes of a cohort. Not every target
// has them, and not every server knows the cohort's labels on them, so that
// nothing, and any error that asking again would not cure, means "unknown". A
// server that is unavailable is an error: the answer must be the same whenever it
// comes.
func (i *inquiry) starts(ctx context.Context, cohort []analysis.Match, over time.Duration, end time.Time) ([]series, error) {
	ms, err := i.labels.bind(&analysis.Selector{Metric: startMetric}, cohort)
	if err != nil {
		return nil, i.rejected(i.op, err)
	}
	found, err := i.raw(ctx, counters, ms, over, end)
	if err != nil && sources.KindOf(err) == sources.Unavailable {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	return found, nil
}

// startsOf returns the starts that one target reported, ascending. The target's
// clock may be wrong, the order of scrapes is not: a start that was first
// reported by a scrape lies before it, and after the scrape that still reported
// another one.
func startsOf(samples []analysis.Sample) []time.Time {
	var starts []time.Time
	var reported, before time.Time
	for _, s := range samples {
		if s.V <= 0 || s.V > 1e11 { // no Unix time
			continue
		}
		at := time.UnixMilli(int64(s.V * 1000)).UTC()
		if known := len(starts) > 0; !known || at.Sub(reported).Abs() > sameStart {
			reported = at
			if known && !at.After(before) {
				at = before.Add(time.Millisecond)
			}
			if at.After(s.T) {
				at = s.T
			}
			starts = append(starts, at)
		}
		before = s.T
	}
	return starts
}
