package stats

import (
	"fmt"
	"math"
)

// CommonRate is the rate of the rarer outcome above which outcomes are common:
// [Profile] and [Affine] treat them as Poisson and lose a factor of about 1-p of
// the information, [Bernoulli] loses nothing.
const CommonRate = 0.1

// shifts is the number of components of a Bernoulli mixture.
const shifts = 6

// shift holds s of the components, in logits.
var shift = [shifts]float64{.02, .05, .1, .2, .4, .8}

// BernoulliSums are the running log products of the components of a [Bernoulli],
// or a difference of such. Copy them to take a snapshot.
type BernoulliSums [shifts]float64

// Bernoulli tests a margin on the risks of outcomes that are common.
//
// Hypotheses: harm H0 p_C <= rho0 p_B + delta; safety H0 p_C >= rho0 p_B + delta.
//
// Assumptions: exposure in a fold does not react to the outcome in that fold;
// outcomes are independent given the fold, up to the overdispersion phi. Risks may
// differ from outcome to outcome: the hypotheses are about their means.
//
// Formula: for a predictable alternative (p_C1, p_B1) outside of the null, with
// (p_C0, p_B0) its projection on the null ([Project]),
//
//	ln e_k = [ xC ln(p_C1/p_C0) + (nC-xC) ln((1-p_C1)/(1-p_C0))
//	         + xB ln(p_B1/p_B0) + (nB-xB) ln((1-p_B1)/(1-p_B0)) ] / phi_k      (7)
//
// Its mean is log-concave along the null with a stationary point of value 1 at the
// projection, hence at most 1. The division by phi >= 1 keeps that.
//
// The alternatives are p_C1 = logistic(logit(rho0 p_B1 + delta) +- s) with s in
// {.02, .05, .1, .2, .4, .8}, + for harm and - for safety, with equal weights;
// p_B1 is the baseline rate known before the fold ([BaselineRate]). They are shifts
// from the boundary: an alternative inside its own null would be none. The mixture
// is over the running products.
//
// Special cases: folds with exposure in one arm only change nothing; where the
// predicted boundary is no rate in (0, 1) there is no alternative and the fold
// changes nothing either.
//
// Reference: Turner, Ly, Gruenwald 2024, "Generic e-variables for exact sequential
// k-sample tests that allow for optional stopping", JSPI 230.
type Bernoulli struct {
	// Sums are the running log products. Copy them to take a snapshot; set them
	// to restore one.
	Sums BernoulliSums

	side        Side
	rho0, delta float64
}

// NewBernoulli returns the test of side at the margin rho0 p_B + delta, rho0 in
// [0.01, 100] and delta in [0, 1), or ErrParameter.
func NewBernoulli(side Side, rho0, delta float64) (*Bernoulli, error) {
	if side != Harm && side != Safety {
		return nil, fmt.Errorf("%w: side", ErrParameter)
	}
	if !(rho0 >= .01 && rho0 <= 100) || !(delta >= 0 && delta < 1) {
		return nil, fmt.Errorf("%w: margin %v p + %v", ErrParameter, rho0, delta)
	}
	return &Bernoulli{side: side, rho0: rho0, delta: delta}, nil
}

// Side is the side that is tested.
func (b *Bernoulli) Side() Side { return b.side }

// Margin returns rho0 and delta.
func (b *Bernoulli) Margin() (rho0, delta float64) { return b.rho0, b.delta }

// Add takes a fold in; pB1 is the baseline rate predicted before it. Errors:
// ErrCounts, ErrPhi, ErrRate; the state is then unchanged.
func (b *Bernoulli) Add(xC, xB, nC, nB, phi, pB1 float64) error {
	return b.AddInto(nil, xC, xB, nC, nB, phi, pB1)
}

// AddInto is Add that also adds what the fold contributed to inc, where inc is
// not nil. Over the cells of one fold the contributions accumulate; the caller
// clears inc before the first.
func (b *Bernoulli) AddInto(inc *BernoulliSums, xC, xB, nC, nB, phi, pB1 float64) error {
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
	boundary := float64(b.rho0*pB1) + b.delta
	if !informative || pB1 > 1-rateEdge || !(boundary >= rateEdge && boundary <= 1-rateEdge) {
		return nil
	}
	odds := boundary / (1 - boundary)
	for i := range shift {
		v := odds * shiftOdds(b.side, i)
		pC1 := v / (1 + v)
		t := bernoulliTerm(xC, xB, nC, nB, pC1, pB1, b.rho0, b.delta) / phi
		b.Sums[i] += t
		if inc != nil {
			inc[i] += t
		}
	}
	return nil
}

// rateEdge keeps alternatives off 0 and 1, where one outcome of the other kind
// would lose everything.
const rateEdge = 1e-9

// shiftOdds is e^s or e^-s of component i.
func shiftOdds(side Side, i int) float64 {
	if side == Safety {
		return shiftDown[i]
	}
	return shiftUp[i]
}

var shiftUp, shiftDown = func() (up, down [shifts]float64) {
	for i, s := range shift {
		up[i], down[i] = math.Exp(s), math.Exp(-s)
	}
	return up, down
}()

// bernoulliTerm is (7) without phi.
func bernoulliTerm(xC, xB, nC, nB, pC1, pB1, rho0, delta float64) float64 {
	pC0, pB0 := Project(nC, nB, pC1, pB1, rho0, delta)
	return binomialTerm(xC, nC, pC1, pC0) + binomialTerm(xB, nB, pB1, pB0)
}

// binomialTerm is the log likelihood ratio of p1 against p0 for x of n.
func binomialTerm(x, n, p1, p0 float64) float64 {
	v := 0.0
	if x > 0 {
		v += float64(x * math.Log(p1/p0))
	}
	if x < n {
		v += float64((n - x) * math.Log((1-p1)/(1-p0)))
	}
	return v
}

// Project returns the point of the boundary p_C = rho0 p_B + delta that is nearest
// to (pC1, pB1),
//
//	argmin_b nC KL(pC1 || rho0 b + delta) + nB KL(pB1 || b),
//
// the root of the derivative in b. Rates must lie in (0, 1) and exposures be positive.
func Project(nC, nB, pC1, pB1, rho0, delta float64) (pC0, pB0 float64) {
	// The derivative is negative at the smaller of the two minima of the terms and
	// positive at the larger; both are cut to where the boundary is a rate.
	lo, hi := pB1, (pC1-delta)/rho0
	if lo > hi {
		lo, hi = hi, lo
	}
	lo, hi = max(lo, rateEdge), min(hi, 1-rateEdge, (1-rateEdge-delta)/rho0)
	wC := float64(rho0*nC) / nB
	pB0 = (lo + hi) / 2
	for range 60 { // four or five suffice: a step of Newton, halving where it leaves the bracket
		b := pB0
		a := float64(rho0*b) + delta
		onB, onA := b*(1-b), a*(1-a)
		g := float64(wC*(a-pC1)*onB) + float64((b-pB1)*onA)
		if g < 0 {
			lo = b
		} else {
			hi = b
		}
		slope := float64(wC*(float64(rho0*onB)+float64((a-pC1)*(1-2*b)))) + onA + float64((b-pB1)*rho0*(1-2*a))
		step := g / slope
		if math.Abs(step) <= 1e-15 {
			break
		}
		if pB0 = b - step; !(pB0 > lo && pB0 < hi) {
			pB0 = (lo + hi) / 2
		}
	}
	return float64(rho0*pB0) + delta, pB0
}

// LogE is the log of the mixture.
func (b *Bernoulli) LogE() float64 { return b.LogEWithout(nil, nil) }

// LogESince is LogE of the folds after snapshot, an earlier copy of Sums. Nil
// means the start.
func (b *Bernoulli) LogESince(snapshot *BernoulliSums) float64 { return b.LogEWithout(snapshot, nil) }

// LogEWithout is LogESince without the contribution inc of the worst fold
// (AddInto). It takes inc out as it is, so a fold before the snapshot must not be
// passed. Nil stands for nothing in both.
func (b *Bernoulli) LogEWithout(snapshot, inc *BernoulliSums) float64 {
	terms := b.Sums
	for i := range terms {
		if snapshot != nil {
			terms[i] -= snapshot[i]
		}
		if inc != nil {
			terms[i] -= inc[i]
		}
	}
	return logSumExp(terms[:]) + lnSixth
}

// Excess is the tempered number of canary events above what the margin allows,
// (xC - nC (rho0 pB1 + delta))/phi: the measure by which the worst fold is chosen.
// It is 0 for a fold that changes nothing or that Add would refuse.
func (b *Bernoulli) Excess(xC, xB, nC, nB, phi, pB1 float64) float64 {
	return marginExcess(b.rho0, b.delta, xC, xB, nC, nB, phi, pB1)
}

// lnSixth is the log of the weight of a component.
const lnSixth = -1.7917594692280550008
