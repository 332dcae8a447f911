package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// V13 of the statistics page.
func TestShareReference(t *testing.T) {
	for _, test := range []struct{ nC, nB, w, want float64 }{
		{1000, 9000, .1, -1.199714},
		{1100, 8900, .1, 3.682263},
		{1200, 8800, .1, 17.931208},
		{200, 9800, .01, 34.726670},
	} {
		var s Share
		if err := s.Add(test.w, test.nC, test.nB); err != nil {
			t.Fatal(err)
		}
		if got := s.LogE(); math.Abs(got-test.want) > 1e-6 {
			t.Errorf("%v of %v at %v: %v, want %v", test.nC, test.nC+test.nB, test.w, got, test.want)
		}
	}
}

// Under the declared share the mean of the factor that a fold adds is 1, whatever came
// before: by enumeration.
func TestShareIsAnEProcess(t *testing.T) {
	const n = 40
	for _, w := range []float64{.01, .1, .5} {
		before := Share{}
		if err := before.Add(w, 13, 200); err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		dist := distuv.Binomial{N: n, P: w}
		for x := range n + 1 {
			after := before
			if err := after.Add(w, float64(x), float64(n-x)); err != nil {
				t.Fatal(err)
			}
			mean += dist.Prob(float64(x)) * math.Exp(after.LogE()-before.LogE())
		}
		if math.Abs(mean-1) > 1e-9 {
			t.Errorf("share %v: mean factor %v", w, mean)
		}
	}
}

// A ramp with the declared shares stays quiet at the bar of 1000; one that realises four
// fifths of them does not.
func TestShareOverARamp(t *testing.T) {
	const runs = 2000
	rng := rand.New(rand.NewPCG(3, 1))
	crossed := func(factor float64) int {
		n := 0
		for range runs {
			var s Share
			for _, w := range []float64{.01, .05, .25, .5} {
				for range 60 {
					dist := distuv.Binomial{N: 300, P: w * factor, Src: rng}
					x := dist.Rand()
					if err := s.Add(w, x, 300-x); err != nil {
						t.Fatal(err)
					}
					if s.LogE() >= math.Log(1000) {
						n++
						break
					}
				}
				if s.LogE() >= math.Log(1000) {
					break
				}
			}
		}
		return n
	}
	if got := crossed(1); got > 6 { // one in a thousand, and four standard errors
		t.Errorf("%d of %d ramps as declared are noted", got, runs)
	}
	if got := crossed(.8); got < runs*99/100 {
		t.Errorf("%d of %d ramps at four fifths are noted", got, runs)
	}
}

func TestShareEdges(t *testing.T) {
	var s Share
	for _, w := range []float64{0, 1, -1, math.NaN()} {
		if err := s.Add(w, 10, 10); err != nil || s.LogE() != 0 {
			t.Errorf("weight %v: %v, %v", w, s.LogE(), err)
		}
	}
	for _, n := range []float64{-1, math.NaN(), math.Inf(1), 1e16} {
		if err := s.Add(.1, n, 1); err != ErrCounts {
			t.Errorf("%v exposures: %v", n, err)
		}
		if err := s.Add(.1, 1, n); err != ErrCounts {
			t.Errorf("%v exposures: %v", n, err)
		}
	}
	if s != (Share{}) {
		t.Errorf("what was refused is in the state: %+v", s)
	}
	if err := s.Add(.1, 1e15, 1e15); err != nil || math.IsNaN(s.LogE()) {
		t.Errorf("huge: %v, %v", s.LogE(), err)
	}
}
