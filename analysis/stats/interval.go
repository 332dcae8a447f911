package stats

import "math"

// Interval is the confidence sequence for the ratio rho at level 1-alpha: the
// grid points with E_R(rho) < 2/alpha and E_P(rho) < 2/alpha, reported outward
// to the next grid point. Valid at every look at once: the true ratio is inside
// all of them with probability at least 1-alpha.
//
// Special cases: where the lowest kept point is the first of the grid lo is 0,
// where the highest is the last hi is +Inf. The set is never empty: at the most
// likely point both E are at most 1, so with more data than the grid resolves
// that point and its two neighbours remain. An alpha outside (0, 1) or a profile
// of another grid gives (0, +Inf).
//
// Cost: points are mostly kept or rejected by bounds; at worst one exp per pair
// of points, on demand. It allocates nothing.
func (p *Profile) Interval(g *Grid, alpha float64) (lo, hi float64) {
	n := g.Len()
	if !(alpha > 0 && alpha < 1) || len(p.L) != n {
		return 0, math.Inf(1)
	}
	bar := math.Log(2 / alpha)
	first, last := 0, n-1
	for first < n-1 && p.rejects(g, first, bar) {
		first++
	}
	for last > first && p.rejects(g, last, bar) {
		last--
	}
	lo, hi = 0, math.Inf(1)
	if first > 0 {
		lo = g.rho[first-1]
	}
	if last < n-1 {
		hi = g.rho[last+1]
	}
	return lo, hi
}

// rejects reports whether ln E_R or ln E_P with the point i as margin is at least
// bar.
func (p *Profile) rejects(g *Grid, i int, bar float64) bool {
	return p.harmReaches(g, i, bar) || p.safetyReaches(g, i, bar)
}

// harmReaches reports whether ln E_R at the null rho_i is at least bar.
func (p *Profile) harmReaches(g *Grid, i int, bar float64) bool {
	return maxDifference(p.L[i+1:], g.zero[i+1:], g.zero[i+1:])-p.L[i] >= bar &&
		p.LogHarmAt(g, i) >= bar
}

// safetyReaches reports whether ln E_P at the null rho_i is at least bar.
func (p *Profile) safetyReaches(g *Grid, i int, bar float64) bool {
	return maxDifference(p.L[:i], g.zero[:i], g.zero[:i])-p.L[i] >= bar &&
		p.LogSafetyAt(g, i) >= bar
}

// LogHarmAt is ln E_R with the grid point i as the margin: formula (3) for the
// null rho <= rho_i. -Inf for the last point and for an index off the grid.
func (p *Profile) LogHarmAt(g *Grid, i int) float64 {
	if i < 0 || i >= g.Len() || len(p.L) != g.Len() {
		return math.Inf(-1)
	}
	top := maxDifference(p.L[i+1:], g.zero[i+1:], g.zero[i+1:])
	sum, norm := 0.0, 0.0
	for j := i + 1; j < len(p.L); j++ {
		z := (g.ln[j] - g.ln[i]) / g.scale
		w := g.width[j] / (1 + float64(z*z))
		norm += w
		if a := p.L[j] - top; a > negligible {
			sum += float64(w * math.Exp(a))
		}
	}
	return logRatio(top-p.L[i], sum, norm)
}

// LogSafetyAt is ln E_P with the grid point i as the margin: formula (4) for the
// null rho >= rho_i. -Inf for the first point and for an index off the grid.
func (p *Profile) LogSafetyAt(g *Grid, i int) float64 {
	if i < 0 || i >= g.Len() || len(p.L) != g.Len() {
		return math.Inf(-1)
	}
	top := maxDifference(p.L[:i], g.zero[:i], g.zero[:i])
	sum, norm := 0.0, 0.0
	for j := 0; j < i; j++ {
		norm += g.base[j]
		if a := p.L[j] - top; a > negligible {
			sum += float64(g.base[j] * math.Exp(a))
		}
	}
	return logRatio(top-p.L[i], sum, norm)
}

// logRatio is top + ln(sum/norm), -Inf for an empty sum.
func logRatio(top, sum, norm float64) float64 {
	if sum == 0 {
		return math.Inf(-1)
	}
	return top + math.Log(sum/norm)
}
