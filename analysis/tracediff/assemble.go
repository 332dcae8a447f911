package tracediff

import (
	"bytes"
	"cmp"
	"slices"
)

// Faults are what is wrong with traces that were counted nevertheless.
type Faults struct {
	Repeated int // spans that came twice: counted once
	Clashing int // different spans of one id: all counted, the first by time has the children
	Orphans  int // spans whose parent is not among them: counted as roots
	Circular int // spans that are their own ancestors: cut where the first of them began
	Backward int // spans that end before they began, or do not say when they began: they took no time
	Skewed   int // spans of another host that lie outside of their parent: moved into it
}

// node is a span among its trace.
type node struct {
	*Span
	parent      int32 // -1: none
	first, next int32 // of the children, in order; -1: none
	start, end  int64 // moved into the parent where clocks disagree
	remote      bool  // the parent is another owner's
	base        int32 // the nearest span above, itself included, that serves, or the highest of the same owner
	passed      bool  // an errored call took the error here, through steps of the same service
	retried     bool  // the parent had called the same before, and that had failed
}

// A trace is a whole one, assembled. Its memory is used again.
type trace struct {
	owners  []Owner
	nodes   []node
	byID    map[[8]byte]int32
	mark    []int32
	ordered []*Span
	failed  map[called]int64 // calls of one parent that failed, and when the first of them ended
}

// called is what makes a call the same as an earlier one of its parent.
type called struct {
	owner             int32
	kind              Kind
	answered          bool // the callee is known by its own span
	callee, operation string
}

// canonical is an order that spans have whatever order they came in.
func canonical(a, b *Span) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), -cmp.Compare(a.End, b.End), bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Owner, b.Owner),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), bytes.Compare(a.Parent[:], b.Parent[:]), compareBool(a.Failed, b.Failed), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Weight, b.Weight))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// assemble links the spans of one trace to their parents.
func (t *trace) assemble(spans []Span, faults *Faults) {
	t.nodes, t.ordered = t.nodes[:0], t.ordered[:0]
	if t.byID == nil {
		t.byID = map[[8]byte]int32{}
	}
	clear(t.byID)
	for i := range spans {
		t.ordered = append(t.ordered, &spans[i])
	}
	slices.SortFunc(t.ordered, canonical)
	for i, s := range t.ordered {
		if i > 0 && canonical(t.ordered[i-1], s) == 0 {
			faults.Repeated++
			continue
		}
		if _, known := t.byID[s.ID]; known {
			faults.Clashing++
		} else {
			t.byID[s.ID] = int32(len(t.nodes))
		}
		n := node{Span: s, parent: -1, first: -1, next: -1, start: s.Start, end: s.End, base: int32(len(t.nodes))}
		if s.Start <= 0 || s.Start > s.End {
			faults.Backward++
			n.start = n.end
		}
		t.nodes = append(t.nodes, n)
	}
	t.link(faults)
	t.settle(faults)
	t.pass()
	t.retries()
}

// link finds parents, and cuts circles.
func (t *trace) link(faults *Faults) {
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.Parent == [8]byte{} {
			continue
		}
		parent, known := t.byID[n.Parent]
		switch {
		case !known:
			faults.Orphans++
		case parent == int32(i):
			faults.Circular++
		default:
			n.parent = parent
		}
	}
	// Whoever is met again on the way up from where the way began is in a circle. Marks of
	// earlier ways end a way: what they lead to was looked at.
	t.mark = append(t.mark[:0], make([]int32, len(t.nodes))...)
	for i := range t.nodes {
		for at := int32(i); at >= 0 && t.mark[at] == 0; at = t.nodes[at].parent {
			t.mark[at] = int32(i) + 1
			up := t.nodes[at].parent
			if up < 0 || t.mark[up] != int32(i)+1 {
				continue
			}
			first := up // of the circle, in canonical order
			for on := t.nodes[up].parent; on != up; on = t.nodes[on].parent {
				first = min(first, on)
			}
			t.nodes[first].parent = -1
			faults.Circular++
			break
		}
	}
	for i := len(t.nodes) - 1; i >= 0; i-- { // from the last, so that lists are in order
		n := &t.nodes[i]
		if n.parent >= 0 {
			p := &t.nodes[n.parent]
			n.next, p.first = p.first, int32(i)
			n.remote = n.Owner != p.Owner
		}
	}
}

// settle moves spans of other hosts into the parents that waited for them: by as little
// as makes them fit. What is sent on to consumers may end later and stays where it is.
func (t *trace) settle(faults *Faults) {
	// Parents first. Canonical order does not give it, so go down from the roots.
	t.mark = t.mark[:0]
	for i := range t.nodes {
		if t.nodes[i].parent < 0 {
			t.mark = append(t.mark, int32(i))
		}
	}
	for k := 0; k < len(t.mark); k++ {
		p := &t.nodes[t.mark[k]]
		for c := p.first; c >= 0; c = t.nodes[c].next {
			n := &t.nodes[c]
			t.mark = append(t.mark, c)
			if !n.remote && !n.Kind.Serves() {
				n.base = p.base
			}
			if !n.remote {
				// Of the same clock as its parent: moved with it.
				n.start += p.start - p.ownStart()
				n.end += p.start - p.ownStart()
				continue
			}
			if n.Kind == Consumer || p.Kind == Producer || n.end-n.start > p.end-p.start {
				continue
			}
			move := max(0, p.start-n.start)
			if n.end > p.end {
				move = p.end - n.end
			}
			if move != 0 {
				faults.Skewed++
				n.start += move
				n.end += move
			}
		}
	}
}

// pass finds the errors that were taken up from errored calls, children first. Steps that
// a service makes by itself (internal spans) are part of what it serves: they pass on.
func (t *trace) pass() {
	for k := len(t.mark) - 1; k >= 0; k-- {
		n := &t.nodes[t.mark[k]]
		if n.Failed && n.parent >= 0 && (n.remote || n.passed || n.Kind.Calls() || n.Kind.Serves()) {
			t.nodes[n.parent].passed = true
		}
	}
}

// retries finds calls that an earlier one, which had failed, was tried again with.
func (t *trace) retries() {
	for i := range t.nodes {
		any := false
		for c := t.nodes[i].first; c >= 0; c = t.nodes[c].next {
			n := &t.nodes[c]
			if !n.Kind.Calls() || !any && !n.Failed {
				continue
			}
			if !any {
				if t.failed == nil {
					t.failed = map[called]int64{}
				}
				clear(t.failed)
				any = true
			}
			key := t.called(c)
			if ended, known := t.failed[key]; known && ended <= n.start {
				n.retried = true
			}
			if ended, known := t.failed[key]; n.Failed && (!known || n.end < ended) {
				t.failed[key] = n.end
			}
		}
	}
}

// called says what a span calls.
func (t *trace) called(i int32) called {
	n := &t.nodes[i]
	if c := t.callee(i); c >= 0 {
		return called{n.Owner, n.Kind, true, t.owners[t.nodes[c].Owner].Service, t.nodes[c].Name}
	}
	return called{n.Owner, n.Kind, false, n.Peer, n.Name}
}

// callee returns the span that a call was answered by, -1 if none is known.
func (t *trace) callee(i int32) int32 {
	for c := t.nodes[i].first; c >= 0; c = t.nodes[c].next {
		if t.nodes[c].Kind.Serves() || t.nodes[c].remote && !t.nodes[c].Kind.Calls() {
			return c
		}
	}
	return -1
}

// caller returns the operation that a call was made for: the nearest span above it that
// serves, or the highest of the same process that is known.
func (t *trace) caller(i int32) string {
	n := &t.nodes[i]
	if n.parent >= 0 && !n.remote {
		i = t.nodes[n.parent].base
	}
	return t.nodes[i].Name
}

// ownStart is where the span began by its own clock.
func (n *node) ownStart() int64 {
	if n.Start <= 0 || n.Start > n.End {
		return n.End
	}
	return n.Start
}

// self returns how long the span took without its children: what their union does not
// cover. Spans are disjoint where they run one after the other, and overlap where
// they run side by side.
func (t *trace) self(i int32) int64 {
	n := &t.nodes[i]
	left, covered := n.end-n.start, n.start
	// Children are in order of their own starts, which moves may have changed.
	disordered := false
	last := n.start
	for c := n.first; c >= 0; c = t.nodes[c].next {
		disordered = disordered || t.nodes[c].start < last
		last = t.nodes[c].start
	}
	if disordered {
		var children []int32
		for c := n.first; c >= 0; c = t.nodes[c].next {
			children = append(children, c)
		}
		slices.SortFunc(children, func(a, b int32) int { return cmp.Compare(t.nodes[a].start, t.nodes[b].start) })
		for _, c := range children {
			left, covered = n.minus(&t.nodes[c], left, covered)
		}
		return left
	}
	for c := n.first; c >= 0; c = t.nodes[c].next {
		left, covered = n.minus(&t.nodes[c], left, covered)
	}
	return left
}

// minus takes from what is left what a child covers beyond what was covered.
func (n *node) minus(child *node, left, covered int64) (int64, int64) {
	from, to := max(child.start, covered), min(child.end, n.end)
	if to <= from {
		return left, covered
	}
	return left - (to - from), to
}
