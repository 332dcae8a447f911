package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// audited returns a store with a log of n entries.
func audited(t testing.TB, n int) *Store {
	s := openTest(t)
	change := Change{Now: t0}
	for i := range n - 1 { // the first is that the store was created
		change.Audit = append(change.Audit, AuditEntry{
			At: t0.Add(time.Duration(i) * time.Second), Actor: fmt.Sprint("actor ", i%3), Action: "approved", Subject: fmt.Sprint("change ", i), Body: fmt.Appendf(nil, `{"i":%d}`, i),
		})
	}
	apply(t, s, change)
	return s
}

// disarm does what whoever can write to the file can do.
var disarm = []string{`DROP TRIGGER audit_is_append_only`, `DROP TRIGGER audit_is_kept`}

func TestAuditIsAChain(t *testing.T) {
	s := audited(t, 10)
	entries, err := s.Audit(t.Context(), 3, 2)
	if err != nil || len(entries) != 2 || entries[0].Seq != 4 || entries[0].Subject != "change 2" || entries[1].PrevHash != entries[0].Hash || !entries[0].At.Equal(t0.Add(2*time.Second)) {
		t.Errorf("entries: %+v, %v", entries, err)
	}
	head, err := s.AuditHead(t.Context())
	if err != nil || head.Seq != 10 {
		t.Errorf("head: %+v, %v", head, err)
	}
	if err := s.VerifyAudit(t.Context(), head, AuditMark{4, entries[0].Hash}); err != nil {
		t.Error(err)
	}
	// The hash is fixed for ever: marks that were published must stay provable.
	first := AuditEntry{Seq: 1, At: t0, Actor: "assay", Action: "store_created", Subject: "store"}
	const want = "9a24d6fabed382db1819a13d82cabe4fbd99cb8466f3dd96310d9336aa87698c" // from a dozen lines of Python
	if got := first.sum(""); got != want {
		t.Errorf("hash of the first entry is %s, want %s", got, want)
	}
	if all, err := s.Audit(t.Context(), 0, 1); err != nil || all[0].Hash != want {
		t.Errorf("first entry: %+v, %v", all, err)
	}
	// Texts that SQLite would not give back as they were.
	apply(t, s, Change{Audit: []AuditEntry{{At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Actor: "a\xffb", Action: "c\x00d", Subject: "\u202e", Body: []byte{0, 0xff}}}})
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	for _, statement := range []string{`UPDATE audit SET actor = 'x'`, `DELETE FROM audit`} {
		if _, err := s.conn.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: allowed", statement)
		}
	}
}

func TestTamperedAuditIsFound(t *testing.T) {
	const entries = 20
	for name, test := range map[string]struct {
		tamper []string
		want   int64 // the first bad entry
	}{
		"actor":             {[]string{`UPDATE audit SET actor = 'somebody else' WHERE seq = 7`}, 7},
		"instant":           {[]string{`UPDATE audit SET at = at + 1 WHERE seq = 20`}, 20},
		"moved between":     {[]string{`UPDATE audit SET actor = actor || 'a', action = substr(action, 2) WHERE seq = 7`}, 7},
		"hash":              {[]string{`UPDATE audit SET hash = prev_hash WHERE seq = 7`}, 7},
		"link":              {[]string{`UPDATE audit SET prev_hash = hash WHERE seq = 7`}, 7},
		"first":             {[]string{`DELETE FROM audit WHERE seq = 1`}, 1},
		"middle":            {[]string{`DELETE FROM audit WHERE seq = 7`}, 7},
		"middle, closed up": {[]string{`DELETE FROM audit WHERE seq = 7`, `UPDATE audit SET seq = -seq WHERE seq > 7`, `UPDATE audit SET seq = -seq - 1 WHERE seq < 0`}, 7},
		"two exchanged":     {[]string{`UPDATE audit SET seq = -8 WHERE seq = 7`, `UPDATE audit SET seq = 7 WHERE seq = 8`, `UPDATE audit SET seq = 8 WHERE seq = -8`}, 7},
		"tail":              {[]string{`DELETE FROM audit WHERE seq > 15`}, 16},
		"everything":        {[]string{`DELETE FROM audit`}, 1},
		"inserted":          {[]string{`UPDATE audit SET seq = -seq WHERE seq >= 7`, `INSERT INTO audit SELECT 7, at, actor, action, subject, body, prev_hash, hash FROM audit WHERE seq = 6`, `UPDATE audit SET seq = 1 - seq WHERE seq < 0`}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			s := audited(t, entries)
			head, err := s.AuditHead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.tamper(t, append(disarm, test.tamper...)...)
			err = s.VerifyAudit(t.Context(), head)
			var bad *AuditError
			if !errors.As(err, &bad) || bad.Seq != test.want || !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want entry %d", err, test.want)
			}
		})
	}
}

func TestRewrittenAuditNeedsAMark(t *testing.T) {
	s := audited(t, 5)
	mark, err := s.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Cut the tail and write it anew, as one who has this program could.
	s.tamper(t, append(disarm, `DELETE FROM audit WHERE seq > 3`)...)
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Errorf("without a mark a shorter log is a log: %v", err)
	}
	apply(t, s, Change{Audit: []AuditEntry{{At: t0, Actor: "forger"}, {At: t0, Actor: "forger"}}})
	err = s.VerifyAudit(t.Context(), mark)
	var bad *AuditError
	if !errors.As(err, &bad) || bad.Seq != 5 {
		t.Errorf("got %v, want entry 5", err)
	}
	s.tamper(t, `DELETE FROM audit`)
	if err := s.VerifyAudit(t.Context()); !errors.As(err, &bad) || bad.Seq != 1 {
		t.Errorf("an empty log: got %v, want entry 1", err)
	}
	if err := s.VerifyAudit(t.Context(), AuditMark{2, "x"}, AuditMark{2, "y"}); !errors.As(err, &bad) || bad.Seq != 2 {
		t.Errorf("two marks of one entry: %v", err)
	}
}

// TestEveryFlippedByteIsFound flips one bit of one column of one entry, at random.
func TestEveryFlippedByteIsFound(t *testing.T) {
	s := audited(t, 12)
	s.tamper(t, disarm...)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		seq := 1 + rng.Int64N(12)
		before, err := s.Audit(t.Context(), seq-1, 1)
		if err != nil {
			t.Fatal(err)
		}
		e := before[0]
		flip := func(b []byte) []byte {
			if len(b) == 0 {
				return []byte{'x'}
			}
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(7) // 7: it stays a text
			return b
		}
		column := []string{"at", "actor", "action", "subject", "body", "prev_hash", "hash"}[rng.IntN(7)]
		var value any
		switch column {
		case "at":
			value = nanos(e.At) ^ 1<<rng.IntN(60)
		case "actor":
			value = string(flip([]byte(e.Actor)))
		case "action":
			value = string(flip([]byte(e.Action)))
		case "subject":
			value = string(flip([]byte(e.Subject)))
		case "body":
			value = flip([]byte(string(e.Body)))
		case "prev_hash":
			value = string(flip([]byte(e.PrevHash)))
		case "hash":
			value = string(flip([]byte(e.Hash)))
		}
		set := func(value any) {
			if _, err := s.conn.ExecContext(t.Context(), `UPDATE audit SET `+column+` = ? WHERE seq = ?`, value, seq); err != nil {
				t.Fatal(err)
			}
		}
		set(value)
		var bad *AuditError
		if err := s.VerifyAudit(t.Context()); !errors.As(err, &bad) || bad.Seq != seq {
			t.Fatalf("entry %d, %s: %v", seq, column, err)
		}
		set(map[string]any{"at": nanos(e.At), "actor": e.Actor, "action": e.Action, "subject": e.Subject, "body": append([]byte{}, before[0].Body...), "prev_hash": e.PrevHash, "hash": e.Hash}[column])
		if again, err := s.Audit(t.Context(), seq-1, 1); err != nil || !reflect.DeepEqual(again, before) {
			t.Fatalf("not restored: %+v, %v", again, err)
		}
	}
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}
