package analysis

import (
	"slices"

	"github.com/release-assay/assay/analysis/stats"
)

// affineEngine tests a margin that holds a share of the error budget (statistics
// 3.3). Its sums are those of the bets on harm and, behind them, on safety.
type affineEngine struct{ harm, safety stats.Affine }

const affineSide = len(stats.AffineSums{})

func newAffineEngine(rhoR, deltaR, rhoP, deltaP float64) (*affineEngine, error) {
	harm, err := stats.NewAffine(stats.Harm, rhoR, deltaR)
	if err != nil {
		return nil, err
	}
	safety, err := stats.NewAffine(stats.Safety, rhoP, deltaP)
	if err != nil {
		return nil, err
	}
	return &affineEngine{*harm, *safety}, nil
}

func (e *affineEngine) size() int { return 2 * affineSide }

func (e *affineEngine) add(inc []float64, c foldCounts, phi, pB1 float64) error {
	harm, safety := e.harm, e.safety
	if err := harm.Add(c.xC, c.xB, c.nC, c.nB, phi, pB1); err != nil {
		return err
	}
	if err := safety.Add(c.xC, c.xB, c.nC, c.nB, phi, pB1); err != nil {
		return err
	}
	for i := range affineSide {
		inc[i] += harm.Sums[i]
		inc[affineSide+i] += safety.Sums[i]
	}
	return nil
}

func (e *affineEngine) excess(c foldCounts, phi, pB1 float64) float64 {
	return e.harm.Excess(c.xC, c.xB, c.nC, c.nB, phi, pB1)
}

func (e *affineEngine) harmPart(sums []float64) []float64 { return sums[:affineSide] }

func (e *affineEngine) logHarm(sums, since, without []float64) float64 {
	harm := e.harm
	harm.Sums = stats.AffineSums(sums[:affineSide])
	return harm.LogEWithout(affineOf(since), affineOf(without))
}

func affineOf(sums []float64) *stats.AffineSums {
	if sums == nil {
		return nil
	}
	return (*stats.AffineSums)(sums[:affineSide])
}

// gain is that of the best of the bets on harm, which are one fewer than those on
// safety.
func (e *affineEngine) gain(inc []float64) float64 { return slices.Max(inc[:affineSide-1]) }

func (e *affineEngine) bound(sums, since []float64) float64 { return e.logHarm(sums, since, nil) }

func (e *affineEngine) logSafety(sums []float64) float64 {
	safety := e.safety
	safety.Sums = stats.AffineSums(sums[affineSide:])
	return safety.LogE()
}
