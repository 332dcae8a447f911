package analysis

import "github.com/release-assay/assay/analysis/stats"

// profileEngine tests a ratio of rates: its sums are the profile of the ratio on a
// grid (statistics 3.2).
type profileEngine struct{ grid *stats.Grid }

func (e *profileEngine) size() int { return e.grid.Len() }

func (e *profileEngine) add(inc []float64, c foldCounts, phi, _ float64) error {
	p := stats.Profile{L: inc}
	return p.Add(e.grid, c.xC, c.xB, c.nC, c.nB, phi)
}

func (e *profileEngine) excess(c foldCounts, phi, _ float64) float64 {
	return stats.RatioExcess(e.grid.RhoR(), c.xC, c.xB, c.nC, c.nB, phi)
}

func (e *profileEngine) harmPart(sums []float64) []float64 { return e.grid.HarmPart(sums) }

func (e *profileEngine) logHarm(sums, since, without []float64) float64 {
	p := stats.Profile{L: sums}
	return p.LogHarmWithout(e.grid, since, without)
}

func (e *profileEngine) gain(inc []float64) float64 { return e.grid.Gain(inc) }

func (e *profileEngine) bound(sums, since []float64) float64 {
	p := stats.Profile{L: sums}
	return p.LogHarmBound(e.grid, since)
}

func (e *profileEngine) logSafety(sums []float64) float64 {
	p := stats.Profile{L: sums}
	return p.LogSafety(e.grid)
}

// interval is the confidence sequence of the ratio.
func (e *profileEngine) interval(sums []float64, alpha float64) (lo, hi float64) {
	p := stats.Profile{L: sums}
	return p.Interval(e.grid, alpha)
}
