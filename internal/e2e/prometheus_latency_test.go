package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/testdata/backends"
)

// TestPrometheusJudgesLatency deploys two services of a live program, judged by its
// native histograms alone: the new version of orders takes half as long again, that of
// basket takes as long as before.
func TestPrometheusJudgesLatency(t *testing.T) {
	t.Parallel()
	const before, after = "2.0.0", "2.1.0"
	broker := backends.StartKafka(t)
	discovery := newDiscovery(t)
	prom := backends.StartPrometheus(t, backends.PrometheusConfig{ScrapeConfigs: fmt.Sprintf(`
  - job_name: program
    scrape_interval: 1s
    file_sd_configs: [{files: [%s], refresh_interval: 1s}]`, discovery.file)})
	a := serve(t, setup{brokers: []string{broker.Addr}, prometheus: prom.URL, policies: latencyPolicy("orders") + "---" + latencyPolicy("basket")})
	for _, service := range []string{"orders", "basket"} {
		for i := range 3 {
			discovery.add(startSlowPod(t, 1), service, before, fmt.Sprintf("%s-%d", service, i))
		}
	}
	discovery.publish()
	eventually(t, time.Minute, "Prometheus has scraped the baseline for a while", func() error { return scraped(prom.URL, before, 6, 12) })

	deployed := time.Now().UTC()
	for service, slower := range map[string]float64{"orders": 1.5, "basket": 1} {
		for i := range 2 {
			discovery.add(startSlowPod(t, slower), service, after, fmt.Sprintf("%s-canary-%d", service, i))
		}
	}
	discovery.publish()
	for _, service := range []string{"orders", "basket"} {
		produce(t, broker.Addr, encode(t, analysis.Event{
			Source: "/ci/e2e", ID: service, Time: deployed, StartedAt: deployed, Phase: analysis.PhaseStarted, Mode: analysis.Live,
			DeploymentID: analysis.DeploymentID(service),
			Release:      analysis.Release{Environment: "prod", Service: service, Version: after, PreviousVersion: before},
		}))
	}
	for service, want := range map[string]string{"orders": "rollback", "basket": "promote"} {
		v, _ := a.final(service, 150*time.Second)
		t.Logf("%s: %s after %v of its own time: %s", service, v.Verdict, v.AsOf.Sub(deployed).Round(time.Second), v.Reason)
		if v.Verdict.String() != want {
			t.Errorf("%s: %s (%s: %s), want %s", service, v.Verdict, v.ReasonCode, v.Reason, want)
		}
		a.proven(service)
	}
	a.stop()
	a.verifyAudit()
}

// latencyPolicy compares the durations of a service within two minutes.
func latencyPolicy(service string) string {
	return fmt.Sprintf(`
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: %[1]s}
spec:
  match: {service: %[1]s}
  window: {warmup: 0s, minBake: 20s, deadline: 2m}
  signals:
    - name: duration
      unit: s
      histogram: {metricSource: {type: Prometheus, spec: {query: http_request_duration_seconds}}}
  objectives:
    - {signal: duration, role: critical, tolerance: 10%%, margin: 25%%}
`, service)
}

// startSlowPod serves the metrics of one pod that handles 3,000 requests a second,
// each slower by a factor, until the test ends. It returns the address.
func startSlowPod(t *testing.T, slower float64) string {
	registry := prometheus.NewRegistry()
	durations := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Durations.", NativeHistogramBucketFactor: 1.02})
	handled := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests by status."}, []string{"code"})
	registry.MustRegister(durations, handled, processStart())
	handled.WithLabelValues("200")
	go func() {
		rng := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for range 300 {
					durations.Observe(0.05 * slower * math.Exp(0.5*rng.NormFloat64()))
				}
				handled.WithLabelValues("200").Add(300)
			case <-t.Context().Done():
				return
			}
		}
	}()
	return expose(t, registry)
}
