package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestReferenceQuantiles(t *testing.T) {
	var f struct {
		Ranks []struct {
			N        int
			P, Alpha float64
			Ranks    [2]int
		}
		Constants []struct {
			Alpha float64
			C     json.Number
		}
		Radius struct {
			N, M, Alpha float64
			Radius      json.Number
		}
	}
	vectors(t, "quantiles.json", &f)
	for _, c := range f.Ranks {
		lo, hi, err := QuantileRanks(c.N, c.P, c.Alpha, c.N)
		if err != nil || [2]int{lo, hi} != c.Ranks {
			t.Errorf("ranks of the %v-quantile of %d at %v: [%d,%d], %v, want %v", c.P, c.N, c.Alpha, lo, hi, err, c.Ranks)
		}
	}
	for _, c := range f.Constants {
		got, err := DKWConstant(c.Alpha)
		if err != nil {
			t.Fatal(err)
		}
		printed(t, "DKW constant", got, c.C)
	}
	c, err := DKWConstant(f.Radius.Alpha)
	if err != nil {
		t.Fatal(err)
	}
	printed(t, "DKW radius", DKWRadius(f.Radius.N, f.Radius.M, c), f.Radius.Radius)
}

// The ranks by the definition: the outermost X whose mixture is still below 1/alpha,
// looked for one by one.
func TestQuantileRanksAgainstSearch(t *testing.T) {
	for _, p := range []float64{.01, .5, .9, .99} {
		for _, n := range []int{1, 7, 50, 300} {
			lo, hi, err := QuantileRanks(n, p, .05, 300)
			if err != nil {
				t.Fatal(err)
			}
			wantLo, wantHi := n+1, 0
			for x := range n + 1 {
				if quantileMixture(x, n, p, .05, 300) < math.Log(20) {
					wantLo, wantHi = min(wantLo, x), max(wantHi, x)
				}
			}
			if lo != wantLo || hi != wantHi+1 {
				t.Errorf("n = %d, p = %v: [%d,%d], want [%d,%d]", n, p, lo, hi, wantLo, wantHi+1)
			}
		}
	}
}

// quantileMixture integrates the likelihood ratio of x successes in n against p over
// the Beta prior of QuantileRanks by the midpoint rule in the logit.
func quantileMixture(x, n int, p, alpha, nOpt float64) float64 {
	bar := math.Log(1 / alpha)
	v := p * (1 - p)
	r := max(v*nOpt/(2*bar+math.Log(1+2*bar))-v, v/1000)
	a, b := r/(1-p), r/p
	var prior, posterior float64
	const steps = 3000
	for i := range steps {
		z := -40 + 80*(float64(i)+.5)/steps
		lq, lr := -math.Log1p(math.Exp(-z)), -math.Log1p(math.Exp(z))
		w := math.Exp(a*lq + b*lr)
		prior += w
		posterior += w * math.Exp(float64(x)*(lq-math.Log(p))+float64(n-x)*(lr-math.Log1p(-p)))
	}
	return math.Log(posterior / prior)
}

func TestQuantileRanksRefuse(t *testing.T) {
	for _, c := range []struct {
		n        int
		p, alpha float64
		nOpt     int
	}{{0, .5, .05, 1}, {10, 0, .05, 1}, {10, 1, .05, 1}, {10, math.NaN(), .05, 1}, {10, .5, 0, 1}, {10, .5, 1, 1}, {10, .5, .05, 0}} {
		if _, _, err := QuantileRanks(c.n, c.p, c.alpha, c.nOpt); !errors.Is(err, ErrParameter) {
			t.Errorf("%+v: %v, want ErrParameter", c, err)
		}
	}
	for _, alpha := range []float64{0, 1, -1, math.NaN(), 2} {
		if _, err := DKWConstant(alpha); !errors.Is(err, ErrParameter) {
			t.Errorf("level %v: %v, want ErrParameter", alpha, err)
		}
	}
	if r := DKWRadius(99, 100, 8); !math.IsInf(r, 1) {
		t.Errorf("before m the radius is %v, want +Inf", r)
	}
}

// Looked at after every observation, the ranks miss the true quantile, and the band
// the true distribution, in no more runs than alpha allows.
func TestQuantileSequencesCover(t *testing.T) {
	slow(t)
	const runs, looks, alpha, p = 400, 1500, .05, .9
	c, err := DKWConstant(alpha)
	if err != nil {
		t.Fatal(err)
	}
	ranks := make([][2]int, looks+1)
	for n := 1; n <= looks; n++ {
		if ranks[n][0], ranks[n][1], err = QuantileRanks(n, p, alpha, 500); err != nil {
			t.Fatal(err)
		}
	}
	missedRank, missedBand := 0, 0
	for run := range runs {
		rng := rand.New(rand.NewPCG(41, uint64(run)))
		var sorted []float64
		rank, band := false, false
		for n := 1; n <= looks; n++ {
			v := rng.Float64() // its p-quantile is p
			i, _ := slices.BinarySearch(sorted, v)
			sorted = slices.Insert(sorted, i, v)
			lo, hi := ranks[n][0], ranks[n][1]
			rank = rank || lo >= 1 && sorted[lo-1] > p || hi <= n && sorted[hi-1] < p
			if n%25 == 0 && n >= 100 {
				radius := DKWRadius(float64(n), 100, c)
				for i, x := range sorted {
					if math.Abs(float64(i+1)/float64(n)-x) > radius || math.Abs(float64(i)/float64(n)-x) > radius {
						band = true
					}
				}
			}
		}
		if rank {
			missedRank++
		}
		if band {
			missedBand++
		}
	}
	bar := runs * (alpha + 3*math.Sqrt(alpha*(1-alpha)/runs))
	t.Logf("missed: ranks %d, band %d of %d", missedRank, missedBand, runs)
	if float64(missedRank) > bar || float64(missedBand) > bar {
		t.Errorf("missed by ranks %d and by the band %d of %d, want at most %.0f", missedRank, missedBand, runs, bar)
	}
}
