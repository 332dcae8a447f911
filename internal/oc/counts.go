package oc

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
)

// tick is what worlds draw in; every cadence is a whole number of it.
const tick = analysis.BaseTick

// ticksPerMinute of event time.
const ticksPerMinute = int(time.Minute / tick)

// deployedAt lies on the grid of every usual cadence.
var deployedAt = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// counts are the bad events and requests of both arms in one tick.
type counts struct{ xC, xB, nC, nB float64 }

func (c *counts) add(d counts) {
	c.xC += d.xC
	c.xB += d.xB
	c.nC += d.nC
	c.nB += d.nB
}

// A countWorld is a service whose requests fail, and its deployment.
type countWorld struct {
	rps     float64
	share   float64 // of the canary
	rate    float64 // of failing requests
	minutes int
	target  float64 // SLO; 0: none
	pods    int     // of the baseline; 0: 9, each with the canary's traffic

	ratio  func(minute float64) float64 // of the canary's rate to the baseline's; nil: 1
	shared func(minute float64) float64 // factor on both; nil: 1
	steps  []float64                    // shares in equal parts of the time; nil: share throughout

	cluster  float64 // mean size of the clusters in which failures come; 0: 1
	pod      noise   // each pod of either arm wanders by itself, a minute a step
	together bool    // the pods of the baseline do so together, once there is a canary
	drift    noise   // the whole service wanders, a minute a step
	history  historyKind
	alone    bool // no baseline runs beside the canary: it is compared with the time before
}

// A historyKind says what is known from before the deployment.
type historyKind uint8

const (
	aDay   historyKind = iota // a day of a baseline with pods of the same kind
	onePod                    // a day of a single pod: rates are known, dispersion is not
	none                      // nothing
)

func (w *countWorld) baselinePods() int {
	if w.pods == 0 {
		return 9
	}
	return w.pods
}

func at(f func(float64) float64, minute float64) float64 {
	if f == nil {
		return 1
	}
	return f(minute)
}

// swing is the course of the traffic: 30% up and down in half an hour.
func swing(minute float64) float64 { return 1 + .3*math.Sin(2*math.Pi*minute/30) }

// weight is the canary's share at a minute.
func (w *countWorld) weight(minute float64) float64 {
	if w.steps == nil {
		return w.share
	}
	i := int(minute / float64(w.minutes) * float64(len(w.steps)))
	return w.steps[min(i, len(w.steps)-1)]
}

// comparison is what Assay compares the canary with.
func (w *countWorld) comparison() analysis.Comparison {
	if w.alone {
		return analysis.PreviousWindow
	}
	return analysis.Concurrent
}

// draw simulates the deployment with so many objectives. The first one is as bad as
// the world says, the others are healthy; a pod that wanders does so in all of them.
func (w *countWorld) draw(rng *rand.Rand, objectives int) [][]counts {
	canary := w.pod.wander(rng, w.minutes)
	pods := w.baselinePods()
	if w.together {
		pods = 1
	}
	baseline := w.pod.average(rng, pods, w.minutes)
	drift := w.drift.wander(rng, w.minutes)
	out := make([][]counts, objectives)
	for o := range out {
		out[o] = make([]counts, w.minutes*ticksPerMinute)
		for i := range out[o] {
			minute := float64(i) / float64(ticksPerMinute)
			n := w.rps * tick.Seconds() * swing(minute)
			rate, share, ratio := w.rate*at(w.shared, minute)*drift[i/ticksPerMinute], w.weight(minute), 1.0
			if o == 0 {
				ratio = at(w.ratio, minute)
			}
			c := counts{nC: poisson(rng, share*n), nB: poisson(rng, (1-share)*n)}
			c.xC = w.failures(rng, c.nC, rate*ratio*canary[i/ticksPerMinute])
			c.xB = w.failures(rng, c.nB, rate*baseline[i/ticksPerMinute])
			out[o][i] = c
		}
	}
	return out
}

func (w *countWorld) failures(rng *rand.Rand, n, rate float64) float64 {
	return min(n, clustered(rng, n*rate, w.cluster))
}

// minuteSums simulates the day before the deployment: one pod more than the
// baseline will have, since the canary takes over the part of one. A baseline that is
// a single pod, or wanders like one, has all of the rest of the traffic.
func (w *countWorld) minuteSums(rng *rand.Rand) []analysis.MinuteSum {
	const minutes = 24 * 60
	pods := w.baselinePods() + 1
	switch w.history {
	case onePod:
		pods = 1
	case none:
		return nil
	}
	factors := make([][]float64, pods)
	for p := range factors {
		factors[p] = w.pod.wander(rng, minutes)
	}
	drift := w.drift.wander(rng, minutes)
	out := make([]analysis.MinuteSum, 0, minutes*pods)
	for m := range minutes {
		at := deployedAt.Add(-time.Duration(minutes-m) * time.Minute)
		for p := range pods {
			n := poisson(rng, w.rps*60*w.part(p, pods)*swing(float64(m)))
			out = append(out, analysis.MinuteSum{Minute: at, Pod: podName(p), Bad: w.failures(rng, n, w.rate*drift[m]*factors[p][m]), Exposure: n})
		}
	}
	return out
}

// part is the share of the traffic that a pod had before the deployment.
func (w *countWorld) part(pod, pods int) float64 {
	switch {
	case w.pods != 1 || pods == 1:
		return 1 / float64(pods)
	case pod == 0:
		return w.share
	}
	return 1 - w.share
}

func podName(i int) string { return fmt.Sprintf("baseline-%02d", i) }

// perMinute sums ticks to what the peers look at.
func perMinute(ticks []counts) []counts {
	out := make([]counts, len(ticks)/ticksPerMinute)
	for i, c := range ticks {
		out[i/ticksPerMinute].add(c)
	}
	return out
}
