package prometheus

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// matrixOf is an answer that holds the given series, as JSON text.
func matrixOf(series ...string) string {
	return `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}}`
}

func one(values string) string {
	return `{"metric":{"__name__":"http_requests_total","pod":"a"},"values":[` + values + `]}`
}

func TestErrors(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, matrixOf()) }))
	defer elsewhere.Close()
	status := func(code int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	var bomb bytes.Buffer // 32 MiB
	z := gzip.NewWriter(&bomb)
	z.Write(bytes.Repeat([]byte(" "), 32<<20))
	z.Close()
	ok := func(body string) http.HandlerFunc { return status(200, "", "", body) }
	at10 := fmt.Sprint(noon.Unix() + 10)
	at20 := fmt.Sprint(noon.Unix() + 20)
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		change  func(*Config)
		want    sources.Kind
		after   time.Duration
		says    string
	}{
		{name: "too many requests", handler: status(429, "Retry-After", "17", ""), want: sources.Unavailable, after: 17 * time.Second, says: "429"},
		{name: "overload", handler: status(503, "Retry-After", "-3", `{"status":"error","errorType":"timeout","error":"query timed out"}`), want: sources.Unavailable, says: "query timed out"},
		{
			name: "overload until a date, by the server's clock",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", "Mon, 02 Mar 2026 12:00:00 GMT")
				w.Header().Set("Retry-After", "Mon, 02 Mar 2026 12:00:40 GMT")
				w.WriteHeader(503)
			},
			want: sources.Unavailable, after: 40 * time.Second,
		},
		{name: "bad gateway with a page", handler: status(502, "", "", "<html>"), want: sources.Unavailable},
		{name: "request timeout", handler: status(408, "", "", ""), want: sources.Unavailable},
		{name: "canceled, with the status of a client's fault", handler: status(422, "", "", `{"status":"error","errorType":"canceled","error":"x"}`), want: sources.Unavailable},
		{name: "bad query", handler: status(400, "", "", `{"status":"error","errorType":"bad_data","error":"parse error"}`), want: sources.Rejected, says: "parse error"},
		{name: "server's limit", handler: status(422, "", "", `{"status":"error","errorType":"execution","error":"too many samples"}`), want: sources.Rejected, says: "too many samples"},
		{name: "no credentials", handler: status(401, "", "", "<html>"), want: sources.Rejected},
		{name: "forbidden, by POST and by GET", handler: status(403, "", "", ""), want: sources.Rejected},
		{name: "wrong address", handler: status(404, "", "", "404 page not found"), want: sources.Rejected},
		{name: "redirect to a login elsewhere", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/login", http.StatusFound)
		}, want: sources.Rejected, says: "another host"},
		{name: "redirect to itself", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, want: sources.Rejected},
		{name: "login page with 200", handler: ok("<!doctype html><title>Sign in</title>"), want: sources.Unavailable, says: "no JSON"},
		{name: "cut off inside", handler: ok(matrixOf(one(`[` + at10 + `,"1"]`))[:70]), want: sources.Unavailable, says: "no JSON"},
		{name: "cut off on the way", handler: status(200, "Content-Length", "5000", matrixOf()), want: sources.Unavailable},
		{name: "empty", handler: ok(""), want: sources.Unavailable},
		{name: "error with 200", handler: ok(`{"status":"error","errorType":"internal","error":"x"}`), want: sources.Unavailable},
		{name: "bad query with 200", handler: ok(`{"status":"error","errorType":"bad_data","error":"x"}`), want: sources.Rejected},
		{name: "other JSON", handler: ok(`{"hello":"world"}`), want: sources.Malformed, says: "not a matrix"},
		{name: "a list", handler: ok(`[]`), want: sources.Malformed},
		{name: "a vector", handler: ok(`{"status":"success","data":{"resultType":"vector","result":[]}}`), want: sources.Malformed, says: "not a matrix"},
		{name: "unknown type", handler: ok(`{"status":"success","data":{"resultType":"cube","result":[]}}`), want: sources.Malformed},
		{name: "NaN", handler: ok(matrixOf(one(`[` + at10 + `,"NaN"]`))), want: sources.Malformed, says: "NaN"},
		{name: "infinity", handler: ok(matrixOf(one(`[` + at10 + `,"+Inf"]`))), want: sources.Malformed},
		{name: "a gauge", handler: ok(matrixOf(one(`[` + at10 + `,"-1"]`))), want: sources.Malformed},
		{name: "no number", handler: ok(matrixOf(one(`[` + at10 + `,"many"]`))), want: sources.Malformed},
		{name: "one time twice", handler: ok(matrixOf(one(`[` + at10 + `,"1"],[` + at10 + `,"2"]`))), want: sources.Malformed, says: "do not ascend"},
		{name: "backwards", handler: ok(matrixOf(one(`[` + at20 + `,"1"],[` + at10 + `,"2"]`))), want: sources.Malformed},
		{name: "one series twice", handler: ok(matrixOf(one(`[`+at10+`,"1"]`), one(`[`+at20+`,"1"]`))), want: sources.Malformed, says: "two series"},
		{
			name:    "native histogram",
			handler: ok(matrixOf(`{"metric":{"__name__":"h"},"histograms":[[` + at10 + `,{"count":"5","sum":"3","buckets":[[0,"1","2","5"]]}]]}`)),
			want:    sources.Malformed, says: "native histogram",
		},
		{name: "too many series", handler: ok(matrixOf(one(`[`+at10+`,"1"]`), `{"metric":{"a":"b"},"values":[]}`)), change: func(c *Config) { c.MaxSeries = 1 }, want: sources.Malformed, says: "more than 1 series"},
		{name: "too many samples", handler: ok(matrixOf(one(`[` + at10 + `,"1"],[` + at20 + `,"2"]`))), change: func(c *Config) { c.MaxSamples = 1 }, want: sources.Malformed, says: "more than 1 samples"},
		{name: "too many bytes", handler: ok(matrixOf() + strings.Repeat(" ", 2000)), change: func(c *Config) { c.MaxBytes = 1000 }, want: sources.Malformed, says: "limit of bytes"},
		{
			name: "a bomb",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(bomb.Bytes())
			},
			want: sources.Malformed, says: "limit of bytes",
		},
		{name: "no gzip that says so", handler: status(200, "Content-Encoding", "gzip", matrixOf()), want: sources.Unavailable},
		{
			name: "a byte a second",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			},
			change: func(c *Config) { c.Timeout = analysis.Duration(50 * time.Millisecond) },
			want:   sources.Unavailable, says: "deadline",
		},
		{
			name:    "no answer at all",
			handler: func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
			want:    sources.Unavailable,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			s := open(t, server.URL, func(c *Config) {
				if test.change != nil {
					test.change(c)
				}
			})
			answer, err := s.Rows(context.Background(), minuteQuery("v1"))
			var e *sources.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %+v, %v", answer, err)
			}
			if e.Kind != test.want || e.RetryAfter != test.after || e.Source != "prom" || e.Op != "rows" || !strings.Contains(e.Error(), test.says) {
				t.Errorf("got kind %v after %v, want %v after %v: %v", e.Kind, e.RetryAfter, test.want, test.after, e)
			}
			// Every question fails the same way.
			if _, err := s.Seen(context.Background(), analysis.SeenQuery{Signal: errorRatio(), From: at(-3600), To: at(0)}); sources.KindOf(err) != test.want || err == nil {
				t.Errorf("seen: %v", err)
			}
			if _, err := s.Spacing(context.Background(), analysis.SpacingQuery{Signal: errorRatio(), From: at(-600), To: at(60)}); sources.KindOf(err) != test.want || err == nil {
				t.Errorf("spacing: %v", err)
			}
			if _, err := s.History(context.Background(), analysis.HistoryQuery{Signal: errorRatio(), From: at(-600), To: at(0)}); sources.KindOf(err) != test.want || err == nil {
				t.Errorf("history: %v", err)
			}
		})
	}
}

func TestUnreachableServer(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	if _, err := open(t, server.URL).Rows(context.Background(), minuteQuery("v1")); err == nil || sources.KindOf(err) != sources.Unavailable {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, newFake(t).URL).Rows(ctx, minuteQuery("v1")); !errors.Is(err, context.Canceled) || sources.KindOf(err) != sources.Unavailable {
		t.Error(err)
	}
}

// What is special to one product or installation must not be an error.
func TestTolerance(t *testing.T) {
	f := newFake(t, requests("a", "v1", "200", readings(0, 1, 60, 2)))
	for name, front := range map[string]http.HandlerFunc{
		"a proxy that refuses POST": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			f.serve(w, r)
		},
		"a redirect on the same host": func(w http.ResponseWriter, r *http.Request) {
			if path, ok := strings.CutPrefix(r.URL.Path, "/moved"); ok {
				r.URL.Path = path
				f.serve(w, r)
				return
			}
			http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusTemporaryRedirect)
		},
		"gzip": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Error("gzip was not asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			rec := httptest.NewRecorder()
			f.serve(rec, r)
			z.Write(rec.Body.Bytes())
		},
		"start times are refused": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.FormValue("query"), startMetric) {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
			f.serve(w, r)
		},
		"no partial answers, please": func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("partial_response") != "false" || r.FormValue("dedup") != "true" || r.FormValue("limit") != "10001" {
				t.Errorf("parameters %v", r.Form)
			}
			f.serve(w, r)
		},
	} {
		server := httptest.NewServer(front)
		got, err := open(t, server.URL+"?dedup=true").Rows(context.Background(), minuteQuery("v1"))
		if err != nil || len(got.Rows) != 1 || got.Rows[0].Exposure != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		server.Close()
	}
}

// Start times that are unavailable now would be there later: the answer must be
// the same whenever it comes, so there is none now.
func TestUnavailableStartsAreUnavailable(t *testing.T) {
	f := newFake(t, requests("a", "v1", "200", readings(0, 1, 60, 2)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.FormValue("query"), startMetric) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		f.serve(w, r)
	}))
	defer server.Close()
	if _, err := open(t, server.URL).Rows(context.Background(), minuteQuery("v1")); err == nil || sources.KindOf(err) != sources.Unavailable {
		t.Error(err)
	}
}
