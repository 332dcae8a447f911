package lab

import (
	"math"
	"math/rand/v2"
	"time"
)

// Bounds are the buckets that the semantic conventions advise for request durations, in
// seconds.
var Bounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

const (
	medianDuration = 0.06 // seconds
	spreadDuration = 0.8  // standard deviation of the logarithm: p95 0.22 s, p99 0.39 s
	memoryBytes    = 300 << 20
	cpuPerRequest  = 0.004 // seconds
	idleCPU        = 0.02  // processors
)

// resources are what a pod takes: how long its requests took, by bucket, and what it
// uses of memory and processors.
type resources struct {
	okTook, failedTook [15]float64 // observations of each bucket and above all, cumulative over time
	lived              bool
	size               float64 // of this pod against others
	memoryNoise        wander
	memory, cpu        float64 // bytes, processors
}

// durations are the shares of requests in each bucket, for a pod whose requests take
// the median times the given factor.
func (s *Shop) durations(p *pod, factor float64) (shares [15]float64) {
	if p.canary && s.scenario.canarySlower > 0 {
		factor *= s.scenario.canarySlower
	}
	below := 0.0
	for i, bound := range Bounds {
		upTo := 0.5 * math.Erfc(-math.Log(bound/(medianDuration*factor))/(spreadDuration*math.Sqrt2))
		shares[i], below = upTo-below, upTo
	}
	shares[len(Bounds)] = 1 - below
	return shares
}

// footprint is how much memory a pod takes against a healthy one.
func (s *Shop) footprint(p *pod, at time.Time) float64 {
	if !p.canary {
		return 1
	}
	return max(1, s.scenario.canaryLarger) + s.scenario.canaryLeak*at.Sub(s.deployed).Minutes()
}

// spend draws what a step costs the pod.
func (r *resources) spend(rng *rand.Rand, ok, failed float64, shares [15]float64, footprint float64) {
	if !r.lived {
		r.lived, r.size, r.memoryNoise = true, math.Exp(0.02*rng.NormFloat64()), wander{sd: 0.03, memory: 0.9}
	}
	deal(rng, ok, shares, &r.okTook)
	deal(rng, failed, shares, &r.failedTook)
	r.memory = memoryBytes * r.size * footprint * math.Exp(r.memoryNoise.next(rng))
	r.cpu = idleCPU + (ok+failed)*cpuPerRequest/Step.Seconds()
}

// deal spreads n requests over buckets: rounded normal draws, since nobody looks at
// the distribution of a single count.
func deal(rng *rand.Rand, n float64, shares [15]float64, into *[15]float64) {
	left, rest := n, 1.0
	for i, share := range shares {
		if left <= 0 {
			return
		}
		k := left
		if i < len(shares)-1 {
			p := min(1, share/max(rest, 1e-12))
			k = min(left, max(0, math.Round(left*p+math.Sqrt(left*p*(1-p))*rng.NormFloat64())))
		}
		into[i] += k
		left, rest = left-k, rest-share
	}
}
