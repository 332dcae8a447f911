package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// Where bad events are the common ones, good events are counted and the arms are
// exchanged: a canary that converts less than the baseline is a baseline that
// converts more than the canary. The tests then see the rarer outcome, of which more
// is worse, as everywhere (statistics 3.4).

// rarer returns the counts as the tests of o see them.
func (o *PlannedObjective) rarer(c foldCounts) foldCounts {
	if !o.CountGood {
		return c
	}
	return foldCounts{xC: c.nB - c.xB, xB: c.nC - c.xC, nC: c.nB, nB: c.nC}
}

// rarerRate returns a rate of bad events as the tests of o see it.
func (o *PlannedObjective) rarerRate(p float64) float64 {
	if o.CountGood {
		return 1 - p
	}
	return p
}

// boundary is a bound as rho0 p_B + delta of what the tests of o count. Of good
// events a bound of 1+m means p_C >= (1-m) p_B.
func (o *PlannedObjective) boundary(b Bound) (rho0, delta float64) {
	if o.CountGood {
		return 1 / (2 - b.Ratio), 0
	}
	return b.Ratio, b.Budget * (1 - o.Target)
}

// line is the canary's rate of bad events at which a bound lies for a rate of the
// baseline.
func (o *PlannedObjective) line(b Bound, pB float64) float64 {
	if o.CountGood {
		return 1 - float64((2-b.Ratio)*(1-pB))
	}
	return float64(b.Ratio*pB) + float64(b.Budget*(1-o.Target))
}

// doubled is the canary's rate of bad events that counts as twice as bad as pB.
func (o *PlannedObjective) doubled(pB float64) float64 { return o.worse(pB, 2) }

// worse is the canary's rate of bad events that counts as factor times as bad as pB: of
// good events only one in factor is left.
func (o *PlannedObjective) worse(pB, factor float64) float64 {
	if o.CountGood {
		return 1 - (1-pB)/factor
	}
	return factor * pB
}

// countRarer chooses which outcome is counted and, where both are common, the exact
// test. A bound that holds a share of the error budget speaks of bad events, and lines
// that must appear are always counted themselves: where one request in a hundred writes
// them, losing all of them hardly changes the share of the others. Where most requests do,
// harm can be shown, and a margin that allows to lose half of them cannot.
func (o *PlannedObjective) countRarer() error {
	mustAppear := o.Signal.Logs != nil && o.Signal.Logs.MustAppear != ""
	if o.Null == NullRatio && (o.BaseRate > 0.5 || mustAppear) {
		o.CountGood = true
		for _, b := range []Bound{o.ToleranceBound, o.MarginBound} {
			if !(b.Ratio < 2) {
				return fmt.Errorf("good events are the rarer ones (%.3g of the baseline), of which a ratio of %.3g or more allows to lose all: use one below 2", 1-o.BaseRate, b.Ratio)
			}
		}
	}
	if min(o.BaseRate, 1-o.BaseRate) > stats.CommonRate || mustAppear && 1-o.BaseRate > stats.CommonRate {
		o.Null = NullBernoulli
	}
	return nil
}

// spread is the rate scale over which the interval of a difference is drawn: the
// error budget, or without one an eighth of the rarer rate.
func (o *PlannedObjective) spread() float64 {
	if o.Target > 0 && !o.CountGood {
		return min(1-o.Target, 0.25)
	}
	return math.Min(o.rarerRate(o.BaseRate)/8, 0.25)
}
