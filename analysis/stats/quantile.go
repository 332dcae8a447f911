package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// QuantileRanks is the confidence sequence of the p-quantile of one stream, as ranks
// among its n observations so far, counted from 1: with probability at least
// 1-alpha, at every n at once, the p-quantile lies between the observations of rank
// lo and hi. Ranks below 1 and above n stand for "no bound on that side".
//
// Formula: lo = ceil(X), hi = floor(X')+1 of the two X at which the beta-binomial
// mixture of the indicator of "not above the quantile" reaches 1/alpha,
//
//	ln B(A+X, B+n-X) - ln B(A,B) - X ln p - (n-X) ln(1-p) = ln(1/alpha),
//	A = r/(1-p), B = r/p,
//	r = max( p(1-p) nOpt / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha))) - p(1-p), p(1-p)/1000 ),
//
// narrowest around n = nOpt, which is fixed in advance.
//
// Assumptions: observations of one distribution, independent. A stream whose
// distribution changes has no quantile of its own: for display, never to decide.
//
// Error: ErrParameter for p or alpha outside (0, 1), n or nOpt below 1.
//
// Reference: Howard, Ramdas 2022, "Sequential estimation of quantiles", Bernoulli
// 28, theorem 1.
func QuantileRanks(n int, p, alpha float64, nOpt int) (lo, hi int, err error) {
	if !(p > 0 && p < 1 && alpha > 0 && alpha < 1) || n < 1 || nOpt < 1 || n > maxCount {
		return 0, 0, fmt.Errorf("%w: quantile %v of %d observations at level %v", ErrParameter, p, n, alpha)
	}
	bar, v := math.Log(1/alpha), p*(1-p)
	r := max(v*float64(nOpt)/(2*bar+math.Log1p(2*bar))-v, v/1000)
	a, b := r/(1-p), r/p
	size := float64(n)
	excess := func(x float64) float64 {
		return mathext.Lbeta(a+x, b+size-x) - mathext.Lbeta(a, b) - x*math.Log(p) - (size-x)*math.Log1p(-p) - bar
	}
	// The mixture is convex in x with its minimum near n p.
	lo, hi = 0, n+1
	if excess(0) >= 0 {
		lo = int(math.Ceil(root(excess, 0, size*p)))
	}
	if excess(size) >= 0 {
		hi = int(math.Floor(root(excess, size, size*p))) + 1
	}
	return lo, hi, nil
}

// root returns where f changes its sign between outside, where it is not negative,
// and inside.
func root(f func(float64) float64, outside, inside float64) float64 {
	for range 200 {
		mid := (outside + inside) / 2
		if mid == outside || mid == inside {
			break
		}
		if f(mid) >= 0 {
			outside = mid
		} else {
			inside = mid
		}
	}
	return (outside + inside) / 2
}

// dkwScale is the A of the time-uniform band for a whole distribution.
const dkwScale = 0.85

// DKWRadius is the radius of a band around the empirical distribution of n
// observations that contains the true one everywhere and at every n >= m at once,
// with probability at least 1-alpha: a sequential Dvoretzky-Kiefer-Wolfowitz bound,
//
//	0.85 sqrt( (ln(1 + ln(n/m)) + C) / n ),   C of [DKWConstant].
//
// Special cases: +Inf for n < m. The same assumptions as QuantileRanks, and the same
// warning. Reference: Howard, Ramdas 2022, theorem 2.
func DKWRadius(n, m, c float64) float64 {
	if !(m >= 1 && n >= m) {
		return math.Inf(1)
	}
	return dkwScale * math.Sqrt((math.Log1p(math.Log(n/m))+c)/n)
}

// DKWConstant is the smallest C for which the band of DKWRadius misses with
// probability at most alpha,
//
//	inf over eta in (1, 2 A^2), g > 1, of  4 exp(-g C) (1 + 1/((g - 1) ln eta)),
//	g = (2/eta) (A - sqrt(2(eta-1)/C))^2,  A = 0.85.
//
// Error: ErrParameter for alpha outside (1e-9, 1).
func DKWConstant(alpha float64) (float64, error) {
	if !(alpha > 1e-9 && alpha < 1) {
		return math.NaN(), fmt.Errorf("%w: level %v", ErrParameter, alpha)
	}
	return root(func(c float64) float64 { return math.Log(alpha) - dkwLogMiss(c) }, 200, 1), nil
}

// dkwLogMiss is the logarithm of the bound on the probability of a miss.
func dkwLogMiss(c float64) float64 {
	miss := func(eta float64) float64 {
		root := dkwScale - math.Sqrt(2*(eta-1)/c)
		g := 2 / eta * root * root
		if root <= 0 || g <= 1 {
			return math.Inf(1)
		}
		return math.Log(4) - float64(g*c) + math.Log1p(1/((g-1)*math.Log(eta)))
	}
	// The minimum lies near 1 and shrinks with C: search on ln(eta - 1).
	best, at := math.Inf(1), 0.0
	const step = 1.0 / 16
	for u := -12.0; u < math.Log(2*dkwScale*dkwScale-1); u += step {
		if v := miss(1 + math.Exp(u)); v < best {
			best, at = v, u
		}
	}
	if math.IsInf(best, 1) {
		return best
	}
	lo, hi := at-step, at+step
	for range 100 { // golden section
		const golden = 0.6180339887498949
		a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
		if miss(1+math.Exp(a)) < miss(1+math.Exp(b)) {
			hi = b
		} else {
			lo = a
		}
	}
	return miss(1 + math.Exp((lo+hi)/2))
}
