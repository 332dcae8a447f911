package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/release-assay/assay/internal/kafka"
)

// A TopicsConfig says which Kafka topics hold export requests, as the kafka exporter of
// the OpenTelemetry Collector writes them (encodings otlp_proto and otlp_json; its
// max_message_bytes at most 4 MiB, which is as large as an inflated batch may be).
type TopicsConfig struct {
	Kafka                kafka.Config
	Spans, Logs, Metrics string // names of the topics; empty: not read
	// Group is the consumer group in which processes find out who reads. Empty: nobody
	// else can, and no group is joined.
	Group string
	// From is the time from which telemetry is still needed; the zero time if none of
	// the past is. It is asked when a partition is first read.
	From func() time.Time
	Now  func() time.Time
	Log  *slog.Logger // nil: none

	SessionTimeout time.Duration // of the group; zero: 10 s
	Watch          time.Duration // between looks for new topics and partitions; zero: 5 s
}

// What else is fixed about reading topics.
const (
	// tail is read where nothing of the past is needed: what is under way.
	tail = 5 * time.Minute
	// skew is how far the clock that stamps records may be ahead of those of spans.
	skew = 2 * time.Minute
	// maxFetches bounds how many partitions are fetched, or what they had is handled, at
	// once. Each takes at most 16 MiB (internal/kafka).
	maxFetches = 16
	// stopTopics bounds the end of ReadTopics, whatever the brokers do.
	stopTopics = 1500 * time.Millisecond

	pauseMin, pauseMax = 100 * time.Millisecond, 2 * time.Second
)

// Topics returns the names of the topics that are read.
func (c TopicsConfig) Topics() []string {
	var names []string
	for _, t := range c.read() {
		names = append(names, t.name)
	}
	return names
}

// A readTopic is a topic and what is in it.
type readTopic struct {
	name string
	signal
}

func (c TopicsConfig) read() (topics []readTopic) {
	for _, t := range []readTopic{{c.Spans, spans}, {c.Logs, logs}, {c.Metrics, metrics}} {
		if t.name != "" {
			topics = append(topics, t)
		}
	}
	return topics
}

// Validate reports every fault together.
func (c TopicsConfig) Validate() error {
	errs := []error{c.Kafka.Validate()}
	taken := map[string]bool{}
	for _, t := range c.read() {
		if taken[t.name] {
			errs = append(errs, fmt.Errorf("otlp: topic %s is read as two signals", t.name))
		}
		taken[t.name] = true
	}
	if len(taken) == 0 {
		errs = append(errs, errors.New("otlp: no topic is named"))
	}
	if c.From == nil || c.Now == nil {
		errs = append(errs, errors.New("otlp: no clock"))
	}
	return errors.Join(errs...)
}

// ReadTopics reads all partitions of the topics until ctx is done, and then returns nil
// within two seconds. What was read is held in memory only, so a process that starts
// goes back to TopicsConfig.From, by the records' timestamps.
//
// Only one process may read, since each counts what it has read: the first member of the
// group. Others wait in the group and say so in status; when the first one leaves or
// dies, one of them goes back to its own From and reads on. Brokers that do not answer
// and topics that do not exist are told in status too, and tried again for ever.
func (s *Source) ReadTopics(ctx context.Context, c TopicsConfig, status *TopicsStatus) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = 10 * time.Second
	}
	if c.Watch == 0 {
		c.Watch = 5 * time.Second
	}
	client, err := kafka.Connect(c.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { client.StopBy(time.Now().Add(stopTopics)) })
	defer stop()
	r := &topicReader{TopicsConfig: c, source: s, client: client, status: status, slots: make(chan struct{}, maxFetches), next: map[place]int64{}}
	status.begin(c.read())
	if c.Group == "" {
		r.own(ctx)
		return nil
	}
	return r.contend(ctx)
}

// Retention is how long raw telemetry is kept: older records need not be read again.
func (s *Source) Retention() time.Duration { return s.cfg.Retention }

// A place is a partition of a topic.
type place struct {
	topic     string
	partition int
}

type topicReader struct {
	TopicsConfig
	source *Source
	client *kafka.Client
	status *TopicsStatus
	slots  chan struct{} // one for each partition whose records are in memory

	mu   sync.Mutex
	next map[place]int64 // where to read on: what was read before is counted already
}

// own reads every partition until ctx is done.
func (r *topicReader) own(ctx context.Context) {
	r.status.become(TopicsReading, nil)
	var loops sync.WaitGroup
	defer loops.Wait()
	begun := map[place]bool{}
	for {
		for _, t := range r.read() {
			n, err := r.client.Partitions(ctx, t.name)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil && n == 0:
				err = fmt.Errorf("topic %s does not exist", t.name)
				r.client.Refresh() // kafka-go answers from memory for seconds
			case err != nil:
				err = fmt.Errorf("topic %s: %w", t.name, err)
				r.client.Refresh()
			}
			r.status.topic(t.name, n, err)
			for partition := range n {
				at := place{t.name, partition}
				if begun[at] {
					continue
				}
				begun[at] = true
				loops.Go(func() { (&partitionReader{topicReader: r, readTopic: t, at: at}).run(ctx) })
			}
		}
		if !pause(ctx, r.Watch) {
			return
		}
	}
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pauses grow, and are never in step with those of others.
type pauses struct{ next time.Duration }

func (p *pauses) wait(ctx context.Context) bool {
	p.next = min(max(2*p.next, pauseMin), pauseMax)
	return pause(ctx, p.next/2+rand.N(p.next/2))
}
