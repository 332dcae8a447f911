package stats

import (
	"fmt"
	"math"
)

// Expected overshoot and mixture loss in nats, the c of (12) and (12a). For an
// average over M objectives ln M is added, or alpha multiplied by the weight.
const (
	LossHarm   = 2.5
	LossSafety = 1.0
)

// Demand is what the evidence still has to reach.
type Demand struct {
	Alpha float64 // level; times the weight of the objective in an average
	C     float64 // LossHarm or LossSafety
	Phi   float64 // expected overdispersion; below 1 counts as 1
	LogE  float64 // log evidence reached already, 0 before the start
}

// nats is phi (ln(1/alpha) + c - ln E), not below 0.
func (d Demand) nats() (float64, error) {
	if !(d.Alpha > 0 && d.Alpha < 1) || !(d.C >= 0 && d.C < 1e3) || math.IsNaN(d.LogE) {
		return 0, fmt.Errorf("%w: level %v, c %v", ErrParameter, d.Alpha, d.C)
	}
	phi, err := clampPhi(d.Phi)
	if err != nil {
		return 0, err
	}
	return phi * max(0, math.Log(1/d.Alpha)+d.C-d.LogE), nil
}

// RatioPlan describes the traffic of a ratio objective and the effect to be
// found. Harm needs Rho1 > Rho0 = rhoR, safety Rho1 < Rho0 = rhoP.
type RatioPlan struct {
	Side   Side
	Events float64 // events a minute over both arms at the baseline rate
	Weight float64 // share of the canary, in (0, 1)
	Rho1   float64 // true ratio
	Rho0   float64 // margin
	Demand
}

// KL is the Kullback-Leibler divergence of Bernoulli(q1) from Bernoulli(q0),
//
//	q1 ln(q1/q0) + (1-q1) ln((1-q1)/(1-q0)).
//
// Special cases: 0 ln 0 = 0; +Inf where q0 excludes what q1 does; NaN outside
// [0, 1].
func KL(q1, q0 float64) float64 {
	if !(q1 >= 0 && q1 <= 1 && q0 >= 0 && q0 <= 1) {
		return math.NaN()
	}
	v := 0.0
	if q1 > 0 {
		v += q1 * math.Log(q1/q0)
	}
	if q1 < 1 {
		v += (1 - q1) * (math.Log1p(-q1) - math.Log1p(-q0))
	}
	return max(0, v)
}

// MinutesRatio forecasts the minutes until a [Profile] reaches its bar,
//
//	T = phi (ln(1/alpha) + c - ln E) / [ Lambda (1 - w + rho1 w) KL(q1||q0) ]   (12)
//
// with Lambda events a minute, q1 = q(rho1), q0 = q(rho0). Simulated: the median
// time is 0.73 T for harm and 0.6 T for safety, the 80% quantile 1.2 T.
//
// Special cases: +Inf for an effect that lies inside its null and for no events;
// 0 where the bar is reached already. Error: ErrParameter (or ErrPhi), with NaN.
func MinutesRatio(p RatioPlan) (float64, error) {
	nats, err := p.nats()
	if err != nil {
		return math.NaN(), err
	}
	if !(p.Weight > 0 && p.Weight < 1) || !(p.Events >= 0 && p.Events < 1e300) ||
		!positive(p.Rho1) || !positive(p.Rho0) || (p.Side != Harm && p.Side != Safety) {
		return math.NaN(), fmt.Errorf("%w: plan of a ratio", ErrParameter)
	}
	if p.Side == Harm && p.Rho1 <= p.Rho0 || p.Side == Safety && p.Rho1 >= p.Rho0 {
		return math.Inf(1), nil
	}
	kl := KL(shareOf(p.Rho1, p.Weight), shareOf(p.Rho0, p.Weight))
	return minutes(nats, p.Events*(1+float64((p.Rho1-1)*p.Weight))*kl), nil
}

// minutes is nats/gain, +Inf without gain.
func minutes(nats, gain float64) float64 {
	switch {
	case nats == 0:
		return 0
	case !(gain > 0):
		return math.Inf(1)
	}
	return nats / gain
}

// AffinePlan describes the traffic of an affine objective and the true rates.
type AffinePlan struct {
	Side        Side
	NC, NB      float64 // exposures a minute
	PC, PB      float64 // true rates
	Rho0, Delta float64 // margin rho0 p_B + delta
	Demand
}

func (p AffinePlan) check() error {
	if p.Side != Harm && p.Side != Safety || !(p.Rho0 >= .01 && p.Rho0 <= 100) || !(p.Delta >= 0 && p.Delta <= 1) ||
		!positive(p.NC) || !positive(p.NB) || !(p.PC >= 0 && p.PC <= 1) || !(p.PB >= 0 && p.PB <= 1) {
		return fmt.Errorf("%w: plan of a margin", ErrParameter)
	}
	return nil
}

// MinutesAffine forecasts the minutes until an [Affine] reaches its bar,
//
//	T = phi (ln(1/alpha) + c - ln E) / G,
//	G = max_lam [ nC pC ln(1+lam) + nB pB ln(1 - lam rho0 nC/nB) - lam nC delta ]  (12a)
//
// over the bets of the side. The maximum is where [Lambda] says, since G is the
// mean of (6) for a minute.
//
// Special cases: as MinutesRatio. PC = 0 and PB = 0 are allowed: with no events
// at all the forecast of safety is that of G = nC delta.
func MinutesAffine(p AffinePlan) (float64, error) {
	nats, err := p.nats()
	if err != nil {
		return math.NaN(), err
	}
	if err := p.check(); err != nil {
		return math.NaN(), err
	}
	lam := Lambda(p.Rho0, p.Delta, p.NC, p.NB, p.PC, max(p.PB, 1e-15))
	if p.Side == Harm && lam <= 0 || p.Side == Safety && lam >= 0 {
		return minutes(nats, 0), nil
	}
	gain := affineTerm(lam, p.Rho0, p.Delta, p.NC*p.PC, p.NB*p.PB, p.NC, p.NB)
	return minutes(nats, gain), nil
}

// MinutesBernoulli forecasts the minutes until a [Bernoulli] reaches its bar,
//
//	T = phi (ln(1/alpha) + c - ln E) / [ nC KL(pC||pC0) + nB KL(pB||pB0) ],
//
// (pC0, pB0) the projection of the true rates on the margin: the growth of (7)
// under its best alternative.
//
// Special cases: as MinutesRatio; +Inf also for rates of 0 or 1, where no
// alternative is bet on.
func MinutesBernoulli(p AffinePlan) (float64, error) {
	nats, err := p.nats()
	if err != nil {
		return math.NaN(), err
	}
	if err := p.check(); err != nil {
		return math.NaN(), err
	}
	boundary := float64(p.Rho0*p.PB) + p.Delta
	outside := p.Side == Harm && p.PC > boundary || p.Side == Safety && p.PC < boundary
	isRate := func(v float64) bool { return v >= rateEdge && v <= 1-rateEdge }
	if !outside || !isRate(p.PC) || !isRate(p.PB) || !isRate(boundary) {
		return minutes(nats, 0), nil
	}
	pC0, pB0 := Project(p.NC, p.NB, p.PC, p.PB, p.Rho0, p.Delta)
	return minutes(nats, float64(p.NC*KL(p.PC, pC0))+float64(p.NB*KL(p.PB, pB0))), nil
}

// DetectableRatio is the minimum detectable effect: the Rho1 nearest to Rho0
// that (12) finds within the given minutes, by bisection in ln rho. Rho1 of the
// plan is not read.
//
// Special cases: +Inf (harm) or 0 (safety) where no ratio within a factor 1000 of
// the margin is found in time. Error: ErrParameter (or ErrPhi), with NaN.
func DetectableRatio(p RatioPlan, within float64) (float64, error) {
	sign := 1.0
	if p.Side == Safety {
		sign = -1
	}
	never := math.Inf(1)
	if p.Side == Safety {
		never = 0
	}
	x, err := bisect(within, math.Log(1000), func(x float64) (float64, error) {
		p.Rho1 = p.Rho0 * math.Exp(sign*x)
		return MinutesRatio(p)
	})
	switch {
	case err != nil:
		return math.NaN(), err
	case math.IsInf(x, 1):
		return never, nil
	}
	return p.Rho0 * math.Exp(sign*x), nil
}

// DetectableRate is the minimum detectable effect of an affine objective: the
// canary rate nearest to the margin that (12a) finds within the given minutes.
// PC of the plan is not read.
//
// Special cases: for harm +Inf, for safety -1 where no rate in [0, 1] is found in
// time. Error: ErrParameter (or ErrPhi), with NaN.
func DetectableRate(p AffinePlan, within float64) (float64, error) {
	boundary := float64(p.Rho0*p.PB) + p.Delta
	end, never := 1.0, math.Inf(1)
	if p.Side == Safety {
		end, never = 0, -1
	}
	at := func(x float64) float64 { return min(1, max(0, boundary+float64(x*(end-boundary)))) }
	x, err := bisect(within, 1, func(x float64) (float64, error) {
		p.PC = at(x)
		return MinutesAffine(p)
	})
	switch {
	case err != nil:
		return math.NaN(), err
	case math.IsInf(x, 1) || p.Side == Harm && boundary >= 1:
		return never, nil
	}
	return at(x), nil
}

// bisect returns the smallest x in [0, end] whose forecast, decreasing in x, is
// at most within; +Inf where end does not suffice.
func bisect(within, end float64, forecast func(float64) (float64, error)) (float64, error) {
	if !(within > 0) {
		return 0, fmt.Errorf("%w: duration %v", ErrParameter, within)
	}
	t, err := forecast(end)
	if err != nil {
		return 0, err
	}
	if t > within {
		return math.Inf(1), nil
	}
	lo, hi := 0.0, end
	for range 60 { // beyond the resolution of a float64
		mid := (lo + hi) / 2
		if t, err = forecast(mid); err != nil {
			return 0, err
		}
		if t <= within {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}
