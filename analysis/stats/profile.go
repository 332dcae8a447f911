package stats

import "math"

// Profile tests the ratio rho = p_C/p_B of the event rates of two arms that are
// watched at the same time. It is the log-likelihood of rho on a [Grid].
//
// Hypotheses: harm H0 rho <= rhoR against rho > rhoR; safety H0 rho >= rhoP
// against rho < rhoP.
//
// Assumptions: exposure in a fold does not react to the outcome in that fold;
// outcomes are independent given the fold, up to the overdispersion phi. The
// common intensity is free: with w = nC/(nC+nB), d = xC + xB,
//
//	xC | d ~ Binomial(d, q(rho)),   q(rho) = rho w / (1 + (rho-1) w)          (1)
//
// so load, time of day and shared incidents cancel, fold by fold.
//
// Formula: per fold k, for every grid point j,
//
//	l_j += [ xC ln rho_j - d ln(1 + (rho_j - 1) w_k) ] / phi_k                (2)
//	E_R  = sum_{rho_j > rhoR} pi_j  exp(l_j - l_rhoR)                         (3)
//	E_P  = sum_{rho_j < rhoP} pi'_j exp(l_j - l_rhoP)                         (4)
//
// with the priors of Grid. E_R and E_P are e-processes: exact for Poisson
// counts, and conservative for sums of independent Bernoulli outcomes whose mean
// risks satisfy the null, since E[a^x] <= exp(n p (a-1)). For the same reason
// about a factor 1-p of the information is lost; count the rarer outcome.
//
// Special cases: d = 0 and folds with exposure in one arm only change nothing;
// phi < 1 counts as 1; without folds E = 1 on both sides; a side that the grid
// lacks has E = 0; E_R at the last point and E_P at the first are empty sums, 0.
//
// Cost: one log1p per point and fold, one exp per point and look.
//
// Reference: Lindon, Malek 2022, "Anytime-valid inference for multinomial count
// data", NeurIPS (the reduction to (1)); Howard et al. 2021, Ann. Stat. 49
// (sub-Bernoulli mixtures).
//
// Profiles over disjoint cells add: the profile of a stratified test is the sum
// of the profiles of its strata ([Profile.Merge]), the profile without a stratum
// is a difference ([Profile.LogHarmWithout]).
type Profile struct {
	// L is l_j, one value per grid point; copy it to take a snapshot.
	L []float64
}

// NewProfile returns the profile of no data on g.
func NewProfile(g *Grid) *Profile { return &Profile{L: make([]float64, g.Len())} }

// Add takes a fold in, tempered by phi. Errors: ErrCounts, ErrPhi, ErrShape (the
// profile belongs to another grid); the profile is then unchanged.
func (p *Profile) Add(g *Grid, xC, xB, nC, nB, phi float64) error {
	return p.add(g, nil, xC, xB, nC, nB, phi)
}

// AddInto is Add that also adds what the fold contributed to inc, of the length
// of the grid. Over the cells of one fold the contributions accumulate; the
// caller clears inc before the first. L comes out bit for bit as by Add.
func (p *Profile) AddInto(g *Grid, inc []float64, xC, xB, nC, nB, phi float64) error {
	if len(inc) != g.Len() {
		return ErrShape
	}
	return p.add(g, inc, xC, xB, nC, nB, phi)
}

func (p *Profile) add(g *Grid, inc []float64, xC, xB, nC, nB, phi float64) error {
	if len(p.L) != g.Len() {
		return ErrShape
	}
	informative, err := checkFold(xC, xB, nC, nB)
	if err != nil {
		return err
	}
	if phi, err = clampPhi(phi); err != nil {
		return err
	}
	d := xC + xB
	if !informative || d == 0 {
		return nil
	}
	w := nC / (nC + nB)
	x, d := xC/phi, d/phi
	ln, rm1 := g.ln, g.rm1[:len(g.ln)]
	l := p.L[:len(ln)]
	if inc == nil {
		for j := range ln {
			l[j] += float64(x*ln[j]) - float64(d*math.Log1p(rm1[j]*w))
		}
		return nil
	}
	inc = inc[:len(ln)]
	for j := range ln {
		v := float64(x*ln[j]) - float64(d*math.Log1p(rm1[j]*w))
		l[j] += v
		inc[j] += v
	}
	return nil
}

// Merge adds the profile of other data on the same grid, such as another
// stratum. Error: ErrShape.
func (p *Profile) Merge(q *Profile) error {
	if len(p.L) != len(q.L) {
		return ErrShape
	}
	for j, v := range q.L {
		p.L[j] += v
	}
	return nil
}

// LogHarm is ln E_R(rhoR), formula (3).
func (p *Profile) LogHarm(g *Grid) float64 { return p.LogHarmWithout(g, nil, nil) }

// LogSafety is ln E_P(rhoP), formula (4).
func (p *Profile) LogSafety(g *Grid) float64 {
	i := g.safety
	if i < 0 || len(p.L) != g.Len() {
		return math.Inf(-1)
	}
	return logMix(g.wSafety[:i], p.L[:i], nil, nil, p.L[i])
}

// LogHarmSince is ln E_R(rhoR) of the folds after snapshot, an earlier copy of
// L: a restart of the test at that moment. A nil snapshot means the start.
func (p *Profile) LogHarmSince(g *Grid, snapshot []float64) float64 {
	return p.LogHarmWithout(g, snapshot, nil)
}

// LogHarmWithout is LogHarmSince without the contribution inc: that of the worst
// fold (AddInto) or of a stratum (its profile's L). It takes inc out as it is,
// so a fold before the snapshot must not be passed. Nil stands for nothing in
// both; the harm part of either will do ([Grid.HarmPart]). Vectors of another
// length give -Inf, evidence 0.
func (p *Profile) LogHarmWithout(g *Grid, snapshot, inc []float64) float64 {
	if i := g.harm; snapshot == nil && inc == nil && i >= 0 && len(p.L) == g.Len() {
		return logMix(g.wHarm[i+1:], p.L[i+1:], nil, nil, p.L[i])
	}
	s, inc, ok := p.minus(g, snapshot, inc)
	if !ok {
		return math.Inf(-1)
	}
	i := g.harm
	ref := p.L[i] - s[0] - inc[0]
	return logMix(g.wHarm[i+1:], p.L[i+1:], s[1:], inc[1:], ref)
}

// Gain is by how much one fold can have raised ln E_R at most, of any start,
//
//	max_{j > i} (inc_j - inc_i),
//
// inc being what the fold contributed (AddInto): E_R after it is at most e^Gain
// times what it was before.
func (g *Grid) Gain(inc []float64) float64 {
	if g.harm < 0 || len(inc) != g.Len() {
		return 0
	}
	return greatest(inc[g.harm+1:]) - inc[g.harm]
}

// LogHarmBound is an upper bound of LogHarmSince without a single exp,
//
//	ln(sum_j pi_j) + max_{j > i} (l_j - l_i),   sum_j pi_j = 1,
//
// for a caller that only wants to know whether a bar can have been reached.
func (p *Profile) LogHarmBound(g *Grid, snapshot []float64) float64 {
	s, inc, ok := p.minus(g, snapshot, nil)
	if !ok {
		return math.Inf(-1)
	}
	i := g.harm
	return maxDifference(p.L[i+1:], s[1:], inc[1:]) - (p.L[i] - s[0])
}

// HarmPart returns the part of a profile's L, or of what a fold contributed, that its
// harm evidence is read from: rhoR and the points above. A snapshot or an increment
// may be given as this part alone. Nil where there is no harm side.
func (g *Grid) HarmPart(l []float64) []float64 {
	if g.harm < 0 || len(l) != g.Len() {
		return nil
	}
	return l[g.harm:]
}

// minus cuts both vectors to their harm part, zeros for nil, and checks lengths and
// the harm side.
func (p *Profile) minus(g *Grid, s, inc []float64) (_, _ []float64, ok bool) {
	if g.harm < 0 || len(p.L) != g.Len() {
		return nil, nil, false
	}
	s, inc = g.fromHarm(s), g.fromHarm(inc)
	return s, inc, s != nil && inc != nil
}

func (g *Grid) fromHarm(v []float64) []float64 {
	switch {
	case v == nil:
		return g.zero[g.harm:]
	case len(v) == g.Len()-g.harm:
		return v
	}
	return g.HarmPart(v)
}

// RatioExcess is the tempered number of canary events above what the margin
// rhoR allows, (xC - d q(rhoR))/phi: the measure by which the worst fold of a
// ratio objective is chosen. It is 0 for a fold that changes nothing or that Add
// would refuse.
func RatioExcess(rhoR, xC, xB, nC, nB, phi float64) float64 {
	informative, err := checkFold(xC, xB, nC, nB)
	phi, errPhi := clampPhi(phi)
	if err != nil || errPhi != nil || !informative || !positive(rhoR) {
		return 0
	}
	return (xC - float64((xC+xB)*shareOf(rhoR, nC/(nC+nB)))) / phi
}

// shareOf is q(rho) of (1), the canary's expected share of the events.
func shareOf(rho, w float64) float64 { return rho * w / (1 + float64((rho-1)*w)) }
