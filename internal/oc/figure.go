package oc

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis/stats"
)

// A figure is a share of runs, and when it happened in them.
type figure struct {
	hits, runs int
	at         []float64 // minutes, ascending; one for each hit
}

// alarms are the rollbacks that come after the onset, in minutes since then.
func alarms(all []outcome, onset float64) figure {
	return count(all, func(o outcome) float64 {
		if since := minutesOf(o.alarm) - onset; o.alarm > 0 && since > 0 {
			return since
		}
		return 0
	})
}

// promotes are the runs that ended in a promote: before any rollback.
func promotes(all []outcome) figure {
	return count(all, func(o outcome) float64 {
		if o.promote > 0 && (o.alarm == 0 || o.promote < o.alarm) {
			return minutesOf(o.promote)
		}
		return 0
	})
}

// ends are the runs that ended in a rollback: before any promote.
func ends(all []outcome) figure {
	return count(all, func(o outcome) float64 {
		if o.alarm > 0 && (o.promote == 0 || o.alarm < o.promote) {
			return minutesOf(o.alarm)
		}
		return 0
	})
}

func count(all []outcome, when func(outcome) float64) figure {
	f := figure{runs: len(all)}
	for _, o := range all {
		if t := when(o); t > 0 {
			f.hits++
			f.at = append(f.at, t)
		}
	}
	slices.Sort(f.at)
	return f
}

func (f figure) share() float64 { return float64(f.hits) / float64(f.runs) }

// interval is Wilson's at 95%.
func (f figure) interval() (low, high float64) { return stats.Wilson(f.hits, f.runs, .05) }

// median is over the runs in which it happened, NaN for none.
func (f figure) median() float64 {
	if f.hits == 0 {
		return math.NaN()
	}
	return f.at[(f.hits-1)/2]
}

// by is the share in which it had happened by a minute.
func (f figure) by(minute float64) float64 {
	n, _ := slices.BinarySearch(f.at, math.Nextafter(minute, math.Inf(1)))
	return float64(n) / float64(f.runs)
}

// digits prints a share: three digits without the leading zero, more runs or not.
func digits(v float64) string {
	if v >= .9995 {
		return "1.00"
	}
	return strings.TrimPrefix(fmt.Sprintf("%.3f", v), "0")
}

// String prints the share alone.
func (f figure) String() string {
	if f.runs == 0 {
		return ""
	}
	return digits(f.share())
}

// withInterval prints the share and the ends of its interval.
func (f figure) withInterval() string {
	if f.runs == 0 {
		return ""
	}
	low, high := f.interval()
	return fmt.Sprintf("%s (%s–%s)", f, digits(low), digits(high))
}

// withMedian prints the share and the median minutes.
func (f figure) withMedian() string {
	switch {
	case f.runs == 0:
		return ""
	case f.hits == 0:
		return f.String()
	}
	return fmt.Sprintf("%s @%s", f, minutesText(f.median()))
}

func minutesText(m float64) string {
	if m < 10 {
		return fmt.Sprintf("%.1f", m)
	}
	return fmt.Sprintf("%.0f", m)
}
