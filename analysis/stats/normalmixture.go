package stats

import "math"

// Normal mixtures for a sum s of independent terms with known variance v in total
// (Howard et al. 2021, propositions 4 and 5). Where sigma is estimated, LogT is.

// MixtureRho is the r of a normal mixture that is tightest at the variance vOpt for
// the level alpha, two-sided: vOpt / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha))). A
// one-sided mixture takes it at 2 alpha. NaN outside alpha in (0,1), vOpt > 0.
func MixtureRho(vOpt, alpha float64) float64 {
	if !positive(vOpt) || !(alpha > 0 && alpha < 1) {
		return math.NaN()
	}
	l := 2 * math.Log(1/alpha)
	return vOpt / (l + math.Log1p(l))
}

// LogNormalMixture is ln( sqrt(r/(v+r)) exp(s^2/(2(v+r))) ): 0 for parameters that
// are no variances.
func LogNormalMixture(s, v, r float64) float64 {
	if !(v >= 0 && v < 1e300) || !positive(r) || math.IsNaN(s) {
		return 0
	}
	s = clampT(s)
	return math.Log(r/(v+r))/2 + s*s/(2*(v+r))
}

// LogNormalMixtureOneSided is LogNormalMixture with the prior on positive effects
// only: times 2 Phi(s/sqrt(v+r)).
func LogNormalMixtureOneSided(s, v, r float64) float64 {
	if !(v >= 0 && v < 1e300) || !positive(r) || math.IsNaN(s) {
		return 0
	}
	return LogNormalMixture(s, v, r) + math.Log(math.Erfc(-clampT(s)/math.Sqrt(2*(v+r))))
}
