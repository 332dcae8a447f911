package httpquery

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/release-assay/assay/sources"
)

// inflatesTo is a gzip stream of so many zeros.
func inflatesTo(t *testing.T, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What comes back is an answer, or an error that says what to do about it.
func TestAnswers(t *testing.T) {
	const limit = 1000
	for name, c := range map[string]struct {
		status int
		header [2]string
		body   string
		kind   sources.Kind // of the error; says is empty: there is none
		says   string
		after  time.Duration
		page   bool
	}{
		"an answer":              {status: 200, body: `{"a":1}`},
		"as large as may be":     {status: 200, body: `"` + strings.Repeat("x", limit-2) + `"`},
		"too large":              {status: 200, body: `"` + strings.Repeat("x", limit-1) + `"`, kind: sources.Malformed, says: "over the limit of bytes (1000)"},
		"a bomb":                 {status: 200, header: [2]string{"Content-Encoding", "gzip"}, body: string(inflatesTo(t, 64<<20)), kind: sources.Malformed, says: "over the limit"},
		"no gzip":                {status: 200, header: [2]string{"Content-Encoding", "gzip"}, body: "{}", kind: sources.Unavailable, says: "inflate"},
		"cut off":                {status: 200, header: [2]string{"Content-Length", "9"}, body: `{"a":`, kind: sources.Unavailable, says: "read the answer"},
		"a login page":           {status: 200, body: "<html>", kind: sources.Unavailable, says: "no JSON"},
		"nothing":                {status: 200, kind: sources.Unavailable, says: "no JSON"},
		"words":                  {status: 400, body: " parse error\nat 3\x00 ", kind: sources.Rejected, says: "HTTP status 400: parse error at 3"},
		"JSON with a message":    {status: 400, body: `{"message":"no such field","error":"x"}`, kind: sources.Rejected, says: ": no such field"},
		"JSON with an error":     {status: 422, body: `{"error":"too many"}`, kind: sources.Rejected, says: ": too many"},
		"other JSON":             {status: 400, body: `{"error":{"code":5}}`, kind: sources.Rejected, says: `: {"error":{"code":5}}`},
		"a page":                 {status: 403, body: "<!doctype html>", kind: sources.Rejected, says: "HTTP status 403", page: true},
		"a page, by its type":    {status: 404, header: [2]string{"Content-Type", "text/html"}, body: "not here", kind: sources.Rejected, says: "HTTP status 404", page: true},
		"a refusal without end":  {status: 500, body: strings.Repeat("x", 1<<20), kind: sources.Unavailable, says: "HTTP status 500: xxx"},
		"later, in seconds":      {status: 429, header: [2]string{"Retry-After", "17"}, kind: sources.Unavailable, says: "429", after: 17 * time.Second},
		"later, in the past":     {status: 503, header: [2]string{"Retry-After", "-3"}, kind: sources.Unavailable, says: "503"},
		"later, in other words":  {status: 503, header: [2]string{"Retry-After", "soon"}, kind: sources.Unavailable, says: "503"},
		"given up":               {status: 499, kind: sources.Unavailable, says: "499"},
		"timed out":              {status: 408, kind: sources.Unavailable, says: "408"},
		"too early":              {status: 425, kind: sources.Unavailable, says: "425"},
		"elsewhere":              {status: 302, header: [2]string{"Location", "http://elsewhere.invalid/login"}, kind: sources.Rejected, says: "redirected to another host"},
		"elsewhere, not where":   {status: 302, kind: sources.Rejected, says: "302"},
		"round and round":        {status: 302, header: [2]string{"Location", "/"}, kind: sources.Rejected, says: "redirected"},
		"another way to be told": {status: 204, kind: sources.Unavailable, says: "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.header[0] != "" {
					w.Header().Set(c.header[0], c.header[1])
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer server.Close()
			client, err := Client("store", config.DefaultHTTPClientConfig)
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", "gzip") // else net/http inflates without a limit
			var body []byte
			resp, err := client.Do(req)
			if err == nil {
				body, err = Answer(resp, limit)
			}
			if c.says == "" {
				if err != nil || string(body) != c.body {
					t.Fatalf("%.50s, %v", body, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("answered %.50s", body)
			}
			e := Fault("store", "rows", err)
			if e.Kind != c.kind || e.RetryAfter != c.after || e.Source != "store" || e.Op != "rows" || !strings.Contains(e.Error(), c.says) || len(e.Error()) > 400 {
				t.Errorf("kind %v after %v: %v, want %v after %v and %q", e.Kind, e.RetryAfter, e, c.kind, c.after, c.says)
			}
			var status *StatusError
			if errors.As(err, &status) && (status.Page != c.page || len(status.Body) > maxRefusal) {
				t.Errorf("page %v, want %v; %d bytes", status.Page, c.page, len(status.Body))
			}
		})
	}
}

// A date is measured against the server's own clock.
func TestRetryAfterADate(t *testing.T) {
	h := http.Header{"Date": {"Mon, 02 Mar 2026 12:00:00 GMT"}, "Retry-After": {"Mon, 02 Mar 2026 12:00:40 GMT"}}
	if got := retryAfter(h); got != 40*time.Second {
		t.Errorf("after %v, want 40 s", got)
	}
	h.Set("Retry-After", "Mon, 02 Mar 2026 11:00:00 GMT")
	if got := retryAfter(h); got != 0 {
		t.Errorf("after %v, want at once", got)
	}
}

// Redirects are followed at home, and only where the configuration allows them.
func TestRedirectsAtHome(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/api", http.StatusFound)
			return
		}
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	for _, follow := range []bool{true, false} {
		c := config.DefaultHTTPClientConfig
		c.FollowRedirects = follow
		client, err := Client("store", c)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(server.URL)
		if err == nil {
			_, err = Answer(resp, 10)
		}
		if follow != (err == nil) || !follow && !errors.Is(err, ErrRedirect) {
			t.Errorf("follow %v: %v", follow, err)
		}
		client.CloseIdleConnections()
	}
}
