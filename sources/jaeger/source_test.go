package jaeger_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/jaeger"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const id = "5b8efff798038103d269b633813fc60c"

// spanOf is a resource with one span that ends at noon.
func spanOf(id, service, version string, took time.Duration, status int) string {
	return fmt.Sprintf(`{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%q}},{"key":"service.version","value":{"stringValue":%q}}]},
		"scopeSpans":[{"scope":{},"spans":[{"traceId":%q,"spanId":"eee19b7ec3c1b174","parentSpanId":"","flags":1,"name":"GET /orders","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","status":{"code":%d}}]}]}`,
		service, version, id, noon.Add(-took).UnixNano(), noon.UnixNano(), status)
}

func wrapped(resources ...string) string {
	return `{"result":{"resourceSpans":[` + strings.Join(resources, ",") + `]}}`
}

// noTraces is how Jaeger says that there is nothing: of an unknown id in all releases, of
// a search in newer ones.
func noTraces(w http.ResponseWriter) {
	http.Error(w, `{"error":{"httpCode":404,"message":"trace not found"}}`, http.StatusNotFound)
}

func open(t *testing.T, address string, change func(*jaeger.Config)) *jaeger.Source {
	t.Helper()
	c := jaeger.DefaultConfig()
	c.URL = address
	if change != nil {
		change(&c)
	}
	s, err := jaeger.Open("jaeger", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// search asks for one trace of version 2 of checkout in the minute before noon.
func search(kind analysis.ExemplarKind) analysis.ExemplarQuery {
	return analysis.ExemplarQuery{
		Kind: kind, From: noon.Add(-time.Minute), To: noon, Limit: 1,
		Matches: []analysis.Match{{Name: "service.name", Values: []string{"checkout"}}, {Name: "service.version", Values: []string{"2"}}},
	}
}

func TestByID(t *testing.T) {
	s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prefix/api/v3/traces/"+id {
			noTraces(w)
			return
		}
		io.WriteString(w, wrapped(spanOf(id, "checkout", "2", time.Second, 2)))
	})+"/prefix/", nil)
	got, err := s.Exemplars(t.Context(), analysis.ExemplarQuery{TraceID: strings.ToUpper(id), To: noon})
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if e := got[0]; e.TraceID != id || e.Kind != analysis.ExemplarNamed || e.Source != "jaeger" || e.Spans != 1 || e.Errors != 1 || e.Duration.D() != time.Second {
		t.Errorf("got %+v", e)
	}
	for name, q := range map[string]analysis.ExemplarQuery{
		"unknown":                      {TraceID: strings.Repeat("1", 32), To: noon},
		"ends later than was asked of": {TraceID: id, To: noon.Add(-1)},
	} {
		if got, err := s.Exemplars(t.Context(), q); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v, want nothing", name, got, err)
		}
	}
}

func TestSearch(t *testing.T) {
	other := func(c string) string { return strings.Repeat(c, 32) }
	var asked url.Values
	s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		io.WriteString(w, wrapped(
			spanOf(other("1"), "checkout", "1", 9*time.Second, 2), // the other version
			spanOf(other("2"), "checkout", "2", 1*time.Second, 0),
			spanOf(other("3"), "checkout", "2", 2*time.Second, 0),
			spanOf(other("4"), "checkout", "2", 3*time.Second, 2),
			spanOf(other("5"), "checkout", "2", 5*time.Second, 0),
			spanOf(other("6"), "payment", "2", 8*time.Second, 2), // another service
		))
	}), nil)
	for kind, want := range map[analysis.ExemplarKind]string{
		analysis.ExemplarFailed: other("4"), analysis.ExemplarSlow: other("5"), analysis.ExemplarTypical: other("3"),
	} {
		got, err := s.Exemplars(t.Context(), search(kind))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %+v, %v", kind, got, err)
			continue
		}
		if kind != analysis.ExemplarTypical && got[0].TraceID != want || got[0].Kind != kind {
			t.Errorf("%s: got %s of the kind %s, want %s", kind, got[0].TraceID, got[0].Kind, want)
		}
		if kind == analysis.ExemplarTypical && got[0].Errors > 0 {
			t.Errorf("a typical trace with an error")
		}
	}
	for name, want := range map[string]string{
		"query.service_name": "checkout", "query.num_traces": "100", "query.search_depth": "100",
		"query.start_time_min": "2026-03-02T11:58:00Z", "query.start_time_max": "2026-03-02T12:00:00Z",
	} {
		if got := asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got, err := s.Exemplars(t.Context(), func() analysis.ExemplarQuery { q := search("failed"); q.Limit = 10; return q }()); err != nil || len(got) != 1 {
		t.Errorf("at most ten that failed: %d, %v, want the one", len(got), err)
	}
}

// An answer that is too large is asked for again with fewer traces.
func TestSearchAsksForLess(t *testing.T) {
	var depths []int
	s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		depth, _ := strconv.Atoi(r.URL.Query().Get("query.search_depth"))
		depths = append(depths, depth)
		var resources []string
		for i := range depth {
			resources = append(resources, spanOf(fmt.Sprintf("%032x", i+1), "checkout", "2", time.Second, 2))
		}
		io.WriteString(w, wrapped(resources...))
	}), func(c *jaeger.Config) { c.MaxBytes = 5000 })
	got, err := s.Exemplars(t.Context(), search(analysis.ExemplarFailed))
	if err != nil || len(got) != 1 || fmt.Sprint(depths) != "[100 25 6]" {
		t.Errorf("%d traces, %v, asked for %v", len(got), err, depths)
	}
}

// Where few fail, more traces are read, once.
func TestSearchGoesDeeper(t *testing.T) {
	var depths []int
	fails := true
	s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		depth, _ := strconv.Atoi(r.URL.Query().Get("query.num_traces"))
		depths = append(depths, depth)
		status := 0
		if fails && depth == 1000 {
			status = 2
		}
		io.WriteString(w, wrapped(spanOf(id, "checkout", "2", time.Second, status)))
	}), nil)
	if got, err := s.Exemplars(t.Context(), search(analysis.ExemplarFailed)); err != nil || len(got) != 1 || fmt.Sprint(depths) != "[100 1000]" {
		t.Errorf("%d traces, %v, asked for %v", len(got), err, depths)
	}
	fails, depths = false, nil
	if got, err := s.Exemplars(t.Context(), search(analysis.ExemplarFailed)); err != nil || len(got) != 0 || fmt.Sprint(depths) != "[100 1000]" {
		t.Errorf("none fails: %d traces, %v, asked for %v", len(got), err, depths)
	}
}

func TestErrors(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, wrapped()) })
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		query   func(*analysis.ExemplarQuery)
		want    sources.Kind
		says    string
	}{
		{"down", status(503, ""), nil, sources.Unavailable, "503"},
		{"too many", status(429, ""), nil, sources.Unavailable, "429"},
		{"bad query", status(400, `{"error":{"httpCode":400,"message":"malformed parameter"}}`), nil, sources.Rejected, "malformed parameter"},
		{"credentials", status(401, ""), nil, sources.Rejected, "401"},
		{"a proxy that knows no such path", status(404, "404 page not found"), nil, sources.Rejected, "404"},
		{"user interface", status(200, "<!doctype html>"), nil, sources.Unavailable, "no JSON"},
		{"cut off", status(200, wrapped()[:20]), nil, sources.Unavailable, "no JSON"},
		{"another API", status(200, `{"data":[]}`), nil, sources.Malformed, "result"},
		{"no traces", status(200, `{"result":{"resourceSpans":7}}`), nil, sources.Malformed, ""},
		{"ids of nobody", status(200, `{"result":{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}}`), nil, sources.Malformed, ""},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusFound)
		}, nil, sources.Rejected, "another host"},
		{"a bomb", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 64 {
				z.Write([]byte(strings.Repeat(" ", 1<<20)))
			}
			z.Close()
		}, nil, sources.Malformed, "limit of bytes"},
		{"no service", status(200, wrapped()), func(q *analysis.ExemplarQuery) { q.Matches = nil }, sources.Rejected, "names none"},
		{"no window", status(200, wrapped()), func(q *analysis.ExemplarQuery) { q.From = q.To }, sources.Rejected, "empty"},
		{"no kind", status(200, wrapped()), func(q *analysis.ExemplarQuery) { q.Kind = "" }, sources.Rejected, "kind"},
		{"a path for an id", status(200, wrapped()), func(q *analysis.ExemplarQuery) { q.TraceID = "../services" }, sources.Rejected, "no trace id"},
	} {
		s := open(t, serve(t, c.handler), nil)
		q := search(analysis.ExemplarFailed)
		if c.query != nil {
			c.query(&q)
		}
		got, err := s.Exemplars(t.Context(), q)
		if err == nil || sources.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v, want an error (%v) with %q", c.name, got, err, c.want, c.says)
		}
		if c.want == sources.Unavailable && strings.ContainsAny(c.says, "0123456789") && sources.RetryAfter(err) != 17*time.Second {
			t.Errorf("%s: to be asked again after %v", c.name, sources.RetryAfter(err))
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := open(t, gone.URL, nil).Exemplars(t.Context(), search("slow")); err == nil || sources.KindOf(err) != sources.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	hangs := make(chan struct{})
	slow := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) { <-hangs }), func(c *jaeger.Config) { c.Timeout = analysis.Duration(50 * time.Millisecond) })
	if _, err := slow.Exemplars(t.Context(), search("slow")); err == nil || sources.KindOf(err) != sources.Unavailable {
		t.Errorf("nobody answers: %v", err)
	}
	close(hangs)
}

func TestNothingIsNoError(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"older": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"result":{}}`) },
		"newer": func(w http.ResponseWriter, r *http.Request) { noTraces(w) },
	} {
		if got, err := open(t, serve(t, h), nil).Exemplars(t.Context(), search("failed")); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestProbe(t *testing.T) {
	for body, ok := range map[string]bool{`{"services":["a"]}`: true, `{"services":[]}`: true, `{}`: true, `{"services":7}`: false, `<html>`: false} {
		err := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }), nil).Probe(t.Context())
		if (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*jaeger.Config)
		want   string
	}{
		"url":         {func(c *jaeger.Config) { c.URL = "" }, "write http://jaeger:16686"},
		"scheme":      {func(c *jaeger.Config) { c.URL = "jaeger:16686" }, "no address"},
		"credentials": {func(c *jaeger.Config) { c.URL = "http://u:p@jaeger" }, "basic_auth"},
		"parameters":  {func(c *jaeger.Config) { c.URL = "http://jaeger?x=1" }, "parameters"},
		"timeout":     {func(c *jaeger.Config) { c.Timeout = 0 }, "timeout"},
		"depth":       {func(c *jaeger.Config) { c.SearchDepth = 5000 }, "searchDepth"},
		"bytes":       {func(c *jaeger.Config) { c.MaxBytes = 0 }, "maxBytes"},
	} {
		cfg := jaeger.DefaultConfig()
		cfg.URL = "http://jaeger:16686"
		if _, err := jaeger.Open("x", cfg); err != nil {
			t.Fatal(err)
		}
		c.change(&cfg)
		if _, err := jaeger.Open("x", cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
