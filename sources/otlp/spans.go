package otlp

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis/tracediff"
	"github.com/release-assay/assay/sources/otlp/wire"
)

// Spans are not kept either, but for a sample. Each is counted for its operation in the
// base tick of its end (spans_window.go); how long it took is kept as the number of a
// bucket, and that only where a loaded objective judges durations (Track). Whole traces
// are held for those of a hash below a bound (spans_traces.go).
//
// The spans of one resource in one request are one block. It is staged first and then
// counted in whole, unless the same block was counted lately: a sender that got no answer
// sends again. It is known again by its spans' ids and times, in any order.

// A SpanOutcome says what became of the spans of one request.
type SpanOutcome = Outcome

// ConsumeSpans takes in one ExportTraceServiceRequest, in protobuf, in process. Spans
// that cannot be used are dropped and counted; they are no error. Of a malformed request
// none is taken in. data is not kept.
func (s *Source) ConsumeSpans(ctx context.Context, data []byte) (SpanOutcome, error) {
	if err := ctx.Err(); err != nil {
		return SpanOutcome{}, err
	}
	in := spanIntakes.Get().(*spanIntake)
	in.source, in.outcome, in.sketches = s, SpanOutcome{}, s.tracked.Load().durations
	err := wire.Spans(data, in)
	in.commit()
	out := in.outcome
	in.release()
	s.spanCounters.add(out)
	if errors.Is(err, wire.ErrMalformed) && out != (SpanOutcome{}) {
		// An attribute was malformed: what could be read of the request is counted, and
		// must not be sent again.
		err = nil
	}
	return out, err
}

var spanIntakes = sync.Pool{New: func() any { return &spanIntake{minute: -int64(time.Minute)} }}

// A spanIntake is the work on one request: scratch memory and what became of it.
type spanIntake struct {
	source   *Source
	sketches bool
	outcome  SpanOutcome

	keys resourceKeys

	// The block of the current resource.
	service *service // locked; nil: there is none
	window  *window
	refused Drop // why there is no window
	staged  []stagedSpan
	sampled []sampledSpan
	digest  uint64
	seen    bool   // a quota of traces may have to be told of one
	bound   uint64 // of the traces of the last minute that was looked up
	ceiling uint64 // the same, of its quotas
	minute  int64  // its start
}

// A stagedSpan is what of a span is counted.
type stagedSpan struct {
	end, nanos int64
	hash       uint64
	op         int32
	failed     bool
	timed      bool // it says how long it took to serve
	traced     bool // it has a trace id
}

// A sampledSpan is one of the sample, with its bytes, which are copied when it is kept.
type sampledSpan struct {
	id      [16]byte
	hash    uint64
	span    tracediff.Span
	tail    bool // an attribute says that a tail sampler kept it
	encoded []byte
}

// largestBlock is how many staged spans' memory is kept for the next request.
const largestBlock = 1 << 14

func (in *spanIntake) release() {
	if cap(in.staged) > largestBlock {
		in.staged = nil
	}
	clear(in.sampled) // it must not hold on to the request
	in.sampled = in.sampled[:0]
	if cap(in.sampled) > largestBlock {
		in.sampled = nil
	}
	in.source, in.minute = nil, -int64(time.Minute)
	spanIntakes.Put(in)
}

// Resource implements wire.SpanVisitor.
func (in *spanIntake) Resource(r *wire.Resource) bool {
	in.commit()
	in.service, in.window, in.refused = in.source.resolve(r, &in.keys)
	return true
}

// Span implements wire.SpanVisitor.
func (in *spanIntake) Span(s *wire.Span) {
	switch {
	case s.End == 0 || s.End > math.MaxInt64:
		in.outcome.add(DropNoTime)
		return
	case in.refused != "":
		in.lose(in.refused, int64(s.End))
		return
	case len(s.Name) > maxSeriesKey:
		in.lose(DropTooLong, int64(s.End))
		return
	}
	in.staged = append(in.staged, stagedSpan{})
	one := &in.staged[len(in.staged)-1]
	one.end, one.failed = int64(s.End), s.Status == statusError
	weight := uint64(tracediff.OneWeight)
	if len(s.State) > 0 {
		weight, _ = tracediff.Weight(s.State)
	}
	var kind tracediff.Kind
	one.op, kind = in.window.spans.operation(in.source, in.service, s.Name, s.Kind, weight)
	if s.Start != 0 && s.Start <= s.End {
		one.nanos, one.timed = int64(s.End-s.Start), kind.Serves()
	}
	if s.TraceID != [16]byte{} {
		one.traced, one.hash = true, tracediff.Hash(s.TraceID)
		if one.end <= in.minute || one.end > in.minute+int64(time.Minute) {
			in.lookUp(one.end)
		}
		in.seen = in.seen || one.hash < in.ceiling
		if one.hash < in.bound {
			in.sample(s, one, weight)
		}
	}
	in.digest += mixSpan(s, one.hash)
}

// lose counts a span that is dropped, and notes that its service lost one.
func (in *spanIntake) lose(why Drop, end int64) {
	in.service.lost.add(lostSpans, end)
	in.outcome.add(why)
}

// lostSpans stands for spans among the metrics of which points were dropped.
const lostSpans = "\x00spans"

const statusError = 2 // opentelemetry-proto, Status.StatusCode

// mixSpan makes one number of what tells a span from others of its resource.
func mixSpan(s *wire.Span, hash uint64) uint64 {
	h := hash ^ s.End*0x9e3779b97f4a7c15
	h = bits.RotateLeft64(h, 29)*0xff51afd7ed558ccd ^ binary.LittleEndian.Uint64(s.SpanID[:])
	h += s.Start ^ uint64(len(s.Name))<<48 ^ uint64(s.Kind)<<40 ^ uint64(s.Status)<<36
	h ^= h >> 31
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 29
	h *= 0x94d049bb133111eb
	return h ^ h>>32
}

// lookUp finds below which bound traces are collected in the minute of an end, and from
// which on none of its quotas need be told of one.
func (in *spanIntake) lookUp(end int64) {
	minute := minuteAt(end)
	in.minute = minute * int64(time.Minute)
	in.bound, in.ceiling = in.source.traces.collecting(minute)
}

// sample stages a span of the sample.
func (in *spanIntake) sample(s *wire.Span, one *stagedSpan, weight uint64) {
	out := sampledSpan{id: s.TraceID, hash: one.hash, encoded: s.Encoded, span: tracediff.Span{
		ID: s.SpanID, Parent: s.ParentID, Kind: tracediff.Kind(s.Kind), Failed: one.failed,
		Start: int64(min(s.Start, math.MaxInt64)), End: one.end, Name: in.window.spans.ops[one.op].name, Weight: weight,
	}}
	best := math.MaxInt
	attributes := s.Attributes()
	for i := range attributes {
		a := &attributes[i]
		if out.span.Kind.Calls() {
			if rank := tracediff.PeerRank(a.Key); rank > 0 && rank < best && len(a.Value) > 0 && len(a.Value) <= 256 {
				best, out.span.Peer = rank, intern(string(a.Value))
			}
		}
		out.tail = out.tail || tracediff.TailAttribute(a.Key)
	}
	in.sampled = append(in.sampled, out)
}

// commit counts the staged block and lets go of its service.
func (in *spanIntake) commit() {
	if in.service == nil {
		return
	}
	w, svc := in.window, in.service
	if w != nil && len(in.staged) > 0 {
		if in.source.blocks.seen(in.digest ^ w.spans.salt) {
			for range in.staged {
				in.outcome.add(DropDuplicate)
			}
		} else {
			in.count()
		}
	}
	if w != nil && len(w.spans.ticks) > 0 && !w.listed {
		svc.add(w)
		in.source.windows.Add(1)
	}
	if w != nil && !w.listed {
		in.source.operations.Add(-int64(len(w.spans.ops)))
	}
	empty := len(svc.ordered) == 0
	svc.mu.Unlock()
	if empty {
		in.source.forgetServices(svc.name)
	}
	in.service, in.window = nil, nil
	in.staged, in.sampled, in.digest, in.seen = in.staged[:0], in.sampled[:0], 0, false
}

// count counts the staged block.
func (in *spanIntake) count() {
	sw := in.window.spans
	var tick *spanTick
	var from, to int64 // of the tick
	accepted, newest := 0, sw.newest
	for i := range in.staged {
		one := &in.staged[i]
		if one.end <= from || one.end > to {
			tick, from, to = nil, 0, 0
			if one.end > sw.closed() {
				tick = sw.tick(tickOf(one.end), in.source, in.sketches)
			} else {
				sw.newestTick().late++
			}
			if tick == nil {
				in.outcome.add(DropLate)
				continue
			}
			from, to = tick.at*baseTick, (tick.at+1)*baseTick
			tick.widen(len(sw.ops))
		}
		tick.count(sw, one)
		newest = max(newest, one.end)
		accepted++
	}
	sw.newest = newest
	in.outcome.Accepted += accepted
	sw.settle(in.source)
	if in.seen || len(in.sampled) > 0 {
		in.source.traces.take(in)
	}
}
