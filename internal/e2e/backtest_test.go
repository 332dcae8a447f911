package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBacktestEvents judges two past releases by two configurations from what a real
// Prometheus has of them: where errors may not roll back any more, the release that failed
// is no longer rolled back. What was pushed cannot be judged again from events.
func TestBacktestEvents(t *testing.T) {
	w := worldOf(t, 25*time.Minute, "healthy", "error-regression")
	prom := w.prometheus(t)
	var lines []string
	for _, scenario := range []string{"healthy", "error-regression"} {
		m := structured(t, encode(t, started(scenario, w.deployed)))
		lines = append(lines, string(m.Value))
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		writeFile(t, dir, name, text)
		return filepath.Join(dir, name)
	}
	policy := func(role, source string) string {
		return fmt.Sprintf(`
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: %s-errors}
spec:
  match: {service: checkout}
  window: {minBake: 5m, deadline: 15m}
  objectives:
    - {signal: http_server_errors, source: %[2]s, role: %[1]s}
    - {signal: http_duration, source: %[2]s, role: critical}
`, role, source)
	}
	conf := write("assay.yaml", "sources:\n  prom: {type: prometheus, url: \""+prom.URL+"\"}\n")
	strict, lenient := write("strict.yaml", policy("critical", "prom")), write("lenient.yaml", policy("advisory", "prom"))
	events, labels := write("deployments.jsonl", strings.Join(lines, "\n")+"\n"), write("labels.csv", "deployment,label\nhealthy,good\nerror-regression,bad\n")

	type answer struct{ Verdict, ReasonCode string }
	type judged struct {
		Deployment    string
		Before, After answer
		CannotTell    []string
	}
	backtest := func(t *testing.T, now, against string) (out struct {
		Cases, Same         int
		Changes, CannotTell []judged
		Labelled            any
	},
	) {
		t.Helper()
		o := command(t, nil, "backtest", "--config", conf, "--policies", now, "--against", against, "--labels", labels, "-o", "json", events)
		if err := json.Unmarshal([]byte(o.out), &out); err != nil || o.code != 0 {
			t.Fatalf("%v %v", err, o)
		}
		t.Log(o)
		return out
	}

	if same := backtest(t, strict, strict); same.Cases != 2 || same.Same != 2 || same.Labelled == nil {
		t.Errorf("by the same policies: %+v", same)
	}
	changed := backtest(t, lenient, strict)
	found := false
	for _, c := range changed.Changes {
		if c.After.Verdict == "rollback" || c.After.Verdict == "pending" {
			t.Errorf("%+v", c)
		}
		found = found || c.Deployment == "error-regression" && c.Before == answer{"rollback", "harm_shown"}
	}
	if !found {
		t.Errorf("the rollback stays: %+v", changed)
	}
	pushed := backtest(t, write("pushed.yaml", policy("critical", "otlp")), strict)
	if len(pushed.CannotTell) != 2 || !strings.Contains(strings.Join(pushed.CannotTell[0].CannotTell, "\n"), "what was pushed to source otlp is not kept: judge its bundle") ||
		pushed.CannotTell[1].Before.Verdict != "rollback" {
		t.Errorf("what was pushed: %+v", pushed)
	}
}
