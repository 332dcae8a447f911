package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func within(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if !(math.Abs(got-want) <= by) {
		t.Errorf("%s: got %.10g, want %.10g", what, got, want)
	}
}

// V9 of the specification.
func TestReferenceRanks(t *testing.T) {
	x, y := []float64{12, 15, 18, 24, 30}, []float64{5, 8, 11, 13, 20}
	u := MannWhitney(x, y)
	within(t, "U", u.Statistic, 21, 0)
	within(t, "z", u.Z, 1.671145, 5e-7)
	within(t, "exact p", u.P, .04761905, 5e-9)
	shift, _, _ := HodgesLehmann(x, y, .95)
	within(t, "Hodges-Lehmann", shift, 7, 0)
	within(t, "Cliff", CliffsDelta(x, y), .68, 1e-12)
	b := BrunnerMunzel(x, y)
	within(t, "p^", b.Superior, .84, 1e-12)
	within(t, "W", b.Statistic, 2.453739, 5e-7)
	within(t, "df", b.DF, 6.816568, 5e-7)
	within(t, "Brunner-Munzel p", b.P, .022387, 5e-7)

	x, y = []float64{3, 4, 4, 5, 7}, []float64{1, 2, 3, 3, 4, 4}
	u = MannWhitney(x, y)
	within(t, "U with ties", u.Statistic, 25, 0)
	within(t, "z with ties", u.Z, 1.792424, 5e-7)
	within(t, "permutation p", u.P, .05194805, 5e-9)
	shift, _, _ = HodgesLehmann(x, y, .95)
	within(t, "Hodges-Lehmann with ties", shift, 1.5, 0)
	within(t, "Cliff with ties", CliffsDelta(x, y), .666667, 5e-7)
	b = BrunnerMunzel(x, y)
	within(t, "W with ties", b.Statistic, 2.806068, 5e-7)
	within(t, "df with ties", b.DF, 8.283814, 5e-7)
	within(t, "Brunner-Munzel p with ties", b.P, .011105, 5e-7)
}

// One canary pod can never reach 5%, whatever it shows (statistics 5.3).
func TestAttainableP(t *testing.T) {
	for _, c := range []struct {
		m, n int
		want float64
	}{{1, 10, .091}, {2, 10, .0152}, {3, 3, .05}, {3, 10, .0035}, {4, 4, .0143}} {
		within(t, "attainable p", AttainableP(c.m, c.n), c.want, 5e-4*max(1, c.want*2))
		x, y := make([]float64, c.m), make([]float64, c.n)
		for i := range x {
			x[i] = 100 + float64(i)
		}
		for i := range y {
			y[i] = float64(i)
		}
		got := MannWhitney(x, y)
		within(t, "p of complete separation", got.P, AttainableP(c.m, c.n), 1e-12)
		if !got.Exact {
			t.Errorf("%d against %d values: the p is not exact", c.m, c.n)
		}
	}
	if AttainableP(0, 5) != 1 {
		t.Error("no value can show anything")
	}
}

// The two exact ways and the normal approximation agree where all can be had.
func TestExactWaysAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 40 {
		m, n := 3+rng.IntN(6), 3+rng.IntN(6)
		x, y := normals(rng, m, .5), normals(rng, n, 0)
		r, _ := rankedPair(x, y)
		counted := tailWithoutTies(min(m, n), max(m, n), int(math.Round(r.u())))
		within(t, "counted and listed", counted, r.tailOfAssignments(), 1e-12)
	}
	x, y := normals(rng, 20, .3), normals(rng, 30, 0)
	exact := MannWhitney(x, y)
	if !exact.Exact {
		t.Fatal("20 against 30 values without ties: not exact")
	}
	r, _ := rankedPair(x, y)
	m, n := 20., 30.
	approximate := .5 * math.Erfc((r.u()-m*n/2-.5)/r.sd()/math.Sqrt2)
	within(t, "normal approximation", approximate, exact.P, .004)
}

// Swapping the samples mirrors everything; units do not matter.
func TestRankLaws(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for range 50 {
		x, y := normals(rng, 4+rng.IntN(30), .4), normals(rng, 4+rng.IntN(30), 0)
		for i := range x {
			x[i] = math.Round(4*x[i]) / 4 // ties
		}
		for i := range y {
			y[i] = math.Round(4*y[i]) / 4
		}
		a, b := MannWhitney(x, y), MannWhitney(y, x)
		within(t, "U + U'", a.Statistic+b.Statistic, float64(len(x)*len(y)), 1e-9)
		within(t, "z + z'", a.Z+b.Z, 0, 1e-9)
		within(t, "delta + delta'", CliffsDelta(x, y)+CliffsDelta(y, x), 0, 1e-12)
		s1, lo, hi := HodgesLehmann(x, y, .9)
		s2, lo2, hi2 := HodgesLehmann(y, x, .9)
		within(t, "shift + shift'", s1+s2, 0, 1e-12)
		within(t, "ends", lo+hi2, 0, 1e-12)
		within(t, "ends", hi+lo2, 0, 1e-12)
		if !(lo <= s1 && s1 <= hi) {
			t.Errorf("interval %v to %v does not hold the shift %v", lo, hi, s1)
		}
		if got := MannWhitney(times(x, 1e-9), times(y, 1e-9)); got.P != a.P || got.Z != a.Z {
			t.Errorf("in other units %+v, want %+v", got, a)
		}
	}
}

// Looking for the k-th difference gives what listing them gives.
func TestSearchDifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	x, y := normals(rng, 31, 2), normals(rng, 17, 0)
	x[3], x[4], y[2] = x[5], x[5], y[1]
	listed := pairwiseDifferences(x, y)
	slices.Sort(x)
	slices.Sort(y)
	for k := range len(x) * len(y) {
		if got := searchDifference(x, y, k); got != listed(k) {
			t.Fatalf("difference %d: got %v, want %v", k, got, listed(k))
		}
	}
}

func TestRanksOfNothing(t *testing.T) {
	for _, c := range [][2][]float64{{nil, {1}}, {{1}, nil}, {{math.NaN()}, {1}}} {
		shift, _, _ := HodgesLehmann(c[0], c[1], .95)
		if !math.IsNaN(MannWhitney(c[0], c[1]).P) || !math.IsNaN(BrunnerMunzel(c[0], c[1]).P) || !math.IsNaN(shift) || !math.IsNaN(CliffsDelta(c[0], c[1])) {
			t.Errorf("%v against %v is not NaN", c[0], c[1])
		}
	}
	same := []float64{2, 2, 2}
	if p := MannWhitney(same, same).P; p != 1 {
		t.Errorf("equal values: p %v, want 1", p)
	}
	if p := BrunnerMunzel(same, same).P; p != 1 {
		t.Errorf("equal values: Brunner-Munzel p %v, want 1", p)
	}
	if p := BrunnerMunzel([]float64{4, 5, 6}, []float64{1, 2, 3}).P; math.Abs(p-.05) > 1e-12 {
		t.Errorf("complete separation: p %v, want that of the permutations", p)
	}
	if p := MannWhitney([]float64{math.Inf(1)}, []float64{1}).P; p != .5 {
		t.Errorf("infinite: p %v, want .5", p)
	}
}

func normals(rng *rand.Rand, n int, mean float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = mean + rng.NormFloat64()
	}
	return out
}

func times(v []float64, f float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] * f
	}
	return out
}
