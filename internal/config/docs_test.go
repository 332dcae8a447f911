package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

// TestConfigurationPage loads every YAML block of docs/configuration.md: process
// files each by itself, policy files together, as in one directory.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_PASSWORD", "hunter2")
	process, policies := map[string]string{}, map[string]string{}
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		language, name, _ := strings.Cut(block[1], " file=")
		switch {
		case language == "text":
		case language != "yaml" || name == "":
			t.Errorf("a block %q that no test loads", block[1])
		case strings.HasPrefix(name, "policies/"):
			policies[name] = block[2]
		default:
			process[name] = block[2]
		}
	}
	if len(process) != 3 || len(policies) < 4 {
		t.Fatalf("%d process files and %d policy files", len(process), len(policies))
	}
	var production Config
	for name, text := range process {
		c, err := parseProcess(name, []byte(text))
		if err != nil {
			t.Error(err)
		}
		if name == "production.yaml" {
			production = c
			continue
		}
		if name == "topics.yaml" {
			if want := (OTLPTopics{"otlp_spans", "otlp_logs", "otlp_metrics"}); c.Kafka.Topics.OTLP != want {
				t.Errorf("%s has the topics %+v", name, c.Kafka.Topics.OTLP)
			}
			continue
		}
		// The page says that this one is the defaults.
		c.Sources[OTLPSource] = Source{Name: OTLPSource, Kind: KindOTLP}
		c.Kafka.Brokers, c.Policies = nil, nil
		if fmt.Sprintf("%+v", c) != fmt.Sprintf("%+v", Defaults()) {
			t.Errorf("%s is not the defaults:\n%+v", name, c)
		}
	}
	production.Policies = []string{filepath.Join(write(t, policies), "policies")}
	p, err := production.LoadPolicies()
	if err != nil {
		t.Fatal(err)
	}
	// The page says that the window and the error rates of the first are the defaults.
	got, _ := p.For(analysis.Release{Service: "checkout", Environment: "prod-eu1"}, "")
	if got.Name != "checkout-prod" || got.Window != analysis.DefaultWindow() ||
		got.AlphaRollback != analysis.DefaultAlphaRollback || got.AlphaPromote != analysis.DefaultAlphaPromote {
		t.Errorf("%+v", got)
	}
}

const (
	tableStart = "<!-- table:"
	tableEnd   = "<!-- end of table -->"
)

// TestSignalsPage compares the table of docs/signals.md with the catalogue.
func TestSignalsPage(t *testing.T) {
	const name = "../../docs/signals.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableStart)
	remark, rest, ok2 := strings.Cut(rest, "\n")
	_, after, ok3 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 || !ok3 {
		t.Fatal("the table has no place")
	}
	golden(t, name, before+tableStart+remark+"\n"+signalTable()+tableEnd+after)
}

func signalTable() string {
	var b strings.Builder
	b.WriteString("\n| signal | shape | built-in plan | what | from `otlp` | from Prometheus |\n|---|---|---|---|---|---|\n")
	for _, s := range builtinSignals {
		pushed, scraped := "`"+s.metric+"`", "`"+s.series+"`"
		switch {
		case s.event != "":
			pushed, scraped = "spans", "–"
		case s.shape == analysis.ShapeRatio:
			pushed += fmt.Sprintf(", bad where `%s` is %s", s.attribute, strings.Join(s.bad, ", "))
			scraped += fmt.Sprintf(", bad `{%s=~\"%s\"}`", s.label, strings.ReplaceAll(s.pattern, "|", `\|`))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", s.name, s.shape, s.role, s.meaning, pushed, scraped)
	}
	return b.String() + "\n"
}
