package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// leastSurprise is from how many nats on an unproven difference is worth a line.
const leastSurprise = 5

// tell lists the templates that the canary writes more often: findings, every new one of
// ERROR or above from its first line, and what is telling of the others.
func (t *templates) tell(ofPods int) []telling {
	var out []telling
	for i := range t.Seen {
		s := &t.Seen[i]
		r := t.Requests
		fresh := s.New && s.Events[0] == 0
		size := surprise(s.Events[1], s.Events[0], r.Canary, r.Baseline)
		more := r.ratio(s.Events[1], s.Events[0]) > 1 || fresh
		found := i < len(t.found) && t.found[i]
		switch {
		case s.Events[1] == 0 && s.Events[0] == 0:
			continue
		case found, fresh && s.Events[1] > 0, more && size >= leastSurprise:
		case s.Events[1] == 0 && size >= leastSurprise: // gone
		default:
			continue
		}
		out = append(out, t.telling(s, found, size, ofPods))
	}
	return append(out, t.tellVolumes()...)
}

func (t *templates) telling(s *templateSeen, found bool, size float64, ofPods int) telling {
	d := telling{class: max(classInfo, 10*int(s.Worst)), size: size, Difference: Difference{
		Key: "template:" + s.ID, Kind: DiffTemplate, Service: t.plan.Deployment.Release.Service,
		Template: s.Text, Severity: s.Worst, New: s.New && s.Events[0] == 0, Gone: s.Events[1] == 0, Found: found, Muted: t.muted(s),
		E: Figure(math.NaN()), Baseline: s.Events[0], Canary: s.Events[1], Ratio: Figure(t.Requests.ratio(s.Events[1], s.Events[0])), OfPods: ofPods,
	}}
	if s.Weight > 0 && t.Both > 0 {
		d.E = figureOf(s.LogE)
	}
	if d.Gone {
		d.class = classInfo
	}
	d.complete = func(d *Difference) { t.complete(s, d) }
	return d
}

// complete adds what only those get that are shown.
func (t *templates) complete(s *templateSeen, d *Difference) {
	d.Pods = slices.Clone(s.Pods)
	if !s.Since.IsZero() {
		since := s.Since
		d.Since = &since
	}
	if s.Example != nil {
		example := *s.Example
		d.Example, d.TraceID = &example, example.TraceID
	}
	d.What = t.sentence(s, d)
}

// sentence says in one line what a template shows.
func (t *templates) sentence(s *templateSeen, d *Difference) string {
	unit := "requests"
	if t.NoTraces {
		unit = "seconds of a pod"
	}
	level := "line"
	if s.Worst >= SeverityWarn {
		level = s.Worst.String() + " line"
	}
	counts := fmt.Sprintf("%.0f %s of the canary, %.0f of the baseline", s.Events[1], unit, s.Events[0])
	var what string
	switch more := times(float64(d.Ratio)); {
	case d.Gone:
		what = fmt.Sprintf("%s of the baseline alone: %s (%s)", level, quote(s.Text), counts)
	case d.New:
		what = fmt.Sprintf("new %s: %s (%.0f %s of the canary, none of the baseline)", level, quote(s.Text), s.Events[1], unit)
	case s.Events[0] == 0:
		what = fmt.Sprintf("%s of the canary alone, known from before: %s (%s)", level, quote(s.Text), counts)
	case more != "":
		what = fmt.Sprintf("%s %s as often: %s (%s)", level, more, quote(s.Text), counts)
	default:
		what = fmt.Sprintf("%s: %s (%s)", level, quote(s.Text), counts)
	}
	switch {
	case d.Muted:
		return what + "; expected or muted"
	case d.Found:
		return what
	}
	return what + "; seen, not yet evidence"
}

// muted reports whether the objective or the deployment declared a template: its text,
// or the line that stands for it, contains one of theirs, in any case of letters.
func (t *templates) muted(s *templateSeen) bool {
	if t.plan.Logs == nil || len(t.plan.Logs.Expect)+len(t.plan.Logs.Mute) == 0 {
		return false
	}
	in := strings.ToLower(s.Text)
	if s.Example != nil {
		in += "\n" + strings.ToLower(s.Example.Text)
	}
	declared := func(text string) bool { return strings.Contains(in, strings.ToLower(text)) }
	return slices.ContainsFunc(t.plan.Logs.Expect, declared) || slices.ContainsFunc(t.plan.Logs.Mute, declared)
}

// newError returns the finding among the new templates of ERROR or above that is neither
// declared nor muted, the strongest first; nil: there is none.
func (t *templates) newError() *templateSeen {
	var worst *templateSeen
	for i := range t.Seen {
		s := &t.Seen[i]
		if !s.New || s.Worst < SeverityError || !t.found[i] || t.muted(s) {
			continue
		}
		if worst == nil || s.LogE > worst.LogE {
			worst = s
		}
	}
	return worst
}
