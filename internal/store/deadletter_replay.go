package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The outcomes of a replay. A letter whose event was accepted, was there already or
// says nothing of deployments is settled: to replay it again changes nothing.
// One that was refused may be tried again.
const (
	ReplayAccepted  = "accepted"
	ReplayDuplicate = "duplicate"
	ReplayIgnored   = "ignored"
	OutcomeRefused  = "refused"
)

// Replayed is what became of the last replay of a dead letter. The letter itself
// stays as it is.
type Replayed struct {
	Outcome string    // one of the words above; empty: never replayed
	Error   string    // why it was refused, its reason first
	At      time.Time // zero: never
	Times   int
}

// Settled reports whether another replay would change nothing.
func (r Replayed) Settled() bool { return r.Outcome != "" && r.Outcome != OutcomeRefused }

// A Replay takes a dead letter up again.
type Replay struct {
	Letter   int64
	Delivery *Delivery // what it says, if it can be understood now
	Ignored  bool      // it is understood and says nothing of deployments
	Reason   string    // why it is refused again, without a Delivery
	Error    string
	By       string // who asked, for the audit log
	Now      time.Time
}

// ReplayDeadLetter accepts the event of a dead letter as [Store.Accept] would,
// writes down at the letter what became of it, and adds an audit entry: one
// transaction. An event that the line itself had refused (an orphan, an instant out
// of range) is in the inbox already; its row is opened again. A letter that is
// settled is returned as it is. ErrNotFound where there is no such letter.
func (s *Store) ReplayDeadLetter(ctx context.Context, r Replay) (DeadLetter, error) {
	var row encoded
	if r.Delivery != nil {
		rows, err := encodeDeliveries([]Delivery{*r.Delivery})
		if err != nil {
			return DeadLetter{}, wrap("replay dead letter", err)
		}
		row = rows[0]
	}
	var letter DeadLetter
	err := s.writeEvents(ctx, "replay dead letter", func(tx *tx) (err error) {
		if letter, err = tx.letter(r.Letter); err != nil || letter.Replay.Settled() {
			return err
		}
		if letter.Replay, err = tx.replay(letter, r, row); err != nil {
			return err
		}
		return tx.replayed(letter, r.By)
	})
	if err != nil {
		return DeadLetter{}, err
	}
	return letter, nil
}

func (t *tx) letter(id int64) (DeadLetter, error) {
	statement, err := t.prepared(`SELECT ` + letterColumns + `WHERE id = ?`)
	if err != nil {
		return DeadLetter{}, err
	}
	letter, err := scanLetter(statement.QueryRowContext(t.ctx, id))
	return letter, found(err)
}

func (t *tx) replay(letter DeadLetter, r Replay, row encoded) (Replayed, error) {
	out := Replayed{At: r.Now, Times: letter.Replay.Times + 1}
	switch {
	case r.Ignored:
		out.Outcome = ReplayIgnored
		return out, nil
	case r.Delivery == nil:
		out.Outcome, out.Error = OutcomeRefused, r.Reason+": "+r.Error
		return out, nil
	}
	id, conflict, err := t.receive(*r.Delivery, row, r.Now)
	switch {
	case err != nil:
		return out, err
	case conflict != nil: // this letter is kept; a second one would say nothing new
		out.Outcome, out.Error = OutcomeRefused, conflict.Reason+": "+conflict.Error
	case id > 0:
		out.Outcome = ReplayAccepted
	default:
		reopened, err := t.reopen(-id, letter, *r.Delivery, row)
		if err != nil {
			return out, err
		}
		if out.Outcome = ReplayDuplicate; reopened {
			out.Outcome = ReplayAccepted
		}
	}
	return out, nil
}

// reopen hands the inbox row that a letter was made of to the line again, and
// returns whether there was one. The letter has the place of its row; a conflict, or
// a letter of intake, never was a row.
func (t *tx) reopen(id int64, letter DeadLetter, d Delivery, row encoded) (bool, error) {
	if letter.Reason == ReasonConflict || letter.EventID != d.Event.ID || letter.EventSource != d.Event.Source {
		return false, nil
	}
	// The content is written again: retention may have taken it.
	n, err := t.exec(`UPDATE inbox SET handled_at = 0, parked_until = 0, key = ?, headers = ?, raw = ?, event = ?
		WHERE id = ? AND handled_at > 0 AND topic = ? AND partition = ? AND offset = ?
		AND NOT EXISTS (SELECT 1 FROM validation WHERE inbox = ?)`,
		d.Key, row.headers, d.Raw, row.event, id, letter.Topic, letter.Partition, letter.Offset, id)
	return n == 1, err
}

// replayed writes the outcome down.
func (t *tx) replayed(letter DeadLetter, by string) error {
	r := letter.Replay
	if r.At.IsZero() {
		return errors.New("no time is given")
	}
	if _, err := t.exec(`UPDATE dead_letter SET outcome = ?, outcome_error = ?, outcome_at = ?, replays = ? WHERE id = ?`, r.Outcome, r.Error, nanos(r.At), r.Times, letter.ID); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"outcome": r.Outcome, "error": r.Error, "eventSource": letter.EventSource, "eventId": letter.EventID})
	if err != nil {
		return err
	}
	return t.audit(AuditEntry{At: r.At, Actor: by, Action: "dead_letter.replayed", Subject: fmt.Sprintf("dead letter %d", letter.ID), Body: body})
}

// Unsettled returns the ids of up to limit dead letters after the given one that no
// replay has settled, oldest first. An empty reason is any but those that may be
// forgeries: these are taken up only by somebody who names the reason.
func (s *Store) Unsettled(ctx context.Context, reason string, after int64, limit int) ([]int64, error) {
	ids, err := list(ctx, s.reading, func(row scanner) (id int64, err error) { return id, row.Scan(&id) },
		`SELECT id FROM dead_letter WHERE id > ?1 AND (reason = ?2 OR ?2 = '' AND reason NOT IN ('conflict', 'unauthorised')) AND outcome IN ('', '`+OutcomeRefused+`') ORDER BY id LIMIT ?3`, after, reason, limit)
	return ids, wrap("unsettled dead letters", err)
}
