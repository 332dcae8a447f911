package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A checkReport is what check found out.
type checkReport struct {
	Errors     int          `json:"errors"`
	Warnings   int          `json:"warnings"`
	Objectives []checkedRow `json:"objectives"`
	Findings   []finding    `json:"findings"` // each once, also where several policies share an SLO
}

// A checkedRow is an objective in the report. What was not asked, or has no answer, is
// left out.
type checkedRow struct {
	Policy    string   `json:"policy"`
	Objective string   `json:"objective"`
	Role      string   `json:"role"`
	Source    string   `json:"source"`
	State     string   `json:"state"` // ok, weak, unresolved, or why it was not asked
	Services  []string `json:"services,omitempty"`
	// Of the service with most traffic:
	Versions              []string          `json:"versions,omitempty"`
	Pods                  int               `json:"pods,omitempty"` // of its largest version
	Spacing               analysis.Duration `json:"spacing,omitempty"`
	HistoryMinutes        int               `json:"historyMinutes,omitempty"`
	BaseRate              analysis.Figure   `json:"baseRate,omitempty"`
	MinutesToPromote      analysis.Figure   `json:"minutesToPromote,omitempty"`      // a tenth of the traffic on the canary
	MinutesToDetectDouble analysis.Figure   `json:"minutesToDetectDouble,omitempty"` // the same
}

// reportOf gathers the findings of all objectives, after those of reading.
func reportOf(objectives []*checkedObjective, read []finding) *checkReport {
	r := &checkReport{Objectives: []checkedRow{}, Findings: []finding{}}
	for _, f := range read {
		r.add(f)
	}
	for _, o := range objectives {
		row, found := o.row(), o.findings()
		for _, f := range found {
			r.add(f)
			switch {
			case f.Level == levelError:
				row.State = "unresolved"
			case f.Level == levelWarning && row.State == "ok":
				row.State = "weak"
			}
		}
		r.Objectives = append(r.Objectives, row)
	}
	return r
}

func (r *checkReport) add(f finding) {
	if slices.Contains(r.Findings, f) {
		return
	}
	r.Findings = append(r.Findings, f)
	switch f.Level {
	case levelError:
		r.Errors++
	case levelWarning:
		r.Warnings++
	}
}

func (o *checkedObjective) row() checkedRow {
	row := checkedRow{Policy: o.policy.Name, Objective: o.objective.Name, Role: string(o.objective.Role), Source: o.objective.Signal.Source, State: "ok"}
	if o.skipped != "" {
		row.State = o.skipped
		return row
	}
	f := o.facts
	if o.policy.BuiltIn && f.down == nil && len(f.total.seen) == 0 {
		row.State = "not seen"
	}
	for _, s := range f.own {
		row.Services = appendNew(row.Services, s.Service)
	}
	for _, s := range f.versions {
		row.Versions = appendNew(row.Versions, s.Version)
	}
	if len(f.versions) > 0 {
		row.Pods = f.versions[0].Pods
	}
	row.Spacing = analysis.Duration(f.spacing.Round(100 * time.Millisecond))
	if p := f.planned; p != nil {
		row.HistoryMinutes, row.BaseRate = p.History.Minutes, analysis.Figure(p.BaseRate)
		row.MinutesToPromote, row.MinutesToDetectDouble = p.MinutesToPromote, p.MinutesToDetectDouble
	}
	return row
}

// show prints the report: a table and the findings, or JSON.
func (r *checkReport) show(out io.Writer, form string) error {
	if form == "json" {
		return writeJSON(out, r)
	}
	if len(r.Objectives) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "POLICY\tOBJECTIVE\tROLE\tSOURCE\tSERVICES\tVERSIONS\tPODS\tSAMPLES\tHISTORY\tPROMOTE\tSTATE")
		for _, o := range r.Objectives {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Policy, o.Objective, o.Role, o.Source,
				few(o.Services), few(o.Versions), unless(o.Pods == 0, "%d", o.Pods), unless(o.Spacing == 0, "%v", o.Spacing),
				unless(o.HistoryMinutes == 0, "%v", time.Duration(o.HistoryMinutes)*time.Minute), forecast(o.MinutesToPromote), o.State)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintln(out, f)
	}
	if len(r.Objectives) == 0 && len(r.Findings) == 0 {
		fmt.Fprintln(out, "the configuration is sound; it has no policies of its own, and the built-in plan reads what is pushed (OTLP)")
	}
	return nil
}

// few shows up to three words, which may be of telemetry.
func few(words []string) string {
	if len(words) > 3 {
		return verdicts.Plain(fmt.Sprintf("%s and %d more", strings.Join(words[:2], ", "), len(words)-2))
	}
	return unless(len(words) == 0, "%s", verdicts.Plain(strings.Join(words, ", ")))
}

func unless(absent bool, format string, value any) string {
	if absent {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// forecast shows how long a healthy canary with a tenth of the traffic takes.
func forecast(minutes analysis.Figure) string {
	m := float64(minutes)
	if m <= 0 || math.IsNaN(m) || math.IsInf(m, 0) {
		return "-"
	}
	return fmt.Sprintf("~%.0fm", math.Ceil(m))
}
