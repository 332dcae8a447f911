package intake

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// handle reads a partition until its generation ends, and watches over its reader:
// the heartbeat of a consumer group says nothing of a handler that hangs (P25). One
// that has given no sign of life for the watchdog's time is left to itself, and the
// partition is acquired anew, which fences whatever it may still write. Other
// partitions are not touched. What hangs twice at one offset would hang for ever:
// the partition is stopped until an operator has chosen.
func (r *runner) handle(ctx context.Context, partition int, told *progress) {
	const none = -1
	for hung := int64(none); !r.attend(ctx, partition, told); {
		next := r.Status.next(partition)
		if next != hung {
			hung = next
			continue
		}
		err := r.hangs(ctx, partition, next)
		if !errors.Is(err, errReset) {
			return
		}
		hung = none
	}
}

// hangs stops a partition whose reader hung twice.
func (r *runner) hangs(ctx context.Context, partition int, next int64) error {
	id, err := r.topicID(ctx, partition)
	if err != nil {
		return err
	}
	lease, err := r.acquire(ctx, partition, id) // fences the second one too
	if err != nil {
		return err
	}
	text := fmt.Sprintf("reading the records from offset %d on hung twice for %v", next, r.Watchdog)
	return r.await(ctx, partition, lease.Epoch, next, next, text)
}

// attend runs a reader and reports whether it has ended; false: it hangs.
func (r *runner) attend(ctx context.Context, partition int, told *progress) (ended bool) {
	ctx, release := context.WithCancel(ctx)
	defer release()
	done := make(chan struct{})
	r.Status.alive(partition)
	go func() {
		defer close(done)
		r.read(ctx, partition, told)
	}()
	check := time.NewTicker(max(r.Watchdog/10, time.Millisecond))
	defer check.Stop()
	for looked := time.Now(); ; looked = time.Now() {
		select {
		case <-done:
			return true
		case <-ctx.Done():
			// Who hangs must not keep the others from the next generation (P24).
			select {
			case <-done:
			case <-time.After(stopGrace):
				r.Log.Error("the reader of a partition does not end and is left behind", "topic", r.Topic, "partition", partition, "stacks", stacks())
			}
			return true
		case <-check.C:
			if time.Since(looked) > r.Watchdog/2 { // the whole process was stopped, and its reader with it
				r.Status.alive(partition)
			}
			if r.Status.silence(partition) <= r.Watchdog {
				continue
			}
			r.Status.count(func(c *Counts) { c.Released++ })
			r.Status.failed(partition, fmt.Errorf("reading hung for %v and is begun anew", r.Watchdog))
			r.Log.Error("reading a partition hangs and is begun anew", "topic", r.Topic, "partition", partition, "after", r.Watchdog, "stacks", stacks())
			return false
		}
	}
}

// stacks returns the stacks of the goroutines of intake.
func stacks() string {
	b := make([]byte, 1<<20)
	var out []string
	for stack := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(stack, "internal/intake.") {
			out = append(out, stack)
		}
	}
	text := strings.Join(out, "\n\n")
	return text[:min(len(text), 64<<10)]
}
