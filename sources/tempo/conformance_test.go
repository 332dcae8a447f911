package tempo_test

import (
	"encoding/hex"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
	"github.com/release-assay/assay/sources/tempo"
)

func TestConformance(t *testing.T) {
	sourcetest.RunExemplars(t, sourcetest.ExemplarHarness{
		Open: func(t *testing.T, rec replay.Recording) sources.ExemplarSource {
			f := &fake{traces: map[string]ptrace.Traces{}}
			f.hold(tracesOf(t, rec))
			return open(t, f.start(t), nil)
		},
		Unavailable: func(t *testing.T) sources.ExemplarSource {
			gone := httptest.NewServer(nil)
			gone.Close()
			return open(t, gone.URL, func(*tempo.Config) {})
		},
	})
}

// tracesOf is a recording's spans as OTLP has them.
func tracesOf(t *testing.T, rec replay.Recording) ptrace.Traces {
	td := ptrace.NewTraces()
	kinds := map[string]ptrace.SpanKind{
		"internal": ptrace.SpanKindInternal, "server": ptrace.SpanKindServer, "client": ptrace.SpanKindClient,
		"producer": ptrace.SpanKindProducer, "consumer": ptrace.SpanKindConsumer,
	}
	bytesOf := func(id string, into []byte) {
		if _, err := hex.Decode(into, []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	for _, pod := range rec.Pods {
		rs := td.ResourceSpans().AppendEmpty()
		for k, v := range pod.Attributes {
			rs.Resource().Attributes().PutStr(k, v)
		}
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for _, s := range pod.Spans {
			sp := spans.AppendEmpty()
			var trace pcommon.TraceID
			var id, parent pcommon.SpanID
			bytesOf(s.TraceID, trace[:])
			bytesOf(s.SpanID, id[:])
			bytesOf(s.ParentID, parent[:])
			sp.SetTraceID(trace)
			sp.SetSpanID(id)
			sp.SetParentSpanID(parent)
			sp.SetName(s.Name)
			sp.SetKind(kinds[s.Kind])
			sp.SetStartTimestamp(pcommon.NewTimestampFromTime(s.Start))
			sp.SetEndTimestamp(pcommon.NewTimestampFromTime(s.End))
			if s.Error {
				sp.Status().SetCode(ptrace.StatusCodeError)
			}
			for k, v := range s.Attributes {
				sp.Attributes().PutStr(k, v)
			}
		}
	}
	return td
}
