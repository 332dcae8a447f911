package history

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

// onePod is the history of a single pod of 1,200 requests a minute with the given bad
// ones.
func onePod(minutes int, bad func(m int) float64) []analysis.MinuteSum {
	var sums []analysis.MinuteSum
	for m := range minutes {
		sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(time.Duration(m-minutes) * time.Minute), Pod: "only", Bad: bad(m), Exposure: 1200})
	}
	return sums
}

// A single pod is enough to learn how counts vary in time: independent outcomes give
// no dispersion, whether rare, common or mostly bad; hours that differ give some.
func TestPhiOfTheTimeBefore(t *testing.T) {
	draw := func(p float64) func(int) float64 {
		rng := rand.New(rand.NewPCG(9, 1))
		return func(int) float64 { // the sum of many: near enough to binomial
			return math.Round(1200*p + math.Sqrt(1200*p*(1-p))*rng.NormFloat64())
		}
	}
	for _, p := range []float64{.05, .4, .7, .95} {
		h := Learn(onePod(24*60, draw(p)), deployedAt, 1, "seed")
		if h.Calibrated || h.Phi0 != stats.NoHistory() {
			t.Errorf("rate %v: %+v is calibrated by a single pod", p, h)
		}
		if h.PhiBefore[0] < 1 || h.PhiBefore[0] > 1.25 {
			t.Errorf("rate %v: phi %v, want about 1", p, h.PhiBefore)
		}
	}
	waves := Learn(onePod(24*60, func(m int) float64 { return 60 + 30*math.Sin(float64(m)/20) }), deployedAt, 1, "seed")
	if waves.PhiBefore[0] < 5 || waves.PhiBefore[2] < 3*waves.PhiBefore[0] {
		t.Errorf("waves: phi %v, want much, and more the longer the batch", waves.PhiBefore)
	}
	if short := Learn(onePod(minBefore+2, draw(.05)), deployedAt, 1, "seed"); short.PhiBefore != stats.NoHistory() {
		t.Errorf("a quarter of an hour: phi %v, want that of no history", short.PhiBefore)
	}
}
