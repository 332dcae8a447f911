package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/testdata/backends"
)

// TestCheck lets `assay check` ask a real Prometheus about policies that are right,
// weak and wrong. Two versions of orders are scraped each second; billing was scraped
// once a minute for the last three hours, in one version.
func TestCheck(t *testing.T) {
	discovery := newDiscovery(t)
	for i, version := range []string{"2.0.0", "2.0.0", "2.1.0"} {
		discovery.add(startPod(t, 500, 0.01), "orders", version, fmt.Sprintf("orders-%d", i))
	}
	discovery.publish()
	server := backends.StartPrometheus(t, backends.PrometheusConfig{
		ScrapeConfigs: fmt.Sprintf(`
  - job_name: program
    scrape_interval: 1s
    file_sd_configs: [{files: [%s], refresh_interval: 1s}]`, discovery.file),
		Backfill: []string{billing(t)},
	})
	eventually(t, time.Minute, "Prometheus has scraped for a while", func() error { return scraped(server.URL, "2.1.0", 1, 5) })

	right := checkedPolicy("orders", `sum by (pod) (rate(http_requests_total{code=~"5.."}[5m]))`, `http_requests_total`)
	for _, test := range []struct {
		name     string
		policies string
		url      string // of the source; empty: the server
		flags    []string
		code     int
		says     []string // on stdout
		silent   []string // not on stdout
	}{
		{
			name: "what is right is weak only for want of history", policies: right, code: 0,
			says: []string{
				"orders  orders-availability  critical  prom    orders    2.0.0, 2.1.0  2",
				"policy.yaml:14:69: warning: spec.indicator.spec.ratioMetric.total.metricSource.spec.query: ",
				" of history: two hours are needed to learn how much pods differ",
			},
			silent: []string{"error"},
		},
		{
			name: "one scrape a minute of one version", policies: checkedPolicy("billing", `jobs_total{outcome="failed"}`, `jobs_total`), code: 0,
			says: []string{
				"policy.yaml:14:69: warning: spec.indicator.spec.ratioMetric.total.metricSource.spec.query: one sample each 1m0s",
				"one version was seen in the last hour (1.0.0)",
				"no series of jobs_total in the last hour meets the conditions (values of outcome: ok): either nothing has failed yet, or nothing would ever be counted as failed",
			},
			silent: []string{"error"},
		},
		{
			name: "a name that no series has", policies: checkedPolicy("orders", `http_requests_total{code="500"}`, `sum(rate(http_request_total[1m]))`), code: 2,
			says: []string{"policy.yaml:14:69: error: spec.indicator.spec.ratioMetric.total.metricSource.spec.query: source prom has no series called http_request_total; names like it: http_requests_total"},
		},
		{
			name: "a gauge", policies: checkedPolicy("orders", `http_requests_total{code="500"}`, `process_start_time_seconds`), code: 2,
			says: []string{"policy.yaml:14:69: error: spec.indicator.spec.ratioMetric.total.metricSource.spec.query: process_start_time_seconds is a gauge (as the targets that expose it say)"},
		},
		{
			name: "a label that no series carries", policies: checkedPolicy("orders", `http_requests_total{status=~"5.."}`, `http_requests_total`), code: 2,
			says: []string{"policy.yaml:13:69: error: spec.indicator.spec.ratioMetric.bad.metricSource.spec.query: no series of http_requests_total carries the label status (labels: code, "},
		},
		{
			name: "good events that are never counted", policies: strings.Replace(checkedPolicy("orders", `http_requests_total{code=~"2xx"}`, `http_requests_total`), "bad: ", "good:", 1), code: 2,
			says: []string{`error: spec.indicator.spec.ratioMetric.good.metricSource.spec.query: no series of http_requests_total in the last hour meets the conditions (values of code: 200, 500)`},
		},
		{
			name: "a service that is called otherwise", policies: strings.ReplaceAll(checkedPolicy("order", `http_requests_total{code="500"}`, `http_requests_total`), "match: {service: order}", "match: {service: order}"), code: 2,
			says: []string{"there are series, but none of order; seen: services orders; environments prod"},
		},
		{
			name: "an environment that is called otherwise", policies: strings.ReplaceAll(right, "match: {service: orders}", "match: {service: 'ord*', environments: [production]}"), code: 2,
			says: []string{"there are series, but none of ord* in production; seen: services orders; environments prod"},
		},
		{
			name: "cohorts by what nothing carries", policies: strings.ReplaceAll(right, "  objectives:\n    -", "  cohorts: {canary: {matchers: {track: canary}}, baseline: {matchers: {track: stable}}}\n  objectives:\n    -"), code: 2,
			says: []string{`nothing plays the baseline: no series in the last hour has deployment.environment.name="prod", service.name="orders", track="stable"`},
		},
		{
			name: "a query of one version", policies: checkedPolicy("orders", `http_requests_total{code="500", service_version="2.0.0"}`, `http_requests_total`), code: 2,
			says: []string{"policy.yaml:13:69: error: spec.indicator.spec.ratioMetric.bad.metricSource.spec.query: the query has a condition on service_version, which tells the arms apart"},
		},
		{
			name: "a server that is not there", policies: right, url: "http://" + freeAddress(t), code: 2,
			says: []string{"assay.yaml:3:3: error: sources.prom: the source does not answer, so that no query of it is checked: source prom: probe: unavailable"},
		},
		{
			name: "a mistake in a file", policies: strings.Replace(right, "deadline", "dedline", 1), code: 2,
			says: []string{"policy.yaml:24:26: error: spec.window.dedline: unknown key (legal: deadline, minBake, onUnderpowered, warmup); did you mean deadline?"},
		},
		{
			name: "a source that the policies bring along", code: 0,
			policies: fmt.Sprintf("apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: shop}\nspec: {type: Prometheus, connectionDetails: {url: '%s'}}\n---\n", server.URL) +
				strings.ReplaceAll(right, "metricSourceRef: prom", "metricSourceRef: shop"),
			says:   []string{"orders  orders-availability  critical  shop    orders    2.0.0, 2.1.0  2"},
			silent: []string{"error"},
		},
		{
			name: "offline", policies: checkedPolicy("orders", `nothing_total{code="500"}`, `nothing_total`), flags: []string{"--offline"}, code: 0,
			says: []string{"not asked (--offline)"},
		},
		{
			name: "what is pushed", policies: demoPolicy(t), flags: []string{"--server", "http://" + freeAddress(t)}, code: 0,
			says: []string{"not checked: telemetry is pushed to a running server"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			url := test.url
			if url == "" {
				url = server.URL
			}
			writeFile(t, dir, "assay.yaml", fmt.Sprintf("policies: [policy.yaml]\nsources:\n  prom: {type: prometheus, url: %s}\n", url))
			writeFile(t, dir, "policy.yaml", test.policies)
			o := command(t, nil, append([]string{"check", "-q", "--config", filepath.Join(dir, "assay.yaml")}, test.flags...)...)
			if o.code != test.code || (o.err == "") != (test.code == 0) {
				t.Errorf("want code %d, got %v", test.code, o)
			}
			for _, want := range test.says {
				if !strings.Contains(o.out, want) {
					t.Errorf("want %q, got %v", want, o)
				}
			}
			for _, not := range test.silent {
				if strings.Contains(o.out, not) {
					t.Errorf("unwanted %q in %v", not, o)
				}
			}
		})
	}

	t.Run("json", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, dir, "assay.yaml", fmt.Sprintf("sources:\n  prom: {type: prometheus, url: %s}\n", server.URL))
		writeFile(t, dir, "policy.yaml", right+"---\n"+checkedPolicy("billing", `jobs_total{outcome="failed"}`, `job_total`))
		o := command(t, nil, "check", "-q", "-o", "json", "--config", filepath.Join(dir, "assay.yaml"), filepath.Join(dir, "policy.yaml"))
		type finding struct {
			Level        string
			Line, Column int
		}
		var report struct {
			Errors, Warnings int
			Objectives       []struct{ Objective, State string }
			Findings         []finding
		}
		err := json.Unmarshal([]byte(o.out), &report)
		states := map[string]string{}
		for _, objective := range report.Objectives {
			states[objective.Objective] = objective.State
		}
		if err != nil || o.code != 2 || report.Errors != 1 || report.Warnings < 1 || !slices.Contains(report.Findings, finding{"error", 41, 69}) ||
			states["orders-availability"] != "weak" || states["billing-availability"] != "unresolved" {
			t.Errorf("%v: %v", err, o)
		}
	})

	t.Run("progress", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, dir, "assay.yaml", fmt.Sprintf("sources:\n  prom: {type: prometheus, url: %s}\n", server.URL))
		writeFile(t, dir, "policy.yaml", right)
		o := command(t, nil, "check", "--config", filepath.Join(dir, "assay.yaml"), filepath.Join(dir, "policy.yaml"))
		if o.code != 0 || !strings.Contains(o.err, "asking prom") || !strings.Contains(o.err, "1 of 1: orders-availability of orders") {
			t.Error(o)
		}
	})
}

// checkedPolicy is an SLO of two queries, on lines 13 and 14, and its policy.
func checkedPolicy(service, bad, total string) string {
	return fmt.Sprintf(`apiVersion: openslo/v1
kind: SLO
metadata:
  name: %[1]s-availability
spec:
  service: %[1]s
  indicator:
    metadata:
      name: %[1]s-errors
    spec:
      ratioMetric:
        counter: true
        bad:   {metricSource: {metricSourceRef: prom, spec: {query: '%[2]s'}}}
        total: {metricSource: {metricSourceRef: prom, spec: {query: '%[3]s'}}}
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata:
  name: %[1]s
spec:
  match: {service: %[1]s}
  window: {minBake: 20s, deadline: 90m}
  objectives:
    - {sloRef: %[1]s-availability, role: critical}
`, service, bad, total)
}

// billing is a recording of two pods that were scraped once a minute.
func billing(t *testing.T) string {
	recording := exposition{}
	end := time.Now().Add(-20 * time.Second)
	for minute := 180; minute >= 0; minute-- {
		for _, pod := range []string{"billing-0", "billing-1"} {
			recording.add("jobs_total", map[string]string{
				"service_name": "billing", "service_version": "1.0.0", "deployment_environment_name": "prod", "pod": pod, "job": "lab", "outcome": "ok",
			}, end.Add(-time.Duration(minute)*time.Minute), float64(60_000*(181-minute)))
		}
	}
	return recording.file(t)
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
