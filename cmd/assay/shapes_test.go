package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
)

// shapesPolicy holds releases of the shop to signals of every shape, for long enough to
// see memory, which is compared by the minute.
const shapesPolicy = `
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: shapes}
spec:
  match: {service: checkout}
  window: {warmup: 1m, minBake: 25m, deadline: 50m}
  objectives:
    - {signal: http_server_errors, role: critical, margin: 100%, strata: [cloud.availability_zone]}
    - {signal: http_duration, role: critical, quantiles: [p95, p99], strata: [cloud.availability_zone]}
    - {signal: memory, role: secondary}
    - {signal: memory, role: secondary, leak: {limit: 1GiB, horizon: 2h}}
`

// playShapes plays scenarios against shapesPolicy, in process.
func playShapes(t *testing.T, scenarios ...lab.Scenario) map[string]demoResult {
	t.Helper()
	d := &demo{dir: t.TempDir(), seed: 1, policy: []byte(shapesPolicy), progress: &progress{out: new(bytes.Buffer)}}
	results, err := d.play(t.Context(), scenarios)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]demoResult{}
	for _, r := range results {
		out[r.Name] = r
		if f := d.explanations[r.Name].Plan.FalseAlarms; f == nil || len(f.Windows) < 2 {
			t.Errorf("%s: the plan was not tried on its quiet time: %+v", r.Name, f)
		}
		var explained bytes.Buffer
		if err := explain(&explained, d.explanations[r.Name]); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s after %v s, %s: %s\n%s", r.Name, r.Verdict, r.Seconds, r.ReasonCode, r.Reason, explained.String())
	}
	return out
}

// Harm is found in every shape, by the objective that it is about, and a healthy
// release is promoted beside it. The bundles judge themselves again to the same verdict.
func TestEveryShape(t *testing.T) {
	healthy := lab.Scenarios()[0]
	scenarios := []lab.Scenario{healthy, lab.Slow(), lab.Hungry(), lab.Leaking()}
	for i := range scenarios {
		scenarios[i].CanaryPods = 3 // one in each zone
	}
	results := playShapes(t, scenarios...)
	for name, want := range map[string]struct {
		verdict string
		code    analysis.Code
		blamed  []string // objectives of which one is in the reason
	}{
		healthy.Name:       {"promote", analysis.AllSafe, nil},
		lab.Slow().Name:    {"rollback", analysis.HarmShown, []string{"http_duration"}},
		lab.Hungry().Name:  {"rollback", analysis.HarmShown, []string{"memory"}},
		lab.Leaking().Name: {"rollback", analysis.HarmShown, []string{"memory", "memory_leak"}},
	} {
		got := results[name]
		blamed := want.blamed == nil || slices.ContainsFunc(want.blamed, func(o string) bool { return strings.HasPrefix(got.Reason, o+":") })
		if got.Verdict != want.verdict || got.ReasonCode != want.code || !blamed {
			t.Errorf("%s: %s (%s: %s), want %s, blaming %v", name, got.Verdict, got.ReasonCode, got.Reason, want.verdict, want.blamed)
		}
		var out, failed bytes.Buffer
		if code := run(t.Context(), []string{"rejudge", got.Bundle}, streams{nil, &out, &failed}); code != exitOK {
			t.Errorf("%s: rejudge ends with %d: %s%s", name, code, out.String(), failed.String())
		}
	}
}
