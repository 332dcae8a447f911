package main

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/config"
)

// What config print writes is a configuration that means the same, and repeats no
// secret.
func TestConfigPrint(t *testing.T) {
	t.Setenv("ASSAY_TEST_PASSWORD", "hunter2")
	dir := t.TempDir()
	process := writeIn(t, dir, "assay.yaml", `
sources:
  prom:
    type: prometheus
    url: https://prom:9090
    basic_auth: {username: assay, password: "${env:ASSAY_TEST_PASSWORD}"}
    http_headers: {X-Token: {secrets: [hunter3]}}
`)
	policies := writeIn(t, dir, "policies.yaml", `
apiVersion: openslo/v1
kind: DataSource
metadata: {name: shop}
spec: {type: Prometheus, connectionDetails: {url: 'http://shop:9090', labels: {service.version: release}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-availability}
spec:
  service: cart
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad:   {metricSource: {metricSourceRef: shop, spec: {query: 'sum by (pod) (rate(m_total{code=~"5.."}[5m]))'}}}
        total: {metricSource: {metricSourceRef: shop, spec: {query: 'm_total'}}}
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: cart}
spec:
  match: {service: cart}
  objectives: [{sloRef: cart-availability, role: critical, margin: {ratio: 1.05, budget: 40%}}]
`)
	print := func(args ...string) string {
		code, out, failed := command(t, append([]string{"config", "print"}, args...)...)
		if code != exitOK || failed != "" || strings.Contains(out, "hunter") {
			t.Fatalf("config print %v: exit code %d\n%s%s", args, code, out, failed)
		}
		return out
	}
	first, rules := print("--config", process), print("policies", "--policies", policies, "--config", process)
	for _, want := range []string{"password: ${env:ASSAY_TEST_PASSWORD}", "- <secret>", "retention: 2160h0m0s", "timeout: 30s", "maxSeries: 10000"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	for _, want := range []string{
		"m_total{code=~", "minBake: 10m0s", "margin: {ratio: 1.05, budget: 40%}", "tolerance: auto # {ratio: 1.05, budget: 25%}",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("no %q in\n%s", want, rules)
		}
	}
	both := print("--config", process, "--policies", policies)
	if printed, _, _ := strings.Cut(both, "---\n"); !strings.HasSuffix(both, "---\n"+rules) || !strings.Contains(printed, "  shop:\n    type: prometheus\n    url: http://shop:9090\n    labels:\n      service.version: release\n") {
		t.Errorf("got\n%s", both)
	}

	// Printed and read again, it is printed the same.
	whole, _, _ := strings.Cut(both, "---\n")
	again := writeIn(t, dir, "again.yaml", strings.Replace(whole, policies, writeIn(t, dir, "again-policies.yaml", rules), 1))
	if got := print("policies", "--config", again); got != rules {
		t.Errorf("got\n%s\nwant\n%s", got, rules)
	}
	if got := print("--config", again); !strings.Contains(got, "url: http://shop:9090") {
		t.Errorf("got\n%s", got)
	}
	if code, _, failed := command(t, "config", "print", "--config", policies); code != exitUsage || !strings.Contains(failed, "unknown key") {
		t.Errorf("exit code %d: %s", code, failed)
	}
	if code, _, _ := command(t, "config", "print", "everything"); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
}

// The schema knows what the adapters read, beside what the process reads itself.
func TestConfigSchema(t *testing.T) {
	parse := func(args ...string) map[string]any {
		var s map[string]any
		code, out, failed := command(t, append([]string{"config", "schema"}, args...)...)
		if err := json.Unmarshal([]byte(out), &s); code != exitOK || failed != "" || err != nil || s["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Fatalf("config schema %v: exit code %d, %v\n%s", args, code, err, failed)
		}
		return s
	}
	in := func(s map[string]any, path ...string) map[string]any {
		for _, key := range path {
			s, _ = s[key].(map[string]any)
		}
		return s
	}
	options := map[string]any{}
	sources, _ := in(parse("process"), "properties", "sources", "additionalProperties")["allOf"].([]any)
	for _, source := range sources {
		maps.Copy(options, in(source.(map[string]any), "then", "properties"))
	}
	for _, want := range []string{"url", "basic_auth", "tls_config", "labels", "lag", "historyRetention"} {
		if options[want] == nil {
			t.Errorf("no option %s among %v", want, options)
		}
	}
	kinds, _ := in(parse("policies"), "properties", "kind")["enum"].([]any)
	if !slices.Contains(kinds, any("ReleaseValidation")) || !slices.Contains(kinds, any("DataSource")) {
		t.Errorf("kinds %v", kinds)
	}
	if both := parse(); in(both, "then") == nil || in(both, "else") == nil {
		t.Error("the schema of both kinds of files does not tell them apart")
	}
}

// A source that policy files define is opened like one of the process file.
func TestServeOpensDataSources(t *testing.T) {
	conf := config.Defaults()
	conf.DataDir = t.TempDir()
	conf.Listeners.OTLP = config.OTLPListeners{GRPC: config.Off, HTTP: config.Off}
	conf.Listeners.Kafka = config.Off
	conf.Policies = []string{writeIn(t, conf.DataDir, "source.yaml", `
apiVersion: openslo/v1
kind: DataSource
metadata: {name: shop}
spec: {type: Prometheus, connectionDetails: {url: 'http://shop:9090'}}
`)}
	s, err := openServer(t.Context(), conf, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.table["shop"] == nil || s.config.Sources["shop"].Kind != config.KindPrometheus {
		t.Errorf("the table is %v", s.table)
	}
}
