package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// A tx is a write transaction. There is one at a time, it sees everything that
// was committed before, and it is over in milliseconds: it does not end when the
// context of its caller does, so that its outcome is never in doubt.
type tx struct {
	ctx   context.Context
	store *Store
}

// write runs do in one transaction: all of it is on the disk when write returns
// nil, none of it otherwise. Where the disk is full it gives up the reserve and tries
// once more: do may run twice.
func (s *Store) write(ctx context.Context, op string, do func(*tx) error) error {
	if err := s.take(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.give()
	err := s.attempt(ctx, op, do)
	if !errors.Is(err, ErrFull) {
		return err
	}
	if spent, failed := s.spend(); failed != nil || !spent {
		return errors.Join(err, failed)
	}
	return s.attempt(ctx, op, do)
}

// writeEvents is write for what is not yet promised to anybody: it leaves the reserve
// alone, and while the store is full it does not even try.
func (s *Store) writeEvents(ctx context.Context, op string, do func(*tx) error) error {
	if err := s.take(ctx); err != nil {
		return wrap(op, err)
	}
	defer s.give()
	if s.Full() {
		switch regained, err := s.regain(); {
		case err != nil:
			return wrap(op, err)
		case !regained:
			return wrap(op, fmt.Errorf("%w: no events are taken until there is space", ErrFull))
		}
	}
	return s.attempt(ctx, op, do)
}

// attempt is one try at a transaction, by whoever has the turn.
func (s *Store) attempt(ctx context.Context, op string, do func(*tx) error) error {
	err := wrap(op, (&tx{ctx: context.WithoutCancel(ctx), store: s}).run(do))
	switch {
	case errors.Is(err, ErrIO):
		s.broken = err
	case errors.Is(err, ErrFull):
		s.full.Store(true)
	}
	return err
}

func (t *tx) run(do func(*tx) error) (err error) {
	if _, err := t.exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	done := false
	defer func() {
		if done {
			return
		}
		// SQLite has undone the transaction by itself after some errors; then this
		// fails and nothing is lost.
		_, _ = t.exec(`ROLLBACK`)
	}()
	if err := do(t); err != nil {
		return err
	}
	if _, err := t.exec(`COMMIT`); err != nil {
		return err
	}
	done = true
	return nil
}

// take waits for the writer's turn.
func (s *Store) take(ctx context.Context) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case s.closed:
		s.give()
		return ErrClosed
	case s.broken != nil:
		err := s.broken
		s.give()
		return fmt.Errorf("no further writes: %w", err)
	}
	return nil
}

func (s *Store) give() { s.turn <- struct{}{} }

// prepared returns the statement for a query, compiled the first time.
func (t *tx) prepared(query string) (*sql.Stmt, error) {
	if statement, ok := t.store.statements[query]; ok {
		return statement, nil
	}
	statement, err := t.store.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, err
	}
	t.store.statements[query] = statement
	return statement, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	statement, err := t.prepared(query)
	if err != nil {
		return 0, err
	}
	result, err := statement.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert runs a statement that adds one row at most and returns the row's id, 0
// where there was one already.
func (t *tx) insert(query string, args ...any) (int64, error) {
	statement, err := t.prepared(query)
	if err != nil {
		return 0, err
	}
	result, err := statement.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	return result.LastInsertId()
}

// row reads the one row of a query into dest; ErrNotFound where there is none.
func (t *tx) row(query string, args []any, dest ...any) error {
	statement, err := t.prepared(query)
	if err != nil {
		return err
	}
	return found(statement.QueryRowContext(t.ctx, args...).Scan(dest...))
}

// found turns "no rows" into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// A scanner is one row: *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// list reads all rows of a query.
func list[T any](ctx context.Context, db *sql.DB, read func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// nanos is how an instant is kept: nanoseconds since the epoch, 0 for none,
// clamped where they do not fit.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// instant is the inverse of nanos, in UTC.
func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// A Header is one header of a Kafka record or of an HTTP request. Its value may
// be any bytes.
type Header struct {
	Key   string `json:"k"`
	Value []byte `json:"v"`
}

func encodeHeaders(headers []Header) (string, error) {
	if len(headers) == 0 {
		return "", nil
	}
	b, err := json.Marshal(headers)
	return string(b), err
}

// decode reads what this package has encoded as JSON; failing is damage.
func decode(text string, into any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}
