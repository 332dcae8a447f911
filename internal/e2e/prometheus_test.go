package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
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
// A third one, newborn, was never heard of before its deployment.
func TestPrometheusScrapesAProgramInTwoVersions(t *testing.T) {
	t.Parallel()
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
	a := serve(t, setup{brokers: []string{broker.Addr}, prometheus: prom.URL, policies: livePolicy("orders") + "---" + livePolicy("basket") + "---" + livePolicy("newborn")})

	for _, service := range []string{"orders", "basket"} {
		for i := range 3 {
			discovery.add(startPod(t, requests, usual), service, before, fmt.Sprintf("%s-%d", service, i))
		}
	}
	discovery.publish()
	took := eventually(t, time.Minute, "Prometheus has scraped the baseline for a while", func() error {
		return scraped(prom.URL, before, 6, 8)
	})
	t.Logf("Prometheus has eight scrapes of all baseline pods after %v", took.Round(time.Second))

	deployed := time.Now().UTC()
	// The events declare no share of traffic: it would have to be measured for five
	// minutes before anything is promoted.
	for service, rate := range map[string]float64{"orders": worse, "basket": usual} {
		for i := range 2 {
			discovery.add(startPod(t, requests, rate), service, after, fmt.Sprintf("%s-canary-%d", service, i))
		}
	}
	discovery.add(startPod(t, requests, usual), "newborn", before, "newborn-0")
	discovery.add(startPod(t, requests, usual), "newborn", after, "newborn-canary-0")
	discovery.publish()
	for _, service := range []string{"orders", "basket", "newborn"} {
		produce(t, broker.Addr, encode(t, analysis.Event{
			Source: "/ci/e2e", ID: service, Time: deployed, StartedAt: deployed, Phase: analysis.PhaseStarted, Mode: analysis.Live,
			DeploymentID: analysis.DeploymentID(service),
			Release:      analysis.Release{Environment: "prod", Service: service, Version: after, PreviousVersion: before},
		}))
	}

	a.eventually(40*time.Second, "a service that begins with its deployment is planned for", func() error {
		if v, _ := a.verdict("newborn"); v.PlanDigest == "" || v.ReasonCode == analysis.NothingSeen {
			return fmt.Errorf("%s: %s", v.ReasonCode, v.Reason)
		}
		return nil
	})
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

// scraped reports whether Prometheus has so many scrapes of so many pods of a version.
func scraped(server, version string, pods, scrapes int) error {
	query := fmt.Sprintf(`count(count_over_time(http_requests_total{code="200",service_version=%q}[1m]) >= %d)`, version, scrapes)
	res, err := web.Get(server + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return err
	}
	if r := answer.Data.Result; len(r) != 1 || r[0].Value[1] != strconv.Itoa(pods) {
		return fmt.Errorf("pods with so many scrapes: %v, want %d", r, pods)
	}
	return nil
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
	registry.MustRegister(handled, processStart())
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
	return expose(t, registry)
}

// expose serves metrics until the test ends. It returns the address.
func expose(t *testing.T, metrics prometheus.Gatherer) string {
	server := httptest.NewServer(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).String()
}

// processStart is what official clients say of the start of their process.
func processStart() prometheus.Collector {
	started := prometheus.NewGauge(prometheus.GaugeOpts{Name: "process_start_time_seconds", Help: "When the process started."})
	started.SetToCurrentTime()
	return started
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
