package intake

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
)

// How much of a refused record is kept, so that all of it fits into one record of
// the topic of dead letters.
const (
	maxKept    = 256 << 10 // of the value, and of all headers
	maxKeptKey = 32 << 10
)

// Reasons are all reasons of dead letters.
var Reasons = []Reason{Malformed, Schema, UnsupportedSchema, Conflict, Orphan, Unauthorised, Quarantined, TooLarge, Poison}

// letterPrefix begins the headers that a record of the topic of dead letters has
// beside its own.
const letterPrefix = "assay-dlq-"

// deadLetter returns the row for a refused record.
func deadLetter(topic string, partition int, r kafka.Record, rejection *Rejection, now time.Time) store.DeadLetter {
	d := store.DeadLetter{
		Reason: string(rejection.Reason), Error: rejection.Error(), Topic: topic, Partition: partition, Offset: r.Offset, LastOffset: r.Offset,
		Key: r.Key, Value: r.Value, Headers: headersOf(r), EventSource: rejection.EventSource, EventID: rejection.EventID,
		DeploymentID: rejection.DeploymentID, At: now,
	}
	if len(d.Value) > maxKept {
		d.Error += fmt.Sprintf(" (%d bytes of the value are kept)", maxKept)
		d.Value = d.Value[:maxKept]
	}
	if len(d.Key) > maxKeptKey {
		d.Key = d.Key[:maxKeptKey]
	}
	size := 0
	for i, h := range d.Headers {
		if size += len(h.Key) + len(h.Value); size > maxKept {
			d.Headers = d.Headers[:i]
			break
		}
	}
	return d
}

// badBatch returns the row for a batch that could not be opened. Its records are
// lost to Assay, good ones among them: somebody has to look.
func badBatch(topic string, partition int, b *kafka.BadBatch, reason Reason, now time.Time) store.DeadLetter {
	return store.DeadLetter{
		Reason: string(reason), Error: fmt.Sprintf("the batch of offsets %d to %d cannot be opened, good events may be in it: %v", b.First, b.Last, b.Err),
		Topic: topic, Partition: partition, Offset: b.First, LastOffset: b.Last, At: now,
	}
}

func headersOf(r kafka.Record) []store.Header {
	if len(r.Headers) == 0 {
		return nil
	}
	headers := make([]store.Header, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = store.Header(h)
	}
	return headers
}

// ForwardTo returns the function that feeds the topic of dead letters through the
// outbox of the named sink: the record as it came, with headers that say what was
// wrong with it. The table of dead letters is the record; the topic is for others
// to read. Headers that look like ours and came with the record are left out, so
// that each of ours is there once and true.
func ForwardTo(sink string) func(store.DeadLetter) store.OutboxMessage {
	return func(d store.DeadLetter) store.OutboxMessage {
		at := d.At.UTC().Format(time.RFC3339Nano)
		m := store.OutboxMessage{
			Sink: sink, Key: string(d.Key), Payload: d.Value, CreatedAt: d.At,
			MessageID: analysis.DeriveID("dead-letter", d.Topic, strconv.Itoa(d.Partition), strconv.FormatInt(d.Offset, 10), strconv.FormatInt(d.ID, 10), at),
		}
		for _, h := range d.Headers {
			if !strings.HasPrefix(h.Key, letterPrefix) {
				m.Headers = append(m.Headers, h)
			}
		}
		for _, h := range [][2]string{
			{"reason", d.Reason},
			{"error", d.Error},
			{"topic", d.Topic},
			{"partition", strconv.Itoa(d.Partition)},
			{"offset", strconv.FormatInt(d.Offset, 10)},
			{"last-offset", strconv.FormatInt(d.LastOffset, 10)},
			{"attempts", "1"},
			{"timestamp", at},
		} {
			m.Headers = append(m.Headers, store.Header{Key: letterPrefix + h[0], Value: []byte(h[1])})
		}
		return m
	}
}
