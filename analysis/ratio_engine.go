package analysis

import (
	"fmt"

	"github.com/release-assay/assay/analysis/stats"
)

// An engine tests one null hypothesis about counts (statistics 3.2 to 3.4). All that
// it learns lies in running sums, which add over disjoint cells: over folds, and
// over the strata of a fold. A restart of the test is therefore an earlier copy that
// is subtracted, and so is a fold or a stratum that is left out. An engine itself
// keeps nothing.
//
// Counts come as the objective counts them (PlannedObjective.rarer).
type engine interface {
	// size is how many sums there are.
	size() int
	// add adds to inc what the counts of one cell say, tempered by phi; pB1 is the
	// baseline's rate predicted before them.
	add(inc []float64, c foldCounts, phi, pB1 float64) error
	// excess is the tempered number of canary events beyond the tolerance.
	excess(c foldCounts, phi, pB1 float64) float64
	// harmPart is the part of the sums that harm is read from: of copies and of inc no
	// more need be kept.
	harmPart(sums []float64) []float64
	// logHarm is ln E_R since an earlier copy, without inc; nil: since the start,
	// without nothing.
	logHarm(sums, since, without []float64) float64
	// gain is by how much ln E_R of any start grew at most with inc.
	gain(inc []float64) float64
	// bound is at least ln E_R since an earlier copy, and cheaper.
	bound(sums, since []float64) float64
	// logSafety is ln E_P.
	logSafety(sums []float64) float64
}

func newEngine(o *PlannedObjective) (engine, error) {
	rhoR, deltaR := o.boundary(o.ToleranceBound)
	rhoP, deltaP := o.boundary(o.MarginBound)
	switch o.Null {
	case NullRatio:
		grid, err := stats.NewGridConfig(stats.GridConfig{RhoR: rhoR, RhoP: rhoP})
		if err != nil {
			return nil, err
		}
		return &profileEngine{grid}, nil
	case NullAffine:
		return newAffineEngine(rhoR, deltaR, rhoP, deltaP)
	case NullBernoulli:
		return newBernoulliEngine(rhoR, deltaR, rhoP, deltaP)
	}
	return nil, fmt.Errorf("null hypothesis %q is not known", o.Null)
}
