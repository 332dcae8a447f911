package validation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// spools keeps one append-only file of look lines per open validation. A look is
// appended before it is folded, and the file is synced before the final
// transaction; after the bundle is sealed the file is removed.
type spools struct{ dir string }

func openSpools(dir string) (spools, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return spools{}, fmt.Errorf("spool: %w", err)
	}
	return spools{dir}, nil
}

const spoolSuffix = ".jsonl"

func (s spools) path(id analysis.ValidationID) string {
	return filepath.Join(s.dir, string(id)+spoolSuffix)
}

// append writes one line and its line end at the given offset, the length of what
// was accepted before. Whatever a failed write left behind it is cut off.
func (s spools) append(id analysis.ValidationID, offset int64, line []byte) error {
	f, err := os.OpenFile(s.path(id), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return diskError(err)
	}
	err = cut(f, offset)
	if err == nil {
		_, err = f.WriteAt(append(bytes.Clone(line), '\n'), offset)
	}
	return diskError(errors.Join(err, f.Close()))
}

// truncate cuts the spool to the given length.
func (s spools) truncate(id analysis.ValidationID, length int64) error {
	f, err := os.OpenFile(s.path(id), os.O_RDWR, 0)
	if err != nil {
		return diskError(err)
	}
	return diskError(errors.Join(cut(f, length), f.Close()))
}

// cut takes off what is behind length, for good before anything is written there: a
// loss of power must leave zeros where a look did not come, never parts of another.
func cut(f *os.File, length int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() <= length {
		return err
	}
	if err := f.Truncate(length); err != nil {
		return err
	}
	return synced(f)
}

// sync makes everything appended so far durable.
func (s spools) sync(id analysis.ValidationID) error {
	f, err := os.OpenFile(s.path(id), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return diskError(errors.Join(synced(f), f.Close()))
}

// synced makes a file durable. The kernel forgets what it could not write: to try
// again proves nothing.
func synced(f *os.File) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrIO, err)
	}
	return nil
}

// syncsAtOnce is how many spools are synced at a time. A file system writes what is
// asked for at once together: ten thousand spools in the time of a few hundred.
const syncsAtOnce = 32

// syncAll makes everything durable that was appended to the spools of these.
func (s spools) syncAll(all []*run) error {
	errs := make([]error, min(len(all), syncsAtOnce))
	var syncing sync.WaitGroup
	for k := range errs {
		syncing.Go(func() {
			for i := k; i < len(all) && errs[k] == nil; i += len(errs) {
				errs[k] = s.sync(all[i].row.ID)
			}
		})
	}
	syncing.Wait()
	return errors.Join(errs...)
}

// diskError gives a failure its kind, as the store does: a disk that is full is waited
// for, one that fails ends the process.
func diskError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrIO): // an fsync, whatever its reason
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		err = fmt.Errorf("%w: %w", store.ErrFull, err)
	case errors.Is(err, syscall.EIO):
		err = fmt.Errorf("%w: %w", store.ErrIO, err)
	}
	return fmt.Errorf("spool: %w", err)
}

// badLook is a spooled line that cannot be looked at, and where it begins.
type badLook struct {
	at  int64
	err error
}

func (b *badLook) Error() string { return fmt.Sprintf("spool, byte %d: %v", b.at, b.err) }
func (b *badLook) Unwrap() error { return b.err }

// replay hands every complete line from the byte offset on to look, and cuts off what
// is torn: a last line without its end, and everything from a line on that holds zero
// bytes. Those are what a loss of power leaves of looks that were not synced; there are
// none in JSON. It returns the file's length. No file is an empty one. An error of look
// is a *badLook, every other one of the disk.
func (s spools) replay(id analysis.ValidationID, from int64, look func(line []byte) error) (int64, error) {
	f, err := os.OpenFile(s.path(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return 0, fmt.Errorf("spool: %w", err)
	}
	r := bufio.NewReaderSize(f, 64<<10)
	at := from
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) || err == nil && bytes.IndexByte(line, 0) >= 0 {
			return at, diskError(cut(f, at))
		}
		if err != nil {
			return at, fmt.Errorf("spool: %w", err)
		}
		if err := look(bytes.TrimSuffix(line, []byte{'\n'})); err != nil {
			return at, &badLook{at, err}
		}
		at += int64(len(line))
	}
}

// open returns the spool for reading; nil where no look was spooled.
func (s spools) open(id analysis.ValidationID) (*os.File, error) {
	f, err := os.Open(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return f, nil
}

func (s spools) size(id analysis.ValidationID) int64 {
	info, err := os.Stat(s.path(id))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s spools) remove(id analysis.ValidationID) error {
	for _, path := range []string{s.path(id) + exemplarSuffix, s.path(id)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ids lists the validations that have a spool.
func (s spools) ids() ([]analysis.ValidationID, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var out []analysis.ValidationID
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), spoolSuffix); ok {
			out = append(out, analysis.ValidationID(name))
		}
	}
	return out, nil
}
