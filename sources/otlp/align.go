package otlp

import "time"

// alignment is how far apart the times of one export's points may be. SDKs take
// the time once per instrument, so that the points of one collection differ by
// microseconds to milliseconds; but errors and requests of one export are one
// reading (statistics 2.1), and analysis.IncreaseOf takes one instant for one
// reading. A fold boundary must not fall between them either.
const alignment = 100 * time.Millisecond

// instants are those of a resource's newest readings.
type instants struct {
	times [8]int64
	next  int
}

func (r *instants) remember(t int64) {
	r.times[r.next] = t
	r.next = (r.next + 1) % len(r.times)
}

// nearest returns the reading within alignment of t that is nearest to it.
func (r *instants) nearest(t int64) (int64, bool) {
	best, found := int64(0), false
	for _, known := range r.times {
		distance := max(known-t, t-known)
		if known == 0 || distance > int64(alignment) {
			continue
		}
		if !found || distance < max(best-t, t-best) {
			best, found = known, true
		}
	}
	return best, found
}

// align moves the time of p to the reading that it belongs to: the one that the
// first point of its export began. It reports false if the series has had p
// already. A series that has another sample at that reading is exported more often
// than the alignment: it keeps its own time.
func (w *window) align(s *series, p *sample) bool {
	at, ok := w.instants.nearest(p.t)
	if !ok {
		w.instants.remember(p.t)
		return true
	}
	known, ok := s.at(at)
	if !ok {
		p.t = at
		return true
	}
	if at == p.t || known.start == p.start && (s.kind == delta || known.v == p.v) {
		return false
	}
	w.instants.remember(p.t)
	return true
}
