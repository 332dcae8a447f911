package intake_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/intake/intaketest"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
)

// TestRunQuarantinesTheCorpus: over a broker every hostile event becomes a dead
// letter at its own offset with its own reason, good events between them and behind
// them are served within a second, and memory does not grow with what is refused.
func TestRunQuarantinesTheCorpus(t *testing.T) {
	const topic = "assay.deployments.v1"
	broker := kafkatest.Start(t, kafkatest.Topic(topic, 1))
	c := kafkatest.Connect(t, broker.Config())
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "assay.db"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	status, done := &intake.Status{}, make(chan error, 1)
	go func() {
		done <- intake.Run(ctx, intake.RunConfig{Kafka: broker.Config(), Topic: topic, Group: "g", Owner: "o", Store: s, Now: time.Now, Status: status, Alone: true})
	}()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	good := 0
	serve := func() time.Duration {
		t.Helper()
		good++
		kafkatest.Send(t, c, topic, 0, recordOf(goodEvent(t, fmt.Sprintf("good-%d", good))))
		limit := time.Second
		if good == 1 {
			limit = 10 * time.Second // it has to find the partition first
		}
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			if status.Snapshot(time.Now()).Counts.Accepted == int64(good) {
				return time.Since(began)
			}
			if time.Since(began) > limit {
				t.Fatalf("good event %d was not served within %v: %+v", good, limit, status.Snapshot(time.Now()))
			}
		}
	}
	serve()

	corpus := intaketest.Corpus()
	before := memory()
	want := map[int64]intaketest.Case{}
	var slowest time.Duration
	for i, h := range corpus {
		want[kafkatest.Send(t, c, topic, 0, recordOf(h.Message))] = h
		if i%100 == 99 || i == len(corpus)-1 {
			slowest = max(slowest, serve())
		}
	}
	grown := memory() - before
	t.Logf("%d hostile events; the slowest of %d good ones was served after %v; %.1f MiB more are kept", len(corpus), good, slowest.Round(time.Millisecond), float64(grown)/(1<<20))
	if grown > 32<<20 {
		t.Errorf("%d MiB more are kept, at most 32 are allowed", grown>>20)
	}
	letters, err := s.DeadLetters(t.Context(), len(corpus)+1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range letters {
		h, ok := want[d.Offset]
		if !ok {
			t.Errorf("a dead letter at %d that nobody expects: %s (%s)", d.Offset, d.Reason, d.Error)
			continue
		}
		delete(want, d.Offset)
		if d.Reason != string(h.Reason) || len(d.Value) > 256<<10 {
			t.Errorf("%s: %s (%s), %d bytes kept; want %s", h.Name, d.Reason, d.Error, len(d.Value), h.Reason)
		}
	}
	for _, h := range want {
		t.Errorf("%s: no dead letter", h.Name)
	}
}

// memory is what the process keeps from the system. The peak, of which this test
// and its broker have their own share, is measured on the program itself (e2e).
func memory() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// goodEvent is the event from which the corpus is made, under another id.
func goodEvent(t *testing.T, id string) intake.Message {
	t.Helper()
	d, rejection := intake.Decode(intaketest.Binary(intaketest.Good()), intake.DefaultLimits())
	if rejection != nil {
		t.Fatal(rejection)
	}
	d.Event.ID = id
	m, err := intake.Encode(d.Event)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func recordOf(m intake.Message) kafka.Record {
	r := kafka.Record{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafka.Header(h))
	}
	return r
}
