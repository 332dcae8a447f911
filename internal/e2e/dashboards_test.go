package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/dashboards"
	"github.com/release-assay/assay/internal/instrument"
	"github.com/release-assay/assay/testdata/backends"
)

// TestDashboards asks a real Prometheus, which scrapes a running Assay that has
// judged two releases, every query of every panel. It is scraped twice: as a server
// that takes native histograms sees it, with labels that collide as those of
// Kubernetes do, and as one that knows only the text format and buckets.
func TestDashboards(t *testing.T) {
	a := prepare(t, setup{})
	a.rewrite("assay.yaml", "dataDir: data\n", "dataDir: data\nkafka: {topics: {otlp: {spans: otlp_spans}}}\n")
	server := backends.StartPrometheus(t, backends.PrometheusConfig{ScrapeConfigs: fmt.Sprintf(`
  - job_name: assay
    honor_labels: true
    static_configs: [{targets: [%[1]s], labels: {namespace: tools, service: assay, cluster: west}}]
  - job_name: assay-text
    scrape_protocols: [PrometheusText0.0.4]
    static_configs: [{targets: [%[1]s]}]`, a.web)})
	a.start()
	a.awaitReady()
	await(t, server, "both jobs to be scraped", `count(up == 1) == 2`)

	w := worldOf(t, 25*time.Minute, "healthy", "error-regression")
	w.push(a)
	for _, s := range w.scenes {
		a.post(started(s.Name, w.deployed))
	}
	for _, s := range w.scenes {
		a.final(s.Name, time.Minute)
	}
	await(t, server, "both verdicts to be scraped", `sum by (job) (assay_validations_total) == 2 and on (job) count by (job) (assay_verdict_info) == 2`)
	time.Sleep(3 * time.Second) // a rate needs samples after the increase

	t.Run("every query has data", func(t *testing.T) {
		asked := 0
		for file, d := range dashboards.All() {
			for _, job := range []string{"assay", "assay-text"} {
				for _, expr := range queries(d) {
					asked++
					expr = inGrafana(expr, job)
					if n := series(t, server, expr); n == 0 {
						t.Errorf("%s, job %s: no data for %s", file, job, expr)
					}
				}
			}
		}
		t.Logf("%d queries", asked)
		if asked < 100 {
			t.Errorf("only %d queries were found", asked)
		}
	})
	t.Run("the two jobs see what they are for", func(t *testing.T) {
		for expr, want := range map[string]int{
			`histogram_quantile(0.5, sum by (verdict) (rate(assay_time_to_verdict_seconds{job="assay"}[1m])))`:          3,
			`assay_time_to_verdict_seconds_bucket{job="assay"}`:                                                         0,
			`assay_time_to_verdict_seconds{job="assay-text"}`:                                                           0,
			`sum by (verdict) (increase(assay_validations_total{job="assay"}[5m])) > 0.9`:                               2,
			`sum by (verdict) (increase(assay_validations_total{job="assay-text"}[5m])) > 0.9`:                          2,
			fmt.Sprintf(`abs(assay_verdict_timestamp_seconds{job="assay"} - %d) < 60`, time.Now().Unix()):               2,
			`assay_verdict_info{job="assay", verdict="promote"} or assay_verdict_info{job="assay", verdict="rollback"}`: 2,
			`sum by (via) (assay_events_total{job="assay"}) > 0`:                                                        1,
		} {
			if n := series(t, server, expr); n != want {
				t.Errorf("%d series, want %d: %s", n, want, expr)
			}
		}
	})
	t.Run("every metric is scraped", func(t *testing.T) {
		for _, m := range instrument.Catalogue() {
			name := m.Name
			if name == "assay_outbox_oldest_timestamp_seconds" {
				continue // nothing waits
			}
			if m.Kind == instrument.Histogram {
				name += "_bucket"
			}
			if series(t, server, name+`{job="assay-text"}`) == 0 {
				t.Errorf("%s is in the catalogue and not served", m.Name)
			}
		}
	})
	t.Run("labels of releases survive a scrape that has them too", func(t *testing.T) {
		for _, s := range w.scenes {
			if expr := fmt.Sprintf(`assay_verdict_info{job="assay", cluster="west", environment=%q, service="checkout", namespace!="tools"}`, s.Environment()); series(t, server, expr) != 1 {
				t.Errorf("not there: %s", expr)
			}
		}
	})
	t.Run("promtool finds nothing to say of the metrics", func(t *testing.T) {
		status, text, err := a.ask(http.MethodGet, "/metrics", nil, nil)
		if err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		// Those of the Go runtime are not ours.
		var ours []string
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "assay_") {
				ours = append(ours, line)
			}
		}
		promtool(t, strings.Join(ours, "\n")+"\n", "check", "metrics")
	})
	t.Run("no alert is pending", func(t *testing.T) {
		rules := alertRules(t)
		for name, expr := range rules {
			if n := series(t, server, strings.ReplaceAll(expr, `job="assay"`, `job=~"assay|assay-text"`)); n > 0 && name != "AssayDown" {
				t.Errorf("%s would fire of an Assay that is well: %s", name, expr)
			}
		}
		if len(rules) < 10 {
			t.Errorf("only %d rules were found", len(rules))
		}
	})
	a.stop()
	await(t, server, "the alert that Assay is down", rule(t, "AssayDown"))
}

// TestAlertRules runs the unit tests of the alert rules by promtool.
func TestAlertRules(t *testing.T) {
	backends.StartPrometheus(t, backends.PrometheusConfig{}) // builds promtool
	const dir = "../../dashboards/alerts"
	promtool(t, "", "check", "rules", filepath.Join(dir, "assay.yaml"))
	promtool(t, "", "test", "rules", filepath.Join(dir, "assay_test.yaml"))
	promtool(t, "", "check", "config", "--syntax-only", "../../deploy/compose/prometheus.yml")
}

// queries lists the expressions of all panels and annotations.
func queries(d dashboards.Dashboard) (exprs []string) {
	for _, a := range d.Annotations.List {
		if a.Datasource.Type == "prometheus" { // lines are asked of a Loki
			exprs = append(exprs, a.Expr)
		}
	}
	var visit func([]dashboards.Panel)
	visit = func(panels []dashboards.Panel) {
		for _, p := range panels {
			for _, q := range p.Targets {
				exprs = append(exprs, q.Expr)
			}
			visit(p.Panels)
		}
	}
	visit(d.Panels)
	return exprs
}

// inGrafana replaces the variables as Grafana does where all is chosen but the job.
func inGrafana(expr, job string) string {
	return strings.NewReplacer(
		"$__rate_interval", "10s", "$__range", "5m", "$job", job,
		"$cluster", ".*", "$instance", ".*", "$environment", ".*", "$service", ".*",
	).Replace(expr)
}

// series asks for the value of an expression now and returns how many series the
// answer has.
func series(t testing.TB, server *backends.Prometheus, expr string) int {
	t.Helper()
	res, err := web.PostForm(server.URL+"/api/v1/query", url.Values{"query": {expr}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("query %s: %s %v", expr, answer.Error, err)
	}
	return len(answer.Data.Result)
}

func await(t testing.TB, server *backends.Prometheus, what, expr string) {
	t.Helper()
	eventually(t, 30*time.Second, what, func() error {
		if series(t, server, expr) == 0 {
			return fmt.Errorf("no data for %s", expr)
		}
		return nil
	})
}

// promtool runs the program that was built along with the real Prometheus.
func promtool(t testing.TB, input string, args ...string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Glob(filepath.Join(cache, "assay-backends", "prometheus-*", "promtool"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("promtool is not there (%v): run make backends", err)
	}
	cmd := exec.Command(programs[len(programs)-1], args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	} else {
		t.Logf("promtool %s: %s", strings.Join(args, " "), bytes.TrimSpace(out))
	}
}

// alertRules are the expressions of the alerts by their names.
func alertRules(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../dashboards/alerts/assay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	rules := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules[r.Alert] = r.Expr
		}
	}
	return rules
}

func rule(t testing.TB, name string) string {
	t.Helper()
	expr, ok := alertRules(t)[name]
	if !ok {
		t.Fatalf("no alert is called %s", name)
	}
	return expr
}
