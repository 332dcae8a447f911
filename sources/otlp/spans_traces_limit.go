package otlp

import (
	"maps"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// retire forgets the oldest minutes where there are too many. A minute of a clock that
// runs ahead takes one place.
func (t *traceStore) retire() {
	if len(t.minutes) <= traceMinutes+2 {
		return
	}
	minutes := slices.Sorted(maps.Keys(t.minutes))
	for _, m := range minutes[:len(minutes)-traceMinutes-2] {
		t.retireOne(m)
	}
}

func (t *traceStore) retireOne(oldest int64) {
	t.sum(oldest)
	t.retired = max(t.retired, oldest)
	t.forget(oldest)
}

// forget lets go of a minute, and of the traces that have no newer one.
func (t *traceStore) forget(minute int64) {
	for trace := range t.minutes[minute].traces {
		if trace.last <= minute && t.held[trace.id] == trace {
			t.bytes -= int64(trace.bytes)
			delete(t.held, trace.id)
		}
	}
	delete(t.minutes, minute)
}

// shrink makes room: by the oldest minute that was answered, else by those of the traces
// whose hashes are above the median, of all minutes that are open.
func (t *traceStore) shrink() {
	if len(t.minutes) > 3 {
		if oldest := slices.Min(slices.Collect(maps.Keys(t.minutes))); (oldest+1)*minuteTicks*baseTick <= t.closed {
			t.retireOne(oldest)
			return
		}
	}
	hashes := make([]uint64, 0, len(t.held))
	for _, trace := range t.held {
		hashes = append(hashes, trace.hash)
	}
	if len(hashes) == 0 {
		return
	}
	slices.Sort(hashes)
	cut := hashes[len(hashes)/2]
	for _, m := range t.minutes {
		m.cut = min(m.cut, cut)
	}
	for id, trace := range t.held {
		if trace.hash >= cut {
			t.bytes -= int64(trace.bytes)
			t.dropped += uint64(len(trace.spans))
			delete(t.held, id)
		}
	}
}

// watch notes that services are asked about.
func (t *traceStore) watch(matches []analysis.Match, until int64) {
	if t.watched == nil {
		t.at(minuteAt(until))
		delete(t.minutes, minuteAt(until))
	}
	for _, m := range matches {
		if m.Name != analysis.AttrService {
			continue
		}
		for _, name := range m.Values {
			if _, known := t.watched[name]; known || len(t.watched) < 4096 {
				t.watched[strings.Clone(name)] = max(until, t.watched[name])
			}
		}
	}
	const forgotten = 30 * 60 * 1_000_000_000
	maps.DeleteFunc(t.watched, func(_ string, last int64) bool { return last < until-forgotten })
}

// track says whether sums of minutes are kept.
func (t *traceStore) track(whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tracked = whole
}

// size is how many traces are held, and their bytes.
func (t *traceStore) size() (traces, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.held), int(t.bytes)
}
