package logdiff

import (
	"cmp"
	"math"
	"slices"
)

// limits bound what is kept of distinct texts.
type limits struct {
	texts  int // distinct ones
	bytes  int // of them together
	events int // distinct events of a text that are counted exactly
}

// texts holds what is counted of distinct masked texts. Of too many it keeps those of the
// smallest hashes whose number and bytes are within the limits: the same ones in any order
// of arrival, and however they were dealt out to tables that are merged later.
type texts struct {
	limits
	entries   map[string]*textEntry
	heap      []*textEntry // the largest hash first
	size      int          // bytes of the keys
	threshold uint64       // texts of this hash or above are dropped
	dropped   int          // lines of these
}

// A textEntry is what is counted of one masked text.
type textEntry struct {
	textCount
	key  string
	hash uint64
}

func newTexts(l limits) *texts {
	return &texts{limits: l, entries: map[string]*textEntry{}, threshold: math.MaxUint64}
}

// entry returns the entry of a text that is about to be counted; nil: it is dropped.
func (t *texts) entry(key []byte) *textEntry {
	if e := t.entries[string(key)]; e != nil {
		return e
	}
	h := hashOf(key)
	if h >= t.threshold {
		t.dropped++
		return nil
	}
	return t.insert(string(key), h)
}

// insert adds a text, which may put out another, or itself.
func (t *texts) insert(key string, h uint64) *textEntry {
	e := &textEntry{key: key, hash: h}
	e.events.keep = t.events
	t.entries[key] = e
	t.size += len(key)
	t.heap = append(t.heap, e)
	for i := len(t.heap) - 1; i > 0 && t.heap[(i-1)/2].hash < t.heap[i].hash; i = (i - 1) / 2 {
		t.heap[i], t.heap[(i-1)/2] = t.heap[(i-1)/2], t.heap[i]
	}
	for len(t.heap) > t.texts || t.size > t.bytes {
		if t.evict() == e {
			t.dropped++
			return nil
		}
	}
	return e
}

// evict drops the text of the largest hash.
func (t *texts) evict() *textEntry {
	e, last := t.heap[0], len(t.heap)-1
	t.heap[0], t.heap[last] = t.heap[last], nil
	t.heap = t.heap[:last]
	for i := 0; ; {
		big := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if t.heap[c].hash > t.heap[big].hash {
				big = c
			}
		}
		if big == i {
			break
		}
		t.heap[i], t.heap[big] = t.heap[big], t.heap[i]
		i = big
	}
	delete(t.entries, e.key)
	t.size -= len(e.key)
	t.threshold = min(t.threshold, e.hash)
	t.dropped += e.lines
	return e
}

// merge adds the entries of another table.
func (t *texts) merge(o *texts) {
	t.dropped += o.dropped
	t.threshold = min(t.threshold, o.threshold)
	for len(t.heap) > 0 && t.heap[0].hash >= t.threshold {
		t.evict()
	}
	for key, e := range o.entries {
		own := t.entries[key]
		if own == nil && e.hash < t.threshold {
			own = t.insert(key, e.hash)
			if own == nil {
				t.dropped-- // insert counted it as one line
			}
		}
		if own == nil {
			t.dropped += e.lines
			continue
		}
		own.merge(&e.textCount)
	}
}

// sorted returns the entries by text.
func (t *texts) sorted() []*textEntry {
	out := slices.Clone(t.heap)
	slices.SortFunc(out, func(a, b *textEntry) int { return cmp.Compare(a.key, b.key) })
	return out
}

// hashOf is FNV-1a with a final mix, never the largest number.
func hashOf(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return min(mix(h), math.MaxUint64-1)
}

// mix spreads the bits of a number (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
