package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
)

// letters buries one letter for each reason and returns the site.
func letters(t *testing.T, reasons ...string) *site {
	t.Helper()
	s := newSite(t)
	for i, reason := range reasons {
		_, err := s.store.Apply(t.Context(), store.Change{DeadLetters: []store.DeadLetter{{
			Reason: reason, Error: "because", Topic: "t", Partition: 1, Offset: int64(i), LastOffset: int64(i), Key: []byte{0, 0xff}, Value: []byte("\x1b[2J{"),
			Headers: []store.Header{{Key: "ce_id", Value: []byte{0xfe}}}, EventSource: "/ci", EventID: fmt.Sprint("e", i), DeploymentID: "d", At: at,
		}}, Now: at})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func read[T any](t *testing.T, s *site, method, path string, want int) (out T) {
	t.Helper()
	code, header, body := s.get(method, path)
	if code != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, code, want, body)
	}
	if code >= 400 && header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: an error as %s", method, path, header.Get("Content-Type"))
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%s %s: %v\n%s", method, path, err, body)
	}
	return out
}

func TestDeadLettersAreListed(t *testing.T) {
	s := letters(t, "malformed", "orphan", "malformed")
	type list struct{ DeadLetters []letterSummary }
	for query, want := range map[string]string{
		"": "3 2 1 ", "?reason=malformed": "3 1 ", "?limit=1": "3 ", "?before=3&limit=1": "2 ", "?reason=schema": "", "?unsettled=true": "3 2 1 ", "?unsettled=false": "3 2 1 ",
	} {
		got := ""
		for _, l := range read[list](t, s, "GET", "/v1/dead-letters"+query, 200).DeadLetters {
			got += fmt.Sprint(l.ID, " ")
			if l.Bytes != 5 || l.Replay != nil || l.EventSource != "/ci" || l.DeploymentID != "d" || l.Topic != "t" || l.Partition != 1 || !l.At.Equal(at) {
				t.Errorf("%+v", l)
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	if _, _, body := s.get("GET", "/v1/dead-letters?reason=schema"); body != `{"deadLetters":[]}`+"\n" {
		t.Errorf("none: %s", body)
	}
	type detail struct{ Detail string }
	for query, says := range map[string]string{
		"?reason=typo": "legal: [malformed schema", "?colour=red": "legal: reason", "?limit=0": "from 1 to 1000", "?limit=1001": "from 1 to 1000", "?before=x": "before must be", "?unsettled=1": "true or false",
	} {
		if d := read[detail](t, s, "GET", "/v1/dead-letters"+query, 400); !strings.Contains(d.Detail, says) {
			t.Errorf("%s: %s", query, d.Detail)
		}
	}
}

func TestDeadLetterIsShownWhole(t *testing.T) {
	s := letters(t, "malformed")
	l := read[letterRecord](t, s, "GET", "/v1/dead-letters/1", 200)
	if !bytes.Equal(l.Key, []byte{0, 0xff}) || string(l.Value) != "\x1b[2J{" || len(l.Headers) != 1 || l.Headers[0].Key != "ce_id" || !bytes.Equal(l.Headers[0].Value, []byte{0xfe}) || l.Error != "because" {
		t.Errorf("%+v", l)
	}
	for _, path := range []string{"/v1/dead-letters/2", "/v1/dead-letters/0", "/v1/dead-letters/x", "/v1/dead-letters/99999999999999999999"} {
		read[struct{}](t, s, "GET", path, http.StatusNotFound)
		read[struct{}](t, s, "POST", path+"/replay", http.StatusNotFound)
	}
}

func TestDeadLettersAreReplayed(t *testing.T) {
	s := letters(t, "orphan", "malformed", "conflict", "unauthorised")
	var by []string
	s.replay = func(ctx context.Context, id int64, who string) (store.DeadLetter, error) {
		by = append(by, fmt.Sprint(id, " ", who))
		return intake.Replay(ctx, s.store, id, who, at)
	}
	l := read[letterSummary](t, s, "POST", "/v1/dead-letters/2/replay?by=ada%1b[2J", 200)
	if l.ID != 2 || l.Replay == nil || l.Replay.Outcome != "refused" || !strings.HasPrefix(l.Replay.Error, "malformed: ") || l.Replay.Times != 1 {
		t.Errorf("%+v", l.Replay)
	}
	type many struct {
		DeadLetters []letterSummary
		Last        int64
		More        bool
	}
	if m := read[many](t, s, "POST", "/v1/dead-letters/replay", 200); len(m.DeadLetters) != 2 || m.Last != 2 || m.More || m.DeadLetters[1].Replay.Times != 2 {
		t.Errorf("%+v", m)
	}
	if m := read[many](t, s, "POST", "/v1/dead-letters/replay?reason=conflict&by=bo", 200); len(m.DeadLetters) != 1 || m.Last != 3 {
		t.Errorf("%+v", m)
	}
	if m := read[many](t, s, "POST", "/v1/dead-letters/replay?after=4", 200); len(m.DeadLetters) != 0 || m.Last != 4 {
		t.Errorf("%+v", m)
	}
	for _, query := range []string{"?reason=typo", "?after=x", "?limit=3"} {
		read[struct{}](t, s, "POST", "/v1/dead-letters/replay"+query, 400)
	}
	if got := strings.Join(by, "; "); got != "2 ada [2J; 1 a caller of the HTTP interface; 2 a caller of the HTTP interface; 3 bo" {
		t.Errorf("asked for: %s", got)
	}
	s.replay = func(context.Context, int64, string) (store.DeadLetter, error) {
		return store.DeadLetter{}, store.ErrFull
	}
	read[struct{}](t, s, "POST", "/v1/dead-letters/1/replay", http.StatusServiceUnavailable)
	read[struct{}](t, s, "POST", "/v1/dead-letters/replay", http.StatusServiceUnavailable)
}

// More than one request may take are told so.
func TestReplayOfManyIsPaged(t *testing.T) {
	reasons := make([]string, atOnce+5)
	for i := range reasons {
		reasons[i] = "malformed"
	}
	s := letters(t, reasons...)
	type many struct {
		DeadLetters []letterSummary
		Last        int64
		More        bool
	}
	first := read[many](t, s, "POST", "/v1/dead-letters/replay", 200)
	rest := read[many](t, s, "POST", fmt.Sprint("/v1/dead-letters/replay?after=", first.Last), 200)
	if len(first.DeadLetters) != atOnce || first.Last != atOnce || !first.More || len(rest.DeadLetters) != 5 || rest.More {
		t.Errorf("%d, last %d, more %v; then %d, more %v", len(first.DeadLetters), first.Last, first.More, len(rest.DeadLetters), rest.More)
	}
}
