package lab

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
)

var deployed = time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)

// told is what a shop has sent in some minutes from the deployment on.
type told struct {
	traces  ptrace.Traces
	logs    plog.Logs
	metrics pmetric.Metrics
}

func play(s Scenario, seed uint64, minutes int, streams bool) told {
	shop := NewShop(s, seed, deployed)
	out := told{ptrace.NewTraces(), plog.NewLogs(), pmetric.NewMetrics()}
	for at := deployed.Add(-Step); !at.After(deployed.Add(time.Duration(minutes) * time.Minute)); at = at.Add(Step) {
		shop.Export(out.metrics, at)
		if streams {
			shop.Stream(out.traces, out.logs, at)
		}
	}
	return out
}

func (t told) eachSpan(each func(version string, resource pcommon.Map, span ptrace.Span)) {
	for _, r := range t.traces.ResourceSpans().All() {
		version, _ := r.Resource().Attributes().Get(analysis.AttrVersion)
		for _, scope := range r.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				each(version.Str(), r.Resource().Attributes(), span)
			}
		}
	}
}

func (t told) eachLine(each func(version string, line plog.LogRecord)) {
	for _, r := range t.logs.ResourceLogs().All() {
		version, _ := r.Resource().Attributes().Get(analysis.AttrVersion)
		for _, scope := range r.ScopeLogs().All() {
			for _, line := range scope.LogRecords().All() {
				each(version.Str(), line)
			}
		}
	}
}

// The same seed tells the same, and telling changes nothing in what is counted.
func TestStreamsRepeat(t *testing.T) {
	for _, s := range append(Scenarios(), Streams()...) {
		one, two, silent := play(s, 7, 3, true), play(s, 7, 3, true), play(s, 7, 3, false)
		encoded := func(t told) []byte {
			var traces ptrace.ProtoMarshaler
			var logs plog.ProtoMarshaler
			a, _ := traces.MarshalTraces(t.traces)
			b, _ := logs.MarshalLogs(t.logs)
			return append(a, b...)
		}
		counted := func(t told) []byte {
			var metrics pmetric.ProtoMarshaler
			b, _ := metrics.MarshalMetrics(t.metrics)
			return b
		}
		if !bytes.Equal(encoded(one), encoded(two)) || len(encoded(one)) == 0 {
			t.Errorf("%s: the same seed tells something else", s.Name)
		}
		if !bytes.Equal(counted(one), counted(silent)) {
			t.Errorf("%s: what is told changes what is counted", s.Name)
		}
	}
}

// Every trace is whole: one root, each other span has its parent, which began before it
// and ended after it, or, of another pod, called it.
func TestTracesAreWhole(t *testing.T) {
	spans := map[pcommon.TraceID]map[pcommon.SpanID]ptrace.Span{}
	services := map[string]bool{}
	play(Streams()[2], 3, 4, true).eachSpan(func(_ string, resource pcommon.Map, span ptrace.Span) {
		if spans[span.TraceID()] == nil {
			spans[span.TraceID()] = map[pcommon.SpanID]ptrace.Span{}
		}
		spans[span.TraceID()][span.SpanID()] = span
		service, _ := resource.Get(analysis.AttrService)
		services[service.Str()] = true
	})
	if len(spans) < 500 || len(services) != 4 {
		t.Fatalf("%d traces of %v", len(spans), services)
	}
	for id, of := range spans {
		roots := 0
		for _, span := range of {
			parent, known := of[span.ParentSpanID()]
			switch {
			case span.ParentSpanID().IsEmpty():
				roots++
			case !known:
				t.Fatalf("trace %s: the parent of %s is not there", id, span.Name())
			case span.StartTimestamp() < parent.StartTimestamp() || span.EndTimestamp() > parent.EndTimestamp() || span.StartTimestamp() >= span.EndTimestamp():
				t.Fatalf("trace %s: %s does not lie in its parent", id, span.Name())
			}
		}
		if roots != 1 {
			t.Fatalf("trace %s has %d roots", id, roots)
		}
	}
}

// tally counts, by version, what the scenarios are about.
type tally struct {
	requests, errors  float64 // lines of ERROR
	served, failed    float64 // spans in which the checkout serves
	calls, callErrors float64 // by the checkout
	templates         map[string]bool
}

func tallies(played told) map[string]*tally {
	out := map[string]*tally{}
	of := func(version string) *tally {
		if out[version] == nil {
			out[version] = &tally{templates: map[string]bool{}}
		}
		return out[version]
	}
	played.eachSpan(func(version string, resource pcommon.Map, span ptrace.Span) {
		if service, _ := resource.Get(analysis.AttrService); service.Str() != Service {
			return
		}
		bad := 0.
		if span.Status().Code() == ptrace.StatusCodeError {
			bad = 1
		}
		if a := of(version); span.Kind() == ptrace.SpanKindServer {
			a.served, a.failed = a.served+1, a.failed+bad
		} else {
			a.calls, a.callErrors = a.calls+1, a.callErrors+bad
		}
	})
	played.eachLine(func(version string, line plog.LogRecord) {
		a := of(version)
		if line.SeverityNumber() >= plog.SeverityNumberError {
			a.errors++
		}
		a.templates[strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, line.Body().Str())] = true
	})
	for _, r := range played.metrics.ResourceMetrics().All() {
		attributes := r.Resource().Attributes()
		if service, _ := attributes.Get(analysis.AttrService); service.Str() != Service {
			continue
		}
		version, _ := attributes.Get(analysis.AttrVersion)
		for _, m := range r.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() == "http.server.request.duration" {
				for _, point := range m.Histogram().DataPoints().All() {
					if point.Timestamp().AsTime().Equal(deployed.Add(10 * time.Minute)) {
						of(version.Str()).requests += float64(point.Count())
					}
				}
			}
		}
	}
	return out
}

// Each scenario shows its defect where it says, and nowhere else.
func TestStreamsTellTheDefect(t *testing.T) {
	for _, s := range append(Streams(), Scenarios()[0]) {
		got := tallies(play(s, 11, 10, true))
		b, c := got[BaselineVersion], got[CanaryVersion]
		share := func(x, n float64) float64 { return x / max(n, 1) }
		if c.served < 100 || b.served < 400 || c.requests < 10_000 {
			t.Fatalf("%s: too little is told: %+v %+v", s.Name, *b, *c)
		}
		if worse := share(c.errors, c.requests); (worse > 0.01) != (s.canaryLines > 0) {
			t.Errorf("%s: %.2g of the canary's requests write a line of ERROR", s.Name, worse)
		}
		if worse := share(c.callErrors, c.calls); (worse > 0.05) != (s.canaryTimeouts+s.neighbourErrors > 0) {
			t.Errorf("%s: %.2g of the canary's calls fail", s.Name, worse)
		}
		if share(b.callErrors, b.calls) > 0.01 || share(b.failed, b.served) > 0.01 || share(c.failed, c.served) > 0.03 {
			t.Errorf("%s: the baseline, or what the canary answers, is not healthy: %+v %+v", s.Name, *b, *c)
		}
		added := 0
		for text := range c.templates {
			if !b.templates[text] {
				added++
			}
		}
		want := 0
		if s.canaryLines > 0 || s.rewordedInfo || s.rewordedError {
			want = 1
		}
		if added != want {
			t.Errorf("%s: %d new templates, want %d: %v", s.Name, added, want, c.templates)
		}
	}
}

// Spans and lines begin a while before the deployment, and fall silent with the rest.
func TestStreamsBeginAndEnd(t *testing.T) {
	outage, err := Find("telemetry-outage")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]bool{
		deployed.Add(-StreamSpan - Step): false, deployed.Add(-StreamSpan): true, deployed.Add(2 * time.Minute): true, deployed.Add(2*time.Minute + Step): false,
	} {
		shop := NewShop(outage, 1, deployed)
		shop.Export(pmetric.NewMetrics(), at)
		traces, logs := ptrace.NewTraces(), plog.NewLogs()
		shop.Stream(traces, logs, at)
		if got := traces.SpanCount() > 0 && logs.LogRecordCount() > 0; got != want || (traces.SpanCount() > 0) != (logs.LogRecordCount() > 0) {
			t.Errorf("%v after the deployment: %d spans, %d lines", at.Sub(deployed), traces.SpanCount(), logs.LogRecordCount())
		}
	}
}
