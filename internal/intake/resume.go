package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
)

// A From is where a stopped partition goes on: an offset, or one of these.
type From int64

const (
	// FromFirst goes back to the first record that the log has. Events that are known
	// already are recognised; a deployment whose event was rewritten is judged anew.
	FromFirst From = -2
	// FromEnd leaves out what the log holds now. Deployments that are announced there
	// are not judged.
	FromEnd From = -1
)

// A Choice is what an operator decides for partitions that are stopped.
type Choice struct {
	Partition *int // nil: all that are stopped
	From      From
	By        string
	Reason    string
}

// A Resumed is what became of one partition.
type Resumed struct {
	Partition int   `json:"partition"`
	Was       int64 `json:"was"`  // the next offset before
	Next      int64 `json:"next"` // and now
}

// ErrNotStopped says that there is nothing to choose: a partition that is being read
// is not moved.
var ErrNotStopped = errors.New("not stopped")

// ErrNoOffset says that the log does not have the offset that was chosen.
var ErrNoOffset = errors.New("no such offset")

// Resume sets where stopped partitions go on, writes who chose it into the audit log
// and fences their readers, which notice within seconds. Partitions that are not
// stopped are refused with ErrNotStopped, offsets that the log does not have with
// ErrNoOffset. With an error some partitions may have been resumed
// before it; those are returned.
func Resume(ctx context.Context, config kafka.Config, s Store, status Snapshot, choice Choice, now time.Time) ([]Resumed, error) {
	var chosen []PartitionStatus
	for _, p := range status.Partitions {
		if p.Stopped && (choice.Partition == nil || *choice.Partition == p.Partition) {
			chosen = append(chosen, p)
		}
	}
	switch {
	case len(chosen) == 0 && choice.Partition != nil:
		return nil, fmt.Errorf("partition %d of %s is %w", *choice.Partition, status.Topic, ErrNotStopped)
	case len(chosen) == 0:
		return nil, fmt.Errorf("there is nothing to resume: the partitions of %s are %w", status.Topic, ErrNotStopped)
	}
	client, err := kafka.Connect(config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	id, err := client.TopicID(ctx, status.Topic)
	if err != nil {
		return nil, err
	}
	var done []Resumed
	for _, p := range chosen {
		next, err := choice.From.offset(ctx, client, status.Topic, p.Partition)
		if err != nil {
			return done, err
		}
		one := Resumed{Partition: p.Partition, Was: p.Next, Next: next}
		if err := resume(ctx, s, status.Topic, id, one, choice, now); err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

// offset is f in the log of a partition as it is now.
func (f From) offset(ctx context.Context, client *kafka.Client, topic string, partition int) (int64, error) {
	first, end, err := client.Offsets(ctx, topic, partition)
	switch {
	case err != nil:
		return 0, err
	case f == FromFirst:
		return first, nil
	case f == FromEnd:
		return end, nil
	case int64(f) < first || int64(f) > end:
		return 0, fmt.Errorf("%w: %d in %s/%d; legal are %d to %d", ErrNoOffset, f, topic, partition, first, end)
	}
	return int64(f), nil
}

func resume(ctx context.Context, s Store, topic, id string, r Resumed, choice Choice, now time.Time) error {
	body, err := json.Marshal(struct {
		Resumed
		TopicID string `json:"topicId,omitzero"`
		Reason  string `json:"reason,omitzero"`
	}{r, id, choice.Reason})
	if err != nil {
		return err
	}
	return s.ResetPartition(ctx, store.Reset{
		Topic: topic, Partition: r.Partition, TopicID: id, NextOffset: r.Next, Now: now,
		Audit: store.AuditEntry{At: now, Actor: choice.By, Action: "ingest.resumed", Subject: fmt.Sprintf("%s/%d", topic, r.Partition), Body: body},
	})
}
