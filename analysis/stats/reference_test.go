package stats

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectors reads a file of testdata/reference into v.
func vectors(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "reference", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// printed compares got with a printed number: to 1e-6 relative, or to half a
// unit of the last printed digit where that is coarser.
func printed(t *testing.T, what string, got float64, want json.Number) {
	t.Helper()
	w, err := want.Float64()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	decimals := 0
	if _, frac, ok := strings.Cut(want.String(), "."); ok {
		decimals = len(frac)
	}
	tol := math.Max(1e-6*math.Abs(w), .5000001*math.Pow10(-decimals))
	if !(math.Abs(got-w) <= tol) {
		t.Errorf("%s: got %.12g, want %s", what, got, want)
	}
}

func sideOf(t *testing.T, s string) Side {
	t.Helper()
	switch s {
	case "harm":
		return Harm
	case "safety":
		return Safety
	}
	t.Fatalf("unknown side %q", s)
	return 0
}

func TestReferenceBetaBinomial(t *testing.T) {
	var f struct {
		Prior struct{ A, B float64 }
		Cases []struct {
			X, Y float64
			Q0   [2]float64
			Side string
			LnE  json.Number
		}
	}
	vectors(t, "betabinomial.json", &f)
	for _, c := range f.Cases {
		got, err := LogBetaBinomial(sideOf(t, c.Side), c.X, c.Y, c.Q0[0]/c.Q0[1], f.Prior.A, f.Prior.B)
		if err != nil {
			t.Fatal(err)
		}
		printed(t, "V1", got, c.LnE)
	}
}

func TestReferenceProfile(t *testing.T) {
	var f struct {
		V2 struct {
			Grid          []float64
			Folds         [][4]float64
			LogLikelihood []json.Number
			Harm          json.Number `json:"uniformHarmAt1"`
			Safety        json.Number `json:"uniformSafetyAt1.25"`
		}
		Points []float64
		Cases  []struct {
			Vector, Name string
			Folds        [][4]float64
			Want         []struct {
				Side    string
				Rho, SD float64
				E       json.Number
			}
			Interval *struct {
				Alpha  float64
				Lo, Hi json.Number
			}
		}
	}
	vectors(t, "profile.json", &f)

	v2 := newGridPoints(nil, f.V2.Grid, defaultSafetySD, defaultHarm)
	p := fill(t, v2, f.V2.Folds)
	for j, want := range f.V2.LogLikelihood {
		printed(t, "V2 l", p.L[j]-p.L[2], want)
	}
	// Uniform weights: two points lie above 1, three below 1.25.
	printed(t, "V2 harm", math.Exp(logMix([]float64{.5, .5}, p.L[3:], v2.zero[3:], v2.zero[3:], p.L[2])), f.V2.Harm)
	third := []float64{1. / 3, 1. / 3, 1. / 3}
	printed(t, "V2 safety", math.Exp(logMix(third, p.L[:3], v2.zero[:3], v2.zero[:3], p.L[3])), f.V2.Safety)

	for _, c := range f.Cases {
		for _, w := range c.Want {
			cfg := GridConfig{Extra: f.Points, SafetySD: w.SD}
			if w.Side == "harm" {
				cfg.RhoR = w.Rho
			} else {
				cfg.RhoP = w.Rho
			}
			g, err := NewGridConfig(cfg)
			if err != nil {
				t.Fatal(err)
			}
			p := fill(t, g, c.Folds)
			got, at := p.LogHarm(g), p.LogHarmAt(g, g.IndexOf(w.Rho))
			if w.Side == "safety" {
				got, at = p.LogSafety(g), p.LogSafetyAt(g, g.IndexOf(w.Rho))
			}
			printed(t, c.Vector+" "+c.Name+" "+w.Side, math.Exp(got), w.E)
			printed(t, c.Vector+" "+c.Name+" "+w.Side+" at", math.Exp(at), w.E)
		}
		if c.Interval != nil {
			g, _ := NewGridConfig(GridConfig{Extra: f.Points})
			lo, hi := fill(t, g, c.Folds).Interval(g, c.Interval.Alpha)
			printed(t, "V3 interval", lo, c.Interval.Lo)
			printed(t, "V3 interval", hi, c.Interval.Hi)
		}
	}
}

func TestReferenceAffine(t *testing.T) {
	type at struct{ NC, NB, Rho0, Delta, PB float64 }
	var f struct {
		Terms []struct {
			at
			Lam, XC, XB float64
			LnE         json.Number
		}
		Means []struct {
			Law string
			Lam float64
			E   json.Number
		}
		MeansAt at
		Lambda  []struct {
			at
			PC1, PB1 float64
			Lam      json.Number
		}
	}
	vectors(t, "affine.json", &f)
	for _, c := range f.Terms {
		printed(t, "V4 term", affineTerm(c.Lam, c.Rho0, c.Delta, c.XC, c.XB, c.NC, c.NB), c.LnE)
	}
	m := f.MeansAt
	for _, c := range f.Means {
		law := poissonLaw
		if c.Law == "bernoulli" {
			law = binomialLaw
		}
		got := mean(law(m.NC, m.Rho0*m.PB+m.Delta), law(m.NB, m.PB), func(xC, xB float64) float64 {
			return affineTerm(c.Lam, m.Rho0, m.Delta, xC, xB, m.NC, m.NB)
		})
		printed(t, "V4 mean "+c.Law, got, c.E)
	}
	for _, c := range f.Lambda {
		printed(t, "V4 lambda", Lambda(c.Rho0, c.Delta, c.NC, c.NB, c.PC1, c.PB1), c.Lam)
	}
}

func TestReferenceDispersion(t *testing.T) {
	var f struct {
		XC, XB                                []float64
		NC, NB                                float64
		Squares, Variance, Phi                json.Number
		Effective, Prior, PosteriorWithPrior1 json.Number
	}
	vectors(t, "dispersion.json", &f)
	rows := make([]Row, len(f.XC))
	for i := range rows {
		rows[i] = Row{f.XC[i], f.XB[i], f.NC, f.NB}
	}
	got := HistoryPhi(rows)[0]
	printed(t, "V16 phi^", got.Phi, f.Phi)
	printed(t, "V16 K'", got.Effective, f.Effective)
	printed(t, "V16 phi_0", got.Prior, f.Prior)

	d := historyDispersion()
	d.sums = []batchSums{{b: 1, prior: 1}}
	for _, r := range rows {
		if err := d.Add(r.XC, r.XB, r.NC, r.NB); err != nil {
			t.Fatal(err)
		}
	}
	printed(t, "V16 squares", d.sums[0].s, f.Squares)
	printed(t, "V16 variance", d.sums[0].v, f.Variance)
	printed(t, "V16 posterior", d.Phi(), f.PosteriorWithPrior1)
}

func TestReferencePlanner(t *testing.T) {
	var f struct {
		V18 []struct {
			Side                                 string
			Events, Weight, Rho1, Rho0, Alpha, C float64
			Minutes                              json.Number
		}
		Margin struct {
			RequestsPerMinute, Weight, Budget, MarginBudgets, Alpha, C float64
			Cases                                                      []struct {
				Share         float64
				Affine, Ratio json.Number
			}
		}
		Weights struct {
			Events float64
			Rows   []struct {
				Weight  float64
				Minutes []float64
				Promote float64
			}
		}
	}
	vectors(t, "planner.json", &f)
	for _, c := range f.V18 {
		got, err := MinutesRatio(RatioPlan{
			Side: sideOf(t, c.Side), Events: c.Events, Weight: c.Weight, Rho1: c.Rho1, Rho0: c.Rho0,
			Demand: Demand{Alpha: c.Alpha, C: c.C, Phi: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		printed(t, "V18", got, c.Minutes)
	}

	m := f.Margin
	for _, c := range m.Cases {
		p, need := c.Share*m.Budget, Demand{Alpha: m.Alpha, C: m.C, Phi: 1}
		affine, err := MinutesAffine(AffinePlan{
			Side: Safety, NC: m.RequestsPerMinute * m.Weight, NB: m.RequestsPerMinute * (1 - m.Weight),
			PC: p, PB: p, Rho0: 1, Delta: m.MarginBudgets * m.Budget, Demand: need,
		})
		if err != nil {
			t.Fatal(err)
		}
		ratio, err := MinutesRatio(RatioPlan{
			Side: Safety, Events: m.RequestsPerMinute * p, Weight: m.Weight,
			Rho1: 1, Rho0: 1 + m.MarginBudgets*m.Budget/p, Demand: need,
		})
		if err != nil {
			t.Fatal(err)
		}
		printed(t, "margin, affine", affine, c.Affine)
		printed(t, "margin, ratio", ratio, c.Ratio)
	}

	// The published table is rounded for reading; 10% or half a unit of its last
	// digit covers that.
	for _, r := range f.Weights.Rows {
		for i, rho := range []float64{1.25, 1.5, 2, 5} {
			got, _ := MinutesRatio(RatioPlan{
				Side: Harm, Events: f.Weights.Events, Weight: r.Weight, Rho1: rho, Rho0: 1.05,
				Demand: Demand{Alpha: .01, C: LossHarm, Phi: 1},
			})
			if math.Abs(got-r.Minutes[i]) > max(.1*r.Minutes[i], .005) {
				t.Errorf("weight %v, ratio %v: got %.3g min, want %v", r.Weight, rho, got, r.Minutes[i])
			}
		}
		got, _ := MinutesRatio(RatioPlan{
			Side: Safety, Events: f.Weights.Events, Weight: r.Weight, Rho1: 1, Rho0: 1.25,
			Demand: Demand{Alpha: .05, C: LossSafety, Phi: 1},
		})
		if math.Abs(got-r.Promote) > .1*r.Promote+.5 {
			t.Errorf("weight %v, promote: got %.3g min, want %v", r.Weight, got, r.Promote)
		}
	}
}

// fill returns the profile of folds given as (xC, xB, nC, nB), phi = 1.
func fill(t testing.TB, g *Grid, folds [][4]float64) *Profile {
	t.Helper()
	p := NewProfile(g)
	for _, f := range folds {
		if err := p.Add(g, f[0], f[1], f[2], f[3], 1); err != nil {
			t.Fatal(err)
		}
	}
	return p
}
