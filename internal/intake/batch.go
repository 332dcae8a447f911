package intake

import (
	"runtime"
	"sync"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
)

// decodedRecord is what became of one record of a batch: a delivery, nothing, or a
// rejection.
type decodedRecord struct {
	delivery  store.Delivery
	ignored   bool
	rejection *Rejection
}

// worthSharing is how many records a processor must get for itself: decoding one
// takes some 40 µs, starting a goroutine about one.
const worthSharing = 16

// decodeAll decodes the records of a batch of a partition and prepares them for
// the store, in their order, on all processors: strict decoding takes longer than
// the transaction that follows it. It returns when all are done.
func (l *loop) decodeAll(records []kafka.Record) []decodedRecord {
	out := make([]decodedRecord, len(records))
	some := func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = l.decodeOne(records[i])
		}
	}
	workers := min(runtime.GOMAXPROCS(0), len(records)/worthSharing)
	if workers < 2 {
		some(0, len(records))
		return out
	}
	var running sync.WaitGroup
	for w := range workers {
		running.Add(1)
		go func() {
			defer running.Done()
			some(w*len(records)/workers, (w+1)*len(records)/workers)
		}()
	}
	running.Wait()
	return out
}

func (l *loop) decodeOne(r kafka.Record) decodedRecord {
	headers := headersOf(r)
	d, rejection := Decode(FromKafka(headers, r.Key, r.Value), l.Limits)
	if rejection != nil || d.Outcome == Ignored {
		return decodedRecord{ignored: rejection == nil, rejection: rejection}
	}
	delivery := store.Delivery{
		Topic: l.Topic, Partition: l.lease.Partition, Offset: r.Offset, Key: r.Key,
		Headers: headers, Raw: r.Value, ContentHash: d.ContentHash, Event: d.Event,
	}
	if err := delivery.Prepare(); err != nil {
		return decodedRecord{rejection: &Rejection{Reason: Schema, Detail: clean(err.Error()), EventSource: d.Event.Source, EventID: d.Event.ID}}
	}
	return decodedRecord{delivery: delivery}
}
