package config

import (
	"slices"

	"github.com/release-assay/assay/analysis"
)

// A builtinSignal is a row of the catalogue of signals that need no SLO file. It
// is written twice, in the words of the two kinds of sources, and follows the
// OpenTelemetry semantic conventions.
type builtinSignal struct {
	name    string
	meaning string
	shape   analysis.Shape
	unit    string
	role    analysis.Role // in the built-in plan
	// As OTLP carries it, and as Prometheus stores it after OTLP translation. Of a
	// ratio both name the count of a histogram.
	metric, series string
	// Of a ratio, what counts as bad: values of an attribute, and the same as a
	// pattern of a label.
	attribute, label string
	bad              []string
	pattern          string
	// Read from spans, which no metric stands for: only what is pushed has them.
	event analysis.SpanEvent
}

// The built-in signals of spans.
const (
	spanErrors   = "span_errors"
	spanDuration = "span_duration"
)

// builtinSignals is the catalogue. docs/signals.md lists it; a test compares.
var builtinSignals = []builtinSignal{
	{
		name: "http_server_errors", meaning: "requests answered with a status of 500 to 599", shape: analysis.ShapeRatio, unit: "1", role: analysis.Critical,
		metric: "http.server.request.duration", attribute: "http.response.status_code", bad: []string{"5xx"},
		series: "http_server_request_duration_seconds_count", label: "http_response_status_code", pattern: "5..",
	},
	{
		// The six codes that the conventions call errors of the server.
		name: "rpc_server_errors", meaning: "gRPC calls that failed on the server's side, as the conventions since 1.39 name them", shape: analysis.ShapeRatio, unit: "1", role: analysis.Critical,
		metric: "rpc.server.call.duration", attribute: "rpc.response.status_code",
		bad:    []string{"DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN"},
		series: "rpc_server_call_duration_seconds_count", label: "rpc_response_status_code",
		pattern: "DATA_LOSS|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|UNIMPLEMENTED|UNKNOWN",
	},
	{
		// What most instrumentation still sends: numbers, and milliseconds.
		name: "grpc_server_errors", meaning: "the same under the names of the conventions up to 1.38, which most instrumentation still sends", shape: analysis.ShapeRatio, unit: "1", role: analysis.Critical,
		metric: "rpc.server.duration", attribute: "rpc.grpc.status_code",
		bad:    []string{"12", "13", "14", "15", "2", "4"},
		series: "rpc_server_duration_milliseconds_count", label: "rpc_grpc_status_code", pattern: "12|13|14|15|2|4",
	},
	{
		name: "http_duration", meaning: "how long HTTP requests take", shape: analysis.ShapeDistribution, unit: "s", role: analysis.Secondary,
		metric: "http.server.request.duration", series: "http_server_request_duration_seconds",
	},
	{
		name: "rpc_duration", meaning: "how long gRPC calls take, as the conventions since 1.39 name it", shape: analysis.ShapeDistribution, unit: "s", role: analysis.Secondary,
		metric: "rpc.server.call.duration", series: "rpc_server_call_duration_seconds",
	},
	{
		name: "grpc_duration", meaning: "the same under the names of the conventions up to 1.38", shape: analysis.ShapeDistribution, unit: "ms", role: analysis.Secondary,
		metric: "rpc.server.duration", series: "rpc_server_duration_milliseconds",
	},
	{
		name: "memory", meaning: "physical memory that the process uses", shape: analysis.ShapeLevel, unit: unitBytes, role: analysis.Secondary,
		metric: "process.memory.usage", series: "process_memory_usage_bytes",
	},
	{
		name: "container_memory", meaning: "memory that the container uses", shape: analysis.ShapeLevel, unit: unitBytes, role: analysis.Secondary,
		metric: "container.memory.usage", series: "container_memory_usage_bytes",
	},
	{
		name: "cpu", meaning: "share of the processors that the process keeps busy", shape: analysis.ShapeLevel, unit: "1", role: analysis.Advisory,
		metric: "process.cpu.utilization", series: "process_cpu_utilization_ratio",
	},
	{
		name: "container_cpu", meaning: "processors that the container keeps busy", shape: analysis.ShapeLevel, unit: "{cpu}", role: analysis.Advisory,
		metric: "container.cpu.usage", series: "container_cpu_usage",
	},
	{
		name: spanErrors, meaning: "requests whose span (kind server or consumer) has an error status, where no metric above counts them", shape: analysis.ShapeRatio, unit: "1", role: analysis.Critical,
		event: analysis.SpanErrors,
	},
	{
		name: spanDuration, meaning: "how long these spans take, where no metric above measures it", shape: analysis.ShapeDistribution, unit: "s", role: analysis.Secondary,
		event: analysis.SpanDuration,
	},
}

// ofSpans reports whether a name is that of a built-in signal of spans.
func ofSpans(name string) bool { return name == spanErrors || name == spanDuration }

// signal writes the row in the words of a source: those of OTLP for the source
// otlp, those of Prometheus for any other.
func (b builtinSignal) signal(source string) analysis.Signal {
	s := analysis.Signal{Name: b.name, Source: source, Unit: b.unit, Shape: b.shape}
	if b.event != "" {
		s.Spans = &analysis.SpanSignal{Event: b.event}
		return s
	}
	metric := b.series
	if source == OTLPSource {
		metric = b.metric
	}
	switch b.shape {
	case analysis.ShapeDistribution:
		s.Histogram = &analysis.Selector{Metric: metric}
	case analysis.ShapeLevel:
		s.Gauge = &analysis.Selector{Metric: metric}
		if source == OTLPSource {
			s.Gauge.Field = analysis.FieldValue
		}
	default:
		s.Total = &analysis.Selector{Metric: metric}
		s.Bad = &analysis.Selector{Metric: metric, Conditions: []analysis.Condition{b.isBad(source)}}
		if source == OTLPSource {
			s.Total.Field, s.Bad.Field = analysis.FieldCount, analysis.FieldCount
		}
	}
	return s
}

func (b builtinSignal) isBad(source string) analysis.Condition {
	if source == OTLPSource {
		return analysis.Condition{Name: b.attribute, Op: analysis.OpIn, Values: slices.Clone(b.bad)}
	}
	return analysis.Condition{Name: b.label, Op: analysis.OpRegexp, Values: []string{b.pattern}}
}

// BuiltinSignals returns the catalogue of built-in signals of metrics as they are read
// from a source: in the words of OTLP from the source called otlp, in those of
// Prometheus from any other. Those of spans are not among them.
func BuiltinSignals(source string) []analysis.Signal {
	var out []analysis.Signal
	for _, b := range builtinSignals {
		if b.event == "" {
			out = append(out, b.signal(source))
		}
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
		if b.name == name && (b.event == "" || source == OTLPSource) {
			return b.signal(source), true
		}
	}
	return analysis.Signal{}, false
}

// BuiltinPolicyName is the name of the plan of releases that no policy matches.
// An event may ask for it by this name; no policy file may use it.
const BuiltinPolicyName = "built-in"

// BuiltinPolicy is the plan of releases that no policy matches, with metrics from a
// source. Its objectives are candidates, of which those are judged that the telemetry of
// the service has: the shares of failed requests are critical, tolerated up to 1.05 and
// unsafe from 1.25 times the baseline; durations and memory are secondary. What a pod
// takes of the processors follows its share of the traffic as much as its version, so
// that it is reported only. [Policies.BuiltIn] has those of pushed spans and logs, too.
func BuiltinPolicy(source string) analysis.Policy {
	out := analysis.Policy{
		Name:          BuiltinPolicyName,
		Window:        analysis.DefaultWindow(),
		AlphaRollback: analysis.DefaultAlphaRollback,
		AlphaPromote:  analysis.DefaultAlphaPromote,
		BuiltIn:       true,
	}
	for _, b := range builtinSignals {
		if b.event == "" {
			out.Objectives = append(out.Objectives, b.candidate(source))
		}
	}
	return out
}

func (b builtinSignal) candidate(source string) analysis.Objective {
	o := analysis.Objective{Name: b.name, Role: b.role, Signal: b.signal(source)}
	if b.shape == analysis.ShapeRatio {
		o.Tolerance, o.Margin = &analysis.Bound{Ratio: 1.05}, &analysis.Bound{Ratio: 1.25}
	}
	return o
}

// withStreams adds to the built-in plan the candidates of what is pushed beside metrics.
// What the service was heard of with, and [analysis.Policy.WithObjectives], choose: its
// spans count where no metric does, its lines are held against what counts the requests.
func withStreams(p analysis.Policy) analysis.Policy {
	for _, b := range builtinSignals {
		if b.event != "" {
			p.Objectives = append(p.Objectives, b.candidate(OTLPSource))
		}
	}
	lines := func(name string, role analysis.Role, shape analysis.Shape, asks analysis.LogSignal) analysis.Objective {
		return analysis.Objective{Name: name, Role: role, Signal: analysis.Signal{Name: name, Source: OTLPSource, Unit: "1", Shape: shape, Logs: &asks}}
	}
	p.Objectives = append(p.Objectives,
		lines(clauseLogs, analysis.Advisory, analysis.ShapeTemplates, analysis.LogSignal{}),
		lines(nameSeverity, analysis.Secondary, analysis.ShapeRatio, analysis.LogSignal{Severity: analysis.SeverityError}))
	p.Objectives = append(p.Objectives, traceObjectives(OTLPSource, analysis.Secondary)...)
	p.Logs, p.Traces = &analysis.LogPlan{Source: OTLPSource}, &analysis.TracePlan{Source: OTLPSource}
	return p
}
