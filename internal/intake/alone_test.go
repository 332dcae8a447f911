package intake

import (
	"context"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

func alone(c *RunConfig) { c.Alone = true }

// A process that has its store alone reads every partition although its group has a
// member that does not answer, as one that was killed leaves it behind; it goes on
// from the store, and tells the group's offsets once the group is empty.
func TestRunAloneWaitsForNobody(t *testing.T) {
	broker, c := bench(t, 3)
	dead, err := c.Group(kafka.GroupOptions{ID: "assay", Topics: []string{testTopic}, SessionTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := openStore(t)
	m := startRun(t, s, broker.Config(), alone)
	for p := range 3 {
		kafkatest.Send(t, c, testTopic, p, records(t, string(rune('a'+p)), 5)...)
	}
	took := eventually(t, 10*time.Second, "the events of all partitions", func() bool { return len(inbox(t, s)) == 15 })
	if took > 5*time.Second {
		t.Errorf("the first events were read after %v: it waited for the dead member", took)
	}
	eventually(t, 5*time.Second, "it is well", func() bool { st := m.snapshot(); return st.State == OK && len(st.Assigned) == 3 })
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "Kafka knows how far each partition was read", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		told, err := c.API().OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: "assay", Topics: map[string][]int{testTopic: {0, 1, 2}}})
		if err != nil {
			return false
		}
		for _, p := range told.Topics[testTopic] {
			if p.CommittedOffset != 5 {
				return false
			}
		}
		return len(told.Topics[testTopic]) == 3
	})
	m.end()

	kafkatest.Send(t, c, testTopic, 1, record(t, "later"))
	m = startRun(t, s, broker.Config(), alone)
	eventually(t, 10*time.Second, "the event that came meanwhile", func() bool { return inbox(t, s)["later"] == 1 })
	if n := m.snapshot().Counts; n.Accepted != 1 || n.Duplicates != 0 {
		t.Errorf("after the restart: %+v", n)
	}
}

// A topic that is created after the start is read within a second or two.
func TestRunAloneFindsItsTopic(t *testing.T) {
	broker := kafkatest.Start(t)
	s := openStore(t)
	m := startRun(t, s, broker.Config(), alone, func(c *RunConfig) { c.MetadataWatch = time.Minute })
	eventually(t, 10*time.Second, "it says that there is no topic", func() bool { return m.snapshot().State == Down })
	c := kafkatest.Connect(t, broker.Config())
	if _, err := kafka.EnsureTopics(t.Context(), c, kafkatest.Topic(testTopic, 2)); err != nil {
		t.Fatal(err)
	}
	kafkatest.Send(t, c, testTopic, 1, record(t, "one"))
	took := eventually(t, 10*time.Second, "the event in the new topic", func() bool { return inbox(t, s)["one"] == 1 })
	t.Logf("picked up after %v", took.Round(time.Millisecond))
	eventually(t, 5*time.Second, "it is well", func() bool { return m.snapshot().State == OK })
}
