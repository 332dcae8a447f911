package store

import (
	"context"
	"time"

	"github.com/release-assay/assay/verdicts"
)

// A Retention says how long what is done with is kept. Zero keeps it for ever.
type Retention struct {
	Inbox       time.Duration // content of handled events
	DeadLetters time.Duration
	Validations time.Duration // since the final verdict, with plan, verdict and checkpoint
	Outbox      time.Duration // since it was sent
}

// Removed counts rows.
type Removed struct {
	Contents    int64 // inbox rows that were emptied but for their name and hash
	Inbox       int64
	DeadLetters int64
	Validations int64
	Outbox      int64
	More        bool // there is more to remove: call again
}

const (
	// dedupe is how long the name of an event is kept at least, as long as a topic
	// may deliver the event again (reliability.md 5: retention of 7 days).
	dedupe = 7 * 24 * time.Hour
	// portion bounds the rows that one call removes of each kind, so that no other
	// writer waits for long.
	portion = 2000
)

// Retain removes what is older than its retention, at most a portion of each kind:
// one transaction, and a repeated call finds what is left. It never removes an open
// validation or the event that opened it, an event that is not handled, the name of
// an event within 7 days of its handling, a message that is not sent, the live
// promote of a service that was started last (it is the next baseline), gaps, or
// anything of the audit log.
func (s *Store) Retain(ctx context.Context, keep Retention, now time.Time) (Removed, error) {
	var removed Removed
	err := s.write(ctx, "retain", func(tx *tx) error {
		removed = Removed{}
		for _, rule := range []struct {
			keep  time.Duration
			count *int64
			query string
			args  []any
		}{
			{keep.Validations, &removed.Validations, `DELETE FROM validation WHERE n IN (
				SELECT f.validation FROM final f JOIN validation v ON v.n = f.validation WHERE f.issued_at < ?1
				AND NOT (f.word = ?3 AND v.mode = 'live' AND NOT EXISTS (
					SELECT 1 FROM validation w JOIN final g ON g.validation = w.n WHERE w.environment = v.environment AND w.namespace = v.namespace AND w.service = v.service
					AND w.mode = 'live' AND g.word = ?3 AND (w.started_at, w.n) > (v.started_at, v.n)))
				LIMIT ?2)`, []any{verdicts.Promote.String()}},
			{atLeast(keep.Inbox, dedupe), &removed.Inbox, `DELETE FROM inbox WHERE id IN (
				SELECT id FROM inbox WHERE handled_at > 0 AND handled_at < ?1 AND ` + opensNothing + ` LIMIT ?2)`, nil},
			{keep.Inbox, &removed.Contents, `UPDATE inbox SET key = NULL, headers = '', raw = NULL, event = '' WHERE id IN (
				SELECT id FROM inbox WHERE handled_at > 0 AND handled_at < ?1 AND event <> '' AND ` + opensNothing + ` LIMIT ?2)`, nil},
			{keep.DeadLetters, &removed.DeadLetters, `DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE at < ?1 LIMIT ?2)`, nil},
			{keep.Outbox, &removed.Outbox, `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at > 0 AND sent_at < ?1 LIMIT ?2)`, nil},
		} {
			if rule.keep <= 0 {
				continue
			}
			n, err := tx.exec(rule.query, append([]any{nanos(now.Add(-rule.keep)), portion}, rule.args...)...)
			if err != nil {
				return err
			}
			*rule.count = n
			removed.More = removed.More || n == portion
		}
		return nil
	})
	if err != nil {
		return Removed{}, err
	}
	return removed, nil
}

// opensNothing is true of inbox rows that no open validation came from.
const opensNothing = `id NOT IN (SELECT inbox FROM validation WHERE phase <> 'final')`

// atLeast is d, or least where d is shorter; for ever stays for ever.
func atLeast(d, least time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return max(d, least)
}
