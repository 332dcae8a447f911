package main

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources/otlp"
)

// The page of the documentation.
func TestPlanPage(t *testing.T) {
	code, out, failed := command(t, "plan", "--rps", "200", "--error-rate", "0.02%", "--slo", "99.9%", "--weight", "1%,5%,25%", "--step", "20m")
	const want = `a service, policy command line: deadline 1h, steps of 20m
weight of the canary                           1 %       5 %      25 %

errors  critical, SLO 99.9 %, 12000 requests a minute, 0.02 % bad, dispersion 1.2
  errors +10 % shown harmful in          tolerated tolerated tolerated
  errors +25 % shown harmful in          tolerated tolerated tolerated
  errors +50 % shown harmful in          tolerated tolerated tolerated
  errors +100 % shown harmful in         tolerated tolerated tolerated
  errors x5 shown harmful in                    6h       63m       15m
  healthy: shown safe in                       84m       33m      6.9m
    at the margin                        keeps SLO  ½ budget  ½ budget
    at the other margin                         3h       17m      3.5m
  healthy: held at the deadline               41 %       9 %      <1 %

smallest weight that fits a 20m step: 20 %
expected hold rate at 1 %: 41 %
expected hold rate at 5 %: 9 %
expected hold rate at 25 %: <1 %
at 1 %:    errors: underpowered: too little traffic, it needs about 84 minutes or 5% weight
`
	if code != exitOK || failed != "" || out != want {
		t.Errorf("exit code %d: %s\ngot\n%s\nwant\n%s", code, failed, out, want)
	}
}

// No line of a page is longer than a hundred characters, however much there is to say.
func TestPlanPageIsNarrow(t *testing.T) {
	_, out, _ := command(t, "plan", "--rps", "0.01", "--error-rate", "0.123456%", "--slo", "99.99%", "--weight", "1%,2%,5%,10%,25%,50%", "--service", strings.Repeat("long", 40))
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > pageWidth {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	if !strings.Contains(out, "no weight fits a 10m step: at 50 % it takes ") {
		t.Error(out)
	}
}

// The JSON has the figures of statistics 11.1 (V18: 14.268 and 5.600 minutes), and every
// key that the documentation names.
func TestPlanJSON(t *testing.T) {
	code, out, failed := command(t, "plan", "--rps", "1000", "--error-rate", "0.5%", "--phi", "1", "--weight", "2%", "--weight", "0.1", "-o", "json")
	var report struct {
		Step, Deadline string
		SmallestWeight float64
		Forecasts      []struct {
			Weight, HoldRate, MinutesToPromote, MinutesToDetect float64
			Fits                                                bool
			Objectives                                          []struct {
				Name, Role, Shape        string
				PerMinute, BaseRate, Phi float64
				Detect                   []struct{ Effect, Minutes float64 }
				Critical                 struct{ Effect, Minutes float64 }
				Margins                  []struct {
					Rung    string
					Minutes float64
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, failed)
	}
	if report.Step != "10m0s" || report.Deadline != "1h0m0s" || report.SmallestWeight != .02 || len(report.Forecasts) != 2 {
		t.Fatalf("%+v", report)
	}
	two, ten := report.Forecasts[0], report.Forecasts[1]
	o := two.Objectives[0]
	if two.Weight != .02 || !two.Fits || math.Abs(o.Detect[2].Minutes-14.268) > .0006 || o.Detect[2].Effect != 1.5 || o.PerMinute != 60_000 || o.BaseRate != .005 || o.Phi != 1 ||
		o.Critical.Effect != 2 || two.MinutesToDetect != o.Critical.Minutes {
		t.Errorf("at 2 %%: %+v", two)
	}
	if m := ten.Objectives[0].Margins; ten.Weight != .1 || math.Abs(ten.MinutesToPromote-5.6) > .0006 || m[0].Rung != "ratio" || m[0].Minutes != ten.MinutesToPromote || !(ten.HoldRate < two.HoldRate) {
		t.Errorf("at 10 %%: %+v", ten)
	}
}

func TestPlanFlags(t *testing.T) {
	traffic := []string{"--rps", "10", "--error-rate", "1%"}
	for says, args := range map[string][]string{
		"which traffic?":                           nil,
		"--rps 0 must be positive":                 {"--rps", "0", "--error-rate", "1%"},
		"--rps NaN must be positive":               {"--rps", "NaN", "--error-rate", "1%"},
		"--error-rate is required with --rps":      {"--rps", "1"},
		`--error-rate "2" is no share`:             {"--rps", "1", "--error-rate", "2"},
		`--slo "100%" is no share`:                 append(traffic, "--slo", "100%"),
		"--phi 0.5 must be between 1":              append(traffic, "--phi", ".5"),
		"--rps describes the traffic, --config":    append(traffic, "--config", "x"),
		`--weight "0" leaves one of the arms`:      append(traffic, "--weight", "0"),
		`--weight "half" is no share`:              append(traffic, "--weight", "half"),
		`--weight "0.1" is named twice`:            append(traffic, "--weight", "10%,0.1"),
		"--weight names 7 weights (legal: 1 to 6)": append(traffic, "--weight", "1%,2%,3%,4%,5%,6%,7%"),
		"--step -1m0s must be positive":            append(traffic, "--step", "-1m"),
		"--deadline 0s must be positive":           append(traffic, "--deadline", "0"),
		"--effect 1 must be above 1":               append(traffic, "--effect", "1"),
		"takes no arguments":                       append(traffic, "now"),
		"absent.yaml: no such file":                {"--service", "s", "--config", "absent.yaml"},
	} {
		code, out, failed := command(t, append([]string{"plan"}, args...)...)
		if code != exitUsage || out != "" || !strings.Contains(failed, says) {
			t.Errorf("%q: exit code %d, want %q: %s%s", args, code, says, out, failed)
		}
	}
}

// What plan tells is what the verdict of such a release begins with.
func TestPlanIsTheFirstVerdict(t *testing.T) {
	traffic := trafficFlags{rps: 30, rate: .001, target: .995, phi: 1.3}
	grounds := traffic.grounds("checkout", 40*time.Minute)
	f, err := grounds.at(.05, planQuestion{step: 10 * time.Minute, effect: 2})
	if err != nil {
		t.Fatal(err)
	}
	in := grounds.in
	in.Deployment.Steps, in.Facts = []analysis.Step{{Weight: .05}}, grounds.facts(in)
	plan, err := analysis.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := validation.NewJudge(plan)
	if err != nil {
		t.Fatal(err)
	}
	v := judge.Verdict()
	if v.Final || math.IsNaN(float64(v.MinutesToPromote)) || math.Abs(float64(v.MinutesToPromote/f.MinutesToPromote)-1) > 1e-9 || plan.Objectives[0].Rung != f.Objectives[0].Margins[0].Rung {
		t.Errorf("plan: a promote in %v, first verdict: in %v", f.MinutesToPromote, v.MinutesToPromote)
	}
	if detect := f.Objectives[0].Detect[slices.Index(analysis.ForecastEffects[:], 2)].Minutes; !math.IsInf(float64(detect), 1) || !math.IsInf(float64(v.MinutesToDetectDouble), 1) {
		t.Errorf("a doubled rate: plan %v, first verdict %v", detect, v.MinutesToDetectDouble)
	}
}

// planPolicy judges cart by what is pushed.
const planPolicy = `apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-availability}
spec:
  service: cart
  indicator:
    metadata: {name: cart-errors}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: OTLP, spec: {metric: requests, field: value, where: {code: ["500"]}}}}
        total: {metricSource: {type: OTLP, spec: {metric: requests, field: value}}}
  budgetingMethod: Occurrences
  objectives: [{target: 0.5}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: cart}
spec:
  match: {service: cart}
  window: {minBake: 5m, deadline: 30m}
  objectives:
    - {sloRef: cart-availability, role: critical}
`

// A running server is asked about what is pushed to it: three pushes in four succeed, 100
// and 50 a minute; less on average over minutes of which the first and last are cut.
func TestPlanOfWhatIsPushed(t *testing.T) {
	policy := writeIn(t, t.TempDir(), "cart.yaml", planPolicy)
	conf, policies, err := readConfig("", []string{policy})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{config: conf}
	if s.table, err = s.openSources(policies); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().UTC().Add(-30 * time.Minute).Truncate(15 * time.Second)
	for i := range 120 {
		if _, err := s.table["otlp"].(*otlp.Source).Consume(t.Context(), requestsAt(begin.Add(time.Duration(i)*15*time.Second), float64(25*i))); err != nil {
			t.Fatal(err)
		}
	}
	s.gather = gather.New(s.table, gather.Options{})
	web := httptest.NewServer(httpapi.New(httpapi.Config{Pushed: s.pushed(), Metrics: http.NotFoundHandler()}))
	defer web.Close()

	ask := func(args ...string) (exitCode, string, string) {
		return command(t, append([]string{"plan", "--policies", policy, "--server", web.URL, "-q"}, args...)...)
	}
	code, out, failed := ask("--service", "cart", "-o", "json")
	var r planReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, failed)
	}
	f := r.Forecasts[0]
	o := f.Objectives[0]
	if r.Policy != "cart" || r.Service != "cart" || r.Baseline != "1.0" || r.Deadline.D() != 30*time.Minute || f.Weight != .1 || len(f.Objectives) != 1 {
		t.Fatalf("%s", out)
	}
	if o.Name != "cart-availability" || !(o.PerMinute > 135 && o.PerMinute < 160) || math.Abs(float64(o.BaseRate)-1./3) > .01 || o.Calibrated || o.Phi != 3 || !(f.MinutesToPromote > 0) {
		t.Errorf("%s", out)
	}
	if code, out, failed = ask("--service", "cart", "--deadline", "2h", "--weight", "50%"); code != exitOK || !strings.Contains(out, "deadline 2h") || !strings.Contains(out, "dispersion 3 (assumed)") {
		t.Errorf("exit code %d: %s%s", code, out, failed)
	}

	for says, args := range map[string][]string{
		"no source has heard of till in the last hour": {"--service", "till"},
		`no policy is called "crat" (legal: cart, `:    {"--service", "cart", "--policy", "crat"},
	} {
		if code, out, failed := ask(args...); code != exitUsage || out != "" || !strings.Contains(failed, says) {
			t.Errorf("%q: exit code %d, want %q: %s%s", args, code, says, out, failed)
		}
	}
	web.Close()
	if code, _, failed := ask("--service", "cart"); code != exitInternal || !strings.Contains(failed, "no server answers at "+web.URL) {
		t.Errorf("nobody there: exit code %d: %s", code, failed)
	}
}

// A Prometheus that gives no answers ends a plan as it ends validate.
func TestPlanTellsTroubleApart(t *testing.T) {
	for status, want := range map[int]exitCode{401: exitAuth, 404: exitUsage, 503: exitInternal} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		dir := t.TempDir()
		writeIn(t, dir, "cart.yaml", strings.ReplaceAll(strings.ReplaceAll(planPolicy,
			`type: OTLP, spec: {metric: requests, field: value, where: {code: ["500"]}}`, `metricSourceRef: prom, spec: {query: 'requests_total{code="500"}'}`),
			`type: OTLP, spec: {metric: requests, field: value}`, `metricSourceRef: prom, spec: {query: requests_total}`))
		file := writeIn(t, dir, "assay.yaml", "policies: [cart.yaml]\nsources:\n  prom: {type: prometheus, url: '"+web.URL+"'}\n")
		code, out, failed := command(t, "plan", "--config", file, "--service", "cart", "--environment", "prod", "-q")
		if code != want || out != "" || !strings.Contains(failed, "source prom") {
			t.Errorf("%d: exit code %d, want %d: %s%s", status, code, want, out, failed)
		}
		web.Close()
	}
}
