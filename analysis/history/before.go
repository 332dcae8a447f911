package history

import (
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

const (
	hourBefore = time.Hour // what a minute is compared with
	minBefore  = 15        // minutes with data that this span must have
)

// before learns by how much the counts of the whole baseline vary in time: the
// dispersion of each minute against the hour before it, at batches of 1, 5 and 15
// minutes. It tempers the comparison of a canary with the time before its deployment
// (statistics 7.2), where not pods but hours differ, and a single pod is enough to
// learn it. Unknown, it is that of no history.
//
// The hour stands against every one of its minutes in full, so that its own noise is
// next to nothing beside that of the minute.
func before(minutes []oneMinute, outcome outcome) stats.Priors {
	var rows []stats.Row
	from := 0
	var hour stats.Row // of the minutes from..i-1, in XB and NB
	for i := range minutes {
		now := outcome.row(total(&minutes[i]))
		for minutes[from].at.Before(minutes[i].at.Add(-hourBefore)) {
			old := outcome.row(total(&minutes[from]))
			hour.XB -= old.XC
			hour.NB -= old.NC
			from++
		}
		if i-from >= minBefore {
			rows = append(rows, stats.Row{XC: now.XC, NC: now.NC, XB: max(0, hour.XB), NB: max(0, hour.NB)})
		}
		hour.XB += now.XC
		hour.NB += now.NC
	}
	return stats.PriorsOf(outcome.phi(rows))
}

// total adds up a minute over its pods, as the canary of a row.
func total(m *oneMinute) (row stats.Row) {
	for _, s := range m.pods {
		row.XC += s.Bad
		row.NC += s.Exposure
	}
	return row
}

// outcome says which outcome is counted, and whether it is common: dispersion is that
// of the rarer one, as the tests count it (statistics 3.4).
type outcome struct{ good, common bool }

// outcomeOf chooses by the rate of bad events over the whole history.
func outcomeOf(bad, exposure float64) outcome {
	if exposure <= 0 {
		return outcome{}
	}
	p := bad / exposure
	return outcome{good: p > 0.5, common: min(p, 1-p) > stats.CommonRate}
}

// row returns a row as the tests count it.
func (o outcome) row(r stats.Row) stats.Row {
	if o.good {
		r.XC, r.XB = r.NC-r.XC, r.NB-r.XB
	}
	return r
}

func (o outcome) phi(rows []stats.Row) [3]stats.PhiEstimate {
	if o.common {
		return stats.HistoryPhiCommon(rows)
	}
	return stats.HistoryPhi(rows)
}
