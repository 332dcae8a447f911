package intake

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/release-assay/assay/internal/kafka"
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
		l.Status.failed(l.lease.Partition, fmt.Errorf("the log ends at %d, %d were read of it; waiting for the rest", end, l.next))
		if !sleep(ctx, backoffMin) {
			return ctx.Err()
		}
	}
}

// A fingerprint is the record of a partition that this process has read last; none
// at first. It outlives generations, because an outage ends them.
type fingerprint struct {
	known  bool
	offset int64
	sum    [sha256.Size]byte
}

// fingerprint returns that of a partition, for the one loop that reads it.
func (r *runner) fingerprint(partition int) *fingerprint {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fingerprints == nil {
		r.fingerprints = map[int]*fingerprint{}
	}
	f := r.fingerprints[partition]
	if f == nil {
		f = &fingerprint{}
		r.fingerprints[partition] = f
	}
	return f
}

func (p *fingerprint) note(f kafka.Fetched) {
	if n := len(f.Batches); n > 0 {
		records := f.Batches[n-1].Records
		*p = fingerprintOf(records[len(records)-1])
	}
}

func fingerprintOf(r kafka.Record) fingerprint {
	return fingerprint{true, r.Offset, sha256.Sum256(fmt.Appendf(nil, "%d %d %s %s", r.Time.UnixMilli(), len(r.Key), r.Key, r.Value))}
}

// recognise looks after an outage whether the record that was read last is still
// there. Its absence is how a topic that was created anew, and has grown past our
// offset in the meantime, gives itself away.
func (l *loop) recognise(ctx context.Context) error {
	if !l.last.known {
		return nil
	}
	f, err := l.client.Fetch(ctx, kafka.Position{Topic: l.Topic, Partition: l.lease.Partition, Offset: l.last.offset})
	if errors.Is(err, kafka.ErrOffsetOutOfRange) {
		first, end, err := l.client.Offsets(ctx, l.Topic, l.lease.Partition)
		switch {
		case err != nil:
			return err
		case first > l.last.offset:
			return nil // retention has taken it: nothing can be said
		case l.Embedded:
			return l.startOver(ctx, first, end)
		}
		return l.stop(ctx, first, end)
	}
	if err != nil {
		return err
	}
	if len(f.Batches) > 0 && fingerprintOf(f.Batches[0].Records[0]) == *l.last {
		return nil
	}
	if l.Embedded {
		return l.startOver(ctx, f.LogStart, f.End)
	}
	return l.stop(ctx, f.LogStart, f.End)
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
	text := fmt.Sprintf("the log has the offsets %d to %d and is not the one of which %d were read: the topic was created anew or has lost its end; choose where to go on", first, end, l.next)
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
