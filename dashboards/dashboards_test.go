package dashboards

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite json/; read the diff")

// TestGenerated compares the committed files with what the code makes.
func TestGenerated(t *testing.T) {
	for file, d := range All() {
		got, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("json", file)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs: run go generate ./dashboards and read the diff", path)
		}
	}
	committed, err := filepath.Glob("json/*")
	if err != nil || len(committed) != len(All()) {
		t.Errorf("json/ holds %v, %v; the code makes %v", committed, err, sorted(All()))
	}
}

// TestLint holds every dashboard against the conventions.
func TestLint(t *testing.T) {
	uids := map[string]string{}
	for file, d := range All() {
		for _, problem := range lint(d) {
			t.Errorf("%s: %s", file, problem)
		}
		if other, taken := uids[d.UID]; taken {
			t.Errorf("%s and %s have the uid %s", file, other, d.UID)
		}
		uids[d.UID] = file
	}
}

// TestLintFinds breaks a dashboard in each way that lint is there for.
func TestLintFinds(t *testing.T) {
	// The first panel that is no row; each dashboard is built anew.
	first := func(d *Dashboard) *Panel { return &d.Panels[1] }
	expr := func(text string) func(*Dashboard) {
		return func(d *Dashboard) { first(d).Targets[0].Expr = expression(text) }
	}
	for name, damage := range map[string]func(*Dashboard){
		"no title":                    func(d *Dashboard) { first(d).Title = "" },
		"no description":              func(d *Dashboard) { first(d).Description = "" },
		"no unit":                     func(d *Dashboard) { first(d).FieldConfig.Defaults.Unit = "" },
		"no panel below a row":        func(d *Dashboard) { d.Panels = d.Panels[:1] },
		"two panels with one id":      func(d *Dashboard) { d.Panels[2].ID = first(d).ID },
		"two panels in one place":     func(d *Dashboard) { d.Panels[2].GridPos = first(d).GridPos },
		"a panel beside the grid":     func(d *Dashboard) { first(d).GridPos.X = 22 },
		"editable":                    func(d *Dashboard) { d.Editable = true },
		"a fixed data source":         func(d *Dashboard) { first(d).Targets[0].Datasource.UID = "P1809F7CD0C75ACF3" },
		"no data source variable":     func(d *Dashboard) { d.Templating.List = d.Templating.List[1:] },
		"no tag":                      func(d *Dashboard) { d.Tags = nil },
		"a series without a name":     func(d *Dashboard) { first(d).Targets[0].LegendFormat = "" },
		"an unknown metric":           expr(`sum(assay_validations_opened{@})`),
		"a misspelled label":          expr(`sum(assay_validations_open{@, verdct="hold"})`),
		"a label that it cannot have": expr(`sum by (service) (assay_validations_open{@})`),
		"an expression that is none":  expr(`sum(assay_validations_open{@}`),
		"an unknown variable":         expr(`sum(assay_validations_open{@, job=~"$jobs"})`),
		"no job":                      expr(`sum(assay_validations_open{instance=~"$instance", cluster=~"$cluster"})`),
		"a counter without a rate":    expr(`sum(assay_validations_total{@})`),
		"a rate that is not summed":   expr(`rate(assay_validations_total{@}[$__rate_interval])`),
		"a fixed interval":            expr(`sum(rate(assay_validations_total{@}[5m]))`),
		"a rate of a gauge":           expr(`sum(rate(assay_validations_open{@}[$__rate_interval]))`),
		"buckets without le":          expr(`histogram_quantile(0.5, sum(rate(assay_time_to_verdict_seconds_bucket{@}[$__rate_interval])))`),
		"a variable of nothing":       func(d *Dashboard) { d.Templating.List[2].Query = VariableQuery{"label_values(nothing, job)", "A"} },
		"an annotation of nothing":    func(d *Dashboard) { d.Annotations.List[0].Expr = "nothing" },
	} {
		d := releases()
		if problems := lint(d); len(problems) > 0 {
			t.Fatal(problems)
		}
		damage(&d)
		if problems := lint(d); len(problems) == 0 {
			t.Errorf("%s: nothing is found", name)
		} else {
			t.Logf("%s: %s", name, problems[0])
		}
	}
}
