package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis/logdiff"
)

// logFiles writes two logs, the first of them packed.
func logFiles(t *testing.T) (before, after string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte("start 1\nremoved 3 files\nWARN slow\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	before, after = filepath.Join(dir, "old.log.gz"), filepath.Join(dir, "new.log")
	for name, data := range map[string][]byte{before: b.Bytes(), after: []byte("start 2\nnote\nERROR no disk for bob@mail.example\n\tat a.B(B.java:1)\nWARN slow\n")} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return before, after
}

func TestLogdiff(t *testing.T) {
	before, after := logFiles(t)
	code, out, failed := command(t, "logdiff", before, after)
	want := `2 groups of new lines, the most telling first

  1. error, line 3 to 4, 2 lines
     no disk for <redacted:email>
     at a.B(B.java:1)

  2. line 2
     note

1 group missing

     line 2: removed 3 files
`
	if code != exitOK || out != want || failed != "" {
		t.Errorf("exit code %d: %s\n%s", code, failed, out)
	}
	code, out, failed = command(t, "logdiff", before, after, "-o", "json")
	var d logdiff.LogDifference
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != exitOK || len(d.New) != 2 || len(d.Missing) != 1 || strings.Contains(out, "bob@") {
		t.Errorf("exit code %d, %v: %s\n%s", code, err, failed, out)
	}
	if code, out, _ = command(t, "logdiff", after, after); code != exitOK || out != "no new lines\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	var o, e bytes.Buffer
	if code := run(t.Context(), []string{"logdiff", before, "-"}, streams{strings.NewReader("start 7\nremoved 9 files\nWARN slow\n"), &o, &e}); code != exitOK || o.String() != "no new lines\n" {
		t.Errorf("exit code %d: %s %s", code, &o, &e)
	}
}

func TestLogdiffRefuses(t *testing.T) {
	before, after := logFiles(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	packed, err := os.ReadFile(before)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{before}, "takes two log files, got 1"},
		{[]string{"-", "-"}, "only one of the two"},
		{[]string{before, filepath.Join(dir, "none")}, "no such file"},
		{[]string{dir, after}, "is a directory"},
		{[]string{before, write("empty", " \n")}, "empty"},
		{[]string{before, write("bytes", "a\x00b")}, "no text"},
		{[]string{write("cut.gz", string(packed[:len(packed)-9])), after}, "unexpected EOF"},
		{[]string{before, after, "-o", "xml"}, "must be table or json"},
	} {
		code, out, failed := command(t, append([]string{"logdiff"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(failed, c.want) {
			t.Errorf("%q: exit code %d: %q %q", c.args, code, out, failed)
		}
	}
	if _, err := (streams{in: strings.NewReader("12345")}).readLog("-", 4); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%v", err)
	}
}
