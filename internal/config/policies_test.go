package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// TestAccepted loads files without a mistake; the .json beside each is what is
// made of it.
func TestAccepted(t *testing.T) {
	files, err := filepath.Glob("testdata/accepted/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := withSources(string(data), name).LoadPolicies()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, err := json.MarshalIndent(p.All(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(name, ".yaml")+".json", string(out)+"\n")
		for _, policy := range p.All() {
			for _, o := range policy.Objectives {
				if err := o.Validate(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// write makes a directory of files and returns its path.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func validationNamed(name, match string) string {
	return "apiVersion: assay.dev/v1alpha1\nkind: ReleaseValidation\nmetadata: {name: " + name + "}\nspec:\n  match: {" + match +
		"}\n  objectives: [{signal: http_server_errors, role: critical}]\n"
}

func load(t *testing.T, files map[string]string) Policies {
	t.Helper()
	c := Defaults()
	c.Policies = []string{write(t, files)}
	p, err := c.LoadPolicies()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFor(t *testing.T) {
	p := load(t, map[string]string{"all.yaml": strings.Join([]string{
		validationNamed("anything", "service: '*'"),
		validationNamed("checkout", "service: checkout"),
		validationNamed("checkout-prod", "service: checkout, environments: [prod-*, live]"),
		validationNamed("checkout-prod-eu", "service: checkout, environments: [prod-eu*]"),
		validationNamed("checkout-shop", "service: checkout, environments: [prod-*], namespaces: [shop]"),
		validationNamed("check-family", "service: check*, environments: [prod-eu1]"),
	}, "---\n")})
	for _, test := range []struct {
		service, environment, namespace, ref string
		want                                 string
		matched                              bool
	}{
		{"cart", "dev", "", "", "anything", true},
		{"checkout", "dev", "", "", "checkout", true},
		{"checkout", "live", "", "", "checkout-prod", true},
		{"checkout", "prod-us1", "", "", "checkout-prod", true},
		{"checkout", "prod-eu1", "", "", "checkout-prod-eu", true},
		// A longer environment wins before a namespace is looked at.
		{"checkout", "prod-eu1", "shop", "", "checkout-prod-eu", true},
		{"checkout", "prod-us1", "shop", "", "checkout-shop", true},
		{"checkin", "prod-eu1", "", "", "check-family", true},
		{"checkin", "prod-eu2", "", "", "anything", true},
		// A star does not cross a slash.
		{"team/checkout", "prod-eu1", "", "", BuiltinPolicyName, false},
		// A policy that is asked for by name need not match.
		{"cart", "dev", "", "checkout-shop", "checkout-shop", true},
		{"checkout", "dev", "", BuiltinPolicyName, BuiltinPolicyName, true},
	} {
		r := analysis.Release{Service: test.service, Environment: test.environment, Namespace: test.namespace}
		got, matched := p.For(r, test.ref)
		if got.Name != test.want || matched != test.matched {
			t.Errorf("For(%+v, %q) = %q, %v, want %q, %v", r, test.ref, got.Name, matched, test.want, test.matched)
		}
	}
}

// A release that asks for a policy that does not exist must not be judged by
// another one: it gets no objectives at all.
func TestForUnknownReference(t *testing.T) {
	p := load(t, map[string]string{"all.yaml": validationNamed("checkout", "service: checkout")})
	got, matched := p.For(analysis.Release{Service: "checkout"}, "chekout")
	if matched || got.Name != "chekout" || len(got.Objectives) != 0 || got.BuiltIn {
		t.Errorf("For = %+v, %v", got, matched)
	}
	if !reflect.DeepEqual(p.BuiltIn, withStreams(BuiltinPolicy(OTLPSource))) {
		t.Error("the built-in plan was changed")
	}
}

func TestForWithoutFiles(t *testing.T) {
	p, err := Defaults().LoadPolicies()
	if err != nil {
		t.Fatal(err)
	}
	got, matched := p.For(analysis.Release{Service: "checkout"}, "")
	if matched || !reflect.DeepEqual(got, withStreams(BuiltinPolicy(OTLPSource))) {
		t.Errorf("For = %+v, %v", got, matched)
	}
}

func TestPolicyFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"a.yaml":               validationNamed("a", "service: a"),
		"team/b.yml":           validationNamed("b", "service: b"),
		"..data/c.yaml":        validationNamed("c", "service: c"), // where a mounted ConfigMap keeps its files
		".git/d.yaml":          "not: read",
		".hidden.yaml":         "not: read",
		"README.md":            "not read",
		"empty/nothing.txt":    "",
		"outside/separate.yml": validationNamed("outside", "service: outside"),
	})
	if err := os.Symlink(filepath.Join("..data", "c.yaml"), filepath.Join(dir, "c.yaml")); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(t.TempDir(), "policies")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		paths []string
		want  string
	}{
		{"directory", []string{dir}, "a b c outside"},
		{"directory behind a link", []string{linked}, "a b c outside"},
		{"file and its directory", []string{filepath.Join(dir, "a.yaml"), dir}, "a b c outside"},
		{"files", []string{filepath.Join(dir, "team", "b.yml"), filepath.Join(dir, "a.yaml")}, "a b"},
	} {
		c := Defaults()
		c.Policies = test.paths
		p, err := c.LoadPolicies()
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []string
		for _, policy := range p.All() {
			got = append(got, policy.Name)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", test.name, got, test.want)
		}
	}
	for _, test := range []struct{ path, want string }{
		{filepath.Join(dir, "empty"), "holds no .yaml or .yml file"},
		{filepath.Join(dir, "nowhere"), "no such file or directory"},
		{filepath.Join(dir, "a.yml"), "no such file or directory"},
		{os.DevNull, "is not a regular file"},
	} {
		c := Defaults()
		c.Policies = []string{test.path}
		_, err := c.LoadPolicies()
		var faults Faults
		if !errors.As(err, &faults) || err.Error() != test.path+": "+test.want {
			t.Errorf("%v, want %s: %s", err, test.path, test.want)
		}
	}
}

// A second mistake in a second file is reported beside the first, in the order of
// the files.
func TestFaultsOfSeveralFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"b.yaml": validationNamed("b", "servce: b"),
		"a.yaml": validationNamed("a", "service: a") + "  gates: []\n",
		"c.yaml": "a: [",
	})
	c := Defaults()
	c.Policies = []string{dir}
	_, err := c.LoadPolicies()
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, filepath.Base(f.File)+" "+f.Path)
	}
	want := []string{"a.yaml spec.gates", "b.yaml spec.match.service", "b.yaml spec.match.servce", "c.yaml "}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
	var one Fault
	if !errors.As(err, &one) || one.Line == 0 || one.Column == 0 {
		t.Errorf("no single fault with a position in %v", err)
	}
}

// The built-in signals of a process that has only Prometheus are read there,
// also where an objective names no source.
func TestBuiltInSource(t *testing.T) {
	c := Defaults()
	c.Sources["prom-main"] = Source{Name: "prom-main", Kind: KindPrometheus}
	c.BuiltIn.Source = "prom-main"
	c.Policies = []string{write(t, map[string]string{"a.yaml": validationNamed("a", "service: a")})}
	p, err := c.LoadPolicies()
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range append(p.All(), p.BuiltIn) {
		s := policy.Objectives[0].Signal
		if s.Source != "prom-main" || s.Total.Metric != "http_server_request_duration_seconds_count" {
			t.Errorf("%s is read from %q as %q", policy.Name, s.Source, s.Total.Metric)
		}
	}
}

func TestBuiltins(t *testing.T) {
	for _, source := range []string{OTLPSource, "prom-main"} {
		for _, s := range BuiltinSignals(source) {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
			if s.Source != source || s.Shape == analysis.ShapeRatio && (len(s.Bad.Conditions) != 1 || s.Bad.Metric != s.Total.Metric) {
				t.Errorf("%+v", s)
			}
		}
		p := BuiltinPolicy(source)
		for _, o := range p.Objectives {
			if err := o.Validate(); err != nil {
				t.Error(err)
			}
		}
		if p.Objectives[0].Role != analysis.Critical || !p.BuiltIn {
			t.Errorf("%+v", p)
		}
	}
}
