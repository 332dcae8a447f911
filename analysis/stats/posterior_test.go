package stats

import (
	"errors"
	"math"
	"testing"
)

// The three folds of V2 on the grid of V3, after which a bad release is 2.84 times as
// likely as before.
func TestReferencePosterior(t *testing.T) {
	g, err := NewGridConfig(GridConfig{RhoR: 1.05, RhoP: 1.25, Extra: []float64{1.10}})
	if err != nil {
		t.Fatal(err)
	}
	p := NewProfile(g)
	for _, f := range [][4]float64{{1, 10, 100, 9900}, {3, 11, 500, 9500}, {9, 20, 2500, 7500}} {
		if err := p.Add(g, f[0], f[1], f[2], f[3], 1); err != nil {
			t.Fatal(err)
		}
	}
	got, err := p.Posterior(g, DefaultReleasePrior())
	if err != nil {
		t.Fatal(err)
	}
	printed(t, "Bayes factor", got.BayesFactor, "2.84")
	printed(t, "P(bad)", got.Bad, "0.240")
	printed(t, "E[rho-1 | bad]", got.Excess, "0.647")
	// And by a second, independent computation, to more digits.
	printed(t, "Bayes factor", got.BayesFactor, "2.84163044")
	printed(t, "P(bad)", got.Bad, "0.239969526")
	printed(t, "E[rho-1 | bad]", got.Excess, "0.646945224")
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Posterior(g, DefaultReleasePrior()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Without data the posterior is the prior; with overwhelming data it is certain, and
// stays a number where both likelihoods underflow.
func TestPosteriorAtItsEnds(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	prior := DefaultReleasePrior()
	got, err := NewProfile(g).Posterior(g, prior)
	if err != nil || math.Abs(got.BayesFactor-1) > 1e-12 || math.Abs(got.Bad-prior.Bad) > 1e-12 {
		t.Errorf("without data %+v, %v", got, err)
	}
	for _, c := range []struct {
		name                string
		xC, xB              float64
		bad, least, largest float64
	}{
		{"five times worse", 5e7, 9e7, 1, 3.9, 4.1},
		{"a tenth", 1e6, 9e7, 0, 0, math.Inf(1)},
		{"none at all", 0, 9e7, 0, 0, math.Inf(1)},
		{"all of them", 1e8, 0, 1, 30, 33},
	} {
		p := NewProfile(g)
		if err := p.Add(g, c.xC, c.xB, 1e9, 9e9, 1); err != nil {
			t.Fatal(err)
		}
		got, err := p.Posterior(g, prior)
		if err != nil || math.Abs(got.Bad-c.bad) > 1e-12 || !(got.Excess >= c.least && got.Excess <= c.largest) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestPosteriorRefuses(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	for name, c := range map[string]struct {
		p     *Profile
		g     *Grid
		prior ReleasePrior
		want  error
	}{
		"another grid":  {&Profile{L: make([]float64, 3)}, g, DefaultReleasePrior(), ErrShape},
		"no harm side":  {NewProfile(NewGrid(0, 1.25)), NewGrid(0, 1.25), DefaultReleasePrior(), ErrShape},
		"nobody is bad": {NewProfile(g), g, ReleasePrior{0, .05}, ErrParameter},
		"all are bad":   {NewProfile(g), g, ReleasePrior{1, .05}, ErrParameter},
		"no width":      {NewProfile(g), g, ReleasePrior{.1, 0}, ErrParameter},
	} {
		got, err := c.p.Posterior(c.g, c.prior)
		if !errors.Is(err, c.want) || !math.IsNaN(got.Bad) || !math.IsNaN(got.Excess) || !math.IsNaN(got.BayesFactor) {
			t.Errorf("%s: %+v, %v; want %v", name, got, err, c.want)
		}
	}
}
