package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// A Position is where to read.
type Position struct {
	Topic     string
	Partition int
	Offset    int64
}

// A Fetched is what a broker had at a position.
type Fetched struct {
	LogStart int64   // first offset that the log still has
	End      int64   // offset that its next record will get
	Next     int64   // where to read on; counts control batches too
	Batches  []Batch // without control batches
}

// A Batch is what a producer sent in one request.
type Batch struct {
	First, Last   int64 // of its records
	Transactional bool  // may belong to a transaction that was aborted
	Records       []Record
}

// A Record is one message of a batch. Its bytes are copies.
type Record struct {
	Offset  int64
	Time    time.Time
	Key     []byte
	Value   []byte
	Headers []Header
}

// A Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

const (
	maxWait  = 500 * time.Millisecond // how long a broker may wait for records; bounds shutdown (P15)
	maxBytes = 1 << 20
)

// ErrOffsetOutOfRange says that the log does not have the position: ask Offsets
// on which side it lies.
var ErrOffsetOutOfRange = kafkago.OffsetOutOfRange

// Fetch reads once. It waits at most half a second for records and returns none
// when there are none. Records before the position, which brokers send when it
// lies inside a batch, are left out. A batch that must not be decoded is a
// *BadBatch; what stood before it has been returned by an earlier call.
//
// kafka-go reads uncommitted and does not tell which transactions were aborted
// (open point a of reliability 8), but its batches carry the attribute: the caller
// refuses what is Transactional.
func (c *Client) Fetch(ctx context.Context, p Position) (Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := c.api.Fetch(ctx, &kafkago.FetchRequest{
		Topic: p.Topic, Partition: p.Partition, Offset: p.Offset,
		MinBytes: 1, MaxBytes: maxBytes, MaxWait: maxWait,
	})
	if err != nil {
		return Fetched{}, err
	}
	f := Fetched{LogStart: r.LogStartOffset, End: r.HighWatermark, Next: p.Offset}
	if r.Error != nil {
		return f, r.Error
	}
	stream, ok := r.Records.(*protocol.RecordStream)
	if !ok {
		return f, nil // none
	}
	for _, reader := range stream.Records {
		switch batch := reader.(type) {
		case *protocol.ControlBatch:
			// A commit or abort marker: one record, never parsed. Stepping over it
			// is what keeps a log that ends in one from being fetched for ever.
			f.Next = max(f.Next, batch.BaseOffset+1)
		case *protocol.RecordBatch:
			if err := f.add(p.Offset, batch); err != nil {
				return f, err
			}
		default:
			return f, fmt.Errorf("kafka: fetch returned a %T", reader)
		}
	}
	return f, nil
}

func (f *Fetched) add(from int64, batch *protocol.RecordBatch) error {
	b := Batch{First: batch.BaseOffset, Last: batch.BaseOffset, Transactional: batch.Attributes.Transactional()}
	for {
		r, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("kafka: read record after %d: %w", b.Last, err)
		}
		b.Last = max(b.Last, r.Offset)
		if r.Offset < from {
			continue
		}
		record := Record{Offset: r.Offset, Time: r.Time}
		if record.Key, err = bytesOf(r.Key); err != nil {
			return err
		}
		if record.Value, err = bytesOf(r.Value); err != nil {
			return err
		}
		if len(r.Headers) > 0 {
			record.Headers = make([]Header, len(r.Headers))
			for i, h := range r.Headers {
				record.Headers[i] = Header(h)
			}
		}
		b.Records = append(b.Records, record)
	}
	f.Next = max(f.Next, b.Last+1)
	if len(b.Records) > 0 {
		f.Batches = append(f.Batches, b)
	}
	return nil
}

// bytesOf copies a field and gives kafka-go's page back.
func bytesOf(b protocol.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close()
	return protocol.ReadAll(b)
}
