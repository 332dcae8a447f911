package intake

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/release-assay/assay/internal/kafka"
)

// F13: the leader of a partition moves from broker to broker while events come.
// None is lost, none is there twice, and the first event behind each move is served
// within ten seconds.
func TestRunLeaderMoves(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, testTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(testTopic), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	s := openStore(t)
	m := startRun(t, s, kafka.Config{Brokers: cluster.ListenAddrs()}, func(c *RunConfig) { c.Alone = true })
	sent := 0
	for move := range 6 {
		for range 20 {
			sent++
			r := record(t, fmt.Sprintf("e-%d", sent))
			message := &kgo.Record{Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				message.Headers = append(message.Headers, kgo.RecordHeader(h))
			}
			if err := producer.ProduceSync(t.Context(), message).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		took := eventually(t, 10*time.Second, "the events behind the move", func() bool { return len(inbox(t, s)) == sent })
		t.Logf("move %d: read after %v", move, took.Round(time.Millisecond))
		if err := cluster.MoveTopicPartition(testTopic, 0, int32(move%3)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 5*time.Second, "all are counted", func() bool { return m.snapshot().Counts.Accepted == int64(sent) })
	if n := m.snapshot().Counts; n.Duplicates != 0 || n.Gaps != 0 || len(letters(t, s)) != 0 {
		t.Errorf("counts %+v, %d dead letters", n, len(letters(t, s)))
	}
}
