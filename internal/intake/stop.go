package intake

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/internal/store"
)

// stopped is how often a stopped partition looks whether an operator has decided.
const stopped = 2 * time.Second

// stop reads no further until an operator chooses where to go on (Resume): either
// choice made by us could lose events or judge a deployment twice.
func (l *loop) stop(ctx context.Context, first, end int64) error {
	text := fmt.Sprintf("the log has the offsets %d up to %d and is not the one that was read up to %d: the topic was created anew or has lost its end", first, end, l.next)
	return l.await(ctx, l.lease.Partition, l.lease.Epoch, l.next, end, text)
}

// recreated is stop for a partition that could not be acquired, because its topic
// has another id than the one that was read.
func (r *runner) recreated(ctx context.Context, partition int, topicID string, cause error) error {
	var next int64
	err := r.insist(ctx, partition, func(ctx context.Context) (err error) {
		next, err = r.Store.StoredOffset(ctx, r.Topic, partition)
		return err
	})
	if err != nil {
		return err
	}
	if next == 0 { // of which nothing was read: nothing can be lost or come twice
		err := r.insist(ctx, partition, func(ctx context.Context) error {
			return resume(ctx, r.Store, r.Topic, topicID, Resumed{Partition: partition}, Choice{By: "assay", Reason: cause.Error()}, r.Now())
		})
		if err != nil {
			return err
		}
		return errReset
	}
	// Nothing acquires it but after a choice, or when the old topic is back.
	return r.await(ctx, partition, math.MinInt64, next, 0, cause.Error())
}

// await tells that the partition is stopped until somebody else than us has touched
// its lease, which was at the given epoch. It returns errReset then. Returning
// earlier would end the generation, and with it the reading of all other partitions.
func (r *runner) await(ctx context.Context, partition int, epoch, next, end int64, text string) error {
	text = "stopped until 'assay ingest resume' says where to go on: " + text
	r.Log.Error("a partition is stopped", "topic", r.Topic, "partition", partition, "err", text)
	for {
		r.Status.update(partition, func(s *PartitionStatus) { s.Stopped, s.Error, s.Next, s.End = true, text, next, end })
		if !sleep(ctx, stopped) {
			return ctx.Err()
		}
		id, err := r.topicID(ctx, partition)
		if err != nil {
			return err
		}
		lease, err := r.acquire(ctx, partition, id)
		switch {
		case errors.Is(err, store.ErrTopicRecreated):
		case err != nil:
			return err
		case lease.Epoch > epoch+1:
			r.Status.update(partition, func(s *PartitionStatus) { s.Stopped, s.Error = false, "" })
			return errReset
		default:
			epoch = lease.Epoch
		}
	}
}
