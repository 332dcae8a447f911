package otlp

import (
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// Of spans, a minute knows what a resource served and how much of it failed; and how
// long it took, where a loaded objective judges durations and there is room. Minutes of
// whole traces are kept with the traces (spans_traces.go).

// minuteAt returns the number of the minute that an instant lies in; its end is in it.
func minuteAt(t int64) int64 { return (t - 1) / int64(time.Minute) }

// minuteOfTick returns the number of the minute that a tick lies in.
func minuteOfTick(at int64) int64 { return at / minuteTicks }

// served is what the ticks of a window say of operations that it serves.
type served struct {
	plain      cells            // of spans that stand for themselves
	others     map[uint64]cells // of others, by weight
	sketch     tracediff.Sketch // of all; as often as their weight, rounded
	byWeight   weights
	unsketched bool
}

// weights are sketches of spans of one weight each. The zero value is empty.
type weights map[uint64]*tracediff.Sketch

func (w *weights) of(weight uint64) *tracediff.Sketch {
	s := (*w)[weight]
	if s == nil {
		if *w == nil {
			*w = weights{}
		}
		s = &tracediff.Sketch{}
		(*w)[weight] = s
	}
	return s
}

// all goes through them, ascending.
func (w weights) all(yield func(uint64, *tracediff.Sketch) bool) {
	for _, weight := range slices.Sorted(maps.Keys(w)) {
		if !yield(weight, w[weight]) {
			return
		}
	}
}

func (v *served) add(op *spanOp, r *spanRecord, durations bool) {
	if op.weight == tracediff.OneWeight {
		v.plain.add(r.cell)
	} else {
		if v.others == nil {
			v.others = map[uint64]cells{}
		}
		sum := v.others[op.weight]
		sum.add(r.cell)
		v.others[op.weight] = sum
	}
	if durations {
		r.into(&v.sketch, (op.weight+tracediff.OneWeight/2)/tracediff.OneWeight)
		r.into(v.byWeight.of(op.weight), 1)
	}
}

// counts returns failures and requests: effective ones where weights differ.
func (v *served) counts() (bad, exposure float64) {
	if len(v.others) == 0 {
		return float64(v.plain.failed), float64(v.plain.n)
	}
	bad, sum, squares := float64(v.plain.failed), float64(v.plain.n), float64(v.plain.n)
	for _, weight := range slices.Sorted(maps.Keys(v.others)) {
		w, one := float64(weight)/tracediff.OneWeight, v.others[weight]
		bad, sum, squares = bad+w*float64(one.failed), sum+w*float64(one.n), squares+w*w*float64(one.n)
	}
	return tracediff.Effective(bad, sum, squares)
}

// minuteSum is what the window served in a minute; ok is false where it had no span.
func (sw *spanWindow) minuteSum(at int64, durations bool) (v served, ok bool) {
	start := at * int64(time.Minute)
	for t := range sw.within(start, start+int64(time.Minute)) {
		ok = true
		v.unsketched = v.unsketched || t.unsketched
		for r := range t.records {
			if op := &sw.ops[r.op]; op.kind.Serves() {
				v.add(op, &r, durations)
			}
		}
	}
	return v, ok
}

// trim sums whole minutes and forgets their ticks, so that none before the tick is kept.
func (sw *spanWindow) trim(s *Source, tick int64) {
	tracked := s.tracked.Load()
	for len(sw.ticks) > 0 && sw.ticks[0].at < tick {
		at := minuteOfTick(sw.ticks[0].at)
		if tracked.spans {
			v, _ := sw.minuteSum(at, tracked.durations)
			bad, exposure := v.counts()
			if len(sw.minutes.chunks) == 0 || sw.minutes.last < at {
				sw.minutes.add(spanMinute{at, bad, exposure})
			}
			if tracked.durations && !v.unsketched {
				sw.keepSketch(s, minute{at: at * int64(time.Minute), bad: bad, exposure: exposure, buckets: bucketsOf(&v.sketch)})
			}
		}
		n := 0
		for n < len(sw.ticks) && minuteOfTick(sw.ticks[n].at) == at {
			t := sw.ticks[n]
			sw.bytes -= len(t.packed)
			if t.packed = t.packed[:0]; t.cells != nil {
				sw.free = append(sw.free, opened{t.cells[:0], t.codes[:0]})
				t.cells, t.codes = nil, nil
			}
			if len(sw.spare) < 12 {
				sw.spare = append(sw.spare, t)
			}
			n++
		}
		sw.ticks = slices.Delete(sw.ticks, 0, n)
		sw.trimmed = max(sw.trimmed, (at+1)*int64(time.Minute))
	}
	before := sw.trimmed - int64(s.cfg.HistoryRetention)
	sw.minutes.forget(before / int64(time.Minute))
	n := 0
	for n < len(sw.sketches) && (sw.sketches[n].at < before || !tracked.durations) {
		s.spanSketches.Add(-int64(sw.sketches[n].buckets.size()))
		n++
	}
	sw.sketches = slices.Delete(sw.sketches, 0, n)
}

// maxSketches bounds the memory of minutes' durations, of all resources together. Beyond
// it minutes are kept without: the dispersion is then learned from fewer of them.
const maxSketches = 64 << 20

func (b *buckets) size() int { return 128 + len(b.packed) }

func (sw *spanWindow) keepSketch(s *Source, m minute) {
	if size := int64(m.buckets.size()); s.spanSketches.Add(size) > maxSketches {
		s.spanSketches.Add(-size)
		return
	}
	sw.sketches = append(sw.sketches, m)
}

// history returns the minutes in [from, to) that are known, ascending, with the buckets of
// durations if those are asked for and known.
func (sw *spanWindow) history(from, to int64, durations bool) (sums []minute) {
	sketches := sw.sketches
	for m := range sw.minutes.all {
		at := m.at * int64(time.Minute)
		if at < from || at+int64(time.Minute) > to {
			continue
		}
		one := minute{at: at, bad: m.bad, exposure: m.exposure}
		for len(sketches) > 0 && sketches[0].at < at {
			sketches = sketches[1:]
		}
		if durations && len(sketches) > 0 && sketches[0].at == at {
			one.buckets = sketches[0].buckets
		}
		sums = append(sums, one)
	}
	last := int64(-1)
	for _, t := range sw.ticks {
		at := minuteOfTick(t.at)
		start := at * int64(time.Minute)
		if at == last || start < from || start+int64(time.Minute) > to {
			continue
		}
		last = at
		v, _ := sw.minuteSum(at, durations)
		bad, exposure := v.counts()
		one := minute{at: start, bad: bad, exposure: exposure}
		if durations && !v.unsketched {
			one.buckets = bucketsOf(&v.sketch)
		}
		sums = append(sums, one)
	}
	return sums
}

// evictSpans forgets what is too old, or ahead by more than a day, at the instant now. It
// reports whether anything is left.
func (s *Source) evictSpans(sw *spanWindow, now time.Time) (left bool) {
	if age := now.Sub(instant(sw.newest)); age > s.cfg.Retention && len(sw.ticks) > 0 && sw.newest == sw.evicted {
		sw.trim(s, sw.ticks[len(sw.ticks)-1].at+1)
	}
	sw.evicted = sw.newest
	ahead := tickOf(now.Add(24 * time.Hour).UnixNano())
	sw.ticks = slices.DeleteFunc(sw.ticks, func(t *spanTick) bool { return t.at > ahead })
	oldest := now.Add(-s.cfg.HistoryRetention).UnixNano()
	sw.minutes.forget(oldest / int64(time.Minute))
	return len(sw.ticks) > 0 || len(sw.minutes.chunks) > 0
}

// forgetSpans gives back what a window with spans took of the limits.
func (s *Source) forgetSpans(w *window) {
	if w.spans == nil {
		return
	}
	s.operations.Add(-int64(len(w.spans.ops)))
	for _, m := range w.spans.sketches {
		s.spanSketches.Add(-int64(m.buckets.size()))
	}
	w.spans = nil
}

// durationSignal reports whether a signal is that of spans' durations.
func durationSignal(signal analysis.Signal) bool {
	return signal.Spans != nil && signal.Spans.Event == analysis.SpanDuration
}
