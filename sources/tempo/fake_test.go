package tempo_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// A fake answers as Tempo documents it, from spans that it holds: ids in base64, search
// results with their zeros cut off. Of TraceQL it understands what this package writes.
type fake struct {
	traces map[string]ptrace.Traces // by id
	failed int                      // when set, the status of all answers
}

func (f *fake) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

// hold keeps spans by trace.
func (f *fake) hold(td ptrace.Traces) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				id := s.TraceID().String()
				if _, ok := f.traces[id]; !ok {
					f.traces[id] = ptrace.NewTraces()
				}
				to := f.traces[id].ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(to.Resource())
				s.CopyTo(to.ScopeSpans().AppendEmpty().Spans().AppendEmpty())
			}
		}
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, byID := strings.CutPrefix(r.URL.Path, "/api/v2/traces/")
	switch {
	case f.failed != 0:
		w.WriteHeader(f.failed)
	case byID:
		td, ok := f.traces[id]
		if !ok {
			http.Error(w, "trace not found", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"trace":%s,"metrics":{}}`, asTempoWrites(td))
	case r.URL.Path == "/api/search":
		f.search(w, r)
	case r.URL.Path == "/api/status/buildinfo":
		io.WriteString(w, `{"version":"2.9.0","revision":"x"}`)
	default:
		http.NotFound(w, r)
	}
}

var hexIDs = regexp.MustCompile(`"(traceId|spanId|parentSpanId)":"([0-9a-f]+)"`)

func asTempoWrites(td ptrace.Traces) []byte {
	body, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	if err != nil {
		panic(err)
	}
	return hexIDs.ReplaceAllFunc(body, func(m []byte) []byte {
		parts := hexIDs.FindSubmatch(m)
		raw := make([]byte, len(parts[2])/2)
		for i := range raw {
			n, _ := strconv.ParseUint(string(parts[2][2*i:2*i+2]), 16, 8)
			raw[i] = byte(n)
		}
		return fmt.Appendf(nil, `"%s":"%s"`, parts[1], base64.StdEncoding.EncodeToString(raw))
	})
}

func (f *fake) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	inner := strings.TrimSuffix(strings.TrimPrefix(q.Get("q"), "{ "), " }")
	start, _ := strconv.ParseInt(q.Get("start"), 10, 64)
	end, _ := strconv.ParseInt(q.Get("end"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	type spanJSON struct {
		SpanID        string `json:"spanID"`
		DurationNanos string `json:"durationNanos"`
	}
	type set struct {
		Spans   []spanJSON `json:"spans"`
		Matched int        `json:"matched"`
	}
	type traceJSON struct {
		TraceID  string `json:"traceID"`
		SpanSets []set  `json:"spanSets"`
	}
	found := []traceJSON{}
	for id, td := range f.traces { // in any order, as Tempo does
		var s set
		for _, rs := range td.ResourceSpans().All() {
			sp := rs.ScopeSpans().At(0).Spans().At(0)
			if at := sp.StartTimestamp().AsTime().Unix(); at < start-60 || at > end || !holds(inner, rs, sp) {
				continue
			}
			s.Matched++
			if len(s.Spans) == 0 {
				s.Spans = []spanJSON{{sp.SpanID().String(), strconv.FormatInt(int64(sp.EndTimestamp()-sp.StartTimestamp()), 10)}}
			}
		}
		if s.Matched > 0 && len(found) < limit {
			found = append(found, traceJSON{strings.TrimLeft(id, "0"), []set{s}})
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"traces": found, "metrics": map[string]any{"totalBlocks": 1}})
}

// holds evaluates a && (b || c) of comparisons.
func holds(query string, rs ptrace.ResourceSpans, s ptrace.Span) bool {
	for _, all := range strings.Split(query, " && ") {
		if !slices.ContainsFunc(strings.Split(strings.Trim(all, "()"), " || "), func(c string) bool { return compares(c, rs, s) }) {
			return false
		}
	}
	return true
}

func compares(condition string, rs ptrace.ResourceSpans, s ptrace.Span) bool {
	name, literal, _ := strings.Cut(condition, " = ")
	switch condition {
	case "status = error":
		return s.Status().Code() == ptrace.StatusCodeError
	case "status != error":
		return s.Status().Code() != ptrace.StatusCodeError
	}
	value, err := strconv.Unquote(literal)
	if err != nil {
		panic(condition)
	}
	if name == "name" {
		return s.Name() == value
	}
	if route, ok := strings.CutPrefix(name, "span."); ok {
		v, found := s.Attributes().Get(route)
		return found && v.AsString() == value
	}
	name = strings.Trim(strings.TrimPrefix(name, "resource."), `"`)
	v, found := rs.Resource().Attributes().Get(name)
	return found && v.AsString() == value
}
