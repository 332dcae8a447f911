package stats

import (
	"fmt"
	"math"
)

// A ReleasePrior says what is believed of a release before any data: with probability
// Bad its ratio follows the prior of the harm side of the [Grid]; otherwise ln rho is
// normal around 0 with standard deviation GoodSD.
type ReleasePrior struct {
	Bad    float64 // in (0, 1)
	GoodSD float64 // of ln rho, positive
}

// DefaultReleasePrior is used where nothing is known of a service's releases: one in
// ten is bad, and good ones differ from the version before by about 5 %.
func DefaultReleasePrior() ReleasePrior { return ReleasePrior{Bad: 0.1, GoodSD: 0.05} }

// A Posterior is what a prior becomes with the data of a [Profile]. It depends on the
// prior, and no error rate follows from it: nothing may be decided by it.
type Posterior struct {
	BayesFactor float64 // of bad against good
	Bad         float64 // P(bad | data)
	Excess      float64 // E[rho - 1 | data, bad]: failures above the baseline's, as a share of those
}

// Posterior weighs a bad release against a good one,
//
//	BF = sum_{rho_j > rhoR} pi_j exp(l_j) / sum_j g_j exp(l_j)
//
// with the harm prior pi_j of the grid and g_j a normal density in ln rho times the
// cell width, each summing to 1, and
//
//	P(bad | data) = P BF / (P BF + 1 - P).
//
// It allocates nothing. Special cases: without folds BF = 1; a grid without a point
// above rhoR gives NaN. Errors: ErrShape (the
// profile belongs to another grid, or the grid has no harm side), ErrParameter; the
// result is then NaN throughout.
func (p *Profile) Posterior(g *Grid, prior ReleasePrior) (Posterior, error) {
	none := Posterior{math.NaN(), math.NaN(), math.NaN()}
	if g.harm < 0 || len(p.L) != g.Len() {
		return none, ErrShape
	}
	if !(prior.Bad > 0 && prior.Bad < 1) || !positive(prior.GoodSD) {
		return none, fmt.Errorf("%w: P(bad) %v, sd of good releases %v", ErrParameter, prior.Bad, prior.GoodSD)
	}
	var good, norm float64
	topGood := math.Inf(-1)
	for j, l := range p.L {
		topGood = max(topGood, l+prior.logGood(g.ln[j]))
	}
	for j, l := range p.L {
		log := prior.logGood(g.ln[j])
		norm += float64(g.width[j] * math.Exp(log))
		good += float64(g.width[j] * math.Exp(l+log-topGood))
	}
	above := g.harm + 1
	topBad := greatest(p.L[above:])
	var bad, excess float64
	for j := above; j < len(p.L); j++ {
		weighted := float64(g.wHarm[j] * math.Exp(p.L[j]-topBad))
		bad += weighted
		excess += float64(weighted * g.rm1[j])
	}
	logBF := topBad - topGood + math.Log(bad/good*norm)
	logOdds := logBF + math.Log(prior.Bad/(1-prior.Bad))
	return Posterior{BayesFactor: math.Exp(logBF), Bad: 1 / (1 + math.Exp(-logOdds)), Excess: excess / bad}, nil
}

// logGood is the log density of good releases at ln rho, up to a constant.
func (p ReleasePrior) logGood(lnRho float64) float64 {
	z := lnRho / p.GoodSD
	return -z * z / 2
}
