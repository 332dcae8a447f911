package archtest

import (
	"fmt"
	"slices"
	"testing"
)

// TestEachRuleFires feeds small sources to the rules: a rule that has never been seen to fail protects nothing.
func TestEachRuleFires(t *testing.T) {
	const own = `import _ "` + module + `/`
	tests := []struct {
		name string
		file string
		src  string   // what follows the line of the package clause, which is line 1
		want []string // place and rule of each violation, as "line rule"
	}{
		// Edges.
		{"vocabulary imports the kernel", "analysis/plan.go", own + `analysis/stats"`, nil},
		{"vocabulary imports a reducer", "analysis/plan.go", own + `analysis/history"`, []string{"2 edge"}},
		{"reducer imports reducer", "analysis/history/h.go", own + `analysis/logdiff"`, []string{"2 edge"}},
		{"contract imports product", "sources/s.go", own + `sources/prometheus"`, []string{"2 edge"}},
		{"product imports product", "sources/loki/l.go", own + `sources/prometheus"`, []string{"2 edge"}},
		{"product imports its own parts", "sources/loki/l.go", own + `sources/loki/wire"`, nil},
		{"part of a product imports the vocabulary", "sources/loki/wire/l.go", own + `analysis"`, nil},
		{"product imports a verdict", "sources/loki/l.go", own + `verdicts"`, []string{"2 edge"}},
		{"pull source imports the broker", "sources/loki/l.go", own + `internal/kafka"`, []string{"2 edge"}},
		{"push source imports the broker", "sources/otlp/o.go", own + `internal/kafka"`, nil},
		{"decision imports bundle", "verdicts/v.go", own + `verdicts/bundle"`, []string{"2 edge"}},
		{"sink imports sink", "verdicts/webhook/w.go", own + `verdicts/topic"`, []string{"2 edge"}},
		{"sink imports bundle", "verdicts/webhook/w.go", own + `verdicts/bundle"`, nil},
		{"gather imports a verdict", "internal/gather/g.go", own + `verdicts"`, []string{"2 edge"}},
		{"the line imports a product", "internal/validation/v.go", own + `sources/otlp"`, []string{"2 edge"}},
		{"the line imports a reducer", "internal/validation/v.go", own + `analysis/history"`, nil},
		{"intake imports the line", "internal/intake/i.go", own + `internal/validation"`, []string{"2 edge"}},
		{"part of the store imports the store", "internal/store/sql/s.go", own + `internal/store"`, nil},
		{"the broker's options import anything", "internal/kafka/k.go", own + `analysis"`, []string{"2 edge"}},
		{"the command imports everything", "cmd/assay/main.go", own + `sources/loki"`, nil},
		{"anybody imports the command", "internal/lab/l.go", own + `cmd/assay"`, []string{"2 edge"}},
		{"a test imports what it likes", "analysis/plan_test.go", own + `internal/lab"`, nil},
		{"a package without a room", "internal/stray/s.go", ``, []string{"1 room"}},

		// Test-only packages and real servers.
		{"program imports a conformance suite", "cmd/assay/main.go", own + `sources/sourcetest"`, []string{"2 testonly"}},
		{"program imports the real servers", "cmd/assay/main.go", own + `testdata/backends"`, []string{"2 testonly"}},
		{"unit test imports the real servers", "sources/loki/l_test.go", own + `testdata/backends"`, []string{"2 realservers"}},
		{"end-to-end test imports the real servers", "internal/e2e/e_test.go", own + `testdata/backends"`, nil},

		// Forbidden imports.
		{"pure code imports os", "analysis/plan.go", `import _ "os"`, []string{"2 import"}},
		{"pure code imports os/exec", "analysis/logdiff/d.go", `import _ "os/exec"`, []string{"2 import"}},
		{"pure code imports net/http", "verdicts/v.go", `import _ "net/http"`, []string{"2 import"}},
		{"pure code imports context", "analysis/plan.go", `import _ "context"`, []string{"2 import"}},
		{"pure code imports math/rand", "analysis/stats/s.go", `import _ "math/rand"`, []string{"2 import"}},
		{"pure code imports crypto/rand", "analysis/plan.go", `import _ "crypto/rand"`, []string{"2 import"}},
		{"pure code imports log/slog", "analysis/plan.go", `import _ "log/slog"`, []string{"2 import"}},
		{"pure code imports math/rand/v2", "analysis/plan.go", `import _ "math/rand/v2"`, nil},
		{"a test of pure code imports os", "analysis/plan_test.go", `import _ "os"`, nil},
		{"a sink imports os", "verdicts/archive/a.go", `import _ "os"`, nil},
		{"kernel imports gonum", "analysis/stats/s.go", `import _ "gonum.org/v1/gonum/stat/distuv"`, nil},
		{"kernel imports another library", "analysis/stats/s.go", `import _ "github.com/DataDog/sketches-go/ddsketch"`, []string{"2 kernel"}},
		{"Loki is linked", "sources/loki/l.go", `import _ "github.com/grafana/loki/v3/pkg/logql"`, []string{"2 import"}},
		{"Loki is linked into a test", "sources/loki/l_test.go", `import _ "github.com/grafana/loki/v3/pkg/logql"`, []string{"2 import"}},
		{"Loki's client in its place", "verdicts/lokimirror/l.go", `import _ "github.com/grafana/loki-client-go/loki"`, nil},
		{"Loki's client elsewhere", "sources/loki/l.go", `import _ "github.com/grafana/loki-client-go/loki"`, []string{"2 import"}},
		{"the parser of PromQL", "sources/prometheus/p.go", `import _ "github.com/prometheus/prometheus/promql/parser"`, nil},
		{"the engine of PromQL", "sources/prometheus/p.go", `import _ "github.com/prometheus/prometheus/promql"`, []string{"2 import"}},
		{"rapid in the program", "analysis/plan.go", `import _ "pgregory.net/rapid"`, []string{"2 import"}},
		{"testing in the program", "internal/lab/l.go", `import _ "testing"`, []string{"2 import"}},
		{"dot import", "internal/lab/l.go", `import . "time"`, []string{"2 dot"}},

		// The clock, timers, randomness, readers.
		{"pure code reads the clock", "analysis/plan.go", "import \"time\"\nvar now = time.Now()", []string{"3 clock"}},
		{"pure code reads it by another name", "verdicts/v.go", "import t \"time\"\nvar now = t.Since", []string{"3 clock"}},
		{"a part of pure code reads it", "analysis/history/h.go", "import \"time\"\nvar now = time.Until", []string{"3 clock"}},
		{"pure code computes with time", "analysis/plan.go", "import \"time\"\nvar d = time.Unix(0, 0).Add(time.Second)", nil},
		{"pure code sleeps", "analysis/plan.go", "import \"time\"\nfunc f() { time.Sleep(1) }", []string{"3 timer"}},
		{"the line reads the clock", "internal/validation/v.go", "import \"time\"\nfunc f() {\n\t_ = time.Now()\n}", []string{"4 clock"}},
		{"gather reads the clock", "internal/gather/g.go", "import \"time\"\nvar now = time.Now", []string{"3 clock"}},
		{"gather has a timer", "internal/gather/g.go", "import \"time\"\nvar c = time.After(1)", []string{"3 timer"}},
		{"a sink reads the clock", "verdicts/archive/a.go", "import \"time\"\nvar now = time.Now()", nil},
		{"the command has a timer", "cmd/assay/main.go", "import \"time\"\nvar c = time.NewTicker(1)", nil},
		{"a test of the line reads the clock", "internal/validation/v_test.go", "import \"time\"\nvar now = time.Now()", nil},
		{"pure code draws from the process", "analysis/plan.go", "import \"math/rand/v2\"\nvar n = rand.IntN(6)", []string{"3 random"}},
		{"pure code draws from the plan", "analysis/plan.go", "import \"math/rand/v2\"\nvar r = rand.New(rand.NewPCG(1, 2))", nil},
		{"a reader of a group", "internal/intake/i.go", "import \"github.com/segmentio/kafka-go\"\nvar r = kafka.NewReader(kafka.ReaderConfig{})", []string{"3 reader", "3 reader"}},
		{"a reader by another name", "sources/otlp/o.go", "import kgo \"github.com/segmentio/kafka-go\"\nvar r *kgo.Reader", []string{"3 reader"}},
		{"a reader in a test", "internal/intake/i_test.go", "import \"github.com/segmentio/kafka-go\"\nvar r *kafka.Reader", nil},

		// Goroutines.
		{"a source starts a goroutine", "sources/otlp/o.go", "func f() { go f() }", []string{"2 goroutine"}},
		{"a source uses a group", "sources/otlp/o.go", "import \"sync\"\nfunc f(g *sync.WaitGroup) { g.Go(func() {}) }", []string{"3 goroutine"}},
		{"pure code starts a goroutine", "analysis/plan.go", "func f() { go f() }", []string{"2 goroutine"}},
		{"the line starts a worker", "internal/validation/v.go", "func f() { go f() }", nil},
		{"the command starts a server", "cmd/assay/main.go", "func f() { go f() }", nil},
		{"a test starts a goroutine", "sources/otlp/o_test.go", "func f() { go f() }", nil},

		// Names.
		{"a drawer for everything", "internal/store/utils/u.go", "", []string{"1 name"}},
		{"types", "analysis/types/t.go", "", []string{"1 name"}},
	}
	fired := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parse(tt.file, "// Package x.\npackage x\n"+tt.src+"\n")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range check([]file{f}) {
				fired[v.rule] = true
				var line int
				if _, err := fmt.Sscanf(v.place, tt.file+":%d", &line); err != nil || v.reason == "" {
					t.Errorf("a violation without place or reason: %s", v)
				}
				got = append(got, fmt.Sprint(line-1, " ", v.rule)) // the comment above the clause counts as line 0
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, rule := range []string{"room", "edge", "testonly", "realservers", "import", "kernel", "dot", "clock", "timer", "random", "reader", "goroutine", "name"} {
		if !fired[rule] {
			t.Errorf("rule %s fires in no case", rule)
		}
	}
}

func TestPackageCommentIsWanted(t *testing.T) {
	sources := map[string]string{
		"analysis/a.go":             "package analysis\n",
		"analysis/b.go":             "// Package analysis has one.\npackage analysis\n",
		"internal/store/s.go":       "// Copyright notice.\n\npackage store\n",
		"internal/store/s_test.go":  "// Package store: a test cannot speak for it.\npackage store\n",
		"internal/e2e/e_test.go":    "// Package e2e has tests only.\npackage e2e\n",
		"internal/lab/l.go":         "//go:generate true\npackage lab\n",
		"verdicts/bundle/b_test.go": "package bundle\n",
	}
	var tree []file
	for name, src := range sources {
		f, err := parse(name, src)
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, f)
	}
	var got []string
	for _, v := range check(tree) {
		got = append(got, v.rule+" "+v.place)
	}
	slices.Sort(got)
	want := []string{"comment internal/lab/l.go:2", "comment internal/store/s.go:3", "comment verdicts/bundle/b_test.go:1"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTablesSayNoMoreThanTheTree(t *testing.T) {
	oldRooms, oldNotYet, oldExceptions := rooms, notYet, exceptions
	defer func() { rooms, notYet, exceptions = oldRooms, oldNotYet, oldExceptions }()
	rooms = []room{{pattern: "analysis"}, {pattern: "sources/*", mayImport: []string{"attic"}}, {pattern: "verdicts"}, {pattern: "internal/store"}}
	notYet = []string{"analysis", "internal/store", "cellar"}
	exceptions = []exception{
		{"goroutine", "sources/otlp", "receivers"},
		{"goroutine", "analysis", "none is started there"},
	}
	var tree []file
	for name, src := range map[string]string{
		"analysis/a.go":     "// Package analysis.\npackage analysis\n",
		"sources/otlp/o.go": "// Package otlp.\npackage otlp\nfunc f() { go f() }\n",
	} {
		f, err := parse(name, src)
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, f)
	}
	found := check(tree)
	if len(found) != 1 || len(lift(found, exceptions)) != 0 {
		t.Errorf("got %q, and with the exception %q; want one and none", found, lift(found, exceptions))
	}
	var got []string
	for _, v := range checkTables(tree, found) {
		got = append(got, v.rule+" "+v.what)
	}
	want := []string{
		"notyet room analysis is built",
		"gone room sources/* may import attic, which is no room",
		"gone room verdicts does not exist",
		"notyet cellar is on the list notYet but is no room",
		"exception the exception of analysis from rule goroutine lifts nothing",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestGoModMayNotRequireAServer(t *testing.T) {
	gomod := "module x\n\nrequire (\n\tgithub.com/grafana/loki/pkg/push v0.1.0\n\tgithub.com/grafana/loki-client-go v0.1.0\n\tgithub.com/grafana/loki/v3 v3.7.8\n)\n\nrequire github.com/grafana/tempo v1.0.0 // indirect\n"
	var got []string
	for _, v := range checkGoMod(gomod) {
		got = append(got, v.place)
	}
	if want := []string{"go.mod:6", "go.mod:9"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
