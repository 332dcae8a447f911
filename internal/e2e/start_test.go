package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
)

// TestStartsWithoutBrokersAndWithoutPrometheus: what is not there yet is no reason
// not to start. It is named, events are taken over HTTP, and nobody is told to act.
func TestStartsWithoutBrokersAndWithoutPrometheus(t *testing.T) {
	nobody := freeAddress(t)
	a := serve(t, setup{brokers: []string{nobody}, prometheus: "http://" + nobody, policies: overPrometheus, slow: true})
	took := a.eventually(15*time.Second, "/-/ready names what is missing", func() error {
		status, body, err := a.ask(http.MethodGet, "/-/ready", nil, nil)
		if err != nil || status != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("ingest=down")) {
			return fmt.Errorf("%d %s %v", status, body, err)
		}
		return nil
	})
	s := a.status()
	if s.part("kafka") != "down" || !strings.HasPrefix(s.part("prom"), "down") || s.part("store") != "ok" || s.part("otlp") != "ok" {
		t.Errorf("/v1/status: kafka %q, prom %q, store %q, otlp %q; want down, down, ok, ok", s.part("kafka"), s.part("prom"), s.part("store"), s.part("otlp"))
	}
	a.post(started("waiting", time.Now().UTC().Add(-time.Minute).Truncate(time.Second)))
	a.eventually(10*time.Second, "the verdict says what it waits for", func() error {
		v, _ := a.verdict("waiting")
		if v.Final {
			t.Fatalf("a final verdict without any telemetry server: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
		}
		if v.ReasonCode == analysis.NotSeen || !strings.Contains(v.Reason, "connection refused") {
			return fmt.Errorf("%s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
		}
		return nil
	})
	t.Logf("ingest=down after %v", took.Round(time.Millisecond))
	a.stop()
}

// TestTakenPortsAreNamed: another program on one of our ports ends the start, with
// the address and the flag that chooses another.
func TestTakenPortsAreNamed(t *testing.T) {
	for _, flag := range []string{"--http", "--otlp-grpc", "--otlp-http", "--kafka"} {
		t.Run(flag, func(t *testing.T) {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			args := []string{"serve", "--data-dir", t.TempDir()}
			for _, f := range []string{"--http", "--otlp-grpc", "--otlp-http", "--kafka"} {
				if f != flag {
					args = append(args, f, freeAddress(t))
				}
			}
			o := command(t, nil, append(args, flag, taken.Addr().String())...)
			if o.code != 2 || !strings.Contains(o.err, taken.Addr().String()) || !strings.Contains(o.err, flag) || strings.Count(o.err, "\n") > 0 {
				t.Errorf("want code 2 and one line that names %s and %s, got %v", taken.Addr(), flag, o)
			}
		})
	}
}

// TestMistakesInFilesAreNamed: a file that is not understood to the last key is
// refused with the place of the mistake.
func TestMistakesInFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	process := file("assay.yaml", "dataDir: data\nlistenres:\n  http: 127.0.0.1:8080\n")
	policy := file("policy.yaml", strings.Replace(demoPolicy(t), "window: {minBake: 5m,", "window: {minBaek: 5m,", 1))
	for _, test := range []struct {
		name string
		args []string
		says []string
	}{
		{"process file", []string{"--config", process}, []string{process + ":2:1", "listenres", "did you mean listeners"}},
		{"policy file", []string{"--policies", policy}, []string{policy + ":", "minBaek", "did you mean minBake"}},
		{"no process file", []string{"--config", filepath.Join(dir, "nowhere.yaml")}, []string{"nowhere.yaml"}},
		{"no policy file", []string{"--policies", filepath.Join(dir, "nowhere")}, []string{"nowhere"}},
		{"unknown flag", []string{"--htpp", "127.0.0.1:1"}, []string{"--htpp"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := command(t, nil, append([]string{"serve", "--data-dir", t.TempDir(), "--http", freeAddress(t), "--kafka", "off", "--otlp-grpc", "off", "--otlp-http", "off"}, test.args...)...)
			for _, text := range test.says {
				if o.code != 2 || !strings.Contains(o.err, text) {
					t.Errorf("want code 2 and %q, got %v", text, o)
				}
			}
		})
	}
}

// TestTwoProcessesOnOneFolder: the second refuses and touches nothing.
func TestTwoProcessesOnOneFolder(t *testing.T) {
	a := serve(t, setup{noKafka: true})
	o := command(t, nil, "serve", "--data-dir", a.data(), "--http", freeAddress(t), "--kafka", "off", "--otlp-grpc", "off", "--otlp-http", "off")
	if o.code == 0 || !strings.Contains(o.err, "assay.db") {
		t.Errorf("want a refusal that names the database, got %v", o)
	}
	w := worldOf(t, 12*time.Minute, "error-regression")
	w.push(a)
	a.post(started("error-regression", w.deployed))
	if v, _ := a.final("error-regression", 20*time.Second); v.Verdict.String() != "rollback" || v.Service != lab.Service {
		t.Errorf("the first one afterwards: %s (%s: %s), want rollback", v.Verdict, v.ReasonCode, v.Reason)
	}
	a.stop()
}
