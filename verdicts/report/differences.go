package report

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// shownDifferences is how many differences a page shows; the verdict has them all.
const shownDifferences = 12

// differences tells what logs and traces show to differ between the arms: what is
// behind a verdict, and what is seen and proves nothing yet.
func (p *page) differences(e Explanation) {
	v := e.Verdict
	if len(v.Differences) == 0 && v.NotRead == (analysis.NotRead{}) && len(v.Exemplars) == 0 {
		return
	}
	p.heading("logs and traces")
	p.line("  what differs between the versions; it names what is behind the figures and weighs nothing")
	if len(v.Differences) == 0 {
		p.line("  nothing is seen to differ")
	}
	for _, d := range v.Differences[:min(len(v.Differences), shownDifferences)] {
		p.difference(d, e)
	}
	if more := len(v.Differences) - shownDifferences; more > 0 {
		p.blank()
		p.line("  and " + count(float64(more)) + " more (--output json shows them)")
	}
	p.exemplars(e)
	p.notRead(v.NotRead)
}

// difference writes one of them.
func (p *page) difference(d analysis.Difference, e Explanation) {
	state, colour := "seen, not yet evidence", ""
	switch {
	case d.Muted:
		state = "muted or expected"
	case d.Found && d.Severity >= analysis.SeverityError:
		state, colour = "FINDING", red
	case d.Found:
		state, colour = "FINDING", yellow
	}
	p.blank()
	p.line("  " + pad(plain(string(d.Kind), 12), 12) + p.paint(colour, state) + novelty(d))
	for _, line := range wrap(plain(d.What, 500), Width-4) {
		p.line("    " + line)
	}
	if d.Muted {
		return
	}
	if d.Template != "" {
		p.field("  line", severity(d.Severity)+plain(d.Template, 300))
	}
	p.field("  seen", seen(d))
	if d.Since != nil {
		p.field("  since", instant(*d.Since, dayOf(e.Verdict)))
	}
	if !math.IsNaN(float64(d.E)) {
		p.field("  evidence", evidence(d.E))
	}
	if x := d.Example; x != nil {
		p.field("  example", instant(x.Time, dayOf(e.Verdict))+" "+severity(x.Severity)+plain(x.Text, 400))
		if x.Pod != "" {
			p.field("", "written by "+plain(x.Pod, 120))
		}
	}
	if d.TraceID != "" {
		p.field("  trace", plain(d.TraceID, 64))
	}
	p.links(d.Key, e.Links)
}

// dayOf is the day of a deployment, which instants of the same day need not repeat.
func dayOf(v verdicts.Verdict) time.Time {
	if v.StartedAt == nil {
		return time.Time{}
	}
	return *v.StartedAt
}

// novelty says whether something appeared or vanished.
func novelty(d analysis.Difference) string {
	switch {
	case d.New:
		return ", new with the canary"
	case d.Gone:
		return ", gone with the canary"
	}
	return ""
}

func severity(s analysis.Severity) string {
	if s == analysis.SeverityUnknown {
		return ""
	}
	return strings.ToUpper(s.String()) + " "
}

// seen says how often the arms showed it, and which pods.
func seen(d analysis.Difference) string {
	text := count(d.Canary) + " in the canary, " + count(d.Baseline) + " in the baseline"
	if r := float64(d.Ratio); finite(r) && r > 0 && d.Baseline > 0 {
		text += "; " + figure(r) + " times as often"
	}
	if len(d.Pods) == 0 {
		return text
	}
	names := make([]string, len(d.Pods))
	for i, pod := range d.Pods {
		names[i] = plain(pod, 80)
	}
	of := ""
	switch {
	case d.OfPods > 0 && len(d.Pods) >= d.OfPods:
		of = "every pod of the canary"
	case d.OfPods > 0:
		of = count(float64(len(d.Pods))) + " of " + pods(d.OfPods) + " of the canary"
	default:
		of = pods(len(d.Pods)) + " of the canary"
	}
	return text + "; " + of + ": " + strings.Join(names, ", ")
}

// links writes the links of a difference or a trace, each on a line of its own: a
// broken address is none.
func (p *page) links(of string, links []Link) {
	for _, l := range links {
		if l.For == of {
			p.line(pad("    in "+plain(l.Name, indent-9), indent) + plain(l.URL, 4000))
		}
	}
}

// exemplars lists the traces that were fetched to be looked at.
func (p *page) exemplars(e Explanation) {
	if len(e.Verdict.Exemplars) == 0 {
		return
	}
	p.blank()
	p.line("  traces that were fetched as examples")
	for _, x := range e.Verdict.Exemplars {
		text := plain(string(x.Kind), 12)
		if x.Arm != 0 {
			text += ", " + x.Arm.String()
		}
		if x.For != "" {
			text += ", of " + plain(of(x.For, e.Verdict.Differences), 160)
		}
		if x.Missing != "" {
			p.field("  none", text+": it could not be had ["+plain(string(x.Missing), 40)+"]")
			continue
		}
		text = orNone(plain(x.TraceID, 64), "without an id") + " (" + text + "): " + inside(x)
		p.field("  trace", text)
		p.links(x.TraceID, e.Links)
	}
}

// of says in its own words what an exemplar shows.
func of(key string, differences []analysis.Difference) string {
	if i := slices.IndexFunc(differences, func(d analysis.Difference) bool { return d.Key == key }); i >= 0 && differences[i].What != "" {
		return differences[i].What
	}
	return key
}

// inside says what a trace consists of.
func inside(x analysis.Exemplar) string {
	text := count(float64(x.Spans)) + " spans"
	if x.Errors > 0 {
		text += ", " + count(float64(x.Errors)) + " failed"
	}
	if x.Duration > 0 {
		text += ", " + x.Duration.String()
	}
	if len(x.Services) > 0 {
		names := make([]string, len(x.Services))
		for i, s := range x.Services {
			names[i] = plain(s, 60)
		}
		text += ", of " + strings.Join(names[:min(len(names), 8)], ", ")
	}
	if x.Truncated {
		text += "; cut"
	}
	return text
}

// notRead says what of logs and spans was not counted, and why.
func (p *page) notRead(n analysis.NotRead) {
	var parts []string
	for _, part := range []struct {
		n    float64
		what string
	}{
		{n.Skipped, "left out on purpose (the share that is not read)"},
		{n.Late, "came after their time"},
		{n.Truncated, "were cut short"},
		{n.Dropped, "were dropped at a limit of memory or of names"},
		{n.Broken, "could not be read"},
	} {
		if part.n > 0 {
			parts = append(parts, count(part.n)+" "+part.what)
		}
	}
	if s := float64(n.Share); s > 0 && s < 1 {
		parts = append(parts, percent(s)+" of the traces were put together whole: a sample")
	}
	if parts == nil {
		return
	}
	p.blank()
	p.field("not read", "lines and spans: "+strings.Join(parts, "; "))
}
