package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// order returns the findings with those first that a reader must see first:
// harm, then what blocks a promote, then the rest.
func order(findings []analysis.Finding) []analysis.Finding {
	rank := func(f analysis.Finding) int {
		switch {
		case f.State == analysis.FindingBreached:
			return 0
		case f.Role == analysis.Critical && f.State != analysis.FindingWithin:
			return 1
		case f.Role == analysis.Critical:
			return 2
		case f.Role == analysis.Secondary:
			return 3
		}
		return 4
	}
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b analysis.Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return sorted
}

// objective writes one finding.
func (p *page) objective(f analysis.Finding, bars bars) {
	state, colour := "UNDECIDED", yellow
	switch f.State {
	case analysis.FindingBreached:
		state, colour = "HARM SHOWN", red
	case analysis.FindingWithin:
		state, colour = "SHOWN SAFE", green
	}
	p.blank()
	p.line("  " + pad(plain(f.Objective, 48), 50) + p.paint(colour, pad(state, 12)) + plain(string(f.Role), 12))
	if f.Reason != "" {
		p.line("    " + plain(f.Reason, Width-4))
	}
	p.field("  canary", counted(f.N.CanaryBad, f.N.CanaryExposure))
	p.field("  baseline", counted(f.N.BaselineBad, f.N.BaselineExposure))
	p.effect(f)
	p.field("  evidence", bars.ofObjective(f))
	if f.Role == analysis.Critical && f.State != analysis.FindingWithin && f.State != analysis.FindingBreached {
		p.field("  still needed", missing(f))
	}
	if planned := bars.planned(f.Objective); planned != nil {
		p.field("  margin", plain(planned.MarginBound.String(), 60)+rung(planned.Rung))
	}
	if f.Strength != "" && f.Strength != "exact" {
		p.field("  strength", plain(f.Strength, 20)+": it can hold or roll back, not promote")
	}
}

func counted(bad, exposure float64) string {
	if !(exposure > 0) {
		return "nothing yet"
	}
	return count(bad) + " bad of " + count(exposure) + " (" + percent(bad/exposure) + ")"
}

// effect writes the estimate with its interval and the limits, and draws them.
func (p *page) effect(f analysis.Finding) {
	r, drawn := newRuler(f)
	label := func(v float64) string { return figure(v) + "x" }
	words := func(v analysis.Figure) string { return figure(float64(v)) }
	what := "times the baseline's rate"
	if !r.ratio {
		label = points
		words = func(v analysis.Figure) string { return points(float64(v)) }
		what = "percentage points against the baseline's rate"
	}
	if !drawn {
		p.field("  effect", "no estimate yet; "+limits(f, words))
		return
	}
	p.field("  effect", words(f.Effect)+" "+what+", between "+words(f.Low)+" and "+bound(f, words)+"; "+limits(f, words))
	for _, line := range r.draw(f, label) {
		p.line(strings.Repeat(" ", indent) + line)
	}
}

func bound(f analysis.Finding, words func(analysis.Figure) string) string {
	if !finite(float64(f.High)) {
		return "any size"
	}
	return words(f.High)
}

// points writes a difference of rates in percentage points.
func points(v float64) string {
	if v > 0 {
		return "+" + figure(100*v)
	}
	return figure(100 * v)
}

func limits(f analysis.Finding, words func(analysis.Figure) string) string {
	return "harm begins at " + words(f.Tolerance) + " (t), safe is below " + words(f.Margin) + " (m)"
}

// missing says what an undecided objective waits for.
func missing(f analysis.Finding) string {
	text := minutesText(f.MinutesToPromote) + " of this traffic to show it safe"
	if m := float64(f.MinutesToPromote); math.IsNaN(m) || math.IsInf(m, 0) {
		text = "at this rate and margin it may never be shown safe"
	}
	if m := float64(f.MinutesToDetectDouble); finite(m) && m > 0 {
		text += "; a doubled rate would show in " + minutesText(f.MinutesToDetectDouble)
	}
	return text
}

func rung(name string) string {
	switch name {
	case "explicit":
		return ", as you set it"
	case "default":
		return ", the default without an SLO"
	case "half_budget":
		return ": it costs less than half of the error budget"
	case "keeps_slo":
		return ": it keeps its SLO (the traffic cannot show half of the error budget in time)"
	case "underpowered":
		return ": it keeps its SLO, and even that the traffic can hardly show in time"
	}
	return ""
}

// bars are what evidence is compared with.
type bars struct {
	rollback, promote float64
	plan              *analysis.Plan // may be nil
}

func barsOf(plan *analysis.Plan) bars {
	b := bars{1 / analysis.DefaultAlphaRollback, 1 / analysis.DefaultAlphaPromote, plan}
	if plan != nil && plan.AlphaRollback > 0 && plan.AlphaPromote > 0 {
		b.rollback, b.promote = 1/plan.AlphaRollback, 1/plan.AlphaPromote
	}
	return b
}

func (b bars) planned(name string) *analysis.PlannedObjective {
	if b.plan == nil {
		return nil
	}
	for i := range b.plan.Objectives {
		if b.plan.Objectives[i].Name == name {
			return &b.plan.Objectives[i]
		}
	}
	return nil
}

// ofObjective compares the evidence of one objective with what it would need
// alone: its share of the bar, since the harm of all objectives is averaged.
func (b bars) ofObjective(f analysis.Finding) string {
	need := b.rollback
	if planned := b.planned(f.Objective); planned != nil {
		if planned.Weight <= 0 {
			return "for your information only: it neither promotes nor rolls back"
		}
		need /= planned.Weight
	}
	text := "harm " + against(f.ERollback, need, f.State == analysis.FindingBreached)
	if f.Role == analysis.Critical {
		text += "; safety " + against(f.EPromote, b.promote, f.State == analysis.FindingWithin)
	}
	return text
}

// against compares evidence with its bar. At the bar it is shown only if the
// judge says so: harm also needs enough events.
func against(e analysis.Figure, need float64, shown bool) string {
	text := evidence(e) + " of " + figure(need) + " needed"
	switch {
	case shown:
		return text + ": shown"
	case float64(e) >= need:
		return text + ": reached"
	}
	return text
}

// together is the weighted harm of all objectives, on which a rollback rests, and
// whether it can be told: the weights are in the plan.
func (b bars) together(findings []analysis.Finding) (float64, bool) {
	if b.plan == nil || len(findings) == 0 {
		return 0, false
	}
	sum := 0.0
	for _, f := range findings {
		planned := b.planned(f.Objective)
		if planned == nil {
			return 0, false
		}
		if planned.Weight > 0 {
			sum += planned.Weight * float64(f.ERollback)
		}
	}
	return sum, finite(sum)
}

// weakest is the evidence of safety of the critical objective that has least.
func weakest(findings []analysis.Finding) (float64, bool) {
	least := math.Inf(1)
	for _, f := range findings {
		if f.Role == analysis.Critical {
			least = math.Min(least, float64(f.EPromote))
		}
	}
	return least, finite(least)
}
