package tempo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/exemplar"
)

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

const recordedID = "02f3e0cee77ae5dc9c17ade3689eb2e5"

func TestParseSearch(t *testing.T) {
	got, err := parseSearch(recorded(t, "search.json"), analysis.ExemplarFailed)
	want := []exemplar.Candidate{
		{ID: recordedID, Took: 1146979497, Failed: true}, // its span, not the whole trace
		{ID: "0000000000000000d6e9329d67b6146a", Took: 611 * time.Millisecond, Failed: true},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, body := range []string{`{"traces":7}`, `{"traces":[{"traceID":"../x"}]}`, `{"traces":[{"traceID":""}]}`, `[]`} {
		if got, err := parseSearch([]byte(body), ""); err == nil {
			t.Errorf("%s: %v", body, got)
		}
	}
	if got, err := parseSearch([]byte(`{"metrics":{}}`), ""); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

// Ids come in base64 and kinds by their names; an attribute that is called as an id is none.
func TestParseTrace(t *testing.T) {
	for name, body := range map[string]string{
		"of today": string(recorded(t, "trace.json")),
		"older":    strings.Replace(string(recorded(t, "trace.json")), `"resourceSpans"`, `"batches"`, 1),
	} {
		traces, err := parseTrace([]byte(body))
		if err != nil || len(traces) != 1 || traces[0].ID != recordedID || traces[0].Partial {
			t.Fatalf("%s: %+v, %v", name, traces, err)
		}
		shown, err := exemplar.Show("tempo", analysis.ExemplarNamed, traces, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := shown[0]
		if e.Errors != 1 || e.Spans != 1 || e.Duration != 1146979497 || fmt.Sprint(e.Services) != "[checkout]" {
			t.Errorf("%s: %+v", name, e)
		}
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		s := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		said, _ := s.Attributes().Get("spanId")
		if s.SpanID().String() != "563d623c76514f8e" || s.ParentSpanID().String() != "563d623c76514f8d" || s.Kind() != ptrace.SpanKindServer || said.AsString() != "notAnIdHere=" {
			t.Errorf("%s: the span is %s of %s, %s, with %q", name, s.SpanID(), s.ParentSpanID(), s.Kind(), said.AsString())
		}
	}
	partial := strings.Replace(string(recorded(t, "trace.json")), `"metrics"`, `"status": "PARTIAL", "metrics"`, 1)
	if traces, err := parseTrace([]byte(partial)); err != nil || !traces[0].Partial {
		t.Errorf("what Tempo calls partial is not: %v", err)
	}
	for _, body := range []string{`{}`, `{"trace":7}`, `{"trace":{"resourceSpans":7}}`, `[]`, `{"trace":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"####"}]}]}]}}`} {
		if traces, err := parseTrace([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, traces)
		}
	}
}

func FuzzParseTrace(f *testing.F) {
	body, err := os.ReadFile(filepath.Join("testdata", "trace.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		traces, err := parseTrace(body)
		if err != nil {
			return
		}
		if _, err := exemplar.Show("tempo", analysis.ExemplarNamed, traces, 1000, nil); err != nil {
			t.Error(err)
		}
	})
}
