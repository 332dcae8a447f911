package store

import (
	"context"
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Change is everything that a second of work has brought: one transaction.
type Change struct {
	Handled     []int64      // inbox rows that are done with
	Parked      []Parked     // inbox rows that wait for their deployment
	Open        []Validation // new validations; one that exists stays as it is
	Update      []Validation // how far open validations have come; see Apply
	Finals      []Final
	Checkpoints []Checkpoint
	DeadLetters []DeadLetter
	Outbox      []OutboxMessage // what is not tied to a final verdict
	Audit       []AuditEntry
	Now         time.Time
}

// Parked keeps an inbox row as an orphan until a time.
type Parked struct {
	InboxID int64
	Until   time.Time
}

// A Final is the final verdict of a validation with everything that is true only
// if this verdict is the one.
type Final struct {
	Validation analysis.ValidationID
	Verdict    []byte // the verdict object as JSON, from now on always these bytes
	Word       string
	Code       string
	VerdictID  string
	Seq        int
	IssuedAt   time.Time
	Outbox     []OutboxMessage
	Audit      AuditEntry
}

// A Checkpoint is a snapshot of the accumulators of a validation and how much of
// its spool they have folded.
type Checkpoint struct {
	Validation        analysis.ValidationID
	SpoolBytes, Looks int64
	Snapshot          []byte
	At                time.Time
}

// Applied says what a change has not changed, because it was so already.
type Applied struct {
	Existing []analysis.ValidationID // of Open: existed, stayed as they were
	Late     []analysis.ValidationID // of Update: final already, stayed as they were
	Lost     []analysis.ValidationID // of Finals: had a final verdict already; theirs was dropped with its outbox and audit
	Finals   []analysis.ValidationID // of Finals: written
}

// Apply makes a change: one transaction, in the order of the fields of Change, so
// that a validation may be opened and ended by one change.
//
// Update sets the deployment (not what it is searched by: release, id, start), the
// phase, the positions, Seq and Poison as they are given; a nil Plan or Latest
// leaves the stored one. Finals are compare-and-set: the first is written, with its
// outbox rows and its audit entry; a later one, also with equal bytes, writes
// nothing and is named in Lost. Checkpoints replace older ones (fewer looks) and
// are kept for final validations too.
//
// Repeating a change has no effect but for Audit, DeadLetters and Update. A row
// that does not exist (an inbox id, a validation to update, end or checkpoint) is
// ErrNotFound, and nothing is written.
func (s *Store) Apply(ctx context.Context, change Change) (Applied, error) {
	var applied Applied
	err := s.write(ctx, "apply", func(tx *tx) error {
		applied = Applied{}
		return tx.apply(change, &applied)
	})
	if err != nil {
		return Applied{}, err
	}
	s.changed(change)
	return applied, nil
}

func (t *tx) apply(c Change, applied *Applied) error {
	for _, id := range c.Handled {
		if err := t.settle(`UPDATE inbox SET handled_at = ?, parked_until = 0 WHERE id = ? AND handled_at = 0`, c.Now, id); err != nil {
			return err
		}
	}
	for _, parked := range c.Parked {
		if err := t.settle(`UPDATE inbox SET parked_until = ? WHERE id = ? AND handled_at = 0`, parked.Until, parked.InboxID); err != nil {
			return err
		}
	}
	for _, v := range c.Open {
		if v.Phase == PhaseFinal {
			return fmt.Errorf("validation %s: a final verdict is written by Finals", v.ID)
		}
		switch opened, err := t.open(v, c.Now); {
		case err != nil:
			return fmt.Errorf("open validation %s: %w", v.ID, err)
		case !opened:
			applied.Existing = append(applied.Existing, v.ID)
		}
	}
	for _, v := range c.Update {
		if v.Phase == PhaseFinal {
			return fmt.Errorf("validation %s: a final verdict is written by Finals", v.ID)
		}
		switch open, err := t.update(v, c.Now); {
		case err != nil:
			return fmt.Errorf("update validation %s: %w", v.ID, err)
		case !open:
			applied.Late = append(applied.Late, v.ID)
		}
	}
	for _, final := range c.Finals {
		switch first, err := t.end(final, c.Now); {
		case err != nil:
			return fmt.Errorf("end validation %s: %w", final.Validation, err)
		case first:
			applied.Finals = append(applied.Finals, final.Validation)
		default:
			applied.Lost = append(applied.Lost, final.Validation)
		}
	}
	for _, checkpoint := range c.Checkpoints {
		if err := t.checkpoint(checkpoint); err != nil {
			return fmt.Errorf("checkpoint validation %s: %w", checkpoint.Validation, err)
		}
	}
	if err := t.bury(c.DeadLetters); err != nil {
		return err
	}
	for _, message := range c.Outbox {
		if err := t.enqueue(message); err != nil {
			return err
		}
	}
	for _, entry := range c.Audit {
		if err := t.audit(entry); err != nil {
			return err
		}
	}
	return nil
}

// settle runs an update of an open inbox row; one that was handled stays so.
func (t *tx) settle(update string, at time.Time, id int64) error {
	if at.IsZero() {
		return fmt.Errorf("inbox row %d: no time is given", id)
	}
	n, err := t.exec(update, nanos(at), id)
	if err == nil && n == 0 {
		err = t.row(`SELECT 1 FROM inbox WHERE id = ?`, []any{id}, new(int))
	}
	if err != nil {
		return fmt.Errorf("inbox row %d: %w", id, err)
	}
	return nil
}

// end writes a final verdict where there is none, and returns whether it did.
func (t *tx) end(f Final, now time.Time) (bool, error) {
	written, err := t.exec(`INSERT INTO final (validation, body, word, code, verdict_id, seq, issued_at)
		SELECT n, ?, ?, ?, ?, ?, ? FROM validation WHERE id = ? ON CONFLICT (validation) DO NOTHING`,
		f.Verdict, f.Word, f.Code, f.VerdictID, f.Seq, nanos(f.IssuedAt), string(f.Validation))
	if err != nil {
		return false, err
	}
	if written == 0 {
		return false, t.exists(f.Validation)
	}
	if _, err := t.exec(`UPDATE validation SET phase = 'final', seq = ?, updated_at = ? WHERE id = ?`, f.Seq, nanos(now), string(f.Validation)); err != nil {
		return false, err
	}
	if _, err := t.exec(`DELETE FROM latest WHERE validation = (SELECT n FROM validation WHERE id = ?)`, string(f.Validation)); err != nil {
		return false, err
	}
	for _, message := range f.Outbox {
		if err := t.enqueue(message); err != nil {
			return false, err
		}
	}
	return true, t.audit(f.Audit)
}

func (t *tx) checkpoint(c Checkpoint) error {
	written, err := t.exec(`INSERT INTO checkpoint (validation, spool_bytes, looks, snapshot, at) SELECT n, ?, ?, ?, ? FROM validation WHERE id = ?
		ON CONFLICT (validation) DO UPDATE SET spool_bytes = excluded.spool_bytes, looks = excluded.looks, snapshot = excluded.snapshot, at = excluded.at WHERE looks <= excluded.looks`,
		c.SpoolBytes, c.Looks, c.Snapshot, nanos(c.At), string(c.Validation))
	if err != nil || written > 0 {
		return err
	}
	return t.exists(c.Validation)
}

// Checkpoint returns the newest checkpoint of a validation, or ErrNotFound.
func (s *Store) Checkpoint(ctx context.Context, id analysis.ValidationID) (Checkpoint, error) {
	c := Checkpoint{Validation: id}
	var at int64
	err := s.reading.QueryRowContext(ctx, `SELECT c.spool_bytes, c.looks, c.snapshot, c.at FROM checkpoint c JOIN validation v ON v.n = c.validation WHERE v.id = ?`, string(id)).
		Scan(&c.SpoolBytes, &c.Looks, &c.Snapshot, &at)
	if err != nil {
		return Checkpoint{}, wrap("checkpoint of "+string(id), found(err))
	}
	c.At = instant(at)
	return c, nil
}
