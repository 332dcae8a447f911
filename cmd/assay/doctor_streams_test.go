package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/verdicts"
)

// lokiOf is a Loki with lines of checkout 1.5.0. Its version is a label of streams or in
// the structured metadata, its lines have trace ids or none.
func lokiOf(t *testing.T, streams, traces bool) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.FormValue("query")
		selector, _, _ := strings.Cut(query[strings.Index(query, "{")+1:], "}")
		labels := map[string]string{"service_name": "checkout", "service_version": "1.5.0", "k8s_pod_name": "checkout-1", "detected_level": "error"}
		if traces {
			labels["trace_id"] = "4bf92f3577b34da6a3ce929d0e0e4736"
		}
		found := strings.HasPrefix(query, "vector(") || streams || !strings.Contains(selector, "service_version")
		now := time.Now().Add(-time.Minute)
		result, kind := []any{}, "vector"
		switch {
		case strings.HasSuffix(r.URL.Path, "/query_range") && !strings.Contains(query, "count_over_time"):
			kind = "streams"
			if found {
				start, _ := strconv.ParseInt(r.FormValue("start"), 10, 64)
				result = append(result, map[string]any{"stream": labels, "values": [][]any{{fmt.Sprint(start + 1e9), "payment refused"}}})
			}
		case strings.HasPrefix(query, "vector("):
			result = append(result, map[string]any{"metric": map[string]string{}, "value": []any{float64(now.Unix()), "1"}})
		case found:
			result = append(result, map[string]any{"metric": labels, "value": []any{float64(now.Unix()), "120"}})
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": result, "stats": map[string]any{}}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestDoctorOfLoki(t *testing.T) {
	const noTraces, inMetadata, aLabel = "has a trace id", "in the structured metadata only", "is a label of streams: say so"
	for _, test := range []struct {
		what      string
		url, more string
		says      []string
		silent    []string
	}{
		{"as it should be", lokiOf(t, true, true), ", streams: [service.version]", nil, []string{noTraces, inMetadata, aLabel}},
		{"a label that is not used", lokiOf(t, true, true), "", []string{aLabel}, []string{noTraces, inMetadata}},
		{"in the metadata", lokiOf(t, false, true), "", []string{inMetadata}, []string{noTraces, aLabel}},
		{"without trace ids", lokiOf(t, true, false), ", streams: [service.version]", []string{noTraces}, []string{inMetadata, aLabel}},
	} {
		code, d, _ := examined(t, "sources: {logs-store: {type: loki, url: '"+test.url+"'"+test.more+"}}")
		p := d.about("logs-store")
		if code != exitOK || p.Kind != external || p.Where != test.url || p.State != "ok" {
			t.Errorf("%s: exit code %d: %+v %+v", test.what, code, p, d.Findings)
		}
		about := func(text string) bool {
			return d.says(levelWarning, "logs-store", text) || d.says(levelNote, "logs-store", text)
		}
		for _, text := range test.says {
			if !about(text) {
				t.Errorf("%s: it does not say %q: %+v", test.what, text, d.Findings)
			}
		}
		for _, text := range test.silent {
			if about(text) {
				t.Errorf("%s: it says %q: %+v", test.what, text, d.Findings)
			}
		}
	}
}

func TestDoctorOfStoresThatAreDown(t *testing.T) {
	for _, kind := range []string{"loki", "jaeger", "tempo"} {
		code, d, _ := examined(t, "sources: {elsewhere: {type: "+kind+", url: 'http://"+nobody(t)+"'}}")
		if code != exitInternal || d.about("elsewhere").State != "down" || !d.says(levelError, "elsewhere", "") {
			t.Errorf("%s: exit code %d: %+v %+v", kind, code, d.Parts, d.Findings)
		}
		if code, d, _ := examined(t, "sources: {elsewhere: {type: "+kind+", address: x}}"); code != exitUsage {
			t.Errorf("%s with a wrong key: exit code %d: %+v", kind, code, d.Findings)
		}
	}
}

// What came late, and what the newest verdicts say of tail sampling.
func TestDoctorOfPushedStreams(t *testing.T) {
	taken := func(accepted, late int) map[string]any {
		return map[string]any{"Accepted": accepted, "Dropped": map[string]any{"late": late}}
	}
	stats := map[string]any{"Services": 3, "Accepted": 10_000, "Late": 5, "Lines": taken(900, 110), "Untraced": 900, "Spans": taken(100_000, 120)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch r.URL.Path {
		case "/v1/validations":
			answer = map[string]any{"validations": []any{map[string]any{"id": "4dd3a1b8-4f2c-5f0f-9a59-9a3c0a1f3a10", "service": "checkout"}}}
		case "/v1/status":
			answer = status{Version: version, Parts: []part{{Name: "store", State: "ok"}, {Name: "kafka", State: "ok"}, {Name: "otlp", State: "ok", Detail: stats}}}
		default:
			answer = detail{Verdict: &verdicts.Verdict{Service: "checkout", Warnings: []string{"tail_sampled: traces: 10 % of the spans failed"}}}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	code, d, _ := examined(t, "", "--server", s.URL)
	if code != exitOK || d.about("logs").State != "900 lines pushed" || d.about("traces").State != "100000 spans pushed" {
		t.Errorf("exit code %d: %+v", code, d.Parts)
	}
	if !d.says(levelWarning, "logs", "11% of the lines came after their fold had closed") || d.says(levelWarning, "traces", "of the spans came") || d.says(levelWarning, "otlp", "of the data points") {
		t.Errorf("late: %+v", d.Findings)
	}
	if !d.says(levelWarning, "logs", "no line that was pushed has a trace id") {
		t.Errorf("no trace ids: %+v", d.Findings)
	}
	stats["Untraced"] = 899
	if _, d, _ := examined(t, "", "--server", s.URL); d.says(levelWarning, "logs", "has a trace id") {
		t.Errorf("a line has one: %+v", d.Findings)
	}
	if !d.says(levelWarning, "traces", "checkout: tail_sampled") {
		t.Errorf("tail sampling: %+v", d.Findings)
	}
}
