package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/verdicts"
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
			Addr: s.config.Listeners.Kafka, DataDir: filepath.Join(s.config.DataDir, "kafka"), SyncWrites: s.syncWrites, Topics: topics(s.config),
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
	for _, sink := range s.config.Sinks {
		opened, err := topic.Open(topic.Config{Kafka: s.kafka, Topic: sink.Topic})
		if err != nil {
			return usage(err)
		}
		s.sinks = append(s.sinks, opened)
		s.publish.Sinks = append(s.publish.Sinks, opened)
	}
	return nil
}

func (s *server) closeKafka() {
	for _, sink := range s.sinks {
		if err := sink.Close(); err != nil {
			s.log.Warn("close the verdict topic", "error", err)
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
	for _, sink := range c.Sinks {
		add(kafka.TopicVerdicts, sink.Topic)
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

// sessionTimeout is the shortest that a broker allows by default. A broker that was
// killed waits so long, once it is back, for the member that it knew before.
const sessionTimeout = 6 * time.Second

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
		Store: s.store, Now: s.now, Status: s.intake, Log: s.log, Embedded: s.broker != nil, SessionTimeout: sessionTimeout,
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

// receive serves OTLP until ctx ends.
func (s *server) receive(ctx context.Context) error {
	if s.otlp == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := s.otlp.Run(ctx); err != nil {
		return internal(err)
	}
	return ctx.Err()
}

// listenOTLP opens the receivers' addresses before anything is started.
func (s *server) listenOTLP(ctx context.Context) error {
	if s.otlp == nil {
		return nil
	}
	err := s.otlp.Listen(ctx)
	var taken *otlp.ListenError
	if errors.As(err, &taken) {
		return flagError(err, taken.Address, "--otlp-"+taken.Protocol)
	}
	return err
}

// accept takes an event that came over HTTP.
func (s *server) accept(ctx context.Context, header http.Header, body []byte) (httpapi.EventAnswer, error) {
	a, err := intake.Accepter{Store: s.store}.AcceptHTTP(ctx, header, body, s.now())
	if err != nil {
		return httpapi.EventAnswer{}, err
	}
	s.metrics.Posted(a.Outcome)
	answer := httpapi.EventAnswer{Outcome: a.Outcome, DeploymentID: a.DeploymentID}
	if a.Rejection != nil {
		answer.Reason, answer.Error = string(a.Rejection.Reason), a.Rejection.Error()
	}
	return answer, nil
}

// part is one part of the process as status shows it.
type part struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // embedded, external or not configured
	Where  string `json:"where,omitempty"`
	State  string `json:"state"`
	Detail any    `json:"detail,omitempty"`
}

// status is the answer of /v1/status.
type status struct {
	Version     string           `json:"version"`
	StartedAt   time.Time        `json:"startedAt"`
	Parts       []part           `json:"parts"`
	Open        int              `json:"openValidations"`
	DeadLetters map[string]int64 `json:"deadLetters"`
	Outbox      any              `json:"outbox"`
	Gaps        any              `json:"gaps"`
}

func (s *server) status(ctx context.Context) status {
	out := status{Version: version, StartedAt: s.started}
	s.mu.Lock()
	out.Open = s.runner.OpenCount()
	s.mu.Unlock()
	storeState := "ok"
	if err := s.store.Ping(ctx); err != nil {
		storeState = verdicts.Line(err.Error())
	}
	out.Parts = append(out.Parts, part{Name: "store", Kind: "embedded", Where: s.store.Path(), State: storeState})
	events := part{Name: "kafka", Kind: "not configured", State: "off"}
	if len(s.kafka.Brokers) > 0 {
		snapshot := s.intake.Snapshot(s.now())
		events = part{Name: "kafka", Kind: "external", Where: strings.Join(s.kafka.Brokers, ","), State: string(snapshot.State), Detail: snapshot}
		if s.broker != nil {
			events.Kind = "embedded"
		}
	}
	out.Parts = append(out.Parts, events)
	if s.otlp != nil {
		out.Parts = append(out.Parts, part{Name: "otlp", Kind: "embedded", Where: strings.TrimSpace(s.otlp.GRPCAddr() + " " + s.otlp.HTTPAddr()), State: "ok", Detail: s.otlp.Stats()})
	}
	for _, name := range s.config.Sources.Names(config.KindPrometheus) {
		out.Parts = append(out.Parts, part{Name: name, Kind: "external", State: s.sourceState(ctx, name)})
	}
	var err error
	if out.DeadLetters, err = s.store.CountDeadLetters(ctx); err != nil {
		s.log.Warn("status: dead letters", "error", err)
	}
	if out.Outbox, err = s.store.CountOutbox(ctx); err != nil {
		s.log.Warn("status: outbox", "error", err)
	}
	if out.Gaps, err = s.store.Gaps(ctx); err != nil {
		s.log.Warn("status: gaps", "error", err)
	}
	return out
}

// ready lists what keeps the process from doing its work.
func (s *server) ready(ctx context.Context) []string {
	var missing []string
	if err := s.store.Ping(ctx); err != nil {
		missing = append(missing, "store="+verdicts.Line(err.Error()))
	}
	if len(s.kafka.Brokers) > 0 {
		if snapshot := s.intake.Snapshot(s.now()); snapshot.State != intake.OK {
			missing = append(missing, fmt.Sprintf("ingest=%s %s", snapshot.State, verdicts.Line(snapshot.LastError)))
		}
	}
	return missing
}
