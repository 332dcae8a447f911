package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/testdata/backends"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// TestValidate asks a real Prometheus with the command alone: no server, no file. It
// has a healthy release and one that fails 20 times as often under the names of the
// OpenTelemetry conventions.
func TestValidate(t *testing.T) {
	w := worldOf(t, 25*time.Minute, "healthy", "error-regression")
	prom := w.prometheus(t)
	validate := func(t *testing.T, flags ...string) outcome {
		t.Helper()
		return command(t, nil, append([]string{
			"validate", "--prometheus", prom.URL, "--service", lab.Service, "--canary", lab.CanaryVersion, "--baseline", lab.BaselineVersion,
		}, flags...)...)
	}
	start := w.deployed.Format(time.RFC3339)

	t.Run("healthy", func(t *testing.T) {
		kept := t.TempDir()
		o := validate(t, "--start", start, "--environment", environmentOf("healthy"), "--slo", "99.5%", "--bundle", kept)
		if o.code != 0 || !strings.Contains(o.out, "PROMOTE, final") || !strings.Contains(o.err, "judge it again") {
			t.Fatal(o)
		}
		files, err := filepath.Glob(filepath.Join(kept, "*.tar.zst"))
		if err != nil || len(files) != 1 || !strings.Contains(o.out, filepath.Base(files[0])) || !strings.Contains(o.err, files[0]) {
			t.Fatalf("bundles: %v %v; the page names one: %v", files, err, o)
		}
		if o := command(t, nil, "rejudge", files[0]); o.code != 0 || !strings.Contains(o.out, "reproduced: promote") {
			t.Error(o)
		}
	})

	t.Run("regression", func(t *testing.T) {
		kept := t.TempDir()
		o := validate(t, "--since", "25m", "--environment", environmentOf("error-regression"), "-o", "json", "--bundle", kept, "-q")
		var v verdicts.Verdict
		if err := json.Unmarshal([]byte(o.out), &v); err != nil || o.code != 3 {
			t.Fatalf("%v %v", err, o)
		}
		if v.Verdict != verdicts.Rollback || v.ReasonCode != analysis.HarmShown || v.Mode != analysis.Retrospective || v.Environment != environmentOf("error-regression") {
			t.Errorf("%s (%s) %s %s", v.Verdict, v.ReasonCode, v.Mode, v.Environment)
		}
		b, err := bundle.Open(filepath.Join(kept, v.Bundle))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if string(b.VerdictBytes()) != o.out {
			t.Errorf("the bundle holds another verdict:\n%s\n%s", b.VerdictBytes(), o.out)
		}
	})

	t.Run("the same twice", func(t *testing.T) {
		flags := []string{"--start", start, "--until", w.deployed.Add(15 * time.Minute).Format(time.RFC3339), "--environment", environmentOf("error-regression"), "-o", "json", "-q"}
		first, again := validate(t, flags...), validate(t, flags...)
		var a, b verdicts.Verdict
		if json.Unmarshal([]byte(first.out), &a) != nil || json.Unmarshal([]byte(again.out), &b) != nil || a.Verdict != verdicts.Rollback {
			t.Fatal(first)
		}
		if a.PlanDigest != b.PlanDigest || !a.AsOf.Equal(*b.AsOf) || a.Findings[0].ERollback != b.Findings[0].ERollback {
			t.Errorf("another answer to the same question:\n%s\n%s", first.out, again.out)
		}
	})

	t.Run("live", func(t *testing.T) {
		o := validate(t, "--since", "25m", "--follow", "--environment", environmentOf("error-regression"), "--slo", "99.5%")
		t.Log(o)
		if o.code != 3 || !strings.Contains(o.out, "ROLLBACK, final") || !strings.Contains(o.out, "not kept") {
			t.Error(o)
		}
	})

	t.Run("two environments are not mixed", func(t *testing.T) {
		o := validate(t, "--start", start)
		if o.code != 2 || o.out != "" || !strings.Contains(o.err, environmentOf("healthy")+", ") && !strings.Contains(o.err, ", "+environmentOf("healthy")) {
			t.Error(o)
		}
	})

	t.Run("an unknown service", func(t *testing.T) {
		o := validate(t, "--service", "chekout", "--start", start)
		if o.code != 2 || o.out != "" || !strings.Contains(o.err, "the nearest names: checkout") {
			t.Error(o)
		}
	})

	t.Run("a silent version", func(t *testing.T) {
		o := validate(t, "--canary", "1.6.0", "--start", start, "--environment", environmentOf("healthy"))
		if o.code != 4 || !strings.Contains(o.out, "[canary_telemetry_missing]") || !strings.Contains(o.err, "no sample of --canary 1.6.0 since the start: seen since then 1.4.9, 1.5.0") {
			t.Error(o)
		}
	})

	t.Run("nothing answers", func(t *testing.T) {
		o := command(t, nil, "validate", "--prometheus", "http://"+freeAddress(t), "--service", "s", "--canary", "2", "--since", "30m")
		if o.code != 1 || o.out != "" || !strings.Contains(o.err, "no answer from") {
			t.Error(o)
		}
	})
}

// TestValidateSuggests asks a real Prometheus where everything has names of its own.
// What is printed is a command line that judges.
func TestValidateSuggests(t *testing.T) {
	w := worldOf(t, 25*time.Minute, "error-regression")
	names := map[string]string{
		analysis.AttrService: "app", analysis.AttrVersion: "app_version", analysis.AttrPod: "pod", analysis.AttrEnvironment: "stage",
		"http.response.status_code": "code", lab.Zone: "zone",
	}
	requests := exposition{}
	w.requests(requests, "http_requests_total", func(attribute string) string { return names[attribute] })
	w.requests(requests, "promhttp_metric_handler_requests_total", func(attribute string) string { return names[attribute] })
	prom := backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{requests.file(t)}})

	o := command(t, nil, "validate", "--prometheus", prom.URL, "--service", lab.Service, "--canary", lab.CanaryVersion, "--baseline", lab.BaselineVersion,
		"--start", w.deployed.Format(time.RFC3339), "--slo", "99.5%", "--weight", "20%")
	if o.code != 2 || o.out != "" || !strings.Contains(o.err, `it has these counters of app="checkout"`) || !strings.Contains(o.err, "app_version: 1.4.9, 1.5.0") {
		t.Fatal(o)
	}
	lines := strings.Split(o.err, "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	t.Logf("suggested: %s", line)
	typed := exec.Command("sh", "-c", line)
	typed.Dir = t.TempDir()
	out, err := typed.Output()
	if code := typed.ProcessState.ExitCode(); code != 3 || !strings.Contains(string(out), "ROLLBACK, final") {
		t.Errorf("exit code %d, %v\n%s", code, err, out)
	}
}
