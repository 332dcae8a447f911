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

// listed reports whether a finding has nothing to say but what is listed by itself.
func listed(f analysis.Finding) bool {
	method, _, _ := strings.Cut(f.Method, "/")
	return method == string(analysis.ShapeTemplates) || method == string(analysis.ShapeTopology)
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
	planned := bars.planned(f.Objective)
	scale := scaleOf(f, planned)
	p.counts(f)
	p.effect(f, scale)
	p.thresholds(planned)
	p.field("  evidence", bars.ofObjective(f))
	if f.Role == analysis.Critical && f.State != analysis.FindingWithin && f.State != analysis.FindingBreached {
		p.field("  still needed", missing(f, scale))
	}
	if planned != nil && planned.Leak == nil {
		p.field("  margin", plain(planned.MarginBound.String(), 60)+rung(planned.Rung))
	}
	p.beside(f)
	if f.Evidence == analysis.BeforeAfter {
		p.field("  compared", "with the time before the deployment, not with pods beside the canary")
	}
	if f.Strength != "" && f.Strength != "exact" {
		p.field("  strength", plain(f.Strength, 20)+": "+strength(planned))
	}
}

// strength says what an objective whose evidence is weak may do.
func strength(planned *analysis.PlannedObjective) string {
	if planned != nil && planned.AcceptWeak {
		return "it may promote all the same, as you accept it (acceptWeak)"
	}
	return "it can hold or roll back, not promote"
}

// counts writes what was counted in each arm. A level counts nothing.
func (p *page) counts(f analysis.Finding) {
	word := "bad"
	switch method, _, _ := strings.Cut(f.Method, "/"); method {
	case "level", "leak":
		return
	case "distribution":
		word = "slow"
	}
	p.field("  canary", counted(f.N.CanaryBad, f.N.CanaryExposure, word))
	p.field("  baseline", counted(f.N.BaselineBad, f.N.BaselineExposure, word))
}

// thresholds writes the quantiles that durations are compared at, and those that they
// could not be.
func (p *page) thresholds(planned *analysis.PlannedObjective) {
	if planned == nil || planned.Latency == nil {
		return
	}
	unit := plain(planned.Signal.Unit, 16)
	var parts []string
	for _, t := range planned.Latency.Thresholds {
		if t.Baseline < 0 || t.Baseline >= len(planned.Latency.Bounds) {
			continue // a plan that somebody else wrote
		}
		names := make([]string, len(t.Quantiles))
		for i, q := range t.Quantiles {
			names[i] = quantile(q)
		}
		parts = append(parts, strings.Join(names, " and ")+" > "+signless(planned.Latency.Bounds[t.Baseline], unit))
	}
	if parts != nil {
		p.field("  slow is", strings.Join(parts, ", "))
	}
	for _, u := range planned.Latency.Untested {
		p.field("  not judged", quantile(u.Quantile)+": "+plain(u.Why, 200))
	}
}

// quantile writes .95 as p95.
func quantile(q float64) string { return "p" + figure(100*q) }

// signless writes a value with its unit.
func signless(v float64, unit string) string { return strings.TrimPrefix(signed(v, unit), "+") }

func counted(bad, exposure float64, word string) string {
	if !(exposure > 0) {
		return "nothing yet"
	}
	return count(bad) + " " + word + " of " + count(exposure) + " (" + percent(bad/exposure) + ")"
}

// effect writes the estimate with its interval and the limits, and draws them.
func (p *page) effect(f analysis.Finding, s scale) {
	r, drawn := newRuler(f, s.ratio)
	if !drawn {
		p.field("  effect", "no estimate yet; "+s.limits(f))
		return
	}
	p.field("  effect", s.text(f.Effect)+" "+s.what+", between "+s.bound(f.Low)+" and "+s.bound(f.High)+"; "+s.limits(f))
	for _, line := range r.draw(f, s.label) {
		p.line(strings.Repeat(" ", indent) + line)
	}
}

// missing says what an undecided objective waits for.
func missing(f analysis.Finding, s scale) string {
	text := minutesText(f.MinutesToPromote) + " of this traffic to show it safe"
	if m := float64(f.MinutesToPromote); math.IsNaN(m) || math.IsInf(m, 0) {
		text = "at this rate and margin it may never be shown safe"
	}
	if m := float64(f.MinutesToDetectDouble); finite(m) && m > 0 && s.twice != "" {
		text += "; a doubled " + s.twice + " would show in " + minutesText(f.MinutesToDetectDouble)
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
