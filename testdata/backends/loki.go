package backends

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// LokiConfig says what kind of Loki a test wants. The zero value is an empty server without tenants.
type LokiConfig struct {
	// Tenants: every request has to name its tenant (X-Scope-OrgID).
	Tenants bool
	// Limits are further lines of limits_config, `max_entries_limit_per_query: 100`, without indentation.
	Limits []string
}

// Loki is a Loki server in one process that takes lines of any age, over its own push API and over OTLP. Stop, Kill and
// Restart keep the data directory and the port; they fail the test if the server was named by ASSAY_TEST_LOKI.
type Loki struct {
	// URL is the server's root, without a slash at the end.
	URL string

	*server
}

// StartLoki starts a server and returns when it takes lines; the test's clean-up stops it. With ASSAY_TEST_LOKI=URL it
// returns that server instead; a test that wants to configure it then fails.
func StartLoki(t testing.TB, cfg LokiConfig) *Loki {
	t.Helper()
	const variable = "ASSAY_TEST_LOKI"
	if url := os.Getenv(variable); url != "" {
		if cfg.Tenants || len(cfg.Limits) > 0 {
			t.Fatalf("the server of %s cannot be configured by a test: unset the variable to let the test start its own", variable)
		}
		l := &Loki{URL: strings.TrimRight(url, "/"), server: &server{t: t, name: "loki", external: variable}}
		l.ready = l.serves
		l.start()
		return l
	}

	a, err := lokiProgram()
	if err != nil {
		t.Fatal(err)
	}
	programs, err := a.ensure(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	dir, port, grpc := t.TempDir(), freePort(t), freePort(t)
	config := filepath.Join(dir, "loki.yml")
	limits := append([]string{"reject_old_samples: false", "allow_structured_metadata: true", "volume_enabled: true", "ingestion_rate_mb: 100", "ingestion_burst_size_mb: 100"}, cfg.Limits...)
	data := filepath.Join(dir, "data")
	text := fmt.Sprintf(lokiYAML, cfg.Tenants, port, grpc, data, data, data, strings.Join(limits, "\n  "))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatalf("write the settings of loki: %v", err)
	}
	l := &Loki{URL: "http://" + address(port), server: &server{t: t, name: "loki", program: filepath.Join(programs, "loki")}}
	l.args = []string{"-config.file=" + config, "-config.expand-env=false", "-log.level=warn"}
	l.ready = l.serves
	l.start()
	return l
}

// lokiYAML is a server that needs nothing else: file system, ring in memory, no report to anybody. It waits for nobody
// who might join the ring.
const lokiYAML = `auth_enabled: %t
server: {http_listen_address: 127.0.0.1, http_listen_port: %d, grpc_listen_address: 127.0.0.1, grpc_listen_port: %d, log_level: warn}
common:
  instance_addr: 127.0.0.1
  path_prefix: %s
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %s/chunks, rules_directory: %s/rules}}
ingester: {lifecycler: {min_ready_duration: 0s, join_after: 0s, final_sleep: 0s}}
schema_config:
  configs: [{from: 2020-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
limits_config:
  %s
analytics: {reporting_enabled: false}
`

// Flush moves what was taken into the store, where lines of the past are looked for: what the server holds in memory it
// takes for recent.
func (l *Loki) Flush() {
	l.t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Post(l.URL+"/flush", "", nil)
	if err != nil {
		l.t.Fatalf("flush loki: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		l.t.Fatalf("flush loki: %s", resp.Status)
	}
}

func (l *Loki) serves() error {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(l.URL + "/ready")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("%s/ready: %s: %s", l.URL, resp.Status, body)
	}
	return nil
}

// lokiProgram is the server of the nested module loki. It is a program of its own that is talked to over HTTP; nothing of it
// is linked into anything of ours.
func lokiProgram() (artifact, error) {
	return goProgram("loki", "github.com/grafana/loki/v3", "github.com/grafana/loki/v3/cmd/loki")
}
