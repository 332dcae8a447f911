package intake

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
)

// State is how intake goes, in one word. The zero value is starting.
type State string

const (
	Starting   State = "starting"    // nothing was tried yet
	OK         State = "ok"          // every assigned partition is being read
	Down       State = "down"        // LastError says why
	AuthFailed State = "auth_failed" // the cluster does not let us in: a person has to act
)

// stale is how old the last successful fetch of a partition may be. A fetch takes
// half a second when there is nothing.
const stale = 30 * time.Second

// A Snapshot is the status at one instant.
type Snapshot struct {
	State      State             `json:"state"`
	LastError  string            `json:"lastError,omitzero"` // what is wrong now; empty when ok
	Topic      string            `json:"topic"`
	Assigned   []int             `json:"assigned"` // partitions, ascending
	LastFetch  time.Time         `json:"lastFetch,omitzero"`
	Partitions []PartitionStatus `json:"partitions"`
	Counts     Counts            `json:"counts"` // since the start of the process
}

// PartitionStatus is how one assigned partition goes.
type PartitionStatus struct {
	Partition int       `json:"partition"`
	Next      int64     `json:"next"` // the offset to be read next
	End       int64     `json:"end"`  // of the log, when last asked
	Lag       int64     `json:"lag"`
	LastFetch time.Time `json:"lastFetch,omitzero"`
	Error     string    `json:"error,omitzero"`
	Stopped   bool      `json:"stopped"` // until an operator chooses where to go on (F11)

	lastSign time.Time // of life of its reader; on the monotonic clock
}

// Counts is what became of records.
type Counts struct {
	Accepted   int64            `json:"accepted"`
	Duplicates int64            `json:"duplicates"`
	Conflicts  int64            `json:"conflicts"`
	Ignored    int64            `json:"ignored"`  // valid events of types that say nothing of deployments
	Rejected   map[Reason]int64 `json:"rejected"` // dead letters by reason, without conflicts
	Gaps       int64            `json:"gaps"`     // offsets that were gone before they could be read
	Fenced     int64            `json:"fenced"`   // batches discarded because the partition has a newer owner
	Rejoined   int64            `json:"rejoined"` // times reading was begun anew because nothing came
	Released   int64            `json:"released"` // times the reading of a partition hung and was begun anew
}

// Status is kept by Run and read by others at any time. The zero value is ready.
type Status struct {
	mu         sync.Mutex
	topic      string
	groupError error // why there is no generation; nil while there is one
	refused    error // that the cluster does not let us in; nil while it does
	generation bool
	since      time.Time // of the generation, or of the last try to join
	partitions map[int]*PartitionStatus
	auth       map[int]bool
	counts     Counts
}

// Snapshot returns a copy.
func (s *Status) Snapshot(now time.Time) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Snapshot{State: Starting, Topic: s.topic, Counts: s.counts, Assigned: []int{}, Partitions: []PartitionStatus{}}
	out.Counts.Rejected = maps.Clone(s.counts.Rejected)
	auth := kafka.IsAuth(s.groupError) || s.refused != nil
	for _, p := range slices.Sorted(maps.Keys(s.partitions)) {
		one := *s.partitions[p]
		one.Lag = max(0, one.End-one.Next)
		out.Assigned = append(out.Assigned, p)
		out.Partitions = append(out.Partitions, one)
		if one.LastFetch.After(out.LastFetch) {
			out.LastFetch = one.LastFetch
		}
		auth = auth || s.auth[p]
		if one.Error == "" && !one.LastFetch.IsZero() && now.Sub(one.LastFetch) > stale {
			one.Error = "no successful fetch since " + one.LastFetch.UTC().Format(time.RFC3339)
		}
		if out.LastError == "" {
			out.LastError = one.Error
		}
	}
	if s.groupError != nil {
		out.LastError = s.groupError.Error()
	}
	if s.refused != nil { // which is the cause of everything else
		out.LastError = s.refused.Error()
	}
	switch {
	case auth:
		out.State = AuthFailed
	case out.LastError != "":
		out.State = Down
	case s.generation && (len(s.partitions) == 0 || !out.LastFetch.IsZero()):
		out.State = OK
	}
	return out
}

func (s *Status) start(topic string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topic, s.since = topic, now
}

// joined notes a new generation with its partitions.
func (s *Status) joined(partitions []int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.groupError, s.since = true, nil, now
	s.partitions, s.auth = map[int]*PartitionStatus{}, map[int]bool{}
	for _, p := range partitions {
		s.partitions[p] = &PartitionStatus{Partition: p, lastSign: time.Now()}
	}
}

// lost notes that there is no generation, or that the one there is is useless.
func (s *Status) lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groupError = err
}

// access notes what the cluster said when it was asked for the topic.
func (s *Status) access(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || kafka.IsAuth(err) {
		s.refused = err
	}
}

// left notes that the group was left.
func (s *Status) left(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.since, s.partitions, s.auth = false, now, nil, nil
}

func (s *Status) update(p int, change func(*PartitionStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.partitions[p]; one != nil {
		change(one)
		one.lastSign = time.Now()
	}
}

// alive notes a sign of life of the reader of a partition.
func (s *Status) alive(p int) { s.update(p, func(*PartitionStatus) {}) }

// silence is how long the reader of a partition has given no sign of life. One that
// is stopped need not.
func (s *Status) silence(p int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.partitions[p]; one != nil && !one.Stopped {
		return time.Since(one.lastSign)
	}
	return 0
}

// next is the offset at which a partition is.
func (s *Status) next(p int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.partitions[p]; one != nil {
		return one.Next
	}
	return 0
}

func (s *Status) fetched(p int, next, end int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.partitions[p]; one != nil {
		one.Next, one.End, one.LastFetch, one.Error, one.Stopped = next, end, now, "", false
		delete(s.auth, p)
	}
}

func (s *Status) failed(p int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.partitions[p]; one != nil {
		one.Error, one.lastSign = err.Error(), time.Now()
		s.auth[p] = kafka.IsAuth(err)
	}
}

func (s *Status) count(add func(*Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.Rejected == nil {
		s.counts.Rejected = map[Reason]int64{}
	}
	add(&s.counts)
}

func (s *Status) accepted(a store.Accepted, letters []store.DeadLetter, ignored int) {
	s.count(func(c *Counts) {
		c.Accepted += int64(a.New)
		c.Duplicates += int64(a.Duplicates)
		c.Conflicts += int64(a.Conflicts)
		c.Ignored += int64(ignored)
		for _, d := range letters {
			c.Rejected[Reason(d.Reason)]++
		}
	})
}

// stalled reports that the group must be taken for dead: nothing has come through
// it for so long and half as long again, in which the partitions' own watchdogs had
// their turn. kafka-go has several ways to look alive while it is not (P10).
func (s *Status) stalled(now time.Time, after time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest, reading := s.since, 0
	for _, p := range s.partitions {
		if p.Stopped {
			continue
		}
		reading++
		if p.LastFetch.After(newest) {
			newest = p.LastFetch
		}
	}
	if s.generation && s.groupError == nil && reading == 0 {
		return false // more members than partitions
	}
	return now.Sub(newest) > after+after/2
}
