package oc

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// poisson draws a count of the given mean.
func poisson(rng *rand.Rand, mean float64) float64 {
	if mean >= 30 {
		return distuv.Poisson{Lambda: mean, Src: rng}.Rand()
	}
	k, limit, product := 0.0, math.Exp(-mean), rng.Float64()
	for product > limit {
		product *= rng.Float64()
		k++
	}
	return k
}

// clustered draws a count of the given mean whose events come in clusters of
// geometric size: the dispersion is 2 size - 1. A size of 1 is Poisson.
func clustered(rng *rand.Rand, mean, size float64) float64 {
	if size <= 1 {
		return poisson(rng, mean)
	}
	clusters := poisson(rng, mean/size)
	if clusters == 0 {
		return 0
	}
	// The events beyond the first of each cluster are negative binomial.
	return clusters + poisson(rng, gamma(rng, clusters, size-1))
}

// gamma draws from a gamma distribution of the given shape and scale.
func gamma(rng *rand.Rand, shape, scale float64) float64 {
	return distuv.Gamma{Alpha: shape, Beta: 1 / scale, Src: rng}.Rand()
}

// A noise gives the factors by which one pod's rate wanders, one a step. The zero
// value is a pod that does not.
type noise struct {
	CV      float64 // a fresh gamma factor each step
	LogSD   float64 // a log-AR(1) factor
	Persist float64 // its correlation from step to step
}

// wander draws n factors.
func (z noise) wander(rng *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	state := rng.NormFloat64()
	for i := range out {
		out[i] = 1
		if z.CV > 0 {
			out[i] = gamma(rng, 1/(z.CV*z.CV), z.CV*z.CV)
		}
		if z.LogSD > 0 {
			out[i] *= math.Exp(z.LogSD*state - z.LogSD*z.LogSD/2)
			state = z.Persist*state + math.Sqrt(1-z.Persist*z.Persist)*rng.NormFloat64()
		}
	}
	return out
}

// average is the mean factor of some pods at each step.
func (z noise) average(rng *rand.Rand, pods, n int) []float64 {
	if z == (noise{}) {
		return z.wander(rng, n)
	}
	sum := make([]float64, n)
	for range pods {
		for i, f := range z.wander(rng, n) {
			sum[i] += f / float64(pods)
		}
	}
	return sum
}
