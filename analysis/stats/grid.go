package stats

import (
	"fmt"
	"math"
	"sort"
)

// The shape of the priors and of the grid where a GridConfig does not say
// otherwise.
const (
	gridStep        = 1.0 / 20 // in ln rho
	gridFirst       = -60      // ln rho = -3
	defaultMaxLog   = 3.5      // ln rho = 70/20
	defaultHarm     = 0.3      // half-Cauchy scale of the harm prior
	defaultSafetySD = 0.1      // sd of the normal, scale of the Cauchy part
	safetyNormal    = 0.7      // share of the normal part of the safety prior
	samePoint       = 1e-9     // points nearer than this, in ln rho, are one
)

// Grid is a fixed set of rate ratios rho_j with the prior weights of the two
// one-sided mixtures that are read off a [Profile]:
//
//	harm at rhoR, over rho_j > rhoR:   half-Cauchy in ln(rho/rhoR), scale 0.3
//	safety at rhoP, over rho_j < rhoP: 0.7 N(0, 0.1^2) + 0.3 Cauchy(0, 0.1) in
//	                                   ln rho, cut at rhoP
//
// Each point is weighted by its density times its cell width
// (ln rho_{j+1} - ln rho_{j-1})/2, at both ends of the grid the full distance to
// the neighbour, and the weights of a side sum to 1.
//
// The points are ln rho = i/20, i = -60..70, plus rhoR and rhoP exactly; a point
// within 1e-9 of one of them is replaced by it. A true ratio above e^3.5 = 33 is
// still found: the last point stands for it.
//
// A Grid is immutable and may be shared by any number of profiles and goroutines.
type Grid struct {
	rho   []float64 // ascending
	ln    []float64 // ln rho
	rm1   []float64 // rho - 1
	width []float64 // cell width in ln rho
	base  []float64 // safety density times cell width, before the cut
	zero  []float64 // stands for an absent snapshot or increment

	scale float64 // of the harm prior

	harm, safety   int       // index of rhoR, rhoP; -1: that side is absent
	wHarm, wSafety []float64 // normalised; wHarm[j] for j > harm, wSafety[j] for j < safety
}

// GridConfig describes a grid that differs from the ordinary one. Zero values
// mean: side absent (RhoR, RhoP), default (the others).
type GridConfig struct {
	RhoR float64 // largest acceptable ratio
	RhoP float64 // smallest unacceptable ratio

	Extra     []float64 // further ratios that must be points
	HarmScale float64   // half-Cauchy scale, 0.3
	SafetySD  float64   // normal sd and Cauchy scale, 0.1
	MaxLog    float64   // largest ln rho of the regular points, 3.5
}

// NewGrid returns the ordinary grid for the margins rhoR (harm) and rhoP
// (safety). A margin of 0 means that the side is absent; so does one that cannot
// be (NaN, negative, outside the grid): its evidence is then 0 forever, which
// neither rolls back nor promotes. NewGridConfig reports such a fault instead.
func NewGrid(rhoR, rhoP float64) *Grid {
	c := GridConfig{RhoR: rhoR, RhoP: rhoP}
	if !insideGrid(rhoR, defaultMaxLog) {
		c.RhoR = 0
	}
	if !insideGrid(rhoP, defaultMaxLog) {
		c.RhoP = 0
	}
	g, _ := NewGridConfig(c) // all faults were removed above
	return g
}

// NewGridConfig returns the grid of c, or ErrParameter. Equal configurations without
// further ratios share one grid while anybody holds it.
func NewGridConfig(c GridConfig) (*Grid, error) {
	if c.HarmScale == 0 {
		c.HarmScale = defaultHarm
	}
	if c.SafetySD == 0 {
		c.SafetySD = defaultSafetySD
	}
	if c.MaxLog == 0 {
		c.MaxLog = defaultMaxLog
	}
	if !(c.HarmScale > 1e-3 && c.HarmScale < 1e3) || !(c.SafetySD > 1e-3 && c.SafetySD < 1e3) {
		return nil, fmt.Errorf("%w: prior scale", ErrParameter)
	}
	if !(c.MaxLog >= 1 && c.MaxLog <= 10) {
		return nil, fmt.Errorf("%w: grid end", ErrParameter)
	}
	exact := append([]float64(nil), c.Extra...)
	for _, r := range []float64{c.RhoR, c.RhoP} {
		if r != 0 {
			exact = append(exact, r)
		}
	}
	for _, r := range exact {
		if !insideGrid(r, c.MaxLog) {
			return nil, fmt.Errorf("%w: ratio %v is not inside the grid", ErrParameter, r)
		}
	}
	if len(c.Extra) > 0 {
		return newGrid(c, exact), nil
	}
	return sharedGrid(c, exact), nil
}

// newGrid builds the grid of a valid configuration.
func newGrid(c GridConfig, exact []float64) *Grid {
	g := newGridPoints(regularPoints(c.MaxLog), exact, c.SafetySD, c.HarmScale)
	g.harm, g.safety = -1, -1
	if c.RhoR != 0 {
		g.harm = g.IndexOf(c.RhoR)
		g.wHarm = g.harmWeights(make([]float64, g.Len()), g.harm)
	}
	if c.RhoP != 0 {
		g.safety = g.IndexOf(c.RhoP)
		g.wSafety = g.safetyWeights(make([]float64, g.Len()), g.safety)
	}
	return g
}

// insideGrid reports whether rho lies strictly between the ends of a grid.
func insideGrid(rho, maxLog float64) bool {
	if !positive(rho) {
		return false
	}
	l := math.Log(rho)
	return l > gridFirst*gridStep+samePoint && l < maxLog-samePoint
}

// regularPoints returns ln rho = i/20 from -3 to maxLog.
func regularPoints(maxLog float64) []float64 {
	last := int(math.Round(maxLog / gridStep))
	ln := make([]float64, 0, last-gridFirst+1)
	for i := gridFirst; i <= last; i++ {
		ln = append(ln, float64(i)/20)
	}
	return ln
}

// newGridPoints builds a grid from regular points (in ln rho) and exact ratios,
// without sides.
func newGridPoints(ln, exact []float64, safetySD, harmScale float64) *Grid {
	type point struct{ ln, rho, rm1 float64 }
	pts := make([]point, 0, len(ln)+len(exact))
	for _, l := range ln {
		pts = append(pts, point{l, math.Exp(l), math.Expm1(l)})
	}
next:
	for _, r := range exact {
		p := point{math.Log(r), r, r - 1}
		for i := range pts {
			if math.Abs(pts[i].ln-p.ln) < samePoint {
				pts[i] = p
				continue next
			}
		}
		pts = append(pts, p)
	}
	sort.Slice(pts, func(i, j int) bool { return pts[i].ln < pts[j].ln })

	n := len(pts)
	g := &Grid{
		rho: make([]float64, n), ln: make([]float64, n), rm1: make([]float64, n),
		width: make([]float64, n), base: make([]float64, n), zero: make([]float64, n),
		scale: harmScale, harm: -1, safety: -1,
	}
	for j, p := range pts {
		g.rho[j], g.ln[j], g.rm1[j] = p.rho, p.ln, p.rm1
	}
	for j := range pts {
		switch {
		case n == 1:
			g.width[j] = 1
		case j == 0:
			g.width[j] = g.ln[1] - g.ln[0]
		case j == n-1:
			g.width[j] = g.ln[n-1] - g.ln[n-2]
		default:
			g.width[j] = (g.ln[j+1] - g.ln[j-1]) / 2
		}
		g.base[j] = g.width[j] * safetyDensity(g.ln[j], safetySD)
	}
	return g
}

// safetyDensity is the density of 0.7 N(0, sd^2) + 0.3 Cauchy(0, sd) at u.
func safetyDensity(u, sd float64) float64 {
	z := u / sd
	normal := math.Exp(-z*z/2) / (sd * math.Sqrt(2*math.Pi))
	cauchy := 1 / (math.Pi * sd * (1 + z*z))
	return float64(safetyNormal*normal) + float64((1-safetyNormal)*cauchy)
}

// harmWeights fills dst with the normalised harm prior for the null rho_i: zero
// up to i, half-Cauchy above.
func (g *Grid) harmWeights(dst []float64, i int) []float64 {
	sum := 0.0
	for j := range dst {
		dst[j] = 0
		if j > i {
			z := (g.ln[j] - g.ln[i]) / g.scale
			dst[j] = g.width[j] / (1 + z*z)
			sum += dst[j]
		}
	}
	normalise(dst, sum)
	return dst
}

// safetyWeights fills dst with the normalised safety prior for the null rho_i:
// zero from i on.
func (g *Grid) safetyWeights(dst []float64, i int) []float64 {
	sum := 0.0
	for j := range dst {
		dst[j] = 0
		if j < i {
			dst[j] = g.base[j]
			sum += dst[j]
		}
	}
	normalise(dst, sum)
	return dst
}

func normalise(w []float64, sum float64) {
	if sum == 0 {
		return
	}
	for j := range w {
		w[j] /= sum
	}
}

// Len is the number of points, at most 133 for an ordinary grid.
func (g *Grid) Len() int { return len(g.rho) }

// Rho is the j-th ratio, ascending in j.
func (g *Grid) Rho(j int) float64 { return g.rho[j] }

// LogRho is the logarithm of the j-th ratio.
func (g *Grid) LogRho(j int) float64 { return g.ln[j] }

// IndexOf returns the index of rho, or -1 where it is no point of the grid.
func (g *Grid) IndexOf(rho float64) int {
	if !positive(rho) {
		return -1
	}
	l := math.Log(rho)
	j := sort.SearchFloat64s(g.ln, l-samePoint)
	if j < len(g.ln) && math.Abs(g.ln[j]-l) < samePoint {
		return j
	}
	return -1
}

// RhoR is the harm margin, 0 where that side is absent.
func (g *Grid) RhoR() float64 {
	if g.harm < 0 {
		return 0
	}
	return g.rho[g.harm]
}

// RhoP is the safety margin, 0 where that side is absent.
func (g *Grid) RhoP() float64 {
	if g.safety < 0 {
		return 0
	}
	return g.rho[g.safety]
}

// LogHarmPrior is the log prior weight of point j on the harm side, -Inf at and
// below rhoR and where the side is absent.
func (g *Grid) LogHarmPrior(j int) float64 {
	if g.harm < 0 {
		return math.Inf(-1)
	}
	return math.Log(g.wHarm[j])
}

// LogSafetyPrior is the log prior weight of point j on the safety side, -Inf at
// and above rhoP and where the side is absent.
func (g *Grid) LogSafetyPrior(j int) float64 {
	if g.safety < 0 {
		return math.Inf(-1)
	}
	return math.Log(g.wSafety[j])
}
