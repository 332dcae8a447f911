package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/testdata/backends"
)

// hanging is a server that accepts and never answers.
func hanging(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}

// TestStopsThoughEverythingHangs (F51, G8): a SIGTERM ends the process within ten
// seconds although Kafka is stopped in the middle, Prometheus answers nothing, and
// callers of every kind keep their connections.
func TestStopsThoughEverythingHangs(t *testing.T) {
	k := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{k.Addr}, prometheus: "http://" + hanging(t), policies: overPrometheus})
	now := time.Now().UTC()
	for i := range 20 {
		e := started(fmt.Sprint("waits-", i), now.Add(-time.Minute))
		a.post(e)
	}
	a.eventually(20*time.Second, "all are open", func() error {
		if n := a.status().OpenValidations; n != 20 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
	k.Pause()
	defer k.Resume()

	// A sender over OTLP/gRPC that never sends its message, one over HTTP that never
	// ends its body, an event that never ends, and a gate that polls for long.
	conn, err := grpc.NewClient(a.otlpGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for _, c := range []struct{ method, url, contentType string }{
		{http.MethodPost, "http://" + a.otlpHTTP + "/v1/metrics", "application/x-protobuf"},
		{http.MethodPost, "http://" + a.web + "/v1/events", "application/json"},
	} {
		body, never := io.Pipe()
		context.AfterFunc(ctx, func() { never.CloseWithError(errors.New("enough")) })
		callers.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, c.method, c.url, body)
			req.Header.Set("Content-Type", c.contentType)
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		})
	}
	for i := range 10 {
		callers.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v1/validations/waits-%d/verdict?wait=50s", a.web, i), nil)
			if res, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	time.Sleep(2 * time.Second) // all of them are under way, and Kafka is missed
	began := time.Now()
	a.stop()
	t.Logf("stopped after %v with Kafka stopped, Prometheus hanging and %d callers that keep their connections", time.Since(began).Round(time.Millisecond), 13)
	cancel()
	callers.Wait()
	a.withStore(func(ctx context.Context, s *store.Store) {
		open, err := s.Validations(ctx, store.Filter{Word: "pending"})
		if err != nil || len(open) != 20 {
			t.Errorf("%d validations are open afterwards, %v", len(open), err)
		}
	})
}

// openAtOnce is how many validations TestRestart leaves open.
const openAtOnce = 1000

// TestRestart (G7): a process that is killed with a thousand open validations, each
// with its plan and its spool, takes up its work within two seconds of its start. They
// are seconds of its own processor time, which a machine that is busy with other tests
// does not change; on one that is not, the wall clock shows fewer.
func TestRestart(t *testing.T) {
	w := worldOf(t, 3*time.Minute, "healthy")
	prom := w.prometheus(t)
	a := serve(t, setup{noKafka: true, prometheus: prom.URL, policies: overPrometheus})
	e := started("healthy", w.deployed)
	e.Mode = analysis.Shadow
	a.post(e)
	id := e.Deployment(1).Validation()
	a.eventually(20*time.Second, "it is judged", func() error {
		v, _ := a.verdict(string(id))
		if v.AsOf == nil || !v.AsOf.After(w.deployed) {
			return fmt.Errorf("%s (%s)", v.Verdict, v.ReasonCode)
		}
		return nil
	})
	a.kill()
	a.withStore(func(ctx context.Context, s *store.Store) { a.multiply(ctx, s, id, openAtOnce) })
	began := time.Now()
	a.start()
	healthy := time.Since(began)
	a.post(started("after", time.Now().UTC()))
	a.eventually(30*time.Second, "an event is taken up", func() error {
		if len(a.validations("after")) == 0 {
			return errors.New("no validation yet")
		}
		return nil
	})
	took, worked := time.Since(began), a.processorTime()
	if n := a.status().OpenValidations; n != openAtOnce+2 {
		t.Errorf("%d validations are open, want %d", n, openAtOnce+2)
	}
	t.Logf("with %d open validations: answers after %v, first progress after %v and %v of processor time", openAtOnce, healthy.Round(time.Millisecond), took.Round(time.Millisecond), worked)
	if min(took, worked) > 2*time.Second {
		t.Errorf("first progress after %v and %v of processor time, want 2 s (G7)", took, worked)
	}
	a.stop()
}

// multiply opens n more validations that have come as far as the given one.
func (a *assay) multiply(ctx context.Context, s *store.Store, id analysis.ValidationID, n int) {
	a.t.Helper()
	like, err := s.Validation(ctx, id)
	if err != nil {
		a.t.Fatal(err)
	}
	var plan analysis.Plan
	if err := json.Unmarshal(like.Plan, &plan); err != nil {
		a.t.Fatal(err)
	}
	spool := mustRead(a.t, a.data("spool", string(id)+".jsonl"))
	change := store.Change{Now: like.UpdatedAt}
	for i := range n {
		v := like
		v.Deployment.ID = analysis.DeploymentID(fmt.Sprint("d-", i))
		v.ID = v.Deployment.Validation()
		plan.Deployment.ID, plan.Validation = v.Deployment.ID, v.ID
		if v.Plan, err = plan.Encode(); err != nil {
			a.t.Fatal(err)
		}
		if err := os.WriteFile(a.data("spool", string(v.ID)+".jsonl"), spool, 0o644); err != nil {
			a.t.Fatal(err)
		}
		change.Open = append(change.Open, v)
	}
	if _, err := s.Apply(ctx, change); err != nil {
		a.t.Fatal(err)
	}
}

// processorTime is what the process has used of the processors since its start.
func (a *assay) processorTime() time.Duration {
	a.t.Helper()
	stat := string(mustRead(a.t, fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid)))
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime, of a hundredth of a second each
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			a.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
