package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// LogBetaBinomial is the closed form of the one-sided test of a constant share:
// x of x+y events fall to the canary.
//
// Hypotheses: harm H0 q <= q0; safety H0 q >= q0.
//
// Formula: the mixture of the binomial likelihood ratio over a Beta(a, b) prior
// truncated to (q0, 1), for safety to (0, q0):
//
//	ln E = ln B(a+x, b+y) - ln B(a, b) - x ln q0 - y ln(1-q0)
//	     + ln I_{1-q0}(b+y, a+x) - ln I_{1-q0}(b, a)                          (5)
//
// and for safety I_{q0}(a+x, b+y), I_{q0}(a, b). The tail is computed as a tail,
// never as 1 - I_{q0}. It serves tests and dashboards: across a ramp the share
// changes and only [Profile] applies.
//
// Special cases: far on the wrong side I underflows and the result is -Inf,
// E = 0, the right decision. Counts that are no counts, q0 outside (0, 1), a or b
// outside (0, 1e6] and an invalid side give NaN-free -Inf and an error (ErrCounts
// or ErrParameter).
//
// Reference: Howard et al. 2021, Ann. Stat. 49, propositions 6 and 7.
func LogBetaBinomial(side Side, x, y, q0, a, b float64) (float64, error) {
	nothing := math.Inf(-1)
	if !(x >= 0 && x <= maxCount && y >= 0 && y <= maxCount) {
		return nothing, ErrCounts
	}
	if !(q0 > 0 && q0 < 1) || !(a > 0 && a <= 1e6) || !(b > 0 && b <= 1e6) {
		return nothing, ErrParameter
	}
	var tail, prior float64
	switch side {
	case Harm:
		tail, prior = mathext.RegIncBeta(b+y, a+x, 1-q0), mathext.RegIncBeta(b, a, 1-q0)
	case Safety:
		tail, prior = mathext.RegIncBeta(a+x, b+y, q0), mathext.RegIncBeta(a, b, q0)
	default:
		return nothing, ErrParameter
	}
	if !(tail > 0 && prior > 0) {
		return nothing, nil
	}
	return mathext.Lbeta(a+x, b+y) - mathext.Lbeta(a, b) -
		float64(x*math.Log(q0)) - float64(y*math.Log1p(-q0)) +
		math.Log(tail) - math.Log(prior), nil
}
