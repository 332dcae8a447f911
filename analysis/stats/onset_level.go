package stats

import "math"

// onsetPrior is the variance, in residual variances, of the shift that EarlyShift
// expects: effects of some residual standard deviations.
const onsetPrior = 25

// EarlyShift is the posterior probability that a series with AR(1) noise moved to
// another level early, for one that may have moved once or never. w are its
// prewhitened rows x_t - phi x_(t-1) less their mean before, of standard deviation sd;
// the first early of them count as early, and so does a shift before the first row. A
// shift by d adds d to its own row and (1-phi) d to every later one; d ~ N(0, 25 sd^2),
// each row and "never" equally likely. It allocates nothing. 0 for parameters that are
// none.
func EarlyShift(w []float64, early int, phi, sd float64) float64 {
	if !positive(sd) || !(phi >= 0 && phi < 1) {
		return 0
	}
	rest := 1 - phi
	var soon, late logSum
	late.add(0) // never
	sum := 0.0  // of the rows after k, in sd
	for k := len(w) - 1; k >= 0; k-- {
		v := w[k] / sd
		at := shiftEvidence(v+float64(rest*sum), 1+float64(rest*rest*float64(len(w)-1-k)))
		if k < early {
			soon.add(at)
		} else {
			late.add(at)
		}
		sum += v
	}
	soon.add(shiftEvidence(rest*sum, rest*rest*float64(len(w))))
	return 1 / (1 + math.Exp(late.log()-soon.log()))
}

// shiftEvidence is the log of the marginal likelihood of a shift against none, for the
// projection p of the rows on its pattern, whose sum of squares is s.
func shiftEvidence(p, s float64) float64 {
	return -math.Log1p(onsetPrior*s)/2 + onsetPrior*p*p/(2*(1+float64(onsetPrior*s)))
}

// logSum is the log of a sum of exponentials.
type logSum struct {
	top, sum float64
	set      bool
}

func (l *logSum) add(v float64) {
	switch {
	case !l.set:
		l.top, l.sum, l.set = v, 1, true
	case v > l.top:
		l.sum = float64(l.sum*math.Exp(l.top-v)) + 1
		l.top = v
	default:
		l.sum += math.Exp(v - l.top)
	}
}

func (l *logSum) log() float64 {
	if !l.set {
		return math.Inf(-1)
	}
	return l.top + math.Log(l.sum)
}
