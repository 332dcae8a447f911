package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/internal/backtest"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/verdicts"
)

// backtested judges bundles again by the demo's policy with a text in it replaced.
func backtested(t *testing.T, bundles []string, old, changed string, more ...string) (exitCode, backtest.Tally, string) {
	t.Helper()
	if !strings.Contains(string(demoPolicy), old) {
		t.Fatalf("the demo's policy does not hold %q", old)
	}
	policy := writeIn(t, t.TempDir(), "policy.yaml", strings.ReplaceAll(string(demoPolicy), old, changed))
	code, out, failed := command(t, append(append([]string{"backtest", "--policies", policy, "-o", "json"}, more...), bundles...)...)
	var tally backtest.Tally
	if err := json.Unmarshal([]byte(out), &tally); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, failed)
	}
	return code, tally, failed
}

func deployments(cases []backtest.Case) []string {
	out := []string{}
	for _, c := range cases {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(string(c.Deployment), "demo-"), "-seed-1"))
	}
	return out
}

// The four releases of the demo, judged again.
func TestBacktest(t *testing.T) {
	var bundles []string
	for _, r := range play(t, 1) {
		bundles = append(bundles, r.Bundle)
	}
	all := []string{"healthy", "error-regression", "environment", "telemetry-outage"}
	const window = "window: {minBake: 5m, deadline: 20m}"
	for _, c := range []struct {
		name, old, changed           string
		changes, pending, cannotTell []string
		why                          string // of what cannot be told
	}{
		{name: "the same policy", old: window, changed: window},
		{name: "another name", old: "checkout-demo", changed: "checkout-other"},
		{
			name: "no more than ten minutes: what took longer to promote holds", old: window, changed: "window: {minBake: 5m, deadline: 10m}",
			changes: []string{"environment"},
		},
		{
			// Whole traces are waited for beyond the deadline, longer than the rollback took.
			name: "half a minute: nothing is shown", old: window, changed: "window: {warmup: 0s, minBake: 10s, deadline: 30s}",
			changes: []string{"healthy", "environment"}, pending: []string{"error-regression"},
		},
		{
			name: "the objective that failed may not roll back: its evidence ends at the rollback", old: "availability, role: critical}\n    - {signal: http_duration, role: secondary}\n    - {signal: memory, role: secondary}\n    - {logs: {}, role: secondary}",
			changed: "availability, role: advisory}\n    - {signal: http_duration, role: critical}\n    - {signal: memory, role: secondary}\n    - {logs: {}, role: advisory}",
			pending: []string{"error-regression"},
		},
		{
			name: "next to no false rollbacks", old: window, changed: window + "\n  decision: {alphaRollback: 1e-40}",
			pending: []string{"error-regression"},
		},
		{
			name: "an objective that nobody asked about", old: "{signal: memory, role: secondary}", changed: "{signal: cpu, role: secondary}",
			cannotTell: all, why: "its signal was not asked for",
		},
		{
			name: "another margin of a latency", old: "{signal: http_duration, role: secondary}", changed: "{signal: http_duration, role: secondary, margin: 100%}",
			cannotTell: all, why: "its bounds follow from its tolerance and margin",
		},
		{
			name: "other pods", old: `canary: {matchers: {service.version: "${canary.version}"}}`, changed: `canary: {matchers: {app: "canary"}}`,
			cannotTell: all, why: "its cohorts select other pods",
		},
		{name: "an advisory objective that nobody asked about", old: "{signal: memory, role: secondary}", changed: "{signal: memory, role: secondary}\n    - {signal: cpu, role: advisory}"},
	} {
		code, tally, failed := backtested(t, bundles, c.old, c.changed)
		if code != exitOK || tally.Cases != 4 || tally.Same != 4-len(c.changes)-len(c.pending)-len(c.cannotTell) {
			t.Errorf("%s: exit code %d, %+v\n%s", c.name, code, tally, failed)
		}
		for _, list := range []struct {
			cases []backtest.Case
			want  []string
		}{{tally.Changes, c.changes}, {tally.Pending, c.pending}, {tally.CannotTell, c.cannotTell}} {
			if got := deployments(list.cases); !slices.Equal(got, list.want) && len(got)+len(list.want) > 0 {
				t.Errorf("%s: %q, want %q: %+v", c.name, got, list.want, list.cases)
			}
		}
		for _, one := range tally.Changes {
			if one.After.Verdict != verdicts.Hold || one.After.ReasonCode == "" || one.After.ReasonCode == one.Before.ReasonCode {
				t.Errorf("%s: %+v becomes %+v", c.name, one.Before, one.After)
			}
		}
		for _, one := range tally.CannotTell {
			if one.After != nil || !strings.Contains(strings.Join(one.CannotTell, "\n"), c.why) {
				t.Errorf("%s: %q, %+v", c.name, one.CannotTell, one.After)
			}
		}
	}
	t.Run("labels", func(t *testing.T) { backtestLabels(t, bundles) })
	t.Run("damage", func(t *testing.T) { backtestDamage(t, bundles) })
	t.Run("table", func(t *testing.T) { backtestTable(t, bundles) })
}

// The law of backtesting: by the policy that judged it, a release gets the same answer, for
// the same reason, from telemetry up to the same instant.
func TestBacktestOfTheSamePolicy(t *testing.T) {
	conf := config.Defaults()
	conf.Policies = []string{writeIn(t, t.TempDir(), "policy.yaml", string(demoPolicy))}
	policies, err := conf.LoadPolicies()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range play(t, 2) {
		c, err := judgeBundleAgain(r.Bundle, policyOf(policies))
		if err != nil || c.After == nil || len(c.Notes) > 0 {
			t.Fatalf("%s: %+v, %v", r.Name, c, err)
		}
		if !reflect.DeepEqual(c.Before, *c.After) {
			t.Errorf("%s: %+v becomes %+v", r.Name, c.Before, *c.After)
		}
	}
}

// Labels give the confusion of both configurations; those of nothing are told.
func backtestLabels(t *testing.T, bundles []string) {
	labels := writeIn(t, t.TempDir(), "labels.csv", "deployment,service,version,label\n,checkout,1.5.0,good\ndemo-error-regression-seed-1,,,bad\n,cart,1.0.0,good\n")
	code, tally, failed := backtested(t, bundles, "minBake: 5m, deadline: 20m", "minBake: 5m, deadline: 10m", "--labels", labels)
	if code != exitOK || !strings.Contains(failed, "labelled, but not judged: cart 1.0.0") || tally.Labelled == nil {
		t.Fatalf("exit code %d, %+v\n%s", code, tally, failed)
	}
	count := func(s backtest.Shares) (n []int) {
		for _, share := range s.Shares {
			n = append(n, share.Cases)
		}
		return n
	}
	before, after := tally.Labelled.Before, tally.Labelled.After
	for what, got := range map[string][2][]int{
		"good before": {count(before.Good), {2, 0, 1, 0}}, "bad before": {count(before.Bad), {0, 1, 0, 0}},
		"good after": {count(after.Good), {1, 0, 2, 0}}, "bad after": {count(after.Bad), {0, 1, 0, 0}},
	} {
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("%s: %v, want %v", what, got[0], got[1])
		}
	}
}

// A damaged bundle is named; the others are judged.
func backtestDamage(t *testing.T, bundles []string) {
	data, err := os.ReadFile(bundles[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	damaged := writeIn(t, t.TempDir(), "damaged.tar.zst", string(data))
	code, tally, failed := backtested(t, append([]string{damaged}, bundles[1:]...), "5m", "5m")
	if code != exitInternal || tally.Same != 3 || len(tally.Unread) != 1 || tally.Unread[0].From != damaged ||
		!strings.Contains(tally.Unread[0].Error, "the bundle is damaged") || !strings.Contains(failed, "1 release could not be judged") {
		t.Errorf("exit code %d, %+v\n%s", code, tally, failed)
	}
}

// The table for people says the same; a folder stands for its bundles.
func backtestTable(t *testing.T, bundles []string) {
	policy := writeIn(t, t.TempDir(), "policy.yaml", strings.ReplaceAll(string(demoPolicy), "deadline: 20m", "deadline: 10m"))
	labels := writeIn(t, t.TempDir(), "labels.jsonl", `{"service":"checkout","version":"1.5.0","label":"good"}`)
	code, out, failed := command(t, "backtest", "--policies", policy, "--labels", labels, filepath.Dir(bundles[0]))
	if code != exitOK || !strings.Contains(failed, "4 of 4 bundles judged again") {
		t.Errorf("exit code %d: %s", code, failed)
	}
	for _, want := range []string{
		"4 releases judged again: 3 the same, 1 would change, 0 pending where the evidence ends, 0 cannot be told",
		"BEFORE \\ AFTER", "OF THE LABELLED", "50% (15-85)", "VERDICTS THAT WOULD CHANGE", "promote: all_safe", "(it was good)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// What the command line names and is not there ends with 2, before anything is judged.
func TestBacktestMistakes(t *testing.T) {
	policy := writeIn(t, t.TempDir(), "policy.yaml", string(demoPolicy))
	labels := writeIn(t, t.TempDir(), "labels.csv", "deployment,label\nd1,fine\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--policies", policy}, "backtest takes bundles"},
		{[]string{"b.tar.zst"}, "name the policies to judge by"},
		{[]string{"--policies", policy, "nowhere.tar.zst"}, "nowhere.tar.zst"},
		{[]string{"--policies", policy, t.TempDir()}, "holds no further bundle"},
		{[]string{"--policies", "nowhere.yaml", "b.tar.zst"}, "nowhere.yaml"},
		{[]string{"--policies", policy, "--labels", labels, "b.tar.zst"}, `labels.csv: line 2: label "fine" is not known`},
	} {
		code, out, failed := command(t, append([]string{"backtest"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(failed, c.want) {
			t.Errorf("%q: exit code %d: %s %s", c.args, code, out, failed)
		}
	}
}
