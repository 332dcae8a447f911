package otlp

import (
	"context"
	"errors"
	"fmt"

	"github.com/release-assay/assay/internal/kafka"
)

// A partitionReader reads one partition. It fetches on only when all that it has is
// taken: where the memory is full, the topic is the queue.
type partitionReader struct {
	*topicReader
	readTopic
	at    place
	pause pauses
}

func (p *partitionReader) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := p.step(ctx)
		if err == nil {
			p.pause = pauses{}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		p.client.Refresh()
		p.status.failed(p.at, err)
		if p.pause.next == 0 {
			p.Log.Warn("a partition of an OTLP topic cannot be read", "topic", p.at.topic, "partition", p.at.partition, "err", err)
		}
		if !p.pause.wait(ctx) {
			return
		}
	}
}

// step fetches once and takes what there is.
func (p *partitionReader) step(ctx context.Context) error {
	next, err := p.position(ctx)
	if err != nil {
		return err
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	fetched, err := p.client.Fetch(ctx, kafka.Position{Topic: p.at.topic, Partition: p.at.partition, Offset: next})
	var bad *kafka.BadBatch
	switch {
	case errors.As(err, &bad):
		p.status.count(p.at.topic, func(c *TopicCounts) { c.BadBatches++ })
		p.Log.Error("a batch of an OTLP topic cannot be opened and is skipped", "topic", p.at.topic, "partition", p.at.partition, "first", bad.First, "last", bad.Last, "err", bad.Err)
		p.move(max(bad.Last, next) + 1)
		return nil
	case errors.Is(err, kafka.ErrOffsetOutOfRange):
		return p.outOfRange(ctx, next)
	case err != nil:
		return err
	}
	if fetched.LogStart > next {
		p.gap(next, fetched.LogStart)
		return nil
	}
	for _, batch := range fetched.Batches {
		for _, record := range batch.Records {
			if err := p.take(ctx, batch.Transactional, record); err != nil {
				return err
			}
			p.move(record.Offset + 1)
		}
	}
	p.move(fetched.Next)
	p.status.fetched(p.at, max(0, fetched.End-fetched.Next))
	return nil
}

// position is where this process stopped, or else where it begins.
func (p *partitionReader) position(ctx context.Context) (int64, error) {
	p.mu.Lock()
	next, known := p.next[p.at]
	p.mu.Unlock()
	if known {
		return next, nil
	}
	from := p.Now().Add(-tail)
	if needed := p.From(); !needed.IsZero() && needed.Before(from) {
		from = needed
	}
	next, err := p.client.OffsetAt(ctx, p.at.topic, p.at.partition, from.Add(-skew))
	if err != nil {
		return 0, fmt.Errorf("seek to %v: %w", from, err)
	}
	p.Log.Info("a partition of an OTLP topic is read", "topic", p.at.topic, "partition", p.at.partition, "from", from, "offset", next)
	p.move(next)
	return next, nil
}

func (p *partitionReader) move(next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topicReader.next[p.at] = next
}

// outOfRange finds a place in a log that does not have ours: it was deleted up to a
// later one, or the topic was created anew.
func (p *partitionReader) outOfRange(ctx context.Context, next int64) error {
	first, _, err := p.client.Offsets(ctx, p.at.topic, p.at.partition)
	if err != nil {
		return err
	}
	if next < first {
		p.gap(next, first)
		return nil
	}
	p.Log.Warn("an OTLP topic ends before what was read of it: it was created anew", "topic", p.at.topic, "partition", p.at.partition, "offset", next)
	p.mu.Lock()
	delete(p.topicReader.next, p.at)
	p.mu.Unlock()
	return nil
}

// gap steps over records that were deleted before they were read. What they held is
// missing, and counts as that.
func (p *partitionReader) gap(next, first int64) {
	p.status.count(p.at.topic, func(c *TopicCounts) { c.Lost += uint64(first - next) })
	p.Log.Error("records of an OTLP topic were deleted before they were read: its retention is too short, or this process too slow", "topic", p.at.topic, "partition", p.at.partition, "records", first-next)
	p.move(first)
}

// take takes in one record. It returns only when the record is done with, or ctx is.
func (p *partitionReader) take(ctx context.Context, transactional bool, record kafka.Record) error {
	var again pauses
	for {
		err := error(nil)
		switch {
		case transactional:
			err = &refusal{errors.New("it was written in a transaction, which may have been aborted")}
		case len(record.Value) == 0: // a tombstone, or a batch without telemetry
			p.status.count(p.at.topic, func(c *TopicCounts) { c.Empty++ })
			return nil
		default:
			// Not stopped halfway: what is counted must not be read again.
			err = p.record(p.source, context.WithoutCancel(ctx), record.Value)
		}
		switch {
		case err == nil:
			p.status.count(p.at.topic, func(c *TopicCounts) { c.Records++ })
			return nil
		case isRefusal(err):
			if p.status.count(p.at.topic, func(c *TopicCounts) { c.Refused++ }).Refused%1000 == 1 { // not one line for each
				p.Log.Error("a record of an OTLP topic cannot be read and is skipped", "topic", p.at.topic, "partition", p.at.partition, "offset", record.Offset, "err", err)
			}
			return nil
		}
		p.status.failed(p.at, err)
		if !again.wait(ctx) {
			return ctx.Err()
		}
	}
}

// record takes in what a record holds, which is not nothing. The Collector's two
// encodings are told apart by the first byte: a request in protobuf begins with the tag
// of its first field, which is a newline; no other white space is one.
func (g signal) record(s *Source, ctx context.Context, value []byte) error {
	contentType := typeProto
	switch value[0] {
	case '{', ' ', '\t', '\r':
		contentType = typeJSON
	}
	_, err := g.take(s, ctx, contentType, value)
	return err
}
