package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// An Explanation is what Explain tells.
type Explanation struct {
	Verdict verdicts.Verdict
	Plan    *analysis.Plan // nil: the page says less about margins and bars
	Links   []Link         // of what logs and traces show; those who know the sources make them
	Colour  bool           // for a terminal
}

// Explain writes the page for one verdict, pending or final, to w.
func Explain(w io.Writer, e Explanation) error {
	p := &page{colour: e.Colour}
	v, b := e.Verdict, barsOf(e.Plan)
	p.headline(v)
	p.times(v)
	p.objectives(v, b)
	p.falseAlarms(v)
	p.differences(e)
	p.checks(v)
	p.coverage(v)
	p.gates(v)
	p.warnings(v)
	p.evidence(v)
	if _, err := io.WriteString(w, p.b.String()); err != nil {
		return fmt.Errorf("explain %s: %w", v.ValidationID, err)
	}
	return nil
}

// headline is the answer: word, release, reason, what to do.
func (p *page) headline(v verdicts.Verdict) {
	colour := map[verdicts.Word]string{verdicts.Promote: green, verdicts.Rollback: red, verdicts.Hold: yellow}[v.Verdict]
	state := "not final"
	if v.Final {
		state = "final"
	}
	word := strings.ToUpper(v.Verdict.String())
	p.line(p.paint(colour, word) + verdicts.Shorten(", "+state+"   "+release(v), Width-len(word)))
	p.blank()
	why := orNone(plain(v.Reason, verdicts.MaxReason), "no reason was given")
	if v.ReasonCode != "" {
		why += " [" + plain(string(v.ReasonCode), 40) + "]"
	}
	p.field("why", why)
	p.field("what to do", whatToDo(v))
	p.blank()
	if v.BaselineVersion == "" {
		p.field("compared with", "nothing: the version of the baseline is not known")
	}
	where := orNone(plain(v.Environment, 60), "an unknown environment")
	if v.Namespace != "" {
		where += ", namespace " + plain(v.Namespace, 60)
	}
	p.field("where", where)
}

// release names what is judged.
func release(v verdicts.Verdict) string {
	text := orNone(plain(v.Service, 40), "(unknown service)") + " "
	if v.BaselineVersion != "" {
		text += plain(v.BaselineVersion, 40) + " -> "
	}
	text += orNone(plain(v.Version, 40), "(unknown version)")
	if v.Environment != "" {
		text += "   " + plain(v.Environment, 40)
	}
	return text
}

func whatToDo(v verdicts.Verdict) string {
	text := map[verdicts.Word]string{
		verdicts.Promote:  "Promote.",
		verdicts.Rollback: "Roll back.",
		verdicts.Hold:     "Stay where you are; a person or your policy decides.",
	}[v.Verdict]
	switch {
	case v.Verdict == verdicts.Promote || v.Verdict == verdicts.Rollback:
		return text
	case text == "":
		text = "Nothing is decided yet."
	}
	switch v.Advice {
	case verdicts.Increase:
		text += " The canary's weight may be increased."
	case verdicts.Reduce:
		text += " Reduce the canary's weight meanwhile."
	default:
		text += " Keep the canary's weight."
	}
	if r, ok := verdicts.ReasonOf(v.ReasonCode); ok {
		text += " " + strings.ReplaceAll(r.Do, "`", "")
	}
	return text
}

// times says since when, up to when and until when.
func (p *page) times(v verdicts.Verdict) {
	if v.StartedAt == nil || v.StartedAt.IsZero() {
		p.field("since", "not seen yet")
		return
	}
	since := instant(*v.StartedAt, time.Time{})
	if v.AsOf != nil && !v.AsOf.IsZero() {
		since += "; telemetry is folded up to " + instant(*v.AsOf, *v.StartedAt) + " (" + span(v.AsOf.Sub(*v.StartedAt)) + ")"
	} else {
		since += "; no telemetry is folded yet"
	}
	p.field("since", since)
	if v.Deadline != nil {
		deadline := instant(*v.Deadline, *v.StartedAt)
		if v.AsOf != nil && !v.AsOf.IsZero() {
			switch left := v.Deadline.Sub(*v.AsOf); {
			case left <= 0:
				deadline += " (reached)"
			case !v.Final:
				deadline += " (" + span(left) + " left)"
			}
		}
		p.field("deadline", deadline)
	}
	if v.Weight != nil && finite(float64(*v.Weight)) {
		p.field("weight", percent(float64(*v.Weight))+" of the traffic goes to the canary")
	}
	if !v.Final || v.Verdict == verdicts.Hold {
		p.field("still needed", stillNeeded(v))
	}
	if v.IssuedAt != nil && v.Final {
		p.field("judged", instant(*v.IssuedAt, *v.StartedAt)+" ("+span(v.IssuedAt.Sub(*v.StartedAt))+" after the start)")
	}
	if v.NotAfter != nil && v.Final {
		p.field("good until", instant(*v.NotAfter, *v.StartedAt)+"; do not act on it later")
	}
}

// stillNeeded says how long a promote still takes at this traffic.
func stillNeeded(v verdicts.Verdict) string {
	m := float64(v.MinutesToPromote)
	switch {
	case len(v.Findings) == 0:
		return "cannot be told before there is something to compare"
	case math.IsNaN(m):
		return "unknown; with this traffic and these margins safety may never be shown"
	case m <= 0:
		return "no more evidence of safety; see the reason above"
	}
	text := minutesText(v.MinutesToPromote) + " of this traffic until a promote"
	if !v.Final && v.Deadline != nil && v.AsOf != nil && !v.AsOf.IsZero() && v.Deadline.Sub(*v.AsOf).Minutes() < m {
		text += ", which is after the deadline"
	}
	return text
}

func (p *page) objectives(v verdicts.Verdict, b bars) {
	p.heading("objectives")
	if len(v.Findings) == 0 {
		p.line("  none has been judged")
		return
	}
	p.line("  * the canary with its interval; | like the baseline; t harm begins; m no longer safe")
	for _, f := range order(v.Findings) {
		if !listed(f) {
			p.objective(f, b)
		}
	}
	if least, ok := weakest(v.Findings); ok && v.Verdict == verdicts.Promote {
		p.blank()
		p.field("all together", "safety at least "+evidence(analysis.Figure(least))+": the data are that many times harder to explain by a release"+
			" beyond its margin")
		return
	}
	if r, ok := b.together(v.Findings); ok {
		p.blank()
		text := "harm " + against(analysis.Figure(r), b.rollback, v.Checks.Harm.State == analysis.Bad)
		if r >= b.rollback {
			text += ". The data are " + evidence(analysis.Figure(r)) + " times harder to explain by an acceptable release"
		}
		p.field("all together", text)
	}
}

// falseAlarms says what the same test did where nothing was deployed.
func (p *page) falseAlarms(v verdicts.Verdict) {
	f := v.FalseAlarms
	if f.Windows == 0 {
		return
	}
	text := count(float64(f.Alarms)) + " in " + count(float64(f.Windows)) + " windows of the same length before, in which nothing was deployed"
	if f.Calibrated {
		text += " (" + percent(float64(f.Low)) + " to " + percent(float64(f.High)) + " with 95 % confidence)"
	} else {
		text += "; too few to tell a rate"
	}
	p.field("false alarms", text)
}

func (p *page) checks(v verdicts.Verdict) {
	p.heading("checks")
	c := v.Checks
	for _, row := range []struct {
		name  analysis.CheckName
		check analysis.Check
	}{
		{analysis.Harm, c.Harm},
		{analysis.Safety, c.Safety},
		{analysis.Coverage, c.Coverage},
		{analysis.Identity, c.Identity},
		{analysis.Serving, c.Serving},
		{analysis.Environment, c.Environment},
	} {
		colour := yellow
		switch row.check.State {
		case analysis.Good, analysis.NotRequired:
			colour = ""
		case analysis.Bad:
			colour = red
		}
		text := plain(row.check.Reason, verdicts.MaxReason)
		if row.check.Code != "" {
			text += " [" + plain(string(row.check.Code), 40) + "]"
		}
		for i, line := range wrap(text, Width-indent-14) {
			name, state := "", pad("", 14)
			if i == 0 {
				name, state = string(row.name), p.paint(colour, pad(row.check.State.String(), 14))
			}
			p.line(pad("  "+name, indent) + state + line)
		}
	}
}

func (p *page) coverage(v verdicts.Verdict) {
	p.heading("telemetry received")
	for _, arm := range []struct {
		name string
		is   verdicts.ArmCoverage
	}{{"canary", v.Coverage.Canary}, {"baseline", v.Coverage.Baseline}} {
		if arm.is.Expected <= 0 {
			p.field(arm.name, "nothing was expected yet")
			continue
		}
		p.field(arm.name, fmt.Sprintf("%s of %s expected (%s) from %s, %s requests",
			count(float64(arm.is.Received)), count(float64(arm.is.Expected)),
			percent(float64(arm.is.Received)/float64(arm.is.Expected)), pods(arm.is.Pods), count(arm.is.Exposure)))
	}
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return count(float64(n)) + " pods"
}

func (p *page) gates(v verdicts.Verdict) {
	if len(v.Gates) == 0 {
		return
	}
	p.heading("gates")
	for _, g := range v.Gates {
		text := "open"
		if !g.Open {
			text = "closed"
		}
		if g.Reason != "" {
			text += ": " + plain(g.Reason, 2*verdicts.MaxReason)
		}
		p.field(plain(g.Name, indent-3), text)
	}
}

func (p *page) warnings(v verdicts.Verdict) {
	warnings := v.Warnings
	said := slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, string(analysis.Uncalibrated)) })
	if !v.Calibrated && !said && len(v.Findings) > 0 {
		r, _ := verdicts.ReasonOf(analysis.Uncalibrated)
		warnings = append([]string{"not calibrated: " + r.Line + "; evidence is weighed more carefully"}, warnings...)
	}
	if v.Evidence == "before_after" {
		warnings = append([]string{"there is no concurrent baseline: this compares with the time before"}, warnings...)
	}
	if len(warnings) == 0 {
		return
	}
	p.heading("warnings")
	for _, w := range warnings {
		for i, line := range wrap(plain(w, 500), Width-4) {
			sign := "  ! "
			if i > 0 {
				sign = "    "
			}
			p.line(sign + line)
		}
	}
}

// evidence says where everything is kept and how to judge again.
func (p *page) evidence(v verdicts.Verdict) {
	p.heading("evidence")
	switch name := plain(v.Bundle, 200); {
	case name != "":
		p.field("bundle", name)
		p.field("judge again", "assay rejudge "+name)
	case v.Final:
		p.field("bundle", "not kept")
	default:
		p.field("bundle", "none yet: it is sealed with the final verdict")
	}
	p.field("deployment", orNone(plain(string(v.DeploymentID), 120), "unknown")+attempt(v))
	p.field("validation", orNone(plain(string(v.ValidationID), 120), "none"))
	if v.ArtifactDigest != "" {
		p.field("artifact", plain(v.ArtifactDigest, 160))
	}
	if v.PlanDigest != "" {
		p.field("plan", plain(v.PlanDigest, 160))
	}
	if v.EvidenceDigest != "" {
		p.field("looks", plain(v.EvidenceDigest, 160))
	}
}

func attempt(v verdicts.Verdict) string {
	text := ""
	if v.Attempt > 1 {
		text = fmt.Sprintf(", attempt %d", v.Attempt)
	}
	if v.Mode != "" && v.Mode != analysis.Live {
		text += ", " + plain(string(v.Mode), 20)
	}
	return text
}

func orNone(text, none string) string {
	if text == "" {
		return none
	}
	return text
}
