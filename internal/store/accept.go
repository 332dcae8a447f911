package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
)

// TopicHTTP and PartitionHTTP stand where a topic and a partition would, for an
// event that was posted over HTTP.
const (
	TopicHTTP     = "http"
	PartitionHTTP = -1
)

// A Delivery is one deployment event as it was delivered and as it was decoded.
// Event.Source and Event.ID name it; ContentHash tells a duplicate from a conflict.
type Delivery struct {
	Topic       string
	Partition   int
	Offset      int64
	Key         []byte
	Headers     []Header
	Raw         []byte
	ContentHash string
	Event       analysis.Event

	prepared *encoded // by Prepare; nil: not yet
}

// An Outcome says what became of a delivery. The zero value is none.
type Outcome uint8

const (
	OutcomeAccepted  Outcome = iota + 1 // a new event: it is in the inbox
	OutcomeDuplicate                    // the same event was there already; nothing was written
	OutcomeConflict                     // another event of that name was there first; this one is a dead letter
)

func (o Outcome) String() string {
	switch o {
	case OutcomeAccepted:
		return "accepted"
	case OutcomeDuplicate:
		return "duplicate"
	case OutcomeConflict:
		return "conflict"
	}
	return "none"
}

// ReasonConflict is the reason of the dead letters that Accept makes by itself.
const ReasonConflict = "conflict"

// A Batch is what one fetch, or one HTTP request, brought.
type Batch struct {
	// Lease is what the partition was acquired with; nil for HTTP.
	Lease *Lease
	// NextOffset is where the partition goes on; heeded with a Lease only.
	NextOffset  int64
	Deliveries  []Delivery
	DeadLetters []DeadLetter
	Now         time.Time
}

// Accepted says what became of a batch.
type Accepted struct {
	Outcomes                   []Outcome // of the deliveries, in their order
	Inbox                      []int64   // the inbox rows of the deliveries: their own, or that of the event that was first
	New, Duplicates, Conflicts int
}

// Accept takes a batch: inbox rows, dead letters and the partition's next offset
// in one transaction. An event whose name is known is not written again: with the
// same content it is a duplicate, with another it becomes a dead letter
// "conflict", once for each content. A lease that was fenced is refused with
// ErrFenced and nothing is written. Repeating a batch gives duplicates only, and
// the dead letters again: those are kept from it by the offset.
func (s *Store) Accept(ctx context.Context, batch Batch) (Accepted, error) {
	accepted := Accepted{Outcomes: make([]Outcome, len(batch.Deliveries)), Inbox: make([]int64, len(batch.Deliveries))}
	rows, err := encodeDeliveries(batch.Deliveries) // before it is our turn to write
	if err != nil {
		return Accepted{}, wrap("accept", err)
	}
	err = s.writeEvents(ctx, "accept", func(tx *tx) error {
		if batch.Lease != nil {
			if err := tx.advance(*batch.Lease, batch.NextOffset, batch.Now); err != nil {
				return err
			}
		}
		letters := batch.DeadLetters
		for i, delivery := range batch.Deliveries {
			id, conflict, err := tx.receive(delivery, rows[i], batch.Now)
			switch {
			case err != nil:
				return err
			case conflict != nil:
				accepted.Outcomes[i] = OutcomeConflict
				accepted.Conflicts++
				letters = append(letters[:len(letters):len(letters)], *conflict)
			case id < 0:
				accepted.Outcomes[i] = OutcomeDuplicate
				accepted.Duplicates++
			default:
				accepted.Outcomes[i] = OutcomeAccepted
				accepted.New++
			}
			accepted.Inbox[i] = max(id, -id)
		}
		return tx.bury(letters)
	})
	if err != nil {
		return Accepted{}, err
	}
	s.accepted(batch)
	return accepted, nil
}

// encoded is the part of a delivery that is kept as JSON.
type encoded struct{ event, headers string }

// Prepare encodes a delivery ahead of Accept, which encodes those that are not
// prepared. Who has several may prepare them side by side.
func (d *Delivery) Prepare() error {
	event, err := json.Marshal(d.Event)
	if err != nil {
		return fmt.Errorf("event %s %s: %w", d.Event.Source, d.Event.ID, err)
	}
	headers, err := encodeHeaders(d.Headers)
	if err != nil {
		return err
	}
	d.prepared = &encoded{string(event), headers}
	return nil
}

func encodeDeliveries(deliveries []Delivery) ([]encoded, error) {
	rows := make([]encoded, len(deliveries))
	for i, delivery := range deliveries {
		if delivery.Event.Source == "" || delivery.Event.ID == "" {
			return nil, fmt.Errorf("delivery %d has no source or no id", i)
		}
		if delivery.prepared == nil {
			if err := delivery.Prepare(); err != nil {
				return nil, err
			}
		}
		rows[i] = *delivery.prepared
	}
	return rows, nil
}

// receive writes the inbox row of a delivery and returns its id; where the event
// is known, minus the id of the row that was first, and the dead letter if its
// content was another.
func (t *tx) receive(d Delivery, row encoded, now time.Time) (int64, *DeadLetter, error) {
	id, err := t.insert(`INSERT INTO inbox (source, event_id, content_hash, topic, partition, offset, key, headers, raw, event, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, event_id) DO NOTHING`,
		d.Event.Source, d.Event.ID, d.ContentHash, d.Topic, d.Partition, d.Offset, d.Key, row.headers, d.Raw, row.event, nanos(now))
	if err != nil || id > 0 {
		return id, nil, err
	}
	var hash string
	if err := t.row(`SELECT id, content_hash FROM inbox WHERE source = ? AND event_id = ?`, []any{d.Event.Source, d.Event.ID}, &id, &hash); err != nil {
		return 0, nil, err
	}
	if hash == d.ContentHash {
		return -id, nil, nil
	}
	return -id, &DeadLetter{
		Reason: ReasonConflict, Error: fmt.Sprintf("an event with this source and id but other content (%s) came first; this one has %s", hash, d.ContentHash),
		Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, LastOffset: d.Offset, Key: d.Key, Value: d.Raw, Headers: d.Headers,
		EventSource: d.Event.Source, EventID: d.Event.ID, At: now, contentHash: d.ContentHash,
	}, nil
}

// An InboxRow is an accepted event.
type InboxRow struct {
	ID int64
	Delivery
	ReceivedAt  time.Time
	ParkedUntil time.Time // zero: not an orphan
	HandledAt   time.Time // zero: not handled
}

const inboxColumns = `id, content_hash, topic, partition, offset, key, headers, raw, event, received_at, parked_until, handled_at`

func scanInbox(row scanner) (InboxRow, error) {
	var in InboxRow
	var headers, event string
	var received, parked, handled int64
	err := row.Scan(&in.ID, &in.ContentHash, &in.Topic, &in.Partition, &in.Offset, &in.Key, &headers, &in.Raw, &event, &received, &parked, &handled)
	if err != nil {
		return in, err
	}
	in.ReceivedAt, in.ParkedUntil, in.HandledAt = instant(received), instant(parked), instant(handled)
	return in, errors.Join(decode(headers, &in.Headers), decode(event, &in.Event))
}

// Unhandled returns up to limit accepted events that are neither handled nor
// parked, in the order of their arrival.
func (s *Store) Unhandled(ctx context.Context, limit int) ([]InboxRow, error) {
	rows, err := list(ctx, s.reading, scanInbox, `SELECT `+inboxColumns+` FROM inbox WHERE handled_at = 0 AND parked_until = 0 ORDER BY id LIMIT ?`, limit)
	return rows, wrap("unhandled", err)
}

// Orphans returns the parked events in the order of their arrival, those whose
// time is over included: joining or burying them is the caller's.
func (s *Store) Orphans(ctx context.Context) ([]InboxRow, error) {
	rows, err := list(ctx, s.reading, scanInbox, `SELECT `+inboxColumns+` FROM inbox WHERE handled_at = 0 AND parked_until <> 0 ORDER BY id`)
	return rows, wrap("orphans", err)
}

// Inbox returns an accepted event. Once retention has taken its content, what is
// left is its name, hash and place.
func (s *Store) Inbox(ctx context.Context, id int64) (InboxRow, error) {
	row, err := scanInbox(s.reading.QueryRowContext(ctx, `SELECT `+inboxColumns+` FROM inbox WHERE id = ?`, id))
	return row, wrap("inbox", found(err))
}
