package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/testdata/backends"
)

// A world is a set of simulated shops, each deployed at the same instant, whose
// telemetry is known from three hours before up to some instant after.
type world struct {
	deployed time.Time
	until    time.Time
	scenes   []lab.Scenario
}

// worldOf returns the world of some scenarios whose deployment was so long ago. A
// scenario may be played several times: "healthy", "healthy-2", ...
func worldOf(t testing.TB, ago time.Duration, names ...string) world {
	t.Helper()
	now := time.Now().UTC()
	w := world{deployed: now.Add(-ago).Truncate(time.Minute), until: now.Truncate(lab.Step)}
	for _, name := range names {
		kind, number, found := strings.Cut(name, "#")
		s, err := lab.Find(kind)
		if err != nil {
			t.Fatal(err)
		}
		if found {
			s.Name = kind + "-" + number
		}
		w.scenes = append(w.scenes, s)
	}
	return w
}

// many are n plays of one scenario.
func many(scenario string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s#%d", scenario, i)
	}
	return names
}

// play calls f with what all shops export at each step, from the beginning: the
// same at every call.
func (w world) play(f func(at time.Time, m pmetric.Metrics)) {
	var shops []*lab.Shop
	for _, s := range w.scenes {
		shops = append(shops, lab.NewShop(s, 1, w.deployed))
	}
	for at := w.deployed.Add(-lab.HistorySpan).Add(lab.Step); !at.After(w.until); at = at.Add(lab.Step) {
		m := pmetric.NewMetrics()
		for _, shop := range shops {
			shop.Export(m, at)
		}
		f(at, m)
	}
}

// push sends all of a world to an Assay over OTLP/gRPC.
func (w world) push(a *assay) {
	a.t.Helper()
	conn, err := grpc.NewClient(a.otlpGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	client := pmetricotlp.NewGRPCClient(conn)
	w.play(func(at time.Time, m pmetric.Metrics) {
		if m.ResourceMetrics().Len() == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if _, err := client.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(m)); err != nil {
			a.t.Fatalf("push telemetry of %s: %v", at.Format(time.TimeOnly), err)
		}
	})
}

// prometheus returns a real Prometheus that holds the request counts of a world, as
// if it had scraped them.
func (w world) prometheus(t testing.TB) *backends.Prometheus {
	t.Helper()
	requests := exposition{}
	w.requests(requests, "http_server_request_duration_seconds_count", labelOf)
	return backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{requests.file(t)}})
}

// requests adds the request counts of a world to an exposition, under the given
// names.
func (w world) requests(to exposition, counter string, labelOf func(attribute string) string) {
	w.play(func(at time.Time, m pmetric.Metrics) {
		for _, resource := range m.ResourceMetrics().All() {
			target := map[string]string{"job": "lab"}
			for name, value := range resource.Resource().Attributes().All() {
				target[labelOf(name)] = value.AsString()
			}
			for _, metric := range resource.ScopeMetrics().At(0).Metrics().All() {
				if metric.Type() != pmetric.MetricTypeHistogram {
					continue
				}
				for _, point := range metric.Histogram().DataPoints().All() {
					labels := maps.Clone(target)
					for name, value := range point.Attributes().All() {
						labels[labelOf(name)] = value.AsString()
					}
					to.add(counter, labels, pcommon.Timestamp(point.Timestamp()).AsTime(), float64(point.Count()))
				}
			}
		}
	})
}

func labelOf(attribute string) string {
	if attribute == "k8s.pod.name" {
		return "pod"
	}
	return strings.ReplaceAll(attribute, ".", "_")
}

// overPrometheus is the demo's policy over the names that Prometheus gives.
const overPrometheus = `
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout-availability}
spec:
  service: checkout
  indicator:
    metadata: {name: checkout-errors}
    spec:
      ratioMetric:
        counter: true
        bad:   {metricSource: {type: Prometheus, spec: {query: 'http_server_request_duration_seconds_count{http_response_status_code=~"5.."}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: http_server_request_duration_seconds_count}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: requests, target: 0.995}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: checkout}
spec:
  match: {service: checkout}
  window: {minBake: 5m, deadline: 20m}
  objectives:
    - {sloRef: checkout-availability, role: critical}
`

// An exposition collects samples by metric, as OpenMetrics text wants them: a
// family may not be torn apart.
type exposition map[string]*bytes.Buffer

func (e exposition) add(metric string, labels map[string]string, at time.Time, value float64) {
	text, ok := e[metric]
	if !ok {
		text = &bytes.Buffer{}
		e[metric] = text
	}
	text.WriteString(metric)
	separator := byte('{')
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		text.WriteByte(separator)
		fmt.Fprintf(text, "%s=%q", name, labels[name])
		separator = ','
	}
	fmt.Fprintf(text, "} %v %.3f\n", value, float64(at.UnixMilli())/1000)
}

// file writes the text for promtool.
func (e exposition) file(t testing.TB) string {
	t.Helper()
	var text bytes.Buffer
	for _, metric := range slices.Sorted(maps.Keys(e)) {
		fmt.Fprintf(&text, "# TYPE %s unknown\n%s", metric, e[metric].Bytes())
	}
	text.WriteString("# EOF\n")
	name := filepath.Join(t.TempDir(), "recording.txt")
	if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
