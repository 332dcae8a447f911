package instrument

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Parts are the parts of the process that count themselves. Each function returns
// a snapshot and is called at every scrape; nil stands for a part that is not
// there, whose metrics are then not served.
type Parts struct {
	Intake   func() Intake
	Backends func() Backends
	OTLP     func() OTLP
	Stored   func(context.Context) (Stored, error)
}

// Intake is what intake from Kafka did since the process started.
type Intake struct {
	State  string
	States []string // all there are

	Events      map[string]int64 // by result
	DeadLetters map[string]int64 // by reason; reasons that did not occur as 0
	Topic       string
	Partitions  []Partition
	LastFetch   time.Time

	LostRecords, FencedBatches, Rejoins int64
}

// A Partition is one of those that are assigned to this process.
type Partition struct {
	Partition int
	Lag       int64
	Stopped   bool
}

// Backends is what the sources were asked since the process started.
type Backends struct {
	Unmerged, Issued, Shared uint64
	Each                     map[string]Backend
}

// A Backend is how one source is asked now.
type Backend struct {
	UnderWay, Waiting, Limit int
	Open                     bool
	Refused                  uint64
}

// OTLP is what the receiver took in since the process started, and what it holds.
type OTLP struct {
	Requests, Accepted          uint64
	Dropped                     map[string]uint64 // by reason
	Services, Resources, Series int
	Streams                     map[string]OTLPStream // spans and logs
	Topics                      []OTLPTopic           // in Kafka; none where none is named
}

// OTLPStream is what became of spans or log records.
type OTLPStream struct {
	Accepted uint64
	Dropped  map[string]uint64 // by reason
	Bytes    int
}

// OTLPTopic is a topic of telemetry.
type OTLPTopic struct {
	Topic   string
	Records map[string]uint64 // by result
	Lag     int64
}

// Stored is what waits in the store.
type Stored struct {
	Outbox      map[string]Waiting // by sink; sinks that wait for nothing as 0
	DeadLetters map[string]int64   // by reason; reasons that did not occur as 0
}

// Waiting is what waits for one sink.
type Waiting struct {
	Messages int64
	Since    time.Time // when the oldest was written
}

// patience is how long a scrape waits for the store.
const patience = 2 * time.Second

// Watch serves what the parts count from now on. It is called once.
func (m *Metrics) Watch(p Parts) { m.registry.MustRegister(&watcher{parts: p, posted: &m.posted}) }

// Posted records an event that came over HTTP, which nobody else counts.
func (m *Metrics) Posted(result string) {
	m.posted.mu.Lock()
	defer m.posted.mu.Unlock()
	m.posted.results[result]++
}

// results are what can become of an event.
var results = []string{"accepted", "duplicate", "conflict", "ignored", "rejected"}

type posted struct {
	mu      sync.Mutex
	results map[string]int64
}

func (p *posted) snapshot() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.results)
}

// A watcher turns snapshots into metrics. It is unchecked (it describes nothing),
// because labels come and go with partitions and sinks.
type watcher struct {
	parts  Parts
	posted *posted
}

func (w *watcher) Describe(chan<- *prometheus.Desc) {}

func (w *watcher) Collect(out chan<- prometheus.Metric) {
	send := func(m Metric, v float64, labels ...string) { out <- m.value(v, labels...) }
	overHTTP := w.posted.snapshot()
	for _, result := range results {
		send(eventsTotal, float64(overHTTP[result]), "http", result)
	}
	letters := map[string]int64{"conflict": overHTTP["conflict"]} // the only ones that HTTP leaves
	if w.parts.Intake != nil {
		in := w.parts.Intake()
		in.collect(send)
		for reason, n := range in.DeadLetters {
			letters[reason] += n
		}
	}
	for reason, n := range letters {
		send(dlqTotal, float64(n), reason)
	}
	if w.parts.Backends != nil {
		w.parts.Backends().collect(send)
	}
	if w.parts.OTLP != nil {
		w.parts.OTLP().collect(send)
	}
	if w.parts.Stored != nil {
		w.stored(send)
	}
}

type sender func(m Metric, v float64, labels ...string)

func (in Intake) collect(send sender) {
	for _, result := range results {
		send(eventsTotal, float64(in.Events[result]), "kafka", result)
	}
	for _, state := range in.States {
		send(intakeState, bit(state == in.State), state)
	}
	send(intakeLastFetch, seconds(in.LastFetch))
	for _, p := range in.Partitions {
		number := strconv.Itoa(p.Partition)
		send(consumerLag, float64(p.Lag), in.Topic, number)
		send(consumerStopped, bit(p.Stopped), in.Topic, number)
	}
	send(consumerGaps, float64(in.LostRecords))
	send(consumerFenced, float64(in.FencedBatches))
	send(consumerRejoined, float64(in.Rejoins))
}

func (b Backends) collect(send sender) {
	send(backendWanted, float64(b.Unmerged))
	send(backendIssued, float64(b.Issued))
	send(backendShared, float64(b.Shared))
	for _, name := range slices.Sorted(maps.Keys(b.Each)) {
		each := b.Each[name]
		send(backendRefused, float64(each.Refused), name)
		send(backendUnderWay, float64(each.UnderWay), name)
		send(backendWaiting, float64(each.Waiting), name)
		send(backendLimit, float64(each.Limit), name)
		send(backendOpen, bit(each.Open), name)
	}
}

func (o OTLP) collect(send sender) {
	send(otlpRequests, float64(o.Requests))
	send(otlpAccepted, float64(o.Accepted))
	for _, reason := range slices.Sorted(maps.Keys(o.Dropped)) {
		send(otlpDropped, float64(o.Dropped[reason]), reason)
	}
	for _, signal := range slices.Sorted(maps.Keys(o.Streams)) {
		stream := o.Streams[signal]
		send(otlpItems, float64(stream.Accepted), signal)
		for _, reason := range slices.Sorted(maps.Keys(stream.Dropped)) {
			send(otlpLost, float64(stream.Dropped[reason]), signal, reason)
		}
		send(otlpHeld, float64(stream.Bytes), signal)
	}
	send(otlpServices, float64(o.Services))
	send(otlpResources, float64(o.Resources))
	send(otlpSeries, float64(o.Series))
	for _, t := range o.Topics {
		for _, result := range slices.Sorted(maps.Keys(t.Records)) {
			send(otlpTopicRecords, float64(t.Records[result]), t.Topic, result)
		}
		send(otlpTopicLag, float64(t.Lag), t.Topic)
	}
}

// stored leaves out what a store that does not answer would have said: an old
// number, or a 0, would be believed.
func (w *watcher) stored(send sender) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := w.parts.Stored(ctx)
	send(storeUp, bit(err == nil))
	if err != nil {
		return
	}
	for sink, waiting := range s.Outbox {
		send(outboxPending, float64(waiting.Messages), sink)
		if waiting.Messages > 0 && !waiting.Since.IsZero() {
			send(outboxOldest, seconds(waiting.Since), sink)
		}
	}
	for reason, n := range s.DeadLetters {
		send(dlqKept, float64(n), reason)
	}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
