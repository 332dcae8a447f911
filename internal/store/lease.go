package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A Lease is the right to take events from one partition. Whoever acquires the
// partition next has a greater Epoch, and the older lease is refused from then on.
type Lease struct {
	Topic      string
	Partition  int
	Owner      string
	Epoch      int64
	NextOffset int64 // the first offset that was not accepted yet
	Known      bool  // false: never stored, NextOffset is 0
}

// AcquirePartition makes owner the one who takes events from the partition, and
// says where to go on. topicID is the broker's id of the topic, empty where it has
// none; where another one is stored, the error is ErrTopicRecreated and nothing
// has changed. Every call, also by the same owner, fences the leases before it.
func (s *Store) AcquirePartition(ctx context.Context, topic string, partition int, owner, topicID string, now time.Time) (Lease, error) {
	lease := Lease{Topic: topic, Partition: partition, Owner: owner}
	err := s.write(ctx, "acquire partition", func(tx *tx) error {
		var stored string
		err := tx.row(`SELECT topic_id FROM partition_lease WHERE topic = ? AND partition = ?`, []any{topic, partition}, &stored)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if stored != "" && topicID != "" && stored != topicID {
			return fmt.Errorf("%s/%d: %w: the stored offset is of topic id %s, the broker's topic has %s", topic, partition, ErrTopicRecreated, stored, topicID)
		}
		var next sql.NullInt64
		err = tx.row(`INSERT INTO partition_lease (topic, partition, owner, epoch, topic_id, next_offset, updated_at) VALUES (?1, ?2, ?3, 1, ?4, NULL, ?5)
			ON CONFLICT (topic, partition) DO UPDATE SET owner = ?3, epoch = epoch + 1, updated_at = ?5,
				topic_id = CASE WHEN ?4 = '' THEN topic_id ELSE ?4 END
			RETURNING epoch, next_offset`,
			[]any{topic, partition, owner, topicID, nanos(now)}, &lease.Epoch, &next)
		lease.NextOffset, lease.Known = next.Int64, next.Valid
		return err
	})
	if err != nil {
		return Lease{}, err
	}
	return lease, nil
}

// StoredOffset returns where a partition would go on: the first offset that was not
// accepted yet, 0 where nothing is known of it. It takes no lease.
func (s *Store) StoredOffset(ctx context.Context, topic string, partition int) (int64, error) {
	var next sql.NullInt64
	err := s.reading.QueryRowContext(ctx, `SELECT next_offset FROM partition_lease WHERE topic = ? AND partition = ?`, topic, partition).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return next.Int64, wrap("stored offset", err)
}

// A Reset is an operator's choice where a partition goes on, after its topic was
// recreated or its end was found below the stored offset.
type Reset struct {
	Topic      string
	Partition  int
	TopicID    string
	NextOffset int64
	Audit      AuditEntry // who chose, and why
	Now        time.Time
}

// ResetPartition sets the offset and the topic id of a partition, the only way in
// which a stored offset goes back, fences whoever owns the partition, and records
// it in the audit log: one transaction. Repeating it has no further effect but
// another audit entry and another fence.
func (s *Store) ResetPartition(ctx context.Context, reset Reset) error {
	return s.write(ctx, "reset partition", func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO partition_lease (topic, partition, owner, epoch, topic_id, next_offset, updated_at) VALUES (?1, ?2, '', 1, ?3, ?4, ?5)
			ON CONFLICT (topic, partition) DO UPDATE SET owner = '', epoch = epoch + 1, topic_id = ?3, next_offset = ?4, updated_at = ?5`,
			reset.Topic, reset.Partition, reset.TopicID, reset.NextOffset, nanos(reset.Now))
		if err != nil {
			return err
		}
		return tx.audit(reset.Audit)
	})
}

// advance stores the next offset of a leased partition, if the lease still stands.
func (t *tx) advance(lease Lease, next int64, now time.Time) error {
	moved, err := t.exec(`UPDATE partition_lease SET next_offset = ?, updated_at = ? WHERE topic = ? AND partition = ? AND epoch = ? AND coalesce(next_offset, ?) <= ?`,
		next, nanos(now), lease.Topic, lease.Partition, lease.Epoch, next, next)
	if err != nil || moved == 1 {
		return err
	}
	var epoch, stored int64
	err = t.row(`SELECT epoch, coalesce(next_offset, 0) FROM partition_lease WHERE topic = ? AND partition = ?`, []any{lease.Topic, lease.Partition}, &epoch, &stored)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%s/%d was never acquired: %w", lease.Topic, lease.Partition, ErrFenced)
	case err != nil:
		return err
	case epoch != lease.Epoch:
		return fmt.Errorf("%s/%d: %w: epoch %d, the lease of %s has %d", lease.Topic, lease.Partition, ErrFenced, epoch, lease.Owner, lease.Epoch)
	}
	return fmt.Errorf("%s/%d: the next offset would go back from %d to %d", lease.Topic, lease.Partition, stored, next)
}

// A Gap is a range of offsets, From up to and without To, that was gone before it
// could be read.
type Gap struct {
	Topic     string
	Partition int
	From, To  int64
	At        time.Time
	Since     time.Time // when the event before it was received; set by the store, zero where there is none
}

// AddGap records a gap. Repeating it has no effect.
func (s *Store) AddGap(ctx context.Context, gap Gap) error {
	return s.write(ctx, "add gap", func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO ingest_gap (topic, partition, from_offset, to_offset, at, since) VALUES (?1, ?2, ?3, ?4, ?5,
				coalesce((SELECT received_at FROM inbox WHERE topic = ?1 AND partition = ?2 AND offset < ?3 ORDER BY id DESC LIMIT 1), 0)) ON CONFLICT DO NOTHING`,
			gap.Topic, gap.Partition, gap.From, gap.To, nanos(gap.At))
		return err
	})
}

// Gaps returns all gaps in the order in which they were found.
func (s *Store) Gaps(ctx context.Context) ([]Gap, error) {
	gaps, err := list(ctx, s.reading, func(row scanner) (gap Gap, err error) {
		var at, since int64
		err = row.Scan(&gap.Topic, &gap.Partition, &gap.From, &gap.To, &at, &since)
		gap.At, gap.Since = instant(at), instant(since)
		return gap, err
	}, `SELECT topic, partition, from_offset, to_offset, at, since FROM ingest_gap ORDER BY at, topic, partition, from_offset`)
	return gaps, wrap("gaps", err)
}
