package oc

import (
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// pick returns the rows of the given IDs.
func pick(t *testing.T, ids ...string) []Row {
	t.Helper()
	var out []Row
	for _, r := range Rows() {
		for _, id := range ids {
			if r.ID() == id {
				out = append(out, r)
			}
		}
	}
	if len(out) != len(ids) {
		t.Fatalf("rows %v: only %d are there", ids, len(out))
	}
	return out
}

// within is alpha plus three standard errors of so many runs.
func within(alpha float64, runs int) float64 {
	return alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(runs))
}

// The same seed gives the same numbers, whatever the number of workers.
func TestWorkersDoNotMatter(t *testing.T) {
	rows := pick(t, "E/low traffic, x5", "E/one pod against one, x2")
	var files []*WorkFile
	for _, workers := range []int{1, 3} {
		f := NewWorkFile()
		if err := Simulate(rows, f, Options{Runs: 240, Seed: 3, Workers: workers}); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if !reflect.DeepEqual(files[0].lines, files[1].lines) {
		t.Error("three workers give other numbers than one")
	}
	other := NewWorkFile()
	if err := Simulate(rows, other, Options{Runs: 240, Seed: 4, Workers: 3}); err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(files[0].lines, other.lines) {
		t.Error("another seed gives the same numbers")
	}
}

func TestRowsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows() {
		if seen[r.ID()] {
			t.Errorf("two rows are called %s", r.ID())
		}
		seen[r.ID()] = true
		if strings.ContainsAny(r.Name, "|\n") {
			t.Errorf("row %q breaks its table", r.Name)
		}
	}
}

// The worlds that the tables rest on hold what Assay promises: a small edition of
// them, with three standard errors. (Independent errors, clusters, incidents and pods
// that do not differ are in the tests of package analysis.)
func TestCalibration(t *testing.T) {
	if testing.Short() {
		t.Skip("simulation")
	}
	const runs = 100
	rows := pick(t,
		"E/pod frailty cv .5 a minute", "E/ramp 1/5/25/50%, environment x5 half way", "E/incident x30 with pod noise, SLO 99.5%",
		"E/one pod against one, 20 rps each", "G/pods differ by 5%", "G/+20%, on the margin, pods differ by 5%", "B/the service wanders, sd 20%, .97 a minute",
	)
	file := NewWorkFile()
	if err := Simulate(rows, file, Options{Runs: runs, Seed: 15, Workers: runtime.GOMAXPROCS(0)}); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		for judge, all := range file.of(r, runs) {
			if !strings.HasPrefix(judge, byAssay) {
				continue
			}
			f, alpha := alarms(all, 0), nominalRollback
			if r.Truth == OnMargin {
				f, alpha = promotes(all), nominalPromote
			}
			if f.share() > within(alpha, runs) {
				t.Errorf("%s, %s: %s of %d runs, want at most %s", r.ID(), judge, f.withInterval(), runs, digits(within(alpha, runs)))
			}
		}
	}
}

// A canary that fails twice as often is found by everybody, and in this order.
func TestPowerOfAllJudges(t *testing.T) {
	rows := pick(t, "E/+100%")
	file := NewWorkFile()
	if err := Simulate(rows, file, Options{Runs: 200, Seed: 15, Workers: runtime.GOMAXPROCS(0)}); err != nil {
		t.Fatal(err)
	}
	all := file.of(rows[0], 200)
	last := 0.0
	for _, judge := range []string{byArgo, assayAt(cadences[0]), byKayenta, byFlagger, byKayentaOnce} {
		f := alarms(all[judge], 0)
		if f.share() < .98 || f.median() < last {
			t.Errorf("%s: %s, want it found after %v minutes", judge, f.withMedian(), last)
		}
		last = f.median()
	}
}

// The page prints every row, every image and every bar of what was simulated.
func TestPage(t *testing.T) {
	rows := pick(t, "E/low traffic, x5", "E/one pod against one, 20 rps each")
	file := NewWorkFile()
	if err := Simulate(rows, file, Options{Runs: 80, Seed: 3, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := Page(&page, rows, file, 80, 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"80 runs a row", "| low traffic, x5 | 20 | 1.00 @", "| one pod against one, 20 rps each | 80 | .000 (.000–", "| minutes to find | E, low traffic, x5 | ≤ 2.8 |"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q:\n%s", want, page.String())
		}
	}
	folder := t.TempDir()
	if err := Plots(folder, pick(t, "E/+100%"), file, 80); err == nil {
		t.Error("an image of nothing was drawn")
	}
}
