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
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/release-assay/assay/internal/store"
)

// A Folder is the data of one Assay.
type Folder struct {
	Store *store.Store
	Dir   string // spool and bundles live below it
	// Still runs a function while no look is spooled and no bundle sealed; nil: nobody
	// does either.
	Still          func(func() error) error
	Engine         string
	EmbeddedBroker bool
	Notes          []string
}

// Write writes a backup to w, at now, and returns what is in it. The folder is not
// changed; for the time of the copy it needs as much space again as its database and
// open spools have. When it fails, what was written is no backup.
func Write(ctx context.Context, w io.Writer, from Folder, now time.Time) (Manifest, error) {
	m, err := write(ctx, w, from, now)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup of %s: %w", from.Dir, err)
	}
	return m, nil
}

func write(ctx context.Context, w io.Writer, from Folder, now time.Time) (m Manifest, err error) {
	taken, err := take(ctx, from)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(taken.dir)) }()
	m.Head = Head{Format: Format, CreatedAt: now.UTC(), Engine: from.Engine, EmbeddedBroker: from.EmbeddedBroker, Audit: taken.audit, Notes: from.Notes}

	packed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return m, err
	}
	a := archive{tar.NewWriter(packed), now}
	if err := a.json(headName, m.Head); err != nil {
		return m, err
	}
	for _, part := range taken.parts {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		file, err := a.file(ctx, part)
		if part.mayBeGone && errors.Is(err, fs.ErrNotExist) {
			continue // retention was quicker
		}
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, file)
	}
	if err := a.json(manifestName, m); err != nil {
		return m, err
	}
	return m, errors.Join(a.Close(), packed.Close())
}

// taken is the folder at one instant: files that do not change any more.
type taken struct {
	dir   string // temporary
	audit store.AuditMark
	parts []part
}

// A part is one file of the backup.
type part struct {
	name      string // in the archive
	path      string
	size      int64 // of a spool, which grows; -1: all of it
	mayBeGone bool
}

// temporary begins the names of folders that a backup works in. One that is left
// behind was left by a process that died.
const temporary = ".backup-"

// Sweep removes what a process that died while it wrote a backup has left in its
// folder. No backup of the folder may be under way.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, temporary+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// take holds the folder still for a moment and then copies the database.
func take(ctx context.Context, from Folder) (t taken, err error) {
	if err := Sweep(from.Dir); err != nil {
		return t, err
	}
	if t.dir, err = os.MkdirTemp(from.Dir, temporary); err != nil {
		return t, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(t.dir))
		}
	}()
	still := from.Still
	if still == nil {
		still = func(f func() error) error { return f() }
	}
	var shot *store.Snapshot
	err = still(func() (err error) {
		if shot, err = from.Store.Snapshot(ctx); err != nil {
			return err
		}
		spools, err := t.spools(from.Dir)
		if err != nil {
			return err
		}
		bundles, err := list(from.Dir, bundleDir)
		for _, b := range bundles {
			b.mayBeGone = true
			t.parts = append(t.parts, b)
		}
		t.parts = append(t.parts, spools...)
		return err
	})
	if shot != nil {
		t.audit = shot.Audit
		database := filepath.Join(t.dir, databaseName)
		if err == nil {
			err = shot.CopyTo(ctx, database)
		}
		err = errors.Join(err, shot.Close())
		t.parts = append([]part{{name: databaseName, path: database, size: -1}}, t.parts...)
	}
	return t, err
}

// spools links the spools into the temporary folder, each as long as it is now: it
// may grow, be cut behind that length, or be removed while it is copied.
func (t *taken) spools(dir string) ([]part, error) {
	parts, err := list(dir, spoolDir)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		info, err := os.Stat(p.path)
		if err != nil {
			return nil, err
		}
		kept := filepath.Join(t.dir, filepath.Base(p.path))
		if os.Link(p.path, kept) != nil { // not every file system can
			err = duplicate(p.path, kept)
		}
		if err != nil {
			return nil, err
		}
		parts[i].path, parts[i].size = kept, info.Size()
	}
	return parts, nil
}

func duplicate(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// list returns the files of a folder that belong into a backup; no folder is an empty
// one.
func list(dir, sub string) ([]part, error) {
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var parts []part
	for _, e := range entries {
		if name := sub + "/" + e.Name(); isPart(name) {
			parts = append(parts, part{name: name, path: filepath.Join(dir, sub, e.Name()), size: -1})
		}
	}
	return parts, nil
}

// archive is the tar writer.
type archive struct {
	*tar.Writer
	at time.Time
}

func (a archive) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := a.begin(name, int64(len(text))); err != nil {
		return err
	}
	_, err = a.Write(text)
	return err
}

func (a archive) begin(name string, size int64) error {
	return a.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: a.at.UTC(), Format: tar.FormatPAX})
}

// file writes a part and returns what it wrote.
func (a archive) file(ctx context.Context, p part) (File, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	size := info.Size()
	if p.size >= 0 {
		size = p.size
	}
	if err := a.begin(p.name, size); err != nil {
		return File{}, err
	}
	sum := sha256.New()
	n, err := io.CopyN(io.MultiWriter(a, sum), heeding{ctx, f}, size)
	if err != nil {
		return File{}, fmt.Errorf("%s, after %d of %d bytes: %w", p.name, n, size, err)
	}
	return File{p.name, size, hex.EncodeToString(sum.Sum(nil))}, nil
}

// heeding is a reader that ends with its context.
type heeding struct {
	ctx context.Context
	r   io.Reader
}

func (h heeding) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.r.Read(p)
}
