package store

import (
	"context"
	"errors"
)

// Unsupported returns the newest dead letter of an event whose schema this version
// does not know, by the event's id or by the deployment that it speaks of: its
// sender polls by one of them and must be told. One that a replay has settled counts
// no more.
func (s *Store) Unsupported(ctx context.Context, key string) (DeadLetter, bool, error) {
	letter := DeadLetter{Reason: "unsupported_schema"}
	var at int64
	// Two searches, since an OR over two partial indexes is a scan of the table.
	err := found(s.reading.QueryRowContext(ctx, `SELECT id, error, event_source, event_id, deployment, at FROM (
			SELECT * FROM dead_letter WHERE reason = 'unsupported_schema' AND event_id = ?1
			UNION ALL SELECT * FROM dead_letter WHERE deployment = ?1 AND deployment <> '' AND reason = 'unsupported_schema')
		WHERE outcome IN ('', '`+OutcomeRefused+`') ORDER BY id DESC LIMIT 1`, key).
		Scan(&letter.ID, &letter.Error, &letter.EventSource, &letter.EventID, (*string)(&letter.DeploymentID), &at))
	if errors.Is(err, ErrNotFound) {
		return DeadLetter{}, false, nil
	}
	letter.At = instant(at)
	return letter, err == nil, wrap("unsupported event", err)
}
