package config

import (
	"github.com/release-assay/assay/analysis"
)

// A builtinSignal is a row of the catalogue of signals that need no SLO file. It
// is written twice, in the words of the two kinds of sources, and follows the
// OpenTelemetry semantic conventions.
type builtinSignal struct {
	name    string
	meaning string // what counts as bad
	// As OTLP carries it: the count of a histogram, and its bad values.
	metric, attribute string
	bad               []string
	// As Prometheus stores it after OTLP translation: the same count, and the same
	// values as a pattern.
	series, label, pattern string
}

// builtinSignals is the catalogue. docs/signals.md lists it; a test compares.
var builtinSignals = []builtinSignal{
	{
		name: "http_server_errors", meaning: "requests answered with a status of 500 to 599",
		metric: "http.server.request.duration", attribute: "http.response.status_code", bad: []string{"5xx"},
		series: "http_server_request_duration_seconds_count", label: "http_response_status_code", pattern: "5..",
	},
	{
		// The six codes that the conventions call errors of the server.
		name: "rpc_server_errors", meaning: "gRPC calls that failed on the server's side, as the conventions since 1.39 name them",
		metric: "rpc.server.call.duration", attribute: "rpc.response.status_code",
		bad:    []string{"DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"},
		series: "rpc_server_call_duration_seconds_count", label: "rpc_response_status_code",
		pattern: "DATA_LOSS|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|UNIMPLEMENTED|UNKNOWN",
	},
	{
		// What most instrumentation still sends: numbers, and milliseconds.
		name: "grpc_server_errors", meaning: "the same under the names of the conventions up to 1.38, which most instrumentation still sends",
		metric: "rpc.server.duration", attribute: "rpc.grpc.status_code",
		bad:    []string{"12", "13", "14", "15", "2", "4"},
		series: "rpc_server_duration_milliseconds_count", label: "rpc_grpc_status_code", pattern: "12|13|14|15|2|4",
	},
}

// laterSignals are of the catalogue of the design, but need a shape that this
// version has no method for.
var laterSignals = []string{"http_duration", "rpc_duration", "cpu_per_request", "cpu", "memory", "restarts"}

// signal writes the row in the words of a source: those of OTLP for the source
// otlp, those of Prometheus for any other.
func (b builtinSignal) signal(source string) analysis.Signal {
	s := analysis.Signal{Name: b.name, Source: source, Unit: "1", Shape: analysis.ShapeRatio}
	if source == OTLPSource {
		s.Total = &analysis.Selector{Metric: b.metric, Field: analysis.FieldCount}
		s.Bad = &analysis.Selector{Metric: b.metric, Field: analysis.FieldCount, Conditions: []analysis.Condition{
			{Name: b.attribute, Op: analysis.OpIn, Values: append([]string(nil), b.bad...)},
		}}
		return s
	}
	s.Total = &analysis.Selector{Metric: b.series}
	s.Bad = &analysis.Selector{Metric: b.series, Conditions: []analysis.Condition{
		{Name: b.label, Op: analysis.OpRegexp, Values: []string{b.pattern}},
	}}
	return s
}

// BuiltinSignals returns the catalogue of built-in signals as they are read from
// a source: in the words of OTLP from the source called otlp, in those of
// Prometheus from any other.
func BuiltinSignals(source string) []analysis.Signal {
	out := make([]analysis.Signal, len(builtinSignals))
	for i, b := range builtinSignals {
		out[i] = b.signal(source)
	}
	return out
}

func builtinNames() []string {
	names := make([]string, len(builtinSignals))
	for i, b := range builtinSignals {
		names[i] = b.name
	}
	return names
}

func findBuiltin(name, source string) (analysis.Signal, bool) {
	for _, b := range builtinSignals {
		if b.name == name {
			return b.signal(source), true
		}
	}
	return analysis.Signal{}, false
}

// BuiltinPolicyName is the name of the plan of releases that no policy matches.
// An event may ask for it by this name; no policy file may use it.
const BuiltinPolicyName = "built-in"

// BuiltinPolicy is the plan of releases that no policy matches: the share of
// failed HTTP requests, critical, tolerated up to 1.05 and unsafe from 1.25 times
// the baseline, in the default window.
func BuiltinPolicy(source string) analysis.Policy {
	signal, _ := findBuiltin("http_server_errors", source)
	return analysis.Policy{
		Name: BuiltinPolicyName,
		Objectives: []analysis.Objective{{
			Name: signal.Name, Role: analysis.Critical, Signal: signal,
			Tolerance: &analysis.Bound{Ratio: 1.05}, Margin: &analysis.Bound{Ratio: 1.25},
		}},
		Window:        analysis.DefaultWindow(),
		AlphaRollback: analysis.DefaultAlphaRollback,
		AlphaPromote:  analysis.DefaultAlphaPromote,
		BuiltIn:       true,
	}
}
