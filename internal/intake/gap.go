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
		return l.short(ctx)
	}
	return nil // it has changed in between: fetch again
}

// patience is how long a log may end before what was read of it. A leader that has
// just taken office does not know yet how far its followers are and hides its last
// records for a moment.
const patience = 5 * time.Second

// short waits for the end of the log to come back, and stops the partition if it
// does not.
func (l *loop) short(ctx context.Context) error {
	l.doubt = true
	for since := l.Now(); ; {
		first, end, err := l.client.Offsets(ctx, l.Topic, l.lease.Partition)
		switch {
		case err != nil:
			return err
		case end >= l.next:
			return nil // which log it is will be seen
		case l.Now().Sub(since) >= patience:
			return l.stop(ctx, first, end)
		}
		l.Status.failed(l.lease.Partition, fmt.Errorf("the log ends at %d, it was read up to %d; waiting for the rest", end, l.next))
		if !sleep(ctx, backoffMin) {
			return ctx.Err()
		}
	}
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
