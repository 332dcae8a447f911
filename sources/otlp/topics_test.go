package otlp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/sources/otlp"
)

// spansProto is a request of n spans of service checkout.
func spansProto(t testing.TB, n int) []byte {
	t.Helper()
	b, err := spansOf(n).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func spansOf(n int) ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "checkout")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range n {
		s := spans.AppendEmpty()
		s.SetTraceID([16]byte{1, byte(i), byte(i >> 8)})
		s.SetSpanID([8]byte{2, byte(i), byte(i >> 8)})
		s.SetName("GET /")
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(stamp(float64(i)))
		s.SetEndTimestamp(stamp(float64(i) + 0.1))
	}
	return ptraceotlp.NewExportRequestFromTraces(td)
}

func logsOf(n int) plogotlp.ExportRequest {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "checkout")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i := range n {
		r := records.AppendEmpty()
		r.SetTimestamp(stamp(float64(i)))
		r.Body().SetStr(fmt.Sprintf("order %d was paid", i))
	}
	return plogotlp.NewExportRequestFromLogs(ld)
}

// A reading is one ReadTopics.
type reading struct {
	t      testing.TB
	status otlp.TopicsStatus
	stop   func()
}

const spansTopic, logsTopic, metricsTopic = "otlp_spans", "otlp_logs", "otlp_metrics"

func read(t testing.TB, source *otlp.Source, config kafka.Config, change ...func(*otlp.TopicsConfig)) *reading {
	t.Helper()
	c := otlp.TopicsConfig{
		Kafka: config, Spans: spansTopic, From: func() time.Time { return time.Time{} }, Now: time.Now,
		SessionTimeout: 2 * time.Second, Watch: 200 * time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &reading{t: t}
	done := make(chan error, 1)
	go func() { done <- source.ReadTopics(ctx, c, &r.status) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		began := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ReadTopics: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v to end", took)
		}
	}
	t.Cleanup(r.stop)
	return r
}

func (r *reading) of(topic string) otlp.TopicSnapshot {
	for _, s := range r.status.Snapshot().Topics {
		if s.Topic == topic {
			return s
		}
	}
	return otlp.TopicSnapshot{}
}

func (r *reading) until(what string, ok func() bool) {
	r.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			r.t.Fatalf("not in time: %s: %+v", what, r.status.Snapshot())
		}
	}
}

func value(b []byte) kafka.Record { return kafka.Record{Value: b} }

func asJSON(t testing.TB, req interface{ MarshalJSON() ([]byte, error) }) []byte {
	t.Helper()
	b, err := req.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTopics: every partition of every topic is read, in both encodings and every
// compression, and what is no request is counted and stepped over.
func TestTopics(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic(spansTopic, 3), kafkatest.Topic(logsTopic, 1), kafkatest.Topic(metricsTopic, 2))
	client := kafkatest.Connect(t, broker.Config())
	logsProto, err := logsOf(4).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	for partition := range 3 {
		kafkatest.Send(t, client, spansTopic, partition, value(spansProto(t, 5)), value(nil), value([]byte("nonsense")), value(asJSON(t, spansOf(2))))
	}
	kafkatest.Send(t, client, logsTopic, 0, value(logsProto), value([]byte(`{"resourceLogs":[`)), value(append([]byte("  "), asJSON(t, logsOf(1))...)))
	kafkatest.Send(t, client, metricsTopic, 1, value(marshal(t, exportOf("a", cumulativeSum, point{at: 1, v: 1}))), value(nestedProto(2000)))
	for _, codec := range []kafkago.Compression{compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd} {
		w := &kafkago.Writer{Addr: kafkago.TCP(broker.Addr()), Topic: spansTopic, Compression: codec, BatchTimeout: time.Millisecond}
		if err := w.WriteMessages(t.Context(), kafkago.Message{Value: spansProto(t, 100)}); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	source := newSource(t)
	r := read(t, source, broker.Config(), func(c *otlp.TopicsConfig) { c.Logs, c.Metrics = logsTopic, metricsTopic })
	want := map[string]otlp.TopicCounts{
		spansTopic: {Records: 3*2 + 4, Empty: 3, Refused: 3}, logsTopic: {Records: 2, Refused: 1}, metricsTopic: {Records: 1, Refused: 1},
	}
	r.until("everything is read", func() bool {
		for topic, counts := range want {
			if r.of(topic).TopicCounts != counts {
				return false
			}
		}
		return true
	})
	if got := source.Stats().Accepted; got != 1 {
		t.Errorf("%d data points accepted, want 1", got)
	}
	if s := r.status.Snapshot(); s.State != otlp.TopicsReading || s.Error != "" || r.of(spansTopic).Partitions != 3 {
		t.Errorf("%+v", s)
	}
}

// TestTopicsSeek: a process that starts reads what it still needs and no more.
func TestTopicsSeek(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic(spansTopic, 1))
	client := kafkatest.Connect(t, broker.Config())
	for range 10 {
		kafkatest.Send(t, client, spansTopic, 0, value(spansProto(t, 1)))
	}
	written := time.Now()
	for _, test := range []struct {
		name      string
		now, from time.Time
		want      uint64
	}{
		{"nothing is needed, and all is recent", written, time.Time{}, 10},
		{"nothing is needed, and all is old", written.Add(time.Hour), time.Time{}, 0},
		{"an old fold is open", written.Add(time.Hour), written.Add(-time.Minute), 10},
		{"a fold is open that began since", written.Add(time.Hour), written.Add(30 * time.Minute), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := read(t, newSource(t), broker.Config(), func(c *otlp.TopicsConfig) {
				c.Now, c.From = func() time.Time { return test.now }, func() time.Time { return test.from }
			})
			r.until("it is read", func() bool { return r.of(spansTopic).Records == test.want && r.of(spansTopic).Partitions == 1 })
			kafkatest.Send(t, client, spansTopic, 0, value(nil)) // what comes from now on is read in any case
			r.until("the next", func() bool { return r.of(spansTopic).Empty > 0 })
			if got := r.of(spansTopic).Records; got != test.want {
				t.Errorf("%d records, want %d", got, test.want)
			}
		})
	}
}

// TestSecondReplicaRefuses: of two processes of one group the first reads everything; the
// second says so, and takes over when the first has gone. Nobody reads anything twice.
func TestSecondReplicaRefuses(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic(spansTopic, 4))
	client := kafkatest.Connect(t, broker.Config())
	inGroup := func(c *otlp.TopicsConfig) { c.Group = "assay-otlp" }
	first := read(t, newSource(t), broker.Config(), inGroup)
	send := func() {
		for partition := range 4 {
			kafkatest.Send(t, client, spansTopic, partition, value(spansProto(t, 1)))
		}
	}
	send()
	first.until("the first reads", func() bool { return first.of(spansTopic).Records == 4 })
	second := read(t, newSource(t), broker.Config(), inGroup)
	second.until("the second is refused", func() bool {
		s := second.status.Snapshot()
		return s.State == otlp.TopicsRefused && strings.Contains(s.Error, "only one may")
	})
	send()
	first.until("the first reads on", func() bool { return first.of(spansTopic).Records == 8 })
	if got := second.of(spansTopic).Records; got != 0 || first.status.Snapshot().State != otlp.TopicsReading {
		t.Errorf("the second has read %d records, the first is %+v", got, first.status.Snapshot())
	}
	first.stop()
	second.until("the second takes over, from where it needs", func() bool { return second.of(spansTopic).Records == 8 })
	if s := second.status.Snapshot(); s.State != otlp.TopicsReading || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// TestTopicThatComesLater is found, and said to be missing before.
func TestTopicThatComesLater(t *testing.T) {
	broker := kafkatest.Start(t)
	client := kafkatest.Connect(t, broker.Config())
	r := read(t, newSource(t), broker.Config(), func(c *otlp.TopicsConfig) { c.Group = "assay-otlp" })
	r.until("it is missing", func() bool { return strings.Contains(r.of(spansTopic).Error, "topic otlp_spans does not exist") })
	if _, err := kafka.EnsureTopics(t.Context(), client, kafkatest.Topic(spansTopic, 1)); err != nil {
		t.Fatal(err)
	}
	kafkatest.Send(t, client, spansTopic, 0, value(spansProto(t, 1)))
	r.until("it is read", func() bool { s := r.of(spansTopic); return s.Records == 1 && s.Error == "" })
}

// TestTopicsBadBatch: a batch that inflates without end is skipped and counted; what
// comes after it is read.
func TestTopicsBadBatch(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic(spansTopic, 1))
	client := kafkatest.Connect(t, broker.Config())
	kafkatest.Send(t, client, spansTopic, 0, value(spansProto(t, 1)))
	w := &kafkago.Writer{Addr: kafkago.TCP(broker.Addr()), Topic: spansTopic, Compression: compress.Gzip, BatchTimeout: time.Millisecond, BatchBytes: 64 << 20}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), kafkago.Message{Value: make([]byte, 8<<20)}); err != nil {
		t.Fatal(err)
	}
	kafkatest.Send(t, client, spansTopic, 0, value(spansProto(t, 1)))
	r := read(t, newSource(t), broker.Config())
	r.until("what is good is read", func() bool { return r.of(spansTopic).TopicCounts == otlp.TopicCounts{Records: 2, BadBatches: 1} })
}

func TestTopicsConfig(t *testing.T) {
	now := func() time.Time { return time.Time{} }
	for want, c := range map[string]otlp.TopicsConfig{
		"no topic":       {From: now, Now: now},
		"brokers":        {Spans: "a", From: now, Now: now},
		"no clock":       {Spans: "a"},
		"as two signals": {Spans: "a", Logs: "a", From: now, Now: now},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error about %q", err, want)
		}
	}
}
