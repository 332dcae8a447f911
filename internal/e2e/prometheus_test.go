package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/testdata/backends"
)

// TestPrometheusScrapesAProgramInTwoVersions deploys two services of a live program
// whose pods a real Prometheus scrapes each second: orders fails more in its new
// version, basket does not. The pods are found as they come, by service discovery.
func TestPrometheusScrapesAProgramInTwoVersions(t *testing.T) {
	const (
		before, after = "2.0.0", "2.1.0"
		requests      = 3000.0 // a second and pod
		usual, worse  = 0.002, 0.03
	)
	broker := backends.StartKafka(t)
	discovery := newDiscovery(t)
	prom := backends.StartPrometheus(t, backends.PrometheusConfig{ScrapeConfigs: fmt.Sprintf(`
  - job_name: program
    scrape_interval: 1s
    file_sd_configs: [{files: [%s], refresh_interval: 1s}]`, discovery.file)})
	a := serve(t, setup{brokers: []string{broker.Addr}, prometheus: prom.URL, policies: livePolicy("orders") + "---" + livePolicy("basket")})

	for _, service := range []string{"orders", "basket"} {
		for i := range 3 {
			discovery.add(startPod(t, requests, usual), service, before, fmt.Sprintf("%s-%d", service, i))
		}
	}
	discovery.publish()
	time.Sleep(12 * time.Second) // some scrapes of the baseline, from which its cadence is learned

	deployed := time.Now().UTC()
	for service, rate := range map[string]float64{"orders": worse, "basket": usual} {
		for i := range 2 {
			discovery.add(startPod(t, requests, rate), service, after, fmt.Sprintf("%s-canary-%d", service, i))
		}
		produce(t, broker.Addr, encode(t, analysis.Event{
			Source: "/ci/e2e", ID: service, Time: deployed, StartedAt: deployed, Phase: analysis.PhaseStarted, Mode: analysis.Live,
			DeploymentID: analysis.DeploymentID(service), Step: &analysis.Step{Weight: 0.4, At: deployed},
			Release: analysis.Release{Environment: "prod", Service: service, Version: after, PreviousVersion: before},
		}))
	}
	discovery.publish()

	for service, want := range map[string]string{"orders": "rollback", "basket": "promote"} {
		v, _ := a.final(service, 100*time.Second)
		t.Logf("%s: %s after %v of its own time, told after %v: %s", service, v.Verdict, v.AsOf.Sub(deployed).Round(time.Second), v.IssuedAt.Sub(deployed).Round(time.Second), v.Reason)
		if v.Verdict.String() != want {
			t.Errorf("%s: %s (%s: %s), want %s", service, v.Verdict, v.ReasonCode, v.Reason, want)
		}
		a.proven(service)
	}
	published(t, broker.Addr, 2)
	a.stop()
	a.verifyAudit()
}

// livePolicy promises 99 % to a service and decides within a minute and a half.
func livePolicy(service string) string {
	return fmt.Sprintf(`
apiVersion: openslo/v1
kind: SLO
metadata: {name: %[1]s-availability}
spec:
  service: %[1]s
  indicator:
    metadata: {name: %[1]s-errors}
    spec:
      ratioMetric:
        counter: true
        bad:   {metricSource: {type: Prometheus, spec: {query: 'http_requests_total{code=~"5.."}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: http_requests_total}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: %[1]s}
spec:
  match: {service: %[1]s}
  window: {warmup: 0s, minBake: 20s, deadline: 90s}
  objectives:
    - {sloRef: %[1]s-availability, role: critical}
`, service)
}

// startPod serves the metrics of one pod that handles so many requests a second, of
// which a share fails, until the test ends. It returns the address.
func startPod(t *testing.T, requests, failing float64) string {
	registry := prometheus.NewRegistry()
	handled := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests by status."}, []string{"code"})
	started := prometheus.NewGauge(prometheus.GaugeOpts{Name: "process_start_time_seconds", Help: "When the process started."})
	started.SetToCurrentTime()
	registry.MustRegister(handled, started)
	handled.WithLabelValues("200")
	handled.WithLabelValues("500")
	go func() {
		rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case now := <-tick.C:
				n := distuv.Poisson{Lambda: requests * now.Sub(last).Seconds(), Src: rng}.Rand()
				bad := 0.0
				if n > 0 {
					bad = distuv.Binomial{N: n, P: failing, Src: rng}.Rand()
				}
				handled.WithLabelValues("200").Add(n - bad)
				handled.WithLabelValues("500").Add(bad)
				last = now
			case <-t.Context().Done():
				return
			}
		}
	}()
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).String()
}

// A discovery is a file in which Prometheus finds its targets.
type discovery struct {
	t       *testing.T
	file    string
	targets []map[string]any
}

func newDiscovery(t *testing.T) *discovery {
	d := &discovery{t: t, file: filepath.Join(t.TempDir(), "targets.json"), targets: []map[string]any{}}
	d.publish()
	return d
}

func (d *discovery) add(address, service, version, pod string) {
	d.targets = append(d.targets, map[string]any{"targets": []string{address}, "labels": map[string]string{
		"service_name": service, "service_version": version, "deployment_environment_name": "prod", "pod": pod,
	}})
}

// publish replaces the file in one step.
func (d *discovery) publish() {
	d.t.Helper()
	text, err := json.Marshal(d.targets)
	if err == nil {
		err = os.WriteFile(d.file+".new", text, 0o644)
	}
	if err == nil {
		err = os.Rename(d.file+".new", d.file)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}
