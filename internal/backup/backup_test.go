package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/internal/store"
)

var at = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// folder is a data directory with a spool and a bundle.
func folder(t *testing.T) Folder {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, databaseName), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for name, text := range map[string]string{
		"spool/v-1.jsonl": "one\ntwo\n", "spool/notes.txt": "not ours", "bundles/v-0.tar.zst": "sealed", "bundles/.v-9.tar.zst.1.tmp": "half", "kafka/log": "x", ".backup-left/assay.db": "x",
	} {
		put(t, filepath.Join(dir, name), text)
	}
	return Folder{Store: s, Dir: dir, Engine: "test"}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// tree is what is in a folder, by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func backup(t *testing.T, from Folder) (Manifest, []byte) {
	t.Helper()
	var b bytes.Buffer
	m, err := Write(t.Context(), &b, from, at)
	if err != nil {
		t.Fatal(err)
	}
	return m, b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	from := folder(t)
	still := 0
	from.Still = func(f func() error) error { still++; return f() }
	from.Notes = []string{"a note"}
	m, b := backup(t, from)
	if still != 1 || m.Count(spoolDir) != 1 || m.Count(bundleDir) != 1 || len(m.Files) != 3 || m.Audit.Seq != 1 {
		t.Errorf("held still %d times, %+v", still, m)
	}
	if left, err := filepath.Glob(filepath.Join(from.Dir, temporary+"*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	verified, err := Verify(t.Context(), bytes.NewReader(b))
	if err != nil || len(verified.Files) != 3 || verified.Notes[0] != "a note" || !verified.CreatedAt.Equal(at) {
		t.Errorf("%+v, %v", verified, err)
	}
	for _, prepare := range []func(dir string){func(string) {}, func(dir string) { _ = os.Mkdir(dir, 0o755) }} {
		dir := filepath.Join(t.TempDir(), "a", "new one")
		prepare(dir)
		if _, err := Restore(t.Context(), bytes.NewReader(b), dir, "ada", at.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		files := tree(t, dir)
		if files["spool/v-1.jsonl"] != "one\ntwo\n" || files["bundles/v-0.tar.zst"] != "sealed" || len(files) != 3 {
			t.Errorf("restored %q", slices.Sorted(maps.Keys(files)))
		}
		if info, err := os.Stat(filepath.Join(dir, databaseName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		s, err := store.Open(t.Context(), filepath.Join(dir, databaseName), at)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		entries, err := s.Audit(t.Context(), 1, 10)
		if err != nil || len(entries) != 1 || entries[0].Action != "store.restored" || entries[0].Actor != "ada" {
			t.Errorf("audit %+v, %v", entries, err)
		}
	}
}

// A spool that grows, is cut behind what was taken, or is removed while the backup is
// written is in it as it was at the instant.
func TestSpoolsAreOfTheInstant(t *testing.T) {
	from := folder(t)
	spool := filepath.Join(from.Dir, spoolDir, "v-1.jsonl")
	from.Still = func(f func() error) error {
		err := f()
		put(t, spool, "one\ntwo\nthree\nhal")
		if err == nil {
			err = os.Remove(spool)
		}
		if err == nil {
			err = os.Remove(filepath.Join(from.Dir, bundleDir, "v-0.tar.zst")) // retention
		}
		return err
	}
	m, b := backup(t, from)
	if m.Count(bundleDir) != 0 {
		t.Errorf("%+v", m.Files)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := Restore(t.Context(), bytes.NewReader(b), dir, "ada", at); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir)["spool/v-1.jsonl"]; got != "one\ntwo\n" {
		t.Errorf("spool %q", got)
	}
}

func TestRestoreKeepsWhatIsThere(t *testing.T) {
	_, b := backup(t, folder(t))
	dir := t.TempDir()
	put(t, filepath.Join(dir, "precious"), "x")
	if _, err := Restore(t.Context(), bytes.NewReader(b), dir, "ada", at); !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "precious") {
		t.Errorf("%v", err)
	}
	if got := tree(t, dir); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(b), filepath.Join(dir, "precious"), "ada", at); err == nil {
		t.Error("restored over a file")
	}
}

func TestBackupEndsWithItsContext(t *testing.T) {
	from := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	from.Still = func(f func() error) error { defer cancel(); return f() }
	if _, err := Write(ctx, io.Discard, from, at); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := filepath.Glob(filepath.Join(from.Dir, temporary+"*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// refused wants a file to be refused as no backup, by both readers, and nothing to be
// left of it.
func refused(t *testing.T, what string, b []byte) {
	t.Helper()
	if _, err := Verify(t.Context(), bytes.NewReader(b)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%s: verify: %v", what, err)
	}
	parent := t.TempDir()
	if _, err := Restore(t.Context(), bytes.NewReader(b), filepath.Join(parent, "new"), "ada", at); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%s: restore: %v", what, err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) > 0 {
		t.Errorf("%s: left behind %v, %v", what, entries, err)
	}
}

// inflated is the archive in a file, nil where it is damaged.
func inflated(b []byte) []byte {
	packed, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	defer packed.Close()
	text, err := io.ReadAll(packed)
	if err != nil {
		return nil
	}
	return text
}

// A file that broke off anywhere, or has one bit changed anywhere, is no backup.
func TestDamageIsFound(t *testing.T) {
	_, b := backup(t, folder(t))
	for i := range 40 {
		refused(t, fmt.Sprintf("cut after %d/40", i), b[:i*len(b)/40])
		changed := bytes.Clone(b)
		changed[i*len(b)/40] ^= 0x10
		if bytes.Equal(inflated(changed), inflated(b)) {
			continue // another way to write the same zeros
		}
		refused(t, fmt.Sprintf("a bit at %d/40", i), changed)
	}
	refused(t, "the last byte", b[:len(b)-1])
}

// repacked is a backup with its entries changed by hand, manifest included, as an
// attacker would who wants to write outside of the folder.
func repacked(t *testing.T, b []byte, change func(entries []*entry) []*entry) []byte {
	t.Helper()
	packed, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	var entries []*entry
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, &entry{h, text})
	}
	var out bytes.Buffer
	to, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(to)
	for _, e := range change(entries) {
		e.header.Size = int64(len(e.text))
		if err := w.WriteHeader(e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), to.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type entry struct {
	header *tar.Header
	text   []byte
}

// A8: names that leave the folder, links and devices are refused, whatever the
// manifest says of them.
func TestHostileArchives(t *testing.T) {
	_, b := backup(t, folder(t))
	named := func(name string, typ byte) func([]*entry) []*entry {
		return func(entries []*entry) []*entry {
			bad := &entry{&tar.Header{Typeflag: typ, Name: name, Mode: 0o644}, nil}
			if typ == tar.TypeSymlink {
				bad.header.Linkname = "/etc/passwd"
			}
			return slices.Insert(entries, 2, bad)
		}
	}
	for what, change := range map[string]func([]*entry) []*entry{
		"parent":             named("../evil", tar.TypeReg),
		"parent of spool":    named("spool/../../evil.jsonl", tar.TypeReg),
		"absolute":           named("/tmp/evil", tar.TypeReg),
		"absolute bundle":    named("/bundles/x.tar.zst", tar.TypeReg),
		"backslash":          named(`spool\evil.jsonl`, tar.TypeReg),
		"hidden":             named("spool/.x.jsonl", tar.TypeReg),
		"other file":         named("assay.yaml", tar.TypeReg),
		"wal":                named("assay.db-wal", tar.TypeReg),
		"folder":             named("spool/x.jsonl", tar.TypeDir),
		"symbolic link":      named("spool/x.jsonl", tar.TypeSymlink),
		"hard link":          named("spool/x.jsonl", tar.TypeLink),
		"device":             named("spool/x.jsonl", tar.TypeChar),
		"not in manifest":    named("spool/x.jsonl", tar.TypeReg),
		"twice":              named(databaseName, tar.TypeReg),
		"twice but for case": named("spool/V-1.jsonl", tar.TypeReg),
		"no head":            func(e []*entry) []*entry { return e[1:] },
		"no manifest":        func(e []*entry) []*entry { return e[:len(e)-1] },
		"behind the end":     func(e []*entry) []*entry { return append(e, e[2]) },
		"other order":        func(e []*entry) []*entry { e[1], e[2] = e[2], e[1]; return e },
		"no database":        func(e []*entry) []*entry { return slices.Delete(e, 1, 2) },
		"other format": func(e []*entry) []*entry {
			for _, i := range []int{0, len(e) - 1} {
				e[i].text = bytes.Replace(e[i].text, []byte("/v1"), []byte("/v2"), 1)
			}
			return e
		},
		"changed content": func(e []*entry) []*entry { e[3].text = bytes.ToUpper(e[3].text); return e },
		"huge head": func(e []*entry) []*entry {
			e[0].text = append(bytes.Repeat([]byte(" "), maxHead), e[0].text...)
			return e
		},
	} {
		refused(t, what, repacked(t, b, change))
	}
	if _, err := Verify(t.Context(), bytes.NewReader(repacked(t, b, func(e []*entry) []*entry { return e }))); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// A store that is damaged in itself is found, though every digest is right.
func TestRestoreReadsTheStore(t *testing.T) {
	from := folder(t)
	if _, err := from.Store.Apply(t.Context(), store.Change{Audit: []store.AuditEntry{{At: at, Actor: "a", Action: "b", Subject: "c"}}, Now: at}); err != nil {
		t.Fatal(err)
	}
	_, b := backup(t, from)
	// The chain's head is told by the backup: another store under its name is refused.
	other := folder(t)
	_, shorter := backup(t, other)
	var database []byte
	repacked(t, shorter, func(e []*entry) []*entry { database = e[1].text; return e })
	forged := repacked(t, b, func(e []*entry) []*entry {
		old := File{databaseName, int64(len(e[1].text)), digest(e[1].text)}
		e[1].text = database
		last := e[len(e)-1]
		last.text = bytes.Replace(last.text, []byte(old.SHA256), []byte(digest(database)), 1)
		last.text = bytes.Replace(last.text, []byte(fmt.Sprintf(`"size": %d`, old.Size)), []byte(fmt.Sprintf(`"size": %d`, len(database))), 1)
		return e
	})
	if _, err := Verify(t.Context(), bytes.NewReader(forged)); err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	if _, err := Restore(t.Context(), bytes.NewReader(forged), filepath.Join(parent, "new"), "ada", at); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) > 0 {
		t.Errorf("left behind %v, %v", entries, err)
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
