package intake

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
)

// F10: what retention took is told, and intake goes on.
func TestRunGap(t *testing.T) {
	broker, c := bench(t, 1)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	kafkatest.Send(t, c, testTopic, 0, records(t, "a", 3)...)
	eventually(t, 10*time.Second, "the first events", func() bool { return len(inbox(t, s)) == 3 })
	m.end()
	kafkatest.Send(t, c, testTopic, 0, records(t, "lost", 4)...)
	kafkatest.Send(t, c, testTopic, 0, records(t, "b", 2)...)
	deleteRecords(t, broker.Addr(), testTopic, 0, 7)

	m = startRun(t, s, broker.Config())
	eventually(t, 10*time.Second, "the events behind the gap", func() bool { return len(inbox(t, s)) == 5 })
	gaps, err := s.Gaps(t.Context())
	if err != nil || len(gaps) != 1 || gaps[0].From != 3 || gaps[0].To != 7 || gaps[0].Topic != testTopic {
		t.Errorf("gaps %+v, %v; want 3 to 7", gaps, err)
	}
	if n := m.snapshot().Counts.Gaps; n != 4 {
		t.Errorf("%d offsets are counted as gone, want 4", n)
	}
}

func deleteRecords(t *testing.T, addr, topic string, partition int32, before int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 5000
	request.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
	resp, err := request.RequestWith(t.Context(), cl)
	if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
}

// F17: a topic that is created later and partitions that are added are picked up.
func TestRunTopicGrows(t *testing.T) {
	broker := kafkatest.Start(t)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	eventually(t, 10*time.Second, "it says that there is no topic", func() bool {
		st := m.snapshot()
		return st.State == Down && strings.Contains(st.LastError, "does not exist")
	})
	c := kafkatest.Connect(t, broker.Config())
	if _, err := kafka.EnsureTopics(t.Context(), c, kafkatest.Topic(testTopic, 1)); err != nil {
		t.Fatal(err)
	}
	kafkatest.Send(t, c, testTopic, 0, record(t, "one"))
	eventually(t, 20*time.Second, "the event in the new topic", func() bool { return inbox(t, s)["one"] == 1 })

	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.TimeoutMillis = 5000
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: testTopic, Count: 3}}
	if resp, err := grow.RequestWith(t.Context(), cl); err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
	p := kafkatest.Connect(t, broker.Config()) // with fresh metadata
	kafkatest.Send(t, p, testTopic, 2, record(t, "two"))
	took := eventually(t, 20*time.Second, "the event in the new partition", func() bool { return inbox(t, s)["two"] == 1 })
	t.Logf("picked up after %v", took)
}

// F11: a log that ends before the stored offset stops its partition, and only it,
// until an operator has chosen.
func TestRunTopicRecreated(t *testing.T) {
	broker, c := bench(t, 2)
	s := openStore(t)
	for p := range 2 {
		if err := s.ResetPartition(t.Context(), store.Reset{
			Topic: testTopic, Partition: p, NextOffset: int64(100 * (1 - p)), Now: time.Now(),
			Audit: store.AuditEntry{At: time.Now(), Actor: "test", Action: "reset", Subject: "t"},
		}); err != nil {
			t.Fatal(err)
		}
		kafkatest.Send(t, c, testTopic, p, records(t, fmt.Sprint("p", p), 3)...)
	}
	m := startRun(t, s, broker.Config())
	eventually(t, 20*time.Second, "partition 0 is stopped", func() bool {
		st := m.snapshot()
		return len(st.Partitions) == 2 && st.Partitions[0].Stopped && st.State == Down
	})
	eventually(t, 5*time.Second, "partition 1 is read", func() bool { return len(inbox(t, s)) == 3 })
	if text := m.snapshot().LastError; !strings.Contains(text, "0 up to 3 and is not the one that was read up to 100") {
		t.Errorf("last error %q", text)
	}
	err := s.ResetPartition(t.Context(), store.Reset{
		Topic: testTopic, Partition: 0, NextOffset: 1, Now: time.Now(),
		Audit: store.AuditEntry{At: time.Now(), Actor: "operator", Action: "reset", Subject: "t"},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "it goes on where the operator said", func() bool { return len(inbox(t, s)) == 5 && m.snapshot().State == OK })
}

// F11 in disguise: the topic was created anew while the broker was away, and has
// grown past the stored offset since. Its last record gives it away.
func TestRunTopicRecreatedAndGrown(t *testing.T) {
	broker, c := bench(t, 1)
	addr := broker.Addr()
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	kafkatest.Send(t, c, testTopic, 0, records(t, "old", 3)...)
	eventually(t, 10*time.Second, "the old events", func() bool { return len(inbox(t, s)) == 3 })
	broker.Close()
	eventually(t, 20*time.Second, "the outage is noticed", func() bool { return m.snapshot().State == Down })

	// The new one serves elsewhere first, so that it has grown when intake sees it.
	dir := t.TempDir()
	other, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: "127.0.0.1:0", DataDir: dir, Topics: []kafka.Topic{kafkatest.Topic(testTopic, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.Connect(other.Config())
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.Send(t, client, testTopic, 0, records(t, "new", 7)...)
	client.Close()
	other.Close()
	other, err = kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: addr, DataDir: dir, Topics: []kafka.Topic{}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	eventually(t, 30*time.Second, "the partition is stopped", func() bool {
		st := m.snapshot()
		return len(st.Partitions) == 1 && st.Partitions[0].Stopped
	})
	if n := len(inbox(t, s)); n != 3 {
		t.Errorf("%d events in the inbox, want the 3 old ones: half of a new topic is worse than none", n)
	}
	m.end()
}

func TestRunEmbeddedStartsOver(t *testing.T) {
	broker, c := bench(t, 1)
	s := openStore(t)
	if err := s.ResetPartition(t.Context(), store.Reset{
		Topic: testTopic, NextOffset: 100, Now: time.Now(),
		Audit: store.AuditEntry{At: time.Now(), Actor: "test", Action: "reset", Subject: "t"},
	}); err != nil {
		t.Fatal(err)
	}
	kafkatest.Send(t, c, testTopic, 0, records(t, "e", 3)...)
	m := startRun(t, s, broker.Config(), func(c *RunConfig) { c.Embedded = true })
	eventually(t, 10*time.Second, "all events", func() bool { return len(inbox(t, s)) == 3 })
	eventually(t, 5*time.Second, "all is well", func() bool { return m.snapshot().State == OK })
}
