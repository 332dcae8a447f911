package otlp

import (
	"hash/fnv"
	"slices"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

const (
	// spanTicks is how many base ticks with spans a resource keeps: five minutes where
	// there are spans at all times, longer where they are rare. Folds are asked for a
	// minute or two after they close; what is older is summed by minute. A tick of a
	// clock that runs ahead takes one place and pushes out nothing newer.
	spanTicks = 60
	// openTicks is how many of them are ready to be counted in. Others are packed.
	openTicks = 6
	// namesOfService is how many operations of a service keep their names, those of the
	// smallest hash and those of a plan: which they are does not depend on the order.
	namesOfService = 200
	// opsOfWindow bounds what one resource tells apart over its life.
	opsOfWindow = 1024
)

// A spanOp is an operation as spans of one resource tell it apart.
type spanOp struct {
	name   string
	hash   uint64 // of the name
	weight uint64 // that each span has, in units of 1/tracediff.OneWeight
	kind   tracediff.Kind
}

// A cell is what the spans of one operation counted in one tick.
type cell struct {
	n, failed uint32
	nanos     uint64
}

// A spanTick is what a resource's spans counted in one base tick.
type spanTick struct {
	at     int64    // number of the tick
	cells  []cell   // by operation; nil: packed
	codes  []uint32 // operation<<16 + bucket, of those spans that say how long they took
	packed []byte   // spans_pack.go

	unsketched bool // some durations were not kept
	late       uint32
}

// spanWindow is what one resource's spans counted lately. Its service's lock protects it.
type spanWindow struct {
	salt  uint64 // of the resource, for blocks
	ops   []spanOp
	names opNames
	ticks []*spanTick // ascending
	spare []*spanTick // to be used again
	free  []opened    // the same
	begun bool        // a tick began since the last were packed
	bytes int         // of packed ticks

	answered int64 // up to here folds were answered: what comes for them is late
	trimmed  int64 // up to here ticks were summed by minute
	newest   int64 // end of the newest span
	evicted  int64 // newest, when Evict last looked
	minutes  packedMinutes
	sketches []minute // minutes with the buckets of their durations, ascending; what spans of kind server and consumer took
	lives    []lived  // of folds that were answered
}

// spansOf returns the window's spans, which begin when they are first heard of.
func (s *Source) spansOf(w *window) *spanWindow {
	if w.spans == nil {
		h := fnv.New64a()
		h.Write([]byte(w.key))
		w.spans = &spanWindow{salt: h.Sum64() * 0x9e3779b97f4a7c15, answered: s.askedSpans.about(w)}
	}
	return w.spans
}

func (sw *spanWindow) closed() int64 { return max(sw.answered, sw.trimmed) }

// newestTick is where losses are noted: the answers before have been given.
func (sw *spanWindow) newestTick() *spanTick {
	if len(sw.ticks) == 0 {
		return &spanTick{}
	}
	return sw.ticks[len(sw.ticks)-1]
}

// tick returns the tick of that number, open; nil if it is older than all that are kept.
func (sw *spanWindow) tick(at int64, s *Source, sketches bool) *spanTick {
	n := len(sw.ticks)
	for n > 0 && sw.ticks[n-1].at > at {
		n--
	}
	if n > 0 && sw.ticks[n-1].at == at {
		t := sw.ticks[n-1]
		if t.cells == nil {
			sw.open(t)
		}
		t.unsketched = t.unsketched || !sketches
		return t
	}
	if n == 0 && len(sw.ticks) >= spanTicks {
		return nil
	}
	var t *spanTick
	if k := len(sw.spare); k > 0 {
		t, sw.spare = sw.spare[k-1], sw.spare[:k-1]
	} else {
		t = &spanTick{}
	}
	t.at, t.unsketched, t.late = at, !sketches, 0
	sw.open(t)
	sw.begun = true
	sw.ticks = slices.Insert(sw.ticks, n, t)
	return t
}

// widen makes room for so many operations.
func (t *spanTick) widen(ops int) {
	if before := len(t.cells); before < ops {
		t.cells = slices.Grow(t.cells, ops-before)[:ops]
		clear(t.cells[before:])
	}
}

// count counts a span of an operation that there is room for.
func (t *spanTick) count(sw *spanWindow, one *stagedSpan) {
	c := &t.cells[one.op]
	c.n++
	if one.failed {
		c.failed++
	}
	c.nanos += uint64(one.nanos)
	if t.unsketched || !one.timed {
		return
	}
	code := uint32(one.op)<<16 | zeroCode
	if one.nanos > 0 {
		code = uint32(one.op)<<16 | uint32(tracediff.Bucket(one.nanos)+codeOffset)
	}
	t.codes = append(t.codes, code)
	if len(t.codes) >= maxCodes {
		sw.pack(t)
		sw.open(t)
	}
}

// settle packs ticks that are no longer the newest, and sums the oldest where there are
// too many.
func (sw *spanWindow) settle(s *Source) {
	if !sw.begun {
		return
	}
	sw.begun = false
	for _, t := range sw.ticks[:max(0, len(sw.ticks)-openTicks)] {
		if t.cells != nil {
			sw.pack(t)
		}
	}
	if len(sw.ticks) > spanTicks {
		sw.trim(s, sw.ticks[len(sw.ticks)-spanTicks].at)
	}
}

// heardIn reports whether any span of the window ended in the fold.
func (sw *spanWindow) heardIn(fold analysis.Fold) bool {
	for range sw.within(fold.Start.UnixNano(), fold.End.UnixNano()) {
		return true
	}
	return false
}

// within goes through the ticks of (from, to], in their order.
func (sw *spanWindow) within(from, to int64) func(yield func(*spanTick) bool) {
	return func(yield func(*spanTick) bool) {
		first, last := tickOf(from)+1, tickOf(to)
		i, _ := slices.BinarySearchFunc(sw.ticks, first, func(t *spanTick, at int64) int {
			if t.at < at {
				return -1
			}
			return 1
		})
		for ; i < len(sw.ticks) && sw.ticks[i].at <= last; i++ {
			if !yield(sw.ticks[i]) {
				return
			}
		}
	}
}
