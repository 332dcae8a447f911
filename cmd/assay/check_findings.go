package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/verdicts"
)

// A level says what a finding means for verdicts.
type level string

const (
	levelError   level = "error"   // could never be judged
	levelWarning level = "warning" // is judged late, or weakly
	levelNote    level = "note"
)

// levels are in the order of their weight.
var levels = []level{levelError, levelWarning, levelNote}

// A finding is one thing that check has to say, and the place that it is about.
type finding struct {
	Level   level  `json:"level"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

func findingOf(l level, f config.Fault) finding {
	return finding{l, f.File, f.Line, f.Column, f.Path, f.Message}
}

// String is the finding as compilers print theirs: editors find the place by it. It may
// quote what telemetry says.
func (f finding) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(string(f.Level) + ": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	return verdicts.Plain(b.String() + f.Message)
}

// findings are what the facts say about the objective. Of a built-in signal nobody
// asked for, only what there is of it counts.
func (o *checkedObjective) findings() []finding {
	var all []finding
	add := func(l level, at config.Place, format string, args ...any) {
		all = append(all, findingOf(l, at.Fault(format, args...)))
	}
	if o.missing != nil {
		add(levelWarning, o.source, "what is pushed to source %s is not checked, because a running server holds it and %v: start 'assay serve', or name it with --server", o.objective.Signal.Source, o.missing)
	}
	if o.skipped != "" {
		return all
	}
	f := o.facts
	if f.down != nil {
		add(levelError, o.source, "the source does not answer, so that no query of it is checked: %v", f.down)
		return all
	}
	if o.policy.BuiltIn && len(f.total.seen) == 0 {
		return nil
	}
	signal := o.objective.Signal
	switch {
	case ofStreams(signal):
		o.judgeStream(add)
	case signal.Histogram != nil:
		o.judgeWhole(add, signal.Histogram, f.total, o.written.Total)
	case signal.Gauge != nil:
		o.judgeWhole(add, signal.Gauge, f.total, o.written.Total)
	default:
		o.judgeCounter(add, "total", signal.Total, f.total, o.written.Total)
		if signal.Bad != nil {
			o.judgeCounter(add, "bad", signal.Bad, f.event, o.written.Event)
		} else {
			o.judgeCounter(add, "good", signal.Good, f.event, o.written.Event)
		}
	}
	if slices.ContainsFunc(all, func(f finding) bool { return f.Level == levelError }) || len(f.total.seen) == 0 && ofStreams(signal) {
		return all
	}
	if o.judgeServices(add) && o.judgeArms(add) {
		o.judgeStrength(add)
	}
	return all
}

type adder func(l level, at config.Place, format string, args ...any)

// judgeCounter says what is wrong with one counter.
func (o *checkedObjective) judgeCounter(add adder, part string, s *analysis.Selector, f partFacts, at config.Place) {
	switch {
	case f.err != nil:
		o.judgeRefusal(add, f, at)
		return
	case o.pushed:
		if !judgePushed(add, s, f.metric.Type, at) {
			return
		}
	case f.metric.Type == "gauge" || f.metric.Type == "summary" && prometheus.PartOf(s.Metric) == prometheus.Whole:
		add(levelError, at, "%s is a %s (as the targets that expose it say), and only a counter can be counted: name a counter, or the _count of a histogram", s.Metric, f.metric.Type)
		return
	case f.metric.Type == "histogram" && prometheus.PartOf(s.Metric) == prometheus.Sum:
		add(levelWarning, at, "%s is a sum of observed values, not a count of events: the comparison takes it for one; name %s_count", s.Metric, strings.TrimSuffix(s.Metric, "_sum"))
	case prometheus.PartOf(s.Metric) == prometheus.Bucket && slices.Contains(f.metric.Labels, "le") && !slices.ContainsFunc(s.Conditions, pinsBucket):
		add(levelError, at, "%s counts every request once for each bucket that it fits in: choose one by le=\"...\", or name %s_count", s.Metric, strings.TrimSuffix(s.Metric, "_bucket"))
		return
	}
	if len(f.seen) == 0 {
		o.judgeAbsence(add, part, s, f, at)
	}
}

// judgeRefusal says why a source does not answer a question.
func (o *checkedObjective) judgeRefusal(add adder, f partFacts, at config.Place) {
	if f.all && sources.KindOf(f.err) == sources.Malformed && strings.ContainsAny(o.service, "*?") {
		add(levelWarning, at, "not checked: %v; all services together are too much to look at: name one in match.service", f.err)
		return
	}
	add(levelError, at, "%v", f.err)
}

// judgePushed says what is wrong with counting a part of a pushed metric, and whether
// it can be counted at all.
func judgePushed(add adder, s *analysis.Selector, kind string, at config.Place) bool {
	field := cmp.Or(s.Field, analysis.FieldValue)
	switch {
	case kind == "gauge":
		add(levelError, at, "%s is a gauge, or a sum that may fall (as its senders say), and only a counter can be counted: name a counter, or the count of a histogram", s.Metric)
		return false
	case kind == "histogram" && field == analysis.FieldValue:
		add(levelError, at, "%s is a histogram (as its senders say), which has no single value: count its observations by field: count", s.Metric)
		return false
	case kind == "counter" && field != analysis.FieldValue:
		add(levelError, at, "%s is a counter (as its senders say), which has no %s: write field: value", s.Metric, field)
		return false
	case kind == "histogram" && field == analysis.FieldSum:
		add(levelWarning, at, "the sum of %s is one of observed values, not a count of events: the comparison takes it for one; write field: count", s.Metric)
	}
	return true
}

func pinsBucket(c analysis.Condition) bool { return c.Name == "le" && c.Op == analysis.OpEqual }

// judgeAbsence says why a counter has no series. Only bad events may be absent: until
// the first of them, most programs expose nothing.
func (o *checkedObjective) judgeAbsence(add adder, part string, s *analysis.Selector, f partFacts, at config.Place) {
	if !f.metric.Known() {
		near := ""
		if len(f.metric.Near) > 0 {
			near = "; names like it: " + strings.Join(f.metric.Near[:min(len(f.metric.Near), 3)], ", ")
		}
		none := "source %s has no series called %s%s"
		if o.pushed {
			none = "nothing was pushed to source %s in the last hour that is called %s%s"
		}
		add(levelError, at, none, o.objective.Signal.Source, s.Metric, near)
		return
	}
	var held []string
	for _, c := range s.Conditions {
		switch {
		case o.pushed && !carried(f.metric.Labels, c):
			add(levelError, at, "no data point of %s carries the attribute %s (attributes: %s)", s.Metric, c.Name, listed(f.metric.Labels))
			return
		case !o.pushed && !prometheus.Carries(f.metric.Labels, c):
			add(levelError, at, "no series of %s carries the label %s (labels: %s)", s.Metric, c.Name, listed(f.metric.Labels))
			return
		}
		if values := f.values[c.Name]; len(values) > 0 {
			held = append(held, fmt.Sprintf("values of %s: %s", c.Name, listed(values)))
		}
	}
	text := fmt.Sprintf("no series of %s in the last hour", s.Metric)
	if len(s.Conditions) > 0 {
		text += " meets the conditions"
	}
	if len(held) > 0 {
		text += " (" + strings.Join(held, "; ") + ")"
	}
	if part == "bad" {
		add(levelWarning, at, "%s: either nothing has failed yet, or nothing would ever be counted as failed", text)
		return
	}
	add(levelError, at, "%s", text)
}

// carried reports whether a condition can hold for data points that carry only the
// given attributes: of one that they do not carry the value is empty.
func carried(attributes []string, c analysis.Condition) bool {
	return slices.Contains(attributes, c.Name) || slices.Contains(c.Values, "") != (c.Op == analysis.OpNotEqual)
}

// judgeServices says whether there is anything of the services that the policy is
// for. What was seen is named otherwise.
func (o *checkedObjective) judgeServices(add adder) bool {
	f := o.facts
	if len(f.own) > 0 {
		if o.objective.Signal.Good != nil && !slices.ContainsFunc(f.event.seen, o.covers) {
			add(levelError, o.written.Event, "no good event of %s in the last hour, though there are events: every one of them would count as bad", o.service)
		}
		return true
	}
	var services, environments []string
	for _, s := range f.total.seen {
		services = appendNew(services, s.Service)
		environments = appendNew(environments, s.Environment)
	}
	text := "there are series, but none of " + o.service
	if len(o.environments) > 0 {
		text += " in " + strings.Join(o.environments, ", ")
	}
	text += "; seen: services " + listed(services)
	if len(environments) > 0 {
		text += "; environments " + listed(environments)
	}
	add(levelError, o.written.Total, "%s", text)
	return false
}

// judgeArms says whether the arms of a comparison can be told apart.
func (o *checkedObjective) judgeArms(add adder) bool {
	f, at := o.facts, o.written.Total
	if label, at, fixed := o.armFixed(); fixed {
		add(levelError, at, "the query has a condition on %s, which tells the arms apart: leave it out, it is added for each arm", label)
		return false
	}
	switch {
	case f.versions[0].Version == "" && o.byVersion() && o.pushed:
		add(levelError, at, "no resource that sends it carries the attribute %s, by which the versions are told apart (attributes: %s); set it (OTEL_RESOURCE_ATTRIBUTES=%s=...), or select the arms by cohorts",
			f.version, listed(f.total.metric.Resource), f.version)
		return false
	case f.versions[0].Version == "" && o.byVersion():
		add(levelError, at, "no series carries the label %s, by which the versions are told apart (labels: %s); map another one by labels of source %s, or select the arms by cohorts",
			f.version, listed(f.total.metric.Labels), o.objective.Signal.Source)
		return false
	case f.silent:
		add(levelError, at, "nothing plays the baseline: no series in the last hour has %s", inWords(f.cohorts.Baseline))
		return false
	case len(f.versions) == 1 && o.byVersion():
		add(levelWarning, at, "one version was seen in the last hour (%s): whether the next one can be told from it shows when it runs", f.versions[0].Version)
	}
	return true
}

// armFixed finds a condition of the user's on a label that differs between the arms: no
// series of one of them could meet it.
func (o *checkedObjective) armFixed() (label string, at config.Place, fixed bool) {
	signal := o.objective.Signal
	for _, part := range []struct {
		selector *analysis.Selector
		at       config.Place
	}{{signal.Total, o.written.Total}, {signal.Bad, o.written.Event}, {signal.Good, o.written.Event}, {signal.Histogram, o.written.Total}, {signal.Gauge, o.written.Total}} {
		if part.selector == nil {
			continue
		}
		for _, c := range part.selector.Conditions {
			if slices.Contains(o.facts.telling, c.Name) {
				return c.Name, part.at, true
			}
		}
	}
	return "", at, false
}

// slowSpacing is from where a scrape interval delays verdicts more than traffic does.
const slowSpacing = 45 * time.Second

// judgeStrength says what makes verdicts late or weak.
func (o *checkedObjective) judgeStrength(add adder) {
	f, at := o.facts, o.written.Total
	interval := ""
	if o.pushed {
		interval = " (OTEL_METRIC_EXPORT_INTERVAL=15000)"
	}
	switch {
	case ofStreams(o.objective.Signal): // they come with requests, not with a clock
	case f.spacing == 0 && o.pushed:
		add(levelWarning, at, "no pod sent two samples in the last hour: samples are taken for 60 s apart")
	case f.spacing == 0:
		add(levelWarning, at, "no target was scraped twice in the last hour: samples are taken for 60 s apart")
	case f.spacing >= slowSpacing:
		add(levelWarning, at, "one sample each %v: every look waits for the next one; 15 s decides sooner%s", f.spacing.Round(time.Second), interval)
	}
	if f.unplanned != nil {
		add(levelError, o.written.Objective, "it cannot be judged: %v", f.unplanned)
	}
	if f.planned == nil {
		return
	}
	for _, warning := range f.weak {
		add(levelWarning, o.written.Objective, "%s", warning)
	}
	h := f.planned.History
	switch {
	case o.objective.Signal.Listed(): // it has no history of counts
	case f.unlearned != nil:
		add(levelWarning, at, "the last day cannot be read, so that nothing is learned from it: %v", f.unlearned)
	case f.unkept:
		add(levelWarning, at, "the server keeps no history of it, because no objective that it has loaded names this signal: it learns from when it runs with these policies")
	case f.versions[0].Pods < 2:
		add(levelWarning, at, "one pod serves the baseline: how much pods differ cannot be learned, and the comparison allows for more than usual")
	case !h.Calibrated:
		add(levelWarning, at, "%s of history: two hours are needed to learn how much pods differ, until then the comparison allows for more than usual", counted(h.Minutes, "minute"))
	}
	if o.objective.Role == analysis.Critical && f.planned.Underpowered {
		needs := "no share of this traffic could decide"
		if m := float64(f.planned.MinutesToPromote); m > 0 && !math.IsInf(m, 0) && !math.IsNaN(m) {
			needs = fmt.Sprintf("about %.0f minutes would", math.Ceil(m))
		}
		add(levelWarning, at, "the traffic of the last hour cannot decide within the deadline of %v at a tenth of it for the canary: %s; most releases would be held", o.policy.Window.Deadline, needs)
	}
}

// inWords writes a cohort as conditions.
func inWords(c analysis.Cohort) string {
	var parts []string
	for _, name := range c.Names() {
		parts = append(parts, fmt.Sprintf("%s=%q", name, c[name]))
	}
	return strings.Join(parts, ", ")
}

// listed joins up to ten words; none of them is said to be none.
func listed(words []string) string {
	if len(words) == 0 {
		return "(none)"
	}
	if len(words) > 10 {
		return strings.Join(words[:10], ", ") + ", …"
	}
	return strings.Join(words, ", ")
}

func appendNew(words []string, word string) []string {
	if word == "" || slices.Contains(words, word) {
		return words
	}
	return append(words, word)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
