package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// PoissonTail is P(X >= x) for a Poisson variable of the given mean, as the
// regularised lower incomplete gamma function P(x, mean), which also serves counts
// that are no whole numbers (divided by an overdispersion). It is a single look at
// a fixed sample: never use it to act on evidence that is looked at repeatedly,
// only to hold back.
//
// Special cases: 1 for x <= 0; 0 for a mean of 0 and x > 0; NaN where an argument
// is no number or the mean is negative.
func PoissonTail(x, mean float64) float64 {
	switch {
	case math.IsNaN(x) || !(mean >= 0) || math.IsInf(mean, 1):
		return math.NaN()
	case x <= 0:
		return 1
	case mean == 0:
		return 0
	}
	return mathext.GammaIncReg(x, mean)
}
