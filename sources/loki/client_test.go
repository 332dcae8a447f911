package loki

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

// answerOf is an answer of the query API, as JSON text.
func answerOf(kind string, results ...string) string {
	return `{"status":"success","data":{"resultType":"` + kind + `","result":[` + strings.Join(results, ",") + `]}}`
}

// counted and listed are the parts of a good answer.
var (
	counted = `{"metric":{"service_name":"shop","service_version":"1.0","k8s_pod_name":"a"},"value":[1772452815,"3"]}`
	listed  = func(values ...string) string {
		return `{"stream":{"service_name":"shop"},"values":[` + strings.Join(values, ",") + `]}`
	}
)

// after answers the count well, so that lines are asked for, and those as given.
func after(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/query"):
			io.WriteString(w, answerOf("vector", counted))
		case strings.HasPrefix(r.FormValue("query"), "sum"):
			io.WriteString(w, answerOf("matrix", `{"metric":{"k8s_pod_name":"a"},"values":[[1772452800,"3"]]}`))
		default:
			io.WriteString(w, body)
		}
	}
}

func TestErrors(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answerOf("vector")) }))
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
	t1, t2 := fmt.Sprint(at(1).UnixNano()), fmt.Sprint(at(2).UnixNano())
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		change  func(*Config)
		want    sources.Kind
		after   time.Duration
		says    string
		trouble Trouble
		lines   bool // of the answer with lines: Seen and Spacing ask for none
	}{
		{name: "too many requests", handler: status(429, "Retry-After", "17", "too many outstanding requests"), want: sources.Unavailable, after: 17 * time.Second, says: "outstanding"},
		{name: "overload", handler: status(503, "Retry-After", "-3", "Service Unavailable"), want: sources.Unavailable, says: "503"},
		{
			name: "overload until a date, by the server's clock",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", "Mon, 02 Mar 2026 12:00:00 GMT")
				w.Header().Set("Retry-After", "Mon, 02 Mar 2026 12:00:40 GMT")
				w.WriteHeader(503)
			},
			want: sources.Unavailable, after: 40 * time.Second,
		},
		{name: "the ring", handler: status(500, "Content-Type", "text/plain", "too many unhealthy instances in the ring"), want: sources.Unavailable, says: "ring"},
		{name: "bad gateway with a page", handler: status(502, "", "", "<html>"), want: sources.Unavailable},
		{name: "timeout", handler: status(504, "", "", "context deadline exceeded"), want: sources.Unavailable},
		{name: "given up", handler: status(499, "", "", "The request was cancelled by the client."), want: sources.Unavailable},
		{name: "bad query", handler: status(400, "", "", "parse error at line 1, col 21: syntax error"), want: sources.Rejected, says: "parse error", trouble: Refused},
		{name: "a limit", handler: status(400, "", "", "maximum number of series (500) reached for a single query"), want: sources.Rejected, says: "maximum", trouble: Refused},
		{name: "no tenant", handler: status(401, "", "", "no org id"), want: sources.Rejected, says: "no org id", trouble: Denied},
		{name: "forbidden, in JSON", handler: status(403, "", "", `{"status":"error","message":"not yours"}`), want: sources.Rejected, says: "not yours", trouble: Denied},
		{name: "wrong address", handler: status(404, "", "", "404 page not found"), want: sources.Rejected, trouble: NotLoki},
		{name: "redirect to a login elsewhere", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/login", http.StatusFound)
		}, want: sources.Rejected, says: "another host", trouble: NotLoki},
		{name: "redirect to itself", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, want: sources.Rejected, trouble: NotLoki},
		{name: "login page with 200", handler: ok("<!doctype html><title>Sign in</title>"), want: sources.Unavailable, says: "no JSON", trouble: NotLoki},
		{name: "cut off inside", handler: ok(answerOf("vector", counted)[:70]), want: sources.Unavailable, says: "no JSON", trouble: NotLoki},
		{name: "cut off on the way", handler: status(200, "Content-Length", "5000", answerOf("vector")), want: sources.Unavailable},
		{name: "empty", handler: ok(""), want: sources.Unavailable, trouble: NotLoki},
		{name: "error with 200", handler: ok(`{"status":"error","errorType":"internal","error":"x"}`), want: sources.Malformed, says: "not as Loki", trouble: NotLoki},
		{name: "other JSON", handler: ok(`{"hello":"world"}`), want: sources.Malformed, says: "not as Loki", trouble: NotLoki},
		{name: "a list", handler: ok(`[]`), want: sources.Malformed, trouble: NotLoki},
		{name: "streams for a count", handler: ok(answerOf("streams")), want: sources.Malformed, says: `"streams"`, trouble: Refused},
		{name: "NaN", handler: ok(answerOf("vector", strings.Replace(counted, `"3"`, `"NaN"`, 1))), want: sources.Malformed, says: "NaN", trouble: Refused},
		{name: "less than none", handler: ok(answerOf("vector", strings.Replace(counted, `"3"`, `"-1"`, 1))), want: sources.Malformed, trouble: Refused},
		{name: "no number", handler: ok(answerOf("vector", strings.Replace(counted, `"3"`, `"many"`, 1))), want: sources.Malformed, trouble: NotLoki},
		{name: "one series twice", handler: ok(answerOf("vector", counted, counted)), want: sources.Malformed, says: "two series", trouble: Refused},
		{name: "too many series", handler: ok(answerOf("vector", counted, `{"metric":{"a":"b"},"value":[1,"1"]}`)), change: func(c *Config) { c.MaxSeries = 1 }, want: sources.Malformed, says: "more than 1 series", trouble: Refused},
		{name: "too many bytes", handler: ok(answerOf("vector") + strings.Repeat(" ", 2000)), change: func(c *Config) { c.MaxBytes = 1000 }, want: sources.Malformed, says: "limit of bytes", trouble: Refused},
		{
			name: "a bomb",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(bomb.Bytes())
			},
			want: sources.Malformed, says: "limit of bytes", trouble: Refused,
		},
		{name: "no gzip that says so", handler: status(200, "Content-Encoding", "gzip", answerOf("vector")), want: sources.Unavailable},
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
		{name: "no answer at all", handler: func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, want: sources.Unavailable},

		{name: "a count for lines", handler: after(answerOf("matrix")), want: sources.Malformed, says: `"matrix"`, trouble: Refused, lines: true},
		{name: "backwards", handler: after(answerOf("streams", listed(`["`+t2+`","x"]`, `["`+t1+`","y"]`))), want: sources.Malformed, says: "go backwards", trouble: Refused, lines: true},
		{name: "no time", handler: after(answerOf("streams", listed(`["noon","x"]`))), want: sources.Malformed, says: "nanoseconds", trouble: NotLoki, lines: true},
		{name: "seconds", handler: after(answerOf("streams", listed(`[1772452801,"x"]`))), want: sources.Malformed, trouble: NotLoki, lines: true},
		{name: "no line", handler: after(answerOf("streams", listed(`["`+t1+`"]`))), want: sources.Malformed, trouble: NotLoki, lines: true},
		{name: "no text", handler: after(answerOf("streams", listed(`["`+t1+`",7]`))), want: sources.Malformed, trouble: NotLoki, lines: true},
		{name: "odd metadata", handler: after(answerOf("streams", listed(`["`+t1+`","x",["a"]]`))), want: sources.Malformed, trouble: NotLoki, lines: true},
		{name: "more lines than asked for", handler: after(answerOf("streams", listed(strings.TrimRight(strings.Repeat(`["`+t1+`","x"],`, 30), ",")))), change: func(c *Config) { c.PageLines = 25 }, want: sources.Malformed, says: "were asked for", trouble: Refused, lines: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			s := open(t, server.URL, func(c *Config) {
				if test.change != nil {
					test.change(c)
				}
			})
			a, err := s.Rows(context.Background(), query(severity(), 0.1))
			var e *sources.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %+v, %v", a, err)
			}
			if e.Kind != test.want || e.RetryAfter != test.after || e.Source != "logs" || e.Op != "rows" || !strings.Contains(e.Error(), test.says) || Diagnose(err) != test.trouble {
				t.Errorf("got kind %v after %v, trouble %v; want %v after %v, %v: %v", e.Kind, e.RetryAfter, Diagnose(err), test.want, test.after, test.trouble, e)
			}
			// Every question fails the same way.
			_, history := s.History(context.Background(), analysis.HistoryQuery{Signal: severity(), Matches: shop("1.0"), From: at(-600), To: at(0)})
			_, sample := s.SampleLines(context.Background(), analysis.LineSampleQuery{Signal: templates(), Matches: shop("1.0"), From: at(-600), To: at(60), Slices: 2, Lines: 100})
			_, seen := s.Seen(context.Background(), analysis.SeenQuery{Signal: severity(), From: at(-3600), To: at(0)})
			_, spacing := s.Spacing(context.Background(), analysis.SpacingQuery{Signal: severity(), Matches: shop("1.0"), From: at(-600), To: at(60)})
			errs := map[string]error{"history": history}
			if !test.lines {
				errs["seen"], errs["spacing"] = seen, spacing
			}
			if !strings.Contains(test.name, "series") && test.name != "streams for a count" { // those of counts, of which a sample has none
				errs["lines"] = sample
			}
			for op, err := range errs {
				if sources.KindOf(err) != test.want || err == nil {
					if known := (*sources.Error)(nil); err == nil || !errors.As(err, &known) || known.Kind != sources.Malformed {
						t.Errorf("%s: %v", op, err)
					}
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	if _, err := open(t, server.URL).Rows(t.Context(), query(severity(), -1)); err == nil || sources.KindOf(err) != sources.Unavailable || Diagnose(err) != Unreachable {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, newFake(t).URL).Rows(ctx, query(severity(), -1)); !errors.Is(err, context.Canceled) || sources.KindOf(err) != sources.Unavailable {
		t.Error(err)
	}
}

// What is special to one installation must not be an error.
func TestTolerance(t *testing.T) {
	f := newFake(t, line(1, "1.0", "a", "ERROR x"))
	for name, front := range map[string]http.HandlerFunc{
		"a redirect on the same host": func(w http.ResponseWriter, r *http.Request) {
			if path, ok := strings.CutPrefix(r.URL.Path, "/moved"); ok {
				r.URL.Path = path
				f.serve(w, r)
				return
			}
			http.Redirect(w, r, "/moved"+r.URL.Path+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
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
		"a prefix, a tenant and a parameter": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Scope-OrgID") != "team-a|team-b" || r.FormValue("via") != "gate" || !strings.HasPrefix(r.URL.Path, "/logs/loki/api/v1/query") {
				t.Errorf("%s, header %v", r.URL, r.Header)
			}
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/logs")
			f.serve(w, r)
		},
		"credentials": func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
				t.Errorf("user %q", user)
			}
			f.serve(w, r)
		},
	} {
		server := httptest.NewServer(front)
		got, err := open(t, server.URL, func(c *Config) {
			if strings.HasPrefix(name, "a prefix") {
				c.URL, c.Tenant = c.URL+"/logs/?via=gate", "team-a|team-b"
			}
			if name == "credentials" {
				c.HTTP.BasicAuth = basicAuth()
			}
		}).Rows(t.Context(), query(severity(), -1))
		if err != nil || len(got.Rows) != 1 || got.Rows[0].Bad != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		server.Close()
	}
	// A question that is too long for an address goes into the body.
	q := query(severity(), -1)
	for i := range 50 {
		q.Matches[1].Values = append(q.Matches[1].Values, fmt.Sprintf("%d%s", i, strings.Repeat("v", 100)))
	}
	if a := rows(t, open(t, f.URL), q); len(a.Rows) != 1 || a.Rows[0].Bad != 1 {
		t.Errorf("a long question: %q", of(a))
	}
}
