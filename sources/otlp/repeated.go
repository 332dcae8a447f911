package otlp

import (
	"hash/maphash"
	"sync"
)

// repeated remembers the requests that were taken in lately. Senders that got no answer
// in time send the same bytes again, as Kafka does after a restart of its reader, and
// lines have no ids by which one could tell. Two requests of the same bytes are one: a
// record is stamped to the nanosecond where it was made or collected.
type repeated struct {
	mu       sync.Mutex
	now, old map[uint64]struct{}
}

// maxRepeated is how many requests are remembered, and up to twice as many: five
// minutes of 200 a second.
const maxRepeated = 1 << 16

var repeatedSeed = maphash.MakeSeed()

// seen reports whether the request was taken in before, and remembers it.
func (r *repeated) seen(data []byte) bool {
	sum := maphash.Bytes(repeatedSeed, data)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.now[sum]; ok {
		return true
	}
	_, ok := r.old[sum]
	if len(r.now) >= maxRepeated || r.now == nil {
		r.now, r.old = map[uint64]struct{}{}, r.now
	}
	r.now[sum] = struct{}{}
	return ok
}
