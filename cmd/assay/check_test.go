package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources"
)

// sound is an objective with nothing to say about.
func sound() *checkedObjective {
	counter := func(code string) *analysis.Selector {
		return &analysis.Selector{Metric: "m_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{code}}}}
	}
	seen := []analysis.Seen{{Service: "cart", Environment: "prod", Version: "1", Pods: 3, Exposure: 9}, {Service: "cart", Environment: "prod", Version: "2", Pods: 1, Exposure: 3}}
	found := partFacts{seen: seen, metric: sources.Metric{Type: "counter", Labels: []string{"code", "service_name"}}}
	return &checkedObjective{
		policy:    analysis.Policy{Name: "cart", Window: analysis.DefaultWindow()},
		objective: analysis.Objective{Name: "errors", Role: analysis.Critical, Signal: analysis.Signal{Source: "prom", Bad: counter("5.."), Total: counter("...")}},
		written:   config.Written{Event: config.Place{Path: "bad"}, Total: config.Place{Path: "total"}},
		service:   "cart",
		covers:    func(s analysis.Seen) bool { return s.Service == "cart" },
		facts: facts{
			total: found, event: found, own: seen, versions: seen, version: "service_version", spacing: 15 * time.Second,
			cohorts: analysis.Cohorts{Baseline: analysis.Cohort{"a": "b"}},
			planned: &analysis.PlannedObjective{History: analysis.History{Calibrated: true, Minutes: 1440, Pods: 3}, MinutesToPromote: 12},
		},
	}
}

// TestCheckFindings changes one fact at a time.
func TestCheckFindings(t *testing.T) {
	for name, test := range map[string]struct {
		change func(o *checkedObjective)
		want   string // empty: nothing is found
	}{
		"sound": {func(*checkedObjective) {}, ""},
		"an outage": {
			func(o *checkedObjective) { o.facts = facts{down: errors.New("refused")} },
			"error: the source does not answer, so that no query of it is checked: refused",
		},
		"not asked":       {func(o *checkedObjective) { o.facts, o.skipped = facts{}, "offline" }, ""},
		"a refused query": {func(o *checkedObjective) { o.facts.event = partFacts{err: errors.New("bad data")} }, "error: bad: bad data"},
		"a query that is too much, of a service": {
			func(o *checkedObjective) {
				o.facts.total = partFacts{err: &sources.Error{Kind: sources.Malformed, Source: "prom", Op: "seen", Err: errors.New("too much")}, all: true}
			},
			"error: total: source prom: seen: malformed: too much",
		},
		"a query that is too much, of all services": {
			func(o *checkedObjective) {
				o.service = "c*"
				o.facts.event = partFacts{err: &sources.Error{Kind: sources.Malformed, Source: "prom", Op: "seen", Err: errors.New("too much")}, all: true}
			},
			"warning: bad: not checked: source prom: seen: malformed: too much; all services together are too much to look at: name one in match.service",
		},
		"a gauge": {
			func(o *checkedObjective) { o.facts.total.metric.Type = "gauge" },
			"error: total: m_total is a gauge (as the targets that expose it say), and only a counter can be counted: name a counter, or the _count of a histogram",
		},
		"a summary": {
			func(o *checkedObjective) { o.facts.total.metric.Type = "summary" },
			"error: total: m_total is a summary (as the targets that expose it say), and only a counter can be counted: name a counter, or the _count of a histogram",
		},
		"a count of a summary": {
			func(o *checkedObjective) {
				o.objective.Signal.Total.Metric, o.facts.total.metric.Type = "m_count", "summary"
			}, "",
		},
		"a type that nobody declares": {func(o *checkedObjective) { o.facts.total.metric.Type = "" }, ""},
		"a sum": {
			func(o *checkedObjective) {
				o.objective.Signal.Total.Metric, o.facts.total.metric.Type = "m_sum", "histogram"
			},
			"warning: total: m_sum is a sum of observed values, not a count of events: the comparison takes it for one; name m_count",
		},
		"all buckets": {
			func(o *checkedObjective) {
				o.objective.Signal.Total.Metric = "m_bucket"
				o.facts.total.metric = sources.Metric{Type: "histogram", Labels: []string{"code", "le"}}
			},
			`error: total: m_bucket counts every request once for each bucket that it fits in: choose one by le="...", or name m_count`,
		},
		"one bucket": {
			func(o *checkedObjective) {
				o.objective.Signal.Total = &analysis.Selector{Metric: "m_bucket", Conditions: []analysis.Condition{{Name: "le", Op: analysis.OpEqual, Values: []string{"0.3"}}}}
				o.facts.total.metric = sources.Metric{Type: "histogram", Labels: []string{"code", "le"}}
			}, "",
		},
		"nothing failed": {
			func(o *checkedObjective) {
				o.facts.event.seen, o.facts.event.values = nil, map[string][]string{"code": {"200", "404"}}
			},
			"warning: bad: no series of m_total in the last hour meets the conditions (values of code: 200, 404): either nothing has failed yet, or nothing would ever be counted as failed",
		},
		"nothing succeeded": {
			func(o *checkedObjective) {
				o.objective.Signal.Good, o.objective.Signal.Bad = o.objective.Signal.Bad, nil
				o.facts.event.seen, o.facts.event.values = nil, map[string][]string{"code": {"200"}}
			},
			"error: bad: no series of m_total in the last hour meets the conditions (values of code: 200)",
		},
		"nothing of this service succeeded": {
			func(o *checkedObjective) {
				o.objective.Signal.Good, o.objective.Signal.Bad = o.objective.Signal.Bad, nil
				o.facts.event.seen = []analysis.Seen{{Service: "search"}}
			},
			"error: bad: no good event of cart in the last hour, though there are events: every one of them would count as bad",
		},
		"nothing of this service failed": {func(o *checkedObjective) { o.facts.event.seen = []analysis.Seen{{Service: "search"}} }, ""},
		"a typing error": {
			func(o *checkedObjective) {
				o.facts.total.seen, o.facts.total.metric = nil, sources.Metric{Near: []string{"a", "b", "c", "d"}}
			},
			"error: total: source prom has no series called m_total; names like it: a, b, c",
		},
		"a label that nobody carries": {
			func(o *checkedObjective) { o.facts.event.seen, o.facts.event.metric.Labels = nil, []string{"status"} },
			"error: bad: no series of m_total carries the label code (labels: status)",
		},
		"gone for an hour": {
			func(o *checkedObjective) { o.facts.total.seen, o.objective.Signal.Total.Conditions = nil, nil },
			"error: total: no series of m_total in the last hour",
		},
		"another service": {
			func(o *checkedObjective) {
				o.facts.own, o.facts.total.seen, o.environments = nil, []analysis.Seen{{Service: "search"}, {Service: "pay"}, {Service: "search"}}, []string{"prod-*"}
			},
			"error: total: there are series, but none of cart in prod-*; seen: services search, pay",
		},
		"no versions": {
			func(o *checkedObjective) { o.facts.versions = []analysis.Seen{{Service: "cart", Pods: 4}} },
			"error: total: no series carries the label service_version, by which the versions are told apart (labels: code, service_name); map another one by labels of source prom, or select the arms by cohorts",
		},
		"no versions, but cohorts": {
			func(o *checkedObjective) {
				o.policy.Baseline = map[string]string{"track": "stable"}
				o.facts.versions = []analysis.Seen{{Service: "cart", Pods: 4}}
			}, "",
		},
		"cohorts of nothing": {
			func(o *checkedObjective) { o.facts.silent = true },
			`error: total: nothing plays the baseline: no series in the last hour has a="b"`,
		},
		"a query of one arm": {
			func(o *checkedObjective) { o.facts.telling = []string{"service_version", "code"} },
			"error: total: the query has a condition on code, which tells the arms apart: leave it out, it is added for each arm",
		},
		"one version": {
			func(o *checkedObjective) { o.facts.versions = o.facts.versions[:1] },
			"warning: total: one version was seen in the last hour (1): whether the next one can be told from it shows when it runs",
		},
		"one scrape a minute": {
			func(o *checkedObjective) { o.facts.spacing = time.Minute },
			"warning: total: one sample each 1m0s: every look waits for the next one; 15 s decides sooner",
		},
		"one scrape": {
			func(o *checkedObjective) { o.facts.spacing = 0 },
			"warning: total: no target was scraped twice in the last hour: samples are taken for 60 s apart",
		},
		"one pod": {
			func(o *checkedObjective) { o.facts.versions[0].Pods = 1 },
			"warning: total: one pod serves the baseline: how much pods differ cannot be learned, and the comparison allows for more than usual",
		},
		"a young service": {
			func(o *checkedObjective) { o.facts.planned.History = analysis.History{Minutes: 1, Pods: 3} },
			"warning: total: 1 minute of history: two hours are needed to learn how much pods differ, until then the comparison allows for more than usual",
		},
		"no history": {
			func(o *checkedObjective) { o.facts.unlearned = errors.New("timeout") },
			"warning: total: the last day cannot be read, so that nothing is learned from it: timeout",
		},
		"little traffic": {
			func(o *checkedObjective) { o.facts.planned.Underpowered, o.facts.planned.MinutesToPromote = true, 90.2 },
			"warning: total: the traffic of the last hour cannot decide within the deadline of 1h0m0s at a tenth of it for the canary: about 91 minutes would; most releases would be held",
		},
		"little traffic for what is not critical": {
			func(o *checkedObjective) { o.objective.Role, o.facts.planned.Underpowered = analysis.Secondary, true }, "",
		},
		"pushed, and no server": {
			func(o *checkedObjective) {
				o.facts, o.skipped, o.missing = facts{}, "not checked", fmt.Errorf("%w at http://x", errNoServer)
			},
			"warning: what is pushed to source prom is not checked, because a running server holds it and no server answers at http://x: start 'assay serve', or name it with --server",
		},
		"pushed, of two types": {func(o *checkedObjective) { o.pushed, o.facts.total.metric.Type = true, "" }, ""},
		"pushed, a sum of a histogram": {
			func(o *checkedObjective) {
				o.pushed, o.facts.event.metric.Type, o.facts.total.metric.Type = true, "", "histogram"
				o.objective.Signal.Total.Field = analysis.FieldSum
			},
			"warning: total: the sum of m_total is one of observed values, not a count of events: the comparison takes it for one; write field: count",
		},
		"pushed, an attribute that must not be there": {
			func(o *checkedObjective) {
				o.pushed, o.facts.event.seen, o.facts.event.metric.Labels = true, nil, []string{"status"}
				o.objective.Signal.Bad.Conditions = []analysis.Condition{{Name: "code", Op: analysis.OpNotEqual, Values: []string{"200"}}}
			},
			"warning: bad: no series of m_total in the last hour meets the conditions: either nothing has failed yet, or nothing would ever be counted as failed",
		},
		"pushed, no attributes at all": {
			func(o *checkedObjective) {
				o.pushed, o.facts.event.seen = true, nil
				o.facts.event.metric = sources.Metric{Type: "counter", Resource: []string{"service.name"}}
			},
			"error: bad: no data point of m_total carries the attribute code (attributes: (none))",
		},
		"pushed, no versions": {
			func(o *checkedObjective) {
				o.pushed, o.facts.version = true, "service.version"
				o.facts.versions = []analysis.Seen{{Service: "cart", Pods: 4}}
				o.facts.total.metric.Resource = []string{"service.name", "telemetry.sdk.name"}
			},
			"error: total: no resource that sends it carries the attribute service.version, by which the versions are told apart (attributes: service.name, telemetry.sdk.name); set it (OTEL_RESOURCE_ATTRIBUTES=service.version=...), or select the arms by cohorts",
		},
		"pushed each minute": {
			func(o *checkedObjective) { o.pushed, o.facts.spacing = true, time.Minute },
			"warning: total: one sample each 1m0s: every look waits for the next one; 15 s decides sooner (OTEL_METRIC_EXPORT_INTERVAL=15000)",
		},
		"pushed once": {
			func(o *checkedObjective) { o.pushed, o.facts.spacing = true, 0 },
			"warning: total: no pod sent two samples in the last hour: samples are taken for 60 s apart",
		},
		"pushed, but of no loaded objective": {
			func(o *checkedObjective) { o.pushed, o.facts.unkept = true, true },
			"warning: total: the server keeps no history of it, because no objective that it has loaded names this signal: it learns from when it runs with these policies",
		},
		"a built-in signal that nobody sends": {
			func(o *checkedObjective) { o.policy.BuiltIn, o.facts = true, facts{} }, "",
		},
	} {
		o := sound()
		test.change(o)
		var got []string
		for _, f := range o.findings() {
			got = append(got, f.String())
		}
		if strings.Join(got, "\n") != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", name, strings.Join(got, "\n     "), test.want)
		}
	}
}

// TestCheckReport counts a finding once, also where two policies share the SLO, and
// gives every objective its state.
func TestCheckReport(t *testing.T) {
	weak, again, wrong, fine := sound(), sound(), sound(), sound()
	weak.facts.spacing, again.facts.spacing = time.Minute, time.Minute
	wrong.facts.total.metric.Type = "gauge"
	r := reportOf([]*checkedObjective{weak, again, wrong, fine}, []finding{{Level: levelError, Message: "first"}})
	var states []string
	for _, o := range r.Objectives {
		states = append(states, o.State)
	}
	if r.Errors != 2 || r.Warnings != 1 || len(r.Findings) != 3 || strings.Join(states, " ") != "weak weak unresolved ok" {
		t.Errorf("%+v, states %v", r, states)
	}
	var table strings.Builder
	if err := r.show(&table, "table"); err != nil {
		t.Fatal(err)
	}
	want := `POLICY  OBJECTIVE  ROLE      SOURCE  SERVICES  VERSIONS  PODS  SAMPLES  HISTORY  PROMOTE  STATE
cart    errors     critical  prom    cart      1, 2      3     1m0s     24h0m0s  ~12m     weak
cart    errors     critical  prom    cart      1, 2      3     1m0s     24h0m0s  ~12m     weak
cart    errors     critical  prom    cart      1, 2      3     15s      24h0m0s  ~12m     unresolved
cart    errors     critical  prom    cart      1, 2      3     15s      24h0m0s  ~12m     ok
error: first
`
	if !strings.HasPrefix(table.String(), want) {
		t.Errorf("got\n%swant\n%s", table.String(), want)
	}
}

// Without a server, check reads the files as serve does: every mistake at once, on
// stdout as text or JSON, and exit code 2.
func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	demo, err := os.ReadFile("demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sound := writeIn(t, dir, "sound.yaml", string(demo))
	broken := writeIn(t, dir, "broken.yaml", strings.Replace(string(demo), "role: critical", "role: crucial", 1))
	gone := httptest.NewServer(nil)
	nobody := gone.URL
	gone.Close()
	process := writeIn(t, dir, "assay.yaml", "sources:\n  prom: {type: prometheus, url: ftp://nowhere, timeout: 5s}\n")

	for _, test := range []struct {
		args []string
		code exitCode
		says string
	}{
		{nil, exitOK, "it has no policies of its own"},
		{[]string{sound}, exitOK, "not checked: telemetry is pushed to a running server"},
		{[]string{"--offline", sound}, exitOK, "not asked (--offline)"},
		{[]string{sound, broken}, exitUsage, broken + ":"},
		{[]string{"--config", process}, exitUsage, "ftp://nowhere"},
		{[]string{"--config", filepath.Join(dir, "absent.yaml")}, exitUsage, "absent.yaml: error: no such file"},
	} {
		code, out, failed := command(t, append([]string{"check", "--server", nobody}, test.args...)...)
		if code != test.code || !strings.Contains(out, test.says) {
			t.Errorf("check %v: exit code %d, want %d and %q\n%s%s", test.args, code, test.code, test.says, out, failed)
		}
		code, out, _ = command(t, append([]string{"check", "-q", "-o", "json", "--server", nobody}, test.args...)...)
		var r checkReport
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != test.code || (r.Errors > 0) != (test.code == exitUsage) {
			t.Errorf("check -o json %v: exit code %d, %+v, %v", test.args, code, r, err)
		}
	}
}

// writeIn writes a file and returns its name.
func writeIn(t *testing.T, dir, name, text string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
