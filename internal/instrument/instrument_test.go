package instrument

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md; read the diff")

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// full is a process in which everything has happened.
func full() *Metrics {
	m := New("1.2.3")
	m.Expect("hold", "deadline_passed")
	m.ExpectErrors("line", "publish")
	m.ExpectAsked("prom", "rows", "ok", "unavailable")
	m.Final(Verdict{Environment: "prod", Service: "checkout", Word: "promote", Reason: "all_safe", IssuedAt: noon, Took: time.Minute})
	m.Final(Verdict{Environment: "prod", Service: "checkout", Word: "rollback", Reason: "harm_shown", IssuedAt: noon.Add(time.Hour), Took: 2 * time.Minute})
	m.Final(Verdict{Environment: "prod", Service: "cart", Word: "hold", Reason: "no_baseline", IssuedAt: noon})
	m.Advanced(noon.Add(time.Second), time.Millisecond, 3, nil)
	m.Advanced(noon.Add(time.Minute), time.Millisecond, 4, errors.New("disk full"))
	m.Asked("prom", "rows", "ok", 200*time.Millisecond)
	m.Asked("thanos", "seen", "unavailable", 30*time.Second)
	m.Posted("accepted")
	m.Posted("conflict")
	m.Watch(Parts{
		Intake: func() Intake {
			return Intake{
				State: "down", States: []string{"starting", "ok", "down"}, Events: map[string]int64{"accepted": 7, "conflict": 2, "rejected": 5},
				DeadLetters: map[string]int64{"malformed": 5, "conflict": 2, "poison": 0}, Topic: "deployments",
				Partitions: []Partition{{Partition: 0, Lag: 4}, {Partition: 2, Stopped: true}}, LastFetch: noon, LostRecords: 3, FencedBatches: 1, Rejoins: 2,
			}
		},
		Backends: func() Backends {
			return Backends{Unmerged: 90, Issued: 3, Shared: 8, Each: map[string]Backend{
				"prom": {UnderWay: 2, Waiting: 5, Limit: 4}, "thanos": {Limit: 1, Open: true, Refused: 7},
			}}
		},
		OTLP: func() OTLP {
			return OTLP{Streams: map[string]OTLPStream{"spans": {Accepted: 7, Dropped: map[string]uint64{"late": 1}, Bytes: 5}}, Requests: 10, Accepted: 1000, Dropped: map[string]uint64{"late": 4, "no_time": 0}, Services: 1, Resources: 5, Series: 50, Topics: []OTLPTopic{{Topic: "otlp_spans", Records: map[string]uint64{"taken": 7, "lost": 0}, Lag: 12}}}
		},
		Stored: func(context.Context) (Stored, error) {
			return Stored{Outbox: map[string]Waiting{"topic": {Messages: 2, Since: noon}, "archive": {}}, DeadLetters: map[string]int64{"malformed": 6}}, nil
		},
	})
	return m
}

func served(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("/metrics: %d\n%s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	body := served(t, full())
	for _, want := range []string{
		`assay_validations_total{reason="harm_shown",verdict="rollback"} 1`,
		`assay_validations_total{reason="deadline_passed",verdict="hold"} 0`,
		`assay_verdict_info{environment="prod",namespace="",reason="harm_shown",service="checkout",verdict="rollback"} 1`,
		`assay_verdict_info{environment="prod",namespace="",reason="no_baseline",service="cart",verdict="hold"} 1`,
		`assay_verdict_timestamp_seconds{environment="prod",namespace="",service="checkout"} 1.7724564e+09`,
		`assay_time_to_verdict_seconds_count{verdict="hold"} 0`, // nothing was compared
		`assay_time_to_verdict_seconds_count{verdict="rollback"} 1`,
		`assay_validations_open 4`,
		`assay_line_last_advance_timestamp_seconds 1.772452801e+09`, // the failed advance does not count
		`assay_errors_total{part="line"} 1`, `assay_errors_total{part="publish"} 0`,
		`assay_build_info{version="1.2.3"} 1`,
		`assay_events_total{result="accepted",via="http"} 1`, `assay_events_total{result="rejected",via="http"} 0`,
		`assay_events_total{result="accepted",via="kafka"} 7`, `assay_events_total{result="rejected",via="kafka"} 5`, `assay_events_total{result="ignored",via="kafka"} 0`,
		`assay_dlq_events_total{reason="conflict"} 3`, `assay_dlq_events_total{reason="malformed"} 5`, `assay_dlq_events_total{reason="poison"} 0`,
		`assay_dlq_events_kept{reason="malformed"} 6`,
		`assay_intake_state{state="ok"} 0`, `assay_intake_state{state="down"} 1`, `assay_intake_last_fetch_timestamp_seconds 1.7724528e+09`,
		`assay_consumer_lag_records{partition="0",topic="deployments"} 4`, `assay_consumer_partition_stopped{partition="2",topic="deployments"} 1`,
		`assay_consumer_lost_records_total 3`, `assay_consumer_fenced_batches_total 1`, `assay_consumer_rejoins_total 2`,
		`assay_outbox_pending{sink="topic"} 2`, `assay_outbox_pending{sink="archive"} 0`,
		`assay_outbox_oldest_timestamp_seconds{sink="topic"} 1.7724528e+09`, `assay_store_up 1`,
		`assay_backend_requests_unmerged_total 90`, `assay_backend_requests_total 3`, `assay_backend_requests_shared_total 8`,
		`assay_backend_request_duration_seconds_bucket{backend="prom",code="ok",op="rows",le="0.3"} 1`, `assay_backend_request_duration_seconds_count{backend="thanos",code="unavailable",op="seen"} 1`,
		`assay_backend_request_duration_seconds_count{backend="prom",code="unavailable",op="rows"} 0`,
		`assay_backend_in_flight{backend="prom"} 2`, `assay_backend_waiting{backend="prom"} 5`, `assay_backend_limit{backend="prom"} 4`, `assay_backend_requests_refused_total{backend="prom"} 0`,
		`assay_backend_breaker_open{backend="prom"} 0`, `assay_backend_breaker_open{backend="thanos"} 1`, `assay_backend_requests_refused_total{backend="thanos"} 7`,
		`assay_otlp_requests_total 10`, `assay_otlp_points_total 1000`, `assay_otlp_dropped_points_total{reason="late"} 4`,
		`assay_otlp_services 1`, `assay_otlp_resources 5`, `assay_otlp_series 50`,
		`assay_otlp_topic_records_total{result="taken",topic="otlp_spans"} 7`, `assay_otlp_topic_records_total{result="lost",topic="otlp_spans"} 0`, `assay_otlp_topic_lag_records{topic="otlp_spans"} 12`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	for _, never := range []string{`service="checkout",verdict="promote"`, `assay_outbox_oldest_timestamp_seconds{sink="archive"}`} {
		if strings.Contains(body, never) {
			t.Errorf("%s is served", never)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// TestAbsentPartsSayNothing, and a store that does not answer says only that.
func TestAbsentPartsSayNothing(t *testing.T) {
	m := New("1")
	m.Watch(Parts{Stored: func(ctx context.Context) (Stored, error) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("a scrape waits for the store without limit")
		}
		return Stored{Outbox: map[string]Waiting{"topic": {Messages: 9}}}, errors.New("database is locked")
	}})
	body := served(t, m)
	if !strings.Contains(body, "assay_store_up 0\n") {
		t.Error("the store does not show as down")
	}
	for _, never := range []string{"assay_outbox_", "assay_dlq_events_kept", "assay_intake_", "assay_consumer_", "assay_otlp_", "assay_backend_", `via="kafka"`} {
		if strings.Contains(body, never) {
			t.Errorf("%s… is served", never)
		}
	}
}

// TestCatalogueIsWhatIsServed compares name, kind, labels and help of every row
// with the registry.
func TestCatalogueIsWhatIsServed(t *testing.T) {
	m := full()
	if problems, err := testutil.GatherAndLint(m.Gatherer()); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Metric{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "assay_") {
			continue
		}
		got := Metric{Name: f.GetName(), Kind: Kind(strings.ToLower(f.GetType().String())), Help: f.GetHelp()}
		for _, l := range f.GetMetric()[0].GetLabel() {
			got.Labels = append(got.Labels, l.GetName())
		}
		found[got.Name] = got
	}
	for _, want := range Catalogue() {
		want.Labels = slices.Sorted(slices.Values(want.Labels))
		if got := found[want.Name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("served: %v\nthe catalogue has %v", got, want)
		}
		delete(found, want.Name)
	}
	for name := range found {
		t.Errorf("%s is served and not in the catalogue", name)
	}
}

// TestMetricsPage prints docs/metrics.md.
func TestMetricsPage(t *testing.T) {
	const path = "../../docs/metrics.md"
	got := page()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (rewrite it with go generate and read the diff); got:\n%s", path, got)
	}
}

func page() []byte {
	var b bytes.Buffer
	b.WriteString("<!-- Printed by `go generate ./internal/instrument` from internal/instrument/catalogue.go. Do not edit. -->\n" + `
# Metrics

` + "`GET /metrics`" + ` on the HTTP address says how Assay itself is. Besides what is listed here it serves what the Go runtime
(` + "`go_…`" + `) and the process (` + "`process_…`" + `) say of themselves. Counters begin at 0 when the process starts. Metrics of a part
that is not there, such as intake where there is no Kafka, are absent.

No label holds an id or a version of what you release. ` + "`service`, `namespace` and `environment`" + ` are those of the release, not of
Assay: where your scrape adds labels of these names (Kubernetes does), set ` + "`honor_labels: true`" + ` (` + "`honorLabels`" + ` of a
ServiceMonitor), or they arrive as ` + "`exported_service`" + ` and the dashboards stay empty. Histograms are native and have buckets
besides, for servers that do not scrape native ones.

Dashboards and alert rules that use them: [dashboards/](../dashboards), [runbooks](runbooks).

| metric | type | labels | meaning |
| --- | --- | --- | --- |
`)
	for _, m := range Catalogue() {
		labels := "`" + strings.Join(m.Labels, "`, `") + "`"
		if len(m.Labels) == 0 {
			labels = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	return b.Bytes()
}
