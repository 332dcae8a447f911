package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/release-assay/assay/internal/fuzztest"
)

// FuzzDatabase opens files of which some bytes are others: it is refused with a kind,
// or can be read from beginning to end without a panic, and what is read of events,
// plans and verdicts is decoded or said to be damaged.
func FuzzDatabase(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "assay.db")
	s, err := Open(f.Context(), path, t0)
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		d := checkout(fmt.Sprint(i), i)
		v := opening(d)
		v.Plan, v.Latest = []byte(`{"schema":"p"}`), []byte(`{"verdict":"pending"}`)
		if _, err := s.Apply(f.Context(), Change{Open: []Validation{v}, Now: t0}); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := s.Apply(f.Context(), Change{Finals: []Final{ending(checkout("1", 1), "promote")}, Now: t0}); err != nil {
		f.Fatal(err)
	}
	if _, err := s.Accept(f.Context(), Batch{Deliveries: []Delivery{delivery(TopicHTTP, 1)}, DeadLetters: []DeadLetter{{Reason: "malformed", At: t0}}, Now: t0}); err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte("SQLite"))
	f.Add(uint32(18), []byte{9})
	f.Add(uint32(24), []byte{0, 0, 0, 9})
	f.Add(uint32(60), []byte{0, 0, 0, 9})
	f.Add(uint32(68), []byte{1})
	f.Add(uint32(96), []byte{0})
	for at := uint32(4096); int(at) < len(whole); at += 4096 {
		f.Add(at, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	}
	damagedPath := filepath.Join(dir, "damaged.db")
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		damaged := bytes.Clone(whole)
		copy(damaged[int(at)%len(damaged):], change)
		for _, suffix := range []string{"-wal", "-shm"} {
			_ = os.Remove(damagedPath + suffix)
		}
		if err := os.WriteFile(damagedPath, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		fuzztest.Within(t, func() { readAll(t, damagedPath) })
	})
}

// readAll opens a store and calls whatever reads.
func readAll(t *testing.T, path string) {
	ctx := t.Context()
	s, err := Open(ctx, path, t0)
	if err != nil {
		return
	}
	defer s.Close()
	rows, err := s.Validations(ctx, Filter{})
	if err == nil {
		for _, row := range rows {
			if _, err := s.Validation(ctx, row.ID); err == nil {
				_, _, _ = s.FinalVerdict(ctx, row.ID)
				_, _ = s.Checkpoint(ctx, row.ID)
			}
		}
	}
	if body, final, err := s.FinalVerdict(ctx, checkout("0", 0).Validation()); err == nil && final && len(body) == 0 {
		t.Fatal("an empty final verdict")
	}
	_, _ = s.OpenValidations(ctx)
	_, _ = s.Unhandled(ctx, 100)
	_, _ = s.Orphans(ctx)
	_, _ = s.DeadLetters(ctx, 100, 0)
	_, _ = s.PendingOutbox(ctx, "kafka", 100)
	_, _ = s.Gaps(ctx)
	_ = s.VerifyAudit(ctx)
	if err := s.IntegrityCheck(ctx); err != nil && !errors.Is(err, ErrCorrupt) && kindOf(err) == nil && ctx.Err() == nil {
		t.Logf("integrity: %v", err)
	}
}

// FuzzColumns reads back rows whose text columns hold anything: an event is as it was
// encoded, or an error.
func FuzzColumns(f *testing.F) {
	d := delivery(TopicHTTP, 1)
	if err := d.Prepare(); err != nil {
		f.Fatal(err)
	}
	f.Add(d.prepared.event, d.prepared.headers, int64(0))
	f.Add("null", "null", int64(-1))
	f.Add("", "[[]]", int64(1)<<62)
	f.Add(`{"startedAt":"10000-01-01T00:00:00Z"}`, `[["k",null]]`, int64(-1)<<63)
	f.Fuzz(func(t *testing.T, event, headers string, at int64) {
		fuzztest.Within(t, func() {
			row := columns{int64(1), "hash", "topic", 0, int64(7), []byte("k"), headers, []byte("raw"), event, at, int64(0), at}
			in, err := scanInbox(row)
			if err != nil {
				return
			}
			if nanos(in.ReceivedAt) != at {
				t.Fatalf("instant %d is read as %v, which is %d", at, in.ReceivedAt, nanos(in.ReceivedAt))
			}
			if in.Event.Source == "" || in.Event.ID == "" {
				return
			}
			if err := in.Delivery.Prepare(); err != nil {
				return // an instant that JSON cannot hold
			}
			again, err := scanInbox(columns{int64(1), "hash", "topic", 0, int64(7), []byte("k"), in.prepared.headers, []byte("raw"), in.prepared.event, at, int64(0), at})
			if err != nil || again.Event.ID != in.Event.ID || len(again.Headers) != len(in.Headers) {
				t.Fatalf("%+v, then %+v, %v", in.Event, again.Event, err)
			}
		})
	})
}

// columns is a row that holds these values.
type columns []any

func (c columns) Scan(dest ...any) error {
	for i, d := range dest {
		switch d := d.(type) {
		case *int64:
			*d = c[i].(int64)
		case *int:
			*d = c[i].(int)
		case *string:
			*d = c[i].(string)
		case *[]byte:
			*d = c[i].([]byte)
		default:
			return fmt.Errorf("column %d is a %T", i, d)
		}
	}
	return nil
}
