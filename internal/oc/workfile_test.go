package oc

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// A simulation that was stopped in the middle of a line ends with the same numbers as
// one that was not, and runs only what is missing.
func TestSimulationGoesOnWhereItStopped(t *testing.T) {
	rows := pick(t, "E/low traffic, x5")
	options := Options{Runs: 160, Seed: 3, Workers: 1}
	whole := NewWorkFile()
	if err := Simulate(rows, whole, options); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	open := func(build string) *WorkFile {
		t.Helper()
		f, err := OpenWorkFile(path, options.Seed, build)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := open("a")
	options.Runs = 80
	if err := Simulate(rows, first, options); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, `{"row":"E/low traf`...), 0o644); err != nil {
		t.Fatal(err)
	}
	second := open("a")
	options.Runs = 160
	blocks := 0
	options.Progress = func(_, n int, _ string) { blocks = n }
	if err := Simulate(rows, second, options); err != nil {
		t.Fatal(err)
	}
	if blocks != 1 { // 40 runs of power, of which 20 were there
		t.Errorf("%d blocks were simulated, want 1", blocks)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if third := open("a"); !reflect.DeepEqual(third.lines, whole.lines) {
		t.Error("a simulation that was stopped gives other numbers")
	}
	// Another program, or another seed, begins anew and destroys nothing.
	if other := open("b"); len(other.lines) != 0 {
		t.Error("what another program simulated is gone on with")
	}
	if _, err := os.Stat(path + ".old"); err != nil {
		t.Error(err)
	}
}

func TestDamagedWorkFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	if err := os.WriteFile(path, []byte("{\"seed\":1,\"build\":\"a\"}\n{\"row\":\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWorkFile(path, 1, "a"); err == nil {
		t.Error("a damaged line is taken for a result")
	}
}
