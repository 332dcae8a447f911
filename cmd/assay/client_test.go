package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a server refuses for what it was asked is the command's mistake, what it cannot
// do is not; and its words do nothing to a terminal.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		header http.Header
		code   exitCode
	}{
		{http.StatusBadRequest, nil, exitUsage},
		{http.StatusUnauthorized, nil, exitAuth},
		{http.StatusForbidden, nil, exitAuth},
		{http.StatusNotFound, nil, exitUsage},
		{http.StatusConflict, nil, exitUsage},
		{http.StatusConflict, http.Header{"Retry-After": {"30"}}, exitInternal},
		{http.StatusTooManyRequests, nil, exitInternal},
		{http.StatusServiceUnavailable, nil, exitInternal},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range c.header {
				w.Header()[name] = values
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(`{"detail":"no \u001b[2J such \u202ething"}`))
		}))
		code, out, failed := command(t, "cancel", "d1", "--by", "ada", "--server", s.URL)
		s.Close()
		if code != c.code || out != "" || !strings.Contains(failed, "no  [2J such  thing") || strings.Contains(failed, "by=ada") {
			t.Errorf("%d %v: exit code %d, want %d: %q %q", c.status, c.header, code, c.code, out, failed)
		}
	}
}

func TestThePasswordOfAnAddressIsNotPrinted(t *testing.T) {
	for _, args := range [][]string{{"wait", "d1"}, {"dlq", "list"}, {"doctor"}} {
		_, out, failed := command(t, append(args, "--server", "http://ada:sesame@127.0.0.1:1")...)
		if all := out + failed; strings.Contains(all, "sesame") || !strings.Contains(all, "http://ada:xxxxx@127.0.0.1:1") {
			t.Errorf("%q: %q %q", args, out, failed)
		}
	}
}
