package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// loadBoth loads a process file and one policy file beside it.
func loadBoth(t *testing.T, process, policy string) (Policies, error) {
	t.Helper()
	dir := write(t, map[string]string{"assay.yaml": process + "\npolicies: [policy.yaml]\n", "policy.yaml": policy})
	c, err := Load(filepath.Join(dir, "assay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.LoadPolicies()
	if _, there := c.Sources["prom-shop"]; there != strings.Contains(process, "prom-shop") {
		t.Error("the sources of the process file have changed")
	}
	if err != nil {
		return p, &relativeError{dir + string(filepath.Separator), err}
	}
	return p, nil
}

// A relativeError names files as the test does.
type relativeError struct {
	dir string
	error
}

func (e *relativeError) Error() string { return strings.ReplaceAll(e.error.Error(), e.dir, "") }

const dataSource = "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: prom-shop}\nspec: {type: Prometheus"

// TestDataSource reads a source from the process file, from a DataSource, and from
// both.
func TestDataSource(t *testing.T) {
	const inProcess = "sources:\n  prom-shop: {type: prometheus, url: 'http://prom:9090', basic_auth: {username: a, password: b}}"
	for name, test := range map[string]struct {
		process, policy string
		url, written    string // of prom-shop
		err             string
	}{
		"a DataSource alone": {
			"", dataSource + ", connectionDetails: {url: 'http://shop:9090'}}", "http://shop:9090", "policy.yaml:4:26", "",
		},
		"a DataSource that leaves the connection to the process file": {inProcess, dataSource + "}", "http://prom:9090", "assay.yaml:2:3", ""},
		"one that repeats a part of it":                               {inProcess, dataSource + ", connectionDetails: {url: \"http://prom:9090\"}}", "http://prom:9090", "assay.yaml:2:3", ""},
		"one that repeats all, in another order": {
			inProcess, dataSource + ",\n  connectionDetails: {basic_auth: {password: b, username: a}, url: 'http://prom:9090'}}", "http://prom:9090", "assay.yaml:2:3", "",
		},
		"one that says otherwise": {
			inProcess, dataSource + ", connectionDetails: {url: 'http://shop:9090', timeout: 5s}}", "", "",
			`policy.yaml:4:51: spec.connectionDetails.url: source "prom-shop" of assay.yaml (assay.yaml:2:3) says otherwise, and it is not known which is meant: write the same, or leave it out` +
				"\n" + `policy.yaml:4:80: spec.connectionDetails.timeout: source "prom-shop" of assay.yaml (assay.yaml:2:3) says otherwise, and it is not known which is meant: write the same, or leave it out`,
		},
		"one of another type": {
			inProcess, strings.Replace(dataSource, "Prometheus", "OTLP", 1) + "}", "", "",
			`policy.yaml:4:14: spec.type: source "prom-shop" of assay.yaml (assay.yaml:2:3) is of another type (prometheus)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := loadBoth(t, test.process, test.policy)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("got\n%v\nwant\n%s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			source := p.Sources["prom-shop"]
			var options struct {
				URL  string         `yaml:"url"`
				Auth map[string]any `yaml:"basic_auth"`
			}
			if err := source.Decode(&options); err != nil {
				t.Fatal(err)
			}
			at := source.Written().Fault("").Error()
			if options.URL != test.url || source.Name != "prom-shop" || source.Kind != KindPrometheus || !strings.Contains(at, test.written+": ") {
				t.Errorf("%+v at %s, want %s at %s", options, at, test.url, test.written)
			}
		})
	}
}

// What an adapter says against a DataSource stands where the DataSource does.
func TestDataSourceOptions(t *testing.T) {
	p, err := loadBoth(t, "", dataSource+", connectionDetails: {url: 'http://shop:9090', uri: x}}")
	if err != nil {
		t.Fatal(err)
	}
	var options promOptions
	err = p.Sources["prom-shop"].Decode(&options)
	if err == nil || !strings.Contains(err.Error(), "policy.yaml:4:71: spec.connectionDetails.uri: unknown key (legal: ") {
		t.Error(err)
	}
}

// What is pushed may have other names, but is one source.
func TestDataSourceOfWhatIsPushed(t *testing.T) {
	p, err := loadBoth(t, "", strings.Replace(dataSource, "Prometheus", "OTLP", 1)+"}")
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(p.Sources)); !slices.Equal(got, []string{OTLPSource}) {
		t.Errorf("sources %v", got)
	}
}
