package store

import (
	"context"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A DeadLetter is what was refused: one record, or the range Offset to LastOffset
// of a batch that could not be opened. Reasons are those of contracts.md 1.4; the
// store does not check them. Key and Value are as long as the caller leaves them.
type DeadLetter struct {
	ID                   int64 // set by the store
	Reason, Error        string
	Topic                string
	Partition            int
	Offset, LastOffset   int64
	Key, Value           []byte
	Headers              []Header
	EventSource, EventID string // where they could be read
	DeploymentID         analysis.DeploymentID
	At                   time.Time
	Replay               Replayed // set by the store

	contentHash string // of conflicts, which are kept once for each content
}

// ForwardDeadLetters lets every dead letter that is written from now on, whoever
// writes it, leave by the outbox as the message that to makes of it, in the same
// transaction: the topic of dead letters is fed so. It must be a pure function.
// Call it before the first write.
func (s *Store) ForwardDeadLetters(to func(DeadLetter) OutboxMessage) { s.forward = to }

// bury writes dead letters, and forwards those that are new.
func (t *tx) bury(letters []DeadLetter) error {
	for _, letter := range letters {
		headers, err := encodeHeaders(letter.Headers)
		if err != nil {
			return err
		}
		// Only Accept sets a content hash: other letters, their reason whatever it is,
		// are all kept.
		letter.ID, err = t.insert(`INSERT INTO dead_letter (reason, error, topic, partition, offset, last_offset, key, value, headers, event_source, event_id, deployment, content_hash, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			letter.Reason, letter.Error, letter.Topic, letter.Partition, letter.Offset, letter.LastOffset, letter.Key, letter.Value, headers,
			letter.EventSource, letter.EventID, string(letter.DeploymentID), letter.contentHash, nanos(letter.At))
		if err != nil {
			return err
		}
		if letter.ID == 0 || t.store.forward == nil {
			continue
		}
		if err := t.enqueue(t.store.forward(letter)); err != nil {
			return err
		}
	}
	return nil
}

const letterColumns = `id, reason, error, topic, partition, offset, last_offset, key, value, headers, event_source, event_id, deployment, content_hash, at,
	outcome, outcome_error, outcome_at, replays FROM dead_letter `

func scanLetter(row scanner) (letter DeadLetter, err error) {
	var headers string
	var at, replayed int64
	r := &letter.Replay
	err = row.Scan(&letter.ID, &letter.Reason, &letter.Error, &letter.Topic, &letter.Partition, &letter.Offset, &letter.LastOffset,
		&letter.Key, &letter.Value, &headers, &letter.EventSource, &letter.EventID, &letter.DeploymentID, &letter.contentHash, &at,
		&r.Outcome, &r.Error, &replayed, &r.Times)
	if err != nil {
		return letter, err
	}
	letter.At, r.At = instant(at), instant(replayed)
	return letter, decode(headers, &letter.Headers)
}

// DeadLetters returns up to limit dead letters with ids after afterID, oldest first.
func (s *Store) DeadLetters(ctx context.Context, limit int, afterID int64) ([]DeadLetter, error) {
	letters, err := list(ctx, s.reading, scanLetter, `SELECT `+letterColumns+`WHERE id > ? ORDER BY id LIMIT ?`, afterID, limit)
	return letters, wrap("dead letters", err)
}

// DeadLetter returns one dead letter, or ErrNotFound.
func (s *Store) DeadLetter(ctx context.Context, id int64) (DeadLetter, error) {
	letter, err := scanLetter(s.reading.QueryRowContext(ctx, `SELECT `+letterColumns+`WHERE id = ?`, id))
	return letter, wrap("dead letter", found(err))
}

// A LetterFilter restricts a list of dead letters. Empty fields match everything.
type LetterFilter struct {
	Reason    string
	Unsettled bool  // only those that no replay has settled
	Before    int64 // only ids below this one; 0: no bound
	Limit     int   // 0: 100
}

// ListDeadLetters returns dead letters without what is large (key, value and
// headers), the newest first, and the size of the value of each.
func (s *Store) ListDeadLetters(ctx context.Context, filter LetterFilter) ([]DeadLetter, []int64, error) {
	query, args := `WHERE 1`, []any{}
	if filter.Reason != "" {
		query, args = query+` AND reason = ?`, append(args, filter.Reason)
	}
	if filter.Unsettled {
		query += ` AND outcome IN ('', '` + OutcomeRefused + `')`
	}
	if filter.Before > 0 {
		query, args = query+` AND id < ?`, append(args, filter.Before)
	}
	limit := filter.Limit
	if limit <= 0 {
		limit = 100
	}
	var sizes []int64
	letters, err := list(ctx, s.reading, func(row scanner) (letter DeadLetter, err error) {
		var at, replayed, size int64
		r := &letter.Replay
		err = row.Scan(&letter.ID, &letter.Reason, &letter.Error, &letter.Topic, &letter.Partition, &letter.Offset, &letter.LastOffset,
			&letter.EventSource, &letter.EventID, &letter.DeploymentID, &at, &r.Outcome, &r.Error, &replayed, &r.Times, &size)
		letter.At, r.At = instant(at), instant(replayed)
		sizes = append(sizes, size)
		return letter, err
	}, `SELECT id, reason, error, topic, partition, offset, last_offset, event_source, event_id, deployment, at,
		outcome, outcome_error, outcome_at, replays, coalesce(length(value), 0) FROM dead_letter `+query+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
	return letters, sizes, wrap("list dead letters", err)
}

// CountDeadLetters returns how many dead letters are kept, by reason.
func (s *Store) CountDeadLetters(ctx context.Context) (map[string]int64, error) {
	counts, err := s.count(ctx, `SELECT reason, count(*) FROM dead_letter GROUP BY reason`)
	return counts, wrap("count dead letters", err)
}

// count reads pairs of a name and a number.
func (s *Store) count(ctx context.Context, query string, args ...any) (map[string]int64, error) {
	counts := map[string]int64{}
	_, err := list(ctx, s.reading, func(row scanner) (_ struct{}, err error) {
		var name string
		var n int64
		if err = row.Scan(&name, &n); err == nil {
			counts[name] = n
		}
		return struct{}{}, err
	}, query, args...)
	return counts, err
}
