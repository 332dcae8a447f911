package dashboards

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// An alert is one rule of alerts/assay.yaml.
type alert struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func strictly(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	strictly(t, "alerts/assay.yaml", &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alert was found")
	}
	return all
}

// TestAlerts holds every rule against the conventions of the dashboards, its page
// and its unit test. That it fires is what promtool shows, in internal/e2e.
func TestAlerts(t *testing.T) {
	var cases struct {
		RuleFiles []string `yaml:"rule_files"`
		Every     string   `yaml:"evaluation_interval"`
		Tests     []struct {
			Name     string
			Interval string
			Input    []map[string]string `yaml:"input_series"`
			Alerts   []struct {
				Name string           `yaml:"alertname"`
				At   string           `yaml:"eval_time"`
				Want []map[string]any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	strictly(t, "alerts/assay_test.yaml", &cases)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, c := range cases.Tests {
		for _, a := range c.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Want) > 0
			quiet[a.Name] = quiet[a.Name] || len(a.Want) == 0
		}
	}
	seen := map[string]bool{}
	for _, a := range alerts(t) {
		if seen[a.Alert] || !regexp.MustCompile(`^Assay[A-Z][A-Za-z]+$`).MatchString(a.Alert) {
			t.Errorf("%s: a name is Assay…, in CamelCase, and there once", a.Alert)
		}
		seen[a.Alert] = true
		for _, problem := range lintRule(a.Expr) {
			t.Errorf("%s: %s", a.Alert, problem)
		}
		if _, err := time.ParseDuration(a.For); a.For != "" && err != nil {
			t.Errorf("%s: for: %v", a.Alert, err)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) || len(a.Labels) != 1 {
			t.Errorf("%s: labels %v, want a severity: critical, warning or info", a.Alert, a.Labels)
		}
		for _, sentence := range []string{a.Annotations["summary"], a.Annotations["description"]} {
			if !strings.HasSuffix(sentence, ".") {
				t.Errorf("%s: a summary and a description are sentences, not %q", a.Alert, sentence)
			}
		}
		if want := "https://github.com/release-assay/assay/blob/main/docs/runbooks/" + a.Alert + ".md"; a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", a.Alert, a.Annotations["runbook_url"], want)
		}
		page, err := os.ReadFile(filepath.Join("..", "docs", "runbooks", a.Alert+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{"# " + a.Alert + "\n", "Severity: " + a.Labels["severity"] + ".", "\n## What it means for releases\n", "\n## Where to look\n", "\n## What to do\n"} {
			if !strings.Contains(string(page), part) {
				t.Errorf("the page of %s has no %q", a.Alert, part)
			}
		}
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("%s: assay_test.yaml shows that it fires: %v, that it keeps quiet: %v", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
	}
	pages, err := filepath.Glob("../docs/runbooks/Assay*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !seen[strings.TrimSuffix(filepath.Base(page), ".md")] {
			t.Errorf("%s is the page of no alert", page)
		}
	}
}

// lintRule knows the same metrics as lintExpression; rules have no variables.
func lintRule(expr string) (problems []string) {
	root, err := parser.ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	parser.Inspect(root, func(n parser.Node, path []parser.Node) error {
		if selector, is := n.(*parser.VectorSelector); is {
			problems = append(problems, lintSelector(selector, path)...)
		}
		return nil
	})
	return problems
}
