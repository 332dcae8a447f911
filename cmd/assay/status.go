package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/verdicts"
)

// The kinds of a part.
const (
	embedded      = "embedded"
	external      = "external"
	notConfigured = "not configured"
)

// part is one part of the process as status and doctor show it.
type part struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
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
	out.Parts = append(out.Parts, part{Name: "store", Kind: embedded, Where: s.store.Path(), State: storeState})
	events := part{Name: "kafka", Kind: notConfigured, State: "off"}
	if len(s.kafka.Brokers) > 0 {
		snapshot := s.intake.Snapshot(s.now())
		events = part{Name: "kafka", Kind: external, Where: strings.Join(s.kafka.Brokers, ","), State: string(snapshot.State), Detail: snapshot}
		if s.broker != nil {
			events.Kind = embedded
		}
	}
	out.Parts = append(out.Parts, events)
	if s.otlp != nil {
		out.Parts = append(out.Parts, part{Name: "otlp", Kind: embedded, Where: strings.TrimSpace(s.otlp.GRPCAddr() + " " + s.otlp.HTTPAddr()), State: "ok", Detail: s.otlp.Stats()})
	}
	if p, ok := s.otlpTopicsPart(); ok {
		out.Parts = append(out.Parts, p)
	}
	for _, name := range s.config.Sources.Names(config.KindPrometheus) {
		out.Parts = append(out.Parts, part{Name: name, Kind: external, State: s.sourceState(ctx, name)})
	}
	var err error
	if out.DeadLetters, err = s.store.CountDeadLetters(ctx); err != nil {
		s.log.Warn("status: dead letters", "error", err)
	}
	if out.Outbox, err = s.store.CountOutbox(ctx); err != nil {
		s.log.Warn("status: outbox", "error", err)
	}
	if out.Gaps, err = s.gaps(ctx); err != nil {
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

// sourceState asks a source something small and says how it answers.
func (s *server) sourceState(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	prober, ok := s.table[name].(interface{ Probe(context.Context) error })
	if !ok {
		return "not probed"
	}
	if err := prober.Probe(ctx); err != nil {
		return "down: " + verdicts.Line(err.Error())
	}
	return "ok"
}
