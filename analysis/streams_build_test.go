package analysis

import (
	"fmt"
	"testing"
	"time"
)

// The objectives of a service whose logs and traces are read: requests are counted by the
// critical ratio "errors".
func logsObjective() Objective {
	requests := ratioSignal("errors")
	return Objective{Name: "logs", Role: Advisory, Signal: Signal{Name: "logs", Source: "otlp", Unit: "1", Shape: ShapeTemplates, Logs: &LogSignal{Requests: &requests}}}
}

func severityObjective() Objective {
	o := logsObjective()
	o.Name, o.Role, o.Signal.Name, o.Signal.Shape = "logs_severity", Secondary, "logs_severity", ShapeRatio
	logs := *o.Signal.Logs
	logs.Severity = SeverityError
	o.Signal.Logs = &logs
	return o
}

func mustAppearObjective() Objective {
	o := severityObjective()
	o.Name, o.Signal.Name = "logs_must_appear", "logs_must_appear"
	logs := *o.Signal.Logs
	logs.Severity, logs.MustAppear = SeverityUnknown, "order stored"
	o.Signal.Logs = &logs
	return o
}

func spansObjective(name string, role Role, shape Shape, event SpanEvent) Objective {
	return Objective{Name: name, Role: role, Signal: Signal{Name: name, Source: "otlp", Unit: "1", Shape: shape, Spans: &SpanSignal{Event: event}}}
}

func topologyObjective() Objective { return spansObjective("traces", Advisory, ShapeTopology, "") }

func exclusiveObjective() Objective {
	return spansObjective("traces_exclusive_errors", Secondary, ShapeRatio, SpanExclusive)
}

func callsObjective() Objective {
	return spansObjective("traces_errors_per_call", Secondary, ShapeRatio, SpanCalls)
}

// withStreams adds objectives whose samples come every 15 s.
func withStreams(add ...Objective) func(*PlanInput) {
	return func(in *PlanInput) {
		in.Facts[0].Spacing = StreamCadence
		for _, o := range add {
			in.Policy.Objectives = append(in.Policy.Objectives, o)
			in.Facts = append(in.Facts, Facts{Spacing: StreamCadence})
		}
	}
}

// withTemplates gives the plan templates from history.
func withTemplates(known ...Template) func(*PlanInput) {
	return func(in *PlanInput) { in.Logs = &LogPlan{Templates: &TemplateSet{Templates: known}, Share: 1} }
}

// place is the index of an objective by name.
func place(tb testing.TB, s *State, name string) int {
	tb.Helper()
	i := s.index(name)
	if i < 0 {
		tb.Fatalf("no objective %q", name)
	}
	return i
}

// foldLines folds a tally of lines, of which both arms served as many requests as said.
func foldLines(tb testing.TB, s *State, nC, nB float64, tallies ...TemplateTally) {
	tb.Helper()
	foldStream(tb, s, Evidence{Objective: "logs", Rows: rows(0, 0, nC, nB), Logs: &LogTally{Templates: tallies}})
}

// foldSpans folds a tally of spans in the same way.
func foldSpans(tb testing.TB, s *State, nC, nB float64, tallies ...EdgeTally) {
	tb.Helper()
	foldStream(tb, s, Evidence{Objective: "traces", Rows: rows(0, 0, nC, nB), Spans: &SpanTally{Edges: tallies}})
}

// foldStream folds e into the next fold of its objective.
func foldStream(tb testing.TB, s *State, e Evidence) {
	tb.Helper()
	e.Fold, _ = s.Next(place(tb, s, e.Objective))
	if err := s.Fold(&e); err != nil {
		tb.Fatal(err)
	}
	s.Assess()
}

// fresh is a tally of a new template of the canary alone.
func fresh(id string, severity Severity, canary float64) TemplateTally {
	return TemplateTally{
		Template: id, New: "text of " + id, Severity: severity, Canary: canary, CanaryLines: canary, CanaryPods: []string{"c"},
		CanaryExample: &Line{Time: testStart.Add(time.Second), Pod: "c", Severity: severity, TraceID: "0af7651916cd43dd8448eb211c80319c", Text: "a line of " + id},
	}
}

// knownTemplates are n templates of history, of INFO.
func knownTemplates(n int) []Template {
	out := make([]Template, n)
	for i := range out {
		out[i] = Template{ID: fmt.Sprintf("k%03d", i), Text: fmt.Sprintf("known %d <*>", i), Severity: SeverityInfo, Lines: float64(n - i)}
	}
	return out
}
