package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// shareStrength is the weight of the prior around the declared share, in exposures:
// Beta(1000 w, 1000 (1-w)).
const shareStrength = 1000

// A Share watches whether the canary's share of the exposures is the declared one: the
// sample-ratio mismatch test of Lindon, Malek 2022, as a two-sided e-process. Where
// the declared share changes a new stretch begins; stretches are disjoint in time, so
// their e-values are multiplied. The zero value has seen nothing.
type Share struct {
	Weight  float64 // declared, of the stretch
	NC, NB  float64 // exposures of the stretch
	Settled float64 // ln E of the stretches before
}

// Add takes in the exposures of one fold under a declared share in (0,1); others are
// ignored, since nothing was declared then. Impossible counts are ErrCounts.
func (s *Share) Add(weight, nC, nB float64) error {
	if !(nC >= 0 && nC <= maxCount) || !(nB >= 0 && nB <= maxCount) {
		return ErrCounts
	}
	if !(weight > 0 && weight < 1) {
		return nil
	}
	if weight != s.Weight {
		s.Settled = s.LogE()
		s.Weight, s.NC, s.NB = weight, 0, 0
	}
	s.NC += nC
	s.NB += nB
	return nil
}

// LogE is ln of the evidence that the realised share is not the declared one.
func (s *Share) LogE() float64 {
	if s.NC+s.NB == 0 {
		return s.Settled
	}
	a, b := shareStrength*s.Weight, shareStrength*(1-s.Weight)
	return s.Settled + mathext.Lbeta(a+s.NC, b+s.NB) - mathext.Lbeta(a, b) - float64(s.NC*math.Log(s.Weight)) - float64(s.NB*math.Log1p(-s.Weight))
}
