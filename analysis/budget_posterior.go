package analysis

import (
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// A Posterior is how likely the release is bad if releases are what the prior says
// (statistics 12.2). It stands beside the evidence: no error rate follows from it, and
// nothing is promoted or rolled back by it. Bad means a rate ratio beyond that of the
// tolerance, also where the tolerance holds a share of the error budget besides.
type Posterior struct {
	PBad Figure `json:"pBad"`
	// ExpectedExcess is by which share more fails than in the baseline if the release is
	// bad: 0.65 is 65 % more.
	ExpectedExcess Figure       `json:"expectedExcess"`
	Prior          ReleasePrior `json:"prior"`
}

// A ReleasePrior names what a posterior starts from: the share of bad releases, whose
// ratio follows the prior of the test of harm, and the standard deviation of the
// logarithm of the ratio of good ones.
type ReleasePrior struct {
	PBad   Figure `json:"pBad"`
	GoodSD Figure `json:"goodSd"`
}

// sideGrid is what the ratio is weighed on where no test of the objective is about it;
// nil where the engine's own profile serves, and where good events are counted.
func sideGrid(o *PlannedObjective) *stats.Grid {
	if o.Null == NullRatio || o.CountGood {
		return nil
	}
	return stats.NewGrid(o.ToleranceBound.Ratio, 0)
}

// posterior weighs a bad release against a good one; nil where good events are counted.
func (t *trial) posterior() *Posterior {
	grid, l := t.side, t.Side
	if e, ok := t.engine.(*profileEngine); ok && !t.o.CountGood {
		grid, l = e.grid, t.Sums
	}
	if grid == nil {
		return nil
	}
	prior := stats.DefaultReleasePrior()
	profile := stats.Profile{L: l}
	p, err := profile.Posterior(grid, prior)
	if err != nil { // a tolerance beyond the grid: no release could be told to be bad
		p.Bad, p.Excess = math.NaN(), math.NaN()
	}
	return &Posterior{Figure(p.Bad), Figure(p.Excess), ReleasePrior{Figure(prior.Bad), Figure(prior.GoodSD)}}
}
