package config

import (
	"slices"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// The built-in plan has every candidate, each of them sound; what a service is heard of
// with chooses.
func TestBuiltinCandidates(t *testing.T) {
	for _, source := range []string{OTLPSource, "prom-main"} {
		p := withStreams(BuiltinPolicy(source))
		for _, o := range p.Objectives {
			if err := o.Validate(); err != nil {
				t.Errorf("%s: %v", source, err)
			}
			want := source
			if o.Signal.Logs != nil || o.Signal.Spans != nil {
				want = OTLPSource
			}
			if o.Signal.Source != want {
				t.Errorf("%s: %s is read from %s", source, o.Name, o.Signal.Source)
			}
		}
		heard := func(names ...string) analysis.Policy {
			var kept []analysis.Objective
			for _, o := range p.Objectives {
				if slices.Contains(names, o.Name) {
					kept = append(kept, o)
				}
			}
			if len(kept) != len(names) {
				t.Fatalf("%s: candidates of %v: %d", source, names, len(kept))
			}
			return p.WithObjectives(kept)
		}
		all := heard("http_server_errors", "http_duration", "memory", "span_errors", "span_duration", "logs", "logs_severity", "traces", "traces_exclusive_errors", "traces_errors_per_call")
		if got := namesOf(all); !slices.Equal(got, []string{"http_server_errors", "http_duration", "memory", "logs", "logs_severity", "traces", "traces_exclusive_errors", "traces_errors_per_call"}) || all.Logs.Origin != "http_server_errors" {
			t.Errorf("%s: metrics and spans: %v, requests of %q", source, got, all.Logs.Origin)
		}
		spans := heard("memory", "span_errors", "span_duration", "logs", "logs_severity")
		if got := namesOf(spans); !slices.Equal(got, []string{"memory", "span_errors", "span_duration", "logs", "logs_severity"}) || spans.Logs.Origin != "span_errors" || spans.Objectives[1].Role != analysis.Critical {
			t.Errorf("%s: spans alone: %v, requests of %q", source, got, spans.Logs.Origin)
		}
		if metrics := heard("http_server_errors"); metrics.Logs != nil || metrics.Traces != nil {
			t.Errorf("%s: without lines and spans: %+v %+v", source, metrics.Logs, metrics.Traces)
		}
	}
}

func namesOf(p analysis.Policy) []string {
	var out []string
	for _, o := range p.Objectives {
		out = append(out, o.Name)
	}
	return out
}
