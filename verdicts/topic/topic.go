// Package topic delivers verdicts to a Kafka topic: each as a CDEvent in a
// CloudEvent in binary mode, keyed by environment, namespace and service, so that
// the records of a service stay in order.
//
// [Build] makes the record; it is pure, and what it makes is kept in the outbox, so
// every delivery of a verdict is the same bytes under the same id. Publish writes
// one record and returns when all replicas have it. Delivery is at least once:
// receivers drop what they have by ce_id, the verdict's id, and order the records
// of one validation by ce_sequence. The topic of dead letters is written by a Sink
// too, with records that internal/intake makes.
//
// This package does not decide, keeps nothing and does not retry for ever: the
// outbox does. Kafka transactions are not used (kafka-go has none).
package topic

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/verdicts"
)

// A Config says where to deliver.
type Config struct {
	Kafka kafka.Config
	Topic string // empty: kafka.TopicVerdicts
}

// A Sink writes to one topic. It is safe for concurrent use.
type Sink struct {
	client *kafka.Client
	writer *kafkago.Writer
}

// Open prepares the sink; it makes no connection yet.
func Open(c Config) (*Sink, error) {
	if c.Topic == "" {
		c.Topic = kafka.TopicVerdicts
	}
	client, err := kafka.Connect(c.Kafka)
	if err != nil {
		return nil, err
	}
	return &Sink{client, client.Writer(c.Topic)}, nil
}

// Name implements verdicts.Sink.
func (s *Sink) Name() string { return "kafka:" + s.writer.Topic }

// Publish implements verdicts.Sink. What the broker refuses for its size is
// permanent; all else is temporary, also a missing permission, which somebody will
// grant. A write that ctx interrupts may still arrive (P19).
func (s *Sink) Publish(ctx context.Context, m verdicts.Message) error {
	if m.ID == "" {
		return verdicts.Permanent(errors.New("a message without id"))
	}
	if len(m.Payload) > kafka.MaxWrite {
		return verdicts.Permanent(fmt.Errorf("topic %s: message %s has %d bytes, at most %d are written", s.writer.Topic, m.ID, len(m.Payload), kafka.MaxWrite))
	}
	record := kafkago.Message{Key: []byte(m.Key), Value: m.Payload}
	if m.ContentType != "" && !has(m.Headers, "content-type") {
		record.Headers = append(record.Headers, kafkago.Header{Key: "content-type", Value: []byte(m.ContentType)})
	}
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	err := s.writer.WriteMessages(ctx, record)
	if err == nil {
		return nil
	}
	var each kafkago.WriteErrors // of one message
	if errors.As(err, &each) && len(each) == 1 {
		err = each[0]
	}
	var large kafkago.MessageTooLargeError
	refused := errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge) || errors.As(err, &large)
	if err = fmt.Errorf("topic %s: %w", s.writer.Topic, err); refused {
		return verdicts.Permanent(err)
	}
	return err
}

// has reports whether there is such a header: a dead letter brings its own content
// type, and two would be refused by whoever replays it.
func has(headers []verdicts.Header, key string) bool {
	for _, h := range headers {
		if h.Key == key {
			return true
		}
	}
	return false
}

// Close ends the connections. No Publish may be under way.
func (s *Sink) Close() error {
	err := s.writer.Close()
	s.client.Close()
	return err
}
