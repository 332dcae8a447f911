package store

import (
	"context"
	"time"
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
	At                   time.Time

	contentHash string // of conflicts, which are kept once for each content
}

// bury writes dead letters, and what forward makes of those that are new.
func (t *tx) bury(letters []DeadLetter, forward func(DeadLetter) (OutboxMessage, bool)) error {
	for _, letter := range letters {
		headers, err := encodeHeaders(letter.Headers)
		if err != nil {
			return err
		}
		// Only Accept sets a content hash: other letters, their reason whatever it is,
		// are all kept.
		letter.ID, err = t.insert(`INSERT INTO dead_letter (reason, error, topic, partition, offset, last_offset, key, value, headers, event_source, event_id, content_hash, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			letter.Reason, letter.Error, letter.Topic, letter.Partition, letter.Offset, letter.LastOffset, letter.Key, letter.Value, headers,
			letter.EventSource, letter.EventID, letter.contentHash, nanos(letter.At))
		if err != nil {
			return err
		}
		if letter.ID == 0 || forward == nil {
			continue
		}
		if message, ok := forward(letter); ok {
			if err := t.enqueue(message); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeadLetters returns up to limit dead letters with ids after afterID, oldest first.
func (s *Store) DeadLetters(ctx context.Context, limit int, afterID int64) ([]DeadLetter, error) {
	letters, err := list(ctx, s.reading, func(row scanner) (letter DeadLetter, err error) {
		var headers string
		var at int64
		err = row.Scan(&letter.ID, &letter.Reason, &letter.Error, &letter.Topic, &letter.Partition, &letter.Offset, &letter.LastOffset,
			&letter.Key, &letter.Value, &headers, &letter.EventSource, &letter.EventID, &letter.contentHash, &at)
		if err != nil {
			return letter, err
		}
		letter.At = instant(at)
		return letter, decode(headers, &letter.Headers)
	}, `SELECT id, reason, error, topic, partition, offset, last_offset, key, value, headers, event_source, event_id, content_hash, at
		FROM dead_letter WHERE id > ? ORDER BY id LIMIT ?`, afterID, limit)
	return letters, wrap("dead letters", err)
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
