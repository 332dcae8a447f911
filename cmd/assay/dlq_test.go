package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// lettersAt is a server of dead letters that notes what it is asked.
func lettersAt(t *testing.T, answer func(r *http.Request) (int, any)) (url string, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.String())
		status, body := answer(r)
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// hostileLetter says what a terminal must not obey.
func hostileLetter(id int) map[string]any {
	return map[string]any{
		"id": id, "reason": "malformed", "error": "bad \x1b[31m\u202etxt", "at": time.Unix(0, 0).UTC(), "topic": "t\x07", "partition": 2, "offset": 7, "lastOffset": 7,
		"eventSource": "/ci\n", "eventId": "e\x1b]0;x", "deploymentId": "d", "bytes": 9,
		"key": []byte("k\x00"), "value": []byte("{\"a\":\n\x1b[2J\xff\u202e\u2028}"), "headers": []map[string]any{{"key": "h\x1b", "value": []byte("v\x9b\r")}},
	}
}

// obeyed reports what a terminal would do instead of show.
func obeyed(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' || r == '\ufffd'
	})
}

func TestDLQShowsHostileContentSafely(t *testing.T) {
	url, asked := lettersAt(t, func(r *http.Request) (int, any) {
		if r.URL.Path == "/v1/dead-letters" {
			return 200, map[string]any{"deadLetters": []any{hostileLetter(7)}}
		}
		return 200, hostileLetter(7)
	})
	code, out, failed := command(t, "dlq", "list", "--server", url, "--reason", "malformed", "--unsettled", "--before", "9")
	if code != exitOK || obeyed(out) || !strings.Contains(out, "t /2@7") || strings.Count(out, "\n") != 2 || !strings.Contains(out, "bad  [31m txt") {
		t.Errorf("list: %d %q %q", code, out, failed)
	}
	code, out, failed = command(t, "dlq", "show", "7", "--server", url)
	if code != exitOK || obeyed(out) {
		t.Errorf("show: %d %q %q", code, out, failed)
	}
	for _, want := range []string{`key         k\x00`, `header      h\x1b: v\x9b\r`, "value, 18 bytes\n  {\"a\":\n  \\x1b[2J\\xff\\u202e\\u2028}\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("show lacks %q:\n%s", want, out)
		}
	}
	_, out, _ = command(t, "dlq", "show", "7", "--server", url, "-o", "json")
	var l letter
	if err := json.Unmarshal([]byte(out), &l); err != nil || string(l.Value) != "{\"a\":\n\x1b[2J\xff\u202e\u2028}" {
		t.Errorf("json: %v %s", err, out)
	}
	if got := strings.Join(*asked, "\n"); got != "GET /v1/dead-letters?before=9&limit=50&reason=malformed&unsettled=true\nGET /v1/dead-letters/7\nGET /v1/dead-letters/7" {
		t.Errorf("asked\n%s", got)
	}
}

func TestDLQShowsMuchOnlyInPart(t *testing.T) {
	var out strings.Builder
	if err := showLetter(&out, letter{Value: []byte(strings.Repeat("x", maxShown+5))}); err != nil || out.Len() > maxShown+200 || !strings.Contains(out.String(), "and 5 bytes more") {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}

func TestDLQReplayExitCodes(t *testing.T) {
	outcome := map[string]string{"1": "accepted", "2": "refused", "3": "duplicate"}
	replayed := func(id string) map[string]any {
		return map[string]any{"id": json.Number(id), "replay": map[string]any{"outcome": outcome[id], "error": strings.Repeat("why", len(id)*btoi(id == "2")), "times": 1}}
	}
	url, asked := lettersAt(t, func(r *http.Request) (int, any) {
		switch {
		case r.URL.Path != "/v1/dead-letters/replay":
			id := strings.Split(r.URL.Path, "/")[3]
			if outcome[id] == "" {
				return 404, map[string]string{"detail": "no dead letter has the id " + id}
			}
			return 200, replayed(id)
		case r.URL.Query().Get("after") == "0":
			return 200, map[string]any{"deadLetters": []any{replayed("1")}, "last": 1, "more": true}
		default:
			return 200, map[string]any{"deadLetters": []any{replayed("3")}, "last": 3, "more": false}
		}
	})
	for _, c := range []struct {
		args  string
		code  exitCode
		out   string
		asked int
	}{
		{"1 3", exitOK, "1  accepted\n3  duplicate\n", 2},
		{"1 2", exitUsage, "1  accepted\n2  refused  why\n", 2},
		{"1 9", exitUsage, "1  accepted\n", 2},
		{"--all", exitOK, "1  accepted\n3  duplicate\n", 2},
		{"--reason orphan", exitOK, "1  accepted\n3  duplicate\n", 2},
		{"--reason typo", exitUsage, "", 0},
		{"1 --all", exitUsage, "", 0},
		{"", exitUsage, "", 0},
		{"x", exitUsage, "", 0},
	} {
		*asked = nil
		code, out, failed := command(t, append(append([]string{"dlq", "replay", "--by", "ada", "--server", url}, strings.Fields(c.args)...), "-o", "table")...)
		if code != c.code || out != c.out || len(*asked) != c.asked || (failed == "") != (code == exitOK) {
			t.Errorf("%s: %d %q %q, asked %q", c.args, code, out, failed, *asked)
		}
		for _, a := range *asked {
			if !strings.Contains(a, "by=ada") || !strings.HasPrefix(a, "POST ") {
				t.Errorf("%s: asked %s", c.args, a)
			}
		}
	}
	code, out, _ := command(t, "dlq", "replay", "2", "--server", url, "-o", "json")
	var answer struct{ DeadLetters []letter }
	if err := json.Unmarshal([]byte(out), &answer); code != exitUsage || err != nil || len(answer.DeadLetters) != 1 || answer.DeadLetters[0].outcome() != "refused" {
		t.Errorf("json: %d %s %v", code, out, err)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
