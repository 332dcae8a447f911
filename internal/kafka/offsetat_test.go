package kafka_test

import (
	"testing"
	"time"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// TestOffsetAt: the first record that is not older, or the end.
func TestOffsetAt(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic("times", 2))
	client := kafkatest.Connect(t, broker.Config())
	at := func(partition int, when time.Time) int64 {
		t.Helper()
		offset, err := client.OffsetAt(t.Context(), "times", partition, when)
		if err != nil {
			t.Fatal(err)
		}
		return offset
	}
	began := time.Now()
	kafkatest.Send(t, client, "times", 0, kafka.Record{Value: []byte("a")}, kafka.Record{Value: []byte("b")})
	time.Sleep(20 * time.Millisecond)
	between := time.Now()
	time.Sleep(20 * time.Millisecond)
	kafkatest.Send(t, client, "times", 0, kafka.Record{Value: []byte("c")})
	for _, test := range []struct {
		when time.Time
		want int64
	}{{began.Add(-time.Hour), 0}, {between, 2}, {time.Now().Add(time.Hour), 3}} {
		if got := at(0, test.when); got != test.want {
			t.Errorf("at %v: offset %d, want %d", test.when.Sub(began), got, test.want)
		}
	}
	if got := at(1, began); got != 0 {
		t.Errorf("of an empty partition: %d", got)
	}
	if _, err := client.OffsetAt(t.Context(), "times", 9, began); err == nil {
		t.Error("no error of a partition that does not exist")
	}
}
