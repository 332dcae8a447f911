package verdicts

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/reason-codes.md; read the diff")

// TestReasonsCoverEveryCode reads the constants of analysis/code.go: each has a
// row, in their order, and no row is without a constant.
func TestReasonsCoverEveryCode(t *testing.T) {
	var want []string
	for name, code := range codeConstants(t) {
		want = append(want, code)
		if _, ok := ReasonOf(analysis.Code(code)); !ok {
			t.Errorf("analysis.%s (%q) has no row in Reasons", name, code)
		}
	}
	seen := map[analysis.Code]bool{}
	for _, r := range Reasons {
		if seen[r.Code] {
			t.Errorf("%q has two rows", r.Code)
		}
		seen[r.Code] = true
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(string(r.Code)) {
			t.Errorf("%q is not lower_snake", r.Code)
		}
		if r.Line == "" || r.Line != Line(r.Line) || r.Do == "" || r.With == 0 {
			t.Errorf("the row of %q is not complete: %+v", r.Code, r)
		}
		if strings.HasSuffix(r.Line, ".") || !strings.HasSuffix(r.Do, ".") {
			t.Errorf("%q: a line has no period at its end, an advice has one", r.Code)
		}
	}
	if len(Reasons) != len(want) {
		t.Errorf("%d rows for %d constants of analysis/code.go", len(Reasons), len(want))
	}
}

// codeConstants returns the constants of type Code by name.
func codeConstants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../analysis/code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Code" {
				t.Fatalf("constant %s of analysis/code.go has no type Code", v.Names[0])
			}
			for i, name := range v.Names {
				code, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				codes[name.Name] = code
			}
		}
	}
	if len(codes) < 30 {
		t.Fatalf("only %d constants found in analysis/code.go", len(codes))
	}
	return codes
}

// Only the words' own codes may act.
func TestOnlyThreeCodesAct(t *testing.T) {
	for _, r := range Reasons {
		promotes, rollsBack := r.Code == analysis.AllSafe, r.Code == analysis.HarmShown || r.Code == analysis.CanaryNotServing
		if r.With.Has(AsPromote) != promotes || r.With.Has(AsRollback) != rollsBack {
			t.Errorf("%q comes with %v", r.Code, r.With)
		}
	}
}

// Every code that Decide can fall back on, in every state of every check, comes
// with the answer that it is given for.
func TestDefaultCodes(t *testing.T) {
	for check := range 6 {
		for _, state := range analysis.CheckStates() {
			for _, deadline := range []bool{false, true} {
				l := look{states: [6]analysis.CheckState{1, 1, 1, 1, 1, 1}, bakeOver: true, deadline: deadline}
				l.states[check] = state
				if fault := wording(l.decide()); fault != "" {
					t.Errorf("check %d %v: %+v: %s", check, state, l.decide(), fault)
				}
			}
		}
	}
}

// TestReasonCodesPage keeps docs/reason-codes.md equal to the tables; `go
// generate ./verdicts` rewrites it.
func TestReasonCodesPage(t *testing.T) {
	golden(t, "../docs/reason-codes.md", []byte(Page()))
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (rewrite it with -update and read the diff); got:\n%s", path, got)
	}
}
