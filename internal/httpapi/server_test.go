package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

var at = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

type site struct {
	t        *testing.T
	store    *store.Store
	handler  http.Handler
	bundles  string
	accept   EventAnswer
	failed   error
	missing  []string
	stopping chan struct{}
	backup   func(context.Context, io.Writer) error
	replay   func(context.Context, int64, string) (store.DeadLetter, error)
}

func newSite(t *testing.T) *site {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "assay.db"), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s := &site{t: t, store: st, bundles: t.TempDir(), stopping: make(chan struct{})}
	s.replay = func(ctx context.Context, id int64, by string) (store.DeadLetter, error) {
		return intake.Replay(ctx, st, id, by, at)
	}
	s.handler = New(Config{
		Store: st, Bundles: s.bundles,
		Accept: func(context.Context, http.Header, []byte) (EventAnswer, error) { return s.accept, s.failed },
		Cancel: func(_ context.Context, id analysis.ValidationID, by string) error {
			if by == "nobody" {
				return fmt.Errorf("cancel %s: %w", id, ErrNotOpen)
			}
			return nil
		},
		Backup: func(ctx context.Context, w io.Writer) error { return s.backup(ctx, w) },
		Replay: func(ctx context.Context, id int64, by string) (store.DeadLetter, error) { return s.replay(ctx, id, by) },
		Ready:  func(context.Context) []string { return s.missing }, Status: func(context.Context) any { return "fine" }, Metrics: http.NotFoundHandler(), Stopping: s.stopping,
	})
	return s
}

// put opens a validation, and ends it where a word is given.
func (s *site) put(d analysis.Deployment, word verdicts.Word) analysis.ValidationID {
	s.t.Helper()
	if d.Attempt == 0 {
		d.Attempt = 1
	}
	id := d.Validation()
	v := verdicts.Verdict{ValidationID: id, DeploymentID: d.ID, Environment: d.Release.Environment, Service: d.Release.Service, Version: d.Release.Version, Mode: d.Mode}
	latest, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	change := store.Change{Open: []store.Validation{{ID: id, Deployment: d, AcceptedAt: at, Latest: latest}}, Now: at}
	if word != verdicts.Pending {
		v.Verdict, v.Final, v.Bundle, v.Seq = word, true, string(id)+".tar.zst", 1
		body, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		change.Finals = []store.Final{{
			Validation: id, Verdict: body, Word: word.String(), VerdictID: v.ID(), Seq: 1, IssuedAt: at,
			Audit: store.AuditEntry{At: at, Actor: "test", Action: "verdict.issued", Subject: string(id), Body: body},
		}}
	}
	if _, err := s.store.Apply(s.t.Context(), change); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *site) get(method, path string) (int, http.Header, string) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("{}")))
	return w.Code, w.Header(), w.Body.String()
}

func (s *site) verdict(key string) verdicts.Verdict {
	s.t.Helper()
	code, _, body := s.get("GET", "/v1/validations/"+key+"/verdict")
	if code != http.StatusOK {
		s.t.Fatalf("%s: %d %s", key, code, body)
	}
	var v verdicts.Verdict
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

func release(version string) analysis.Release {
	return analysis.Release{Environment: "prod", Service: "checkout", Version: version}
}

func TestVerdictAddress(t *testing.T) {
	s := newSite(t)
	first := s.put(analysis.Deployment{ID: "d1", Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Promote)
	s.put(analysis.Deployment{ID: "d2", Release: release("1.6.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Pending)
	past := s.put(analysis.Deployment{ID: "d3", Release: release("1.7.0"), Mode: analysis.Retrospective, StartedAt: at}, verdicts.Rollback)
	elsewhere := release("1.5.0")
	elsewhere.Service = "cart"
	s.put(analysis.Deployment{ID: "d4", Release: release("1.8.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Pending)
	s.put(analysis.Deployment{ID: "d4", Release: elsewhere, Mode: analysis.Live, StartedAt: at}, verdicts.Pending)

	for _, c := range []struct {
		key  string
		word verdicts.Word
		code analysis.Code
	}{
		{"d1", verdicts.Promote, ""},
		{string(first), verdicts.Promote, ""},
		{"d2", verdicts.Pending, ""},
		{"unknown", verdicts.Pending, analysis.NotSeen},
		{"d3", verdicts.Pending, analysis.NotSeen}, // retrospective: by validation id only
		{string(past), verdicts.Rollback, ""},
		{"d4", verdicts.Pending, analysis.AmbiguousDeployment},
		{"prod:checkout:1.5.0", verdicts.Pending, analysis.NameTheDeployment},
		{"prod:checkout:9.9.9", verdicts.Pending, analysis.NotSeen},
		{"prod:checkout:1.7.0", verdicts.Pending, analysis.NotSeen},
	} {
		if v := s.verdict(c.key); v.Verdict != c.word || v.ReasonCode != c.code {
			t.Errorf("%s: %v %q, want %v %q", c.key, v.Verdict, v.ReasonCode, c.word, c.code)
		}
	}
	if v := s.verdict("prod:checkout:1.5.0"); v.Final || v.Advice != verdicts.Keep {
		t.Errorf("an old promote was shown as final: %+v", v)
	}
	_, _, body := s.get("GET", "/v1/validations/prod:checkout:1.5.0/verdict?after=2026-03-02T09:00:00Z&format=text")
	if body != "promote\n" {
		t.Errorf("after and text: %q", body)
	}
	if _, _, body := s.get("GET", "/v1/validations/prod:checkout:1.5.0/verdict?after=2026-03-02T11:00:00Z"); !strings.Contains(body, `"not_seen"`) {
		t.Errorf("a deployment before ?after= answered: %s", body)
	}
	for _, bad := range []string{"?format=xml", "?after=yesterday"} {
		if code, _, _ := s.get("GET", "/v1/validations/d1/verdict"+bad); code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, code)
		}
	}
}

// A second attempt answers for the deployment; the first keeps its own id.
func TestNewestAttemptAnswers(t *testing.T) {
	s := newSite(t)
	d := analysis.Deployment{ID: "d1", Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at, Attempt: 1}
	first := s.put(d, verdicts.Promote)
	d.Attempt = 2
	s.put(d, verdicts.Pending)
	if v := s.verdict("d1"); v.Verdict != verdicts.Pending {
		t.Errorf("the old promote answers for the new attempt")
	}
	if v := s.verdict(string(first)); v.Verdict != verdicts.Promote {
		t.Errorf("the first attempt is %v", v.Verdict)
	}
}

func TestEventAnswers(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		answer EventAnswer
		err    error
		code   int
	}{
		{EventAnswer{Outcome: "accepted"}, nil, 202},
		{EventAnswer{Outcome: "duplicate"}, nil, 200},
		{EventAnswer{Outcome: "ignored"}, nil, 200},
		{EventAnswer{Outcome: "conflict"}, nil, 409},
		{EventAnswer{Outcome: "rejected", Reason: "schema"}, nil, 422},
		{EventAnswer{Outcome: "rejected", Reason: "too_large"}, nil, 413},
		{EventAnswer{}, store.ErrFull, 503},
	} {
		s.accept, s.failed = c.answer, c.err
		if code, _, body := s.get("POST", "/v1/events"); code != c.code {
			t.Errorf("%+v %v: %d %s", c.answer, c.err, code, body)
		}
	}
}

func TestListValidationCancelBundle(t *testing.T) {
	s := newSite(t)
	final := s.put(analysis.Deployment{ID: "d1", Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Promote)
	s.put(analysis.Deployment{ID: "d2", Release: release("1.6.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Pending)
	var list struct{ Validations []summary }
	_, _, body := s.get("GET", "/v1/validations?service=checkout&verdict=promote")
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Validations) != 1 || list.Validations[0].ID != final {
		t.Errorf("%v %s", err, body)
	}
	for path, want := range map[string]int{
		"/v1/validations?colour=red": 400, "/v1/validations?limit=0": 400, "/v1/validations?limit=5": 200,
		"/v1/validations/d1": 200, "/v1/validations/nobody": 404, "/v1/validations/d2/bundle": 202, "/v1/validations/d1/bundle": 202,
		"/nowhere": 404, "/-/healthy": 200, "/-/ready": 200, "/v1/status": 200,
	} {
		if code, _, body := s.get("GET", path); code != want {
			t.Errorf("GET %s: %d, want %d: %s", path, code, want, body)
		}
	}
	if err := os.WriteFile(filepath.Join(s.bundles, string(final)+".tar.zst"), []byte("bundle"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, header, body := s.get("GET", "/v1/validations/d1/bundle"); code != 200 || body != "bundle" || header.Get("Content-Type") != "application/zstd" {
		t.Errorf("bundle: %d %s", code, body)
	}
	if code, _, _ := s.get("POST", "/v1/validations/d2/cancel"); code != 200 {
		t.Errorf("cancel: %d", code)
	}
	if code, _, _ := s.get("POST", "/v1/validations/d2/cancel?by=nobody"); code != 409 {
		t.Errorf("cancel of a final one: %d", code)
	}
	s.missing = []string{"ingest=down"}
	if code, _, body := s.get("GET", "/-/ready"); code != 503 || !strings.Contains(body, "ingest=down") {
		t.Errorf("ready: %d %s", code, body)
	}
}

// An event of a schema that this version does not know is pollable by its id, and
// by that of its deployment.
func TestUnsupportedSchemaIsPollable(t *testing.T) {
	s := newSite(t)
	_, err := s.store.Apply(t.Context(), store.Change{DeadLetters: []store.DeadLetter{{Reason: "unsupported_schema", Error: "version 9 is not known", EventID: "e9", DeploymentID: "d9", At: at}}, Now: at})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"e9", "d9"} {
		if v := s.verdict(key); v.Verdict != verdicts.Hold || v.ReasonCode != analysis.UnsupportedSchema || !v.Final || v.DeploymentID != analysis.DeploymentID(key) {
			t.Errorf("%s: %v %s of %s", key, v.Verdict, v.ReasonCode, v.DeploymentID)
		}
	}
}
