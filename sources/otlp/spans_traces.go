package otlp

import (
	"slices"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// Whole traces are held for a sample of them: those whose hash lies below a bound. The
// bound of a minute is the hash below which so many traces of the minute before lie
// (tracediff.Quota): tracesWatched that touch a service which was asked about, and not
// more than tracesOfAll of all. Where there is no minute before, the minute's own bound
// holds. Neither what happened in a trace nor the order of arrival matters.
//
// A span that is not taken in lowers the cut of its minute to its hash. What is below the
// bounds and cuts of a minute and of the one before is therefore whole as far as it was
// sent, and only that is counted. It gives the share.
const (
	tracesWatched = 1000
	tracesOfAll   = 10_000
	// traceMinutes is for how long traces are held.
	traceMinutes = 6
	// maxTraceBytes bounds the memory of all of them.
	maxTraceBytes = 64 << 20
	// spansOfTrace bounds what is held of one. Further spans are dropped.
	spansOfTrace = 10_000
	// bytesOfSpan is the longest span whose bytes are kept, to be shown.
	bytesOfSpan = 8 << 10
	heldSpan    = 160 // what a span takes beside its bytes
)

// A traceOwner is a resource with spans in the sample.
type traceOwner struct {
	window *window // its attributes never change; what else is in it is not looked at
	tracediff.Owner
	exclusive, calls packedMinutes
}

// A heldTrace is one of the sample.
type heldTrace struct {
	id    [16]byte
	hash  uint64
	spans []tracediff.Span
	raw   [][]byte // of the spans: empty where it was too long
	bytes int
	first int64 // the minute of the end that was heard first
	last  int64 // the newest minute of an end
	over  bool  // it has more spans than are held
}

// A traceMinute is what was seen in a minute of ends.
type traceMinute struct {
	all, some tracediff.Quota // of all traces: tracesOfAll, tracesWatched
	watched   tracediff.Quota // of those that touch a watched service
	touched   bool            // there were any
	cut       uint64          // the smallest hash that was not taken in
	frozen    uint64          // the bound that answers were given with; 0: none was
	tail      bool            // a span says that a tail sampler kept it
	traces    map[*heldTrace]struct{}
}

type traceStore struct {
	mu      sync.Mutex
	limit   int64
	owners  []*traceOwner
	byKey   map[string]int32 // owners, by the keys of their windows
	minutes map[int64]*traceMinute
	held    map[[16]byte]*heldTrace
	bytes   int64
	closed  int64 // up to here folds were answered
	retired int64 // minutes up to this number are no longer held
	watched map[string]int64
	tracked bool   // sums of minutes are kept
	dropped uint64 // spans
	late    uint64
	tallies []*cachedTally
}

type cachedTally struct {
	from, to int64
	tally    *tracediff.Tally
}

func (t *traceStore) at(minute int64) *traceMinute {
	m := t.minutes[minute]
	if m == nil {
		m = &traceMinute{cut: tracediff.All, traces: map[*heldTrace]struct{}{}}
		m.all.Size, m.some.Size, m.watched.Size = tracesOfAll, tracesWatched, tracesWatched
		if t.minutes == nil {
			t.minutes, t.held, t.byKey, t.watched = map[int64]*traceMinute{}, map[[16]byte]*heldTrace{}, map[string]int32{}, map[string]int64{}
		}
		t.minutes[minute] = m
	}
	return m
}

// own is the bound that a minute's own traces give to the next.
func (m *traceMinute) own() uint64 {
	if m.frozen > 0 {
		return m.frozen
	}
	if m.touched {
		return min(m.all.Bound(), m.watched.Bound())
	}
	return m.some.Bound()
}

// bound is that below which traces of a minute are collected.
func (t *traceStore) bound(minute int64) uint64 {
	if before := t.minutes[minute-1]; before != nil {
		return before.own()
	}
	if m := t.minutes[minute]; m != nil {
		return m.own()
	}
	return tracediff.All
}

// collecting is bound for one who does not hold the lock, with the hash from which on no
// quota of the minute takes one, now or later.
func (t *traceStore) collecting(minute int64) (bound, ceiling uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if minute <= t.retired {
		return 0, 0
	}
	bound, ceiling = t.bound(minute), tracediff.All
	if bound < tracediff.All {
		m := t.at(minute)
		m.cut = min(m.cut, bound)
		bound = m.cut
	}
	if m := t.minutes[minute]; m != nil {
		ceiling = max(m.all.Bound(), m.some.Bound())
		if len(t.watched) > 0 {
			ceiling = max(ceiling, m.watched.Bound())
		}
	}
	return min(bound, t.cutAt(minute)), ceiling
}

func (t *traceStore) cutAt(minute int64) uint64 {
	if m := t.minutes[minute]; m != nil {
		return m.cut
	}
	return tracediff.All
}

// below is the bound under which traces of a minute are whole. Freeze says that an answer
// is given with it, so that it must not change any more.
func (t *traceStore) below(minute int64, freeze bool) uint64 {
	for _, m := range []int64{minute - 1, minute - 2} {
		if one := t.minutes[m]; freeze && one != nil && one.frozen == 0 {
			one.frozen = one.own()
		}
	}
	bound := t.bound(minute)
	if t.minutes[minute-1] != nil {
		bound = min(bound, t.bound(minute-1))
	}
	return min(bound, t.cutAt(minute), t.cutAt(minute-1))
}

// take takes in the sampled spans of a block, and tells the quotas of all of them.
func (t *traceStore) take(in *spanIntake) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, watched := t.watched[in.service.name]
	var m *traceMinute
	var start, end int64 // of the minute
	ceiling := uint64(0) // from which on no quota takes a hash
	for i := range in.staged {
		one := &in.staged[i]
		if one.hash >= ceiling && one.end > start && one.end <= end || !one.traced || one.end <= t.closed {
			continue
		}
		if one.end <= start || one.end > end {
			minute := minuteAt(one.end)
			if minute <= t.retired {
				continue
			}
			start = minute * int64(time.Minute)
			m, end = t.at(minute), start+int64(time.Minute)
		}
		m.all.See(one.hash)
		m.some.See(one.hash)
		ceiling = max(m.all.Bound(), m.some.Bound())
		if watched {
			m.touched = true
			m.watched.See(one.hash)
			ceiling = max(ceiling, m.watched.Bound())
		}
	}
	for i := range in.sampled {
		t.keep(in.window, &in.sampled[i])
	}
	t.retire()
	for tries := 0; t.bytes > t.limit && tries < 64; tries++ {
		t.shrink()
	}
}

// keep holds a span.
func (t *traceStore) keep(w *window, one *sampledSpan) {
	minute := minuteAt(one.span.End)
	if one.span.End <= t.closed || minute <= t.retired {
		t.late++
		return
	}
	m := t.at(minute)
	m.tail = m.tail || one.tail
	if one.hash >= min(t.bound(minute), m.cut) {
		m.cut = min(m.cut, one.hash)
		return
	}
	trace := t.held[one.id]
	if trace == nil {
		trace = &heldTrace{id: one.id, hash: one.hash, first: minute, last: minute}
		t.held[one.id] = trace
		t.bytes += heldSpan
		trace.bytes = heldSpan
	}
	if far := max(minute-trace.first, trace.first-minute); far > traceMinutes || len(trace.spans) >= spansOfTrace {
		trace.over = true
		t.dropped++
		return
	}
	m.traces[trace] = struct{}{}
	one.span.Owner = t.owner(w)
	var raw []byte
	if len(one.encoded) <= bytesOfSpan {
		raw = slices.Clone(one.encoded)
	}
	trace.spans, trace.raw = append(trace.spans, one.span), append(trace.raw, raw)
	trace.last = max(trace.last, minute)
	size := heldSpan + len(raw)
	trace.bytes += size
	t.bytes += int64(size)
}

func (t *traceStore) owner(w *window) int32 {
	if i, known := t.byKey[w.key]; known {
		return i
	}
	i := int32(len(t.owners))
	t.owners = append(t.owners, &traceOwner{window: w, Owner: tracediff.Owner{Service: w.attribute(analysis.AttrService), Version: w.attribute(analysis.AttrVersion)}})
	t.byKey[w.key] = i
	return i
}
