package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/release-assay/assay/internal/store"
)

// outOfRange tells two things apart that a broker answers alike: the log begins
// behind our offset (retention, DeleteRecords: F10), or it ends before it (the
// topic was created anew, or an election was unclean: F11).
func (l *loop) outOfRange(ctx context.Context) error {
	first, end, err := l.client.Offsets(ctx, l.Topic, l.lease.Partition)
	switch {
	case err != nil:
		return err
	case first > l.next:
		return l.gap(ctx, first)
	case end < l.next && l.Embedded:
		return l.startOver(ctx, first, end)
	case end < l.next:
		return l.stop(ctx, first, end)
	}
	return nil // it has changed in between: fetch again
}

// gap records that offsets were gone before they could be read, and goes on. The
// gap comes first: should the process end in between, it is found again and
// written to the same row.
func (l *loop) gap(ctx context.Context, first int64) error {
	p := l.lease.Partition
	l.Log.Error("events were gone before they could be read", "topic", l.Topic, "partition", p, "from", l.next, "to", first)
	err := l.insist(ctx, p, func(ctx context.Context) error {
		return l.Store.AddGap(ctx, store.Gap{Topic: l.Topic, Partition: p, From: l.next, To: first, At: l.Now()})
	})
	if err != nil {
		return err
	}
	lost := first - l.next
	if err := l.accept(ctx, store.Batch{NextOffset: first, Now: l.Now()}, 0); err != nil {
		return err
	}
	l.Status.count(func(c *Counts) { c.Gaps += lost })
	return nil
}

// startOver goes back to the beginning of the log of the embedded broker. Its end
// would do if only its tail was lost, but not if it was deleted and written anew;
// what comes twice is a duplicate.
func (l *loop) startOver(ctx context.Context, first, end int64) error {
	p, now := l.lease.Partition, l.Now()
	l.Log.Warn("the log of the embedded broker ends before what was read of it; it is read from its beginning",
		"topic", l.Topic, "partition", p, "read", l.next, "end", end)
	body, err := json.Marshal(map[string]int64{"from": l.next, "to": first, "end": end})
	if err != nil {
		return err
	}
	err = l.insist(ctx, p, func(ctx context.Context) error {
		return l.Store.ResetPartition(ctx, store.Reset{Topic: l.Topic, Partition: p, NextOffset: first, Now: now, Audit: store.AuditEntry{
			At: now, Actor: "assay", Action: "intake.reset", Subject: fmt.Sprintf("%s/%d", l.Topic, p), Body: body,
		}})
	})
	if err != nil {
		return err
	}
	return errReset
}

// stopped is how often a stopped partition looks whether an operator has decided.
const stopped = 2 * time.Second

// stop reads no further until an operator chooses where to go on (rewind or skip,
// Store.ResetPartition): either choice made by us could lose events or judge a
// deployment twice. It returns errReset once that was done. Returning earlier
// would end the generation, and with it the reading of all other partitions.
func (l *loop) stop(ctx context.Context, first, end int64) error {
	p := l.lease.Partition
	text := fmt.Sprintf("the log has the offsets %d to %d, but %d were read of it: the topic was created anew or has lost its end; choose where to go on", first, end, l.next)
	l.Log.Error("a partition is stopped", "topic", l.Topic, "partition", p, "err", text)
	for {
		l.Status.update(p, func(s *PartitionStatus) { s.Stopped, s.Error, s.Next, s.End = true, text, l.next, end })
		if !sleep(ctx, stopped) {
			return ctx.Err()
		}
		lease, err := l.acquire(ctx, p)
		if err != nil {
			return err
		}
		if lease.Epoch > l.lease.Epoch+1 { // somebody else has touched it in between
			l.Status.update(p, func(s *PartitionStatus) { s.Stopped, s.Error = false, "" })
			return errReset
		}
		l.lease = lease
	}
}
