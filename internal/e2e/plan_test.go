package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/testdata/backends"
)

// TestPlan lets `assay plan` ask a real Prometheus, which has three hours of three pods
// of cart: 6000 requests a minute, of which one in a hundred fails, log-normal
// durations and memory that wanders a little.
func TestPlan(t *testing.T) {
	server := backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{cartOf(t, "prod"), cartOf(t, "staging")}})
	dir := t.TempDir()
	writeFile(t, dir, "assay.yaml", fmt.Sprintf("policies: [policy.yaml]\nsources:\n  prom: {type: prometheus, url: '%s'}\nbuiltIn: {source: prom}\n", server.URL))
	writeFile(t, dir, "policy.yaml", strings.ReplaceAll(checkedPolicy("cart", `http_server_request_duration_seconds_count{http_response_status_code="500"}`, `http_server_request_duration_seconds_count`),
		"match: {service: cart}", "match: {service: cart, environments: [prod]}"))
	plan := func(flags ...string) outcome {
		return command(t, nil, append([]string{"plan", "-q", "--config", filepath.Join(dir, "assay.yaml"), "--service", "cart"}, flags...)...)
	}
	type objective struct {
		Name, Role, Shape   string
		PerMinute, BaseRate *float64
		Calibrated          bool
		Detect              []struct{ Effect, Minutes *float64 }
		Margins             []struct {
			Rung    string
			Minutes *float64
		}
	}
	var report struct {
		Policy, Environment, BaselineVersion, Deadline string
		SmallestWeight                                 *float64
		Forecasts                                      []struct {
			Weight, HoldRate *float64
			Objectives       []objective
		}
	}
	read := func(o outcome) {
		t.Helper()
		report.Forecasts = nil
		if err := json.Unmarshal([]byte(o.out), &report); err != nil || o.code != 0 || len(report.Forecasts) == 0 {
			t.Fatalf("%v: %v", err, o)
		}
	}

	// The policy of the environment, by which the bad rate equals the budget: a ratio of
	// the baseline's rate, at 60 bad events a minute over both arms.
	read(plan("--environment", "prod", "--weight", "10%,25%", "-o", "json"))
	o := report.Forecasts[0].Objectives[0]
	if report.Policy != "cart" || report.BaselineVersion != "1.0.0" || report.Deadline != "1h30m0s" || len(report.Forecasts) != 2 || len(report.Forecasts[0].Objectives) != 1 {
		t.Fatalf("%+v", report)
	}
	if math.Abs(*o.PerMinute-6000) > 120 || math.Abs(*o.BaseRate-.01) > .0005 || !o.Calibrated || o.Margins[0].Rung != "ratio" {
		t.Errorf("%+v", o)
	}
	// (12) at 60 events a minute needs 28 minutes at dispersion 1; twice that is no surprise
	// of what three hours tell.
	if m := *o.Margins[0].Minutes; m < 27 || m > 60 || *report.Forecasts[1].Objectives[0].Margins[0].Minutes >= m {
		t.Errorf("a promote in %v minutes", m)
	}

	// The built-in plan has every shape.
	read(plan("--environment", "staging", "-o", "json"))
	shapes := map[string]bool{}
	for _, o := range report.Forecasts[0].Objectives {
		if last := o.Detect[4].Minutes; last != nil && *last > 0 {
			shapes[o.Shape] = true
		}
	}
	if report.Environment != "staging" || report.Policy != "built-in" || len(shapes) != 3 {
		t.Errorf("five times as much is foreseen of %v: %+v", shapes, report)
	}

	page := plan("--environment", "prod")
	for _, want := range []string{"cart in prod, policy cart: deadline 1h30m, steps of 10m", "cart-availability  critical, SLO 99 %, ", "expected hold rate at 10 %: "} {
		if page.code != 0 || !strings.Contains(page.out, want) {
			t.Errorf("want %q, got %v", want, page)
		}
	}
	if o := plan(); o.code != 2 || !strings.Contains(o.err, "cart runs in several environments (prod, staging): choose one with --environment") {
		t.Error(o)
	}
	if o := plan("--environment", "dev"); o.code != 2 || !strings.Contains(o.err, "no source has heard of cart in the last hour") {
		t.Error(o)
	}
}

// cartOf is a recording of three pods of cart, scraped once a minute for three hours.
func cartOf(t *testing.T, environment string) string {
	recording := exposition{}
	rng := rand.New(rand.NewPCG(5, 4))
	end := time.Now().Add(-20 * time.Second)
	const minutes, perMinute = 180, 2000
	var bounds []float64
	for bound := .05; bound < 1; bound *= 1.1 {
		bounds = append(bounds, bound)
	}
	for pod := range 3 {
		counts := map[string][]float64{"200": make([]float64, len(bounds)+1), "500": make([]float64, len(bounds)+1)}
		for minute := minutes; minute >= 0; minute-- {
			at := end.Add(-time.Duration(minute) * time.Minute)
			add := func(metric string, value float64, more ...string) {
				labels := map[string]string{
					"service_name": "cart", "service_version": "1.0.0", "deployment_environment_name": environment, "pod": fmt.Sprintf("cart-%d", pod), "job": "lab",
				}
				for i := 0; i < len(more); i += 2 {
					labels[more[i]] = more[i+1]
				}
				recording.add(metric, labels, at, value)
			}
			for range perMinute {
				code := "200"
				if rng.Float64() < .01 {
					code = "500"
				}
				bucket, _ := slices.BinarySearch(bounds, .1*math.Exp(.6*rng.NormFloat64()))
				counts[code][bucket]++
			}
			for code, counts := range counts {
				sum := 0.0
				for i, n := range counts {
					le := "+Inf"
					if i < len(bounds) {
						le = fmt.Sprintf("%.4g", bounds[i])
					}
					sum += n
					add("http_server_request_duration_seconds_bucket", sum, "http_response_status_code", code, "le", le)
				}
				add("http_server_request_duration_seconds_count", sum, "http_response_status_code", code)
			}
			add("process_memory_usage_bytes", 1e8*(1+.02*rng.NormFloat64()))
		}
	}
	return recording.file(t)
}
