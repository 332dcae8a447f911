package e2e

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/torture"
	"github.com/release-assay/assay/testdata/backends"
)

var (
	tortureBugs     = flag.String("torture.bugs", "", "which re-introduced bugs TestTortureCatchesBugs tries: those whose name contains it; all; empty: the quick ones")
	tortureBugKills = flag.Int("torture.bugkills", 100, "how many kills a bug is given to show itself")
)

// bugRound is how many lives there are between two looks at the store of an Assay
// that has a bug.
const bugRound = 16

// TestTortureCatchesBugs builds Assay with one known fault after the other and wants
// the harness to notice each (reliability M21, G19): a check that cannot fail proves
// nothing.
func TestTortureCatchesBugs(t *testing.T) {
	broker := backends.StartKafka(t)
	seed := max(*tortureSeed, 1)
	tried := 0
	if *tortureBugs == "all" {
		// What catches a program without a bug catches nothing.
		t.Run("no bug", func(t *testing.T) {
			r := openRack(t, rackConfig{broker: broker.Addr, topics: "no-bug", favour: "final", seed: seed})
			for range 3 {
				if found := r.round(bugRound); len(found) > 0 {
					t.Fatalf("%d violations without a bug\n%s", len(found), r.history.Report(found))
				}
			}
		})
	}
	for i, bug := range torture.Bugs {
		if *tortureBugs == "" && !bug.Quick || *tortureBugs != "all" && !strings.Contains(bug.Name, *tortureBugs) {
			continue
		}
		tried++
		t.Run(bug.Name, func(t *testing.T) {
			r := openRack(t, rackConfig{broker: broker.Addr, topics: fmt.Sprintf("bug-%d", i), program: buildWith(t, bug), favour: bug.Step, seed: seed, patience: 24 * time.Second})
			for r.history.Kills < *tortureBugKills {
				for _, v := range r.round(bugRound) {
					if slices.Contains(bug.Breaks, v.Invariant) {
						t.Logf("caught after %d kills and %v: %s", r.history.Kills, time.Since(r.began).Round(time.Second), v)
						return
					}
				}
			}
			found := torture.Check(&r.history)
			t.Errorf("%s was not caught by %q in %d kills (%s)\nother violations: %s", bug.Name, bug.Breaks, r.history.Kills, bug.Why, r.history.Report(found))
		})
	}
	if tried == 0 {
		t.Fatalf("no bug is called %q", *tortureBugs)
	}
}

// TestBugsFit: every bug still finds the code that it changes.
func TestBugsFit(t *testing.T) {
	for _, bug := range torture.Bugs {
		if _, err := bug.Overlay(root(t), t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

// buildWith builds the program with a bug.
func buildWith(t *testing.T, bug torture.Bug) string {
	t.Helper()
	dir := t.TempDir()
	overlay, err := bug.Overlay(root(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "assay")
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", name, "github.com/release-assay/assay/cmd/assay").CombinedOutput(); err != nil {
		t.Fatalf("build assay with %q: %v\n%s", bug.Name, err, out)
	}
	return name
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
