package intake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// readAlone reads every partition, without a consumer group, until ctx is done, the
// number of partitions changes or the watchdog barks. A group shares partitions out
// among processes; where one process has the store there is nobody to share with,
// and a group would make each restart wait until the broker has given up the member
// that was killed: a session of seconds, in which no event is read.
func (r *runner) readAlone(ctx context.Context, pause *backoff) {
	topic, err := r.look(ctx)
	n := topic.partitions
	if err == nil && n == 0 {
		err = fmt.Errorf("topic %s does not exist", r.Topic)
	}
	if err != nil {
		if ctx.Err() == nil {
			r.Status.lost(err)
			r.client.Refresh() // kafka-go answers from memory for seconds
			pause.wait(ctx)
		}
		return
	}
	pause.reset()
	partitions := make([]int, n)
	for p := range partitions {
		partitions[p] = p
	}
	r.Status.joined(partitions, r.Now())
	r.Log.Info("intake reads all partitions", "topic", r.Topic, "partitions", n)
	ctx, stop := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop()
	start := func(loop func(context.Context)) {
		loops.Go(func() {
			defer stop() // as in a generation, the end of one is the end of all
			loop(ctx)
		})
	}
	told := newProgress()
	for _, p := range partitions {
		start(func(ctx context.Context) { r.handle(ctx, p, told) })
	}
	start(r.watch)
	start(func(ctx context.Context) { told.commit(ctx, r.commitAlone, r.Log) })
	for sleep(ctx, time.Second) {
		if r.Status.stalled(r.Now(), r.Watchdog) {
			r.Status.count(func(c *Counts) { c.Rejoined++ })
			r.Log.Error("intake has read nothing for too long and begins anew", "after", r.Watchdog, "stacks", stacks())
			return
		}
	}
}

// commitAlone tells Kafka offsets as a consumer without a group does.
func (r *runner) commitAlone(ctx context.Context, offsets map[int]int64) error {
	request := &kafkago.OffsetCommitRequest{GroupID: r.Group, GenerationID: -1, Topics: map[string][]kafkago.OffsetCommit{}}
	for partition, next := range offsets {
		request.Topics[r.Topic] = append(request.Topics[r.Topic], kafkago.OffsetCommit{Partition: partition, Offset: next})
	}
	ctx, cancel := context.WithTimeout(ctx, backoffMax)
	defer cancel()
	response, err := r.client.API().OffsetCommit(ctx, request)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range response.Topics[r.Topic] {
		errs = append(errs, p.Error)
	}
	return errors.Join(errs...)
}
