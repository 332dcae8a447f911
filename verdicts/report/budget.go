package report

import (
	"strconv"
	"time"

	"github.com/release-assay/assay/analysis"
)

// beside writes what stands beside the evidence of a finding and decides nothing: what
// the canary costs the error budget, how likely it is bad, and what waiting costs.
func (p *page) beside(f analysis.Finding) {
	if f.Budget != nil {
		p.field("  budget", budget(*f.Budget))
	}
	if f.Posterior != nil && finite(float64(f.Posterior.PBad)) {
		p.field("  likely bad", posterior(*f.Posterior))
	}
	if f.Cost != nil {
		p.field("  costs", cost(*f.Cost))
	}
}

func budget(b analysis.Budget) string {
	if !finite(float64(b.BurnRate)) {
		return "nothing of it is used by the canary yet"
	}
	text := count(float64(b.Attributable)) + " of " + count(float64(b.Total)) + " bad events in the canary are its own"
	if finite(float64(b.ShareOfBudget)) {
		text += ", " + percent(float64(b.ShareOfBudget)) + " of the " + count(float64(b.Size)) + " that " + window(b.Window.D()) + " allow"
		if b.WindowAssumed {
			text += " (assumed: the SLO names no window)"
		}
	}
	hour := b.ProjectedPerHour
	return text + "; with all traffic " + percent(float64(hour.Effect)) + " more of the budget an hour" +
		between(hour, percent) + "; burn rate " + figure(float64(b.BurnRate))
}

func posterior(p analysis.Posterior) string {
	return percent(float64(p.PBad)) + ", if " + percent(float64(p.Prior.PBad)) + " of releases are; a bad one would fail " +
		percent(float64(p.ExpectedExcess)) + " more often. Nothing is decided by this"
}

func cost(c analysis.Cost) string {
	money := func(v float64) string { return plain(figure(v)+" "+c.Currency, 40) }
	text := money(float64(c.SoFar)) + " so far"
	if finite(float64(c.PerHour.Effect)) {
		text += ", " + money(float64(c.PerHour.Effect)) + " an hour with all traffic" + between(c.PerHour, money)
	}
	if !finite(float64(c.Waiting)) {
		return text
	}
	text += "; waiting (" + minutesText(c.WaitMinutes) + ") is expected to cost " + money(float64(c.Waiting)) +
		", rolling back now " + money(float64(c.FalseRollback))
	if c.ReduceWeight {
		text += ": drop the weight to the step before while this is not decided"
	}
	return text
}

// between writes the interval of a projection; "" where there is none.
func between(p analysis.Projection, write func(float64) string) string {
	if !finite(float64(p.Low)) || !finite(float64(p.High)) {
		return ""
	}
	return " (between " + write(float64(p.Low)) + " and " + write(float64(p.High)) + ")"
}

// window writes how long an SLO's window is.
func window(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + " days"
	}
	return span(d)
}
