package history

import (
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

// latency reduces the counts above the bounds that history was asked for at; nil
// where no sum has any. Pods that did not have these bounds in a minute are left out of
// it. Dispersion between pods is learned where calibrated says that there is enough
// history for it.
func latency(minutes []oneMinute, start time.Time, names []string, weight float64, seed string, calibrated bool) *analysis.LatencyHistory {
	bounds := 0
	counted := make([]oneMinute, len(minutes))
	for i, m := range minutes {
		counted[i].at = m.at
		for j, s := range m.pods {
			if len(s.Above) > 0 && (bounds == 0 || len(s.Above) == bounds) && possible(s) {
				bounds = len(s.Above)
				counted[i].pods = append(counted[i].pods, s)
				counted[i].ids = append(counted[i].ids, m.ids[j])
			}
		}
	}
	counted = slices.DeleteFunc(counted, func(m oneMinute) bool { return len(m.pods) == 0 })
	if bounds == 0 {
		return nil
	}
	h := &analysis.LatencyHistory{
		Above: make([]float64, bounds), Phi0: make([][3]float64, bounds),
		HourAbove: make([]float64, bounds), PhiBefore: make([][3]float64, bounds),
	}
	for _, m := range counted {
		lastHour := !m.at.Before(start.Add(-time.Hour))
		for _, s := range m.pods {
			h.Exposure += s.Exposure
			if lastHour {
				h.HourTotal += s.Exposure
			}
			for b, n := range s.Above {
				h.Above[b] += n
				if lastHour {
					h.HourAbove[b] += n
				}
			}
		}
	}
	for b := range h.Phi0 {
		slow := above(counted, b)
		h.Phi0[b], h.PhiBefore[b] = stats.NoHistory(), before(slow, outcome{})
		if calibrated {
			h.Phi0[b] = dispersion(slow, names, weight, seed, outcome{})
		}
	}
	return h
}

// above is the minutes with what lies above a bound as the bad events.
func above(minutes []oneMinute, bound int) []oneMinute {
	out := slices.Clone(minutes)
	for i := range out {
		out[i].pods = slices.Clone(out[i].pods)
		for j := range out[i].pods {
			out[i].pods[j].Bad = out[i].pods[j].Above[bound]
		}
	}
	return out
}

// possible reports whether the counts above ascending bounds can be.
func possible(s analysis.MinuteSum) bool {
	most := s.Exposure
	for _, n := range s.Above {
		if !(n >= 0 && n <= most) || math.IsInf(n, 1) {
			return false
		}
		most = n
	}
	return true
}
