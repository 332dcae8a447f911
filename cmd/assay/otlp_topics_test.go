package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/internal/config"
)

// TestServeReadsTopics: topics that the process file names are made on the embedded
// broker and read, and status tells how it goes.
func TestServeReadsTopics(t *testing.T) {
	conf := config.Defaults()
	conf.DataDir = t.TempDir()
	conf.Listeners = config.Listeners{HTTP: "127.0.0.1:0", OTLP: config.OTLPListeners{GRPC: config.Off, HTTP: config.Off}, Kafka: "127.0.0.1:0"}
	conf.Kafka.Topics.OTLP = config.OTLPTopics{Spans: "otlp_spans", Logs: "otlp_logs"}
	s, err := openServer(t.Context(), conf, slog.New(slog.DiscardHandler), time.Now, unsynced)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.readTopics(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()

	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("GET /")
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	w := &kafkago.Writer{Addr: kafkago.TCP(s.broker.Addr()), Topic: "otlp_spans", BatchTimeout: time.Millisecond}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), kafkago.Message{Value: body}); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); s.otlp.Stats().Spans.Requests != 1; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("not read: %+v", s.topics.Snapshot())
		}
	}
	p, ok := s.otlpTopicsPart()
	if !ok || p.Kind != embedded || p.State != "ok" {
		t.Errorf("%+v", p)
	}
}

// TestTelemetryFrom: nothing is needed where nothing is open.
func TestTelemetryFrom(t *testing.T) {
	conf := config.Defaults()
	conf.DataDir = t.TempDir()
	conf.Listeners = config.Listeners{HTTP: "127.0.0.1:0", OTLP: config.OTLPListeners{GRPC: config.Off, HTTP: config.Off}, Kafka: config.Off}
	s, err := openServer(t.Context(), conf, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if from := s.telemetryFrom(); !from.IsZero() {
		t.Errorf("from %v", from)
	}
	if _, ok := s.otlpTopicsPart(); ok {
		t.Error("status has topics, and there are none")
	}
}
