package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func logs(values ...float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.Log(v)
	}
	return out
}

// V11 of the statistics page.
func TestMultipleReference(t *testing.T) {
	e := logs(300, 40, 8, 1.5, .4)
	mean, err := LogWeightedMean(e, []float64{1, 1, 1, 1, 1})
	if err != nil || math.Abs(math.Exp(mean)-69.98) > 1e-9 {
		t.Errorf("average %v, %v", math.Exp(mean), err)
	}
	adjusted, err := AdjustedLogE(e, []float64{.2, .2, .2, .2, .2})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{69.98, 12.475, 3.3, .95, .4} {
		if got := math.Exp(adjusted[i]); math.Abs(got-want) > 1e-9 {
			t.Errorf("adjusted %d: %v, want %v", i, got, want)
		}
	}
	if got := EBH(e, .05); got != 1 {
		t.Errorf("e-BH at .05: %d", got)
	}
	if got := EBH(e, .10); got != 2 {
		t.Errorf("e-BH at .10: %d", got)
	}
}

// The adjusted e-value is the smallest weighted average over all sets: tried out.
func TestAdjustedIsTheSmallestOfAllSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(7)
		e, v := make([]float64, n), make([]float64, n)
		for i := range e {
			e[i], v[i] = 6*rng.NormFloat64(), rng.Float64()
			if rng.IntN(6) == 0 {
				e[i] = math.Inf(-1)
			}
			if n > 1 && rng.IntN(6) == 0 && i > 0 {
				v[i] = 0
			}
		}
		got, err := AdjustedLogE(e, v)
		if err != nil {
			t.Fatal(err)
		}
		for k := range e {
			want := math.Inf(1)
			for set := range 1 << n {
				if set&(1<<k) == 0 {
					continue
				}
				sum, total := 0.0, 0.0
				for i := range e {
					if set&(1<<i) != 0 {
						sum += v[i] * math.Exp(e[i])
						total += v[i]
					}
				}
				want = min(want, sum/total)
			}
			if v[k] == 0 {
				want = 0
			}
			if g := math.Exp(got[k]); math.Abs(g-want) > 1e-9*(1+want) {
				t.Fatalf("e %v, weights %v: adjusted %d is %v, want %v", e, v, k, g, want)
			}
		}
	}
}

// Naming what reaches 1/alpha names something wrong in at most alpha of the cases, even
// for e-values that depend on each other; here twelve nulls that share half of their
// noise beside three that are false.
func TestAdjustedKeepsTheFamilyError(t *testing.T) {
	const runs, alpha, lambda = 20_000, .05, 1.0
	rng := rand.New(rand.NewPCG(5, 6))
	weights := make([]float64, 15)
	for i := range weights {
		weights[i] = 1
	}
	wrong, found := 0, 0
	e := make([]float64, 15)
	for range runs {
		shared := rng.NormFloat64()
		for i := range e {
			z := math.Sqrt(.5)*shared + math.Sqrt(.5)*rng.NormFloat64()
			if i >= 12 {
				z += 6
			}
			e[i] = lambda*z - lambda*lambda/2
		}
		adjusted, err := AdjustedLogE(e, weights)
		if err != nil {
			t.Fatal(err)
		}
		named := false
		for i, a := range adjusted {
			if a >= math.Log(1/alpha) {
				if i < 12 {
					named = true
				} else {
					found++
				}
			}
		}
		if named {
			wrong++
		}
	}
	if rate := float64(wrong) / runs; rate > alpha+3*math.Sqrt(alpha*(1-alpha)/runs) {
		t.Errorf("something is named wrongly in %v of the runs, allowed %v", rate, alpha)
	}
	if found == 0 {
		t.Error("nothing was found at all")
	}
}

func TestMultipleEdges(t *testing.T) {
	for _, test := range []struct {
		name    string
		e, v    []float64
		refused error
	}{
		{"lengths", logs(1, 2), []float64{1}, ErrShape},
		{"nothing", nil, nil, ErrParameter},
		{"NaN", []float64{math.NaN()}, []float64{1}, ErrParameter},
		{"negative weight", logs(1), []float64{-1}, ErrParameter},
	} {
		if got, err := AdjustedLogE(test.e, test.v); err != test.refused || got != nil {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
	if got := EBH(nil, .05); got != 0 {
		t.Errorf("nothing tested, %d found", got)
	}
	if got := EBH([]float64{math.NaN(), 700, 700}, .05); got != 2 {
		t.Errorf("%d found", got)
	}
}
