package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A planReport is what plan found out.
type planReport struct {
	Service     string            `json:"service,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Baseline    string            `json:"baselineVersion,omitempty"`
	Policy      string            `json:"policy"`
	Step        analysis.Duration `json:"step"`
	Deadline    analysis.Duration `json:"deadline"`
	// SmallestWeight is the smallest usual weight that fits the step; null: none does.
	SmallestWeight analysis.Figure      `json:"smallestWeight"`
	Forecasts      []*analysis.Forecast `json:"forecasts"` // by weight, as asked

	largest *analysis.Forecast // that of the largest usual weight, where none fits
}

// The widths of a page of a hundred characters.
const (
	pageWidth  = 100
	labelWidth = 40
	cellWidth  = 10
)

// show prints the report: a page, or JSON.
func (r *planReport) show(out io.Writer, form string) error {
	if form == "json" {
		return writeJSON(out, r)
	}
	p := &planPage{report: r}
	p.title()
	for i := range r.Forecasts[0].Objectives {
		p.objective(i)
	}
	p.summary()
	_, err := io.WriteString(out, p.String())
	return err
}

// A planPage is the report as it is shown.
type planPage struct {
	strings.Builder
	report *planReport
}

// line adds a line. What comes from outside must be plain.
func (p *planPage) line(format string, args ...any) {
	p.WriteString(verdicts.Shorten(fmt.Sprintf(format, args...), pageWidth) + "\n")
}

// row adds a line with a cell for each weight.
func (p *planPage) row(label string, cell func(f *analysis.Forecast) string) {
	text := fmt.Sprintf("%-*s", labelWidth, label)
	for _, f := range p.report.Forecasts {
		text += fmt.Sprintf("%*s", cellWidth, cell(f))
	}
	p.line("%s", text)
}

func (p *planPage) title() {
	r := p.report
	what := cmp.Or(r.Service, "a service")
	if r.Environment != "" {
		what += " in " + r.Environment
	}
	p.line("%s: deadline %s, steps of %s", verdicts.Plain(what+", policy "+r.Policy), lasting(r.Deadline), lasting(r.Step))
	p.row("weight of the canary", func(f *analysis.Forecast) string { return percentage(f.Weight) })
}

// objective adds the block of the i-th objective.
func (p *planPage) objective(i int) {
	o := &p.report.Forecasts[0].Objectives[i]
	p.line("")
	p.line("%s  %s", verdicts.Plain(o.Name), about(o))
	for j, e := range o.Detect {
		p.row("  "+effectOf(o, float64(e.Effect))+" shown harmful in", func(f *analysis.Forecast) string { return effectCell(f.Objectives[i].Detect[j]) })
	}
	if c := o.Critical; !shows(o, float64(c.Effect)) {
		p.row("  "+effectOf(o, float64(c.Effect))+", as a step should, in", func(f *analysis.Forecast) string { return effectCell(f.Objectives[i].Critical) })
	}
	if o.Role != analysis.Critical {
		return // it does not delay a promote
	}
	p.row("  healthy: shown safe in", func(f *analysis.Forecast) string { return minutesCell(f.Objectives[i].Margins[0].Minutes) })
	p.row("    at the margin", func(f *analysis.Forecast) string { return rungWord(f.Objectives[i].Margins[0].Rung) })
	if len(o.Margins) > 1 {
		p.row("    at the other margin", func(f *analysis.Forecast) string {
			if m := f.Objectives[i].Margins; len(m) > 1 {
				return minutesCell(m[1].Minutes)
			}
			return "-"
		})
	}
	p.row("  healthy: held at the deadline", func(f *analysis.Forecast) string { return rateCell(f.Objectives[i].HoldRate) })
}

// shows reports whether an effect has a line already.
func shows(o *analysis.ObjectiveForecast, effect float64) bool {
	for _, e := range o.Detect {
		if math.Abs(float64(e.Effect)/effect-1) < 1e-3 { // it would look the same
			return true
		}
	}
	return false
}

// summary adds what follows of all objectives together, and why not more.
func (p *planPage) summary() {
	r := p.report
	p.line("")
	switch w := float64(r.SmallestWeight); {
	case r.largest == nil:
		p.line("smallest weight that fits a %s step: %s", lasting(r.Step), percentage(w))
	default:
		f := r.largest
		p.line("no weight fits a %s step: at %s it takes %s to show what a step should, %s to promote",
			lasting(r.Step), percentage(f.Weight), minutesCell(f.MinutesToDetect), minutesCell(f.MinutesToPromote))
	}
	for _, f := range r.Forecasts {
		p.line("expected hold rate at %s: %s", percentage(f.Weight), rateCell(f.HoldRate))
	}
	said := map[string]bool{}
	say := func(f *analysis.Forecast, text string) {
		if text != "" && !said[text] {
			said[text] = true
			for i, part := range wrapped(text, pageWidth-len("at 10.5 %: ")) {
				p.line("%-*s%s", len("at 10.5 %: "), map[bool]string{true: "at " + percentage(f.Weight) + ": "}[i == 0], part)
			}
		}
	}
	for _, f := range r.Forecasts {
		for i := range f.Objectives {
			o := &f.Objectives[i]
			why := o.Why // of the others nothing delays a promote
			if last := o.Detect[len(o.Detect)-1]; o.Role == analysis.Secondary {
				why = last.Why
			}
			if why != "" && o.Role != analysis.Advisory {
				say(f, o.Name+": "+why)
			}
		}
		if len(f.Objectives) == 0 || f.HoldRate == 1 {
			say(f, f.Why)
		}
		for _, w := range f.Warnings {
			say(f, w)
		}
	}
}

// wrapped breaks a text into lines at spaces.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(verdicts.Plain(text)) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// about says in a line what the forecasts of an objective rest on.
func about(o *analysis.ObjectiveForecast) string {
	out := string(o.Role)
	if o.Target > 0 {
		out += ", SLO " + percentage(o.Target)
	}
	switch {
	case o.Shape == analysis.ShapeLevel:
		out += ", a level"
	case math.IsNaN(float64(o.PerMinute)):
		out += ", traffic unknown"
	case o.Shape == analysis.ShapeDistribution:
		out += fmt.Sprintf(", durations: %s a minute", count(o.PerMinute))
	default:
		out += fmt.Sprintf(", %s requests a minute, %s bad", count(o.PerMinute), percentage(float64(o.BaseRate)))
	}
	if o.Shape != analysis.ShapeLevel {
		out += fmt.Sprintf(", dispersion %.2g", o.Phi)
		if !o.Calibrated {
			out += " (assumed)"
		}
	}
	return out
}

// count writes a number of requests.
func count(n analysis.Figure) string {
	if n >= 100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.3g", n)
}

// effectOf names an effect, as people say it of what the objective holds.
func effectOf(o *analysis.ObjectiveForecast, effect float64) string {
	what := "errors"
	switch o.Shape {
	case analysis.ShapeDistribution:
		what = "durations"
	case analysis.ShapeLevel:
		what = "level"
	}
	if effect <= 2 {
		return fmt.Sprintf("%s +%.3g %%", what, 100*(effect-1))
	}
	return fmt.Sprintf("%s x%.3g", what, effect)
}

func effectCell(e analysis.EffectForecast) string {
	m := float64(e.Minutes)
	switch {
	case math.IsInf(m, 1):
		return "tolerated"
	case math.IsNaN(m) && e.Why == "":
		return "?"
	case math.IsNaN(m):
		return "-"
	}
	return minutesCell(e.Minutes)
}

// minutesCell writes minutes with two digits, rounded up.
func minutesCell(minutes analysis.Figure) string {
	m := float64(minutes)
	const day = 24 * 60
	switch {
	case math.IsNaN(m):
		return "?"
	case math.IsInf(m, 0):
		return "never"
	case m < 1:
		return fmt.Sprintf("%.0fs", math.Ceil(60*m))
	case m < 10:
		return fmt.Sprintf("%.1fm", math.Ceil(10*m)/10)
	case m < 120:
		return fmt.Sprintf("%.0fm", math.Ceil(m))
	case m < 2*day:
		return fmt.Sprintf("%.0fh", math.Ceil(m/60))
	case m < 1000*day:
		return fmt.Sprintf("%.0fd", math.Ceil(m/day))
	}
	return "years"
}

// rateCell writes a chance.
func rateCell(rate analysis.Figure) string {
	v := float64(rate)
	switch {
	case math.IsNaN(v):
		return "?"
	case v > 0 && v < .005:
		return "<1 %"
	case v > .995 && v < 1:
		return ">99 %"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func percentage(v float64) string { return fmt.Sprintf("%.4g %%", 100*v) }

// lasting writes a duration without the zeros at its end.
func lasting(d analysis.Duration) string {
	text := d.D().Round(time.Second).String()
	for _, zeros := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zeros) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// rungWord is a margin in a word or two.
func rungWord(rung string) string {
	switch rung {
	case analysis.RungHalfBudget:
		return "½ budget"
	case analysis.RungKeepsSLO:
		return "keeps SLO"
	case analysis.RungRatio:
		return "default"
	}
	return rung
}
