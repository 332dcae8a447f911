// Package topic delivers verdicts to a Kafka topic: each as a CDEvent in a
// CloudEvent in binary mode, keyed by environment, namespace and service, so that
// the records of a service stay in order.
//
// Build makes the record; it is pure, and what it makes is kept in the outbox, so
// every delivery of a verdict is the same bytes under the same id. Publish writes
// one record and returns when all replicas have it. Delivery is at least once:
// receivers drop what they have by ce_id, the verdict's id.
//
// This package does not decide, keeps nothing and does not retry for ever: the
// outbox does.
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

// Publish implements verdicts.Sink.
func (s *Sink) Publish(ctx context.Context, m verdicts.Message) error {
	record := kafkago.Message{Key: []byte(m.Key), Value: m.Payload, Headers: []kafkago.Header{{Key: "content-type", Value: []byte(m.ContentType)}}}
	for _, h := range m.Headers {
		record.Headers = append(record.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	if err := s.writer.WriteMessages(ctx, record); err != nil {
		return fmt.Errorf("topic %s: %w", s.writer.Topic, err)
	}
	return nil
}

// Close ends the connections.
func (s *Sink) Close() error {
	err := s.writer.Close()
	s.client.Close()
	return errors.Join(err)
}
