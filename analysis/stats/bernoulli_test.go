package stats

import (
	"errors"
	"math"
	"testing"
)

// V5 of statistics 14.
func TestPublishedProjection(t *testing.T) {
	for _, c := range []struct{ rho0, delta, pC0, pB0, lnE float64 }{
		{1, 0, .406, .406, 1.02210867},
		{1.1, 0, .44231708, .40210643, .26629845},
		{1, .02, .42394919, .40394919, .60352643},
	} {
		pC0, pB0 := Project(50, 450, .46, .40, c.rho0, c.delta)
		if math.Abs(pC0-c.pC0) > 1e-8 || math.Abs(pB0-c.pB0) > 1e-8 {
			t.Errorf("%v: projection (%.9f, %.9f), want (%v, %v)", c, pC0, pB0, c.pC0, c.pB0)
		}
		if got := bernoulliTerm(25, 170, 50, 450, .46, .40, c.rho0, c.delta); math.Abs(got-c.lnE) > 1e-6 {
			t.Errorf("%v: ln e %.9f, want %v", c, got, c.lnE)
		}
	}
}

// meanOfBernoulli is the mean of component i of one fold, exactly: the outcomes of
// an arm multiply.
func meanOfBernoulli(pC1, pB1, pC0, pB0, pC, pB float64, nC, nB int) float64 {
	arm := func(p1, p0, p float64, n int) float64 {
		return math.Pow(p*p1/p0+(1-p)*(1-p1)/(1-p0), float64(n))
	}
	return arm(pC1, pC0, pC, nC) * arm(pB1, pB0, pB, nB)
}

// The mean over all outcomes of small folds, by enumeration of the counts, is at
// most 1 on a grid of the null, for every component.
func TestBernoulliIsASupermartingale(t *testing.T) {
	for _, side := range []Side{Harm, Safety} {
		for _, m := range []struct{ rho0, delta float64 }{{1, 0}, {1.05, 0}, {1.25, 0}, {1 / .95, 0}, {1.05, .05}, {1, .1}, {1 / .75, 0}} {
			for _, n := range []struct{ c, b int }{{1, 1}, {2, 5}, {4, 3}, {1, 9}} {
				for _, pB1 := range []float64{.11, .3, .55, .7} {
					checkMeans(t, side, m.rho0, m.delta, n.c, n.b, pB1)
				}
			}
		}
	}
}

func checkMeans(t *testing.T, side Side, rho0, delta float64, nC, nB int, pB1 float64) {
	t.Helper()
	e := make([][]float64, nC+1) // e[xC][xB]: of the mixture
	for xC := range e {
		e[xC] = make([]float64, nB+1)
		for xB := range e[xC] {
			b, err := NewBernoulli(side, rho0, delta)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Add(float64(xC), float64(xB), float64(nC), float64(nB), 1, pB1); err != nil {
				t.Fatal(err)
			}
			e[xC][xB] = math.Exp(b.LogE())
		}
	}
	worst := 0.0
	for i := range 41 {
		pB := float64(i) / 40
		boundary := rho0*pB + delta
		if boundary > 1 {
			if side == Safety {
				continue // no canary is that bad
			}
			boundary = 1
		}
		for j := range 11 {
			pC := boundary * float64(j) / 10
			if side == Safety {
				pC = boundary + (1-boundary)*float64(j)/10
			}
			mean := 0.0
			for xC := range e {
				for xB := range e[xC] {
					mean += binomialPMF(xC, nC, pC) * binomialPMF(xB, nB, pB) * e[xC][xB]
				}
			}
			worst = max(worst, mean)
		}
	}
	if worst > 1+1e-9 {
		t.Errorf("%s, margin %v p + %v, n %d and %d, p_B1 %v: mean %.12f", side, rho0, delta, nC, nB, pB1, worst)
	}
}

func binomialPMF(x, n int, p float64) float64 {
	lc, _ := math.Lgamma(float64(n + 1))
	lx, _ := math.Lgamma(float64(x + 1))
	ly, _ := math.Lgamma(float64(n - x + 1))
	return math.Exp(lc-lx-ly) * math.Pow(p, float64(x)) * math.Pow(1-p, float64(n-x))
}

// Along the boundary the mean is greatest, and 1, at the projection: scanned finely
// for folds as large as they come.
func TestBernoulliMeanAlongTheBoundary(t *testing.T) {
	for _, c := range []struct {
		side        Side
		rho0, delta float64
		pB1         float64
		nC, nB      int
	}{
		{Harm, 1.05, 0, .4, 50, 450},
		{Safety, 1.25, 0, .4, 50, 450},
		{Harm, 1, .02, .4, 50, 450},
		{Safety, 1, .05, .2, 3000, 27000},
		{Harm, 1.05, .025, .12, 500, 500},
		{Safety, 1 / .75, 0, .3, 900, 100},
	} {
		for i := range shift {
			boundary := c.rho0*c.pB1 + c.delta
			odds := boundary / (1 - boundary) * shiftOdds(c.side, i)
			pC1 := odds / (1 + odds)
			pC0, pB0 := Project(float64(c.nC), float64(c.nB), pC1, c.pB1, c.rho0, c.delta)
			worst := 0.0
			for k := 1; k < 20_000; k++ {
				pB := float64(k) / 20_000
				if pC := c.rho0*pB + c.delta; pC < 1 {
					worst = max(worst, meanOfBernoulli(pC1, c.pB1, pC0, pB0, pC, pB, c.nC, c.nB))
				}
			}
			if worst > 1+1e-9 {
				t.Errorf("%+v, shift %v: mean %.12f on the boundary", c, shift[i], worst)
			}
			if at := meanOfBernoulli(pC1, c.pB1, pC0, pB0, pC0, pB0, c.nC, c.nB); math.Abs(at-1) > 1e-9 {
				t.Errorf("%+v, shift %v: mean %.12f at the projection, want 1", c, shift[i], at)
			}
		}
	}
}

// Neither arm alone, nor a boundary that is no rate, says anything; what cannot be
// is refused and changes nothing.
func TestBernoulliEdges(t *testing.T) {
	b, err := NewBernoulli(Harm, 1.25, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		xC, xB, nC, nB, phi, pB1 float64
		err                      error
	}{
		{3, 0, 9, 0, 1, .4, nil},
		{0, 3, 0, 9, 1, .4, nil},
		{3, 3, 9, 9, 1, .9, nil}, // 1.25 x .9 is no rate
		{3, 3, 9, 9, 1, 1, nil},
		{10, 3, 9, 9, 1, .4, ErrCounts},
		{math.NaN(), 3, 9, 9, 1, .4, ErrCounts},
		{3, 3, math.Inf(1), 9, 1, .4, ErrCounts},
		{3, 3, 9, 9, math.NaN(), .4, ErrPhi},
		{3, 3, 9, 9, 1, 0, ErrRate},
		{3, 3, 9, 9, 1, math.NaN(), ErrRate},
	} {
		if err := b.Add(c.xC, c.xB, c.nC, c.nB, c.phi, c.pB1); !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%+v: error %v", c, err)
		}
		if b.Sums != (BernoulliSums{}) {
			t.Errorf("%+v changed the state", c)
		}
	}
	if err := b.Add(4e14, 1e14, 5e14, 9e14, 1, .4); err != nil || math.IsNaN(b.LogE()) || math.IsInf(b.LogE(), 0) {
		t.Errorf("huge counts: %v, ln E %v", err, b.LogE())
	}
	for _, bad := range []struct{ rho0, delta float64 }{{0, 0}, {math.NaN(), 0}, {1, 1}, {1, -1}, {1000, 0}} {
		if _, err := NewBernoulli(Harm, bad.rho0, bad.delta); !errors.Is(err, ErrParameter) {
			t.Errorf("margin %+v: %v", bad, err)
		}
	}
	if _, err := NewBernoulli(0, 1, 0); !errors.Is(err, ErrParameter) {
		t.Errorf("no side: %v", err)
	}
}

// Which outcome is counted does not matter: failures of the canary against a margin
// without an offset are successes against the mirrored one.
func TestBernoulliIsSymmetricInTheOutcome(t *testing.T) {
	for _, x := range []struct{ c, b float64 }{{25, 170}, {0, 0}, {50, 450}, {11, 200}} {
		pC0, pB0 := Project(50, 450, .46, .40, 1, .02)
		fC0, fB0 := Project(50, 450, .54, .60, 1, -.02)
		if math.Abs(pC0+fC0-1) > 1e-9 || math.Abs(pB0+fB0-1) > 1e-9 {
			t.Fatalf("projections (%v, %v) and (%v, %v)", pC0, pB0, fC0, fB0)
		}
		one := bernoulliTerm(x.c, x.b, 50, 450, .46, .40, 1, .02)
		two := bernoulliTerm(50-x.c, 450-x.b, 50, 450, .54, .60, 1, -.02)
		if math.Abs(one-two) > 1e-6 {
			t.Errorf("%+v: ln e %v of bad outcomes, %v of good ones", x, one, two)
		}
	}
}

// (8) for common outcomes, over the rows of V16 as if they were common: every
// batch's variance times one minus its rate.
func TestDispersionOfCommonOutcomes(t *testing.T) {
	xC, xB := []float64{5, 15, 2, 12, 0, 11}, []float64{50, 40, 60, 48, 52, 55}
	const nC, nB = 40, 160
	d := &Dispersion{ratio: 1, longest: 1, recent: make([]armRate, 1), sums: []batchSums{{b: 1}}, common: true}
	d.cells.grow(1)
	squares, v, sC, sE := 0.0, 0.0, 0.0, 0.0
	for k := range xC {
		if err := d.Add(xC[k], xB[k], nC, nB); err != nil {
			t.Fatal(err)
		}
		sC += xC[k]
		sE += xB[k] * nC / nB
		q := shareOf((sC+2)/(sE+2), .2)
		n := xC[k] + xB[k]
		squares += (xC[k] - n*q) * (xC[k] - n*q)
		v += n * q * (1 - q) * (1 - n/200)
	}
	if phi, _ := d.sums[0].estimate(); math.Abs(phi-squares/v) > 1e-12*phi {
		t.Errorf("phi^ %v, want %v", phi, squares/v)
	}
}

// The forecast is the growth under the best alternative: KL to the projection.
func TestMinutesBernoulli(t *testing.T) {
	p := AffinePlan{Side: Harm, NC: 600, NB: 5400, PC: .46, PB: .40, Rho0: 1.05, Demand: Demand{Alpha: .01, C: LossHarm, Phi: 2}}
	pC0, pB0 := Project(600, 5400, .46, .40, 1.05, 0)
	want := 2 * (math.Log(100) + 2.5) / (600*KL(.46, pC0) + 5400*KL(.40, pB0))
	if got, err := MinutesBernoulli(p); err != nil || math.Abs(got-want) > 1e-12*want {
		t.Errorf("%v minutes, want %v (%v)", got, want, err)
	}
	for _, change := range []func(*AffinePlan){
		func(p *AffinePlan) { p.PC = .42 }, // on the margin
		func(p *AffinePlan) { p.PC, p.PB = .3, .4 },
		func(p *AffinePlan) { p.PC = 1 },
		func(p *AffinePlan) { p.PB = 0 },
	} {
		q := p
		change(&q)
		if got, err := MinutesBernoulli(q); err != nil || !math.IsInf(got, 1) {
			t.Errorf("%+v: %v minutes (%v), want never", q, got, err)
		}
	}
	p.NC = math.NaN()
	if got, err := MinutesBernoulli(p); !errors.Is(err, ErrParameter) || !math.IsNaN(got) {
		t.Errorf("NaN: %v, %v", got, err)
	}
}
