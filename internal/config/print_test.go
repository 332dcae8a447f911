package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// What is printed of no file at all is the file that says nothing.
func TestPrintDefaults(t *testing.T) {
	text, err := Defaults().Print(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseProcess("assay.yaml", text)
	again.Sources[OTLPSource] = Source{Name: OTLPSource, Kind: KindOTLP} // now it stands somewhere
	want := Defaults()
	want.Kafka.Brokers = []string{} // written, and empty
	want.Policies = []string{}
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("%v\n%+v\nfrom\n%s", err, again, text)
	}
	if why := broken(schemaOf(t, "process"), asJSON(t, text), ""); why != "" {
		t.Errorf("the printed file does not meet the schema: %s", why)
	}
}

func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	name := filepath.Join(t.TempDir(), "printed.yaml")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	docs, ok := documentsOf(t, name)
	if !ok || len(docs) != 1 {
		t.Fatalf("%d documents in\n%s", len(docs), text)
	}
	return docs[0]
}

// No secret is printed: references are, and anything else is <secret>.
func TestPrintSecrets(t *testing.T) {
	t.Setenv("ASSAY_TEST_SECRET", "hunter2")
	dir := write(t, map[string]string{"broker": "kafka-0:9093\n", "token": "hunter3", "assay.yaml": `
kafka:
  brokers: ['${file:broker}', 'kafka-1:9093']
  sasl: {mechanism: PLAIN, username: assay, password: "${env:ASSAY_TEST_SECRET}"}
sources:
  prom-main: {type: prometheus, url: 'http://${env:ASSAY_TEST_SECRET}:9090', http: {bearer: '${file:token}'}}
  prom-clear: {type: prometheus, url: 'http://prom:9090', http: {bearer: hunter4}}
`})
	c, err := Load(filepath.Join(dir, "assay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Print(map[string]any{
		"prom-main":  map[string]any{"url": "http://hunter2:9090", "http": map[string]Secret{"bearer": "hunter3"}},
		"prom-clear": map[string]any{"url": "http://prom:9090", "http": map[string]Secret{"bearer": "hunter4"}},
	}, nil)
	if err != nil || strings.Contains(string(text), "hunter") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{
		"    - ${file:broker}\n    - kafka-1:9093\n", "password: ${env:ASSAY_TEST_SECRET}\n", "url: http://${env:ASSAY_TEST_SECRET}:9090\n",
		"bearer: ${file:token}\n", "bearer: <secret>\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestPrintedPolicies loads what is printed of every accepted file: the policies are
// the same again, and the text meets the schema.
func TestPrintedPolicies(t *testing.T) {
	files, err := filepath.Glob("testdata/accepted/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	s := schemaOf(t, "policies")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		first, err := withSources(string(data), name).LoadPolicies()
		if err != nil {
			t.Fatal(err)
		}
		text := checkPrinted(t, first)
		printed := filepath.Join(t.TempDir(), "printed.yaml")
		if err := os.WriteFile(printed, text, 0o644); err != nil {
			t.Fatal(err)
		}
		docs, ok := documentsOf(t, printed)
		for _, d := range docs {
			if why := broken(s, d, ""); why != "" || !ok {
				t.Errorf("%s: %s in\n%s", name, why, text)
			}
		}
	}
}

// checkPrinted fails unless what is printed of policies loads to the same again.
func checkPrinted(t *testing.T, p Policies) []byte {
	t.Helper()
	text, err := p.Print()
	if err != nil {
		t.Fatal(err)
	}
	again, err := readPolicies(parseDocuments("printed.yaml", text), &set{sources: p.Sources, builtIn: OTLPSource}, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if got, want := comparable(t, again), comparable(t, p); got != want {
		t.Fatalf("got\n%s\nwant\n%s\nfrom\n%s", got, want, text)
	}
	return text
}

// comparable writes policies so that those are equal that judge alike: cohorts with
// their defaults, and the conditions of a selector in one order.
func comparable(t *testing.T, p Policies) string {
	t.Helper()
	all := p.All()
	for i := range all {
		if all[i].Canary == nil {
			all[i].Canary = map[string]string{analysis.AttrVersion: templates[0]}
		}
		if all[i].Baseline == nil {
			all[i].Baseline = map[string]string{analysis.AttrVersion: templates[1]}
		}
		for _, o := range all[i].Objectives {
			for _, s := range o.Signal.Selectors() {
				{
					slices.SortFunc(s.Conditions, func(a, b analysis.Condition) int {
						return strings.Compare(a.Name+string(a.Op)+a.Values[0], b.Name+string(b.Op)+b.Values[0])
					})
				}
			}
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPrintPercent(t *testing.T) {
	for _, want := range []string{"0%", "5%", "7%", "12.5%", "33.333333333333336%", "0.07%", "0.000001%", "9999.9%"} {
		share, err := parsePercent(want)
		if got := printPercent(share); got != want || err != nil {
			t.Errorf("%s is printed as %s, %v", want, got, err)
		}
	}
}
