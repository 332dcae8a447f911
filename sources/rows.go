package sources

import (
	"cmp"
	"slices"

	"github.com/release-assay/assay/analysis"
)

// AddUp sorts rows as Rows returns them and adds up those of one pod: several
// processes, or a process that came back under another identity. It reorders the
// slice that it is given.
func AddUp(rows []analysis.Row) []analysis.Row {
	order := func(a, b analysis.Row) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), slices.Compare(a.Observed, b.Observed))
	}
	slices.SortStableFunc(rows, order)
	var out []analysis.Row
	for _, row := range rows {
		if len(out) == 0 || order(out[len(out)-1], row) != 0 {
			out = append(out, row)
			continue
		}
		sum := &out[len(out)-1]
		sum.Bad += row.Bad
		sum.Exposure += row.Exposure
		sum.New = sum.New || row.New
		sum.FirstBad += row.FirstBad
		sum.FirstExposure += row.FirstExposure
		sum.Received = max(sum.Received, row.Received) // expected once a cadence, however many processes
		sum.Fresh = sum.Fresh || row.Fresh
		if row.PodStart.After(sum.PodStart) {
			sum.PodStart = row.PodStart
		}
	}
	return out
}
