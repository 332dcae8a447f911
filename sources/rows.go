package sources

import (
	"cmp"
	"slices"

	"github.com/release-assay/assay/analysis"
)

// AddUp sorts rows as Rows returns them and adds up those of one pod and stratum:
// several processes, or a process that came back under another identity. Levels are
// added up or averaged, as the signal says. It reorders the slice that it is given.
func AddUp(rows []analysis.Row, signal analysis.Signal) []analysis.Row {
	order := func(a, b analysis.Row) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), slices.Compare(a.Observed, b.Observed), slices.Compare(a.Stratum, b.Stratum))
	}
	slices.SortStableFunc(rows, order)
	var out []analysis.Row
	levels := 0 // rows with a level in the last of out
	for _, row := range rows {
		if len(out) == 0 || order(out[len(out)-1], row) != 0 {
			out = append(out, row)
			levels = received(row)
			continue
		}
		sum := &out[len(out)-1]
		sum.Bad += row.Bad
		sum.Exposure += row.Exposure
		sum.New = sum.New || row.New
		sum.FirstBad += row.FirstBad
		sum.FirstExposure += row.FirstExposure
		if len(row.Above) == len(sum.Above) {
			sum.Above = plus(sum.Above, row.Above)
			sum.FirstAbove = plus(sum.FirstAbove, row.FirstAbove)
		} else if row.Received > 0 { // of one histogram with other buckets: neither says what the pod saw
			if sum.Received > 0 {
				sum.Above, sum.FirstAbove = nil, nil
			} else {
				sum.Above, sum.FirstAbove = row.Above, row.FirstAbove
			}
		}
		if n := received(row); signal.Adds() {
			sum.Level += row.Level
		} else if n > 0 {
			sum.Level = (sum.Level*float64(levels) + row.Level) / float64(levels+n)
			levels += n
		}
		sum.Received = max(sum.Received, row.Received) // expected once a cadence, however many processes
		sum.Fresh = sum.Fresh || row.Fresh
		if row.PodStart.After(sum.PodStart) {
			sum.PodStart = row.PodStart
		}
	}
	return out
}

func received(r analysis.Row) int {
	if r.Received > 0 {
		return 1
	}
	return 0
}

// plus adds up two lists of counts, one of which may be absent.
func plus(a, b []float64) []float64 {
	switch {
	case len(a) == 0:
		return b
	case len(a) != len(b):
		return a
	}
	out := slices.Clone(a)
	for i := range out {
		out[i] += b[i]
	}
	return out
}
