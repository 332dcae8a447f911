package otlp

import "sync"

// blocks remembers the blocks of spans that were counted lately, by their digests, in sets
// of four: the oldest of a set gives way. 2^18 sets are half a minute of ten thousand
// blocks a second, or hours of a small shop.
type blocks struct {
	mu   sync.Mutex
	sets [][4]uint64 // the newest first; 0: none
}

const blockSets = 1 << 18

// seen reports whether the block was counted before, and remembers it.
func (b *blocks) seen(digest uint64) bool {
	digest = max(digest, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sets == nil {
		b.sets = make([][4]uint64, blockSets)
	}
	set := &b.sets[digest>>40%blockSets]
	for _, known := range set {
		if known == digest {
			return true
		}
	}
	set[3], set[2], set[1], set[0] = set[2], set[1], set[0], digest
	return false
}
