package topic_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/sinktest"
	"github.com/release-assay/assay/verdicts/topic"
)

func TestSink(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Harness {
		dir := filepath.Join(t.TempDir(), "kafka")
		start := func(addr string) *kafka.Embedded {
			broker, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: addr, DataDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			return broker
		}
		broker := start("127.0.0.1:0")
		t.Cleanup(func() { broker.Close() })
		sink, err := topic.Open(topic.Config{Kafka: broker.Config()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
		})
		return sinktest.Harness{
			Sink: sink, MaxPayload: kafka.MaxWrite,
			Received: func(t testing.TB) []verdicts.Message { return received(t, broker) },
			Break: func(_ testing.TB, broken bool) {
				addr := broker.Addr()
				if broken {
					broker.Close()
				} else {
					broker = start(addr)
				}
			},
		}
	})
}

// received reads the whole topic of verdicts.
func received(t testing.TB, broker *kafka.Embedded) []verdicts.Message {
	t.Helper()
	c := kafkatest.Connect(t, broker.Config())
	partitions, err := c.Partitions(t.Context(), kafka.TopicVerdicts)
	if err != nil {
		t.Fatal(err)
	}
	var all []verdicts.Message
	for p := range partitions {
		for at := int64(0); ; {
			f, err := c.Fetch(t.Context(), kafka.Position{Topic: kafka.TopicVerdicts, Partition: p, Offset: at})
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range f.Batches {
				for _, r := range b.Records {
					m := verdicts.Message{Key: string(r.Key), Payload: r.Value}
					for _, h := range r.Headers {
						switch h.Key {
						case "content-type":
							m.ContentType = string(h.Value)
						case "ce_id":
							m.ID = string(h.Value)
						}
						m.Headers = append(m.Headers, verdicts.Header(h))
					}
					all = append(all, m)
				}
			}
			if at = f.Next; at >= f.End {
				break
			}
		}
	}
	return all
}

func final() (verdicts.Verdict, analysis.Deployment) {
	d := analysis.Deployment{
		ID: "d-7", Attempt: 1, EventSource: "/ci", EventID: "e-1",
		Release: analysis.Release{Environment: "prod", Namespace: "shop", Service: "checkout", Version: "1.5.0"},
	}
	issued := time.Date(2026, 11, 23, 11, 0, 0, 5, time.FixedZone("", 3600))
	return verdicts.Verdict{
		ValidationID: d.Validation(), DeploymentID: d.ID, Attempt: 1, Environment: "prod", Namespace: "shop", Service: "checkout", Version: "1.5.0",
		Verdict: verdicts.Promote, Final: true, ReasonCode: analysis.AllSafe, Reason: "p99 < 300 ms & all safe", IssuedAt: &issued, Bundle: "b.tar.zst", Seq: 3,
	}, d
}

func TestBuild(t *testing.T) {
	v, d := final()
	m, err := topic.Build(v, d)
	if err != nil {
		t.Fatal(err)
	}
	again, err := topic.Build(v, d)
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("the same verdict gives two records: %v", err)
	}
	if m.ID != v.ID() || m.Key != "prod/shop/checkout" || m.ContentType != "application/json" {
		t.Errorf("id %s, key %s, content type %s", m.ID, m.Key, m.ContentType)
	}
	got := map[string]string{}
	for _, h := range m.Headers {
		got[h.Key] = string(h.Value)
	}
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": v.ID(), "ce_source": "/assay", "ce_type": "dev.cdeventsx.assay-validation.concluded.0.1.0",
		"ce_subject": string(v.ValidationID), "ce_time": "2026-11-23T10:00:00.000000005Z", "ce_partitionkey": m.Key, "ce_sequence": "3", "ce_dataref": "b.tar.zst",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("headers\n%v, want\n%v", got, want)
	}
	var e struct {
		Context struct {
			SpecVersion, ID, Source, Type, Timestamp, SchemaURI string
			Links                                               []map[string]any
		}
		Subject struct {
			ID      string
			Content json.RawMessage
		}
	}
	if err := json.Unmarshal(m.Payload, &e); err != nil {
		t.Fatal(err)
	}
	// The attributes equal the context, as Assay asks of others (contracts 1.1).
	if e.Context.ID != got["ce_id"] || e.Context.Source != got["ce_source"] || e.Context.Type != got["ce_type"] || e.Context.Timestamp != got["ce_time"] || e.Subject.ID != got["ce_subject"] {
		t.Errorf("the context is not the envelope's: %s", m.Payload)
	}
	link := map[string]any{"linkType": "RELATION", "linkKind": "TRIGGER", "target": map[string]any{"contextId": "e-1"}}
	if len(e.Context.Links) != 1 || !reflect.DeepEqual(e.Context.Links[0], link) {
		t.Errorf("links %v, want %v", e.Context.Links, link)
	}
	// What HTTP serves is what Kafka carries, byte for byte.
	body, err := json.Marshal(v)
	if err != nil || !bytes.Equal(e.Subject.Content, body) {
		t.Errorf("content\n%s, want\n%s", e.Subject.Content, body)
	}
}

func TestBuildWithoutEventOrBundle(t *testing.T) {
	v, d := final()
	v.Bundle, d.EventID = "", ""
	m, err := topic.Build(v, d)
	if err != nil || bytes.Contains(m.Payload, []byte(`"links"`)) {
		t.Errorf("%s, %v", m.Payload, err)
	}
	for _, h := range m.Headers {
		if len(h.Value) == 0 {
			t.Errorf("header %s is empty", h.Key)
		}
	}
}

func TestBuildRefusesWhatIsNotFinal(t *testing.T) {
	v, d := final()
	v.Final = false
	if _, err := topic.Build(v, d); err == nil {
		t.Error("a pending verdict is published")
	}
	v, d = final()
	v.IssuedAt = nil
	if _, err := topic.Build(v, d); err == nil {
		t.Error("a verdict without an instant is published")
	}
}
