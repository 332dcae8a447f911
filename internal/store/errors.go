package store

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The kinds of failure. Callers test with errors.Is; everything else is a
// mistake of the caller or of this package.
var (
	// ErrFenced says that somebody else has acquired the partition since: stop,
	// and discard what was fetched.
	ErrFenced = errors.New("the partition has a newer owner")
	// ErrTopicRecreated says that the topic is not the one whose offset is
	// stored. An operator chooses where to go on ([Store.ResetPartition]).
	ErrTopicRecreated = errors.New("the topic was recreated")
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrFull says that the disk, or the file's size limit, is exhausted. The
	// transaction was undone; the same call succeeds once there is space.
	ErrFull = errors.New("the store is full")
	// ErrInUse says that another process, or another Store, owns the file.
	ErrInUse = errors.New("the store is in use")
	// ErrNewerSchema says that a newer version of Assay has written the file.
	ErrNewerSchema = errors.New("the store was written by a newer version of Assay")
	// ErrCorrupt says that the file, or the audit chain in it, is damaged, or that
	// the file is not a store at all. Restore it from a backup.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrIO says that reading or writing the disk failed. The process must exit.
	ErrIO = errors.New("the disk of the store failed")
	// ErrClosed says that the Store has been closed.
	ErrClosed = errors.New("the store is closed")
)

// wrap names the operation, and gives an error of SQLite its kind.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if kind := kindOf(err); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("store: %s: %w: %w", op, kind, err)
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

// kindOf returns the kind of an error of SQLite or of the operating system, nil
// where it has none of its own.
func kindOf(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ErrFull
	}
	var sqliteErr *sqlite.Error
	if !errors.As(err, &sqliteErr) {
		return nil
	}
	switch code := sqliteErr.Code(); code {
	case sqlite3.SQLITE_IOERR_SHMSIZE: // the shared memory file could not grow
		return ErrFull
	default:
		switch code & 0xff {
		case sqlite3.SQLITE_FULL:
			return ErrFull
		case sqlite3.SQLITE_IOERR:
			return ErrIO
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return ErrCorrupt
		}
	}
	return nil
}
