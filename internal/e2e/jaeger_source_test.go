package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/jaeger"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
	"github.com/release-assay/assay/testdata/backends"
)

// TestJaegerSource holds the source against a real Jaeger.
func TestJaegerSource(t *testing.T) {
	t.Parallel()
	server := backends.StartJaeger(t)
	sourcetest.RunExemplars(t, sourcetest.ExemplarHarness{
		Open: func(t *testing.T, rec replay.Recording) sources.ExemplarSource {
			sendTraces(t, server, tracesOf(t, rec))
			return openJaeger(t, server.URL)
		},
		Unavailable: func(t *testing.T) sources.ExemplarSource {
			return openJaeger(t, "http://127.0.0.1:1")
		},
	})
	t.Run("whole traces", func(t *testing.T) { wholeTraces(t, server) })
}

// wholeTraces puts traces of two versions into Jaeger and asks for examples of the new one.
func wholeTraces(t *testing.T, server *backends.Jaeger) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	td := ptrace.NewTraces()
	add := func(trace, id, parent byte, service, version, name string, took time.Duration, failed bool) {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		rs.Resource().Attributes().PutStr("service.version", version)
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{0: 1, 15: trace})
		s.SetSpanID(pcommon.SpanID{7: id})
		if parent != 0 {
			s.SetParentSpanID(pcommon.SpanID{7: parent})
		}
		s.SetName(name)
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-took)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
		s.Attributes().PutStr("user.email", "jane.doe@example.com")
		if failed {
			s.Status().SetCode(ptrace.StatusCodeError)
			s.Status().SetMessage("no stock")
		}
	}
	for i := range byte(20) { // every fourth of the new version fails in the service that it calls, too
		failed := i%4 == 3
		add(100+i, 1, 0, "orders", "1", "POST /orders", time.Duration(i)*time.Millisecond, false)
		add(200+i, 1, 0, "orders", "2", "POST /orders", time.Duration(i)*time.Millisecond, failed)
		add(200+i, 2, 1, "stock", "7", "reserve", time.Millisecond/2, failed)
	}
	sendTraces(t, server, td)
	source := openJaeger(t, server.URL)
	query := func(kind analysis.ExemplarKind, limit int) analysis.ExemplarQuery {
		return analysis.ExemplarQuery{
			Kind: kind, From: now.Add(-time.Minute), To: now, Limit: limit,
			Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"orders"}}, {Name: analysis.AttrVersion, Values: []string{"2"}}},
		}
	}
	ask := func(q analysis.ExemplarQuery) []analysis.Exemplar {
		t.Helper()
		got, err := source.Exemplars(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if all := ask(query(analysis.ExemplarSlow, 100)); len(all) != 20 {
		t.Errorf("%d of the new version, want 20", len(all))
	}
	failed := ask(query(analysis.ExemplarFailed, 10))
	if len(failed) != 5 {
		t.Errorf("%d failed, want 5", len(failed))
	}
	for _, e := range failed {
		if e.Spans != 2 || e.Errors != 2 || strings.Join(e.Services, " ") != "orders stock" || e.Truncated {
			t.Errorf("failed: %+v", e)
		}
		if strings.Contains(string(e.Body), "jane.doe") {
			t.Errorf("an address is shown: %s", e.Body)
		}
		back, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(e.Body)
		if err != nil || back.SpanCount() != 2 {
			t.Errorf("the body: %v", err)
		}
	}
	if slow := ask(query(analysis.ExemplarSlow, 1)); len(slow) != 1 || slow[0].Duration.D() != 19*time.Millisecond {
		t.Errorf("slow: %+v", slow)
	}
	typical := ask(query(analysis.ExemplarTypical, 1))
	if len(typical) != 1 || typical[0].Errors != 0 {
		t.Fatalf("typical: %+v", typical)
	}
	if again := ask(query(analysis.ExemplarTypical, 1)); again[0].Digest != typical[0].Digest {
		t.Error("asked twice, two answers")
	}
	byID := ask(analysis.ExemplarQuery{TraceID: failed[0].TraceID, To: now})
	if len(byID) != 1 || byID[0].Digest != failed[0].Digest {
		t.Errorf("by its id: %+v, want %s", byID, failed[0].Digest)
	}
	if none := ask(analysis.ExemplarQuery{TraceID: strings.Repeat("9", 32), To: now}); len(none) != 0 {
		t.Errorf("an unknown id: %+v", none)
	}
	if err := source.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func openJaeger(t *testing.T, url string) *jaeger.Source {
	t.Helper()
	c := jaeger.DefaultConfig()
	c.URL = url
	s, err := jaeger.Open("jaeger", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// sendTraces puts traces into Jaeger and returns when it shows them whole: it answers
// before its workers have written the spans, each of which is written alone.
func sendTraces(t *testing.T, server *backends.Jaeger, td ptrace.Traces) {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(server.OTLP+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("traces are refused: %s: %s", resp.Status, said)
	}
	sent := map[pcommon.TraceID]int{}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				sent[s.TraceID()]++
			}
		}
	}
	deadline := time.Now().Add(time.Minute)
	for id, spans := range sent {
		for {
			shown := spansShown(t, server, id)
			if shown == spans {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("Jaeger shows %d of the %d spans of trace %s", shown, spans, id)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// spansShown is how many spans of a trace Jaeger shows by now.
func spansShown(t *testing.T, server *backends.Jaeger, id pcommon.TraceID) int {
	t.Helper()
	resp, err := web.Get(server.URL + "/api/v3/traces/" + id.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return 0
	}
	var answer struct{ Result json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("Jaeger answers %s: %v", resp.Status, err)
	}
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(answer.Result)
	if err != nil {
		t.Fatal(err)
	}
	return td.SpanCount()
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
