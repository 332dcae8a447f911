package config

import (
	"cmp"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

// Each file below testdata/process and testdata/policies holds one mistake and is
// named after it; the .txt beside it is what is said about it, to the letter.

func TestMistakesInProcessFiles(t *testing.T) {
	t.Setenv("ASSAY_TEST_SECRET", "hunter2")
	eachMistake(t, "testdata/process", func(name string) error {
		_, err := Load(name)
		return err
	})
}

func TestMistakesInPolicyFiles(t *testing.T) {
	eachMistake(t, "testdata/policies", loadPolicyFile)
}

// TestOpenSLOExamples loads the examples of the OpenSLO repository. All four use
// what only a later version will know; the texts say what. The SLOs of
// docs/configuration.md and of testdata/accepted are those that decode.
func TestOpenSLOExamples(t *testing.T) {
	eachMistake(t, "testdata/openslo", loadPolicyFile)
}

func eachMistake(t *testing.T, dir string, load func(name string) error) {
	files, err := filepath.Glob(dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d fixtures in %s, %v", len(files), dir, err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			err := load(name)
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("error %v, want faults", err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is printed:\n%v", err)
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".txt", filepath.ToSlash(err.Error())+"\n")
		})
	}
}

// loadPolicyFile loads a policy file in a process with the sources that its first line
// names, those of another type than Prometheus with it (# sources: a b=loki).
func loadPolicyFile(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	_, err = withSources(string(data), name).LoadPolicies()
	return err
}

func withSources(text string, paths ...string) Config {
	c := Defaults()
	c.Policies = paths
	first, _, _ := strings.Cut(text, "\n")
	if names, ok := strings.CutPrefix(first, "# sources: "); ok {
		for _, name := range strings.Fields(names) {
			name, kind, _ := strings.Cut(name, "=")
			c.Sources[name] = Source{Name: name, Kind: cmp.Or(SourceKind(kind), KindPrometheus)}
		}
	}
	return c
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant (%s)\n%s", got, name, want)
	}
}
