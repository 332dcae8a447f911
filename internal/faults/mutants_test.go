package faults

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var mutants = flag.Bool("mutants", false, "build Assay with known bugs and see that the catalogue finds each; takes some minutes")

// A mutant is a bug that was made on purpose. Some rows of the catalogue must find it.
type mutant struct {
	name     string
	file     string // from the root of the repository
	old, new string
	rows     string // regular expression of the rows that are played
}

var bugs = []mutant{
	{"NaN is 0", "sources/prometheus/series.go", "\t\t\tvalue := float64(p.Value)\n", "\t\t\tvalue := float64(p.Value)\n\t\t\tif math.IsNaN(value) {\n\t\t\t\tvalue, p.Value = 0, 0\n\t\t\t}\n", "F24_NaN"},
	{"infinity and negative counters are samples", "sources/prometheus/series.go", "math.IsNaN(value) || math.IsInf(value, 0) || value < 0", "math.IsNaN(value)", "F24"},
	{"a part is the whole", "analysis/state.go", `e.Missing != "" || e.Partial || e.skewed()`, `e.Missing != "" || e.skewed()`, "F23"},
	{"a warning is not noticed", "sources/prometheus/rows.go", "Partial: len(i.warnings) > 0,", "Partial: false,", "F23"},
	{"a source that does not answer has no data", "internal/validation/asking.go", "case sources.KindOf(err) == sources.Unavailable:", "case false:", "F21|F22"},
	{"Retry-After is not read", "sources/sources.go", "return e.RetryAfter", "return 0", "F22"},
	{"the lateness of a fold is not waited for", "internal/validation/asking.go", "at := fold.End.Add(v.plan.Objectives[i].Lateness.D())", "at := fold.End", "F28"},
	{"half an answer is refused for good", "sources/prometheus/client.go", "return nil, errNotJSON", "return nil, errRedirect", "F26"},
	{"a body over the limit is only cut off", "sources/prometheus/client.go", "int64(len(body)) > limit", "false", "F36_a_label"},
	{"series have no limit", "sources/prometheus/series.go", "len(matrix) > i.maxSeries", "false", "F36_1,200"},
	{"a series may come twice", "sources/prometheus/series.go", "seen[id] {", "seen[id] && false {", "F25_every"},
	{"times need not ascend", "sources/prometheus/series.go", "k > 0 && p.Timestamp <= stream.Values[k-1].Timestamp", "k < 0", "F25"},
	{"resets are not seen", "analysis/increase.go", "series.Samples[n].V < values[s] {", "false {", "F27"},
	{"overlapping arms are fine", "analysis/identity.go", "s.Overlap > (1-identityNeeded)*s.Total", "false", "F31"},
	{"another version is fine", "analysis/identity.go", "s.Wrong > (1-identityNeeded)*s.Total", "false", "F32"},
	{"no version is fine", "analysis/identity.go", "s.Right < identityNeeded*s.Total", "false", "F32"},
	{"any share of traffic is fine", "analysis/serving.go", "share < want/2 || share > 2*want", "false", "F32"},
	{"silence is harm", "analysis/serving.go", "served == 0 && !alive", "false", "F34_.i"},
	{"a canary that does not serve is fine", "analysis/serving.go", "return Check{Bad, CanaryNotServing,", "return Check{Good, CanaryNotServing,", "F34_.ii"},
	{"any coverage is enough", "analysis/coverage.go", "coverageNeeded = 0.90", "coverageNeeded = 0.0", "R3"},
	{"a silent arm is not stale", "analysis/coverage.go", "return k-c.LastFold >= staleAfter", "return false", "R3"},
	{"an outage becomes the usual", "analysis/coverage.go", "usual := max(v.Usual, v.medianPods())", "usual := v.medianPods()", "R3_three"},
	{"a silent pod has left", "analysis/coverage.go", "k-p.Last > p.Folds &&", "k-p.Last > 1000+p.Folds &&", "R3_one"},
	{"the environment is fine", "analysis/environment.go", "now.xC >= breachEvents &&", "false && now.xC >= breachEvents &&", "F35"},
	{"a baseline that was bad before is an incident", "analysis/environment.go", "if e.o.BaselineOverSLO {", "if false {", "R4"},
	{"any clock is fine", "analysis/skew.go", "e.Skew.D().Abs() > skewRefused", "false", "F39"},
}

// TestMutants asks whether the catalogue finds what it is there to find.
func TestMutants(t *testing.T) {
	if !*mutants {
		t.Log("not asked for: -mutants")
		return
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range bugs {
		t.Run(m.name, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(m.file))
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), m.old); n != 1 {
				t.Fatalf("%s has %d times what is to be changed: %q", m.file, n, m.old)
			}
			dir := t.TempDir()
			changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
			replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(overlay, replace, 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			play := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-count=1", ".", "-run", "TestCatalogue/seed/"+m.rows)
			out, err := play.CombinedOutput()
			switch text := string(out); {
			case strings.Contains(text, "[build failed]"):
				t.Fatalf("the bug does not compile:\n%s", text)
			case strings.Contains(text, "no tests to run"):
				t.Fatalf("no row is called %s", m.rows)
			case err == nil:
				t.Errorf("no row of %s found it", m.rows)
			default:
				t.Logf("found by %d runs", strings.Count(text, "        --- FAIL"))
			}
		})
	}
}
