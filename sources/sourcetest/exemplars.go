package sourcetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
)

// An ExemplarHarness says how to test a source of whole traces.
type ExemplarHarness struct {
	// Open returns a source that holds the recording's spans. It is called once.
	// Services and versions are the resource's. What lies on the very end of the window
	// belongs to it.
	Open func(t *testing.T, rec replay.Recording) sources.ExemplarSource
	// Unavailable returns a source whose server cannot be reached. Nil: there is no
	// such state.
	Unavailable func(t *testing.T) sources.ExemplarSource
	// Kinds are those of cohort and window that the source finds. Nil: all.
	Kinds []analysis.ExemplarKind
}

// RunExemplars tests the source that h describes.
func RunExemplars(t *testing.T, h ExemplarHarness) {
	rec := replay.Recording{Pods: exemplarPods()}
	if err := rec.Validate(); err != nil {
		t.Fatalf("the suite's recording: %v", err)
	}
	source := h.Open(t, rec)
	for _, c := range exemplarCases() {
		t.Run(c.name, func(t *testing.T) { c.check(t, exemplarSuite{h, source}) })
	}
}

type exemplarSuite struct {
	ExemplarHarness
	source sources.ExemplarSource
}

type exemplarCase struct {
	name  string
	check func(t *testing.T, s exemplarSuite)
}

// exemplarPods are two services. Requests 201 to 206 are typical, 207 is slow, 208 fails
// in the back end, 209 in the old version, 210 after the window; 211 goes on after it.
func exemplarPods() []replay.Pod {
	const server, client = "server", "client"
	var front []replay.Span
	for i := range 6 {
		start := 61 + float64(i)
		front = append(front, span(201+i, 1, 0, server, "GET /cart", start, start+0.05))
	}
	secret := span(208, 1, 0, server, "GET /cart", 70, 70.5, "error")
	secret.Attributes["note"] = "mail bob.miller@example.com, password=hunter2secret"
	front = append(front,
		span(207, 1, 0, server, "GET /cart", 68, 72), secret, span(208, 2, 1, client, "call", 70.1, 70.4, "error"),
		span(210, 1, 0, server, "GET /cart", 125, 125.1, "error"), span(211, 1, 0, server, "GET /late", 100, 130, "error"), span(211, 2, 1, client, "early child", 101, 102),
		span(212, 1, 0, server, "POST /pay", 80, 80.2, "error"))
	return []replay.Pod{
		spanned(pod("front", "2.0", "f"), front...),
		spanned(pod("front", "1.0", "old"), span(209, 1, 0, server, "GET /cart", 70, 70.1, "error")),
		spanned(pod("back", "1.0", "k"), span(208, 3, 2, server, "GET /items", 70.15, 70.35, "error")),
	}
}

// cohort asks for traces of the new front between a minute and two.
func cohort(kind analysis.ExemplarKind, limit int) analysis.ExemplarQuery {
	return analysis.ExemplarQuery{Kind: kind, Matches: matches("front", "2.0"), From: at(60), To: at(120), Limit: limit, MaxBytes: 1 << 20}
}

func named(request int) analysis.ExemplarQuery {
	return analysis.ExemplarQuery{TraceID: traceID(request), Kind: analysis.ExemplarNamed, From: at(60), To: at(120), Limit: 1, MaxBytes: 1 << 20}
}

func (s exemplarSuite) ask(t *testing.T, q analysis.ExemplarQuery) []analysis.Exemplar {
	t.Helper()
	got, err := s.source.Exemplars(t.Context(), q)
	if err != nil {
		t.Fatalf("exemplars: %v", err)
	}
	if q.Limit > 0 && len(got) > q.Limit {
		t.Errorf("%d traces, no more than %d were asked for", len(got), q.Limit)
	}
	size := 0
	for _, e := range got {
		size += len(e.Body)
		if digest := sha256.Sum256(e.Body); e.Digest != "sha256:"+hex.EncodeToString(digest[:]) {
			t.Errorf("%s: the digest %s is not that of the body", e.TraceID, e.Digest)
		}
		if !json.Valid(e.Body) {
			t.Errorf("%s: the body is not JSON: %s", e.TraceID, e.Body)
		}
		if e.Kind != q.Kind || e.Source == "" || !slices.IsSorted(e.Services) {
			t.Errorf("%+v: want kind %q, a source, and services in order", e, q.Kind)
		}
		for _, secret := range []string{"bob.miller", "hunter2secret"} {
			if bytes.Contains(e.Body, []byte(secret)) {
				t.Errorf("%s tells %q", e.TraceID, secret)
			}
		}
	}
	if size > q.MaxBytes {
		t.Errorf("%d bytes, no more than %d were asked for", size, q.MaxBytes)
	}
	return got
}

// requestsOf names what was found, by the numbers of the requests.
func requestsOf(found []analysis.Exemplar) (numbers []int) {
	for _, e := range found {
		for request := 201; request <= 212; request++ {
			if e.TraceID == traceID(request) {
				numbers = append(numbers, request)
			}
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (s exemplarSuite) finds(kind analysis.ExemplarKind) bool {
	return s.Kinds == nil || slices.Contains(s.Kinds, kind)
}

func exemplarCases() []exemplarCase {
	return []exemplarCase{
		{"by id: the whole trace, of all services", func(t *testing.T, s exemplarSuite) {
			got := s.ask(t, named(208))
			if len(got) != 1 || got[0].TraceID != traceID(208) || got[0].Spans != 3 || got[0].Errors != 3 || got[0].Truncated || !slices.Equal(got[0].Services, []string{"back", "front"}) {
				t.Fatalf("got %+v, want request 208 with its three errored spans", got)
			}
			if d := got[0].Duration.D(); d < 490*time.Millisecond || d > 510*time.Millisecond {
				t.Errorf("its longest span took %v, want 0.5 s", d)
			}
			if again := s.ask(t, named(208)); len(again) != 1 || again[0].Digest != got[0].Digest {
				t.Errorf("asked again the digest is another one: %+v", again)
			}
		}},
		{"an unknown id is no error", func(t *testing.T, s exemplarSuite) {
			if got := s.ask(t, named(4711)); len(got) != 0 {
				t.Errorf("got %+v", got)
			}
		}},
		{"no future: spans that end after the window are no part of it", func(t *testing.T, s exemplarSuite) {
			got := s.ask(t, named(211))
			if len(got) != 1 || got[0].Spans != 1 || got[0].Errors != 0 || bytes.Contains(got[0].Body, []byte("GET /late")) {
				t.Errorf("got %+v, want the one span of request 211 that had ended", got)
			}
			if got := s.ask(t, named(210)); len(got) != 0 {
				t.Errorf("request 210 was after the window: %+v", got)
			}
		}},
		{"a cap on bytes: what is larger is cut and says so", func(t *testing.T, s exemplarSuite) {
			q := named(208)
			q.MaxBytes = len(s.ask(t, q)[0].Body) - 1
			if got := s.ask(t, q); len(got) != 1 || !got[0].Truncated || got[0].TraceID != traceID(208) {
				t.Errorf("got %+v, want request 208, truncated", got)
			}
		}},
		{"failed ones of a cohort and window", func(t *testing.T, s exemplarSuite) {
			if !s.finds(analysis.ExemplarFailed) {
				return
			}
			if got := requestsOf(s.ask(t, cohort(analysis.ExemplarFailed, 10))); !slices.Equal(got, []int{208, 212}) {
				t.Errorf("got requests %v, want 208 and 212", got)
			}
			q := cohort(analysis.ExemplarFailed, 10)
			q.Operation = "POST /pay"
			if got := requestsOf(s.ask(t, q)); !slices.Equal(got, []int{212}) {
				t.Errorf("of POST /pay: got requests %v, want 212", got)
			}
			q.Matches = matches("nobody", "2.0")
			if got := s.ask(t, q); len(got) != 0 {
				t.Errorf("nobody: got %+v", got)
			}
			if got := s.ask(t, cohort(analysis.ExemplarFailed, 1)); len(got) != 1 || !sameJSON(got, s.ask(t, cohort(analysis.ExemplarFailed, 1))) {
				t.Errorf("one of two: got %+v, or another one when asked again", got)
			}
		}},
		{"slow ones", func(t *testing.T, s exemplarSuite) {
			if !s.finds(analysis.ExemplarSlow) {
				return
			}
			if got := requestsOf(s.ask(t, cohort(analysis.ExemplarSlow, 1))); !slices.Equal(got, []int{207}) {
				t.Errorf("got requests %v, want 207", got)
			}
		}},
		{"typical ones have no errors", func(t *testing.T, s exemplarSuite) {
			if !s.finds(analysis.ExemplarTypical) {
				return
			}
			q := cohort(analysis.ExemplarTypical, 2)
			q.Operation = "GET /cart"
			got := s.ask(t, q)
			if len(got) == 0 {
				t.Error("none was found")
			}
			for _, e := range got {
				if e.Errors > 0 || e.TraceID == traceID(207) || e.TraceID == traceID(210) {
					t.Errorf("got %+v, which is not typical", e)
				}
			}
		}},
		{"an unreachable source is unavailable, not empty", func(t *testing.T, s exemplarSuite) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.source.Exemplars(ctx, named(208)); err == nil || sources.KindOf(err) != sources.Unavailable {
				t.Errorf("with a cancelled context: %v", err)
			}
			if s.Unavailable == nil {
				return
			}
			for _, q := range []analysis.ExemplarQuery{named(208), cohort(analysis.ExemplarFailed, 1)} {
				_, err := s.Unavailable(t).Exemplars(t.Context(), q)
				var e *sources.Error
				if !errors.As(err, &e) || e.Kind != sources.Unavailable || e.Source == "" {
					t.Errorf("got %v, want a *sources.Error of kind unavailable", err)
				}
			}
		}},
	}
}
