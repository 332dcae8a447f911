package bundle

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestSealIsIdempotent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundles", "2026")
	c := contents(t, 3)
	name := c.Verdict.Bundle
	first, err := Seal(dir, name, c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Seal(dir, name, c)
	if err != nil || again != first {
		t.Errorf("sealed again: %+v, %v; want %+v", again, err, first)
	}
	report, err := Verify(first.Path)
	if err != nil || report.Digest != first.Digest || report.Size != first.Size || report.Looks != 3 || report.Verdict != "pending" {
		t.Errorf("%+v, %v", report, err)
	}
	other := contents(t, 4)
	if _, err := Seal(dir, name, other); !errors.Is(err, ErrExists) {
		t.Errorf("other contents under the same name: %v", err)
	}
	upgraded := contents(t, 3)
	upgraded.Engine, upgraded.Event = "a later version", nil
	if again, err := Seal(dir, name, upgraded); err != nil || again != first {
		t.Errorf("sealed again after an upgrade: %+v, %v; want %+v", again, err, first)
	}
	onlyFile(t, dir, name)
	if after, err := Verify(first.Path); err != nil || after.Digest != first.Digest {
		t.Errorf("the first bundle was touched: %v", err)
	}
}

// onlyFile checks that dir holds one file: nothing temporary is left.
func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("%s holds %v; want only %s", dir, entries, name)
	}
}

// A crash leaves a temporary file or, without our care for order, half a bundle.
// Sealing again puts both right.
func TestSealAfterACrash(t *testing.T) {
	dir := t.TempDir()
	c := contents(t, 3)
	name := c.Verdict.Bundle
	for path, content := range map[string]string{"." + name + ".123.tmp": "half", name: "half a bundle"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Seal(dir, name, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(s.Path); err != nil {
		t.Error(err)
	}
	onlyFile(t, dir, name)
}

// Whoever seals at the same time ends with the same file; one may have to try again.
func TestSealTogether(t *testing.T) {
	dir := t.TempDir()
	name := contents(t, 3).Verdict.Bundle
	var group sync.WaitGroup
	for range 4 {
		c := contents(t, 3)
		group.Go(func() {
			for range 20 {
				if _, err := Seal(dir, name, c); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if _, err := Verify(filepath.Join(dir, name)); err != nil {
		t.Error(err)
	}
	onlyFile(t, dir, name)
}

func TestSealRefusesNames(t *testing.T) {
	for _, name := range []string{"", "x", "../x.tar.zst", "a/b.tar.zst", ".x.tar.zst", "-x.tar.zst", "x.tar.zst\n", strings.Repeat("x", 300) + ".tar.zst"} {
		if _, err := Seal(t.TempDir(), name, contents(t, 1)); err == nil {
			t.Errorf("sealed as %q", name)
		}
	}
}

// TestContradictionsAreNotSealed: what Open would refuse, Write refuses before
// it writes a byte.
func TestContradictionsAreNotSealed(t *testing.T) {
	for what, spoil := range map[string]func(*Contents){
		"another plan":          func(c *Contents) { c.Plan = append(c.Plan, ' ') },
		"no plan":               func(c *Contents) { c.Plan = nil },
		"another evidence":      func(c *Contents) { c.Looks = bytes.NewReader([]byte("{}\n")) },
		"no looks":              func(c *Contents) { c.Looks = nil },
		"an unfinished line":    func(c *Contents) { c.Looks = bytes.NewReader([]byte("{}")) },
		"no bundle name":        func(c *Contents) { c.Verdict.Bundle = "" },
		"another bundle name":   func(c *Contents) { c.Verdict.Bundle = "x.tar.zst" },
		"another validation":    func(c *Contents) { c.Verdict.ValidationID = "v"; c.Verdict.Bundle = Name("v") },
		"a path as validation":  func(c *Contents) { c.Verdict.ValidationID = "../v"; c.Verdict.Bundle = Name("../v") },
		"no digest of the plan": func(c *Contents) { c.Verdict.PlanDigest = "" },
		"an event of 17 MiB":    func(c *Contents) { c.Event = make([]byte, 17<<20) },
	} {
		c := contents(t, 3)
		spoil(&c)
		dir := t.TempDir()
		var b bytes.Buffer
		if _, err := Write(&b, c); err == nil || b.Len() > 0 {
			t.Errorf("%s: %v after %d bytes", what, err, b.Len())
		}
		if _, err := Seal(dir, "v.tar.zst", c); err == nil {
			t.Errorf("%s: sealed", what)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s: left %v", what, entries)
		}
	}
}

// growing has one line more every time it is read from its beginning.
type growing struct {
	*bytes.Reader
	lines int
}

func (g *growing) Seek(offset int64, whence int) (int64, error) {
	if offset == 0 && whence == io.SeekStart {
		g.lines++
		g.Reader = bytes.NewReader(bytes.Repeat([]byte("{}\n"), g.lines))
	}
	return g.Reader.Seek(offset, whence)
}

// Looks that change between the check and the writing are never sealed.
func TestLooksThatChangeMeanwhile(t *testing.T) {
	c := contents(t, 1)
	e := NewEvidenceDigest()
	e.Write([]byte("{}\n"))
	c.Looks, c.Verdict.EvidenceDigest = &growing{}, e.String()
	if _, err := Write(io.Discard, c); err == nil || !strings.Contains(err.Error(), "changed while") {
		t.Errorf("%v", err)
	}
	if _, err := Write(&failAt{write: 300}, contents(t, 3)); !errors.Is(err, errDisk) {
		t.Errorf("a full disk: %v", err)
	}
}

var errDisk = errors.New("disk full")

type failAt struct{ write int }

func (f *failAt) Write(p []byte) (int, error) {
	if f.write -= len(p); f.write < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (f *failAt) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// Errors of the disk are no damage.
func TestDiskErrorsAreNotCorruption(t *testing.T) {
	if _, err := Read(&failAt{}, 1000); !errors.Is(err, errDisk) || errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if _, err := Verify(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a directory: %v", err)
	}
}

// A line that is no look passes Open, which does not decode looks, and is named
// by Verify.
func TestVerifyReadsEveryLook(t *testing.T) {
	c := contents(t, 2)
	lines := []byte("{\"now\":\"2026-11-03T14:00:00Z\"}\n[]\n")
	e := NewEvidenceDigest()
	e.Write(lines)
	c.Looks, c.Verdict.EvidenceDigest = bytes.NewReader(lines), e.String()
	s, err := Seal(t.TempDir(), c.Verdict.Bundle, c)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Verify(s.Path)
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "line 2 of looks.jsonl") || report.Looks != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// The message for a damaged file names the member where the damage shows.
func TestVerifyNamesTheFirstThing(t *testing.T) {
	file := write(t, contents(t, 50))
	for _, c := range []struct {
		damage func([]byte) []byte
		says   string
	}{
		{func(b []byte) []byte { return b[:len(b)-1] }, "no seal at its end"},
		{func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "the seal does not match"},
		{func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "the seal does not match: bytes were changed after it was sealed; the first thing that differs: "},
		{func(b []byte) []byte { return nil }, "only 0 bytes"},
	} {
		path := filepath.Join(t.TempDir(), "b.tar.zst")
		if err := os.WriteFile(path, c.damage(bytes.Clone(file)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(path); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v; want %q", err, c.says)
		}
	}
}

// A file that changes under an open bundle is noticed while its looks are read.
func TestChangeUnderAnOpenBundle(t *testing.T) {
	file := write(t, contents(t, 3))
	b, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	copy(file, write(t, contents(t, 4)))
	var last error
	for _, err := range b.Looks() {
		last = err
	}
	if last == nil {
		t.Error("other looks were read without an error")
	}
}

func TestEvidenceDigestSurvivesACheckpoint(t *testing.T) {
	whole, half := NewEvidenceDigest(), NewEvidenceDigest()
	whole.Write([]byte("a\nb\n"))
	half.Write([]byte("a\n"))
	state, err := half.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var resumed EvidenceDigest
	if err := resumed.UnmarshalBinary(state); err != nil {
		t.Fatal(err)
	}
	resumed.Write([]byte("b\n"))
	if resumed.String() != whole.String() {
		t.Errorf("%s; want %s", resumed.String(), whole.String())
	}
	if err := resumed.UnmarshalBinary([]byte("x")); err == nil {
		t.Error("a broken state was accepted")
	}
}

// FuzzRead feeds files with a right seal to the reader.
func FuzzRead(f *testing.F) {
	file := write(f, contents(f, 3))
	f.Add(file[:len(file)-sealSize])
	f.Add(write(f, contents(f, 0)))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := read(reseal(body))
		if err != nil {
			return
		}
		if b.Verdict.ValidationID == "" || b.Verdict.Schema == "" {
			t.Error("an empty verdict was accepted")
		}
		for _, err := range b.Looks() {
			if err != nil {
				return
			}
		}
	})
}
