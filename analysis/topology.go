package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"time"
)

var methodTopology = Method{
	Name: "topology", Version: 1, Shape: ShapeTopology,
	Assumptions:    "nothing is decided by it: operations and calls of both arms are listed, the most telling first; calls, self times and exclusive errors are of whole traces of a sample that is the same for both arms",
	References:     "statistics 10.2",
	newAccumulator: func(p *Plan, _ *PlannedObjective) (accumulator, error) { return newTopology(p), nil },
}

// maxEdges bounds the operations and calls that are kept.
const maxEdges = 2048

// topology lists the operations and calls of both arms.
type topology struct {
	listing
	plan *Plan
	of   map[Edge]int // place in Edges
	topologyState
}

// topologyState is what a checkpoint carries.
type topologyState struct {
	Edges    []edgeSeen // in order of appearance
	Requests requests
	Folds    int // in which spans were read
	Left     NotRead
	Tail     string // why the newest spans tell no rates; "": they do
}

// edgeSeen is what both arms did on one operation or edge.
type edgeSeen struct {
	Edge
	Baseline, Canary SpanCount
	Pods             int // of the canary, in the fold with most of them
	Since            time.Time
	Failed           time.Time // end of the first fold in which a span of the canary failed; zero: none did
}

func newTopology(p *Plan) *topology { return &topology{plan: p, of: map[Edge]int{}} }

func (t *topology) fold(f *taken) error {
	t.Requests.add(f.foldCounts)
	if f.Spans == nil {
		return nil
	}
	t.Folds++
	t.Left.Add(f.Spans.NotRead)
	if t.Tail = f.Spans.Tail; t.Tail != "" { // what was kept for what it shows is counted nowhere
		return nil
	}
	for i := range f.Spans.Edges {
		tally := &f.Spans.Edges[i]
		at, ok := t.of[tally.Edge]
		if !ok {
			if len(t.Edges) == maxEdges {
				t.Left.Dropped += tally.Baseline.Calls + tally.Canary.Calls
				continue
			}
			at = len(t.Edges)
			t.of[tally.Edge] = at
			t.Edges = append(t.Edges, edgeSeen{Edge: tally.Edge})
		}
		e := &t.Edges[at]
		e.Baseline.Add(tally.Baseline)
		e.Canary.Add(tally.Canary)
		e.Pods = max(e.Pods, tally.CanaryPods)
		if e.Since.IsZero() && tally.Canary.Calls > 0 {
			e.Since = f.End.UTC()
		}
		if e.Failed.IsZero() && tally.Canary.Errors > 0 {
			e.Failed = f.End.UTC()
		}
	}
	return nil
}

func (t *topology) notRead() NotRead { return t.Left }

func (t *topology) counted() string { return t.listed() }

func (t *topology) compared() string { return t.listed() }

func (t *topology) listed() string {
	if t.Folds == 0 {
		return ""
	}
	calls := 0
	for i := range t.Edges {
		if t.Edges[i].Callee != "" {
			calls++
		}
	}
	return fmt.Sprintf("%d operations, %d calls", len(t.Edges)-calls, calls)
}

func (t *topology) snapshot() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(t.topologyState)
	return b.Bytes(), err
}

func (t *topology) restore(data []byte) error {
	var s topologyState
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&s); err != nil {
		return err
	}
	if len(s.Edges) > maxEdges || !finite(s.Requests.Baseline, s.Requests.Canary) {
		return fmt.Errorf("checkpoint of %d edges, more than %d", len(s.Edges), maxEdges)
	}
	of := map[Edge]int{}
	for i := range s.Edges {
		e := &s.Edges[i]
		e.Since = e.Since.UTC()
		of[e.Edge] = i
		for _, c := range [...]SpanCount{e.Baseline, e.Canary} {
			if !finite(c.Calls, c.Errors, c.Seconds, c.Traces, c.Sampled, c.Exclusive, c.Self, c.Retries) {
				return fmt.Errorf("checkpoint of spans that nobody can have counted")
			}
		}
	}
	t.topologyState, t.of = s, of
	return nil
}
