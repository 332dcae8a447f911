package intake

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
)

const testTopic = "assay.deployments.v1"

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "assay.db"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A member is one Run.
type member struct {
	t      testing.TB
	status *Status
	stop   context.CancelFunc
	done   chan error
	once   sync.Once
}

// startRun runs intake until the test ends or stop is called.
func startRun(t testing.TB, s Store, config kafka.Config, change ...func(*RunConfig)) *member {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{t: t, status: &Status{}, stop: cancel, done: make(chan error, 1)}
	c := RunConfig{
		Kafka: config, Topic: testTopic, Group: "assay", Owner: "test", Store: s, Now: time.Now, Status: m.status,
		SessionTimeout: 2 * time.Second, MetadataWatch: 300 * time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	go func() { m.done <- Run(ctx, c) }()
	t.Cleanup(func() { m.end() })
	return m
}

// end stops the member and fails the test unless it stops in time.
func (m *member) end() {
	m.once.Do(func() {
		start := time.Now()
		m.stop()
		select {
		case err := <-m.done:
			if err != nil {
				m.t.Errorf("Run: %v", err)
			}
			if took := time.Since(start); took > 2500*time.Millisecond {
				m.t.Errorf("Run took %v to end", took)
			}
		case <-time.After(15 * time.Second):
			m.t.Error("Run does not end")
		}
	})
}

func (m *member) snapshot() Snapshot { return m.status.Snapshot(time.Now()) }

func eventually(t testing.TB, within time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) < within {
		if ok() {
			return time.Since(start)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within %v: %s", within, what)
	return 0
}

// inbox returns how many events a store has, by id.
func inbox(t testing.TB, s *store.Store) map[string]int {
	t.Helper()
	rows, err := s.Unhandled(t.Context(), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, r := range rows {
		ids[r.Event.ID]++
	}
	return ids
}

func letters(t testing.TB, s *store.Store) []store.DeadLetter {
	t.Helper()
	all, err := s.DeadLetters(t.Context(), 100_000, 0)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// record returns a good event with the given id as a record.
func record(t testing.TB, id string, labels ...string) kafka.Record {
	t.Helper()
	e := analysis.Event{
		ID: id, Source: "/ci", Time: time.Now(), Phase: analysis.PhaseStarted, Mode: analysis.Live,
		Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0"},
	}
	if len(labels) > 0 {
		e.Labels = map[string]string{"note": strings.Join(labels, " ")}
		e.Time = time.Unix(1_800_000_000, 0)
	}
	m, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return recordOf(m)
}

func recordOf(m Message) kafka.Record {
	r := kafka.Record{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafka.Header(h))
	}
	return r
}

func records(t testing.TB, prefix string, n int) []kafka.Record {
	t.Helper()
	list := make([]kafka.Record, n)
	for i := range list {
		list[i] = record(t, fmt.Sprintf("%s-%d", prefix, i))
	}
	return list
}

// bench is a broker in memory with the topic of events, and a client to write to it.
func bench(t testing.TB, partitions int) (*kafka.Embedded, *kafka.Client) {
	t.Helper()
	broker := kafkatest.Start(t, kafkatest.Topic(testTopic, partitions))
	return broker, kafkatest.Connect(t, broker.Config())
}
