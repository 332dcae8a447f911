package kafka_test

import (
	"errors"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// A topic that is deleted and created anew has another id.
func TestTopicID(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic("first", 3), kafkatest.Topic("second", 1))
	c := kafkatest.Connect(t, broker.Config())
	id := func(topic string) string {
		t.Helper()
		id, err := c.TopicID(t.Context(), topic)
		if err != nil || len(id) != 22 {
			t.Fatalf("topic %s has the id %q, %v", topic, id, err)
		}
		return id
	}
	first := id("first")
	if again := id("first"); again != first {
		t.Errorf("asked twice: %s and %s", first, again)
	}
	if second := id("second"); second == first {
		t.Errorf("two topics have the id %s", first)
	}
	if id, err := c.TopicID(t.Context(), "third"); !errors.Is(err, kafkago.UnknownTopicOrPartition) {
		t.Errorf("a topic that does not exist has the id %q, %v", id, err)
	}
	r, err := c.API().DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{"first"}})
	if err != nil || r.Errors["first"] != nil {
		t.Fatal(r, err)
	}
	fresh := kafkatest.Connect(t, broker.Config()) // the first one still believes in the old topic
	if _, err := kafka.EnsureTopics(t.Context(), fresh, kafkatest.Topic("first", 3)); err != nil {
		t.Fatal(err)
	}
	if anew := id("first"); anew == first {
		t.Errorf("created anew, the topic has its old id %s", anew)
	}
}

func TestTopicIDOfNobody(t *testing.T) {
	c := kafkatest.Connect(t, kafka.Config{Brokers: []string{"127.0.0.1:1"}})
	if id, err := c.TopicID(t.Context(), "first"); err == nil {
		t.Errorf("without a broker the id is %q", id)
	}
}
