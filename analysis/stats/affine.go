package stats

import (
	"fmt"
	"math"
)

// Side says which null an absolute margin tests.
type Side uint8

// The two sides. The zero value is neither, and is refused.
const (
	Harm   Side = iota + 1 // H0: the canary is acceptable
	Safety                 // H0: the canary is unacceptable
)

// String returns "harm", "safety" or "invalid".
func (s Side) String() string {
	switch s {
	case Harm:
		return "harm"
	case Safety:
		return "safety"
	}
	return "invalid"
}

// bets is the number of components of an affine mixture: six growth factors and
// the healthy canary.
const bets = 7

// healthyBet is the index of the component that bets on p_C = p_B (safety only).
const healthyBet = 6

// growth holds g of the first six components.
var growth = [healthyBet]float64{.1, .2, .4, .8, 1.6, 3.2}

// expGrowth and expShrink are e^g and e^-g.
var expGrowth, expShrink = func() (up, down [healthyBet]float64) {
	for i, g := range growth {
		up[i], down[i] = math.Exp(g), math.Exp(-g)
	}
	return up, down
}()

// AffineSums are the running log products of the components of an [Affine], or a
// difference of such. Copy them to take a snapshot.
type AffineSums [bets]float64

// Affine tests an absolute or combined margin on event rates.
//
// Hypotheses: harm H0 p_C <= rho0 p_B + delta; safety H0 p_C >= rho0 p_B + delta.
//
// Assumptions: those of [Profile].
//
// Formula: for a predictable bet lam, with kappa = rho0 nC/nB,
//
//	ln e_k = [ xC ln(1+lam) + xB ln(1 - lam kappa) - lam nC delta ] / phi_k   (6)
//
// lam in (0, 1/kappa) for harm, in (-1, 0) for safety. Its conditional mean is at
// most exp{lam nC (p_C - rho0 p_B - delta)} <= 1 under the null: the baseline rate
// drops out. The division by phi >= 1 keeps that, E[e^(1/phi)] <= (E e)^(1/phi).
//
// The bets are growth-optimal ([Lambda]) against p_C1 = (rho0 p_B1 + delta) e^g,
// g in {.1, .2, .4, .8, 1.6, 3.2} for harm with equal weights, and e^-g for
// safety with weights .05 each; the remaining .7 of safety bets on a healthy
// canary, p_C1 = p_B1. p_B1 is the baseline rate known before the fold
// ([BaselineRate]). The mixture is over the running products.
//
// Special cases: folds with exposure in one arm only change nothing; a fold
// without events does count (it is evidence of safety where delta > 0). A bet
// whose optimum has the wrong sign, as when the healthy canary lies in its own
// null (rho0 < 1), is 0: its product stays as it is.
//
// No published statement of exactly this form is known; for delta = 0 it is one
// term of formula (3) of Profile.
type Affine struct {
	// Sums are the running log products. Copy them to take a snapshot; set them
	// to restore one.
	Sums AffineSums

	side        Side
	rho0, delta float64
}

// NewAffine returns the test of side at the margin rho0 p_B + delta, rho0 in
// [0.01, 100] and delta in [0, 1], or ErrParameter.
func NewAffine(side Side, rho0, delta float64) (*Affine, error) {
	if side != Harm && side != Safety {
		return nil, fmt.Errorf("%w: side", ErrParameter)
	}
	if !(rho0 >= .01 && rho0 <= 100) || !(delta >= 0 && delta <= 1) {
		return nil, fmt.Errorf("%w: margin %v p + %v", ErrParameter, rho0, delta)
	}
	return &Affine{side: side, rho0: rho0, delta: delta}, nil
}

// Side is the side that is tested.
func (a *Affine) Side() Side { return a.side }

// Margin returns rho0 and delta.
func (a *Affine) Margin() (rho0, delta float64) { return a.rho0, a.delta }

// Add takes a fold in; pB1 is the baseline rate predicted before it. Errors:
// ErrCounts, ErrPhi, ErrRate; the state is then unchanged.
func (a *Affine) Add(xC, xB, nC, nB, phi, pB1 float64) error {
	return a.AddInto(nil, xC, xB, nC, nB, phi, pB1)
}

// AddInto is Add that also adds what the fold contributed to inc, where inc is
// not nil. Over the cells of one fold the contributions accumulate; the caller
// clears inc before the first.
func (a *Affine) AddInto(inc *AffineSums, xC, xB, nC, nB, phi, pB1 float64) error {
	informative, err := checkFold(xC, xB, nC, nB)
	if err != nil {
		return err
	}
	if phi, err = clampPhi(phi); err != nil {
		return err
	}
	if !(pB1 > 0 && pB1 <= 1) {
		return ErrRate
	}
	if !informative {
		return nil
	}
	for i := range a.components() {
		lam := bet(a.side, i, a.rho0, a.delta, nC, nB, pB1)
		v := affineTerm(lam, a.rho0, a.delta, xC, xB, nC, nB) / phi
		a.Sums[i] += v
		if inc != nil {
			inc[i] += v
		}
	}
	return nil
}

// LogE is the log of the mixture.
func (a *Affine) LogE() float64 { return a.LogEWithout(nil, nil) }

// LogESince is LogE of the folds after snapshot, an earlier copy of Sums. Nil
// means the start.
func (a *Affine) LogESince(snapshot *AffineSums) float64 { return a.LogEWithout(snapshot, nil) }

// LogEWithout is LogESince without the contribution inc of the worst fold
// (AddInto). It takes inc out as it is, so a fold before the snapshot must not be
// passed. Nil stands for nothing in both.
func (a *Affine) LogEWithout(snapshot, inc *AffineSums) float64 {
	var terms AffineSums
	n := a.components()
	for i := range n {
		terms[i] = a.Sums[i] + logBetWeight(a.side, i)
		if snapshot != nil {
			terms[i] -= snapshot[i]
		}
		if inc != nil {
			terms[i] -= inc[i]
		}
	}
	return logSumExp(terms[:n])
}

// Excess is the tempered number of canary events above what the margin allows,
// (xC - nC (rho0 pB1 + delta))/phi: the measure by which the worst fold of an
// affine objective is chosen. It is 0 for a fold that changes nothing or that
// Add would refuse.
func (a *Affine) Excess(xC, xB, nC, nB, phi, pB1 float64) float64 {
	return marginExcess(a.rho0, a.delta, xC, xB, nC, nB, phi, pB1)
}

func marginExcess(rho0, delta, xC, xB, nC, nB, phi, pB1 float64) float64 {
	informative, err := checkFold(xC, xB, nC, nB)
	phi, errPhi := clampPhi(phi)
	if err != nil || errPhi != nil || !informative || !(pB1 > 0 && pB1 <= 1) {
		return 0
	}
	return (xC - float64(nC*(float64(rho0*pB1)+delta))) / phi
}

// components is the number of bets of the side.
func (a *Affine) components() int {
	if a.side == Safety {
		return bets
	}
	return healthyBet
}

// logBetWeight is the log of the weight of component i.
func logBetWeight(side Side, i int) float64 {
	const (
		lnTwentieth = -2.9957322735539909934 // ln(.3/6)
		lnHealthy   = -0.35667494393873237891
	)
	switch {
	case side == Harm:
		return lnSixth
	case i == healthyBet:
		return lnHealthy
	}
	return lnTwentieth
}

// bet is lam of component i, of the sign that the side demands.
func bet(side Side, i int, rho0, delta, nC, nB, pB1 float64) float64 {
	boundary := float64(rho0*pB1) + delta
	switch {
	case side == Harm:
		return max(0, Lambda(rho0, delta, nC, nB, boundary*expGrowth[i], pB1))
	case i == healthyBet:
		return min(0, Lambda(rho0, delta, nC, nB, pB1, pB1))
	}
	return min(0, Lambda(rho0, delta, nC, nB, boundary*expShrink[i], pB1))
}

// affineTerm is (6) without phi.
func affineTerm(lam, rho0, delta, xC, xB, nC, nB float64) float64 {
	v := -float64(lam * nC * delta)
	if xC > 0 {
		v += float64(xC * math.Log1p(lam))
	}
	if xB > 0 {
		v += float64(xB * math.Log1p(-lam*rho0*nC/nB))
	}
	return v
}

// lambdaEdge keeps a bet off the ends of its interval, where one event of the
// other kind would lose everything.
const lambdaEdge = 1e-9

// Lambda is the growth-optimal bet of (6) when the rates are really pC1 and pB1:
// the lam that maximises the mean of ln e. With kappa = rho0 nC/nB it is, for
// delta = 0, (pC1 - rho0 pB1)/(rho0 pB1 + kappa pC1), else the root in
// (-1, 1/kappa) of
//
//	delta kappa lam^2 - [pC1 kappa + rho0 pB1 + delta (1-kappa)] lam
//	                  + (pC1 - rho0 pB1 - delta) = 0,
//
// of which there is exactly one, since the mean is concave in lam. It is clipped
// to [-1 + 1e-9, (1 - 1e-9)/kappa].
//
// Special cases: exposures or rates that are no positive finite numbers (pC1 may
// be 0) give 0, no bet.
func Lambda(rho0, delta, nC, nB, pC1, pB1 float64) float64 {
	if !positive(rho0) || !positive(nC) || !positive(nB) || !positive(pB1) || !(pC1 >= 0 && pC1 < 1e300) {
		return 0
	}
	kappa := rho0 * nC / nB
	a := delta * kappa
	b := float64(pC1*kappa) + float64(rho0*pB1) + float64(delta*(1-kappa))
	c := pC1 - float64(rho0*pB1) - delta
	root := math.Sqrt(max(0, float64(b*b)-float64(4*a*c)))
	lam := 0.0
	switch {
	case b > 0: // the smaller root in size, without cancellation
		lam = 2 * c / (b + root)
	case a != 0:
		lam = (b - root) / (2 * a)
	}
	lam = min(max(lam, -1+lambdaEdge), (1-lambdaEdge)/kappa)
	if math.IsNaN(lam) {
		return 0
	}
	return lam
}

// BaselineRate predicts the baseline rate from the folds before,
//
//	p_B1 = (X_B + 1)/(N_B + 1/p_hist).
//
// One invented event at the rate of history: the prediction starts at p_hist and
// follows the data from there.
type BaselineRate struct {
	X, N  float64 // events and exposures of the folds so far
	PHist float64 // rate of history, see HistoryRate
}

// P1 is the prediction. A PHist outside (0, 1] counts as 1e-3, one below 1e-12 as
// 1e-12.
func (r *BaselineRate) P1() float64 {
	p := r.PHist
	if !(p > 0 && p <= 1) {
		p = 1e-3
	}
	return (r.X + 1) / (r.N + 1/max(p, 1e-12))
}

// Add takes the baseline of a fold in. A fold with exposure in one arm only
// changes nothing. Error: ErrCounts.
func (r *BaselineRate) Add(xC, xB, nC, nB float64) error {
	informative, err := checkFold(xC, xB, nC, nB)
	if err != nil || !informative {
		return err
	}
	r.X += xB
	r.N += nB
	return nil
}

// HistoryRate is p_hist = (x + 1/2)/n over the baseline's history, at most 1.
// Without history (n not a positive count, or x impossible) it is half the error
// budget, 0.5 budget; budget = 1 - SLO.
func HistoryRate(x, n, budget float64) float64 {
	if !(x >= 0 && x <= n && n > 0 && n < 1e300) {
		return .5 * budget
	}
	return min(1, (x+.5)/n)
}
