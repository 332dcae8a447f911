package oc

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// Clusters of geometric size s have the dispersion 2s - 1, whatever the mean.
func TestClusteredHasItsDispersion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ mean, size, phi float64 }{{.5, 1, 1}, {40, 1, 1}, {.5, 3, 5}, {40, 3, 5}, {4, 1.1, 1.2}} {
		const n = 60_000
		x := make([]float64, n)
		for i := range x {
			x[i] = clustered(rng, c.mean, c.size)
		}
		mean, variance := stat.MeanVariance(x, nil)
		if math.Abs(mean-c.mean) > 5*math.Sqrt(c.phi*c.mean/n) {
			t.Errorf("mean %v, size %v: mean %v", c.mean, c.size, mean)
		}
		if phi := variance / mean; math.Abs(phi-c.phi) > .06*c.phi {
			t.Errorf("mean %v, size %v: dispersion %v, want %v", c.mean, c.size, phi, c.phi)
		}
	}
}

// A pod wanders about 1 with its standard deviation and correlation.
func TestNoiseIsWhatItSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 200_000
	for _, z := range []noise{{CV: .5}, {LogSD: .3}, {LogSD: .3, Persist: .8}} {
		f := z.wander(rng, n)
		mean, sd := stat.MeanStdDev(f, nil)
		want := z.CV
		if z.LogSD > 0 {
			want = math.Sqrt(math.Exp(z.LogSD*z.LogSD) - 1)
		}
		if math.Abs(mean-1) > .01 || math.Abs(sd-want) > .02 {
			t.Errorf("%+v: mean %v, sd %v, want 1 and %v", z, mean, sd, want)
		}
		if r := stat.Correlation(f[1:], f[:n-1], nil); math.Abs(r-z.Persist) > .02 {
			t.Errorf("%+v: correlation %v", z, r)
		}
	}
	for _, f := range (noise{}).wander(rng, 10) {
		if f != 1 {
			t.Fatalf("a pod without noise has the factor %v", f)
		}
	}
	_, sd := stat.MeanStdDev(noise{CV: .5}.average(rng, 25, n), nil)
	if math.Abs(sd-.1) > .005 {
		t.Errorf("25 pods together: sd %v, want .1", sd)
	}
}

// The canary gets its share and its ratio, the arms what they share, and the day
// before the deployment looks like it.
func TestCountWorld(t *testing.T) {
	w := with(func(w *countWorld) {
		w.ratio, w.shared = constant(2), during(6, 30, 60)
	})
	var halves [2]counts
	ticks := w.draw(rand.New(rand.NewPCG(5, 6)), 1)[0]
	for i, c := range ticks {
		halves[2*i/len(ticks)].add(c)
	}
	for i, f := range []float64{1, 6} {
		h := halves[i]
		for _, c := range []struct {
			what              string
			got, want, within float64
		}{
			{"share", h.nC / (h.nC + h.nB), .1, .002},
			{"baseline rate", h.xB / h.nB / f, w.rate, .0003},
			{"canary rate", h.xC / h.nC / f, 2 * w.rate, .0016},
		} {
			if math.Abs(c.got-c.want) > c.within {
				t.Errorf("half %d: %s %v, want %v", i+1, c.what, c.got, c.want)
			}
		}
	}
	pods, bad, exposure := map[string]bool{}, 0.0, 0.0
	for _, s := range w.minuteSums(rand.New(rand.NewPCG(7, 8))) {
		if !s.Minute.Before(deployedAt) {
			t.Fatalf("history at %s, the deployment is at %s", s.Minute, deployedAt)
		}
		pods[s.Pod] = true
		bad += s.Bad
		exposure += s.Exposure
	}
	if len(pods) != 10 || math.Abs(bad/exposure-w.rate) > .0001 || math.Abs(exposure/(24*3600)-w.rps) > 1 {
		t.Errorf("history of %d pods, rate %v, %v requests a second", len(pods), bad/exposure, exposure/(24*3600))
	}
}

// Latencies are told alike by every telling: the same share above a bound.
func TestTellingsAgree(t *testing.T) {
	w := settingsL()
	rng := rand.New(rand.NewPCG(9, 9))
	logs := w.some(rng, nil, 50_000, 1)
	for _, telling := range latencyTellings {
		h, err := telling.shape(logs)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Validate(); err != nil {
			t.Fatalf("%s: %v", telling.name, err)
		}
		if h.Total() != float64(len(logs)) {
			t.Errorf("%s: %v of %d observations", telling.name, h.Total(), len(logs))
		}
		bound := h.Bounds[len(h.Bounds)/2]
		above := countAbove([]float64{0}, []float64{bound}, logs)[0]
		told := 0.0
		for i, n := range h.Counts {
			if i == len(h.Bounds) || h.Bounds[i] > bound {
				told += n
			}
		}
		if math.Abs(above-told) > 1 { // a logarithm may round across its bound
			t.Errorf("%s: %v above %v, the histogram says %v", telling.name, above, bound, told)
		}
	}
}
