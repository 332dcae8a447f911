package verdicts

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// sample calls f with the looks that a mutant of the table is tried on: the
// states that matter, and in the given column the given value too.
func sample(column int, value uint8, f func(look, facts)) {
	states := []uint8{uint8(analysis.Undecided), uint8(analysis.Good), uint8(analysis.Bad), uint8(analysis.NotRequired)}
	values := [columns][]uint8{ofPlan: {planSound, planRefused, planTooWeak}, ofGates: {gatesOpen, gatesClosed}, ofBake: {bakeOver, bakeNotOver}}
	for check := ofHarm; check <= ofEnvironment; check++ {
		values[check] = states
	}
	if !slices.Contains(values[column], value) {
		values[column] = append(slices.Clone(values[column]), value)
	}
	var fs facts
	var fill func(int)
	fill = func(column int) {
		if column < columns {
			for _, fs[column] = range values[column] {
				fill(column + 1)
			}
			return
		}
		if fs[ofPlan] == planTooWeak && fs[ofSafety] == uint8(analysis.Good) {
			return // a plan whose safety is shown is sound, see factsOf
		}
		l := look{closed: fs[ofGates] == gatesClosed, bakeOver: fs[ofBake] == bakeOver, plan: fs[ofPlan]}
		for check := range l.states {
			l.states[check] = analysis.CheckState(fs[ofHarm+check])
		}
		f(l, fs)
	}
	fill(0)
}

// TestActingRowsStandAlone: without the rows that only choose the reason, the
// table acts on exactly the same looks; nothing rests on their order.
func TestActingRowsStandAlone(t *testing.T) {
	if fault := standsAlone(ofPlan, 0); fault != "" {
		t.Error(fault)
	}
}

func standsAlone(column int, value uint8) (fault string) {
	full := table
	defer func() { table = full }()
	for _, word := range []Word{Promote, Rollback} {
		table = slices.DeleteFunc(slices.Clone(full), func(r row) bool { return r.word != word })
		sample(column, value, func(l look, f facts) {
			want, _ := l.oracle()
			if got := firstRow(f).word; (got == word) != (want == word) && fault == "" {
				fault = "alone, the rows of " + word.String() + " act on other looks"
			}
		})
	}
	return fault
}

// TestEveryCellMatters flips every bit of every cell that asks something: either a look
// gets another answer than reliability.md wants, or the rows that act no longer
// stand alone. What survives is listed, each with its reason.
func TestEveryCellMatters(t *testing.T) {
	original := slices.Clone(table)
	defer func() { table = original }()
	mutants, survivors := 0, map[string]bool{}
	for r := range original {
		for column := range columns {
			for value := range uint8(len(namesOf(column))) {
				mutant := original[r]
				cell := mutant.when[column]
				if cell == 0 {
					continue // it asks nothing
				}
				if cell ^= 1 << value; cell == 0 {
					cell = 1 << 15 // nothing fits; an empty set would fit all
				}
				mutant.when[column] = cell
				table = slices.Clone(original)
				table[r] = mutant
				mutants++
				if !detected(column, value) {
					survivors[mutant.rule+"/"+columnNames[column]+"/"+namesOf(column)[value]] = true
				}
				table = original
			}
		}
	}
	for name := range survivors {
		if !slices.ContainsFunc(masked, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			t.Errorf("no test fails when this cell is flipped: %s", name)
		}
	}
	t.Logf("%d mutants of the table", mutants)
}

// masked begins the names of the flips that change nothing, because what they ask
// has been decided before.
var masked = []string{
	"harm, vetoed/environment/",        // a row above rolled back unless it is bad
	"not serving, vetoed/environment/", // likewise
	"underpowered/plan/refused",        // the first row
	"serving/serving/bad",              // bad serving on a proven identity, and an unproven identity
	"harm not ruled out/harm/bad",      // likewise
	"all safe/plan/underpowered",       // only a plan whose safety is not shown is too weak
}

func detected(column int, value uint8) bool {
	found := false
	sample(column, value, func(l look, f facts) {
		if found {
			return
		}
		word, rule := l.oracle()
		r := firstRow(f)
		found = r.word != word || r.rule != rule
	})
	return found || standsAlone(column, value) != ""
}

// codeMutants documents which test notices when a comparison of the code beside
// the table is flipped. `go test -run TestCodeMutants -mutants ./verdicts` makes
// each of them and runs the test.
var codeMutants = []struct{ file, from, to, test string }{
	{"decide.go", "s>>v&1 == 1 }", "s>>v&1 == 0 }", "TestDecideEveryCombination"},
	{"decide.go", "s == 0 || ", "", "TestDecideEveryCombination"},
	{"decide.go", "if !accepted.has(", "if accepted.has(", "TestDecideEveryCombination"},
	{"decide.go", "!asOf.Before(t)", "asOf.After(t)", "TestBakeAndDeadline"},
	{"decide.go", "!asOf.IsZero() && ", "", "TestZeroValues"},
	{"decide.go", "!first.IsZero() && ", "", "TestBakeAndDeadline"},
	{"decide.go", "d.Word == Pending && reached", "reached", "TestBakeAndDeadline"},
	{"decide.go", "d.Word != Pending }", "d.Word == Pending }", "TestZeroValues"},
	{"decide.go", "if !g.Open {", "if g.Open {", "TestDecideEveryCombination"},
	{"decide.go", `plan.Refused != "":`, `plan.Refused == "":`, "TestZeroValues"},
	{"decide.go", "plan.Window.OnUnderpowered == analysis", "plan.Window.OnUnderpowered != analysis", "TestUnderpoweredEndsAtOnce"},
	{"decide.go", "checks.Safety.State != analysis.Good && ", "", "TestUnderpoweredEndsAtOnce"},
	{"decide.go", "checks.Safety.Code == analysis.Underpowered", "checks.Safety.Code != analysis.Underpowered", "TestUnderpoweredEndsAtOnce"},
	{"decide.go", "harm == analysis.HarmSuspected || ", "", "TestSuspicionReducesWeight"},
	{"decide.go", " || harm == analysis.TooFewEvents", "", "TestSuspicionReducesWeight"},
	{"decide.go", "bad.has(f[ofHarm]) || ", "", "TestDecideEveryCombination"},
	{"decide.go", "bad.has(f[ofServing]) || ", "", "TestDecideEveryCombination"},
	{"decide.go", " && word != Hold {", " {", "TestDecideEveryCombination"},
	{"line.go", "<= n {", "< n {", "TestLine"},
	{"line.go", "max(n-1, 0)", "max(n, 0)", "TestLine"},
	{"line.go", "unicode.IsControl(r) || ", "", "TestLine"},
	{"line.go", "unicode.Is(unicode.Bidi_Control, r) || ", "", "TestLine"},
	{"line.go", "case word == Promote:", "case word != Promote:", "TestBakeAndDeadline"},
	{"line.go", "word == Rollback && because == ofHarm", "word == Rollback && because != ofHarm", "TestRollbackCodes"},
	{"line.go", "word == Hold && code == analysis.Collecting", "code == analysis.Collecting", "TestBakeAndDeadline"},
	{"line.go", "word != Rollback && because != ofPlan", "because != ofPlan", "TestRollbackCodes"},
	{"line.go", "checks.Harm.State == analysis.Bad || ", "", "TestReasonsOfTheRest"},
}

var mutants = flag.Bool("mutants", false, "run TestCodeMutants, which compiles this package once for each mutant")

func TestCodeMutants(t *testing.T) {
	for _, m := range codeMutants {
		source, err := os.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(source, []byte(m.from)); n != 1 {
			t.Errorf("%s: %q is there %d times; want once", m.file, m.from, n)
			continue
		}
		if !*mutants {
			continue
		}
		dir := t.TempDir()
		mutant := filepath.Join(dir, m.file)
		if err := os.WriteFile(mutant, bytes.Replace(source, []byte(m.from), []byte(m.to), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		here, err := filepath.Abs(m.file)
		if err != nil {
			t.Fatal(err)
		}
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {here: mutant}})
		if err != nil {
			t.Fatal(err)
		}
		overlayFile := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("go", "test", "-overlay", overlayFile, "-run", "^"+m.test+"$", ".").CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("--- FAIL: "+m.test)) {
			t.Errorf("%s: %q for %q: %s does not notice:\n%s", m.file, m.to, m.from, m.test, out)
		}
	}
}
