package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/testdata/backends"
	"github.com/release-assay/assay/verdicts"
)

// tracedPolicy judges checkout by its spans alone.
const tracedPolicy = `
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: checkout-traced}
spec:
  match: {service: checkout}
  cohorts:
    canary: {matchers: {service.version: "${canary.version}"}}
    baseline: {matchers: {service.version: "${baseline.version}"}, mode: concurrent}
  window: {minBake: 1m, deadline: 10m, warmup: 0s}
  objectives:
    - {signal: span_errors, role: critical}
    - {traces: {}, role: secondary}
`

// TestSpansThroughCollectorAndKafka: what the OpenTelemetry SDK sends to a real Collector
// comes to Assay through a real Kafka, and a release whose requests fail is rolled back,
// with whole traces from a real Jaeger to look at.
func TestSpansThroughCollectorAndKafka(t *testing.T) {
	t.Parallel()
	broker, jaeger := backends.StartKafka(t), backends.StartJaeger(t)
	prefix := fmt.Sprintf("traced-%d", time.Now().UnixNano())
	spans, logs, metrics := prefix+".spans", prefix+".logs", prefix+".metrics"
	makeTopics(t, broker.Addr, spans, logs, metrics)
	collector := backends.StartCollector(t, backends.CollectorConfig{
		Exporters: fmt.Sprintf(`kafka:
  brokers: [%q]
  traces: {topic: %q}
  logs: {topic: %q}
  metrics: {topic: %q}
  partition_traces_by_id: true
  producer: {compression: zstd}
otlphttp: {endpoint: %q}`, broker.Addr, spans, logs, metrics, jaeger.OTLP),
		Traces: []string{"kafka", "otlphttp"}, Logs: []string{"kafka"}, Metrics: []string{"kafka"},
	})
	a := prepare(t, setup{brokers: []string{broker.Addr}, topics: prefix, policies: tracedPolicy})
	a.rewrite("assay.yaml", fmt.Sprintf("deployments: %s.deployments,", prefix), fmt.Sprintf("otlp: {spans: %s, logs: %s, metrics: %s}, deployments: %s.deployments,", spans, logs, metrics, prefix))
	a.append("assay.yaml", fmt.Sprintf("sources:\n  jaeger: {type: jaeger, url: %s}\n", jaeger.URL))
	a.start()
	a.awaitReady()

	shop := newTracedShop(t, collector.GRPC)
	begun := time.Now().Truncate(time.Second)
	for at := begun.Add(-3 * time.Minute); !at.After(begun); at = at.Add(time.Second) { // before the release
		for _, pod := range shop.old {
			shop.serve(pod, at, 10, .002)
		}
	}
	a.post(analysis.Event{
		Source: "/ci/e2e", ID: prefix, Time: begun, StartedAt: begun, Phase: analysis.PhaseStarted, Mode: analysis.Live,
		DeploymentID: analysis.DeploymentID(prefix), Strategy: "canary", Step: &analysis.Step{Weight: .25, At: begun},
		Release: analysis.Release{Environment: "traced", Service: "checkout", Version: "2.0", PreviousVersion: "1.0"},
	})
	var v verdicts.Verdict
	for at, end := begun.Add(time.Second), begun.Add(5*time.Minute); ; at = at.Add(time.Second) {
		time.Sleep(time.Until(at))
		for _, pod := range shop.old {
			shop.serve(pod, at, 10, .002)
		}
		shop.serve(shop.fresh, at, 10, .03)
		if v = a.latest(prefix); v.Final {
			break
		}
		if at.After(end) {
			t.Fatalf("no final verdict after five minutes: %s (%s: %s)", v.Verdict, v.ReasonCode, v.Reason)
		}
	}
	shop.close()
	t.Logf("%s after %v: %s", v.Verdict, v.AsOf.Sub(begun), v.Reason)
	if v.Verdict != verdicts.Rollback || v.ReasonCode != analysis.HarmShown {
		t.Errorf("verdict %s (%s: %s), want a rollback for harm", v.Verdict, v.ReasonCode, v.Reason)
	}
	named := false
	for _, d := range v.Differences {
		named = named || d.Service == "checkout" && d.Edge != nil && d.Edge.Operation == "POST /orders" && d.Edge.Callee == ""
		if d.Edge != nil && d.Edge.Callee == "payment" && d.Found {
			t.Errorf("a call that never fails is found: %s", d.What)
		}
	}
	if !named {
		t.Errorf("the operation that fails is not listed: %+v", v.Differences)
	}
	var failed []analysis.Exemplar
	for _, e := range v.Exemplars {
		if e.Source == "jaeger" && e.Kind == analysis.ExemplarFailed && e.Missing == "" {
			failed = append(failed, e)
		}
	}
	if len(failed) == 0 {
		t.Fatalf("no failed trace from Jaeger: %+v", v.Exemplars)
	}
	if e := failed[0]; e.Spans != 3 || e.Errors != 1 || strings.Join(e.Services, " ") != "checkout payment" || e.Arm != analysis.Canary || !strings.HasPrefix(e.Digest, "sha256:") {
		t.Errorf("the trace is %+v", e)
	}
}

// latest is the newest verdict of a deployment, pending before there is one.
func (a *assay) latest(deployment string) verdicts.Verdict {
	a.t.Helper()
	if len(a.validations(deployment)) == 0 {
		return verdicts.Verdict{}
	}
	v, _ := a.verdict(deployment)
	return v
}

// rewrite replaces a part of a file that must be there.
func (a *assay) rewrite(name, old, text string) {
	a.t.Helper()
	is, err := os.ReadFile(filepath.Join(a.dir, name))
	if err == nil && strings.Count(string(is), old) != 1 {
		err = fmt.Errorf("%s does not hold %q once:\n%s", name, old, is)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name, strings.Replace(string(is), old, text, 1))
}

// append adds to the end of a file.
func (a *assay) append(name, text string) {
	a.t.Helper()
	is, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name, string(is)+text)
}

// makeTopics creates topics of three partitions, as whoever runs the Collector would.
func makeTopics(t *testing.T, broker string, names ...string) {
	t.Helper()
	client := kafkago.Client{Addr: kafkago.TCP(broker), Timeout: 10 * time.Second}
	var request kafkago.CreateTopicsRequest
	for _, name := range names {
		request.Topics = append(request.Topics, kafkago.TopicConfig{Topic: name, NumPartitions: 3, ReplicationFactor: 1})
	}
	resp, err := client.CreateTopics(t.Context(), &request)
	if err == nil {
		for _, failed := range resp.Errors {
			err = errors.Join(err, failed)
		}
	}
	if err != nil {
		t.Fatalf("create topics: %v", err)
	}
}
