package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLogMixAtAnySize: the value moves with a common shift of the terms, through
// both ways of summing and across their limits.
func TestLogMixAtAnySize(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	zero := make([]float64, 60)
	for range 50 {
		w, l := make([]float64, 60), make([]float64, 60)
		for j := range l {
			w[j], l[j] = 1./60, 25*rng.NormFloat64()
		}
		terms := make([]float64, len(l))
		for _, shift := range []float64{-1e5, -800, -100, -30, -20, 0, 100, 650, 720, 1e5} {
			moved := make([]float64, len(l))
			for j := range l {
				moved[j] = l[j] + shift
				terms[j] = math.Log(w[j]) + moved[j] - 3
			}
			got, want := logMix(w, moved, zero, zero, 3), logSumExp(terms)
			if math.Abs(got-want) > 1e-10*(1+math.Abs(want)) {
				t.Fatalf("shift %v: got %.15g, want %.15g", shift, got, want)
			}
		}
	}
	none := math.Inf(-1)
	if logMix(nil, nil, nil, nil, 1) != none || logMix([]float64{0}, []float64{1}, zero[:1], zero[:1], 0) != none {
		t.Error("an empty mixture is not 0")
	}
	if logSumExp(nil) != none || logSumExp([]float64{none, none}) != none {
		t.Error("an empty sum is not 0")
	}
}

func TestMaxDifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	for n := range 40 {
		l, s, inc := make([]float64, n), make([]float64, n), make([]float64, n)
		want := math.Inf(-1)
		for j := range l {
			l[j], s[j], inc[j] = rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()
			want = math.Max(want, l[j]-s[j]-inc[j])
		}
		if got := maxDifference(l, s, inc); got != want {
			t.Errorf("%d terms: got %v, want %v", n, got, want)
		}
	}
}

func TestSide(t *testing.T) {
	for s, want := range map[Side]string{0: "invalid", Harm: "harm", Safety: "safety", 7: "invalid"} {
		if s.String() != want {
			t.Errorf("%d: got %q, want %q", s, s.String(), want)
		}
	}
	a, err := NewAffine(Safety, 1.05, .01)
	if err != nil {
		t.Fatal(err)
	}
	if rho0, delta := a.Margin(); a.Side() != Safety || rho0 != 1.05 || delta != .01 {
		t.Errorf("got %v %v %v", a.Side(), rho0, delta)
	}
}

// TestWeights: the weights of the affine mixture sum to 1 on both sides.
func TestWeights(t *testing.T) {
	for side, n := range map[Side]int{Harm: healthyBet, Safety: bets} {
		sum := 0.0
		for i := range n {
			sum += math.Exp(logBetWeight(side, i))
		}
		if math.Abs(sum-1) > 1e-15 {
			t.Errorf("%v: weights sum to %v", side, sum)
		}
	}
}
