package analysis

import (
	"slices"

	"github.com/release-assay/assay/analysis/stats"
)

// bernoulliEngine tests a margin of outcomes that are common (statistics 3.4). Its
// sums are those of the alternatives on the side of harm and, behind them, of
// safety.
type bernoulliEngine struct{ harm, safety stats.Bernoulli }

const bernoulliSide = len(stats.BernoulliSums{})

func newBernoulliEngine(rhoR, deltaR, rhoP, deltaP float64) (*bernoulliEngine, error) {
	harm, err := stats.NewBernoulli(stats.Harm, rhoR, deltaR)
	if err != nil {
		return nil, err
	}
	safety, err := stats.NewBernoulli(stats.Safety, rhoP, deltaP)
	if err != nil {
		return nil, err
	}
	return &bernoulliEngine{*harm, *safety}, nil
}

func (e *bernoulliEngine) size() int { return 2 * bernoulliSide }

func (e *bernoulliEngine) add(inc []float64, c foldCounts, phi, pB1 float64) error {
	harm, safety := e.harm, e.safety
	if err := harm.Add(c.xC, c.xB, c.nC, c.nB, phi, pB1); err != nil {
		return err
	}
	if err := safety.Add(c.xC, c.xB, c.nC, c.nB, phi, pB1); err != nil {
		return err
	}
	for i := range bernoulliSide {
		inc[i] += harm.Sums[i]
		inc[bernoulliSide+i] += safety.Sums[i]
	}
	return nil
}

func (e *bernoulliEngine) excess(c foldCounts, phi, pB1 float64) float64 {
	return e.harm.Excess(c.xC, c.xB, c.nC, c.nB, phi, pB1)
}

func (e *bernoulliEngine) harmPart(sums []float64) []float64 { return sums[:bernoulliSide] }

func (e *bernoulliEngine) logHarm(sums, since, without []float64) float64 {
	harm := e.harm
	harm.Sums = stats.BernoulliSums(sums[:bernoulliSide])
	return harm.LogEWithout(bernoulliOf(since), bernoulliOf(without))
}

func bernoulliOf(sums []float64) *stats.BernoulliSums {
	if sums == nil {
		return nil
	}
	return (*stats.BernoulliSums)(sums[:bernoulliSide])
}

func (e *bernoulliEngine) gain(inc []float64) float64 { return slices.Max(inc[:bernoulliSide]) }

func (e *bernoulliEngine) bound(sums, since []float64) float64 { return e.logHarm(sums, since, nil) }

func (e *bernoulliEngine) logSafety(sums []float64) float64 {
	safety := e.safety
	safety.Sums = stats.BernoulliSums(sums[bernoulliSide:])
	return safety.LogE()
}
