package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// An objective about logs or traces is one clause and several questions: what is listed,
// and the ratios that have a share in the decision. The names are those of the questions,
// and of the signals that they ask.
const (
	clauseLogs   = "logs"
	clauseTraces = "traces"

	nameSeverity   = "logs_severity"
	nameMustAppear = "logs_must_appear" // numbered from the second text
	nameExclusive  = "traces_exclusive_errors"
	nameCalls      = "traces_errors_per_call"
)

// ofClause reports whether a name is one of these.
func ofClause(name string) bool {
	switch name {
	case clauseLogs, clauseTraces, nameSeverity, nameExclusive, nameCalls:
		return true
	}
	return strings.HasPrefix(name, nameMustAppear)
}

// logsClause says what log lines of the services are held to.
type logsClause struct {
	Source     string   `yaml:"source"`   // otlp if absent
	Severity   severity `yaml:"severity"` // error if absent
	MustAppear []string `yaml:"mustAppear"`
	Requests   string   `yaml:"requests"` // what counts the requests: an SLO or a signal
	Expect     []string `yaml:"expect"`
	Mute       []string `yaml:"mute"`
	Masks      []string `yaml:"masks"`
	Share      percent  `yaml:"share"` // of the lines below the severity that are pulled
}

// tracesClause says what spans of the services are held to.
type tracesClause struct {
	Source string   `yaml:"source"` // otlp if absent
	Mute   []string `yaml:"mute"`   // operations
}

type severity string

// A healthy service writes lines below a warning all the time: they say nothing about
// what went wrong.
func (severity) legal() (now, later []string) {
	return []string{analysis.SeverityWarn.String(), analysis.SeverityError.String(), analysis.SeverityFatal.String()}, nil
}

// Bounds of what a clause may say: of each list, and of each text in bytes.
const (
	maxMustAppear = 8
	maxTexts      = 200
	maxText       = 256
)

// streams reads an objective about logs or traces into the objectives that it stands
// for. Plain are those of the policy that are about neither.
func (o objective) streams(d *document, path string, s *set, plain []analysis.Objective, out *policy) (objectives []analysis.Objective, places []Written) {
	clause := o.clause()
	where := join(path, clause)
	for _, key := range []struct {
		name    string
		written bool
	}{
		{"sloRef", o.SLORef != ""},
		{"signal", o.Signal != ""},
		{"source", o.Source != ""},
		{"quantiles", o.Quantiles != nil},
		{"leak", o.Leak != nil},
		{"strata", o.Strata != nil},
		{"acceptWeak", o.AcceptWeak},
		{"beforeAfter", o.BeforeAfter != nil},
		{clauseTraces, o.Logs != nil && o.Traces != nil},
	} {
		if key.written {
			d.fail(join(path, key.name), "is not for an objective about %s%s", clause, hintOf(key.name))
		}
	}
	if o.Role == role(analysis.Critical) {
		d.fail(join(path, "role"), "%s may not be critical: new code writes new lines and calls other services, so that they name what is wrong and never decide alone%s",
			clause, legalList("", []string{string(analysis.Secondary), string(analysis.Advisory)}))
	}
	if clause == clauseLogs {
		objectives, out.Logs = o.Logs.read(d, where, o, s, plain)
	} else {
		objectives, out.Traces = o.Traces.read(d, where, o, s)
	}
	if !d.faulty(path) {
		for _, read := range objectives {
			if !read.Signal.Listed() {
				o.checkBounds(d, path, read)
			}
		}
	}
	for range objectives {
		places = append(places, Written{Objective: d.whereIs(path), Event: d.whereIs(where), Total: d.whereIs(where), clause: clause})
	}
	return objectives, places
}

// clause is what an objective is about that names no signal; "": it names one.
func (o objective) clause() string {
	switch {
	case o.Logs != nil:
		return clauseLogs
	case o.Traces != nil:
		return clauseTraces
	}
	return ""
}

func hintOf(key string) string {
	switch key {
	case "source":
		return ": write it inside of that"
	case clauseTraces:
		return ": write two objectives"
	}
	return ""
}

func (l *logsClause) read(d *document, path string, o objective, s *set, plain []analysis.Objective) ([]analysis.Objective, *analysis.LogPlan) {
	source := s.streamSource(d, join(path, "source"), l.Source, Logs)
	checkTexts(d, join(path, "mustAppear"), l.MustAppear, maxMustAppear)
	checkTexts(d, join(path, "expect"), l.Expect, maxTexts)
	checkTexts(d, join(path, "mute"), l.Mute, maxTexts)
	checkTexts(d, join(path, "masks"), l.Masks, maxTexts)
	for i, mask := range l.Masks {
		if err := checkMask(mask); err != nil {
			d.fail(at(join(path, "masks"), i), "%v", err)
		}
	}
	switch where := join(path, "share"); {
	case d.places[where] == nil || d.faulty(where):
	case source.Kind == KindOTLP:
		d.fail(where, "is for lines that are fetched: those that are pushed are all read")
	case !(l.Share > 0 && l.Share <= 1):
		d.fail(where, "must be more than 0%% and at most 100%%")
	}
	requests := l.requests(d, path, o, s, plain, source.Name)
	signal := func(name string, shape analysis.Shape, ask analysis.LogSignal) analysis.Signal {
		ask.Requests = requests
		return analysis.Signal{Name: name, Source: source.Name, Unit: "1", Shape: shape, Logs: &ask}
	}
	out := []analysis.Objective{{Name: clauseLogs, Role: analysis.Advisory, Signal: signal(clauseLogs, analysis.ShapeTemplates, analysis.LogSignal{})}}
	plan := &analysis.LogPlan{Source: source.Name, Share: float64(l.Share), Expect: l.Expect, Mute: l.Mute}
	if l.Masks != nil {
		plan.Templates = &analysis.TemplateSet{Masks: l.Masks}
	}
	if requests == nil {
		return out, plan
	}
	plan.Origin = requests.Name
	out = append(out, analysis.Objective{
		Name: nameSeverity, Role: analysis.Role(o.Role), Tolerance: o.Tolerance.pointer(), Margin: o.Margin.pointer(),
		Signal: signal(nameSeverity, analysis.ShapeRatio, analysis.LogSignal{Severity: l.Severity.value()}),
	})
	for i, text := range l.MustAppear {
		name := nameMustAppear
		if i > 0 {
			name = fmt.Sprintf("%s_%d", nameMustAppear, i+1)
		}
		out = append(out, analysis.Objective{Name: name, Role: analysis.Role(o.Role), Signal: signal(name, analysis.ShapeRatio, analysis.LogSignal{MustAppear: text})})
	}
	return out, plan
}

func (v severity) value() analysis.Severity {
	out := analysis.SeverityError
	if v != "" {
		_ = out.UnmarshalText([]byte(v)) // it is one of the legal ones
	}
	return out
}

// requests finds what counts the requests that lines are held against: what the clause
// names, else the first critical ratio of the policy, else its first ratio, else, of what
// is pushed, the spans. Without any the lines are listed only, which must not be what a
// clause that asks for more ends in.
func (l *logsClause) requests(d *document, path string, o objective, s *set, plain []analysis.Objective, source string) *analysis.Signal {
	where := join(path, "requests")
	if l.Requests != "" {
		return s.requests(d, where, l.Requests, plain)
	}
	if found := analysis.RequestsOf(plain); found != nil {
		return found
	}
	if source == OTLPSource {
		signal, _ := findBuiltin(spanErrors, OTLPSource)
		return &signal
	}
	asks := ""
	switch {
	case l.MustAppear != nil:
		asks = join(path, "mustAppear")
	case l.Severity != "":
		asks = join(path, "severity")
	case o.Tolerance.set || o.Margin.set:
		asks = path
	}
	if asks != "" {
		d.fail(asks, "needs a count of the requests, which no objective of the policy has: name one by requests%s", legalList("", s.countsRequests(plain)))
	}
	return nil
}

// requests finds a ratio by its name: of an objective, an SLO or a built-in signal.
func (s *set) requests(d *document, path, name string, plain []analysis.Objective) *analysis.Signal {
	for _, o := range plain {
		if o.Name == name && o.Signal.Shape == analysis.ShapeRatio {
			return &o.Signal
		}
	}
	if promised, there := s.slos[name]; there && (promised.signal.Shape == analysis.ShapeRatio || !promised.sound) {
		signal := promised.signal
		return &signal
	}
	source := s.builtIn
	if name == spanErrors {
		source = OTLPSource
	}
	if signal, known := findBuiltin(name, source); known && signal.Shape == analysis.ShapeRatio {
		return &signal
	}
	d.fail(path, "%q counts no requests: a ratio of counters does%s", name, legalList(name, s.countsRequests(plain)))
	return nil
}

// countsRequests are the names that [set.requests] finds.
func (s *set) countsRequests(plain []analysis.Objective) []string {
	names := map[string]bool{}
	for _, o := range plain {
		if o.Signal.Shape == analysis.ShapeRatio {
			names[o.Name] = true
		}
	}
	for name, promised := range s.slos {
		if promised.signal.Shape == analysis.ShapeRatio {
			names[name] = true
		}
	}
	for _, b := range builtinSignals {
		if b.shape == analysis.ShapeRatio {
			names[b.name] = true
		}
	}
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	return out
}

func (c *tracesClause) read(d *document, path string, o objective, s *set) ([]analysis.Objective, *analysis.TracePlan) {
	source := s.streamSource(d, join(path, "source"), c.Source, Spans)
	checkTexts(d, join(path, "mute"), c.Mute, maxTexts)
	out := traceObjectives(source.Name, analysis.Role(o.Role))
	for i := range out[1:] {
		out[i+1].Tolerance, out[i+1].Margin = o.Tolerance.pointer(), o.Margin.pointer()
	}
	return out, &analysis.TracePlan{Source: source.Name, Mute: c.Mute}
}

// traceObjectives are what a clause about traces stands for: the list, then the ratios.
func traceObjectives(source string, role analysis.Role) []analysis.Objective {
	signal := func(name string, shape analysis.Shape, event analysis.SpanEvent) analysis.Signal {
		return analysis.Signal{Name: name, Source: source, Unit: "1", Shape: shape, Spans: &analysis.SpanSignal{Event: event}}
	}
	return []analysis.Objective{
		{Name: clauseTraces, Role: analysis.Advisory, Signal: signal(clauseTraces, analysis.ShapeTopology, "")},
		{Name: nameExclusive, Role: role, Signal: signal(nameExclusive, analysis.ShapeRatio, analysis.SpanExclusive), Strata: []string{analysis.StratumOperation}},
		{Name: nameCalls, Role: role, Signal: signal(nameCalls, analysis.ShapeRatio, analysis.SpanCalls), Strata: []string{analysis.StratumCall}},
	}
}

// streamSource finds the source of a clause.
func (s *set) streamSource(d *document, path, name string, a About) Source {
	if name == "" {
		return Source{Name: OTLPSource, Kind: KindOTLP}
	}
	source, _ := s.sources.find(d, path, name, a)
	return source
}

// checkTexts reports what cannot be looked for in lines or names.
func checkTexts(d *document, path string, texts []string, most int) {
	switch {
	case texts != nil && len(texts) == 0:
		d.fail(path, "lists nothing; leave out the key")
	case len(texts) > most:
		d.fail(path, "lists %d, more than %d", len(texts), most)
	}
	seen := map[string]bool{}
	for i, text := range texts {
		switch where := at(path, i); {
		case strings.TrimSpace(text) == "":
			d.fail(where, "is blank, which everything contains")
		case len(text) > maxText:
			d.fail(where, "has %d bytes, more than %d", len(text), maxText)
		case seen[text]:
			d.fail(where, "%q is listed twice", text)
		}
		seen[text] = true
	}
}

// checkMask reports a pattern that cannot hide a part of a line.
func checkMask(mask string) error {
	compiled, err := regexp.Compile(mask)
	switch {
	case err != nil:
		return fmt.Errorf("is no regular expression (RE2): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	case compiled.MatchString(""):
		return fmt.Errorf("%q matches the empty text, and so everywhere; say what is hidden", mask)
	}
	return nil
}
