package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// A copy is the store at the instant of the snapshot, whatever is written meanwhile.
func TestSnapshotIsOneInstant(t *testing.T) {
	s := openTest(t)
	lease := acquire(t, s, "a")
	accept(t, s, Batch{Lease: &lease, NextOffset: 1, Deliveries: []Delivery{delivery("deployments", 0)}})
	shot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for offset := int64(1); offset < 500; offset++ {
		accept(t, s, Batch{Lease: &lease, NextOffset: offset + 1, Deliveries: []Delivery{delivery("deployments", offset)}})
	}
	apply(t, s, Change{Audit: []AuditEntry{{At: t0, Actor: "a", Action: "b", Subject: "c"}}})
	path := filepath.Join(t.TempDir(), "a dir%?#&", "copy.db")
	if err := shot.CopyTo(t.Context(), path); err == nil {
		t.Error("copied into a directory that does not exist")
	}
	path = filepath.Join(t.TempDir(), "50%?#&.db")
	if err := shot.CopyTo(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := shot.Close(); err != nil {
		t.Error(err)
	}
	c := openAt(t, path)
	if n := c.number(t, `SELECT count(*) FROM inbox`); n != 1 {
		t.Errorf("%d events in the copy, want the one from before", n)
	}
	if err := errors.Join(c.IntegrityCheck(t.Context()), c.VerifyAudit(t.Context(), shot.Audit)); err != nil {
		t.Error(err)
	}
	if head, err := c.AuditHead(t.Context()); err != nil || head != shot.Audit {
		t.Errorf("the copy's log ends with %+v, %v, want %+v", head, err, shot.Audit)
	}
	if n := s.number(t, `SELECT count(*) FROM inbox`); n != 500 {
		t.Errorf("%d events in the store", n)
	}
}

func TestSnapshotEndsWithItsContext(t *testing.T) {
	s := openTest(t)
	shot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer shot.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := shot.CopyTo(ctx, filepath.Join(t.TempDir(), "copy.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := s.Snapshot(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRestoredFencesAndForgets(t *testing.T) {
	s := openTest(t)
	old := acquire(t, s, "a")
	accept(t, s, Batch{Lease: &old, NextOffset: 5})
	for _, forget := range []bool{false, true} {
		entry := AuditEntry{At: t0, Actor: "ada", Action: "store.restored", Subject: "store"}
		if err := s.Restored(t.Context(), Restored{ForgetOffsets: forget, Audit: entry, Now: t0}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Accept(t.Context(), Batch{Lease: &old, NextOffset: 6, Now: t0}); !errors.Is(err, ErrFenced) {
			t.Errorf("a process from before: %v", err)
		}
		old = acquire(t, s, "a")
		if old.Known == forget || !forget && old.NextOffset != 5 {
			t.Errorf("forget %v: %+v", forget, old)
		}
	}
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}
