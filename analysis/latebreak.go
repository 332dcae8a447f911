package analysis

import (
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// lateBreakLevel is how improbable the canary's newest counts must be, if it stood
// exactly at its margin, to hold back a promote. It is no error rate of a verdict:
// a veto can only delay.
const lateBreakLevel = 0.01

// lateBreak reports whether the canary's newest counts lie beyond the margin: over
// the last minute, or over the last five. A long healthy start gives so much
// evidence of safety that a canary which breaks just before the bake ends would
// be promoted on it; the evidence of harm would come too late. The counts are
// divided by the dispersion of history: that of the run would take the break for
// noise. The baseline's rate is that of the same folds or of the whole run,
// whichever is larger, so that a bad moment of both arms is no break.
func (o *objectiveState) lateBreak() (Check, bool) {
	phi := max(1, o.o.History.PlanPhi)
	overall := rate(o.last.BaselineBad, o.last.BaselineExposure)
	for _, span := range []time.Duration{time.Minute, recentSpan} {
		n := min(len(o.recent.Folds), max(1, int(span/o.o.Cadence.D())))
		newest := recent{Folds: o.recent.Folds[len(o.recent.Folds)-n:]}
		c := newest.sum()
		pB := overall
		if c.nB > 0 {
			pB = max(pB, c.xB/c.nB)
		}
		if !(pB >= 0) || c.nC <= 0 { // NaN: nothing to hold it against
			continue
		}
		margin := c.nC * (float64(o.o.MarginBound.Ratio*pB) + float64(o.o.MarginBound.Budget*(1-o.o.Target)))
		if c.xC > margin && stats.PoissonTail(c.xC/phi, margin/phi) < lateBreakLevel {
			return Check{Undecided, LateBreak, fmt.Sprintf("%s: safe over the whole run, but in the last %v the canary is beyond its margin (%s bad, baseline %s)",
				o.o.Name, time.Duration(n)*o.o.Cadence.D(), percent(c.xC, c.nC), percent(c.xB, c.nB))}, true
		}
	}
	return Check{}, false
}
