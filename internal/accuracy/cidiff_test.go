package accuracy

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var ciDiffData = flag.String("accuracy.cidiff", "", "folder of the cidiff recording")

// Two small pairs, whose scores can be counted by hand; with -accuracy.cidiff the whole
// recording as well.
func TestCiDiff(t *testing.T) {
	dir := t.TempDir()
	write := func(pair, name, text string) {
		var b bytes.Buffer
		if strings.HasSuffix(name, ".gz") {
			z := gzip.NewWriter(&b)
			if _, err := z.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			b.WriteString(text)
		}
		if err := os.MkdirAll(filepath.Join(dir, pair), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pair, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "pass.log.gz", "start 1\ncompile\ndone\n")
	write("a", "fail.log.gz", "start 2\rcompile\r\nhint: clean\nERROR no disk\n\nbuild FAILED\n") // lines 3, 4 and 6 are new
	write("a", "groundtruth", "DEFAULT\nE 4-5\nC 3\n")
	write("a", "groundtruth2", "GITHUB\nE 3\n")
	write("b", "pass.log.gz", "x\n")
	write("b", "fail.log.gz", "x\nERROR y\n")
	write("b", "groundtruth", "DEFAULT\nE 1-2\n")
	write("b", "groundtruth2", "DEFAULT\nE 2\n")
	s, err := NewCiDiffSection(dir)
	if err != nil {
		t.Fatal(err)
	}
	// Pair a lists 4, 6, 3; b lists 2. Person 1 marked 4 (5 is blank) of a, 1 and 2 of b.
	if want := (LogScore{Pairs: 2, First: 2, First5: 2, First20: 2, Any: 2, Recall: .75, Precision: (1./3 + 1) / 2, Median: 2, Most: 3}); s.Assay[0] != want {
		t.Errorf("%+v, want %+v", s.Assay[0], want)
	}
	if want := (LogScore{Pairs: 2, First: 1, First5: 2, First20: 2, Any: 2, Recall: 1, Precision: (1./3 + 1) / 2, Median: 2, Most: 3}); s.Assay[1] != want {
		t.Errorf("%+v, want %+v", s.Assay[1], want)
	}
	for order, first := range map[string]int{"by place": 1, "error words first": 2, "last first": 1} {
		if got := s.Naive[order][0].First; got != first {
			t.Errorf("naive, %s: %d first, want %d", order, got, first)
		}
	}
	if missed := s.Missed(); len(missed) != 2 || !strings.Contains(missed[0], "recall 0.750") || !strings.Contains(s.Markdown(), "| person 2 | Assay | 1 | 2 | 2 | 1.000 |") {
		t.Errorf("%q\n%s", missed, s.Markdown())
	}
	if *ciDiffData == "" {
		return
	}
	if s, err = NewCiDiffSection(*ciDiffData); err != nil {
		t.Fatal(err)
	}
	t.Log(s.Markdown())
	for _, missed := range s.Missed() {
		t.Error(missed)
	}
}

func TestCiDiffRefuses(t *testing.T) {
	if _, err := NewCiDiffSection(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no pairs") {
		t.Errorf("%v", err)
	}
}
