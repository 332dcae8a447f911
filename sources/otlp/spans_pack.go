package otlp

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/release-assay/assay/analysis/tracediff"
)

// Ticks that are no longer counted in are packed to a few bytes for each operation, and
// about two for each duration that was kept. A record is: the operation's number after
// the one before, how many spans, how many failed, their nanoseconds, how many buckets,
// and of each bucket how far it is from the one before, with how many spans if there is
// more than one. A tick that is counted in again is packed behind what it has.

const (
	codeOffset = 2048 // so that buckets are numbers from 1
	zeroCode   = 0    // took no time
	maxCodes   = 1 << 16
)

// pack moves what is counted openly in a tick behind what is packed.
func (sw *spanWindow) pack(t *spanTick) {
	scratch := packing.Get().(*packer)
	scratch.sort(t.codes)
	out := scratch.out[:0]
	codes, last := t.codes, -1
	for op := range t.cells {
		c := &t.cells[op]
		if c.n == 0 {
			continue
		}
		out = binary.AppendUvarint(out, uint64(op-last))
		last = op
		out = binary.AppendUvarint(out, uint64(c.n))
		out = binary.AppendUvarint(out, uint64(c.failed))
		out = binary.AppendUvarint(out, c.nanos)
		n := 0
		for n < len(codes) && int(codes[n]>>16) == op {
			n++
		}
		out = appendBuckets(out, codes[:n])
		codes = codes[n:]
	}
	out = append(out, 0) // no operation is 0 behind the one before
	sw.bytes += len(out)
	if t.packed == nil {
		t.packed = make([]byte, 0, len(out))
	}
	t.packed = append(t.packed, out...)
	scratch.out = out
	packing.Put(scratch)
	sw.free = append(sw.free, opened{t.cells[:0], t.codes[:0]})
	t.cells, t.codes = nil, nil
}

var packing = sync.Pool{New: func() any { return new(packer) }}

// A packer is scratch memory.
type packer struct {
	out   []byte
	codes []uint32
}

// sort sorts codes, byte by byte from the least: there are thousands, of few bytes each.
func (p *packer) sort(codes []uint32) {
	if len(codes) < 128 {
		slices.Sort(codes)
		return
	}
	var counts [4][256]uint32
	for _, c := range codes {
		counts[0][byte(c)]++
		counts[1][byte(c>>8)]++
		counts[2][byte(c>>16)]++
		counts[3][byte(c>>24)]++
	}
	p.codes = slices.Grow(p.codes[:0], len(codes))[:len(codes)]
	from, to := codes, p.codes
	for i := range counts {
		shift, count := 8*i, &counts[i]
		if count[byte(codes[0]>>shift)] == uint32(len(codes)) {
			continue // all are alike
		}
		at := uint32(0)
		for b, n := range count {
			count[b], at = at, at+n
		}
		for _, c := range from {
			b := byte(c >> shift)
			to[count[b]] = c
			count[b]++
		}
		from, to = to, from
	}
	if &from[0] != &codes[0] {
		copy(codes, from)
	}
}

// opened is the memory of a tick that is counted in.
type opened struct {
	cells []cell
	codes []uint32
}

// open makes a tick ready to be counted in.
func (sw *spanWindow) open(t *spanTick) {
	if k := len(sw.free); k > 0 {
		t.cells, t.codes = sw.free[k-1].cells, sw.free[k-1].codes
		sw.free = sw.free[:k-1]
	}
	t.cells = slices.Grow(t.cells[:0], len(sw.ops))[:len(sw.ops)]
	clear(t.cells)
	if t.cells == nil {
		t.cells = []cell{}
	}
}

// appendBuckets appends codes of one operation, which are ascending.
func appendBuckets(out []byte, codes []uint32) []byte {
	n := 0
	for i := range codes {
		if i == 0 || codes[i] != codes[i-1] {
			n++
		}
	}
	out = binary.AppendUvarint(out, uint64(n))
	last := uint32(0)
	for i := 0; i < len(codes); {
		j := i + 1
		for j < len(codes) && codes[j] == codes[i] {
			j++
		}
		code := codes[i] & 0xffff
		gap := uint64(code - last)
		last = code
		if j == i+1 {
			out = binary.AppendUvarint(out, gap<<1)
		} else {
			out = binary.AppendUvarint(out, gap<<1|1)
			out = binary.AppendUvarint(out, uint64(j-i))
		}
		i = j
	}
	return out
}

// A spanRecord is what one operation counted in a tick. It may come in parts.
type spanRecord struct {
	op int32
	cell
	codes   []uint32 // of an open tick, of this operation among others
	buckets []byte   // of a packed one
}

// records goes through what a tick counted.
func (t *spanTick) records(yield func(spanRecord) bool) {
	packed := t.packed
	for len(packed) > 0 {
		for last := -1; ; {
			gap, n := binary.Uvarint(packed)
			packed = packed[n:]
			if gap == 0 {
				break
			}
			var r spanRecord
			last += int(gap)
			r.op = int32(last)
			var v [4]uint64
			for i := range v {
				v[i], n = binary.Uvarint(packed)
				packed = packed[n:]
			}
			r.n, r.failed, r.nanos = uint32(v[0]), uint32(v[1]), v[2]
			start := packed
			for range v[3] {
				gap, n := binary.Uvarint(packed)
				packed = packed[n:]
				if gap&1 != 0 {
					_, n = binary.Uvarint(packed)
					packed = packed[n:]
				}
			}
			r.buckets = start[:len(start)-len(packed)]
			if !yield(r) {
				return
			}
		}
	}
	for op := range t.cells {
		if c := t.cells[op]; c.n > 0 && !yield(spanRecord{op: int32(op), cell: c, codes: t.codes}) {
			return
		}
	}
}

// into adds the durations of the record to a sketch, each so many times.
func (r *spanRecord) into(s *tracediff.Sketch, times uint64) {
	add := func(code uint32, n uint64) {
		if code == zeroCode {
			s.AddBucket(-1<<30, n*times)
			return
		}
		s.AddBucket(int32(code)-codeOffset, n*times)
	}
	for _, code := range r.codes {
		if int32(code>>16) == r.op {
			add(code&0xffff, 1)
		}
	}
	last := uint32(0)
	for packed := r.buckets; len(packed) > 0; {
		gap, n := binary.Uvarint(packed)
		packed = packed[n:]
		count := uint64(1)
		if gap&1 != 0 {
			count, n = binary.Uvarint(packed)
			packed = packed[n:]
		}
		last += uint32(gap >> 1)
		add(last, count)
	}
}

// bucketsOf are a sketch as this package counts above bounds.
func bucketsOf(s *tracediff.Sketch) *buckets {
	b := &buckets{exponential: true, scale: tracediff.Scale}
	var populated []bucket
	total := s.Total()
	for index, n := range s.All {
		total -= n
		populated = append(populated, bucket{index, n})
	}
	return b.pack(append([]bucket{{zeroBucket, total}}, populated...))
}

// packedMinutes are minutes with what a resource served in each: 4 to 8 bytes each.
type packedMinutes struct {
	chunks []minuteChunk // ascending
	last   int64         // number of the newest minute
}

// A minuteChunk holds up to an hour of minutes.
type minuteChunk struct {
	first, last int64
	packed      []byte
}

// A spanMinute is what a resource served in the minute of that number, in thousandths:
// where spans have weights, these are effective numbers (tracediff.Effective).
type spanMinute struct {
	at            int64
	bad, exposure float64
}

// add adds a minute, which is newer than all before.
func (m *packedMinutes) add(one spanMinute) {
	n := len(m.chunks)
	if n == 0 || one.at-m.chunks[n-1].first >= 60 {
		m.chunks = append(m.chunks, minuteChunk{first: one.at, last: one.at})
		n++
	}
	c := &m.chunks[n-1]
	c.packed = binary.AppendUvarint(c.packed, uint64(one.at-c.last))
	c.packed = appendCount(c.packed, one.exposure)
	c.packed = appendCount(c.packed, one.bad)
	c.last, m.last = one.at, one.at
}

// appendCount appends a number: whole ones as they are, others in thousandths.
func appendCount(out []byte, v float64) []byte {
	if whole := uint64(v); float64(whole) == v {
		return binary.AppendUvarint(out, whole<<1)
	}
	return binary.AppendUvarint(out, uint64(v*1000+0.5)<<1|1)
}

func readCount(packed []byte) (float64, []byte) {
	v, n := binary.Uvarint(packed)
	if v&1 == 0 {
		return float64(v >> 1), packed[n:]
	}
	return float64(v>>1) / 1000, packed[n:]
}

// all goes through the minutes, ascending.
func (m *packedMinutes) all(yield func(spanMinute) bool) {
	for _, c := range m.chunks {
		at := c.first
		for packed := c.packed; len(packed) > 0; {
			var one spanMinute
			gap, n := binary.Uvarint(packed)
			packed = packed[n:]
			at += int64(gap)
			one.at = at
			one.exposure, packed = readCount(packed)
			one.bad, packed = readCount(packed)
			if !yield(one) {
				return
			}
		}
	}
}

// forget removes whole hours before a minute.
func (m *packedMinutes) forget(before int64) {
	n := 0
	for n < len(m.chunks) && m.chunks[n].last < before {
		n++
	}
	m.chunks = slices.Delete(m.chunks, 0, n)
}
