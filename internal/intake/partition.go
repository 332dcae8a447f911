package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
)

// storeTimeout is how long one try at the store may wait for its turn.
const storeTimeout = 10 * time.Second

// read reads one partition until its generation ends or somebody else has it. The
// next offset is the store's; Kafka is asked for records only.
func (r *runner) read(ctx context.Context, partition int, told *progress) {
	for ctx.Err() == nil {
		err := r.readLeased(ctx, partition, told)
		switch {
		case errors.Is(err, errReset): // by us or by an operator: acquire anew
			r.remember(partition, fingerprint{})
			continue
		case errors.Is(err, store.ErrFenced):
			// What was fetched is discarded: its owner fetches it too. Returning ends
			// the generation; do not do so in a hurry, should two groups fight.
			r.Status.count(func(c *Counts) { c.Fenced++ })
			r.Log.Warn("the partition was taken by a newer reader", "topic", r.Topic, "partition", partition, "err", err)
			sleep(ctx, time.Second)
		}
		return
	}
}

var errReset = errors.New("the offset was set anew")

// readLeased reads the partition under one lease.
func (r *runner) readLeased(ctx context.Context, partition int, told *progress) error {
	id, err := r.topicID(ctx, partition)
	if err != nil {
		return err
	}
	lease, err := r.acquire(ctx, partition, id)
	switch {
	case errors.Is(err, store.ErrTopicRecreated):
		return r.recreated(ctx, partition, id, err)
	case err != nil:
		return err
	}
	last := r.recall(partition)
	l := &loop{runner: r, lease: lease, topicID: id, next: lease.NextOffset, told: told, last: last, doubt: last.known}
	r.Status.update(partition, func(s *PartitionStatus) { s.Next = l.next })
	return l.run(ctx)
}

// acquire takes the partition, which fences whoever had it before.
func (r *runner) acquire(ctx context.Context, partition int, topicID string) (lease store.Lease, err error) {
	err = r.insist(ctx, partition, func(ctx context.Context) error {
		lease, err = r.Store.AcquirePartition(ctx, r.Topic, partition, r.Owner, topicID, r.Now())
		return err
	})
	return lease, err
}

// insist calls the store until it succeeds or there is no point. A store that is
// full or busy is a reason to wait, never to throw an event away.
func (r *runner) insist(ctx context.Context, partition int, do func(context.Context) error) error {
	var pause backoff
	for {
		try, cancel := context.WithTimeout(ctx, storeTimeout)
		err := do(try)
		cancel()
		switch {
		case err == nil, errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrTopicRecreated):
			return err
		case errors.Is(err, store.ErrIO), errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrClosed):
			r.cancel(&fatalError{fmt.Errorf("intake: %w", err)})
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		r.Status.failed(partition, err)
		r.Log.Warn("the store does not take events", "topic", r.Topic, "partition", partition, "err", err)
		if !pause.wait(ctx) {
			return ctx.Err()
		}
	}
}

// A loop reads a partition under one lease.
type loop struct {
	*runner
	lease   store.Lease
	topicID string // under which it was acquired
	next    int64
	told    *progress
	last    fingerprint
	doubt   bool // whether this is still the log that was read before
}

func (l *loop) position() kafka.Position {
	return kafka.Position{Topic: l.Topic, Partition: l.lease.Partition, Offset: l.next}
}

// run fetches and stores until ctx is done (nil), the lease is lost (ErrFenced) or
// the offset was set anew (errReset).
func (l *loop) run(ctx context.Context) error {
	if err := l.first(ctx); err != nil {
		return err
	}
	var pause backoff
	for ctx.Err() == nil {
		l.Status.alive(l.lease.Partition)
		fetched, err := l.client.Fetch(ctx, l.position())
		var bad *kafka.BadBatch
		switch {
		case err == nil && l.doubt:
			if err = l.recognise(ctx); err == nil {
				l.doubt = false
				continue // what was fetched may be of another log
			}
		case err == nil:
			err = l.take(ctx, fetched)
		case errors.As(err, &bad):
			err = l.quarantine(ctx, bad)
		case errors.Is(err, kafka.ErrOffsetOutOfRange):
			err = l.outOfRange(ctx)
		}
		switch {
		case err == nil:
			pause.reset()
			continue
		case errors.Is(err, store.ErrFenced), errors.Is(err, errReset):
			return err
		case ctx.Err() != nil:
			return nil
		}
		l.doubt = true
		l.client.Refresh()
		l.Status.failed(l.lease.Partition, err)
		if pause.next == 0 {
			l.Log.Warn("a partition cannot be read", "topic", l.Topic, "partition", l.lease.Partition, "offset", l.next, "err", err)
		}
		if !pause.wait(ctx) {
			return nil
		}
	}
	return nil
}

// first finds where to begin a partition that the store does not know: at the
// first record that there is. Events sent before we came are events (P4); the age
// limit sorts out the old ones.
func (l *loop) first(ctx context.Context) error {
	if l.lease.Known {
		return nil
	}
	var pause backoff
	for {
		first, _, err := l.client.Offsets(ctx, l.Topic, l.lease.Partition)
		if err == nil {
			l.next = first
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		l.client.Refresh()
		l.Status.failed(l.lease.Partition, err)
		if !pause.wait(ctx) {
			return nil
		}
	}
}

// take stores one fetch in one transaction.
func (l *loop) take(ctx context.Context, f kafka.Fetched) error {
	if f.LogStart > l.next {
		return l.gap(ctx, f.LogStart)
	}
	now := l.Now()
	batch := store.Batch{NextOffset: f.Next, Now: now}
	ignored := 0
	for _, b := range f.Batches {
		if b.Transactional {
			for _, record := range b.Records {
				batch.DeadLetters = append(batch.DeadLetters, deadLetter(l.Topic, l.lease.Partition, record, &Rejection{
					Reason: Quarantined,
					Detail: "written in a transaction, which may have been aborted: producers of events must not use transactions",
				}, now))
			}
			continue
		}
		for i, r := range l.decodeAll(b.Records) {
			switch {
			case r.rejection != nil:
				batch.DeadLetters = append(batch.DeadLetters, deadLetter(l.Topic, l.lease.Partition, b.Records[i], r.rejection, now))
			case r.ignored:
				ignored++
			default:
				batch.Deliveries = append(batch.Deliveries, r.delivery)
			}
		}
	}
	if err := l.accept(ctx, batch, ignored); err != nil {
		return err
	}
	l.note(f)
	l.Status.fetched(l.lease.Partition, l.next, f.End, l.Now())
	return nil
}

// accept commits a batch and moves on.
func (l *loop) accept(ctx context.Context, batch store.Batch, ignored int) error {
	if batch.NextOffset == l.next && len(batch.Deliveries)+len(batch.DeadLetters) == 0 {
		return nil
	}
	batch.Lease = &l.lease
	var accepted store.Accepted
	err := l.insist(ctx, l.lease.Partition, func(ctx context.Context) (err error) {
		accepted, err = l.Store.Accept(ctx, batch)
		return err
	})
	if err != nil {
		return err
	}
	l.next = batch.NextOffset
	l.Status.accepted(accepted, batch.DeadLetters, ignored)
	l.told.set(l.lease.Partition, l.next)
	return nil
}

// quarantine puts the offsets of a batch that cannot be opened among the dead
// letters and reads on behind it (F7).
func (l *loop) quarantine(ctx context.Context, bad *kafka.BadBatch) error {
	reason := Malformed
	if errors.Is(bad, kafka.ErrInflated) || errors.Is(bad, kafka.ErrRecords) {
		reason = TooLarge
	}
	l.Log.Error("a batch of records cannot be opened; good events may be in it",
		"topic", l.Topic, "partition", l.lease.Partition, "first", bad.First, "last", bad.Last, "err", bad.Err)
	err := l.accept(ctx, store.Batch{
		NextOffset:  max(bad.Last, l.next) + 1,
		DeadLetters: []store.DeadLetter{badBatch(l.Topic, l.lease.Partition, bad, reason, l.Now())},
		Now:         l.Now(),
	}, 0)
	if err != nil {
		return err
	}
	l.Status.fetched(l.lease.Partition, l.next, l.next, l.Now())
	return nil
}
