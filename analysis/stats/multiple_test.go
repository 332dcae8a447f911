package stats

import (
	"math"
	"math/rand/v2"
	"slices"
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

// Equal weights of 1/K make the weighted procedure e-BH itself.
func TestWeightedEBHOfEqualWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		n := 1 + rng.IntN(12)
		logE, weights := make([]float64, n), make([]float64, n)
		for i := range logE {
			logE[i], weights[i] = 8*rng.Float64()-1, 1/float64(n)
			if rng.IntN(9) == 0 {
				logE[i] = []float64{math.NaN(), math.Inf(-1), math.Inf(1)}[rng.IntN(3)]
			}
		}
		found := WeightedEBH(logE, weights, .05)
		count := 0
		for _, f := range found {
			if f {
				count++
			}
		}
		if want := EBH(logE, .05); count != want {
			t.Fatalf("%v: %d discoveries, e-BH has %d", logE, count, want)
		}
	}
}

func TestWeightedEBHByHand(t *testing.T) {
	ln := math.Log
	for _, c := range []struct {
		e, weights []float64
		want       []bool
	}{
		{[]float64{41, 41}, []float64{.5, .25}, []bool{true, true}},                    // 20.5 and twice 10.25, of 20
		{[]float64{41, 39}, []float64{.5, .25}, []bool{true, false}},                   // twice 9.75
		{[]float64{41, 41}, []float64{.5, .5}, []bool{true, true}},                     // both at 20.5
		{[]float64{21, 41}, []float64{.5, .5}, []bool{true, true}},                     // 2 x 10.5
		{[]float64{19, 41}, []float64{.5, .5}, []bool{false, true}},                    // 2 x 9.5
		{[]float64{1e9, 1e9, 1e9}, []float64{0, -1, .001}, []bool{false, false, true}}, // no weight, no discovery
		{[]float64{1e9}, nil, []bool{false}},
	} {
		logE := make([]float64, len(c.e))
		for i, e := range c.e {
			logE[i] = ln(e)
		}
		if got := WeightedEBH(logE, c.weights, .05); !slices.Equal(got, c.want) {
			t.Errorf("%v %v: %v, want %v", c.e, c.weights, got, c.want)
		}
	}
}
