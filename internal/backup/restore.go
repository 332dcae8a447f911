package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/release-assay/assay/internal/store"
)

// ErrNotEmpty says that the folder to restore into has something in it.
var ErrNotEmpty = errors.New("the folder is not empty")

// Verify reads a backup to its end and compares every byte with its manifest. It
// writes nothing. A backup that is not whole is ErrCorrupt.
func Verify(ctx context.Context, r io.Reader) (Manifest, error) {
	return read(ctx, r, func(_ string, content io.Reader) error {
		_, err := io.Copy(io.Discard, content)
		return err
	})
}

// Restore makes the folder dir of a backup. The folder must not exist, or be empty.
// by and now stand in the audit log of the restored store. When it returns an error
// there is nothing that was not there before.
func Restore(ctx context.Context, r io.Reader, dir, by string, now time.Time) (Manifest, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Manifest{}, err
	}
	if err := empty(dir); err != nil {
		return Manifest{}, err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Manifest{}, err
	}
	temp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".restore-")
	if err != nil {
		return Manifest{}, err
	}
	m, err := restoreTo(ctx, r, temp, by, now)
	if err == nil {
		err = name(temp, dir)
	}
	if err != nil {
		return Manifest{}, errors.Join(fmt.Errorf("restore into %s: %w", dir, err), os.RemoveAll(temp))
	}
	return m, nil
}

func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s: %w (%s is in it)", dir, ErrNotEmpty, entries[0].Name())
	}
	return nil
}

// name gives the finished folder its name, for good.
func name(temp, dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func restoreTo(ctx context.Context, r io.Reader, temp, by string, now time.Time) (m Manifest, err error) {
	root, err := os.OpenRoot(temp)
	if err != nil {
		return m, err
	}
	defer root.Close()
	for _, dir := range []string{spoolDir, bundleDir} {
		if err := root.Mkdir(dir, 0o755); err != nil {
			return m, err
		}
	}
	if m, err = read(ctx, r, func(name string, content io.Reader) error { return unpackFile(root, name, content) }); err != nil {
		return m, err
	}
	if err := reopen(ctx, filepath.Join(temp, databaseName), m, by, now); err != nil {
		return m, err
	}
	for _, dir := range []string{filepath.Join(temp, spoolDir), filepath.Join(temp, bundleDir), temp} {
		if err := syncDir(dir); err != nil {
			return m, err
		}
	}
	return m, nil
}

// unpackFile writes one file, durably. The name was checked; the root keeps what a
// check might miss inside.
func unpackFile(root *os.Root, name string, content io.Reader) error {
	mode := fs.FileMode(0o644)
	switch path.Dir(name) {
	case ".":
		mode = 0o600
	case bundleDir:
		mode = 0o440 // as sealed
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// reopen checks the store as a whole and tells it that it was restored.
func reopen(ctx context.Context, path string, m Manifest, by string, now time.Time) error {
	s, err := store.Open(ctx, path, now)
	if err != nil {
		return err
	}
	body, err := json.Marshal(m.Head)
	if err == nil {
		err = errors.Join(s.IntegrityCheck(ctx), s.VerifyAudit(ctx, m.Audit))
	}
	if err == nil {
		err = s.Restored(ctx, store.Restored{
			ForgetOffsets: m.EmbeddedBroker, Now: now,
			Audit: store.AuditEntry{At: now, Actor: by, Action: "store.restored", Subject: "store", Body: body},
		})
	}
	return errors.Join(err, s.Close(), os.Remove(path+".lock"))
}

// read hands every file of a backup to each, in order, and compares them with the
// manifest, which is the end.
func read(ctx context.Context, r io.Reader, each func(name string, content io.Reader) error) (Manifest, error) {
	m, err := readAll(ctx, r, each)
	if err == nil || errors.Is(err, ErrCorrupt) || ctx.Err() != nil {
		return m, err
	}
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return m, err // of the target, not of the backup
	}
	return m, fmt.Errorf("%w: %w", ErrCorrupt, err)
}

func readAll(ctx context.Context, r io.Reader, each func(name string, content io.Reader) error) (m Manifest, err error) {
	packed, err := unpack(heeding{ctx, r})
	if err != nil {
		return m, err
	}
	defer packed.Close()
	a := tar.NewReader(packed)
	var head Head
	if err := next(a, headName, maxHead, &head); err != nil {
		return m, err
	}
	if head.Format != Format {
		return m, fmt.Errorf("%w: its format is %q, this program reads %s", ErrCorrupt, head.Format, Format)
	}
	var files []File
	seen := map[string]bool{}
	for {
		entry, err := a.Next()
		if errors.Is(err, io.EOF) {
			return m, fmt.Errorf("%w: it breaks off", ErrCorrupt)
		}
		if err != nil {
			return m, err
		}
		if entry.Name == manifestName {
			break
		}
		// On some disks names that differ in case are one file.
		if folded := strings.ToLower(entry.Name); entry.Typeflag != tar.TypeReg || !isPart(entry.Name) || seen[folded] {
			return m, fmt.Errorf("%w: it has %q in it", ErrCorrupt, entry.Name)
		} else {
			seen[folded] = true
		}
		sum := sha256.New()
		if err := each(entry.Name, io.TeeReader(a, sum)); err != nil {
			return m, err
		}
		files = append(files, File{entry.Name, entry.Size, hex.EncodeToString(sum.Sum(nil))})
	}
	if err := readJSON(a, maxManifest, &m); err != nil {
		return m, err
	}
	if !reflect.DeepEqual(m.Files, files) || !reflect.DeepEqual(m.Head, head) || !seen[databaseName] {
		return m, fmt.Errorf("%w: its files are not those of its manifest", ErrCorrupt)
	}
	if _, err := a.Next(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%w: it goes on behind its end", ErrCorrupt)
	}
	_, err = io.Copy(io.Discard, packed) // to the checksum of the compression
	return m, err
}

// next reads an entry that must come now.
func next(a *tar.Reader, name string, limit int64, into any) error {
	entry, err := a.Next()
	if err != nil {
		return err
	}
	if entry.Name != name {
		return fmt.Errorf("%w: it begins with %q", ErrCorrupt, entry.Name)
	}
	return readJSON(a, limit, into)
}

// syncDir makes names in a folder survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
