package stats

import (
	"fmt"
	"math"
)

const (
	differences     = 41 // hypotheses of the sequence
	differenceReach = 4  // in error budgets, to both sides
)

// DifferenceCS is the confidence sequence for the risk difference p_C - p_B.
//
// Hypotheses: for each of 41 values delta, spaced evenly over +-4 error budgets,
// p_C <= p_B + delta and p_C >= p_B + delta.
//
// Formula: the six components of [Affine] on each side with rho0 = 1, equal
// weights. For delta < 0 the arms are exchanged, p_B = p_C + |delta|, so that the
// boundary stays a rate; the bets then start from the canary's past rate.
//
// It is kept apart from the tests because a fold costs 492 bets: keep one only
// for objectives that are shown to a person. The fields are the whole state.
type DifferenceCS struct {
	Budget   float64      // 1 - SLO
	Canary   BaselineRate // past rate of the canary
	Baseline BaselineRate // past rate of the baseline
	// Sums holds, for each delta, six running log products against
	// p_C <= p_B + delta and six against p_C >= p_B + delta.
	Sums [differences][2 * healthyBet]float64
}

// NewDifferenceCS returns the sequence for an error budget in (0, 0.25] and the
// rate of history, or ErrParameter.
func NewDifferenceCS(budget, pHist float64) (*DifferenceCS, error) {
	if !(budget > 1e-12 && budget <= .25) || !(pHist > 0 && pHist <= 1) {
		return nil, fmt.Errorf("%w: budget %v, rate %v", ErrParameter, budget, pHist)
	}
	r := BaselineRate{PHist: pHist}
	return &DifferenceCS{Budget: budget, Canary: r, Baseline: r}, nil
}

// Delta is the i-th hypothesis, i = 0..40.
func (s *DifferenceCS) Delta(i int) float64 {
	const half = (differences - 1) / 2
	return float64(i-half) * differenceReach * s.Budget / half
}

// Add takes a fold in, and then its rates. Errors: ErrCounts, ErrPhi; the state
// is then unchanged.
func (s *DifferenceCS) Add(xC, xB, nC, nB, phi float64) error {
	informative, err := checkFold(xC, xB, nC, nB)
	if err != nil {
		return err
	}
	if phi, err = clampPhi(phi); err != nil || !informative {
		return err
	}
	pC1, pB1 := s.Canary.P1(), s.Baseline.P1()
	for i := range s.Sums {
		delta, sums := s.Delta(i), &s.Sums[i]
		for k := range healthyBet {
			if delta >= 0 {
				sums[k] += affineTerm(bet(Harm, k, 1, delta, nC, nB, pB1), 1, delta, xC, xB, nC, nB) / phi
				sums[healthyBet+k] += affineTerm(bet(Safety, k, 1, delta, nC, nB, pB1), 1, delta, xC, xB, nC, nB) / phi
				continue
			}
			// p_C <= p_B + delta is p_B >= p_C - delta: safety of the exchanged arms.
			sums[k] += affineTerm(bet(Safety, k, 1, -delta, nB, nC, pC1), 1, -delta, xB, xC, nB, nC) / phi
			sums[healthyBet+k] += affineTerm(bet(Harm, k, 1, -delta, nB, nC, pC1), 1, -delta, xB, xC, nB, nC) / phi
		}
	}
	s.Canary.X += xC
	s.Canary.N += nC
	s.Baseline.X += xB
	s.Baseline.N += nB
	return nil
}

// Interval is the confidence sequence at level 1-alpha: the deltas with both
// E < 2/alpha, reported outward to the next one.
//
// Special cases: an end that no delta bounds is -1 or 1, the ends of what a
// difference of risks can be; where every delta is rejected the interval lies
// between the last rejected from below and the first from above. An alpha
// outside (0, 1) gives (-1, 1).
func (s *DifferenceCS) Interval(alpha float64) (lo, hi float64) {
	if !(alpha > 0 && alpha < 1) {
		return -1, 1
	}
	bar := math.Log(2 / alpha)
	first, last := -1, -1
	lastBelow, firstAbove := -1, differences
	for i := range s.Sums {
		tooLow := s.logE(i, 0) >= bar
		tooHigh := s.logE(i, healthyBet) >= bar
		if tooLow {
			lastBelow = i
		}
		if tooHigh && firstAbove == differences {
			firstAbove = i
		}
		if !tooLow && !tooHigh {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		first, last = min(lastBelow, firstAbove)+1, max(lastBelow, firstAbove)-1
	}
	lo, hi = -1, 1
	if first > 0 {
		lo = s.Delta(first - 1)
	}
	if last < differences-1 {
		hi = s.Delta(last + 1)
	}
	return lo, hi
}

// logE is the log of the equal-weight mixture of six components from offset on.
func (s *DifferenceCS) logE(i, offset int) float64 {
	return logSumExp(s.Sums[i][offset:offset+healthyBet]) + logBetWeight(Harm, 0)
}
