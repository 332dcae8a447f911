package config

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// seed adds the fixtures of some directories.
func seed(f *testing.F, dirs ...string) {
	for _, dir := range dirs {
		files, err := filepath.Glob(dir + "/*.yaml")
		if err != nil || len(files) == 0 {
			f.Fatalf("%d fixtures in %s, %v", len(files), dir, err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// checkFaults holds every error to its form.
func checkFaults(t *testing.T, err error) {
	if err == nil {
		return
	}
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("an error that is no list of faults: %v", err)
	}
	for _, fault := range faults {
		if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
			t.Fatalf("no position: %#v", fault)
		}
	}
	if !sort.SliceIsSorted(faults, func(i, j int) bool {
		a, b := faults[i], faults[j]
		return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
	}) {
		t.Fatalf("not sorted:\n%v", err)
	}
}

func FuzzProcess(f *testing.F) {
	seed(f, "testdata/process")
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseProcess("assay.yaml", data)
		checkFaults(t, err)
		if err != nil {
			return
		}
		for name, s := range c.Sources {
			if s.Name != name || s.Kind == "" {
				t.Fatalf("source %q: %+v", name, s)
			}
			var into promOptions
			checkFaults(t, s.Decode(&into))
		}
		if c.Sources[OTLPSource].Kind != KindOTLP || c.Sources[c.BuiltIn.Source].Name == "" {
			t.Fatalf("sources %+v", c.Sources)
		}
	})
}

func FuzzPolicies(f *testing.F) {
	seed(f, "testdata/policies", "testdata/openslo", "testdata/accepted")
	f.Fuzz(func(t *testing.T, data []byte) {
		c := withSources("# sources: prom-main\n")
		p, err := readPolicies(parseDocuments("policies.yaml", data), &set{sources: c.Sources, builtIn: OTLPSource}, nil)
		checkFaults(t, err)
		for _, policy := range p.All() {
			critical := false
			for _, o := range policy.Objectives {
				if err := o.Validate(); err != nil {
					t.Fatalf("accepted, but %v", err)
				}
				critical = critical || o.Role == analysis.Critical
			}
			if !critical || policy.Window.Deadline <= 0 || policy.BuiltIn {
				t.Fatalf("accepted: %+v", policy)
			}
			if got, ok := p.For(analysis.Release{}, policy.Name); !ok || got.Name != policy.Name {
				t.Fatalf("For(%q) = %q, %v", policy.Name, got.Name, ok)
			}
		}
		p.For(analysis.Release{Service: "checkout", Environment: "prod-eu1"}, "")
		if err == nil {
			checkPrinted(t, p)
		}
	})
}
