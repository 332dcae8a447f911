package otlp

import (
	"maps"
	"slices"
	"sync"
)

// TopicsState says whether this process reads the OTLP topics.
type TopicsState string

const (
	TopicsWaiting TopicsState = "waiting" // for the brokers
	TopicsReading TopicsState = "reading"
	TopicsRefused TopicsState = "refused" // another process reads them
)

// TopicsStatus tells how reading the topics goes. The zero value is ready.
type TopicsStatus struct {
	mu     sync.Mutex
	state  TopicsState
	err    string
	topics map[string]*topicStatus
	order  []string
}

type topicStatus struct {
	signal     string
	partitions int
	err        string
	counts     TopicCounts
	lag        map[int]int64
	failing    map[int]string
}

// TopicCounts are of one topic, since the process started.
type TopicCounts struct {
	Records    uint64 `json:"records"`    // export requests taken in
	Empty      uint64 `json:"empty"`      // tombstones
	Refused    uint64 `json:"refused"`    // no export requests: skipped
	BadBatches uint64 `json:"badBatches"` // could not be opened, or inflate to more than 4 MiB: skipped
	Lost       uint64 `json:"lost"`       // records deleted by the broker before they were read
}

// A TopicsSnapshot is TopicsStatus at one instant.
type TopicsSnapshot struct {
	State  TopicsState     `json:"state"`
	Error  string          `json:"error,omitempty"`
	Topics []TopicSnapshot `json:"topics"`
}

// A TopicSnapshot is of one topic.
type TopicSnapshot struct {
	Topic      string `json:"topic"`
	Signal     string `json:"signal"`
	Partitions int    `json:"partitions"`
	Lag        int64  `json:"lag"` // records that are written and not yet read
	Error      string `json:"error,omitempty"`
	TopicCounts
}

// Snapshot returns how things are.
func (t *TopicsStatus) Snapshot() TopicsSnapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := TopicsSnapshot{State: t.state, Error: t.err, Topics: []TopicSnapshot{}}
	for _, name := range t.order {
		s := t.topics[name]
		one := TopicSnapshot{Topic: name, Signal: s.signal, Partitions: s.partitions, Error: s.err, TopicCounts: s.counts}
		for _, lag := range s.lag {
			one.Lag += lag
		}
		for _, partition := range slices.Sorted(maps.Keys(s.failing)) {
			if one.Error == "" {
				one.Error = s.failing[partition]
			}
		}
		out.Topics = append(out.Topics, one)
	}
	return out
}

func (t *TopicsStatus) begin(topics []readTopic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state, t.topics, t.order = TopicsWaiting, map[string]*topicStatus{}, nil
	for _, topic := range topics {
		t.topics[topic.name] = &topicStatus{signal: topic.signal.name, lag: map[int]int64{}, failing: map[int]string{}}
		t.order = append(t.order, topic.name)
	}
}

// become sets the state and reports whether it is another one.
func (t *TopicsStatus) become(state TopicsState, err error) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed, t.state, t.err = t.state != state, state, ""
	if err != nil {
		t.err = err.Error()
	}
	return changed
}

func (t *TopicsStatus) topic(name string, partitions int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.topics[name]
	s.err = ""
	if err != nil {
		s.err = err.Error()
		return
	}
	s.partitions = partitions
}

func (t *TopicsStatus) failed(at place, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.topics[at.topic].failing[at.partition] = err.Error()
}

func (t *TopicsStatus) fetched(at place, lag int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.topics[at.topic]
	s.lag[at.partition] = lag
	delete(s.failing, at.partition)
}

func (t *TopicsStatus) count(topic string, change func(*TopicCounts)) TopicCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.topics[topic].counts
	change(c)
	return *c
}
