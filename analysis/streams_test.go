package analysis

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStreamSignalsAreValidated(t *testing.T) {
	requests := ratioSignal("errors")
	logs := func(shape Shape, l LogSignal) Signal {
		return Signal{Name: "s", Source: "otlp", Shape: shape, Logs: &l}
	}
	spans := func(shape Shape, event SpanEvent) Signal {
		return Signal{Name: "s", Source: "otlp", Shape: shape, Spans: &SpanSignal{event}}
	}
	both, counted, better := logs(ShapeTemplates, LogSignal{}), spans(ShapeTopology, ""), spans(ShapeRatio, SpanErrors)
	both.Spans = &SpanSignal{}
	counted.Total = &Selector{Metric: "x"}
	better.Better = BetterHigher
	lines := logs(ShapeRatio, LogSignal{Severity: SeverityError})
	calls, duration, spanErrors := spans(ShapeRatio, SpanCalls), spans(ShapeDistribution, SpanDuration), spans(ShapeRatio, SpanErrors)
	for _, c := range []struct {
		signal Signal
		fault  string // "": none
	}{
		{logs(ShapeRatio, LogSignal{Severity: SeverityError, Requests: &requests}), ""},
		{logs(ShapeRatio, LogSignal{MustAppear: "order stored", Requests: &spanErrors}), ""},
		{logs(ShapeTemplates, LogSignal{}), ""},
		{spanErrors, ""},
		{spans(ShapeRatio, SpanExclusive), ""},
		{calls, ""},
		{duration, ""},
		{spans(ShapeTopology, ""), ""},

		{logs(ShapeRatio, LogSignal{}), "exactly one of a severity and a text"},
		{logs(ShapeRatio, LogSignal{Severity: SeverityWarn, MustAppear: "x"}), "exactly one of a severity and a text"},
		{logs(ShapeRatio, LogSignal{Severity: 9}), "severity 9 is not known"},
		{logs(ShapeRatio, LogSignal{MustAppear: "  "}), "blank"},
		{logs(ShapeRatio, LogSignal{MustAppear: strings.Repeat("x", 257)}), "257 bytes"},
		{logs(ShapeTemplates, LogSignal{MustAppear: "x"}), "templates list all lines"},
		{logs(ShapeLevel, LogSignal{Severity: SeverityError}), "logs are judged as ratio or templates"},
		{logs(ShapeRatio, LogSignal{Severity: SeverityError, Requests: &lines}), "a ratio of counters or spans"},
		{logs(ShapeRatio, LogSignal{Severity: SeverityError, Requests: &duration}), "a ratio of counters or spans"},
		{logs(ShapeRatio, LogSignal{Severity: SeverityError, Requests: &calls}), "the spans of all requests"},
		{logs(ShapeRatio, LogSignal{Severity: SeverityError, Requests: &Signal{Name: "r", Source: "x", Shape: ShapeRatio}}), "needs a total counter"},
		{spans(ShapeRatio, SpanDuration), "a ratio of spans counts"},
		{spans(ShapeRatio, ""), "a ratio of spans counts"},
		{spans(ShapeDistribution, SpanErrors), "of their duration"},
		{spans(ShapeTopology, SpanCalls), "has no event"},
		{spans(ShapeTemplates, ""), "spans are judged as"},
		{both, "two signals"},
		{counted, "no counters"},
		{better, "only a level may be better"},
		{Signal{Name: "s", Source: "otlp", Shape: ShapeTemplates}, "templates are those of logs"},
		{Signal{Name: "s", Source: "otlp", Shape: ShapeTopology}, "a topology is that of spans"},
		{Signal{Name: "s", Shape: ShapeRatio, Spans: &SpanSignal{SpanErrors}}, "no source"},
	} {
		err := c.signal.Validate()
		switch {
		case c.fault == "" && err != nil:
			t.Errorf("%+v: %v", c.signal, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%+v: %v, want %q", c.signal, err, c.fault)
		}
		if m := c.signal.Measured(); m != nil && c.signal.Total == nil {
			t.Errorf("%+v measures %+v", c.signal, m)
		}
	}
}

func TestRolesOfStreams(t *testing.T) {
	with := func(o Objective, role Role) Objective {
		o.Role = role
		return o
	}
	target := severityObjective()
	target.Target = .99
	listed := logsObjective()
	listed.Margin = &Bound{Ratio: 2}
	narrow := severityObjective()
	narrow.Margin = &Bound{Ratio: 1.2}
	for _, c := range []struct {
		o     Objective
		fault string
	}{
		{logsObjective(), ""},
		{severityObjective(), ""},
		{mustAppearObjective(), ""},
		{topologyObjective(), ""},
		{with(exclusiveObjective(), Advisory), ""},
		{spansObjective("span_errors", Critical, ShapeRatio, SpanErrors), ""},
		{spansObjective("span_duration", Critical, ShapeDistribution, SpanDuration), ""},
		{with(logsObjective(), Secondary), "templates are listed"},
		{with(topologyObjective(), Critical), "topology are listed"},
		{with(severityObjective(), Critical), "role is secondary or advisory"},
		{with(mustAppearObjective(), Critical), "role is secondary or advisory"},
		{with(exclusiveObjective(), Critical), "role is secondary or advisory"},
		{with(callsObjective(), Critical), "role is secondary or advisory"},
		{target, "lines have no target"},
		{listed, "no target, tolerance, margin"},
		{narrow, "below the margin"},
	} {
		err := c.o.Validate()
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s as %s: %v, want %q", c.o.Name, c.o.Role, err, c.fault)
		}
	}
}

// The shares of statistics 9.1; classes that a plan lacks give theirs to the others in
// proportion.
func TestHarmWeightsOfClasses(t *testing.T) {
	critical := Objective{Name: "errors", Role: Critical, Signal: ratioSignal("errors")}
	secondary := Objective{Name: "cpu", Role: Secondary, Signal: ratioSignal("cpu")}
	untested := severityObjective()
	untested.Signal.Logs = &LogSignal{Severity: SeverityError}
	advisory := callsObjective()
	advisory.Role = Advisory
	for name, c := range map[string]struct {
		objectives []Objective
		want       []float64
	}{
		"all": {
			[]Objective{critical, secondary, logsObjective(), severityObjective(), mustAppearObjective(), topologyObjective(), exclusiveObjective(), callsObjective()},
			[]float64{.7, .2, 0, .025, .025, 0, .025, .025},
		},
		"no traces":        {[]Objective{critical, secondary, severityObjective()}, []float64{.7 / .95, .2 / .95, .05 / .95}},
		"logs alone":       {[]Objective{logsObjective(), severityObjective()}, []float64{0, 1}},
		"nothing weighs":   {[]Objective{logsObjective(), topologyObjective()}, []float64{0, 0}},
		"without requests": {[]Objective{critical, untested}, []float64{1, 0}},
		"advisory":         {[]Objective{critical, advisory}, []float64{1, 0}},
		"spans of all requests": {
			[]Objective{spansObjective("e", Critical, ShapeRatio, SpanErrors), spansObjective("d", Secondary, ShapeDistribution, SpanDuration)},
			[]float64{.7 / .9, .2 / .9},
		},
	} {
		got := HarmWeights(c.objectives)
		if !slices.EqualFunc(got, c.want, near) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCadenceAndLatenessOfStreams(t *testing.T) {
	requestsOfSpans := severityObjective()
	of := spansObjective("span_errors", Critical, ShapeRatio, SpanErrors).Signal
	requestsOfSpans.Signal.Logs = &LogSignal{Severity: SeverityError, Requests: &of}
	for _, c := range []struct {
		o                 Objective
		spacing           time.Duration
		lag               time.Duration
		cadence, lateness time.Duration
	}{
		{logsObjective(), 0, 0, 15 * time.Second, 40 * time.Second},
		{severityObjective(), 5 * time.Second, 0, 15 * time.Second, 40 * time.Second},
		{severityObjective(), time.Minute, 0, time.Minute, 130 * time.Second},
		{requestsOfSpans, 0, 0, 15 * time.Second, 30 * time.Second},
		{spansObjective("e", Critical, ShapeRatio, SpanErrors), 0, 0, 15 * time.Second, 30 * time.Second},
		{spansObjective("e", Critical, ShapeRatio, SpanErrors), 0, time.Minute, 15 * time.Second, 80 * time.Second},
		{topologyObjective(), 0, 0, 15 * time.Second, 90 * time.Second},
		{exclusiveObjective(), 15 * time.Second, 0, 15 * time.Second, 90 * time.Second},
		{callsObjective(), 30 * time.Second, 0, 30 * time.Second, 90 * time.Second},
	} {
		p := testPlan(t, withStreams(c.o), func(in *PlanInput) { in.Facts[1].Spacing, in.Facts[1].Lag = c.spacing, c.lag })
		if o := p.Objectives[1]; o.Cadence.D() != c.cadence || o.Lateness.D() != c.lateness {
			t.Errorf("%s every %v: folds of %v stay open for %v, want %v and %v", c.o.Name, c.spacing, o.Cadence, o.Lateness, c.cadence, c.lateness)
		}
	}
}

// Lines are asked for with the templates of the plan, operations with those that keep
// their names, and what only traces show by operation and by call.
func TestQueriesOfStreams(t *testing.T) {
	p := testPlan(t, withStreams(logsObjective(), severityObjective(), topologyObjective(), exclusiveObjective(), callsObjective()), func(in *PlanInput) {
		in.Logs = &LogPlan{Templates: &TemplateSet{Templates: knownTemplates(3)}, Share: .25, Expect: []string{"declared", "declared", ""}, Mute: []string{"noise"}}
		in.Traces = &TracePlan{Operations: []string{"GET /", "POST /pay"}, Mute: []string{"GET /health"}}
		in.Deployment.ExpectLines = []string{"by the deployment", "declared"}
	})
	query := func(i int) Query { return p.Query(&p.Objectives[i], FoldAt(testStart, StreamCadence)) }
	if q := query(1); q.Lines == nil || q.Lines.Share != .25 || len(q.Lines.Templates.Templates) != 3 || q.Spans != nil {
		t.Errorf("templates: %+v", q)
	}
	if q := query(2); q.Lines != nil || q.Spans != nil || q.Strata != nil {
		t.Errorf("severity: %+v", q)
	}
	if q := query(3); q.Spans == nil || !slices.Equal(q.Spans.Operations, []string{"GET /", "POST /pay"}) {
		t.Errorf("topology: %+v", q)
	}
	if q := query(4); !slices.Equal(q.Strata, []string{StratumOperation}) {
		t.Errorf("exclusive: %+v", q)
	}
	if q := query(5); !slices.Equal(q.Strata, []string{StratumCall}) {
		t.Errorf("calls: %+v", q)
	}
	if l := p.Logs; l == nil || l.Source != "otlp" || l.Origin != "errors" || !slices.Equal(l.Expect, []string{"declared", "by the deployment"}) || !slices.Equal(l.Mute, []string{"noise"}) {
		t.Errorf("%+v", l)
	}
	if tr := p.Traces; tr == nil || tr.Source != "otlp" || !slices.Equal(tr.Mute, []string{"GET /health"}) {
		t.Errorf("%+v", tr)
	}
	if plain := testPlan(t); plain.Logs != nil || plain.Traces != nil {
		t.Errorf("of a plan without them: %+v %+v", plain.Logs, plain.Traces)
	}
}

// Without a count of requests lines are listed: they roll nothing back.
func TestLinesWithoutRequestsAreNotTested(t *testing.T) {
	o := severityObjective()
	o.Signal.Logs = &LogSignal{Severity: SeverityError}
	s := testState(t, withStreams(o))
	if got := s.plan.Objectives[1]; got.Role != Advisory || got.Weight != 0 {
		t.Errorf("%s with the weight %v", got.Role, got.Weight)
	}
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "no signal counts the requests") {
		t.Errorf("%q", w)
	}
	for range 40 {
		foldStream(t, s, Evidence{Objective: "logs_severity", Rows: rows(15, 0, 0, 0)}) // seconds of pods, of no requests
	}
	if e := s.Evidence(); e != 1 {
		t.Errorf("evidence %v", e)
	}
}

// A plan with logs and traces is made again byte for byte, and another policy may expect
// and mute other lines.
func TestStreamsArePlannedAgain(t *testing.T) {
	in := testInput()
	for _, change := range []func(*PlanInput){
		withStreams(logsObjective(), severityObjective(), mustAppearObjective(), topologyObjective(), exclusiveObjective(), callsObjective()),
		withTemplates(knownTemplates(4)...),
		func(in *PlanInput) {
			in.Policy.Logs = &LogPlan{Expect: []string{"mine"}}
			in.Logs.Expect = []string{"mine"}
			in.Deployment.ExpectLines = []string{"by the deployment"}
			in.Traces = &TracePlan{Operations: []string{"GET /"}}
		},
	} {
		change(&in)
	}
	p, err := NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Replan(in.Policy)
	if err != nil || again.Plan == nil {
		t.Fatalf("%v %+v", err, again)
	}
	a, _ := p.Encode()
	if b, _ := again.Plan.Encode(); !bytes.Equal(a, b) {
		t.Errorf("another plan:\n%s\n%s", a, b)
	}
	in.Policy.Logs = &LogPlan{Expect: []string{"yours"}, Mute: []string{"noise"}}
	other, err := p.Replan(in.Policy)
	if err != nil || other.Plan == nil {
		t.Fatalf("%v %+v", err, other)
	}
	if l := other.Plan.Logs; !slices.Equal(l.Expect, []string{"yours", "by the deployment"}) || !slices.Equal(l.Mute, []string{"noise"}) || len(l.Templates.Templates) != 4 {
		t.Errorf("%+v", l)
	}
}

// Logs and traces without history leave a plan as calibrated as it is.
func TestStreamsDoNotUncalibrate(t *testing.T) {
	if p := testPlan(t, withStreams(logsObjective(), severityObjective(), topologyObjective(), callsObjective())); !p.Calibrated {
		t.Error("uncalibrated")
	}
	if p := testPlan(t, withStreams(spansObjective("e", Critical, ShapeRatio, SpanErrors))); p.Calibrated {
		t.Error("critical spans without history are calibrated")
	}
}

// A declared text that may mean any line is told in every verdict; a blank one means none.
func TestTextsThatMuteEverythingAreTold(t *testing.T) {
	s := testState(t, withStreams(logsObjective()), func(in *PlanInput) { in.Deployment.ExpectLines = []string{" ", "e", "order stored"} })
	told := strings.Join(s.Warnings(), "\n")
	if strings.Count(told, "expected or muted") != 1 || !strings.Contains(told, `every line with "e"`) {
		t.Errorf("%s", told)
	}
	if got := s.plan.Logs.Expect; len(got) != 2 {
		t.Errorf("expected: %q", got)
	}
}
