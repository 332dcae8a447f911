package main

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// waitAt runs `assay wait` against a server that answers as f says.
func waitAt(t *testing.T, f func(n int, w http.ResponseWriter, r *http.Request) any, args ...string) (exitCode, string, string) {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++ // one client, one request at a time
		if answer := f(n, w, r); answer != nil {
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				t.Error(err)
			}
		}
	}))
	t.Cleanup(s.Close)
	return command(t, append([]string{"wait", "d1", "--server", s.URL}, args...)...)
}

// The server holds the request until there is something new; what is unchanged is
// not asked for again at once.
func TestWaitLetsTheServerWait(t *testing.T) {
	var asked []string
	code, out, failed := waitAt(t, func(n int, w http.ResponseWriter, r *http.Request) any {
		asked = append(asked, r.URL.RawQuery+" "+r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"v`+string(rune('0'+n))+`"`)
		switch n {
		case 1:
			return verdicts.Verdict{Reason: "collecting"}
		case 2:
			time.Sleep(pollEvery) // as if it waited; the next request follows at once
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return verdicts.Verdict{Verdict: verdicts.Promote, Final: true, ReasonCode: analysis.AllSafe, Reason: "all safe"}
	}, "--timeout", "15s")
	if code != exitOK || out != "promote  all_safe: all safe\n" || failed != "pending  collecting\n" {
		t.Errorf("%d %q %q", code, out, failed)
	}
	if len(asked) != 3 || asked[0] != " " || !strings.HasPrefix(asked[1], "wait=1") || !strings.HasSuffix(asked[1], ` "v1"`) || !strings.HasSuffix(asked[2], ` "v1"`) {
		t.Errorf("asked %q", asked)
	}
}

// A server that knows neither tags nor waiting is polled once a second.
func TestWaitPollsAnOlderServer(t *testing.T) {
	var last time.Time
	code, _, _ := waitAt(t, func(n int, _ http.ResponseWriter, r *http.Request) any {
		if r.URL.RawQuery != "" || r.Header.Get("If-None-Match") != "" {
			t.Errorf("asked %s with %s", r.URL, r.Header.Get("If-None-Match"))
		}
		if since := time.Since(last); n > 1 && since < pollEvery/2 {
			t.Errorf("asked again after %v", since)
		}
		last = time.Now()
		return verdicts.Verdict{Verdict: verdicts.Rollback, Final: n == 3}
	}, "-q")
	if code != exitRollback {
		t.Errorf("exit code %d", code)
	}
}

// What the server last said is the answer when the time is up.
func TestWaitTimesOut(t *testing.T) {
	code, out, _ := waitAt(t, func(n int, w http.ResponseWriter, r *http.Request) any {
		w.Header().Set("ETag", `"v"`)
		if n > 1 {
			<-r.Context().Done()
			return nil
		}
		return verdicts.Verdict{ReasonCode: analysis.NotSeen, Reason: "not seen"}
	}, "-q", "--timeout", "1500ms")
	if code != exitTimeout || out != "pending  not_seen: not seen\n" {
		t.Errorf("%d %q", code, out)
	}
}

// Only a final verdict is one, whatever word an answer has.
func TestWaitTakesNoWordThatIsNotFinal(t *testing.T) {
	for _, word := range []verdicts.Word{verdicts.Promote, verdicts.Rollback, verdicts.Hold} {
		code, _, _ := waitAt(t, func(int, http.ResponseWriter, *http.Request) any { return verdicts.Verdict{Verdict: word} }, "-q", "--timeout", "50ms")
		if code != exitTimeout {
			t.Errorf("%s: exit code %d", word, code)
		}
	}
	if code, _, failed := command(t, "wait", "d1", "--timeout", "0s"); code != exitUsage || !strings.Contains(failed, "--timeout 0s must be positive") {
		t.Errorf("--timeout 0s: %d %q", code, failed)
	}
}

// A CI server fails what the exit code fails, and nothing else.
func TestJUnitAgreesWithTheExitCode(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	findings := []analysis.Finding{
		{Objective: "errors", State: analysis.FindingWithin},
		{Objective: "latency\x1b[2J", State: analysis.FindingBreached, Reason: "<slow> & \u202ebad", Code: analysis.HarmShown},
		{Objective: "memory", Reason: "too few"},
	}
	for _, c := range []struct {
		v                         verdicts.Verdict
		args                      string
		code                      exitCode
		failures, errors, skipped int
	}{
		{verdicts.Verdict{Verdict: verdicts.Promote}, "", exitOK, 0, 0, 2},
		{verdicts.Verdict{Verdict: verdicts.Rollback}, "", exitRollback, 2, 0, 1},
		{verdicts.Verdict{Verdict: verdicts.Hold}, "", exitHold, 2, 0, 1},
		{verdicts.Verdict{Verdict: verdicts.Hold}, "--on-hold=pass", exitOK, 0, 0, 2},
		{verdicts.Verdict{Verdict: verdicts.Promote, NotAfter: &old}, "", exitTimeout, 1, 1, 1},
	} {
		c.v.Final, c.v.Findings, c.v.Service = true, findings, "check\x00out"
		code, out, _ := waitAt(t, func(int, http.ResponseWriter, *http.Request) any { return c.v }, strings.Fields("-q -o junit "+c.args)...)
		var s junitSuite
		if err := xml.Unmarshal([]byte(out), &s); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if code != c.code || s.Tests != 4 || len(s.Cases) != 4 || s.Failures != c.failures || s.Errors != c.errors || s.Skipped != c.skipped {
			t.Errorf("%s %s: exit code %d, %d failures, %d errors, %d skipped of %d; want %+v", c.v.Verdict, c.args, code, s.Failures, s.Errors, s.Skipped, s.Tests, c)
		}
		if passed := s.Cases[0].Failure == nil && s.Cases[0].Error == nil && s.Cases[0].Skipped == nil; passed != (code == exitOK) {
			t.Errorf("%s %s: exit code %d, and the case of the verdict:\n%s", c.v.Verdict, c.args, code, out)
		}
		if obeyed(out) {
			t.Errorf("control characters: %q", out)
		}
	}
	if code, _, failed := command(t, "wait", "d1", "-o", "xml"); code != exitUsage || !strings.Contains(failed, "table, json or junit") {
		t.Errorf("%d %s", code, failed)
	}
}
