package importer

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func read(t *testing.T, name string) (string, []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(name), data
}

// Each import is kept whole: its notes first, then its objects.
func TestImports(t *testing.T) {
	sloth := func(name string, data []byte) (*Result, error) { return Sloth(name, data) }
	for _, test := range []struct {
		file string
		read func(string, []byte) (*Result, error)
	}{
		{"sloth/getting-started.yml", sloth},
		{"sloth/k8s-getting-started.yml", sloth},
		{"sloth/kubernetes-apiserver.yml", sloth},
		{"sloth/kubernetes-apiserver-rules.yml", sloth},
		{"sloth/raw-home-wifi.yml", sloth},
		{"sloth/in-base.yaml", sloth},
		{"sloth/in-sli-plugin.yaml", sloth},
		{"sloth/bad-aa.yaml", sloth},
		{"pyrra.yaml", func(name string, data []byte) (*Result, error) { return Pyrra(name, data, "checkout") }},
		{"canary.json", func(name string, data []byte) (*Result, error) { return Kayenta(name, data, "") }},
	} {
		t.Run(test.file, func(t *testing.T) {
			name, data := read(t, test.file)
			r, err := test.read(name, data)
			if err != nil {
				t.Fatal(err)
			}
			text, err := r.YAML()
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, n := range r.Notes {
				fmt.Fprintf(&b, "# %s\n", n)
			}
			b.Write(text)
			golden := filepath.Join("testdata", "want", strings.NewReplacer("/", "-", ".yml", ".yaml", ".json", ".yaml").Replace(test.file))
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}

// The rules that sloth generates read back as the service levels that they were
// generated from, but for what they do not carry: descriptions.
func TestGeneratedRulesSayTheSame(t *testing.T) {
	_, spec := read(t, "want/sloth-kubernetes-apiserver.yaml")
	_, rules := read(t, "want/sloth-kubernetes-apiserver-rules.yaml")
	var kept []string
	for _, line := range strings.Split(string(spec), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "description:") && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	var want []string
	for _, line := range strings.Split(string(rules), "\n") {
		if !strings.HasPrefix(line, "#") {
			want = append(want, line)
		}
	}
	if got := strings.Join(kept, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the service levels give\n%s\nthe rules\n%s", got, strings.Join(want, "\n"))
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name string
		read func() (*Result, error)
		want string
	}{
		{"no YAML", func() (*Result, error) { return Sloth("f.yml", []byte("a: [")) }, "f.yml: is no YAML: "},
		{"nothing", func() (*Result, error) { return Sloth("f.yml", nil) }, "f.yml: has no service level of sloth"},
		{"another format", func() (*Result, error) { return Sloth("f.yml", []byte("kind: Pod\n")) }, "f.yml:1: is no service level of sloth"},
		{"OpenSLO", func() (*Result, error) { return Sloth("f.yml", []byte("apiVersion: openslo/v1\nkind: SLO\n")) }, "f.yml:1: is OpenSLO already"},
		{
			"an unknown key", func() (*Result, error) {
				return Sloth("f.yml", []byte("version: prometheus/v1\nservice: s\nslos:\n- name: a\n  objektive: 99\n"))
			}, `f.yml:1: cannot be read: line 5: unknown key "objektive"`,
		},
		{"a type", func() (*Result, error) {
			return Sloth("f.yml", []byte("version: prometheus/v1\nservice: s\nslos:\n- name: a\n  objective: much\n"))
		}, "f.yml:1: cannot be read: unmarshal errors:\n  line 5: cannot unmarshal !!str `much` into float64"},
		{"no service", func() (*Result, error) { return Sloth("f.yml", []byte("version: prometheus/v1\nslos: []\n")) }, "f.yml:1: names no service"},
		{"other rules", func() (*Result, error) {
			return Sloth("f.yml", []byte("groups:\n- name: a\n  rules:\n  - record: a:b\n    expr: c\n"))
		}, "f.yml:1: has no rule that sloth generated"},
		{"another object", func() (*Result, error) {
			return Pyrra("f.yml", []byte("apiVersion: v1\nkind: Pod\n"), "s")
		}, `f.yml:1: is v1 "Pod", not pyrra.dev/v1alpha1 ServiceLevelObjective`},
		{"no JSON", func() (*Result, error) { return Kayenta("f.json", []byte("{"), "") }, "f.json: is no canary configuration of Kayenta: "},
		{"no metrics", func() (*Result, error) { return Kayenta("f.json", []byte("{}"), "") }, "it has no metrics"},
		{"two applications", func() (*Result, error) {
			return Kayenta("f.json", []byte(`{"applications":["a","b"],"metrics":[{}]}`), "")
		}, "names 2 applications: say which service it is about with --service"},
	} {
		r, err := test.read()
		if err == nil || r != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// No input makes an import panic, and what it writes is always YAML.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"sloth/getting-started.yml", "sloth/k8s-getting-started.yml", "sloth/in-base.yaml", "pyrra.yaml", "canary.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		for _, read := range []func() (*Result, error){
			func() (*Result, error) { return Sloth("f", data) },
			func() (*Result, error) { return Pyrra("f", data, "s") },
			func() (*Result, error) { return Kayenta("f", data, "s") },
		} {
			if r, err := read(); err == nil {
				if _, err := r.YAML(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
