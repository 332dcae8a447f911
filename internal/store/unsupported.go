package store

import (
	"context"
	"errors"
)

// Unsupported returns the newest dead letter of an event whose schema this version
// does not know, by the event's id: its sender polls by that id and must be told.
func (s *Store) Unsupported(ctx context.Context, eventID string) (DeadLetter, bool, error) {
	letter := DeadLetter{Reason: "unsupported_schema", EventID: eventID}
	var at int64
	err := found(s.reading.QueryRowContext(ctx, `SELECT id, error, event_source, at FROM dead_letter
		WHERE reason = 'unsupported_schema' AND event_id = ? ORDER BY id DESC LIMIT 1`, eventID).
		Scan(&letter.ID, &letter.Error, &letter.EventSource, &at))
	if errors.Is(err, ErrNotFound) {
		return DeadLetter{}, false, nil
	}
	letter.At = instant(at)
	return letter, err == nil, wrap("unsupported event", err)
}
