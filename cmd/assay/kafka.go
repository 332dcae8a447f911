package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/verdicts/topic"
)

// openKafka starts the embedded broker where no brokers are configured, and opens
// the sink of verdicts. External brokers that do not answer are found out later,
// by status. A listener "off" is an Assay without Kafka: events come over HTTP.
func (s *server) openKafka(ctx context.Context) error {
	s.publish = &validation.Publisher{Store: s.store, Passed: killAt()}
	if s.config.Kafka.Embedded() && s.config.Listeners.Kafka == config.Off {
		return nil
	}
	if s.config.Kafka.Embedded() {
		broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{
			Addr: s.config.Listeners.Kafka, DataDir: filepath.Join(s.config.DataDir, "kafka"), SyncWrites: s.syncWrites, Topics: append(topics(s.config), telemetryTopics(s.config)...),
		})
		var taken *kafka.AddrError
		if errors.As(err, &taken) {
			return flagError(err, taken.Addr, "--kafka")
		}
		if err != nil {
			return internal(err)
		}
		s.broker = broker
		s.kafka = broker.Config()
	} else {
		s.kafka = kafkaConfig(s.config.Kafka)
		if err := s.kafka.Validate(); err != nil {
			return usage(err)
		}
	}
	for _, name := range s.config.KafkaTopics() {
		opened, err := topic.Open(topic.Config{Kafka: s.kafka, Topic: name})
		if err != nil {
			return usage(err)
		}
		s.sinks = append(s.sinks, opened)
		s.publish.Sinks = append(s.publish.Sinks, opened)
	}
	return s.openLetters()
}

// openLetters feeds the topic of dead letters, after the verdicts.
func (s *server) openLetters() (err error) {
	s.letters, err = topic.Open(topic.Config{Kafka: s.kafka, Topic: s.config.Kafka.Topics.DeadLetters})
	if err != nil {
		return usage(err)
	}
	s.publish.Sinks = append(s.publish.Sinks, s.letters)
	s.store.ForwardDeadLetters(intake.ForwardTo(s.letters.Name()))
	return nil
}

func (s *server) closeKafka() {
	for _, sink := range s.sinks {
		if err := sink.Close(); err != nil {
			s.log.Warn("close the verdict topic", "error", err)
		}
	}
	if s.letters != nil {
		if err := s.letters.Close(); err != nil {
			s.log.Warn("close the topic of dead letters", "error", err)
		}
	}
	if s.broker != nil {
		s.broker.Close()
	}
}

// kafkaConfig translates the process file's words into those of internal/kafka.
func kafkaConfig(c config.Kafka) kafka.Config {
	out := kafka.Config{Brokers: c.Brokers}
	if t := c.TLS; t != nil {
		out.TLS = &kafka.TLS{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName}
	}
	if a := c.SASL; a != nil {
		out.SASL = &kafka.SASL{Mechanism: strings.ToLower(string(a.Mechanism)), Username: a.Username, Password: string(a.Password)}
	}
	return out
}

// topics are the topics that the process file names, each as Assay needs it.
func topics(c config.Config) []kafka.Topic {
	var out []kafka.Topic
	add := func(contract, name string) {
		for _, t := range kafka.Topics {
			if t.Name == contract {
				t.Name = name
				out = append(out, t)
			}
		}
	}
	add(kafka.TopicDeployments, c.Kafka.Topics.Deployments)
	add(kafka.TopicDeadLetters, c.Kafka.Topics.DeadLetters)
	for _, name := range c.KafkaTopics() {
		add(kafka.TopicVerdicts, name)
	}
	return out
}

// kafkaWords says which Kafka is used.
func (s *server) kafkaWords() string {
	switch {
	case s.broker != nil:
		return "embedded at " + s.broker.Addr() + " (single node, no replication)"
	case len(s.kafka.Brokers) > 0:
		return "external: " + strings.Join(s.kafka.Brokers, ",")
	}
	return "none: events over HTTP only"
}

// consume reads deployment events until ctx ends.
func (s *server) consume(ctx context.Context) error {
	if len(s.kafka.Brokers) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	var ensuring sync.WaitGroup
	ensuring.Go(func() { s.ensureTopics(ctx) })
	defer ensuring.Wait()
	host, err := os.Hostname()
	if err != nil {
		host = "assay"
	}
	err = intake.Run(ctx, intake.RunConfig{
		Kafka: s.kafka, Topic: s.config.Kafka.Topics.Deployments, Group: s.config.Kafka.Group, Owner: fmt.Sprintf("%s-%d", host, os.Getpid()),
		Store: s.store, Now: s.now, Status: s.intake, Log: s.log, Embedded: s.broker != nil,
		Alone: true, // the store is a file that this process has locked
	})
	if err != nil {
		return internal(err)
	}
	return ctx.Err()
}

// ensureTopics creates the topics of an external cluster, trying until it answers.
func (s *server) ensureTopics(ctx context.Context) {
	if s.broker != nil {
		return // it has them from the start
	}
	for ctx.Err() == nil {
		client, err := kafka.Connect(s.kafka)
		if err == nil {
			var deviations []string
			deviations, err = kafka.EnsureTopics(ctx, client, topics(s.config)...)
			client.Close()
			for _, d := range deviations {
				s.log.Warn("a topic is not as Assay needs it", "topic", d)
			}
		}
		if err == nil {
			return
		}
		s.log.Warn("topics could not be checked, trying again", "error", err)
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}
	}
}
