package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// long is a wait that no test sits out.
const long = "55s"

func waitingFor(id string) analysis.Deployment {
	return analysis.Deployment{ID: analysis.DeploymentID(id), Attempt: 1, Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at}
}

// progress writes a new pending verdict.
func (s *site) progress(d analysis.Deployment, reason string) {
	s.t.Helper()
	latest, err := json.Marshal(verdicts.Verdict{ValidationID: d.Validation(), DeploymentID: d.ID, Reason: reason})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.store.Apply(s.t.Context(), store.Change{Update: []store.Validation{{ID: d.Validation(), Deployment: d, Phase: store.PhaseJudging, Latest: latest}}, Now: at}); err != nil {
		s.t.Fatal(err)
	}
}

// end writes the final verdict of a validation that is open.
func (s *site) end(d analysis.Deployment, word verdicts.Word) {
	s.t.Helper()
	v := verdicts.Verdict{ValidationID: d.Validation(), DeploymentID: d.ID, Verdict: word, Final: true}
	body, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	final := store.Final{
		Validation: d.Validation(), Verdict: body, Word: word.String(), VerdictID: v.ID(), IssuedAt: at,
		Audit: store.AuditEntry{At: at, Actor: "test", Action: "verdict.issued", Subject: string(d.ID)},
	}
	if _, err := s.store.Apply(s.t.Context(), store.Change{Finals: []store.Final{final}, Now: at}); err != nil {
		s.t.Fatal(err)
	}
}

// An asked is an answer that may still be on its way.
type asked struct {
	done   chan struct{}
	status int
	header http.Header
	body   string
}

// ask sends a request to a real server and returns at once.
func ask(t *testing.T, url, held string) *asked {
	t.Helper()
	a := &asked{done: make(chan struct{})}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if held != "" {
		req.Header.Set("If-None-Match", held)
	}
	go func() {
		defer close(a.done)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			a.body = err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		a.status, a.header, a.body = res.StatusCode, res.Header, string(body)
	}()
	return a
}

// within waits for the answer, which must be there long before its wait is over.
func (a *asked) within(t *testing.T) *asked {
	t.Helper()
	select {
	case <-a.done:
	case <-time.After(20 * time.Second):
		t.Fatal("no answer within 20 s")
	}
	return a
}

// waiting waits until so many requests wait.
func (s *site) waiting(n int) {
	s.t.Helper()
	for range 2000 {
		if s.store.Watching() == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("%d requests wait, want %d", s.store.Watching(), n)
}

func (a *asked) pending(t *testing.T, why string) {
	t.Helper()
	select {
	case <-a.done:
		t.Fatalf("%s: answered %d %s", why, a.status, a.body)
	default:
	}
}

func (s *site) serveHTTP() string {
	web := httptest.NewServer(s.handler)
	s.t.Cleanup(web.Close)
	return web.URL + "/v1/validations/"
}

// Without If-None-Match a wait ends with the final verdict, whatever is pending
// meanwhile, on both addresses and by every key.
func TestWaitEndsWithTheFinalVerdict(t *testing.T) {
	for _, path := range []string{"d1/verdict", "d1", "prod:checkout:1.5.0/verdict", string(waitingFor("d1").Validation())} {
		s := newSite(t)
		d := waitingFor("d1")
		s.put(d, verdicts.Pending)
		a := ask(t, s.serveHTTP()+path+"?wait="+long, "")
		s.waiting(1)
		s.progress(d, "first")
		s.progress(d, "second")
		a.pending(t, path)
		s.end(d, verdicts.Rollback)
		if a.within(t); a.status != 200 || !strings.Contains(a.body, `"verdict":"rollback"`) || a.header.Get("Retry-After") != "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		s.waiting(0)
		again := ask(t, s.serveHTTP()+path+"?wait="+long, "").within(t)
		if again.body != a.body || again.header.Get("ETag") != a.header.Get("ETag") {
			t.Errorf("%s: a final verdict is waited for: %s", path, again.body)
		}
	}
}

// A deployment that nobody has told of yet can be waited for; so can an event that
// this version does not understand.
func TestWaitForWhatIsNotSeenYet(t *testing.T) {
	s := newSite(t)
	url := s.serveHTTP()
	seen, unsupported := ask(t, url+"d1/verdict?wait="+long, ""), ask(t, url+"d9/verdict?wait="+long+"&format=text", "")
	s.waiting(2)
	d := waitingFor("d1")
	s.put(d, verdicts.Pending)
	s.end(d, verdicts.Promote)
	if seen.within(t); !strings.Contains(seen.body, `"verdict":"promote"`) {
		t.Errorf("%d %s", seen.status, seen.body)
	}
	unsupported.pending(t, "another deployment")
	letter := store.DeadLetter{Reason: "unsupported_schema", Error: "v9", EventID: "e9", DeploymentID: "d9", At: at}
	if _, err := s.store.Accept(t.Context(), store.Batch{DeadLetters: []store.DeadLetter{letter}, Now: at}); err != nil {
		t.Fatal(err)
	}
	if unsupported.within(t); unsupported.body != "hold\n" {
		t.Errorf("%d %s", unsupported.status, unsupported.body)
	}
}

// With If-None-Match a wait ends with any other answer, or with 304.
func TestWaitForAChange(t *testing.T) {
	s := newSite(t)
	d := waitingFor("d1")
	s.put(d, verdicts.Pending)
	url := s.serveHTTP() + "d1/verdict"
	first := ask(t, url, "").within(t)
	tag := first.header.Get("ETag")
	if first.status != 200 || tag == "" || first.header.Get("Retry-After") != pollAfter {
		t.Fatalf("%d %v", first.status, first.header)
	}
	for _, held := range []string{tag, "W/" + tag, `"x", ` + tag} {
		for _, wait := range []string{"0", "30ms"} {
			if same := ask(t, url+"?wait="+wait, held).within(t); same.status != http.StatusNotModified || same.body != "" || same.header.Get("ETag") != tag {
				t.Errorf("%s, wait %s: %d %s", held, wait, same.status, same.body)
			}
		}
	}
	if other := ask(t, url+"?wait="+long, `"older"`).within(t); other.status != 200 || other.body != first.body {
		t.Errorf("something older is held: %d %s", other.status, other.body)
	}
	a := ask(t, url+"?wait="+long, tag)
	s.waiting(1)
	s.progress(d, "something new")
	if a.within(t); a.status != 200 || !strings.Contains(a.body, "something new") || a.header.Get("ETag") == tag || a.header.Get("Retry-After") != waitAfter {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
}

func TestWaitIsBounded(t *testing.T) {
	s := newSite(t)
	s.put(waitingFor("d1"), verdicts.Pending)
	for _, path := range []string{"/v1/validations/d1", "/v1/validations/d1/verdict"} {
		for _, wait := range []string{"56s", "-1s", "soon", "30"} {
			if code, _, body := s.get("GET", path+"?wait="+wait); code != http.StatusBadRequest || !strings.Contains(body, "from 0s to 55s") {
				t.Errorf("%s?wait=%s: %d %s", path, wait, code, body)
			}
		}
		if code, _, _ := s.get("GET", path+"?wait=20ms"); code != http.StatusOK {
			t.Errorf("%s: %d after the wait", path, code)
		}
	}
	if code, _, _ := s.get("GET", "/v1/validations/nobody?wait="+long); code != http.StatusNotFound {
		t.Errorf("nobody: %d", code)
	}
}

// Who goes away is forgotten, and a process that stops waits for nobody.
func TestWaitEndsWithTheClientAndTheServer(t *testing.T) {
	s := newSite(t)
	s.put(waitingFor("d1"), verdicts.Pending)
	url := s.serveHTTP()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"d1/verdict?wait="+long, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(req)
		gone <- err
	}()
	s.waiting(1)
	cancel()
	if err := <-gone; err == nil {
		t.Error("answered")
	}
	s.waiting(0)

	stays := ask(t, url+"d1?wait="+long, "")
	s.waiting(1)
	close(s.stopping)
	if stays.within(t); stays.status != 200 || !strings.Contains(stays.body, `"phase":"planning"`) {
		t.Errorf("%d %s", stays.status, stays.body)
	}
	s.waiting(0)
}

// The server's limit for senders of slow requests does not end a wait.
func TestWaitOutlivesTheReadTimeout(t *testing.T) {
	s := newSite(t)
	d := waitingFor("d1")
	s.put(d, verdicts.Pending)
	web := httptest.NewUnstartedServer(s.handler)
	web.Config.ReadTimeout = 50 * time.Millisecond
	web.Start()
	defer web.Close()
	a := ask(t, web.URL+"/v1/validations/d1/verdict?wait="+long+"&format=text", "")
	s.waiting(1)
	time.Sleep(4 * web.Config.ReadTimeout)
	a.pending(t, "after the read timeout")
	s.waiting(1)
	s.end(d, verdicts.Promote)
	if a.within(t); a.body != "promote\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A thousand clients read when they come and when it is over, and not in between.
func TestManyWaitersReadNothingWhileTheyWait(t *testing.T) {
	const clients = 1000
	st := newSite(t)
	d := waitingFor("d1")
	st.put(d, verdicts.Pending)
	s := &server{Config: Config{Store: st.store}}
	var reads atomic.Int64
	read := func(ctx context.Context) (page, error) {
		reads.Add(1)
		v, err := s.find(ctx, "d1")
		return page{body: v.Latest, validation: string(v.ID), final: v.Phase == store.PhaseFinal}, err
	}
	var finals atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			if p, err := s.await(t.Context(), time.Minute, "", "d1", read); err == nil && p.final {
				finals.Add(1)
			}
		})
	}
	for reads.Load() < 2*clients || st.store.Watching() < clients { // the second one is after the validation's id is known
		time.Sleep(time.Millisecond)
	}
	for range 100 {
		st.progress(d, "pending")
	}
	if n := reads.Load(); n != 2*clients {
		t.Errorf("%d reads while nothing was decided, want %d", n, 2*clients)
	}
	st.end(d, verdicts.Hold)
	all.Wait()
	if n := reads.Load(); n != 3*clients || finals.Load() != clients {
		t.Errorf("%d reads, %d of %d clients were told", n, finals.Load(), clients)
	}
	st.waiting(0)
}
