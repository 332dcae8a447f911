package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
)

// A topicState is what the watch compares: a topic that is created anew has another
// id, one that grows has more partitions.
type topicState struct {
	partitions int    // 0: it does not exist; -1: nobody has looked yet
	id         string // empty: the brokers have no ids
}

// look asks the cluster for the state of the topic. The id is asked for first, on a
// connection of its own, because kafka-go says of a cluster that lets nobody in that
// the topic is not found.
func (r *runner) look(ctx context.Context) (topicState, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*backoffMax)
	defer cancel()
	state, err := r.ask(ctx)
	r.Status.access(err)
	if err != nil {
		return topicState{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.topic = state
	return state, nil
}

func (r *runner) ask(ctx context.Context) (state topicState, err error) {
	if !r.Embedded { // whose log is known by its records
		state.id, err = r.client.TopicID(ctx, r.Topic)
	}
	if err == nil {
		state.partitions, err = r.client.Partitions(ctx, r.Topic)
	}
	if errors.Is(err, kafkago.UnknownTopicOrPartition) {
		return topicState{}, nil
	}
	return state, err
}

func (r *runner) seen() topicState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.topic
}

// topicID returns the id of the topic as the watch saw it last, and waits for the
// first look: a partition that is acquired without it may be of another topic.
func (r *runner) topicID(ctx context.Context, partition int) (string, error) {
	var pause backoff
	for {
		state, err := r.seen(), error(nil)
		if state.partitions < 0 {
			state, err = r.look(ctx)
		}
		if err == nil {
			return state.id, nil
		}
		r.Status.failed(partition, err)
		if !pause.wait(ctx) {
			return "", ctx.Err()
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

func fingerprintOf(r kafka.Record) fingerprint {
	return fingerprint{true, r.Offset, sha256.Sum256(fmt.Appendf(nil, "%d %d %s %s", r.Time.UnixMilli(), len(r.Key), r.Key, r.Value))}
}

func (r *runner) recall(partition int) fingerprint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fingerprints[partition]
}

func (r *runner) remember(partition int, f fingerprint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fingerprints == nil {
		r.fingerprints = map[int]fingerprint{}
	}
	r.fingerprints[partition] = f
}

// note remembers the last record of what was stored.
func (l *loop) note(f kafka.Fetched) {
	if n := len(f.Batches); n > 0 {
		records := f.Batches[n-1].Records
		l.last = fingerprintOf(records[len(records)-1])
		l.remember(l.lease.Partition, l.last)
	}
}

// recognise looks after an outage whether this is still the log that was read
// before: whether the topic has its id, and whether the record that was read last
// is where it was. So a topic that was created anew, or a log that has lost its end,
// gives itself away even when it has grown past our offset in the meantime.
func (l *loop) recognise(ctx context.Context) error {
	state, err := l.look(ctx)
	if err != nil {
		return err
	}
	if state.id != l.topicID {
		return errReset // to be acquired under the new id, which the store refuses
	}
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
	if len(f.Batches) > 0 && fingerprintOf(f.Batches[0].Records[0]) == l.last {
		return nil
	}
	if l.Embedded {
		return l.startOver(ctx, f.LogStart, f.End)
	}
	return l.stop(ctx, f.LogStart, f.End)
}
