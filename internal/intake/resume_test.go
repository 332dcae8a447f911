package intake

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
)

// recreate deletes the topic of events and creates it anew.
func recreate(t *testing.T, config kafka.Config, partitions int) *kafka.Client {
	t.Helper()
	old := kafkatest.Connect(t, config)
	r, err := old.API().DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{testTopic}})
	if err != nil || r.Errors[testTopic] != nil {
		t.Fatal(r, err)
	}
	c := kafkatest.Connect(t, config) // without the memory of the old one
	if _, err := kafka.EnsureTopics(t.Context(), c, kafkatest.Topic(testTopic, partitions)); err != nil {
		t.Fatal(err)
	}
	return c
}

func awaitStopped(t *testing.T, m *member, partitions ...int) {
	t.Helper()
	eventually(t, 20*time.Second, "the partitions are stopped", func() bool {
		var stopped []int
		for _, p := range m.snapshot().Partitions {
			if p.Stopped {
				stopped = append(stopped, p.Partition)
			}
		}
		return len(stopped) == len(partitions) && (len(partitions) == 0 || stopped[0] == partitions[0])
	})
}

// F11: a topic that was created anew while nobody looked, and has grown past the
// stored offset since, is known by its id. A partition of which nothing was read
// needs no choice; of the others an operator rewinds one and skips the other.
func TestRunTopicRecreatedWhileDown(t *testing.T) {
	broker, c := bench(t, 3)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	for p := range 2 {
		kafkatest.Send(t, c, testTopic, p, records(t, "old-"+string(rune('a'+p)), 3)...)
	}
	eventually(t, 10*time.Second, "the old events", func() bool { return len(inbox(t, s)) == 6 })
	m.end()

	c = recreate(t, broker.Config(), 3)
	for p := range 3 {
		kafkatest.Send(t, c, testTopic, p, records(t, "new-"+string(rune('a'+p)), 10)...)
	}
	m = startRun(t, s, broker.Config())
	awaitStopped(t, m, 0, 1)
	eventually(t, 10*time.Second, "the partition of which nothing was read", func() bool { return len(inbox(t, s)) == 6+10 })
	st := m.snapshot()
	if st.State != Down || !strings.Contains(st.LastError, "recreated") || !strings.Contains(st.LastError, "assay ingest resume") {
		t.Errorf("state %s: %s", st.State, st.LastError)
	}
	for _, p := range st.Partitions[:2] {
		if p.Next != 3 {
			t.Errorf("partition %d is shown at %d, want 3", p.Partition, p.Next)
		}
	}

	// What cannot be chosen is refused.
	one, two, three := 0, 1, 2
	for _, c := range []struct {
		choice Choice
		err    error
	}{
		{Choice{Partition: &three, From: FromFirst}, ErrNotStopped},
		{Choice{Partition: &one, From: 11}, ErrNoOffset},
	} {
		if resumed, err := Resume(t.Context(), broker.Config(), s, m.snapshot(), c.choice, time.Now()); !errors.Is(err, c.err) || len(resumed) > 0 {
			t.Errorf("%+v: %v, %v; want %v", c.choice, resumed, err, c.err)
		}
	}
	if n := len(inbox(t, s)); n != 16 {
		t.Errorf("%d events after what was refused, want 16", n)
	}

	rewound, err := Resume(t.Context(), broker.Config(), s, m.snapshot(), Choice{Partition: &one, From: FromFirst, By: "anna", Reason: "copied back"}, time.Now())
	if err != nil || len(rewound) != 1 || rewound[0] != (Resumed{Partition: 0, Was: 3, Next: 0}) {
		t.Fatal(rewound, err)
	}
	eventually(t, 10*time.Second, "the rewound partition from its beginning", func() bool { return len(inbox(t, s)) == 26 })
	awaitStopped(t, m, 1)
	skipped, err := Resume(t.Context(), broker.Config(), s, m.snapshot(), Choice{Partition: &two, From: FromEnd, By: "anna"}, time.Now())
	if err != nil || len(skipped) != 1 || skipped[0] != (Resumed{Partition: 1, Was: 3, Next: 10}) {
		t.Fatal(skipped, err)
	}
	kafkatest.Send(t, c, testTopic, 1, record(t, "after-the-skip"))
	eventually(t, 10*time.Second, "what comes after the skip", func() bool { return inbox(t, s)["after-the-skip"] == 1 && m.snapshot().State == OK })
	if n := len(inbox(t, s)); n != 27 {
		t.Errorf("%d events, want 27: the skipped ones are not read", n)
	}
	audited(t, s, map[string]string{"t/0": "anna", "t/1": "anna", "t/2": "assay"})
}

// audited checks who resumed which partition.
func audited(t *testing.T, s *store.Store, want map[string]string) {
	t.Helper()
	entries, err := s.Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Action != "ingest.resumed" {
			continue
		}
		subject := strings.Replace(e.Subject, testTopic, "t", 1)
		if want[subject] != e.Actor || !json.Valid(e.Body) {
			t.Errorf("audit: %s by %s: %s", e.Subject, e.Actor, e.Body)
		}
		delete(want, subject)
	}
	if len(want) > 0 {
		t.Errorf("no audit entry for %v", want)
	}
}

// F11: the same while intake runs. It stops within the metadata watch's time.
func TestRunTopicRecreatedWhileRunning(t *testing.T) {
	for _, alone := range []bool{false, true} {
		broker, c := bench(t, 1)
		s := openStore(t)
		m := startRun(t, s, broker.Config(), func(c *RunConfig) { c.Alone = alone })
		kafkatest.Send(t, c, testTopic, 0, records(t, "old", 3)...)
		eventually(t, 10*time.Second, "the old events", func() bool { return len(inbox(t, s)) == 3 })
		c = recreate(t, broker.Config(), 1)
		kafkatest.Send(t, c, testTopic, 0, records(t, "new", 2)...)
		awaitStopped(t, m, 0)
		if n := len(inbox(t, s)); n != 3 {
			t.Errorf("alone %v: %d events in the inbox, want the 3 old ones", alone, n)
		}
		if _, err := Resume(t.Context(), broker.Config(), s, m.snapshot(), Choice{From: FromFirst, By: "anna"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the new events", func() bool { return len(inbox(t, s)) == 5 && m.snapshot().State == OK })
		m.end()
	}
}
