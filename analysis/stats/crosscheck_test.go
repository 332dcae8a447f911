package stats

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The slow implementations of this file share no code and no algebra with the
// package: e-values are products of probabilities in 200-bit arithmetic without a
// single logarithm, priors come from density functions written out again, roots
// from bisection, and the dispersion is computed from all folds at every look.

func bigf(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }

func bigPow(v *big.Float, n int) *big.Float {
	out := bigf(1)
	for range n {
		out.Mul(out, v)
	}
	return out
}

// slowPrior returns the unnormalised weights of the grid points for one side.
func slowPrior(ln []float64, at int, side Side) []float64 {
	w := make([]float64, len(ln))
	for j := range ln {
		var cell float64
		switch j {
		case 0:
			cell = ln[1] - ln[0]
		case len(ln) - 1:
			cell = ln[j] - ln[j-1]
		default:
			cell = .5 * (ln[j+1] - ln[j-1])
		}
		if side == Harm && j > at {
			w[j] = cell / (math.Pi / 2 * .3 * (1 + math.Pow((ln[j]-ln[at])/.3, 2)))
		}
		if side == Safety && j < at {
			n := .7 / math.Sqrt(2*math.Pi*.01) * math.Exp(-50*ln[j]*ln[j])
			c := .3 / math.Pi * .1 / (.01 + ln[j]*ln[j])
			w[j] = cell * (n + c)
		}
	}
	return w
}

// slowProfile is E_R or E_P as a sum of products of binomial likelihood ratios.
func slowProfile(rho, ln []float64, at int, side Side, folds [][4]float64) float64 {
	w := slowPrior(ln, at, side)
	total, norm := bigf(0), 0.0
	for j := range w {
		if w[j] == 0 {
			continue
		}
		norm += w[j]
		prod := bigf(w[j])
		for _, f := range folds {
			// q/(1-q) = rho nC/nB: the odds that an event is the canary's.
			up := new(big.Float).Mul(bigf(rho[j]), bigf(f[2]))
			at0 := new(big.Float).Mul(bigf(rho[at]), bigf(f[2]))
			q := func(odds *big.Float) (yes, no *big.Float) {
				sum := new(big.Float).Add(odds, bigf(f[3]))
				return new(big.Float).Quo(odds, sum), new(big.Float).Quo(bigf(f[3]), sum)
			}
			y1, n1 := q(up)
			y0, n0 := q(at0)
			prod.Mul(prod, bigPow(new(big.Float).Quo(y1, y0), int(f[0])))
			prod.Mul(prod, bigPow(new(big.Float).Quo(n1, n0), int(f[1])))
		}
		total.Add(total, prod)
	}
	v, _ := new(big.Float).Quo(total, bigf(norm)).Float64()
	return v
}

func TestProfileAgainstProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	g := NewGrid(1.05, 1.25)
	for run := range 20 {
		var folds [][4]float64
		for range 1 + rng.IntN(8) {
			nC, nB := float64(1+rng.IntN(300)), float64(1+rng.IntN(3000))
			folds = append(folds, [4]float64{
				float64(rng.IntN(min(int(nC), 12) + 1)), float64(rng.IntN(min(int(nB), 40) + 1)), nC, nB,
			})
		}
		p := fill(t, g, folds)
		for _, c := range []struct {
			name string
			got  float64
			at   int
			side Side
		}{
			{"harm", p.LogHarm(g), g.harm, Harm},
			{"safety", p.LogSafety(g), g.safety, Safety},
			{"harm at", p.LogHarmAt(g, 40), 40, Harm},
			{"safety at", p.LogSafetyAt(g, 90), 90, Safety},
		} {
			want := math.Log(slowProfile(g.rho, g.ln, c.at, c.side, folds))
			if math.Abs(c.got-want) > 1e-10*(1+math.Abs(want)) {
				t.Errorf("run %d %s: got %.15g, want %.15g", run, c.name, c.got, want)
			}
		}
	}
}

// slowLambda maximises the mean log growth by bisection on its derivative.
func slowLambda(rho0, delta, nC, nB, pC, pB float64) float64 {
	kappa := rho0 * nC / nB
	slope := func(lam float64) float64 {
		return nC*pC/(1+lam) - nB*pB*kappa/(1-lam*kappa) - nC*delta
	}
	lo, hi := -1.0, 1/kappa
	for range 200 {
		if mid := (lo + hi) / 2; slope(mid) > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// bigExp is exp by its series.
func bigExp(v float64) *big.Float {
	sum, term := bigf(1), bigf(1)
	for k := 1; k < 200; k++ {
		term.Mul(term, bigf(v))
		term.Quo(term, bigf(float64(k)))
		sum.Add(sum, term)
	}
	return sum
}

func TestAffineAgainstProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for run := range 30 {
		side := []Side{Harm, Safety}[run%2]
		rho0, delta := 1+.1*rng.Float64(), .01*rng.Float64()
		if run%5 == 0 {
			delta = 0
		}
		a, err := NewAffine(side, rho0, delta)
		if err != nil {
			t.Fatal(err)
		}
		rate := BaselineRate{PHist: .004}
		products := make([]*big.Float, bets)
		for i := range products {
			products[i] = bigf(1)
		}
		X, N := 0.0, 0.0
		for range 6 {
			nC, nB := float64(50+rng.IntN(300)), float64(50+rng.IntN(3000))
			xC, xB := float64(rng.IntN(9)), float64(rng.IntN(30))
			pB1 := (X + 1) / (N + 250)
			if math.Abs(rate.P1()-pB1) > 1e-15 {
				t.Fatalf("baseline rate %v, want %v", rate.P1(), pB1)
			}
			if err := a.Add(xC, xB, nC, nB, 1, rate.P1()); err != nil {
				t.Fatal(err)
			}
			if err := rate.Add(xC, xB, nC, nB); err != nil {
				t.Fatal(err)
			}
			X, N = X+xB, N+nB
			for i := range products {
				pC1 := pB1 // the healthy canary
				if i < 6 {
					g := []float64{.1, .2, .4, .8, 1.6, 3.2}[i]
					if side == Safety {
						g = -g
					}
					pC1 = (rho0*pB1 + delta) * math.Exp(g)
				}
				lam := slowLambda(rho0, delta, nC, nB, pC1, pB1)
				products[i].Mul(products[i], bigPow(bigf(1+lam), int(xC)))
				products[i].Mul(products[i], bigPow(bigf(1-lam*rho0*nC/nB), int(xB)))
				products[i].Mul(products[i], bigExp(-lam*nC*delta))
			}
		}
		sum := bigf(0)
		for i, v := range products {
			w := 1. / 6
			if side == Safety {
				w = .05
				if i == 6 {
					w = .7
				}
			} else if i == 6 {
				continue
			}
			sum.Add(sum, new(big.Float).Mul(bigf(w), v))
		}
		e, _ := sum.Float64()
		// 1e-7: the bisection finds a flat maximum to half the digits only.
		if want := math.Log(e); math.Abs(a.LogE()-want) > 1e-7*(1+math.Abs(want)) {
			t.Errorf("run %d %v: got %.12g, want %.12g", run, side, a.LogE(), want)
		}
	}
}

func TestLambdaAgainstBisection(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		rho0 := math.Exp(rng.NormFloat64())
		nC, nB := math.Exp(10*rng.Float64()), math.Exp(10*rng.Float64())
		pC, pB := math.Exp(-9*rng.Float64()), math.Exp(-9*rng.Float64())
		delta := 0.0
		if rng.IntN(4) > 0 {
			delta = math.Exp(-9 * rng.Float64())
		}
		got, want := Lambda(rho0, delta, nC, nB, pC, pB), slowLambda(rho0, delta, nC, nB, pC, pB)
		// The scale of a bet is the width of its interval.
		width := 1 + nB/(rho0*nC)
		if math.Abs(got-want) > 1e-8*width {
			t.Fatalf("rho0 %v delta %v n %v %v p %v %v: got %.12g, want %.12g", rho0, delta, nC, nB, pC, pB, got, want)
		}
	}
}

// slowPhi is (8) from all folds so far; priors by batch length in folds.
func slowPhi(folds []Row, lengths []BatchLength, priors Priors) float64 {
	phi := 1.0
	for _, l := range lengths {
		s, v, k := 0.0, 0.0, 0
		for end := l.Folds; end <= len(folds); end += l.Folds {
			x, e := 2.0, 2.0
			for _, f := range folds[:end] {
				x += f.XC
				e += f.XB * f.NC / f.NB
			}
			rho := x / e
			dev := 0.0
			for _, f := range folds[end-l.Folds : end] {
				d := f.XC + f.XB
				q := rho * f.NC / (rho*f.NC + f.NB)
				dev += f.XC - d*q
				v += d * q * (1 - q)
			}
			s += dev * dev
			k++
		}
		prior := priors[l.Prior]
		if k == 0 || v == 0 {
			phi = math.Max(phi, prior)
			continue
		}
		eff := 1 / (1/float64(k) + 1/(2*v))
		phi = math.Max(phi, (20*prior+eff*s/v)/(20+eff))
	}
	return phi
}

func TestDispersionAgainstRecomputation(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, seconds := range []int{5, 15, 30, 60, 120} {
		c := DispersionConfig{Cadence: secondsOf(seconds), Priors: Priors{1.2, 1.7, 2.6}}
		d, err := NewDispersion(c)
		if err != nil {
			t.Fatal(err)
		}
		var folds []Row
		for k := range 400 {
			f := Row{NC: float64(50 + rng.IntN(100)), NB: float64(500 + rng.IntN(900))}
			switch {
			case k%37 == 0:
				f.NC = 0 // one arm only: must change nothing
			case k%41 == 0: // no events
			default:
				f.XC, f.XB = float64(rng.IntN(6)), float64(rng.IntN(25))
			}
			if f.NC == 0 {
				f.XC = 0
			}
			if err := d.Add(f.XC, f.XB, f.NC, f.NB); err != nil {
				t.Fatal(err)
			}
			if f.NC > 0 {
				folds = append(folds, f)
			}
			want := slowPhi(folds, BatchLengths(c.Cadence), c.Priors)
			if math.Abs(d.Phi()-want) > 1e-9*want {
				t.Fatalf("cadence %d s, fold %d: phi %.15g, want %.15g", seconds, k, d.Phi(), want)
			}
		}
	}
}
