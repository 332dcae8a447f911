package otlp_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
)

// A tracedSpan is a span and the pod that sent it.
type tracedSpan struct {
	pod  replay.Pod
	span replay.Span
}

// sendSpans sends the spans of a recording in the order of their ends, in requests of 20.
func sendSpans(t *testing.T, source *otlp.Source, rec replay.Recording) {
	t.Helper()
	var all []tracedSpan
	for _, pod := range rec.Pods {
		for _, s := range pod.Spans {
			all = append(all, tracedSpan{pod, s})
		}
	}
	slices.SortStableFunc(all, func(a, b tracedSpan) int { return a.span.End.Compare(b.span.End) })
	kinds := map[string]ptrace.SpanKind{
		"internal": ptrace.SpanKindInternal, "server": ptrace.SpanKindServer, "client": ptrace.SpanKindClient,
		"producer": ptrace.SpanKindProducer, "consumer": ptrace.SpanKindConsumer,
	}
	for some := range slices.Chunk(all, 20) {
		td := ptrace.NewTraces()
		for _, one := range some {
			rs := td.ResourceSpans().AppendEmpty()
			putAll(rs.Resource().Attributes(), one.pod.Attributes)
			s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			var trace pcommon.TraceID
			var span, parent pcommon.SpanID
			decodeID(t, trace[:], one.span.TraceID)
			decodeID(t, span[:], one.span.SpanID)
			decodeID(t, parent[:], one.span.ParentID)
			s.SetTraceID(trace)
			s.SetSpanID(span)
			s.SetParentSpanID(parent)
			s.SetName(one.span.Name)
			s.SetKind(kinds[one.span.Kind])
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(one.span.Start))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(one.span.End))
			if one.span.Error {
				s.Status().SetCode(ptrace.StatusCodeError)
			}
			putAll(s.Attributes(), one.span.Attributes)
		}
		data, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		if outcome, err := source.ConsumeSpans(t.Context(), data); err != nil || outcome.Accepted != len(some) {
			t.Fatalf("%d of %d spans were counted: %v", outcome.Accepted, len(some), err)
		}
	}
}

func decodeID(t *testing.T, id []byte, digits string) {
	t.Helper()
	if digits == "" {
		return
	}
	if _, err := hex.Decode(id, []byte(digits)); err != nil {
		t.Fatal(err)
	}
}

func TestExemplarConformance(t *testing.T) {
	sourcetest.RunExemplars(t, sourcetest.ExemplarHarness{
		Open: func(t *testing.T, rec replay.Recording) sources.ExemplarSource {
			source := newSource(t)
			sendSpans(t, source, rec)
			return source
		},
	})
}
