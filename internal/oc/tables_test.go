package oc

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	flagRuns    = flag.Int("oc.runs", 0, "simulate this many runs of every row and write docs/operating-characteristics.md; 0: do not")
	flagRows    = flag.String("oc.rows", "", "print only rows whose name begins with it, and write nothing")
	flagSeed    = flag.Uint64("oc.seed", 1, "of every draw")
	flagMinutes = flag.Float64("oc.minutes", 0, "begin nothing after so many minutes, and print what there is; 0: no limit")
	flagKeep    = flag.Bool("oc.keep", false, "go on with what another state of the code simulated")
)

// The work file and the page, from this folder.
const (
	workFile = "../../bin/oc/runs.jsonl"
	docs     = "../../docs"
)

// TestTables is make oc: it goes on with the simulation and writes the page.
func TestTables(t *testing.T) {
	if *flagRuns == 0 {
		t.Skip("make oc runs it")
	}
	rows := slices.DeleteFunc(Rows(), func(r Row) bool { return !strings.HasPrefix(r.ID(), *flagRows) })
	if len(rows) == 0 {
		t.Fatalf("no row begins with %q", *flagRows)
	}
	if err := os.MkdirAll(filepath.Dir(workFile), 0o755); err != nil {
		t.Fatal(err)
	}
	build := ""
	if !*flagKeep {
		build = codeThatCounts(t)
	}
	file, err := OpenWorkFile(workFile, *flagSeed, build)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	started, said := time.Now(), time.Time{}
	err = Simulate(rows, file, Options{
		Runs: *flagRuns, Seed: *flagSeed, Workers: runtime.GOMAXPROCS(0),
		Until: func() bool { return *flagMinutes > 0 && time.Since(started).Minutes() > *flagMinutes },
		Progress: func(done, blocks int, row string) {
			if time.Since(said) < 10*time.Second && done < blocks {
				return
			}
			said = time.Now()
			gone := time.Since(started)
			t.Logf("%d of %d blocks, %s gone, about %s left (%s)", done, blocks, gone.Round(time.Second), (gone / time.Duration(done) * time.Duration(blocks-done)).Round(time.Second), row)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := Page(&page, rows, file, *flagRuns, *flagSeed); err != nil {
		t.Fatal(err)
	}
	if *flagRows != "" {
		fmt.Println(page.String())
		return
	}
	images := filepath.Join(docs, imageFolder)
	if err := os.MkdirAll(images, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Plots(images, rows, file, *flagRuns); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, "operating-characteristics.md"), []byte(page.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// codeThatCounts is a digest of the code on which the figures rest: what draws,
// judges and decides. Runs of other code are not mixed with those of this one.
func codeThatCounts(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	for _, folder := range []string{".", "../peers", "../../analysis", "../../analysis/history", "../../analysis/stats", "../../verdicts"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || folder == "." && slices.Contains(printing, filepath.Base(name)) {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// printing are the files of this package that no figure rests on.
var printing = []string{"bars.go", "doc.go", "figure.go", "page.go", "plots.go", "short.go", "text.go", "workfile.go"}

// What the README quotes is what the page says.
func TestReadmeQuotesThePage(t *testing.T) {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	_, short, found := strings.Cut(read(filepath.Join(docs, "operating-characteristics.md")), "| release |")
	if !found {
		t.Fatal("the page has no summary")
	}
	short, _, _ = strings.Cut(short, "\n\n")
	if !strings.Contains(read("../../README.md"), "| release |"+short) {
		t.Errorf("the README does not repeat the summary of the page:\n| release |%s", short)
	}
}
