package analysis

import (
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// lateBreakLevel is how improbable the canary's newest counts must be, if it stood
// at its tolerance, to hold back a promote where they lie beyond its margin. It is no
// error rate of a verdict: a veto can only delay.
const lateBreakLevel = 0.01

// lateBreak reports whether the canary's newest counts lie beyond the margin: over
// the last minute, or over the last five. A long healthy start gives so much
// evidence of safety that a canary which breaks just before the bake ends would
// be promoted on it; the evidence of harm would come too late.
func lateBreak(o *PlannedObjective, total Counts, recent *recent) (Check, bool) {
	c, span, broke := recent.beyond(o.improbable(max(1, o.History.PlanPhi)), o.Cadence.D(), total)
	if !broke {
		return Check{}, false
	}
	return Check{Undecided, LateBreak, fmt.Sprintf("%s: safe over the whole run, but in the last %v the canary is beyond its margin (%s bad, baseline %s)",
		o.Name, span, percent(c.xC, c.nC), percent(c.xB, c.nB))}, true
}

// improbable returns whether counts lie beyond the margin and are improbable of a
// canary at its tolerance, for a rate of the baseline. They are divided by phi, the
// dispersion of history: that of the run would take the break for noise. Of good
// events there are then too few.
func (o *PlannedObjective) improbable(phi float64) func(c foldCounts, pB float64) bool {
	if !o.CountGood {
		budget := 1 - o.Target
		return tooMany(Bound{o.ToleranceBound.Ratio, o.ToleranceBound.Budget * budget}, Bound{o.MarginBound.Ratio, o.MarginBound.Budget * budget}, phi)
	}
	return func(c foldCounts, pB float64) bool {
		good, acceptable := c.nC-c.xC, c.nC*(1-o.line(o.ToleranceBound, pB))
		return good < c.nC*(1-o.line(o.MarginBound, pB)) && 1-stats.PoissonTail(good/phi+1, acceptable/phi) < lateBreakLevel
	}
}

// tooMany is improbable for a tolerance and a margin that are a ratio of the
// baseline's rate plus a share of the exposure.
func tooMany(tolerance, margin Bound, phi float64) func(c foldCounts, pB float64) bool {
	return func(c foldCounts, pB float64) bool {
		line := func(b Bound) float64 { return c.nC * (float64(b.Ratio*pB) + b.Budget) }
		return c.xC > line(margin) && stats.PoissonTail(c.xC/phi, line(tolerance)/phi) < lateBreakLevel
	}
}

// beyond returns the newest folds whose canary counts are improbable, and how long
// they took: the last minute or the last five. The baseline's rate is that of the same
// folds or of the whole run, whichever is larger, so that a bad moment of both arms is
// no break.
func (r *recent) beyond(improbable func(c foldCounts, pB float64) bool, cadence time.Duration, total Counts) (c foldCounts, span time.Duration, broke bool) {
	overall := rate(total.BaselineBad, total.BaselineExposure)
	for _, span := range []time.Duration{time.Minute, recentSpan} {
		n := min(len(r.Folds), max(1, int(span/cadence)))
		c := r.newest(n)
		pB := overall
		if c.nB > 0 {
			pB = max(pB, c.xB/c.nB)
		}
		if !(pB >= 0) || c.nC <= 0 { // NaN: nothing to hold it against
			continue
		}
		if improbable(c, pB) {
			return c, time.Duration(n) * cadence, true
		}
	}
	return foldCounts{}, 0, false
}
