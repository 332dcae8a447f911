package stats

import (
	"math"
	"testing"
)

// law is a distribution on 0, 1, 2, ... as log probabilities.
type law []float64

// binomialLaw is Binomial(n, p), all of it.
func binomialLaw(n, p float64) law {
	out := make(law, int(n)+1)
	for x := range out {
		k := float64(x)
		out[x] = lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1) + xlogy(k, p) + xlogy(n-k, 1-p)
	}
	return out
}

// poissonLaw is Poisson(n p) up to where the rest is below 1e-18 even when
// multiplied by bets that double per event.
func poissonLaw(n, p float64) law {
	mu := n * p
	out := make(law, int(4*mu+20*math.Sqrt(mu)+60))
	for x := range out {
		out[x] = xlogy(float64(x), mu) - mu - lgamma(float64(x)+1)
	}
	return out
}

func lgamma(x float64) float64 { v, _ := math.Lgamma(x); return v }

func xlogy(x, y float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(y)
}

// mean is the mean of exp(logFactor(xC, xB)) for independent arms, by summing
// over all outcomes.
func mean(c, b law, logFactor func(xC, xB float64) float64) float64 {
	sum := 0.0
	for xC, lc := range c {
		for xB, lb := range b {
			if a := lc + lb; a > -100 {
				sum += math.Exp(a + logFactor(float64(xC), float64(xB)))
			}
		}
	}
	return sum
}

// one is the largest mean that a factor of an e-process may have; 1e-9 covers
// the rounding of a few thousand terms.
const one = 1 + 1e-9

// TestProfileFactorsAreSupermartingales sums the one-fold factor of every grid
// point over all outcomes, at all pairs of rates on a grid in the null.
func TestProfileFactorsAreSupermartingales(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	inc := make([]float64, g.Len())
	points := []int{0, 10, 40, 55, 58, 61, 63, 66, 70, 75, 90, 110, g.Len() - 1}
	exposures := []struct{ nC, nB float64 }{{3, 9}, {8, 8}, {5, 40}, {20, 5}}
	for _, n := range exposures {
		for _, phi := range []float64{1, 1.7, 5} {
			for _, pB := range []float64{.001, .02, .1, .3, .6} {
				for _, slack := range []float64{1, 1.02, 1.5, 10, 1e6} {
					for name, makeLaw := range map[string]func(n, p float64) law{"binomial": binomialLaw, "poisson": poissonLaw} {
						if name == "poisson" && pB > .1 {
							continue // tails beyond the exposures, refused as impossible
						}
						check := func(side string, at int, pC float64) {
							if pC > 1 {
								return
							}
							c, b := makeLaw(n.nC, pC), makeLaw(n.nB, pB)
							sums := make([]float64, g.Len())
							total := 0.0
							for xC, lc := range c {
								for xB, lb := range b {
									for j := range inc {
										inc[j] = 0
									}
									// Poisson counts may exceed the exposures; the
									// formula does not mind, Add would refuse.
									rawIncrement(g, inc, float64(xC), float64(xB), n.nC, n.nB, phi)
									pr := math.Exp(lc + lb)
									total += pr
									for _, j := range points {
										sums[j] += pr * math.Exp(inc[j]-inc[at])
									}
								}
							}
							if total > one || total < 1-1e-9 {
								t.Fatalf("%s: probabilities sum to %v", name, total)
							}
							for _, j := range points {
								if side == "harm" && j > at && sums[j] > one || side == "safety" && j < at && sums[j] > one {
									t.Errorf("%s %s n=%v phi=%v pB=%v pC=%v rho_j=%.3g: mean %.12f", name, side, n, phi, pB, pC, g.Rho(j), sums[j])
								}
							}
						}
						check("harm", g.harm, g.RhoR()*pB/slack)
						check("safety", g.safety, g.RhoP()*pB*slack)
					}
				}
			}
		}
	}
}

// rawIncrement is formula (2) without the check of the counts.
func rawIncrement(g *Grid, inc []float64, xC, xB, nC, nB, phi float64) {
	for j := range inc {
		w := nC / (nC + nB)
		inc[j] = (xC*g.ln[j] - (xC+xB)*math.Log1p(g.rm1[j]*w)) / phi
	}
}

// TestProfileMixtureIsSupermartingaleOverTwoFolds sums E over all outcomes of two
// folds with different shares and a phi chosen from the first.
func TestProfileMixtureIsSupermartingaleOverTwoFolds(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	for _, pB := range []float64{.05, .3} {
		for _, side := range []Side{Harm, Safety} {
			rho := g.RhoR()
			if side == Safety {
				rho = g.RhoP()
			}
			c1, b1 := binomialLaw(2, rho*pB), binomialLaw(6, pB)
			c2, b2 := binomialLaw(5, rho*pB), binomialLaw(3, pB)
			sum := 0.0
			for x1, lc1 := range c1 {
				for y1, lb1 := range b1 {
					phi := 1 + float64(x1) // predictable
					sum += mean(c2, b2, func(x2, y2 float64) float64 {
						clear(p.L)
						mustAdd(t, p, g, float64(x1), float64(y1), 2, 6, 1)
						mustAdd(t, p, g, x2, y2, 5, 3, phi)
						if side == Harm {
							return lc1 + lb1 + p.LogHarm(g)
						}
						return lc1 + lb1 + p.LogSafety(g)
					})
				}
			}
			if sum > one {
				t.Errorf("%v pB=%v: mean of E %.12f", side, pB, sum)
			}
		}
	}
}

func mustAdd(t testing.TB, p *Profile, g *Grid, xC, xB, nC, nB, phi float64) {
	t.Helper()
	if err := p.Add(g, xC, xB, nC, nB, phi); err != nil {
		t.Fatal(err)
	}
}

// TestAffineFactorsAreSupermartingales sums every bet over all outcomes, for
// predicted baseline rates that are right, too low and too high.
func TestAffineFactorsAreSupermartingales(t *testing.T) {
	laws := map[string]func(n, p float64) law{"binomial": binomialLaw, "poisson": poissonLaw}
	for _, m := range []struct{ rho0, delta float64 }{{1.05, .0025}, {1, .01}, {1.1, 0}, {1, .2}} {
		for _, n := range []struct{ nC, nB float64 }{{4, 12}, {10, 10}, {30, 4}, {6, 90}} {
			for _, phi := range []float64{1, 2.5} {
				for _, pB := range []float64{.001, .02, .1, .4} {
					for _, off := range []float64{.1, 1, 8} {
						for _, slack := range []float64{0, .001, .05, .5} {
							pB1 := min(1, pB*off)
							boundary := m.rho0*pB + m.delta
							for _, side := range []Side{Harm, Safety} {
								pC := max(0, boundary-slack)
								if side == Safety {
									pC = boundary + slack
								}
								if pC > 1 {
									continue
								}
								a, err := NewAffine(side, m.rho0, m.delta)
								if err != nil {
									t.Fatal(err)
								}
								for name, makeLaw := range laws {
									c, b := makeLaw(n.nC, pC), makeLaw(n.nB, pB)
									for i := range a.components() {
										lam := bet(side, i, m.rho0, m.delta, n.nC, n.nB, pB1)
										got := mean(c, b, func(xC, xB float64) float64 {
											return affineTerm(lam, m.rho0, m.delta, xC, xB, n.nC, n.nB) / phi
										})
										if got > one {
											t.Errorf("%s %v margin %v n %v phi %v pB %v pB1 %v pC %v bet %d: mean %.12f",
												name, side, m, n, phi, pB, pB1, pC, i, got)
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// TestAffineHasPower keeps the test above from being passed by bets of 0.
func TestAffineHasPower(t *testing.T) {
	for _, side := range []Side{Harm, Safety} {
		a, _ := NewAffine(side, 1.05, .01)
		pC := .1
		if side == Safety {
			pC = .02
		}
		for range 200 {
			if err := a.Add(100*pC, 900*.02, 100, 900, 1, .02); err != nil {
				t.Fatal(err)
			}
		}
		if a.LogE() < math.Log(1000) {
			t.Errorf("%v: ln E %v after 20 000 requests", side, a.LogE())
		}
	}
}

// TestDifferenceIsSupermartingale sums both bets of every delta at its boundary.
func TestDifferenceIsSupermartingale(t *testing.T) {
	const nC, nB = 8, 30
	blank, err := NewDifferenceCS(.05, .03)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < differences; i += 4 {
		delta := blank.Delta(i)
		for _, pB := range []float64{.05, .21, .5} {
			pC := pB + delta
			if pC < 0 {
				continue
			}
			for _, offset := range []int{0, healthyBet} {
				got := mean(binomialLaw(nC, pC), binomialLaw(nB, pB), func(xC, xB float64) float64 {
					s := *blank
					s.Baseline = BaselineRate{X: 3, N: 100, PHist: .03}
					if err := s.Add(xC, xB, nC, nB, 1); err != nil {
						t.Fatal(err)
					}
					return s.logE(i, offset)
				})
				if got > one {
					t.Errorf("delta %v, pB %v, side %d: mean %.12f", delta, pB, offset, got)
				}
			}
		}
	}
}

// TestStartMixtureIsSupermartingale: three folds, restarts after each; the mean
// of the mixture over start times over all outcomes is at most 1.
func TestStartMixtureIsSupermartingale(t *testing.T) {
	g := NewGrid(1.05, 0)
	const pB, nC, nB = .2, 2., 3.
	c, b := binomialLaw(nC, 1.05*pB), binomialLaw(nB, pB)
	p := NewProfile(g)
	var walk func(k int, logP float64, snapshots [][]float64) float64
	walk = func(k int, logP float64, snapshots [][]float64) float64 {
		if k == 3 {
			restarts := make([]float64, len(snapshots))
			for i, s := range snapshots {
				restarts[i] = p.LogHarmSince(g, s)
			}
			return math.Exp(logP + LogStartMixture(p.LogHarm(g), restarts, 4))
		}
		sum := 0.0
		before := append([]float64(nil), p.L...)
		for xC, lc := range c {
			for xB, lb := range b {
				copy(p.L, before)
				mustAdd(t, p, g, float64(xC), float64(xB), nC, nB, 1)
				after := append([]float64(nil), p.L...)
				sum += walk(k+1, logP+lc+lb, append(snapshots[:len(snapshots):len(snapshots)], after))
			}
		}
		copy(p.L, before)
		return sum
	}
	if got := walk(0, 0, nil); got > one || got < .5 {
		t.Errorf("mean of the mixture %.12f, want at most 1 and near it", got)
	}
}
