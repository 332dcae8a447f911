package backends

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// PrometheusConfig says what kind of Prometheus a test wants. The zero value is an empty server that scrapes nothing.
type PrometheusConfig struct {
	// ScrapeConfigs is the YAML list that stands below scrape_configs, one job an entry. Unless a job says otherwise it is
	// scraped each second, beginning about five seconds after the start (the server's own delay for new targets).
	ScrapeConfigs string
	// Flags are added to the command line.
	Flags []string
	// Retention is how far back samples are kept, 30y if empty: recordings are of past years.
	Retention string
	// Backfill are OpenMetrics files with time stamps, each ending in "# EOF", which are turned into blocks before the start.
	Backfill []string
}

// Prometheus is a Prometheus server that also takes OTLP and remote writes, and knows native histograms and exemplars.
// Stop, Kill and Restart keep the data directory and the port; they fail the test if the server was named by
// ASSAY_TEST_PROMETHEUS.
type Prometheus struct {
	// URL is the server's root, without a slash at the end.
	URL string

	*server
}

// StartPrometheus starts a server and returns when it answers queries; the test's clean-up stops it. With
// ASSAY_TEST_PROMETHEUS=URL it returns that server instead; a test that wants to fill or configure it then fails.
func StartPrometheus(t testing.TB, cfg PrometheusConfig) *Prometheus {
	t.Helper()
	const variable = "ASSAY_TEST_PROMETHEUS"
	if url := os.Getenv(variable); url != "" {
		if len(cfg.Backfill) > 0 || cfg.ScrapeConfigs != "" || len(cfg.Flags) > 0 || cfg.Retention != "" {
			t.Fatalf("the server of %s cannot be backfilled or configured by a test: unset the variable to let the test start its own", variable)
		}
		p := &Prometheus{URL: strings.TrimRight(url, "/"), server: &server{t: t, name: "prometheus", external: variable}}
		p.ready = p.serves
		p.start()
		return p
	}

	a, err := prometheusPrograms()
	if err != nil {
		t.Fatal(err)
	}
	programs, err := a.ensure(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), freePort(t)
	data, config := filepath.Join(dir, "data"), filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
	if cfg.ScrapeConfigs != "" {
		text += "scrape_configs:\n" + cfg.ScrapeConfigs + "\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatalf("write the settings of prometheus: %v", err)
	}
	for _, file := range cfg.Backfill {
		out, err := exec.Command(filepath.Join(programs, "promtool"), "tsdb", "create-blocks-from", "openmetrics", file, data).CombinedOutput()
		if err != nil {
			t.Fatalf("backfill prometheus from %s: %v\n%s", file, err, lastLines(string(out), 40))
		}
	}
	if cfg.Retention == "" {
		cfg.Retention = "30y"
	}

	p := &Prometheus{URL: "http://" + address(port), server: &server{t: t, name: "prometheus", program: filepath.Join(programs, "prometheus")}}
	p.args = append([]string{
		"--config.file=" + config,
		"--storage.tsdb.path=" + data,
		"--storage.tsdb.retention.time=" + cfg.Retention,
		"--web.listen-address=" + address(port),
		"--web.enable-otlp-receiver",
		"--web.enable-remote-write-receiver",
		"--enable-feature=native-histograms,exemplar-storage",
	}, cfg.Flags...)
	p.ready = p.serves
	p.start()
	return p
}

func (p *Prometheus) serves() error {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(p.URL + "/-/ready")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/-/ready: %s", p.URL, resp.Status)
	}
	return nil
}

var (
	prometheusVersion = regexp.MustCompile(`github\.com/prometheus/prometheus v0\.(\d)(\d\d)\.(\d+)`)
	prometheusBuild   = []string{
		"build", "-trimpath", "-o", "{dir}", "-ldflags", "-s -w -X github.com/prometheus/common/version.Version={version}",
		"github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool",
	}
)

// prometheusPrograms are the server and promtool of the nested module prometheus, whose go.mod says which version.
func prometheusPrograms() (artifact, error) {
	here, err := home()
	if err != nil {
		return artifact{}, err
	}
	module := filepath.Join(here, "prometheus")
	gomod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return artifact{}, fmt.Errorf("find the version of prometheus: %w", err)
	}
	m := prometheusVersion.FindStringSubmatch(string(gomod))
	if m == nil {
		return artifact{}, fmt.Errorf("%s requires no github.com/prometheus/prometheus v0.xyy.z", filepath.Join(module, "go.mod"))
	}
	// Module v0.305.0 is Prometheus 3.5.0: the server's own name for itself, which it is built to report.
	release := m[1] + "." + strings.TrimPrefix(m[2], "0") + "." + m[3]
	a := artifact{name: "prometheus", version: "v0." + m[1] + m[2] + "." + m[3], recipe: append([]string{string(gomod)}, prometheusBuild...)}
	a.build = func(dir string, out io.Writer) error {
		program, err := exec.LookPath("go")
		if err != nil {
			return fmt.Errorf("%w; Prometheus is built from source: put Go's bin directory on PATH", err)
		}
		var args []string
		for _, arg := range prometheusBuild {
			args = append(args, strings.NewReplacer("{dir}", dir+string(filepath.Separator), "{version}", release).Replace(arg))
		}
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = module, out, out
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go build in %s: %w", module, err)
		}
		return nil
	}
	return a, nil
}
