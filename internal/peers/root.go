package peers

import "math"

// Constants of Kayenta's root search. The tolerance is absolute: a metric whose
// values are of its size or smaller is not resolved.
const (
	rootTolerance  = 1e-4
	rootIterations = 1000
)

// root looks for a zero of f between lo and hi by Brent's method (Brent 1973, ch.
// 4), given the values at the ends. It gives up silently: where the ends do not
// bracket a zero or the iterations are used up, it returns where it got to.
func root(lo, hi, fLo, fHi float64, f func(float64) float64) float64 {
	if fLo == 0 {
		return lo
	}
	if fHi == 0 {
		return hi
	}
	const epsilon = 0x1p-52
	a, b, c := lo, hi, lo
	fa, fb, fc := fLo, fHi, fLo
	for range rootIterations + 1 {
		previous := b - a
		if math.Abs(fc) < math.Abs(fb) {
			a, b, c = b, c, b
			fa, fb, fc = fb, fc, fb
		}
		tolerance := 2*epsilon*math.Abs(b) + rootTolerance/2
		step := (c - b) / 2
		if math.Abs(step) <= tolerance || fb == 0 {
			return b
		}
		if math.Abs(previous) >= tolerance && math.Abs(fa) > math.Abs(fb) {
			if s, accepted := interpolate(a, b, c, fa, fb, fc, previous, tolerance); accepted {
				step = s
			}
		}
		if math.Abs(step) < tolerance {
			if step > 0 {
				step = tolerance
			} else {
				step = -tolerance
			}
		}
		a, fa = b, fb
		b += step
		fb = f(b)
		if fb > 0 && fc > 0 || fb < 0 && fc < 0 {
			c, fc = a, fa
		}
	}
	return b
}

// interpolate proposes a step from b: linear with two points, inverse quadratic
// with three. It is accepted if it stays inside the bracket and halves the step
// before the previous one.
func interpolate(a, b, c, fa, fb, fc, previous, tolerance float64) (step float64, accepted bool) {
	var p, q float64
	cb := c - b
	if a == c {
		s := fb / fa
		p, q = cb*s, 1-s
	} else {
		r, s, t := fa/fc, fb/fc, fb/fa
		p = t * (cb*r*(r-s) - (b-a)*(s-1))
		q = (r - 1) * (s - 1) * (t - 1)
	}
	if p > 0 {
		q = -q
	} else {
		p = -p
	}
	if p < 0.75*cb*q-math.Abs(tolerance*q)/2 && p < math.Abs(previous*q/2) {
		return p / q, true
	}
	return 0, false
}
