package tempo_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/tempo"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, address string, change func(*tempo.Config)) *tempo.Source {
	t.Helper()
	c := tempo.DefaultConfig()
	c.URL = address
	if change != nil {
		change(&c)
	}
	s, err := tempo.Open("tempo", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// put adds a span that ended at noon to a trace.
func put(f *fake, trace byte, service, version string, took time.Duration, failed bool) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	rs.Resource().Attributes().PutStr("service.version", version)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(pcommon.TraceID{2: 7, 15: trace})
	s.SetSpanID(pcommon.SpanID{7: byte(len(service))})
	s.SetName("GET /orders")
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(noon.Add(-took)))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(noon))
	if failed {
		s.Status().SetCode(ptrace.StatusCodeError)
	}
	f.hold(td)
}

func traceID(trace byte) string { return fmt.Sprintf("000007%026x", trace) }

func shop() *fake {
	f := &fake{traces: map[string]ptrace.Traces{}}
	put(f, 1, "checkout", "1", 9*time.Second, true) // the other version
	put(f, 2, "checkout", "2", 1*time.Second, false)
	put(f, 3, "checkout", "2", 2*time.Second, false)
	put(f, 4, "checkout", "2", 3*time.Second, true)
	put(f, 4, "payment", "7", 2*time.Second, true)
	put(f, 5, "checkout", "2", 5*time.Second, false)
	put(f, 6, "payment", "2", 8*time.Second, true) // another service
	return f
}

func search(kind analysis.ExemplarKind, limit int) analysis.ExemplarQuery {
	return analysis.ExemplarQuery{
		Kind: kind, From: noon.Add(-time.Minute), To: noon, Limit: limit,
		Matches: []analysis.Match{{Name: "service.name", Values: []string{"checkout"}}, {Name: "service.version", Values: []string{"2"}}},
	}
}

func TestSearch(t *testing.T) {
	s := open(t, shop().start(t), nil)
	ids := func(kind analysis.ExemplarKind, limit int) string {
		t.Helper()
		got, err := s.Exemplars(t.Context(), search(kind, limit))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range got {
			if e.Kind != kind || e.Source != "tempo" {
				t.Errorf("%s: %+v", kind, e)
			}
			out = append(out, e.TraceID)
		}
		return strings.Join(out, " ")
	}
	if got := ids(analysis.ExemplarFailed, 10); got != traceID(4) {
		t.Errorf("failed: %s", got)
	}
	if got, want := ids(analysis.ExemplarSlow, 2), traceID(5)+" "+traceID(4); got != want {
		t.Errorf("slow: %s, want %s", got, want)
	}
	typical := ids(analysis.ExemplarTypical, 3)
	if len(strings.Fields(typical)) != 3 || strings.Contains(typical, traceID(4)) {
		t.Errorf("typical: %s", typical)
	}
	for range 5 { // the search itself knows no order
		if again := ids(analysis.ExemplarTypical, 3); again != typical {
			t.Errorf("typical: %s and %s", typical, again)
		}
	}
	early := search(analysis.ExemplarFailed, 1)
	early.To = noon.Add(-time.Millisecond) // all spans end later
	if got, err := s.Exemplars(t.Context(), early); err != nil || len(got) != 0 {
		t.Errorf("as of an earlier instant: %+v, %v", got, err)
	}
}

func TestByID(t *testing.T) {
	s := open(t, shop().start(t), nil)
	got, err := s.Exemplars(t.Context(), analysis.ExemplarQuery{TraceID: strings.ToUpper(traceID(4)), To: noon})
	if err != nil || len(got) != 1 || got[0].Spans != 2 || got[0].Errors != 2 || got[0].Kind != analysis.ExemplarNamed || fmt.Sprint(got[0].Services) != "[checkout payment]" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, q := range []analysis.ExemplarQuery{{TraceID: traceID(99), To: noon}, {TraceID: traceID(4), To: noon.Add(-1)}} {
		if got, err := s.Exemplars(t.Context(), q); err != nil || len(got) != 0 {
			t.Errorf("%+v: %+v, %v, want nothing", q, got, err)
		}
	}
	if _, err := s.Exemplars(t.Context(), analysis.ExemplarQuery{TraceID: "../../ready"}); sources.KindOf(err) != sources.Rejected {
		t.Errorf("a path for an id: %v", err)
	}
}

func TestErrors(t *testing.T) {
	elsewhere := shop().start(t)
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		change  func(*analysis.ExemplarQuery)
		want    sources.Kind
		says    string
	}{
		{"down", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, nil, sources.Unavailable, "503"},
		{"no tenant", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no org id", http.StatusUnauthorized) }, nil, sources.Rejected, "no org id"},
		{"bad query", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "invalid TraceQL query", 400) }, nil, sources.Rejected, "invalid TraceQL"},
		{"search is off", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, nil, sources.Rejected, "404"},
		{"another", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"traces":{}}`) }, nil, sources.Malformed, ""},
		{"login", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `<html>`) }, nil, sources.Unavailable, "no JSON"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
		}, nil, sources.Rejected, "another host"},
		{"window", nil, func(q *analysis.ExemplarQuery) { q.From = time.Time{} }, sources.Rejected, "empty"},
		{"kind", nil, func(q *analysis.ExemplarQuery) { q.Kind = "odd" }, sources.Rejected, "odd"},
		{"value", nil, func(q *analysis.ExemplarQuery) { q.Operation = "a\x00" }, sources.Rejected, "operation"},
	} {
		address := elsewhere
		if c.handler != nil {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			address = server.URL
		}
		q := search(analysis.ExemplarFailed, 1)
		if c.change != nil {
			c.change(&q)
		}
		_, err := open(t, address, nil).Exemplars(t.Context(), q)
		if err == nil || sources.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error (%v) with %q", c.name, err, c.want, c.says)
		}
	}
}

func TestProbe(t *testing.T) {
	f := shop()
	s := open(t, f.start(t), nil)
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	f.failed = 502
	if err := s.Probe(t.Context()); sources.KindOf(err) != sources.Unavailable || err == nil {
		t.Error(err)
	}
}

func TestTenant(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Scope-OrgID") != "shop" {
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, `{}`)
	}))
	defer server.Close()
	s := open(t, server.URL, func(c *tempo.Config) { c.Tenant = "shop" })
	if _, err := s.Exemplars(t.Context(), search("slow", 1)); err != nil {
		t.Error(err)
	}
}
