package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/testdata/backends"
)

// TestDoctor asks for a diagnosis of a real installation, well and then ill: a
// running server, a real Kafka of which one topic keeps too little, and a real
// Prometheus with the telemetry of a release.
func TestDoctor(t *testing.T) {
	w := worldOf(t, 20*time.Minute, "healthy")
	prom := w.prometheus(t)
	broker := backends.StartKafka(t)
	client, err := kafka.Connect(kafka.Config{Brokers: []string{broker.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	short := kafka.Topic{Name: kafka.TopicVerdicts, Partitions: 1, MaxMessage: 1 << 20, Retention: time.Hour}
	if _, err := kafka.EnsureTopics(t.Context(), client, short); err != nil {
		t.Fatal(err)
	}
	a := serve(t, setup{brokers: []string{broker.Addr}, prometheus: prom.URL, policies: overPrometheus})

	d, o := a.doctor()
	if o.code != 0 || o.err != "" {
		t.Fatalf("well: %v", o)
	}
	for name, want := range map[string][2]string{
		"server": {"embedded", "ok, version "}, "store": {"embedded", "ok, "}, "kafka": {"external", "ok"}, "otlp": {"embedded", "ok"},
		"prom": {"external", "ok"}, "policies": {"files", "1 ReleaseValidation; 1 of 1 objective can be judged well"},
	} {
		if kind, state := d.part(name); kind != want[0] || !strings.HasPrefix(state, want[1]) {
			t.Errorf("%s: %s, %q; want %s, %q", name, kind, state, want[0], want[1])
		}
	}
	if !d.says("warning", "kafka", "topic "+kafka.TopicVerdicts+": retention.ms is 3600000") {
		t.Errorf("the short retention is not told: %v", o)
	}

	prom.Stop()
	broker.Stop()
	d, o = a.doctor()
	_, kafkaState := d.part("kafka")
	_, promState := d.part("prom")
	if o.code != 1 || kafkaState != "down" || promState != "down" || !d.says("error", "prom", "no answer from "+prom.URL) || d.Errors < 2 {
		t.Errorf("ill: %v", o)
	}
}

type diagnosis struct {
	Errors   int
	Parts    []struct{ Name, Kind, State string }
	Findings []struct{ Level, Path, Message string }
}

// doctor is what `assay doctor` says of this Assay's configuration.
func (a *assay) doctor() (d diagnosis, o outcome) {
	a.t.Helper()
	o = a.run("doctor", "--config", filepath.Join(a.dir, "assay.yaml"), "-q", "-o", "json")
	if err := json.Unmarshal([]byte(o.out), &d); err != nil {
		a.t.Fatalf("%v: %v", err, o)
	}
	return d, o
}

func (d diagnosis) part(name string) (kind, state string) {
	for _, p := range d.Parts {
		if p.Name == name {
			return p.Kind, p.State
		}
	}
	return "", ""
}

func (d diagnosis) says(level, about, text string) bool {
	return slices.ContainsFunc(d.Findings, func(f struct{ Level, Path, Message string }) bool {
		return f.Level == level && f.Path == about && strings.Contains(f.Message, text)
	})
}
