package stats

import (
	"math"
	"testing"
)

// The tail is one minus the sum of the probabilities below it.
func TestPoissonTail(t *testing.T) {
	for _, mean := range []float64{.1, 1, 4.5, 30} {
		below, p := 0.0, math.Exp(-mean)
		for x := range 60 {
			if got := PoissonTail(float64(x), mean); math.Abs(got-(1-below)) > 1e-12 {
				t.Errorf("P(X >= %d; %v) = %v, want %v", x, mean, got, 1-below)
			}
			below += p
			p *= mean / float64(x+1)
		}
	}
	for _, c := range []struct{ x, mean, want float64 }{{0, 3, 1}, {-1, 3, 1}, {2, 0, 0}} {
		if got := PoissonTail(c.x, c.mean); got != c.want {
			t.Errorf("P(X >= %v; %v) = %v, want %v", c.x, c.mean, got, c.want)
		}
	}
	for _, c := range [][2]float64{{math.NaN(), 1}, {1, math.NaN()}, {1, -1}, {1, math.Inf(1)}} {
		if got := PoissonTail(c[0], c[1]); !math.IsNaN(got) {
			t.Errorf("P(X >= %v; %v) = %v, want NaN", c[0], c[1], got)
		}
	}
}
