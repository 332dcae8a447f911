package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"modernc.org/sqlite"
)

// fillUp takes events until the store refuses, and returns how many it took.
func fillUp(t *testing.T, s *Store) int {
	t.Helper()
	big := make([]byte, 64<<10)
	for i := range 10_000 {
		d := delivery(TopicHTTP, int64(i))
		d.Raw = big
		switch _, err := s.Accept(t.Context(), Batch{Deliveries: []Delivery{d}, Now: t0}); {
		case errors.Is(err, ErrFull):
			t.Logf("after %d events: %v", i, err)
			return i
		case err != nil:
			t.Fatalf("after %d events: %v, want ErrFull", i, err)
		}
	}
	t.Fatal("the store never was full")
	return 0
}

// checkFull checks a store that took n events and was then full: nothing of the
// refused one is there, and everything can be read.
func checkFull(t *testing.T, s *Store, n int) {
	t.Helper()
	if rows, err := s.Unhandled(t.Context(), 10_000); err != nil || len(rows) != n {
		t.Errorf("%d events can be read, %v, want %d", len(rows), err, n)
	}
	if err := errors.Join(s.IntegrityCheck(t.Context()), s.VerifyAudit(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestFullStoreRefusesAndRecovers(t *testing.T) {
	s := openTest(t)
	s.tamper(t, fmt.Sprintf(`PRAGMA max_page_count = %d`, s.number(t, `SELECT page_count FROM pragma_page_count`)+200))
	n := fillUp(t, s)
	checkFull(t, s, n)
	if err := s.Ping(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("Ping = %v, want ErrFull", err)
	}
	s.tamper(t, `PRAGMA max_page_count = 1000000`)
	accept(t, s, Batch{Deliveries: []Delivery{delivery(TopicHTTP, int64(n))}})
	checkFull(t, s, n+1)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBrokenDiskStopsWriting(t *testing.T) {
	s := openTest(t)
	failure := fmt.Errorf("fsync: %w", ErrIO)
	if err := s.write(t.Context(), "test", func(*tx) error { return failure }); !errors.Is(err, ErrIO) {
		t.Errorf("got %v, want ErrIO", err)
	}
	if _, err := s.Apply(t.Context(), Change{Now: t0}); !errors.Is(err, ErrIO) {
		t.Errorf("a write after a failed fsync got %v, want ErrIO", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, ErrIO) {
		t.Errorf("Ping = %v, want ErrIO", err)
	}
	if _, err := s.OpenValidations(t.Context()); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestKindsOfErrors(t *testing.T) {
	s := openTest(t)
	_, err := s.conn.ExecContext(t.Context(), `INSERT INTO plan VALUES (99, x'00')`) // refers to nothing
	var sqliteErr *sqlite.Error
	if !errors.As(err, &sqliteErr) {
		t.Fatalf("a constraint gave %v", err)
	}
	for _, test := range []struct{ err, want error }{
		{err, nil},
		{syscall.ENOSPC, ErrFull},
		{&os.PathError{Op: "write", Err: syscall.EDQUOT}, ErrFull},
		{errors.New("disk full"), nil}, // kinds are not read from texts
	} {
		if got := kindOf(test.err); got != test.want {
			t.Errorf("kind of %v is %v, want %v", test.err, got, test.want)
		}
	}
	if err := wrap("x", nil); err != nil {
		t.Errorf("wrap(nil) = %v", err)
	}
}
