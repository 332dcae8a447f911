package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

// near is equality up to the rounding of sums of a few dozen folds.
func near(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-9*(1+math.Abs(a)+math.Abs(b))
}

func nearAll(a, b []float64) bool {
	for i := range a {
		if !near(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// drawRow draws a possible fold with exposure in both arms.
func drawRow(t *rapid.T) Row {
	r := Row{NC: float64(rapid.IntRange(1, 5000).Draw(t, "nC")), NB: float64(rapid.IntRange(1, 50000).Draw(t, "nB"))}
	r.XC = math.Floor(r.NC * rapid.Float64Range(0, .2).Draw(t, "pC"))
	r.XB = math.Floor(r.NB * rapid.Float64Range(0, .2).Draw(t, "pB"))
	return r
}

func drawRows(t *rapid.T) []Row {
	return rapid.SliceOfN(rapid.Custom(drawRow), 1, 30).Draw(t, "rows")
}

func profileOf(t *rapid.T, g *Grid, rows []Row, phi float64) *Profile {
	p := NewProfile(g)
	for _, r := range rows {
		if err := p.Add(g, r.XC, r.XB, r.NC, r.NB, phi); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestGrid(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	if g.Len() != 133 || g.RhoR() != 1.05 || g.RhoP() != 1.25 || g.Rho(g.IndexOf(1.05)) != 1.05 {
		t.Fatalf("grid of %d points, margins %v and %v", g.Len(), g.RhoR(), g.RhoP())
	}
	if g.IndexOf(1.06) != -1 || g.IndexOf(math.NaN()) != -1 || g.IndexOf(-1) != -1 || g.IndexOf(1) < 0 {
		t.Error("IndexOf finds what is no point, or misses 1")
	}
	// rho = 1 is a regular point and is replaced, not doubled; so is e^0.2.
	if n := NewGrid(1, math.Exp(.2)*(1+1e-12)).Len(); n != 131 {
		t.Errorf("%d points, want 131", n)
	}
	if got := g.LogRho(0); got != -3 {
		t.Errorf("first ln rho %v, want -3", got)
	}
	if got := g.LogRho(g.Len() - 1); got != 3.5 {
		t.Errorf("last ln rho %v, want 3.5", got)
	}
	for j := 1; j < g.Len(); j++ {
		if !(g.Rho(j) > g.Rho(j-1)) {
			t.Fatalf("points %d and %d not ascending", j-1, j)
		}
	}
	harm, safety := 0.0, 0.0
	for j := range g.Len() {
		harm += math.Exp(g.LogHarmPrior(j))
		safety += math.Exp(g.LogSafetyPrior(j))
		if j <= g.harm && !math.IsInf(g.LogHarmPrior(j), -1) || j >= g.safety && !math.IsInf(g.LogSafetyPrior(j), -1) {
			t.Errorf("prior weight at %v lies in the null", g.Rho(j))
		}
	}
	if !near(harm, 1) || !near(safety, 1) {
		t.Errorf("priors sum to %v and %v", harm, safety)
	}
}

// TestHarmPriorSeverities checks the published allocation of the prior over
// severities, printed to two digits.
func TestHarmPriorSeverities(t *testing.T) {
	g := NewGrid(1.05, 0)
	for _, c := range []struct{ from, to, want float64 }{
		{1.05, 1.15, .17}, {1.15, 1.5, .44}, {1.5, 2, .15}, {2, 4, .15}, {4, 1e9, .09},
	} {
		got := 0.0
		for j := range g.Len() {
			if r := g.Rho(j); r > c.from && r <= c.to {
				got += math.Exp(g.LogHarmPrior(j))
			}
		}
		if math.Abs(got-c.want) > .0051 {
			t.Errorf("weight of (%v, %v]: got %.4f, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestAbsentSides(t *testing.T) {
	none := math.Inf(-1)
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1), 1e9, 1e-9} {
		g := NewGrid(1.05, bad)
		p := fill(t, g, [][4]float64{{3, 5, 100, 900}})
		if got := p.LogSafety(g); got != none || g.RhoP() != 0 || math.IsInf(p.LogHarm(g), 0) {
			t.Errorf("rhoP %v: safety %v, harm %v", bad, got, p.LogHarm(g))
		}
		g = NewGrid(bad, 1.25)
		p = fill(t, g, [][4]float64{{3, 5, 100, 900}})
		if p.LogHarm(g) != none || p.LogHarmBound(g, nil) != none || g.RhoR() != 0 || math.IsInf(p.LogSafety(g), 0) {
			t.Errorf("rhoR %v: harm %v, safety %v", bad, p.LogHarm(g), p.LogSafety(g))
		}
		if bad != 0 {
			if _, err := NewGridConfig(GridConfig{RhoR: bad}); !errors.Is(err, ErrParameter) {
				t.Errorf("rhoR %v: error %v", bad, err)
			}
		}
	}
	for _, c := range []GridConfig{{HarmScale: -1}, {SafetySD: math.NaN()}, {MaxLog: 99}, {Extra: []float64{0}}} {
		if _, err := NewGridConfig(c); !errors.Is(err, ErrParameter) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

func TestNoDataIsNoEvidence(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	a, _ := NewAffine(Safety, 1, .005)
	for _, f := range [][4]float64{{}, {0, 0, 10, 90}, {3, 0, 10, 0}, {0, 7, 0, 90}} {
		mustAdd(t, p, g, f[0], f[1], f[2], f[3], 1)
		if f[1] != 0 || f[0] != 0 || f[2] == 0 {
			if err := a.Add(f[0], f[1], f[2], f[3], 1, .01); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !near(p.LogHarm(g), 0) || !near(p.LogSafety(g), 0) || a.LogE() != 0 {
		t.Errorf("evidence without information: %v %v %v", p.LogHarm(g), p.LogSafety(g), a.LogE())
	}
	if lo, hi := p.Interval(g, .05); lo != 0 || !math.IsInf(hi, 1) {
		t.Errorf("interval without information [%v, %v]", lo, hi)
	}
	// Exposure without events is no evidence on a ratio, but it is on a margin:
	// with lam near -1 about delta nC nats.
	for range 100 {
		if err := a.Add(0, 0, 100, 900, 1, 1e-6); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := a.LogE(), 100*100*.005+math.Log(.7); math.Abs(got-want) > .01*want {
		t.Errorf("ln E of 10 000 requests without events %v, want about %v", got, want)
	}
}

// TestProfileLaws: order, splitting, units, strata, restarts, the last fold.
func TestProfileLaws(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	rapid.Check(t, func(t *rapid.T) {
		rows, phi := drawRows(t), rapid.Float64Range(1, 6).Draw(t, "phi")
		p := profileOf(t, g, rows, phi)

		shuffled := rapid.Permutation(rows).Draw(t, "shuffled")
		if !nearAll(p.L, profileOf(t, g, shuffled, phi).L) {
			t.Error("the order of folds matters")
		}

		// A fold split in two of equal w is the same evidence.
		var split []Row
		for _, r := range rows {
			xC, xB := math.Floor(r.XC/3), math.Floor(r.XB/2)
			split = append(split, Row{xC, xB, r.NC / 2, r.NB / 2}, Row{r.XC - xC, r.XB - xB, r.NC / 2, r.NB / 2})
		}
		if !nearAll(p.L, profileOf(t, g, split, phi).L) {
			t.Error("splitting a fold matters")
		}

		// The unit of exposure cancels.
		scale := rapid.SampledFrom([]float64{2, 60, 1000}).Draw(t, "unit")
		var scaled []Row
		for _, r := range rows {
			scaled = append(scaled, Row{r.XC, r.XB, r.NC * scale, r.NB * scale})
		}
		if !nearAll(p.L, profileOf(t, g, scaled, phi).L) {
			t.Error("the unit of exposure matters")
		}

		// Strata merge to the sum, and leave by subtraction.
		cut := rapid.IntRange(0, len(rows)).Draw(t, "cut")
		first, second := profileOf(t, g, rows[:cut], phi), profileOf(t, g, rows[cut:], phi)
		if err := second.Merge(first); err != nil || !nearAll(p.L, second.L) {
			t.Errorf("strata do not sum: %v", err)
		}
		if got, want := p.LogHarmWithout(g, nil, first.L), profileOf(t, g, rows[cut:], phi).LogHarm(g); !near(got, want) {
			t.Errorf("without a stratum: got %v, want %v", got, want)
		}
		if got, want := p.LogHarmSince(g, first.L), p.LogHarmWithout(g, nil, first.L); got != want {
			t.Errorf("restart: got %v, want %v", got, want)
		}
		if e, b := p.LogHarm(g), p.LogHarmBound(g, nil); e > b+1e-12 {
			t.Errorf("ln E %v above its bound %v", e, b)
		}
		if e, b := p.LogHarmSince(g, first.L), p.LogHarmBound(g, first.L); e > b+1e-12 {
			t.Errorf("restarted ln E %v above its bound %v", e, b)
		}

		// The increment of the last fold is what it added.
		last := rows[len(rows)-1]
		inc := make([]float64, g.Len())
		again := profileOf(t, g, rows[:len(rows)-1], phi)
		if err := again.AddInto(g, inc, last.XC, last.XB, last.NC, last.NB, phi); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again.L, p.L) {
			t.Error("AddInto and Add differ")
		}
		if got, want := p.LogHarmWithout(g, nil, inc), profileOf(t, g, rows[:len(rows)-1], phi).LogHarm(g); !near(got, want) {
			t.Errorf("without the last fold: got %v, want %v", got, want)
		}

		if lo, hi := p.Interval(g, .05); !(lo < hi) {
			t.Errorf("interval [%v, %v]", lo, hi)
		}
	})
}

// TestProfileMirror: exchanging the arms mirrors the likelihood about ln rho = 0.
func TestProfileMirror(t *testing.T) {
	ln := regularPoints(3) // symmetric: -3..3
	g := newGridPoints(ln, nil, defaultSafetySD, defaultHarm)
	rapid.Check(t, func(t *rapid.T) {
		p, q := NewProfile(g), NewProfile(g)
		for _, r := range drawRows(t) {
			_ = p.Add(g, r.XC, r.XB, r.NC, r.NB, 1)
			_ = q.Add(g, r.XB, r.XC, r.NB, r.NC, 1)
		}
		zero := g.IndexOf(1)
		for j := range ln {
			a, b := p.L[j]-p.L[zero], q.L[len(ln)-1-j]-q.L[zero]
			if !near(a, b) {
				t.Fatalf("ln rho %v: %v, mirrored %v", ln[j], a, b)
			}
		}
	})
}

// TestHarmFallsInTheMargin: on average data at a ratio of 1.5, E_R(rhoR) falls
// in rhoR below 1.5 and E_P(rhoP) rises in rhoP above it. (On the other side both
// are below 1, and there the priors, which follow the margin, may turn them.)
func TestHarmFallsInTheMargin(t *testing.T) {
	g := NewGrid(0, 0)
	p := NewProfile(g)
	for range 50 {
		mustAdd(t, p, g, 1.5, 9, 100, 900, 1)
	}
	for i := 1; i < g.Len(); i++ {
		if g.Rho(i) <= 1.5 && p.LogHarmAt(g, i) > p.LogHarmAt(g, i-1) {
			t.Errorf("E_R rises from margin %.3f to %.3f", g.Rho(i-1), g.Rho(i))
		}
		if g.Rho(i-1) >= 1.5 && p.LogSafetyAt(g, i) < p.LogSafetyAt(g, i-1) {
			t.Errorf("E_P falls from margin %.3f to %.3f", g.Rho(i-1), g.Rho(i))
		}
	}
}

func TestIntervalOfMuchDataStaysOnTheGrid(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	p := fill(t, g, [][4]float64{{1.62e9, 9e9, 1e12, 9e12}}) // ratio 1.62, between two points
	lo, hi := p.Interval(g, .05)
	if !(lo < 1.62 && 1.62 < hi) || hi/lo > 1.11 {
		t.Errorf("interval [%v, %v], want the neighbours of the point nearest to 1.62", lo, hi)
	}
	far := fill(t, g, [][4]float64{{5e8, 1e6, 1e9, 1e9}}) // ratio 500, beyond the grid
	if lo, hi := far.Interval(g, .05); lo < 30 || !math.IsInf(hi, 1) || far.LogHarm(g) < 1000 {
		t.Errorf("beyond the grid: [%v, %v], ln E %v", lo, hi, far.LogHarm(g))
	}
}

// TestHugeSums: 1e5 folds that sum to 1e11 events keep 1e-9 nats of the one fold
// that holds them all, relative to the size of the sums.
func TestHugeSums(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	p, q := NewProfile(g), NewProfile(g)
	const folds = 20_000
	for range folds {
		mustAdd(t, p, g, 1e6/8, 9e6/8, 1e8, 9e8, 1)
	}
	mustAdd(t, q, g, folds*1e6/8, folds*9e6/8, 1e8*folds/100, 9e8*folds/100, 1)
	i, one := g.harm, g.IndexOf(1)
	a, b := p.L[one]-p.L[i], q.L[one]-q.L[i]
	if math.Abs(a-b) > 1e-9*math.Abs(b) {
		t.Errorf("got %.15g, want %.15g", a, b)
	}
}

func TestAffineLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Harm, Safety}).Draw(t, "side")
		rho0 := rapid.Float64Range(.5, 1.5).Draw(t, "rho0") // below 1 the healthy bet has the wrong sign
		delta := rapid.Float64Range(0, .05).Draw(t, "delta")
		pB1 := rapid.Float64Range(1e-5, .2).Draw(t, "pB1")
		rows, phi := drawRows(t), rapid.Float64Range(1, 6).Draw(t, "phi")
		run := func(rows []Row) *Affine {
			a, err := NewAffine(side, rho0, delta)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if err := a.Add(r.XC, r.XB, r.NC, r.NB, phi, pB1); err != nil {
					t.Fatal(err)
				}
			}
			return a
		}
		a := run(rows)
		// With one predicted rate the order is free.
		if b := run(rapid.Permutation(rows).Draw(t, "shuffled")); !nearAll(a.Sums[:], b.Sums[:]) {
			t.Error("the order of folds matters")
		}
		var split []Row
		for _, r := range rows {
			xC, xB := math.Floor(r.XC/3), math.Floor(r.XB/2)
			split = append(split, Row{xC, xB, r.NC / 2, r.NB / 2}, Row{r.XC - xC, r.XB - xB, r.NC / 2, r.NB / 2})
		}
		if b := run(split); !nearAll(a.Sums[:], b.Sums[:]) {
			t.Error("splitting a fold matters")
		}
		cut := rapid.IntRange(0, len(rows)-1).Draw(t, "cut")
		before, after := run(rows[:cut]), run(rows[cut:])
		if got, want := a.LogESince(&before.Sums), after.LogE(); !near(got, want) {
			t.Errorf("restart: got %v, want %v", got, want)
		}
		var inc AffineSums
		b, last := run(rows[:len(rows)-1]), rows[len(rows)-1]
		if err := b.AddInto(&inc, last.XC, last.XB, last.NC, last.NB, phi, pB1); err != nil {
			t.Fatal(err)
		}
		if b.Sums != a.Sums {
			t.Error("AddInto and Add differ")
		}
		if got, want := a.LogEWithout(nil, &inc), run(rows[:len(rows)-1]).LogE(); !near(got, want) {
			t.Errorf("without the last fold: got %v, want %v", got, want)
		}
		// phi divides.
		plain, _ := NewAffine(side, rho0, delta)
		tempered, _ := NewAffine(side, rho0, delta)
		_ = plain.Add(last.XC, last.XB, last.NC, last.NB, 1, pB1)
		_ = tempered.Add(last.XC, last.XB, last.NC, last.NB, phi, pB1)
		for i := range plain.Sums {
			if !near(plain.Sums[i], phi*tempered.Sums[i]) {
				t.Errorf("bet %d: %v without phi, %v with phi %v", i, plain.Sums[i], tempered.Sums[i], phi)
			}
		}
		// Every bet has the sign of its side and keeps both logarithms finite.
		for i := range a.components() {
			lam := bet(side, i, rho0, delta, last.NC, last.NB, pB1)
			if side == Harm && lam < 0 || side == Safety && lam > 0 || lam <= -1 || lam*rho0*last.NC/last.NB >= 1 {
				t.Errorf("%v: bet %d is %v", side, i, lam)
			}
		}
	})
}

func TestDifferenceCS(t *testing.T) {
	s, err := NewDifferenceCS(.01, .005)
	if err != nil {
		t.Fatal(err)
	}
	if lo, hi := s.Interval(.05); lo != -1 || hi != 1 {
		t.Errorf("without data [%v, %v]", lo, hi)
	}
	if s.Delta(0) != -.04 || s.Delta(20) != 0 || s.Delta(40) != .04 {
		t.Errorf("deltas %v %v %v", s.Delta(0), s.Delta(20), s.Delta(40))
	}
	mirror, _ := NewDifferenceCS(.01, .005)
	for range 400 {
		if err := s.Add(2, 5, 100, 900, 1); err != nil { // p_C - p_B = .0144
			t.Fatal(err)
		}
		if err := mirror.Add(5, 2, 900, 100, 1); err != nil {
			t.Fatal(err)
		}
	}
	lo, hi := s.Interval(.05)
	if !(lo > .008 && lo < .01445 && hi > .01445 && hi < .021) {
		t.Errorf("interval [%v, %v], want around .0144", lo, hi)
	}
	for i := range s.Sums { // p_C <= p_B + delta is p_B >= p_C - delta
		k := len(s.Sums) - 1 - i
		if i != k && (!nearAll(s.Sums[i][:healthyBet], mirror.Sums[k][healthyBet:]) || !nearAll(s.Sums[i][healthyBet:], mirror.Sums[k][:healthyBet])) {
			t.Errorf("delta %v is not mirrored", s.Delta(i))
		}
	}
	if s.Canary != (BaselineRate{X: 800, N: 40_000, PHist: .005}) || s.Baseline != (BaselineRate{X: 2000, N: 360_000, PHist: .005}) {
		t.Errorf("rates %+v and %+v", s.Canary, s.Baseline)
	}
	mlo, mhi := mirror.Interval(.05)
	if math.Abs(mlo+hi) > 1e-12 || math.Abs(mhi+lo) > 1e-12 {
		t.Errorf("exchanged arms [%v, %v], want [%v, %v]", mlo, mhi, -hi, -lo)
	}
}

func TestBatchLengths(t *testing.T) {
	for _, c := range []struct {
		seconds int
		want    []BatchLength
	}{
		{5, []BatchLength{{1, 0}, {4, 0}, {12, 0}, {60, 1}, {180, 2}}},
		{15, []BatchLength{{1, 0}, {4, 0}, {20, 1}, {60, 2}}},
		{45, []BatchLength{{1, 0}, {4, 1}, {7, 1}, {20, 2}}}, // 4 folds are 3 min, a tie
		{60, []BatchLength{{1, 0}, {4, 1}, {5, 1}, {15, 2}}},
		{90, []BatchLength{{1, 0}, {3, 1}, {4, 1}, {10, 2}}}, // 4 folds are 6 min
		{3600, []BatchLength{{1, 2}, {4, 2}}},
	} {
		if got := BatchLengths(secondsOf(c.seconds)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("cadence %d s: got %v, want %v", c.seconds, got, c.want)
		}
	}
	if BatchLengths(0) != nil {
		t.Error("batch lengths of no cadence")
	}
}

func TestDispersionRateScaling(t *testing.T) {
	d, err := NewDispersion(DispersionConfig{Cadence: time.Minute, Priors: Priors{2, 2, 2}, PHist: .001})
	if err != nil {
		t.Fatal(err)
	}
	add := func(xB float64) {
		if err := d.Add(xB/9, xB, 1000, 9000); err != nil {
			t.Fatal(err)
		}
	}
	add(18) // twice history, but under 20 events
	if d.RateRatio() != 1 {
		t.Errorf("ratio %v from 18 events", d.RateRatio())
	}
	add(18)
	if !near(d.RateRatio(), 2) {
		t.Errorf("ratio %v, want 2", d.RateRatio())
	}
	base := 1.0
	for i := range d.sums {
		base = max(base, d.sums[i].posterior())
	}
	if got, want := d.Phi(), 1+2*(base-1); !near(got, want) {
		t.Errorf("phi %v, want %v", got, want)
	}
	for range 5 { // five quiet minutes: the old rate has left the window
		add(6)
	}
	if d.RateRatio() != 1 {
		t.Errorf("ratio %v after five quiet minutes", d.RateRatio())
	}
	unknown, _ := NewDispersion(DispersionConfig{Cadence: time.Minute})
	_ = unknown.Add(100, 900, 1000, 9000)
	if unknown.RateRatio() != 1 || unknown.sums[0].prior != NoHistoryPhi {
		t.Errorf("without history: ratio %v, prior %v", unknown.RateRatio(), unknown.sums[0].prior)
	}
}

// TestDispersionCells: cells with one share are one cell; noise that strikes all
// cells of a fold alike is seen through their sum.
func TestDispersionCells(t *testing.T) {
	c := DispersionConfig{Cadence: secondsOf(15), Priors: Priors{1, 1, 1}}
	whole, _ := NewDispersion(c)
	parts, _ := NewDispersion(c)
	rng := rand.New(rand.NewPCG(11, 12))
	for range 300 {
		xC, xB := float64(2*rng.IntN(9)), float64(2*rng.IntN(40))
		if err := whole.Add(xC, xB, 200, 1800); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := parts.AddCell(xC/2, xB/2, 100, 900); err != nil {
				t.Fatal(err)
			}
		}
		parts.CloseFold()
		if !near(whole.Phi(), parts.Phi()) {
			t.Fatalf("whole %v, parts %v", whole.Phi(), parts.Phi())
		}
	}
}

func TestDispersionRestores(t *testing.T) {
	for _, seconds := range []int{5, 60} {
		c := DispersionConfig{Cadence: secondsOf(seconds), Priors: Priors{1.5, 2, 2.5}, PHist: .004}
		d, _ := NewDispersion(c)       // runs through
		resumed, _ := NewDispersion(c) // is stored and restored after every fold
		rng := rand.New(rand.NewPCG(13, 14))
		for k := range 400 {
			xC, xB := float64(rng.IntN(5)), float64(rng.IntN(30))
			for _, e := range []*Dispersion{d, resumed} {
				if err := e.Add(xC, xB, 150, 1000); err != nil {
					t.Fatal(err)
				}
			}
			text, err := json.Marshal(resumed.State())
			if err != nil {
				t.Fatal(err)
			}
			var st DispersionState
			if err := json.Unmarshal(text, &st); err != nil {
				t.Fatal(err)
			}
			if resumed, err = RestoreDispersion(c, st); err != nil {
				t.Fatal(err)
			}
			if resumed.Phi() != d.Phi() || resumed.RateRatio() != d.RateRatio() || !reflect.DeepEqual(resumed.State(), d.State()) {
				t.Fatalf("fold %d: restored phi %v, want %v", k, resumed.Phi(), d.Phi())
			}
		}
	}
	d, _ := NewDispersion(DispersionConfig{Cadence: time.Minute})
	if _, err := RestoreDispersion(DispersionConfig{Cadence: time.Second}, d.State()); !errors.Is(err, ErrShape) {
		t.Errorf("state of another cadence: %v", err)
	}
}

func TestHistoryPhi(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	world := func(minutes int, fold func() (x, y float64)) Priors {
		rows := make([]Row, minutes)
		for i := range rows {
			x, y := fold()
			rows[i] = Row{x, y, 1200, 10800}
		}
		return PriorsOf(HistoryPhi(rows))
	}
	independent := world(1440, func() (float64, float64) { return poisson(rng, 6), poisson(rng, 54) })
	for _, p := range independent {
		if p < 1 || p > 1.5 {
			t.Errorf("independent events: priors %v", independent)
		}
	}
	clusters := world(1440, func() (float64, float64) { return clustered(rng, 6), clustered(rng, 54) })
	for _, p := range clusters { // true phi 5, plus one standard error of up to .14
		if p < 3.5 || p > 7.5 {
			t.Errorf("clusters of mean 3: priors %v", clusters)
		}
	}
	if got := PriorsOf(HistoryPhi(nil)); got != NoHistory() {
		t.Errorf("no rows: %v", got)
	}
	if got := world(1440, func() (float64, float64) { return 0, 0 }); got != NoHistory() {
		t.Errorf("no events: %v", got)
	}
	if got := MedianPriors([]Priors{{1, 2, 3}, {5, 1, 9}, {2, 7, 4}}); got != (Priors{2, 2, 4}) {
		t.Errorf("median %v", got)
	}
	if got := MedianPriors([]Priors{{1, 2, 3}, {2, 4, 9}}); got != (Priors{1.5, 3, 6}) || got.Max() != 6 {
		t.Errorf("median of two %v", got)
	}
	if MedianPriors(nil) != NoHistory() {
		t.Error("median of none")
	}
}

func TestStartMixture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(0, 20).Draw(t, "slots")
		used := rapid.IntRange(0, slots).Draw(t, "used")
		first := rapid.Float64Range(-50, 50).Draw(t, "first")
		restarts := rapid.SliceOfN(rapid.Float64Range(-50, 50), used, used).Draw(t, "restarts")
		w0, w := StartWeights(slots)
		if !near(w0+float64(slots)*w, 1) {
			t.Fatalf("weights sum to %v", w0+float64(slots)*w)
		}
		want := w0*math.Exp(first) + w*float64(slots-used)
		for _, r := range restarts {
			want += w * math.Exp(r)
		}
		if got := LogStartMixture(first, restarts, slots); !near(got, math.Log(want)) {
			t.Errorf("got %v, want %v", got, math.Log(want))
		}
	})
	if got := LogStartMixture(3, nil, 0); got != 3 {
		t.Errorf("without slots %v, want 3", got)
	}
	if got := LogStartMixture(800, []float64{-800}, 1); !near(got, 800-math.Ln2) {
		t.Errorf("immediate onset %v, want 800 - ln 2", got)
	}
	if got := LogStartMixture(math.NaN(), []float64{math.Inf(-1)}, 2); !near(got, math.Log(.25)) {
		t.Errorf("NaN and 0: %v", got)
	}
	if got := LogStartMixture(0, []float64{5, 6, 7}, 1); !near(got, math.Log(.5+.5*math.Exp(5))) {
		t.Errorf("more restarts than slots: %v", got)
	}
	if got := LogStartMixture(math.Inf(-1), nil, 0); !math.IsInf(got, -1) {
		t.Errorf("no evidence: %v", got)
	}
}

func TestLogWeightedMean(t *testing.T) {
	// The average of the published list {300, 40, 8, 1.5, .4}.
	e := []float64{math.Log(300), math.Log(40), math.Log(8), math.Log(1.5), math.Log(.4)}
	got, err := LogWeightedMean(e, []float64{1, 1, 1, 1, 1})
	if err != nil || math.Abs(math.Exp(got)-69.98) > 1e-9 {
		t.Errorf("average %v, %v", math.Exp(got), err)
	}
	got, err = LogWeightedMean([]float64{1000, math.Inf(-1), -1000}, []float64{.7, .3, 0})
	if err != nil || !near(got, 1000+math.Log(.7)) {
		t.Errorf("large e-value: %v, %v", got, err)
	}
	if got, err = LogWeightedMean([]float64{math.Inf(-1)}, []float64{1}); err != nil || !math.IsInf(got, -1) {
		t.Errorf("no evidence: %v, %v", got, err)
	}
	for _, c := range []struct{ e, w []float64 }{
		{nil, nil},
		{[]float64{0}, []float64{0}},
		{[]float64{0}, []float64{-1}},
		{[]float64{math.NaN()}, []float64{1}},
		{[]float64{math.Inf(1)}, []float64{1}},
		{[]float64{0}, []float64{math.NaN()}},
		{[]float64{0, 1}, []float64{1}},
	} {
		if got, err := LogWeightedMean(c.e, c.w); err == nil || !math.IsInf(got, -1) {
			t.Errorf("%v with weights %v: %v, %v", c.e, c.w, got, err)
		}
	}
}

func TestPlanner(t *testing.T) {
	harm := RatioPlan{Side: Harm, Events: 300, Weight: .1, Rho0: 1.05, Demand: Demand{Alpha: .01, C: LossHarm, Phi: 1}}
	safety := RatioPlan{Side: Safety, Events: 300, Weight: .1, Rho0: 1.25, Demand: Demand{Alpha: .05, C: LossSafety, Phi: 1}}
	for _, p := range []RatioPlan{harm, safety} {
		for _, within := range []float64{1, 20, 300} {
			rho, err := DetectableRatio(p, within)
			if err != nil {
				t.Fatal(err)
			}
			p.Rho1 = rho
			if got, _ := MinutesRatio(p); rho > 0 && math.Abs(got-within) > 1e-6*within {
				t.Errorf("%v: ratio %v takes %v min, want %v", p.Side, rho, got, within)
			}
		}
	}
	if rho, _ := DetectableRatio(harm, 1e-9); !math.IsInf(rho, 1) {
		t.Errorf("detectable in no time: %v", rho)
	}
	if rho, _ := DetectableRatio(safety, 1e-9); rho != 0 {
		t.Errorf("provable in no time: %v", rho)
	}
	// Inside its null nothing is ever found; phi and evidence enter as they should.
	inside := harm
	inside.Rho1 = 1
	if got, _ := MinutesRatio(inside); !math.IsInf(got, 1) {
		t.Errorf("inside the null: %v", got)
	}
	p := harm
	p.Rho1 = 2
	one, _ := MinutesRatio(p)
	p.Phi = 3
	if got, _ := MinutesRatio(p); !near(got, 3*one) {
		t.Errorf("phi 3: %v, want %v", got, 3*one)
	}
	p.LogE = 100
	if got, _ := MinutesRatio(p); got != 0 {
		t.Errorf("bar reached: %v", got)
	}
	p.Events, p.LogE = 0, 0
	if got, _ := MinutesRatio(p); !math.IsInf(got, 1) {
		t.Errorf("no events: %v", got)
	}

	// With delta = 0 the affine forecast uses the same gain as one ratio bet.
	a := AffinePlan{Side: Harm, NC: 6000, NB: 54000, PC: .01, PB: .005, Rho0: 1.05, Demand: harm.Demand}
	got, err := MinutesAffine(a)
	want, _ := MinutesRatio(RatioPlan{Side: Harm, Events: 300, Weight: .1, Rho1: 2, Rho0: 1.05, Demand: harm.Demand})
	if err != nil || math.Abs(got-want) > 1e-9*want {
		t.Errorf("affine without delta %v, ratio %v, %v", got, want, err)
	}
	// Inside the null nothing is ever found.
	for _, c := range []struct {
		side Side
		pC   float64
	}{{Harm, .0055}, {Safety, .0065}} {
		in := AffinePlan{Side: c.side, NC: 600, NB: 5400, PC: c.pC, PB: .005, Rho0: 1, Delta: .001, Demand: harm.Demand}
		if got, err := MinutesAffine(in); err != nil || !math.IsInf(got, 1) {
			t.Errorf("%v inside the null: %v, %v", c.side, got, err)
		}
	}
	// No events at all: about (ln 20 + 1) phi/delta canary requests.
	a = AffinePlan{Side: Safety, NC: 100, NB: 900, Rho0: 1, Delta: .005, Demand: safety.Demand}
	if got, _ := MinutesAffine(a); math.Abs(got-(math.Log(20)+1)/.5) > 1e-6 {
		t.Errorf("no events: %v", got)
	}
	for _, side := range []Side{Harm, Safety} {
		a = AffinePlan{Side: side, NC: 600, NB: 5400, PB: .001, Rho0: 1.05, Delta: .001, Demand: safety.Demand}
		rate, err := DetectableRate(a, 30)
		if err != nil {
			t.Fatal(err)
		}
		a.PC = rate
		if got, _ := MinutesAffine(a); rate > 0 && rate < 1 && math.Abs(got-30) > 1e-3 {
			t.Errorf("%v: rate %v takes %v min, want 30", side, rate, got)
		}
	}
	if rate, _ := DetectableRate(a, 1e-6); rate != -1 {
		t.Errorf("provable in no time: %v", rate)
	}
	nan := math.NaN()
	for _, bad := range []RatioPlan{
		{},
		{Side: Harm, Events: nan, Weight: .1, Rho1: 2, Rho0: 1, Demand: harm.Demand},
		{Side: Harm, Events: 1, Weight: 1, Rho1: 2, Rho0: 1, Demand: harm.Demand},
		{Side: Harm, Events: 1, Weight: .5, Rho1: nan, Rho0: 1, Demand: harm.Demand},
		{Side: Harm, Events: 1, Weight: .5, Rho1: 2, Rho0: 1, Demand: Demand{Alpha: .01, C: 1, Phi: nan}},
		{Side: Harm, Events: 1, Weight: .5, Rho1: 2, Rho0: 1, Demand: Demand{Alpha: 0, C: 1, Phi: 1}},
	} {
		if got, err := MinutesRatio(bad); err == nil || !math.IsNaN(got) {
			t.Errorf("%+v: %v, %v", bad, got, err)
		}
	}
	if _, err := MinutesAffine(AffinePlan{}); err == nil {
		t.Error("empty affine plan accepted")
	}
	if _, err := DetectableRatio(harm, -1); !errors.Is(err, ErrParameter) {
		t.Errorf("negative duration: %v", err)
	}
}

func TestKL(t *testing.T) {
	if got := KL(.2, .1); !near(got, .2*math.Log(2)+.8*math.Log(.8/.9)) {
		t.Errorf("KL %v", got)
	}
	if KL(0, 0) != 0 || KL(1, 1) != 0 || !math.IsInf(KL(.5, 0), 1) || !math.IsInf(KL(.5, 1), 1) || !math.IsNaN(KL(2, .5)) {
		t.Error("special cases of KL")
	}
}

func TestBetaBinomialSpecialCases(t *testing.T) {
	if got, err := LogBetaBinomial(Harm, 0, 0, .1, 1, 1); err != nil || !near(got, 0) {
		t.Errorf("no data: %v, %v", got, err)
	}
	if got, err := LogBetaBinomial(Harm, 0, 1e9, .5, 1, 1); err != nil || !math.IsInf(got, -1) {
		t.Errorf("far on the wrong side: %v, %v", got, err)
	}
	for _, c := range [][5]float64{{-1, 0, .1, 1, 1}, {0, math.NaN(), .1, 1, 1}, {1, 1, 0, 1, 1}, {1, 1, 1, 1, 1}, {1, 1, .5, 0, 1}, {1, 1, .5, 1, math.Inf(1)}} {
		if got, err := LogBetaBinomial(Harm, c[0], c[1], c[2], c[3], c[4]); err == nil || !math.IsInf(got, -1) {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
	if _, err := LogBetaBinomial(0, 1, 1, .5, 1, 1); !errors.Is(err, ErrParameter) {
		t.Errorf("no side: %v", err)
	}
}

// TestBetaBinomialAgainstIntegral integrates the truncated prior by the midpoint
// rule.
func TestBetaBinomialAgainstIntegral(t *testing.T) {
	for _, c := range []struct{ x, y, q0, a, b float64 }{{3, 20, .2, 1, 1}, {12, 30, .25, 2, 5}, {0, 4, .3, 1, 3}} {
		for _, side := range []Side{Harm, Safety} {
			from, to := c.q0, 1.
			if side == Safety {
				from, to = 0, c.q0
			}
			const n = 200_000
			num, den := 0.0, 0.0
			for i := range n {
				q := from + (to-from)*(float64(i)+.5)/n
				prior := math.Pow(q, c.a-1) * math.Pow(1-q, c.b-1)
				den += prior
				num += prior * math.Pow(q/c.q0, c.x) * math.Pow((1-q)/(1-c.q0), c.y)
			}
			got, err := LogBetaBinomial(side, c.x, c.y, c.q0, c.a, c.b)
			if want := math.Log(num / den); err != nil || math.Abs(got-want) > 1e-8 {
				t.Errorf("%+v %v: got %.12g, want %.12g, %v", c, side, got, want, err)
			}
		}
	}
}

func TestHistoryRate(t *testing.T) {
	if got := HistoryRate(12, 10_000, .01); !near(got, .00125) {
		t.Errorf("rate %v", got)
	}
	for _, n := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if got := HistoryRate(0, n, .01); got != .005 {
			t.Errorf("n %v: %v, want half the budget", n, got)
		}
	}
	if HistoryRate(5, 5, .01) != 1 {
		t.Error("rate above 1")
	}
	if r := (&BaselineRate{PHist: math.NaN()}); r.P1() != 1e-3 {
		t.Errorf("rate of nothing %v", r.P1())
	}
}

func TestExcess(t *testing.T) {
	// q(1.05) at w = .1 is .105/1.005; 10 of 40 events.
	if got, want := RatioExcess(1.05, 10, 30, 100, 900, 2), (10-40*.105/1.005)/2; !near(got, want) {
		t.Errorf("ratio: got %v, want %v", got, want)
	}
	a, _ := NewAffine(Harm, 1.05, .0025)
	if got, want := a.Excess(10, 30, 100, 900, 2, .02), (10-100*(.021+.0025))/2; !near(got, want) {
		t.Errorf("affine: got %v, want %v", got, want)
	}
	if RatioExcess(1.05, 3, 0, 2, 9, 1) != 0 || RatioExcess(1.05, 1, 1, 5, 5, math.NaN()) != 0 || a.Excess(1, 0, 5, 0, 1, .1) != 0 || a.Excess(1, 0, 5, 5, 1, 0) != 0 {
		t.Error("excess of a refused or empty fold")
	}
}
