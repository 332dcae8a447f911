package backends

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// CollectorConfig says what a Collector does with what it receives.
type CollectorConfig struct {
	// Exporters is the YAML below exporters, without indentation: kafka and otlphttp (also kafka/…) are known.
	Exporters string
	// Traces, Metrics and Logs name the exporters that each signal goes to; a signal without any is not received.
	Traces, Metrics, Logs []string
}

// Collector is an OpenTelemetry Collector that takes OTLP, batches for a tenth of a second, and sends. It keeps nothing.
type Collector struct {
	// GRPC and HTTP are where it takes OTLP, as host:port.
	GRPC, HTTP string

	*server
}

// StartCollector starts a Collector and returns when it takes telemetry; the test's clean-up stops it.
func StartCollector(t testing.TB, cfg CollectorConfig) *Collector {
	t.Helper()
	a, err := collectorProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := a.ensure(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{GRPC: address(freePort(t)), HTTP: address(freePort(t))}
	file := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(file, []byte(c.settings(cfg)), 0o644); err != nil {
		t.Fatalf("write the settings of collector: %v", err)
	}
	c.server = &server{t: t, name: "collector", program: filepath.Join(dir, a.name), args: []string{"--config", "file:" + file}}
	c.ready = c.serves
	c.start()
	return c
}

func (c *Collector) settings(cfg CollectorConfig) string {
	text := fmt.Sprintf(`receivers: {otlp: {protocols: {grpc: {endpoint: %q}, http: {endpoint: %q}}}}
processors: {batch: {timeout: 100ms}}
exporters:
%s
service:
  telemetry: {metrics: {level: none}}
  pipelines:
`, c.GRPC, c.HTTP, "  "+strings.ReplaceAll(strings.TrimSpace(cfg.Exporters), "\n", "\n  "))
	for _, p := range []struct {
		signal string
		to     []string
	}{{"traces", cfg.Traces}, {"metrics", cfg.Metrics}, {"logs", cfg.Logs}} {
		if len(p.to) > 0 {
			text += fmt.Sprintf("    %s: {receivers: [otlp], processors: [batch], exporters: [%s]}\n", p.signal, strings.Join(p.to, ", "))
		}
	}
	return text
}

// serves reports whether both receivers are open.
func (c *Collector) serves() error {
	for _, addr := range []string{c.GRPC, c.HTTP} {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

func collectorProgram() (artifact, error) {
	return goProgram("collector", "go.opentelemetry.io/collector/otelcol", ".")
}
