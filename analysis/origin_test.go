package analysis

import (
	"slices"
	"testing"
)

// candidates are objectives like those of the built-in plan.
func candidates(names ...string) []Objective {
	counter := &Selector{Metric: "requests"}
	all := map[string]Objective{
		"http_errors":   {Name: "http_errors", Role: Critical, Signal: Signal{Name: "http_errors", Source: "otlp", Shape: ShapeRatio, Bad: counter, Total: counter}},
		"rpc_errors":    {Name: "rpc_errors", Role: Secondary, Signal: Signal{Name: "rpc_errors", Source: "otlp", Shape: ShapeRatio, Bad: counter, Total: counter}},
		"http_duration": {Name: "http_duration", Role: Secondary, Signal: Signal{Name: "http_duration", Source: "otlp", Shape: ShapeDistribution, Histogram: counter}},
		"shares":        {Name: "shares", Role: Critical, Signal: Signal{Name: "shares", Source: "otlp", Shape: ShapeLevel, Gauge: counter}},
		"span_errors":   {Name: "span_errors", Role: Critical, Signal: Signal{Name: "span_errors", Source: "otlp", Shape: ShapeRatio, Spans: &SpanSignal{Event: SpanErrors}}},
		"span_duration": {Name: "span_duration", Role: Secondary, Signal: Signal{Name: "span_duration", Source: "otlp", Shape: ShapeDistribution, Spans: &SpanSignal{Event: SpanDuration}}},
		"logs":          {Name: "logs", Role: Advisory, Signal: Signal{Name: "logs", Source: "otlp", Shape: ShapeTemplates, Logs: &LogSignal{}}},
		"logs_severity": {Name: "logs_severity", Role: Secondary, Signal: Signal{Name: "logs_severity", Source: "otlp", Shape: ShapeRatio, Logs: &LogSignal{Severity: SeverityError}}},
		"traces":        {Name: "traces", Role: Advisory, Signal: Signal{Name: "traces", Source: "otlp", Shape: ShapeTopology, Spans: &SpanSignal{}}},
		"calls":         {Name: "calls", Role: Secondary, Signal: Signal{Name: "calls", Source: "otlp", Shape: ShapeRatio, Spans: &SpanSignal{Event: SpanCalls}}},
	}
	var out []Objective
	for _, name := range names {
		out = append(out, all[name])
	}
	return out
}

func TestWithObjectives(t *testing.T) {
	for _, test := range []struct {
		why         string
		heard, want []string
		requests    string // that the lines are held against; "": none
		traces      bool
	}{
		{
			"metrics say it all",
			[]string{"http_errors", "http_duration", "span_errors", "span_duration", "logs", "logs_severity", "traces", "calls"},
			[]string{"http_errors", "http_duration", "logs", "logs_severity", "traces", "calls"},
			"http_errors", true,
		},
		{
			"spans say what metrics do not",
			[]string{"span_errors", "span_duration", "http_duration", "logs", "logs_severity"},
			[]string{"span_errors", "http_duration", "logs", "logs_severity"},
			"span_errors", false,
		},
		{"spans alone", []string{"span_errors", "span_duration", "traces"}, []string{"span_errors", "span_duration", "traces"}, "", true},
		{"nothing counts requests", []string{"shares", "logs", "logs_severity"}, []string{"shares", "logs"}, "", false},
		{"calls are no requests", []string{"shares", "calls", "logs", "logs_severity"}, []string{"shares", "calls", "logs"}, "", true},
		{"the critical ratio comes first", []string{"rpc_errors", "http_errors", "logs_severity"}, []string{"rpc_errors", "http_errors", "logs_severity"}, "http_errors", false},
		{"no critical ratio", []string{"shares", "rpc_errors", "logs_severity"}, []string{"shares", "rpc_errors", "logs_severity"}, "rpc_errors", false},
		{"nothing", nil, nil, "", false},
	} {
		p := Policy{Logs: &LogPlan{Source: "otlp", Origin: "of another"}, Traces: &TracePlan{Source: "otlp"}}
		given := candidates(test.heard...)
		got := p.WithObjectives(given)
		var names []string
		lines := false
		for _, o := range got.Objectives {
			names = append(names, o.Name)
			if l := o.Signal.Logs; l != nil {
				lines = true
				if requests := l.Requests; requests == nil && test.requests != "" || requests != nil && requests.Name != test.requests {
					t.Errorf("%s: %s is held against %+v, want %s", test.why, o.Name, requests, test.requests)
				}
			}
		}
		if !slices.Equal(names, test.want) {
			t.Errorf("%s: objectives %v, want %v", test.why, names, test.want)
		}
		if (got.Logs != nil) != lines || lines && got.Logs.Origin != test.requests || (got.Traces != nil) != test.traces {
			t.Errorf("%s: logs %+v, traces %+v", test.why, got.Logs, got.Traces)
		}
		if p.Logs.Origin != "of another" {
			t.Errorf("%s: the policy was changed", test.why)
		}
		for i, o := range candidates(test.heard...) {
			if given[i].Name != o.Name || given[i].Signal.Logs != nil && given[i].Signal.Logs.Requests != nil {
				t.Errorf("%s: the candidates were changed: %+v", test.why, given[i])
			}
		}
	}
}
