package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

// slowMinutes are the sums of four pods over three hours, counted above two bounds: half
// of the requests lie above the first, one in twenty above the second. What is slow
// comes in clusters of the given size.
func slowMinutes(start time.Time, cluster float64) []analysis.MinuteSum {
	rng := rand.New(rand.NewPCG(1, 1))
	var sums []analysis.MinuteSum
	for m := range 180 {
		for pod := range 4 {
			const n = 2000.0
			far := 0.0
			for range int(100 / cluster * 2) {
				if rng.IntN(2) == 0 {
					far += cluster
				}
			}
			sums = append(sums, analysis.MinuteSum{
				Minute: start.Add(-time.Duration(180-m) * time.Minute), Pod: fmt.Sprint("pod", pod), Exposure: n, Above: []float64{1000, far},
			})
		}
	}
	return sums
}

func TestLatencyHistory(t *testing.T) {
	start := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		cluster   float64
		low, high float64 // dispersion above the second bound
	}{{1, 1, 1.4}, {10, 4, 8}} { // the variance of a coin is half of what it tosses for
		h := Learn(slowMinutes(start, c.cluster), start, .25, "seed")
		l := h.Latency
		if l == nil || len(l.Above) != 2 || len(l.Phi0) != 2 || l.Exposure != 2000*720 || l.Above[0] != 1000*720 || math.Abs(l.Above[1]/l.Exposure-.05) > .002 {
			t.Fatalf("%+v", l)
		}
		if l.HourTotal != 2000*240 || l.HourAbove[0] != 1000*240 || stats.Priors(l.PhiBefore[0]).Max() != 1 || !(stats.Priors(l.PhiBefore[1]).Max() >= c.low) {
			t.Errorf("the hour before: %+v", l)
		}
		for b, phi := range l.Phi0[1] {
			if phi < c.low || phi > c.high {
				t.Errorf("clusters of %v: dispersion %v at batch length %d, want %v to %v", c.cluster, phi, b, c.low, c.high)
			}
		}
		if phi := stats.Priors(l.Phi0[0]).Max(); phi != 1 {
			t.Errorf("what does not vary has the dispersion %v", phi)
		}
	}
}

// Pods without the bounds, impossible counts, and what comes after the start are left
// out; without any count there is no history of a distribution.
func TestLatencyHistoryLeavesOut(t *testing.T) {
	start := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	sums := slowMinutes(start, 1)
	want := Learn(sums, start, .25, "seed").Latency
	at := start.Add(-time.Hour)
	for i, above := range [][]float64{nil, {1}, {1, 2}, {3000, 1}, {math.NaN(), 1}, {5, -1}} {
		sums = append(sums, analysis.MinuteSum{Minute: at, Pod: fmt.Sprint("zz", i), Exposure: 2000, Above: above})
	}
	sums = append(sums, analysis.MinuteSum{Minute: start, Pod: "pod1", Exposure: 2000, Above: []float64{2000, 2000}})
	got := Learn(sums, start, .25, "seed").Latency
	if got.Exposure != want.Exposure || got.Above[0] != want.Above[0] || got.Above[1] != want.Above[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
	if h := Learn([]analysis.MinuteSum{{Minute: at, Pod: "p", Bad: 1, Exposure: 10}}, start, .25, "seed"); h.Latency != nil {
		t.Errorf("of a ratio %+v", h.Latency)
	}
	short := Learn(slowMinutes(start, 1)[:4*60], start, .25, "seed").Latency
	if short.Phi0[0] != stats.NoHistory() {
		t.Errorf("an hour gives the dispersion %v", short.Phi0[0])
	}
}
