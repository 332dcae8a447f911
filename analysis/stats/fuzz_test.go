package stats

import (
	"errors"
	"math"
	"testing"
	"time"
)

// hostile are the numbers that arrive when something upstream is broken.
var hostile = []float64{
	0, math.Copysign(0, -1), 5e-324, 1e-9, 1, 1e6, 1e15, 1e16,
	math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1), -1,
}

// TestHostileInput feeds every combination of hostile counts: no panic, a
// sentinel error or a finite state, and with an error an unchanged state.
func TestHostileInput(t *testing.T) {
	for _, xC := range hostile {
		for _, xB := range hostile {
			for _, nC := range hostile {
				for _, nB := range hostile {
					checkAdd(t, xC, xB, nC, nB, 1.5, .01)
				}
			}
		}
	}
	for _, phi := range hostile {
		for _, p := range hostile {
			checkAdd(t, 1, 5, 100, 900, phi, p)
		}
	}
}

func FuzzAdd(f *testing.F) {
	f.Add(1., 5., 100., 900., 1., .005)
	f.Add(0., 0., 0., 0., 0., 0.)
	f.Add(3., 1., 2., 1., math.NaN(), 1.)
	f.Add(1e15, 1e15, 1e15, 1e15, 1e300, 1e-300)
	f.Fuzz(func(t *testing.T, xC, xB, nC, nB, phi, pB1 float64) { checkAdd(t, xC, xB, nC, nB, phi, pB1) })
}

var fuzzGrid = NewGrid(1.05, 1.25)

func checkAdd(t *testing.T, xC, xB, nC, nB, phi, pB1 float64) {
	g := fuzzGrid
	p := fill(t, g, [][4]float64{{2, 7, 100, 900}})
	before := append([]float64(nil), p.L...)
	inc := make([]float64, g.Len())
	err := p.AddInto(g, inc, xC, xB, nC, nB, phi)
	sentinel(t, err)
	for j := range p.L {
		if math.IsNaN(p.L[j]) || math.IsInf(p.L[j], 0) || err != nil && (p.L[j] != before[j] || inc[j] != 0) {
			t.Fatalf("profile after %v %v %v %v phi %v (%v): l[%d] = %v", xC, xB, nC, nB, phi, err, j, p.L[j])
		}
	}
	noNaN(t, "profile", p.LogHarm(g), p.LogSafety(g), p.LogHarmSince(g, before), p.LogHarmWithout(g, before, inc), p.LogHarmBound(g, before))

	for _, side := range []Side{Harm, Safety} {
		a, _ := NewAffine(side, 1.05, .0025)
		if err := a.Add(2, 7, 100, 900, 1, .01); err != nil {
			t.Fatal(err)
		}
		old := *a
		err := a.Add(xC, xB, nC, nB, phi, pB1)
		sentinel(t, err)
		if err != nil && *a != old {
			t.Fatalf("affine changed with error %v", err)
		}
		noNaN(t, "affine", a.Sums[:]...)
		noNaN(t, "affine", a.LogE(), a.LogESince(&old.Sums), a.Excess(xC, xB, nC, nB, phi, pB1))
		noNaN(t, "lambda", Lambda(1.05, .0025, nC, nB, xC, pB1))
	}
	noNaN(t, "excess", RatioExcess(1.05, xC, xB, nC, nB, phi))

	r := BaselineRate{PHist: pB1}
	sentinel(t, r.Add(xC, xB, nC, nB))
	noNaN(t, "rate", r.P1())
	if r.P1() <= 0 {
		t.Fatalf("predicted rate %v", r.P1())
	}

	d, _ := NewDispersion(DispersionConfig{Cadence: time.Minute, PHist: .001})
	sentinel(t, d.Add(xC, xB, nC, nB))
	sentinel(t, d.Add(xC, xB, nC, nB))
	if phi := d.Phi(); !(phi >= 1) || math.IsInf(phi, 0) {
		t.Fatalf("phi %v after %v %v %v %v", phi, xC, xB, nC, nB)
	}
	for _, e := range HistoryPhi([]Row{{xC, xB, nC, nB}, {1, 1, 9, 9}, {xC, xB, nC, nB}, {2, 1, 9, 9}}) {
		noNaN(t, "history", e.Phi, e.Effective, e.Prior)
	}

	s, _ := NewDifferenceCS(.01, .005)
	sentinel(t, s.Add(xC, xB, nC, nB, phi))
	for i := range s.Sums {
		noNaN(t, "difference", s.Sums[i][:]...)
	}
	if lo, hi := s.Interval(.05); !(lo < hi) {
		t.Fatalf("difference [%v, %v]", lo, hi)
	}

	e, _ := LogBetaBinomial(Harm, xC, xB, nC, nB, 1)
	noNaN(t, "beta-binomial", e)
}

func sentinel(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrCounts) && !errors.Is(err, ErrPhi) && !errors.Is(err, ErrRate) {
		t.Fatalf("error %v is no sentinel", err)
	}
}

func noNaN(t *testing.T, what string, v ...float64) {
	t.Helper()
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 1) {
			t.Fatalf("%s: %v", what, v)
		}
	}
}

func TestImpossibleCounts(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	for _, f := range [][4]float64{
		{-1, 0, 10, 90},
		{0, -1, 10, 90},
		{11, 0, 10, 90},
		{0, 91, 10, 90},
		{1, 0, 0, 90},
		{0, 1, 10, 0},
		{math.NaN(), 0, 10, 90},
		{0, 0, math.Inf(1), 90},
		{0, 0, 10, 2e15},
		{0, 0, -10, 90},
		{1, 1, 0, 0},
	} {
		if err := p.Add(g, f[0], f[1], f[2], f[3], 1); !errors.Is(err, ErrCounts) {
			t.Errorf("%v: error %v", f, err)
		}
	}
	if err := p.Add(g, 1, 1, 10, 90, math.NaN()); !errors.Is(err, ErrPhi) {
		t.Errorf("phi NaN: %v", err)
	}
	if err := p.Add(NewGrid(0, 0), 1, 1, 10, 90, 1); !errors.Is(err, ErrShape) {
		t.Errorf("another grid: %v", err)
	}
	if err := p.AddInto(g, nil, 1, 1, 10, 90, 1); !errors.Is(err, ErrShape) {
		t.Errorf("no increment: %v", err)
	}
	if err := p.Merge(&Profile{}); !errors.Is(err, ErrShape) {
		t.Errorf("merge of another grid: %v", err)
	}
	// phi below 1 is 1.
	q := NewProfile(g)
	mustAdd(t, p, g, 1, 5, 10, 90, .2)
	mustAdd(t, q, g, 1, 5, 10, 90, 1)
	if p.LogHarm(g) != q.LogHarm(g) {
		t.Error("phi below 1 is not clamped")
	}
	if got := p.LogHarmSince(g, []float64{1}); !math.IsInf(got, -1) {
		t.Errorf("snapshot of another grid: %v", got)
	}
	a, _ := NewAffine(Harm, 1, 0)
	for _, rate := range []float64{0, -1, 1.1, math.NaN()} {
		if err := a.Add(1, 1, 9, 9, 1, rate); !errors.Is(err, ErrRate) {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
	for _, c := range []struct {
		side        Side
		rho0, delta float64
	}{{0, 1, 0}, {9, 1, 0}, {Harm, 0, 0}, {Harm, math.NaN(), 0}, {Safety, 1, -1}, {Safety, 1, math.Inf(1)}} {
		if _, err := NewAffine(c.side, c.rho0, c.delta); !errors.Is(err, ErrParameter) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := NewDispersion(DispersionConfig{}); !errors.Is(err, ErrParameter) {
		t.Errorf("no cadence: %v", err)
	}
	if _, err := NewDispersion(DispersionConfig{Cadence: time.Minute, Priors: Priors{math.NaN()}}); !errors.Is(err, ErrPhi) {
		t.Errorf("prior NaN: %v", err)
	}
	if _, err := NewDifferenceCS(0, .1); !errors.Is(err, ErrParameter) {
		t.Errorf("no budget: %v", err)
	}
}
