package main

import (
	"context"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/instrument"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/sources/otlp"
)

// telemetryTopics are the topics of telemetry as the embedded broker makes them. With
// brokers of your own they are the Collector's, and are not created here.
func telemetryTopics(c config.Config) (topics []kafka.Topic) {
	t := c.Kafka.Topics.OTLP
	for _, name := range []string{t.Spans, t.Logs, t.Metrics} {
		if name != "" {
			topics = append(topics, kafka.Topic{Name: name, Partitions: 6, MaxMessage: 2 << 20, Retention: 6 * time.Hour})
		}
	}
	return topics
}

// otlpTopics are the topics of telemetry that the process file names.
func (s *server) otlpTopics() otlp.TopicsConfig {
	t := s.config.Kafka.Topics.OTLP
	c := otlp.TopicsConfig{
		Kafka: s.kafka, Spans: t.Spans, Logs: t.Logs, Metrics: t.Metrics,
		Group: s.config.Kafka.Group + "-otlp", From: s.telemetryFrom, Now: s.now, Log: s.log,
	}
	if s.broker != nil {
		c.Group = "" // nobody else has this broker, and a restart need not wait for the session of the process before
	}
	return c
}

// telemetryFrom is the time from which telemetry is still needed, as far as it is kept.
func (s *server) telemetryFrom() time.Time {
	s.mu.Lock()
	from := s.runner.NeededFrom()
	s.mu.Unlock()
	if kept := s.now().Add(-s.otlp.Retention()); !from.IsZero() && from.Before(kept) {
		return kept
	}
	return from
}

// readTopics reads telemetry from Kafka until ctx ends.
func (s *server) readTopics(ctx context.Context) error {
	c := s.otlpTopics()
	if s.otlp == nil || len(s.kafka.Brokers) == 0 || len(c.Topics()) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := s.otlp.ReadTopics(ctx, c, &s.topics); err != nil {
		return internal(err)
	}
	return ctx.Err()
}

// otlpTopicsPart is how reading telemetry from Kafka goes, for status; false where no
// topic is named.
func (s *server) otlpTopicsPart() (part, bool) {
	c := s.otlpTopics()
	if s.otlp == nil || len(s.kafka.Brokers) == 0 || len(c.Topics()) == 0 {
		return part{}, false
	}
	snapshot := s.topics.Snapshot()
	p := part{Name: "otlp topics", Kind: external, State: string(snapshot.State), Detail: snapshot}
	if s.broker != nil {
		p.Kind = embedded
	}
	if snapshot.State == otlp.TopicsReading {
		p.State = "ok"
	}
	for _, topic := range snapshot.Topics {
		if topic.Error != "" && p.State == "ok" {
			p.State = topic.Error
		}
	}
	if snapshot.Error != "" {
		p.State = snapshot.Error
	}
	return p, true
}

// topicCounts is what reading telemetry from Kafka counts.
func (s *server) topicCounts() (topics []instrument.OTLPTopic) {
	for _, t := range s.topics.Snapshot().Topics {
		topics = append(topics, instrument.OTLPTopic{Topic: t.Topic, Lag: t.Lag, Records: map[string]uint64{
			"taken": t.Records, "empty": t.Empty, "refused": t.Refused, "bad_batch": t.BadBatches, "lost": t.Lost,
		}})
	}
	return topics
}
