package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// A burst is the dispersion of statistics 3.5 at batches of one and four folds, which at
// a cadence of 15 minutes are all that there are, with priors of 1.
func TestBurstIsTheDispersion(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	compared := 0
	for run := range 50 {
		d, err := stats.NewDispersion(stats.DispersionConfig{Cadence: 15 * time.Minute, Priors: stats.Priors{1, 1, 1}})
		if err != nil {
			t.Fatal(err)
		}
		var b burst
		for k := range 200 {
			got, want := b.phi(k), d.Phi()
			if k >= 40 { // enough batches of both lengths
				if compared++; math.Abs(got-want) > 1e-9*want {
					t.Fatalf("run %d, fold %d: phi %v, want %v", run, k, got, want)
				}
			}
			c := foldCounts{nC: 100 + float64(rng.IntN(100)), nB: 900 + float64(rng.IntN(100))}
			if rng.IntN(3) > 0 {
				c.xC, c.xB = 6*poissonOf(rng, 1), 6*poissonOf(rng, 3)
			}
			b.add(k, c)
			if err := d.Add(c.xC, c.xB, c.nC, c.nB); err != nil {
				t.Fatal(err)
			}
		}
		if phi := b.phi(200); phi < 3 || phi > 9 {
			t.Errorf("run %d: phi %v of clusters of six", run, phi)
		}
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// A single line in each of a few folds is no burst.
func TestFewLinesAreNoBurst(t *testing.T) {
	var b burst
	for k := range 8 {
		b.add(k, foldCounts{xC: 1, nC: 100, nB: 900})
		if phi := b.phi(k + 1); phi != 1 {
			t.Errorf("phi %v after %d lines", phi, k+1)
		}
	}
}
