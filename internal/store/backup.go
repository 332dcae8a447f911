package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
)

// A Snapshot is the store as it was at one instant. Writers go on beside it; what
// they write is kept apart until it is closed, so it is not kept for long.
type Snapshot struct {
	Audit AuditMark // the newest entry of the audit log, to prove a copy by

	db   *sql.DB
	conn *sql.Conn
}

// Snapshot returns the store as it is now. Close it.
func (s *Store) Snapshot(ctx context.Context) (_ *Snapshot, err error) {
	db, err := sql.Open("sqlite", address(s.path, "query_only(1)"))
	if err != nil {
		return nil, wrap("snapshot", err)
	}
	shot := &Snapshot{db: db}
	defer func() {
		if err != nil {
			err = errors.Join(wrap("snapshot", err), shot.Close())
		}
	}()
	if shot.conn, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	// The first read after BEGIN is the instant.
	if _, err = shot.conn.ExecContext(ctx, `BEGIN`); err != nil {
		return nil, err
	}
	return shot, shot.conn.QueryRowContext(ctx, selectHead).Scan(&shot.Audit.Seq, &shot.Audit.Hash)
}

// pagesAtOnce is how many pages are copied before ctx is looked at.
const pagesAtOnce = 1000

// CopyTo writes the snapshot to a new file, which may be opened as a store. A file
// that was not written to its end is of no use: remove it.
func (p *Snapshot) CopyTo(ctx context.Context, path string) error {
	return wrap("copy", p.conn.Raw(func(raw any) error {
		source, ok := raw.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver %T cannot copy a database", raw)
		}
		copying, err := source.NewBackup(address(path, "synchronous(OFF)", "journal_mode(OFF)"))
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			if err = ctx.Err(); err == nil {
				more, err = copying.Step(pagesAtOnce)
			}
		}
		return errors.Join(err, copying.Finish())
	}))
}

// Close lets go of the snapshot.
func (p *Snapshot) Close() error {
	var err error
	if p.conn != nil {
		err = p.conn.Close()
	}
	return errors.Join(err, p.db.Close()) // which ends the transaction too
}

// A Restored says that a store was restored from a backup.
type Restored struct {
	// ForgetOffsets is for a log of events that was not restored with the store: it
	// begins anew, and so does the reading of it.
	ForgetOffsets bool
	Audit         AuditEntry
	Now           time.Time
}

// Restored fences every process that knew the store before it was restored, and
// records who restored it: one transaction.
func (s *Store) Restored(ctx context.Context, r Restored) error {
	return s.write(ctx, "restored", func(tx *tx) error {
		_, err := tx.exec(`UPDATE partition_lease SET epoch = epoch + 1, owner = '', updated_at = ?1, next_offset = CASE WHEN ?2 THEN NULL ELSE next_offset END`,
			nanos(r.Now), r.ForgetOffsets)
		if err != nil {
			return err
		}
		return tx.audit(r.Audit)
	})
}
