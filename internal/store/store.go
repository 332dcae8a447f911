package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

// A Store is one open store file. Its methods may be called concurrently.
type Store struct {
	path    string
	lock    *os.File
	writing *sql.DB // one connection
	conn    *sql.Conn
	reading *sql.DB

	turn chan struct{} // holds one token; whoever has it owns what follows
	// statements are prepared on conn once, by their text.
	statements map[string]*sql.Stmt
	broken     error // set by ErrIO: no further writes
	forward    func(DeadLetter) OutboxMessage
	news       news
	closed     bool
	reserve    reserve
	full       atomic.Bool // a write found no space, and none was found since
}

// readers is how many reads run at a time; more wait.
const readers = 4

// Open opens the store at path, creating it and its directory where they do not
// exist, and migrates it to the schema of this program. It refuses with ErrInUse,
// ErrNewerSchema or ErrCorrupt. The pages of the file are not read through:
// IntegrityCheck does that. Where the audit log is still empty it begins with an
// entry that the store was created, at now.
func Open(ctx context.Context, path string, now time.Time) (*Store, error) {
	s, err := open(ctx, path, now)
	if err != nil {
		return nil, wrap("open "+path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, now time.Time) (_ *Store, err error) {
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, turn: make(chan struct{}, 1), statements: map[string]*sql.Stmt{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if s.lock, err = lockFile(path); err != nil {
		return nil, err
	}
	if err = create(path); err != nil {
		return nil, err
	}
	if s.writing, err = sql.Open("sqlite", address(path, "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-32768)", "journal_size_limit(67108864)")); err != nil {
		return nil, err
	}
	s.writing.SetMaxOpenConns(1)
	s.writing.SetMaxIdleConns(1)
	if err = migrate(ctx, s.writing); err != nil {
		return nil, err
	}
	if s.conn, err = s.writing.Conn(ctx); err != nil {
		return nil, err
	}
	if s.reading, err = sql.Open("sqlite", address(path, "query_only(1)")); err != nil {
		return nil, err
	}
	s.reading.SetMaxOpenConns(readers)
	s.reading.SetMaxIdleConns(readers)
	if err = s.reading.PingContext(ctx); err != nil {
		return nil, err
	}
	s.turn <- struct{}{}
	return s, s.begin(ctx, now)
}

// create makes the file, before SQLite would make it readable by all (the WAL
// inherits its mode), and its name in the directory durable.
func create(path string) error {
	for _, file := range []struct {
		name string
		flag int
	}{{path, os.O_RDWR | os.O_CREATE}, {filepath.Dir(path), os.O_RDONLY}} {
		f, err := os.OpenFile(file.name, file.flag, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// begin writes the first entry of the audit log, once.
func (s *Store) begin(ctx context.Context, now time.Time) error {
	return s.write(ctx, "begin", func(tx *tx) error {
		head, err := tx.auditHead()
		if err != nil || head.Seq > 0 {
			return err
		}
		return tx.audit(AuditEntry{At: now, Actor: "assay", Action: "store_created", Subject: "store"})
	})
}

// resolve returns the path without symbolic links, so that a file has one lock
// whatever it is called, and makes its directory.
func resolve(path string) (string, error) {
	if path == "" {
		return "", errors.New("a store needs the path of a file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// address is the name under which the driver opens path, with what every
// connection is told first.
func address(path string, pragmas ...string) string {
	query := url.Values{"_pragma": append([]string{
		"busy_timeout(10000)", "foreign_keys(1)", "trusted_schema(0)", "cell_size_check(1)", "temp_store(MEMORY)",
	}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// Close waits for the write under way, closes the file and releases its lock. A
// second Close does nothing.
func (s *Store) Close() error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if s.closed {
		return nil
	}
	s.closed = true
	return wrap("close", s.release())
}

// release gives back whatever was opened. The writer is last to close, because
// the last connection folds the WAL into the file; the lock goes after it.
func (s *Store) release() error {
	var errs []error
	if s.reading != nil {
		errs = append(errs, s.reading.Close())
	}
	for _, statement := range s.statements {
		errs = append(errs, statement.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.writing != nil {
		errs = append(errs, s.writing.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Path is where the store is, without symbolic links.
func (s *Store) Path() string { return s.path }

// Ping reports whether the store can be read and takes events: ErrFull while it is
// full, ErrIO once it refuses all writes.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.reading.QueryRowContext(ctx, `SELECT 1 FROM partition_lease LIMIT 1`).Scan(new(int)); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return wrap("ping", err)
	}
	if err := s.take(ctx); err != nil {
		return wrap("ping", err)
	}
	s.give()
	if s.Full() {
		return wrap("ping", ErrFull)
	}
	return nil
}

// IntegrityCheck reads every page and index of the file and every link between
// tables, which takes about a second for each 100 MB. Damage is ErrCorrupt.
func (s *Store) IntegrityCheck(ctx context.Context) error {
	for _, check := range []string{`PRAGMA integrity_check(10)`, `SELECT 'row ' || rowid || ' of ' || "table" || ' refers to nothing' FROM pragma_foreign_key_check`} {
		problems, err := list(ctx, s.reading, func(row scanner) (problem string, err error) {
			return problem, row.Scan(&problem)
		}, check)
		if err != nil {
			return wrap("check integrity", err)
		}
		if len(problems) > 0 && problems[0] != "ok" {
			return wrap("check integrity", fmt.Errorf("%w: %q", ErrCorrupt, problems))
		}
	}
	return nil
}
