package logdiff

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

func TestDiff(t *testing.T) {
	before := "Started at 10:00:01\r\n\x1b[32mINFO\x1b[0m compiled 12 files\n  0% \r 50% \r100% done\nINFO removed cache\nWARN slow\n"
	after := "Started at 11:30:07\nINFO compiled 13 files\n 10% \r 99% \r100% done\nWARN disk is small\n[\x1b[31mERROR\x1b[m] A.java:[1,2] bad type\n  found: X\n[ERROR] \n[ERROR] A.java:[7,9] bad type\nbuild FAILED\nWARN slow\nnote: see y\n"
	got := Diff([]byte(before), []byte(after))
	var told []string
	for _, g := range got.New {
		told = append(told, g.Text)
	}
	if want := []string{"A.java:[<*>] bad type", "build FAILED", "disk is small", "note: see y"}; !slices.Equal(told, want) {
		t.Fatalf("%q, want %q", told, want)
	}
	if g := got.New[0]; g.Count != 2 || !slices.Equal(g.Lines, []int{7, 8, 9, 10}) || g.Severity != analysis.SeverityError || !slices.Equal(g.Example, []string{"A.java:[1,2] bad type", "found: X", ""}) {
		t.Errorf("%+v", g)
	}
	if len(got.Missing) != 1 || got.Missing[0].Text != "removed cache" {
		t.Errorf("%+v", got.Missing)
	}
}

// The names and times that GitHub writes before each line do not count.
func TestDiffReadsGitHubLogs(t *testing.T) {
	const job = "build\tSet up job\t"
	before := job + "\ufeff2021-12-01T13:00:40.1077661Z Current runner\n" + job + "2021-12-01T13:00:41.1077661Z done\n"
	after := "2022-12-01T14:00:40.1Z Current runner\r\n2022-12-01T14:00:41.1Z Exception in thread x\r2022-12-01T14:00:41.2Z     at a.b(c.java:1)\n2022-12-01T14:00:42.2Z done"
	got := Diff([]byte(before), []byte(after))
	if len(got.Missing) != 0 || len(got.New) != 1 || !slices.Equal(got.New[0].Lines, []int{2, 3}) || got.New[0].Severity != analysis.SeverityError {
		t.Errorf("%+v", got)
	}
}

// A log has nothing new against itself, and each new line is told once.
func TestDiffLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := lines().Draw(t, "before"), strings.Join(rapid.SliceOfN(lines(), 0, 5).Draw(t, "after"), "\r\n")
		if d := Diff([]byte(after), []byte(after)); len(d.New)+len(d.Missing) > 0 {
			t.Fatalf("against itself: %+v", d)
		}
		d, back := Diff([]byte(before), []byte(after)), Diff([]byte(after), []byte(before))
		if len(d.New) != len(back.Missing) || len(d.Missing) != len(back.New) {
			t.Fatalf("%+v\nbackwards %+v", d, back)
		}
		seen := map[int]bool{}
		for _, g := range d.New {
			if len(g.Lines) == 0 || g.Count == 0 || g.Count > len(g.Lines) || len(g.Example) == 0 || !slices.IsSorted(g.Lines) {
				t.Fatalf("%+v", g)
			}
			for _, n := range g.Lines {
				if seen[n] {
					t.Fatalf("line %d twice", n)
				}
				seen[n] = true
			}
		}
	})
}
