package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

func TestReferenceGaussian(t *testing.T) {
	var f struct {
		T []struct {
			T, N, P, G float64
			LogE       json.Number
		}
		TData struct {
			Data    []float64
			G       float64
			T, LogE json.Number
		}
		TMixture []struct {
			T, N float64
			LogE json.Number
		}
		OneSided struct {
			T, Nu, S, G float64
			LogE        json.Number
		}
		Slope struct {
			Y          []float64
			G          float64
			T, S, LogE json.Number
		}
		Normal struct {
			V, Alpha, S                   float64
			Rho, LogTwoSided, LogOneSided json.Number
		}
		Batches []struct {
			Phi float64
			B   int
			R   json.Number
		}
		Trend struct {
			Y                     []float64
			Slope, S, Variance, Z json.Number
		}
	}
	vectors(t, "gaussian.json", &f)
	for _, c := range f.T {
		printed(t, "V6 t e-process", LogT(c.T, c.N-c.P, c.N, c.G), c.LogE)
	}
	var m Moments
	for _, v := range f.TData.Data {
		if err := m.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	tt := m.Mean() / math.Sqrt(m.SS()/(m.N-1)/m.N)
	printed(t, "V6 data, t", tt, f.TData.T)
	printed(t, "V6 data", LogT(tt, m.N-1, m.N, f.TData.G), f.TData.LogE)
	for _, c := range f.TMixture {
		mean := 0.0
		for _, g := range LevelPrior {
			mean += math.Exp(LogT(c.T, c.N-1, c.N, g)) / 3
		}
		printed(t, "V6 mixture", math.Log(mean), c.LogE)
	}
	o := f.OneSided
	printed(t, "V20 one-sided", LogTOneSided(o.T, o.Nu, o.S, o.G), o.LogE)

	var line SlopeSums
	for i, y := range f.Slope.Y {
		if err := line.Add(float64(i), y); err != nil {
			t.Fatal(err)
		}
	}
	slope, s, sigma := line.Fit()
	printed(t, "V7 t", slope*math.Sqrt(s)/sigma, f.Slope.T)
	printed(t, "V7 s", s, f.Slope.S)
	printed(t, "V7 slope", LogT(slope*math.Sqrt(s)/sigma, line.N-2, s, f.Slope.G), f.Slope.LogE)

	n := f.Normal
	printed(t, "V8 rho", MixtureRho(n.V, n.Alpha), n.Rho)
	printed(t, "V8 two-sided", LogNormalMixture(n.S, n.V, MixtureRho(n.V, n.Alpha)), n.LogTwoSided)
	printed(t, "V8 one-sided", LogNormalMixtureOneSided(n.S, n.V, MixtureRho(n.V, 2*n.Alpha)), n.LogOneSided)
	for _, c := range f.Batches {
		printed(t, "V17 batch correlation", BatchCorrelation(c.Phi, c.B), c.R)
	}
	x := make([]float64, len(f.Trend.Y))
	for i := range x {
		x[i] = float64(i)
	}
	printed(t, "V10 Theil-Sen", TheilSen(x, f.Trend.Y), f.Trend.Slope)
	S, variance, z := MannKendall(f.Trend.Y)
	printed(t, "V10 S", S, f.Trend.S)
	printed(t, "V10 variance", variance, f.Trend.Variance)
	printed(t, "V10 z", z, f.Trend.Z)
}

// The half-normal prior makes the e-value increase in t: that is what makes it valid
// for every mean below the null.
func TestOneSidedIncreasesInT(t *testing.T) {
	for _, nu := range []float64{1, 5, 40, 358, 5000} {
		for _, s := range []float64{1, 8, 58, 500} {
			for _, far := range []float64{20, 1000, 1e8} { // far out the probability itself underflows
				last := math.Inf(-1)
				for i := -400; i <= 400; i++ {
					at := far * float64(i) / 400
					v := LogTOneSided(at, nu, s, .1)
					if !(v >= last-1e-9) || at <= 0 && v > 0 {
						t.Fatalf("nu %v, s %v: %v at t = %v after %v", nu, s, v, at, last)
					}
					last = v
				}
			}
		}
	}
}

// The series of the deep tail meets the incomplete beta function where both hold.
func TestDeepTailOfStudent(t *testing.T) {
	for _, c := range []struct{ t, nu, want float64 }{
		// nu = 1 is Cauchy, nu = 2 has the closed form 1/2 + t/(2 sqrt(2+t^2)).
		{-1e9, 1, math.Log(1e-9 / math.Pi)},
		{-1e100, 2, math.Log(.5) - 2*math.Log(1e100)},
		{-1e140, 2, math.Log(.5) - 2*math.Log(1e140)},
	} {
		if got := logStudentCDF(c.t, c.nu); math.Abs(got-c.want) > 1e-9*math.Abs(c.want) {
			t.Errorf("ln P(T <= %v) on %v degrees: %v, want %v", c.t, c.nu, got, c.want)
		}
	}
	last := math.Inf(-1)
	for at := -60.0; at < -20; at += .01 { // passes 1e-250 on the way
		v := logStudentCDF(at, 3000)
		if d := v - last; last > math.Inf(-1) && !(d > .1 && d < .7) {
			t.Fatalf("at %v: a step of %v", at, d)
		}
		last = v
	}
}

// The e-value of a sample has mean 1 on the null: the prior predictive density over
// the null's, integrated over the distribution of t.
func TestOneSidedHasMeanOne(t *testing.T) {
	for _, nu := range []float64{3, 10, 60} {
		for _, g := range LevelPrior {
			sum, density, total := 0.0, 0.0, 0.0
			const step = .002
			for at := -60.0; at <= 60; at += step {
				density = math.Exp(-(nu + 1) / 2 * math.Log1p(at*at/nu))
				total += density * step
				sum += density * step * math.Exp(LogTOneSided(at, nu, nu+1, g))
			}
			if mean := sum / total; math.Abs(mean-1) > .02 || mean > 1+1e-6 {
				t.Errorf("nu %v, g %v: mean %v, want 1 (the tails beyond 60 are cut)", nu, g, mean)
			}
		}
	}
}

func TestGaussianEdges(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		t, nu, s  float64
		zero, big bool
	}{
		{"no degrees of freedom", 5, .5, 3, true, false},
		{"no number", nan, 10, 10, true, false},
		{"no spread of the tested column", 5, 10, 0, true, false},
		{"infinite column", 5, 10, inf, true, false},
		{"infinite t", inf, 10, 10, false, true},
		{"huge t", 1e200, 10, 10, false, true},
		{"ordinary", 1, 10, 10, false, false},
	} {
		for _, v := range []float64{LogT(c.t, c.nu, c.s, .1), LogTOneSided(c.t, c.nu, c.s, .1), LogTMean(c.t, c.nu, c.s, &LevelPrior)} {
			if math.IsNaN(v) || math.IsInf(v, 0) || c.zero && v != 0 || c.big && v < 3 {
				t.Errorf("%s: ln E %v", c.name, v)
			}
		}
	}
	if v := LogTOneSided(-1e200, 10, 10, .1); math.IsNaN(v) || v > -1 {
		t.Errorf("t far below: ln E %v", v)
	}
	for _, nu := range []float64{1, 10, 1e4} {
		for _, prior := range []*TPrior{&LevelPrior, &SlopePrior} {
			for _, s := range []float64{1, 10, 1e5} {
				if v := LogTMean(farBelow, nu, s, prior); !math.IsInf(v, -1) {
					t.Errorf("at t = %v: ln E %v", farBelow, v)
				}
			}
		}
		for _, g := range LevelPrior {
			if v := math.Exp(LogTOneSided(farBelow, nu, nu+1, g)); v > 1 {
				t.Errorf("nu %v, g %v: what is left out is %v", nu, g, v)
			}
		}
	}
	if got := TBar(700, 1, 1, &LevelPrior); !math.IsInf(got, 1) {
		t.Errorf("a bar that one degree of freedom never reaches: t = %v", got)
	}
	bar := TBar(math.Log(40), 100, 100, &LevelPrior)
	if got := LogTMean(bar, 100, 100, &LevelPrior); math.Abs(got-math.Log(40)) > 1e-9 {
		t.Errorf("at TBar ln E is %v, want %v", got, math.Log(40))
	}
	for _, v := range []float64{LogNormalMixture(nan, 1, 1), LogNormalMixture(1, -1, 1), LogNormalMixtureOneSided(1, 1, 0)} {
		if v != 0 {
			t.Errorf("impossible normal mixture: %v", v)
		}
	}
	if !math.IsNaN(MixtureRho(1, 1)) || !math.IsNaN(BatchCorrelation(1, 5)) || !math.IsNaN(TheilSen([]float64{1}, []float64{2})) {
		t.Error("parameters out of range must give NaN")
	}
}

func TestMomentsAndSlopeSubtract(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all, later, before Moments
	var line, laterLine, beforeLine SlopeSums
	for i := range 300 {
		if i == 100 {
			before, beforeLine = all, line
		}
		v := 1e6 + rng.NormFloat64()
		_ = all.Add(v)
		_ = line.Add(float64(i), 3*float64(i)+v)
		if i >= 100 {
			_ = later.Add(v)
			_ = laterLine.Add(float64(i), 3*float64(i)+v)
		}
	}
	got := all.Since(before)
	if got.N != 200 || !near(got.Mean(), later.Mean()) || math.Abs(got.SS()-later.SS()) > 1e-8*later.SS() {
		t.Errorf("since: %v %v %v, want %v %v %v", got.N, got.Mean(), got.SS(), later.N, later.Mean(), later.SS())
	}
	a, s, sigma := line.Since(beforeLine).Fit()
	b, s2, sigma2 := laterLine.Fit()
	if math.Abs(a-b) > 1e-9 || math.Abs(s/s2-1) > 1e-9 || math.Abs(sigma/sigma2-1) > 1e-6 {
		t.Errorf("slope since: %v %v %v, want %v %v %v", a, s, sigma, b, s2, sigma2)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), -1e200} {
		if all.Add(v) == nil || line.Add(1, v) == nil || line.Add(v, 1) == nil {
			t.Errorf("%v was taken in", v)
		}
	}
}

func TestAutoregression(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, phi := range []float64{0, .5, .9} {
		x, v := make([]float64, 5000), 0.0
		for i := range x {
			v = phi*v + rng.NormFloat64()
			x[i] = 100 + v
		}
		x[50], x[51] = math.NaN(), math.NaN()
		got := FitAR1(x)
		if math.Abs(got-phi) > .04 {
			t.Errorf("AR(1) of %v: %v", phi, got)
		}
		h := Prewhiten(nil, x, phi)
		if len(h) != len(x)-1-3 { // two gaps are three pairs less
			t.Errorf("%d residuals", len(h))
		}
		if k := Kappa(h); k < 1 || k > 1.6 {
			t.Errorf("kappa of prewhitened AR(%v): %v", phi, k)
		}
		if phi == .9 {
			if k := Kappa(x[100:]); k < 9 { // 19 in the limit of long batches
				t.Errorf("kappa of AR(.9) itself: %v", k)
			}
		}
	}
	constant := []float64{5, 5, 5, 5, 5, 5, 5, 5, 5, 5}
	if FitAR1(constant) != 0 || Kappa(constant) != 1 || Kurtosis(constant) != 0 {
		t.Error("a constant series has no structure")
	}
	// Alternating is not positive correlation; r_1 alone would be 1 on a ramp.
	if got := FitAR1([]float64{1, -1, 1, -1, 1, -1, 1, -1}); got != 0 {
		t.Errorf("alternating: %v", got)
	}
	ramp := make([]float64, 100)
	for i := range ramp {
		ramp[i] = float64(i)
	}
	if got := FitAR1(ramp); got != maxAR {
		t.Errorf("ramp: %v, want %v", got, maxAR)
	}
}

func TestKurtosisAndQuantiles(t *testing.T) {
	if got := Kurtosis([]float64{1, -1, 1, -1}); !near(got, 1) {
		t.Errorf("kurtosis of two points: %v", got)
	}
	if q := Quantiles([]float64{3, 1, 2, 4}, 0, .5, 1); q[0] != 1 || q[1] != 2.5 || q[2] != 4 {
		t.Errorf("quantiles: %v", q)
	}
	if q := Quantiles(nil, .5); !math.IsNaN(q[0]) {
		t.Errorf("quantile of nothing: %v", q)
	}
}

// A slope or a mean crosses 1/alpha on the null at most in alpha of the runs,
// looked at after every value.
func TestTCrossesRarelyOnTheNull(t *testing.T) {
	const runs, looks, bar = 2000, 300, 20
	mean, slope := 0, 0
	for run := range runs {
		rng := rand.New(rand.NewPCG(5, uint64(run)))
		var m Moments
		var line SlopeSums
		crossed, crossedSlope := false, false
		for i := range looks {
			v := rng.NormFloat64()
			_ = m.Add(v)
			_ = line.Add(float64(i)/4, v)
			if m.N >= 8 && !crossed {
				tt := m.Mean() / math.Sqrt(m.SS()/(m.N-1)/m.N)
				crossed = LogTMean(tt, m.N-1, m.N, &LevelPrior) >= math.Log(bar)
			}
			if b, s, sigma := line.Fit(); line.N >= 8 && !crossedSlope {
				crossedSlope = LogTMean(b*math.Sqrt(s)/sigma, line.N-2, s, &SlopePrior) >= math.Log(bar)
			}
		}
		if crossed {
			mean++
		}
		if crossedSlope {
			slope++
		}
	}
	t.Logf("crossed 20 on the null: mean %.4f, slope %.4f", float64(mean)/runs, float64(slope)/runs)
	for _, n := range []int{mean, slope} {
		if got := float64(n) / runs; got > .05+3*math.Sqrt(.05*.95/runs) {
			t.Errorf("crossed in %.4f of the runs, nominal .05", got)
		}
	}
	if mean == 0 {
		t.Error("never crossed: the test has no power")
	}
}

// A level that shifts with the first rows is early, one that shifts later or never is
// not.
func TestEarlyShift(t *testing.T) {
	const phi, n = .5, 40
	rng := rand.New(rand.NewPCG(6, 7))
	rows := func(at int, by float64) []float64 {
		w := make([]float64, n)
		for i := range w {
			w[i] = rng.NormFloat64()
			if i == at {
				w[i] += by
			} else if i > at {
				w[i] += (1 - phi) * by
			}
		}
		return w
	}
	for _, c := range []struct {
		name     string
		at       int
		by       float64
		low, top float64
	}{
		{"before the first row", -1, 6, .9, 1},
		{"in an early row", 2, 6, .9, 1},
		{"later", 20, 6, 0, .1},
		{"never", n, 0, 0, .5},
	} {
		if got := EarlyShift(rows(c.at, c.by), 3, phi, 1); !(got >= c.low && got <= c.top) {
			t.Errorf("%s: %v, want between %v and %v", c.name, got, c.low, c.top)
		}
	}
	if EarlyShift(nil, 0, phi, 0) != 0 || EarlyShift(nil, 0, 1, 1) != 0 {
		t.Error("parameters out of range must give 0")
	}
	if got := EarlyShift(nil, 0, phi, 1); !(got >= 0 && got <= .5) {
		t.Errorf("no rows: %v", got)
	}
}

func TestStudentQuantile(t *testing.T) {
	for _, c := range []struct{ p, nu, want float64 }{
		{.95, 1, 6.313752}, {.95, 2, 2.919986}, {.95, 9, 1.833113}, {.975, 30, 2.042272}, {.5, 3, 0},
	} {
		if got := StudentQuantile(c.p, c.nu); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("quantile %v on %v degrees: %v, want %v", c.p, c.nu, got, c.want)
		}
	}
	if !math.IsNaN(StudentQuantile(.4, 3)) || !math.IsNaN(StudentQuantile(.9, 0)) {
		t.Error("parameters out of range must give NaN")
	}
}

// The bound of the average lies above it, and not by more than the tails that it leaves
// out.
func TestLogTMeanBound(t *testing.T) {
	for _, nu := range []float64{1, 8, 50, 1e4} {
		for _, n := range []float64{1, 30, 1e5} {
			for x := -12.0; x <= 12; x += .125 {
				exact, bound := LogTMean(x, nu, n, &LevelPrior), LogTMeanBound(x, nu, n, &LevelPrior)
				if exact > bound+1e-12 || x >= 0 && bound > exact+math.Ln2+1e-12 {
					t.Errorf("t=%v nu=%v s=%v: the bound of %v is %v", x, nu, n, exact, bound)
				}
			}
		}
	}
	if got := LogTMeanBound(math.NaN(), 8, 30, &LevelPrior); got != 0 {
		t.Errorf("of no number: %v, want 0", got)
	}
}
