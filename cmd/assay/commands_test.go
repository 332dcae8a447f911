package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/verdicts"
)

// answering is a server that answers every request with f's n-th answer.
func answering(t *testing.T, f func(n int64) any) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(f(n.Add(1))); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func command(t *testing.T, args ...string) (code exitCode, out, failed string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

// A verdict that is too old to be acted on is no word to act on, whatever hold is
// mapped to.
func TestWaitRefusesAnOldVerdict(t *testing.T) {
	for _, word := range []verdicts.Word{verdicts.Promote, verdicts.Rollback, verdicts.Hold} {
		for _, age := range []time.Duration{time.Hour, -time.Hour} {
			until := time.Now().Add(-age)
			url := answering(t, func(int64) any { return verdicts.Verdict{Verdict: word, Final: true, NotAfter: &until} })
			want := exitTimeout
			switch {
			case age < 0 && word == verdicts.Hold:
				want = exitOK
			case age < 0:
				want = codeOf(verdicts.Verdict{Verdict: word, Final: true})
			}
			code, out, failed := command(t, "wait", "d1", "--server", url, "-q", "--on-hold=pass")
			if code != want || !strings.Contains(out, word.String()) || (failed == "") == (age > 0) {
				t.Errorf("%v, %v over: exit code %d, want %d: %s %s", word, age, code, want, out, failed)
			}
		}
	}
}

// --watch shows the page again when it changes, and only then.
func TestExplainWatch(t *testing.T) {
	url := answering(t, func(n int64) any {
		v := verdicts.Verdict{Service: "checkout", Reason: "first"}
		if n >= 3 {
			v.Reason, v.Final, v.Verdict = "second", true, verdicts.Hold
		}
		return map[string]any{"verdict": v, "updatedAt": time.Now()}
	})
	code, out, failed := command(t, "explain", "d1", "--watch", "--server", url)
	if code != exitOK || strings.Count(out, "first") != 1 || strings.Count(out, "second") != 1 {
		t.Errorf("exit code %d: %s\n%s", code, failed, out)
	}
}

// What the server would put among the dead letters is refused where it is written.
func TestEmitRefusesAStartInTheFuture(t *testing.T) {
	later := time.Now().Add(time.Hour).Format(time.RFC3339)
	code, out, failed := command(t, "emit", "--service", "checkout", "--version", "2", "--environment", "prod", "--started-at", later, "--server", "http://127.0.0.1:1")
	if code != exitUsage || out != "" || !strings.Contains(failed, "is in the future") {
		t.Errorf("exit code %d: %q %q", code, out, failed)
	}
}

// What no gate will answer for is told where it is asked for; stdout stays the id.
func TestEmitTellsOfTheValidation(t *testing.T) {
	url := answering(t, func(int64) any { return map[string]string{"outcome": "accepted"} })
	for _, mode := range []string{"live", "shadow", "retrospective"} {
		code, out, failed := command(t, "emit", "--service", "checkout", "--version", "2", "--environment", "prod", "--deployment", "d1", "--mode", mode, "--server", url)
		if code != exitOK || out != "d1\n" || (failed == "") != (mode == "live") {
			t.Errorf("%s: exit code %d: %q %q", mode, code, out, failed)
		}
	}
}
