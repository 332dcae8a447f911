package store

import (
	"context"
	"errors"
	"time"
)

// An OutboxMessage is something to deliver to one sink. Sink and MessageID name
// it: the same pair is written once, whatever comes later with it.
type OutboxMessage struct {
	ID          int64 // set by the store; the order of delivery within a sink
	Sink        string
	Key         string
	MessageID   string
	ContentType string
	Headers     []Header
	Payload     []byte
	CreatedAt   time.Time
	Attempts    int // failed ones
	LastError   string
	TriedAt     time.Time // of the last failed attempt
	SentAt      time.Time // zero: pending
}

var errUnnamed = errors.New("an outbox message needs a sink and a message id")

// enqueue writes a message, unless it is there already.
func (t *tx) enqueue(m OutboxMessage) error {
	if m.Sink == "" || m.MessageID == "" {
		return errUnnamed
	}
	headers, err := encodeHeaders(m.Headers)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO outbox (sink, key, message_id, content_type, headers, payload, created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sink, message_id) DO NOTHING`,
		m.Sink, m.Key, m.MessageID, m.ContentType, headers, m.Payload, nanos(m.CreatedAt))
	return err
}

// PendingOutbox returns up to limit messages of a sink that are not sent, oldest
// first. What failed stays in its place: when to try it again is the publisher's,
// from Attempts and TriedAt.
func (s *Store) PendingOutbox(ctx context.Context, sink string, limit int) ([]OutboxMessage, error) {
	pending, err := list(ctx, s.reading, func(row scanner) (m OutboxMessage, err error) {
		var headers string
		var created, tried, sent int64
		err = row.Scan(&m.ID, &m.Sink, &m.Key, &m.MessageID, &m.ContentType, &headers, &m.Payload, &created, &m.Attempts, &m.LastError, &tried, &sent)
		if err != nil {
			return m, err
		}
		m.CreatedAt, m.TriedAt, m.SentAt = instant(created), instant(tried), instant(sent)
		return m, decode(headers, &m.Headers)
	}, `SELECT id, sink, key, message_id, content_type, headers, payload, created_at, attempts, last_error, tried_at, sent_at
		FROM outbox WHERE sink = ? AND sent_at = 0 ORDER BY id LIMIT ?`, sink, limit)
	return pending, wrap("pending outbox", err)
}

// MarkSent records that the receiver has acknowledged messages: one transaction.
// What is marked or gone already stays so.
func (s *Store) MarkSent(ctx context.Context, ids []int64, now time.Time) error {
	return s.write(ctx, "mark sent", func(tx *tx) error {
		for _, id := range ids {
			if _, err := tx.exec(`UPDATE outbox SET sent_at = ? WHERE id = ? AND sent_at = 0`, nanos(now), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// MarkFailed counts a failed attempt at a pending message. It is not idempotent.
func (s *Store) MarkFailed(ctx context.Context, id int64, reason string, now time.Time) error {
	return s.write(ctx, "mark failed", func(tx *tx) error {
		_, err := tx.exec(`UPDATE outbox SET attempts = attempts + 1, last_error = ?, tried_at = ? WHERE id = ? AND sent_at = 0`, reason, nanos(now), id)
		return err
	})
}

// CountOutbox returns how many messages are pending, by sink.
func (s *Store) CountOutbox(ctx context.Context) (map[string]int64, error) {
	counts, err := s.count(ctx, `SELECT sink, count(*) FROM outbox WHERE sent_at = 0 GROUP BY sink`)
	return counts, wrap("count outbox", err)
}
