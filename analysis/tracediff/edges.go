package tracediff

import (
	"cmp"
	"slices"

	"github.com/release-assay/assay/analysis"
)

// A Key is what a tally counts for: who sent the spans, and what they say.
type Key struct {
	Owner int32
	analysis.Edge
}

// A Count adds up spans of whole traces, each as one: in whole numbers, so that the order
// does not matter.
type Count struct {
	Spans, Errors, Exclusive, Retries, Traces int64
	Nanoseconds, Self                         int64
}

// SpanCount is the count as rows tell it: of an edge all of it, of an operation what
// whole traces know beside what every span says.
func (c Count) SpanCount(edge bool) analysis.SpanCount {
	out := analysis.SpanCount{
		Traces: float64(c.Traces), Sampled: float64(c.Spans), Exclusive: float64(c.Exclusive),
		Self: float64(c.Self) / 1e9, Retries: float64(c.Retries),
	}
	if edge {
		out.Calls, out.Errors, out.Seconds = float64(c.Spans), float64(c.Errors), float64(c.Nanoseconds)/1e9
	}
	return out
}

// maxEdges bounds what one tally tells apart. Further ones are counted in Tally.Beyond.
const maxEdges = 20_000

// A Tally counts what whole traces say of the spans that end in (From, To]. Spans that
// end later are left out of them, so that an answer does not depend on when it is asked.
type Tally struct {
	Owners   []Owner
	From, To int64

	Counts map[Key]*Count
	Traces int // that were taken in
	Beyond int // spans that were not counted, since there were too many edges
	Faults Faults

	trace  trace
	within []Span
	seen   map[Key]struct{} // keys of the current trace
}

// Add takes in the spans of one whole trace.
func (t *Tally) Add(spans []Span) {
	t.within = t.within[:0]
	if !slices.ContainsFunc(spans, func(s Span) bool { return s.End > t.From && s.End <= t.To }) {
		return
	}
	for i := range spans {
		if s := &spans[i]; s.End <= t.To && s.Owner >= 0 && int(s.Owner) < len(t.Owners) {
			t.within = append(t.within, *s)
		}
	}
	if len(t.within) == 0 {
		return
	}
	if t.Counts == nil {
		t.Counts, t.seen = map[Key]*Count{}, map[Key]struct{}{}
	}
	clear(t.seen)
	t.Traces++
	t.trace.owners = t.Owners
	t.trace.assemble(t.within, &t.Faults)
	for i := range t.trace.nodes {
		n := &t.trace.nodes[i]
		if n.End <= t.From {
			continue
		}
		t.operation(int32(i))
		switch {
		case n.Kind.Calls():
			t.call(int32(i))
		case n.remote && !t.trace.nodes[n.parent].Kind.Calls():
			t.silent(int32(i))
		}
	}
}

// operation counts the span for what it does.
func (t *Tally) operation(i int32) {
	n := &t.trace.nodes[i]
	c := t.count(Key{n.Owner, analysis.Edge{Service: t.Owners[n.Owner].Service, Operation: n.Name, Kind: n.Kind.String()}})
	if c == nil {
		return
	}
	t.add(c, n)
	c.Self += t.trace.self(i)
	if n.Failed && !n.passed {
		c.Exclusive++
	}
}

// call counts a span for whom it calls.
func (t *Tally) call(i int32) {
	n := &t.trace.nodes[i]
	e := t.edge(i)
	c := t.count(Key{n.Owner, e})
	if c == nil {
		return
	}
	t.add(c, n)
	c.Self += t.trace.self(i)
	if n.Failed && !n.passed {
		c.Exclusive++
	}
	if n.retried {
		c.Retries++
	}
}

// edge names a call: the called span where there is one, else the peer that its
// attributes name, else what the call itself is named.
func (t *Tally) edge(i int32) analysis.Edge {
	n := &t.trace.nodes[i]
	e := analysis.Edge{Service: t.Owners[n.Owner].Service, Operation: t.trace.caller(i), Kind: n.Kind.String()}
	if callee := t.trace.callee(i); callee >= 0 {
		m := &t.trace.nodes[callee]
		o := t.Owners[m.Owner]
		e.Callee, e.CalleeVersion, e.CalleeOperation = o.Service, o.Version, m.Name
		return e
	}
	e.Callee, e.CalleeOperation = n.Peer, n.Name
	if e.Callee == "" {
		e.Callee = e.CalleeOperation
	}
	return e
}

// silent counts a call that the caller has no span of, at the called span.
func (t *Tally) silent(i int32) {
	n := &t.trace.nodes[i]
	up := n.parent
	p := &t.trace.nodes[up]
	callee := t.Owners[n.Owner]
	if c := t.count(Key{p.Owner, analysis.Edge{
		Service: t.Owners[p.Owner].Service, Operation: t.trace.caller(up), Kind: Client.String(),
		Callee: callee.Service, CalleeVersion: callee.Version, CalleeOperation: n.Name,
	}}); c != nil {
		t.add(c, n)
		c.Self += t.trace.self(i)
	}
}

func (t *Tally) add(c *Count, n *node) {
	c.Spans++
	c.Nanoseconds += n.lasted()
	if n.Failed {
		c.Errors++
	}
}

// count returns the count of a key, nil if there are too many.
func (t *Tally) count(k Key) *Count {
	c := t.Counts[k]
	if c == nil {
		if len(t.Counts) >= maxEdges {
			t.Beyond++
			return nil
		}
		c = new(Count)
		t.Counts[k] = c
	}
	if _, seen := t.seen[k]; !seen {
		t.seen[k] = struct{}{}
		c.Traces++
	}
	return c
}

// Keys returns what was counted, sorted.
func (t *Tally) Keys() []Key {
	keys := make([]Key, 0, len(t.Counts))
	for k := range t.Counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Or(cmp.Compare(a.Owner, b.Owner), CompareEdges(a.Edge, b.Edge)) })
	return keys
}

// CompareEdges is the order of edges in rows and tallies.
func CompareEdges(a, b analysis.Edge) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.CalleeVersion, b.CalleeVersion), cmp.Compare(a.CalleeOperation, b.CalleeOperation))
}
