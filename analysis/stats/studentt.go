package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// A TPrior lists the prior variances g of the effect in residual standard
// deviations; the e-process is the average over them.
type TPrior [3]float64

// The priors of a level and of a slope (per minute squared).
var (
	LevelPrior = TPrior{.01, .1, 1}
	SlopePrior = TPrior{1e-6, 1e-4, 1e-2}
)

// maxT bounds a t-statistic: its square must be finite.
const maxT = 1e150

// LogT is the log of the Gaussian e-process for one coefficient of a linear model
// with unknown variance: right-Haar prior on the nuisance, effect/sigma ~ N(0, g)
// (Lindon, Ham, Tingley, Bojinov 2022; Wang, Ramdas 2025),
//
//	ln E = -1/2 ln(1+gs) + (nu+1)/2 [ ln(1 + t^2/nu) - ln(1 + t^2/(nu(1+gs))) ]
//
// for the t-statistic t on nu = n-P degrees of freedom, s the residual sum of
// squares of the tested column given the others.
//
// Special cases: 0 for nu < 1, s or g not positive, or a t that is no number. A t
// beyond 1e150 counts as that.
func LogT(t, nu, s, g float64) float64 {
	if !(nu >= 1) || !positive(s) || !positive(g) || !(g*s < 1e300) || math.IsNaN(t) {
		return 0
	}
	t = clampT(t)
	gs := g * s
	t2 := t * t / nu
	return -math.Log1p(gs)/2 + float64((nu+1)/2*(math.Log1p(t2)-math.Log1p(t2/(1+gs))))
}

// LogTOneSided is LogT with a half-normal prior on positive effects,
//
//	ln E+ = ln E + ln{ 2 F_{nu+1}( t sqrt(gs/(1+gs)) sqrt((nu+1)/(nu + t^2/(1+gs))) ) },
//
// F the distribution function of Student's t. It increases in t, so it is an
// e-process for every mean at or below the null. Special cases as in LogT.
func LogTOneSided(t, nu, s, g float64) float64 {
	if !(nu >= 1) || !positive(s) || !positive(g) || !(g*s < 1e300) || math.IsNaN(t) {
		return 0
	}
	t = clampT(t)
	gs := g * s
	at := t * math.Sqrt(gs/(1+gs)) * math.Sqrt((nu+1)/(nu+t*t/(1+gs)))
	return LogT(t, nu, s, g) + math.Ln2 + logStudentCDF(at, nu+1)
}

// farBelow is the t from which LogTMean does not look: the e-value is below 1 there,
// so that counting it as 0 is valid, costs nothing at any bar, and spares the tails.
const farBelow = -2

// LogTMean is the log of the average of LogTOneSided over a prior; -Inf for t <= -2.
func LogTMean(t, nu, s float64, prior *TPrior) float64 {
	if t <= farBelow && nu >= 1 {
		return math.Inf(-1)
	}
	var logs TPrior
	for i, g := range prior {
		logs[i] = LogTOneSided(t, nu, s, g)
	}
	return logs.mean()
}

// LogTMeanBound is at least LogTMean, for a caller that only wants to know whether a
// bar can have been reached: it takes 1 for the distribution function of Student's t,
// and 1/2 below 0, which is what the time goes into.
func LogTMeanBound(t, nu, s float64, prior *TPrior) float64 {
	if t <= farBelow && nu >= 1 {
		return math.Inf(-1)
	}
	oneSided := 0.0
	if t > 0 {
		oneSided = math.Ln2
	}
	var logs TPrior
	for i, g := range prior {
		logs[i] = LogT(t, nu, s, g) + oneSided
	}
	return logs.mean()
}

// mean is the log of the average of e-values given by their logs.
func (logs *TPrior) mean() float64 {
	top := math.Inf(-1)
	for _, v := range logs {
		top = max(top, v)
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, v := range logs {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/float64(len(logs)))
}

// TBar is the smallest t at which LogTMean reaches bar > 0, by bisection: what a
// confidence sequence reaches to either side of the estimate. +Inf where none does.
func TBar(bar, nu, s float64, prior *TPrior) float64 {
	if !(bar > 0) || !(LogTMean(maxT, nu, s, prior) >= bar) {
		return math.Inf(1)
	}
	lo, hi := 0.0, 1.0
	for LogTMean(hi, nu, s, prior) < bar {
		lo, hi = hi, 4*hi
	}
	for range 60 {
		if mid := lo + (hi-lo)/2; LogTMean(mid, nu, s, prior) < bar {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

func clampT(t float64) float64 { return max(-maxT, min(maxT, t)) }

// deepTail is the probability below which its logarithm is computed directly.
const deepTail = 1e-250

// logStudentCDF is ln P(T <= t) of Student's t on nu degrees of freedom. Far out, where
// the probability itself would underflow, it is the hypergeometric series
// I_x(a,1/2) = x^a sqrt(1-x) / (a B(a,1/2)) sum_n (a+1/2)_n / (a+1)_n x^n.
func logStudentCDF(t, nu float64) float64 {
	a, x := nu/2, nu/(nu+float64(t*t))
	tail := mathext.RegIncBeta(a, .5, x) / 2
	switch {
	case t > 0:
		return math.Log1p(-tail)
	case tail > deepTail || !(x < 1):
		return math.Log(tail)
	}
	sum, term := 1.0, 1.0
	for n := 0.0; term > 1e-17*sum; n++ {
		term *= x * (a + .5 + n) / (a + 1 + n)
		sum += term
	}
	return float64(a*math.Log(x)) + math.Log1p(-x)/2 - math.Log(2*a) - mathext.Lbeta(a, .5) + math.Log(sum)
}

// StudentQuantile is the t below which Student's t on nu degrees of freedom lies with
// probability p >= 1/2. NaN for other parameters.
func StudentQuantile(p, nu float64) float64 {
	if !(p >= .5 && p < 1) || !(nu >= 1) {
		return math.NaN()
	}
	// 1 - p = I_x(nu/2, 1/2) / 2 with x = nu/(nu+t^2).
	x := mathext.InvRegIncBeta(nu/2, .5, 2*(1-p))
	return math.Sqrt(nu * (1 - x) / x)
}
