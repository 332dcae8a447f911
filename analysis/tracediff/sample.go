package tracediff

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// Hash orders traces in a way that has nothing to do with what happened in them. All
// bits of the id count, mixed: samplers upstream choose by some of them.
func Hash(id [16]byte) uint64 {
	h := binary.BigEndian.Uint64(id[:8]) ^ bits.RotateLeft64(binary.BigEndian.Uint64(id[8:])*0x9e3779b97f4a7c15, 29)
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// All is the bound below which every trace lies.
const All = math.MaxUint64

// Share is what part of all traces lies below a bound.
func Share(bound uint64) float64 {
	if bound == All {
		return 1
	}
	return math.Ldexp(float64(bound), -64)
}

// A Quota finds the bound below which the hashes of so many traces lie: the smallest
// Size different ones that it was told of. What is below it is the sample of the next
// minute, as far as that is like this one. The zero value has size 0 and no bound.
type Quota struct {
	Size   int
	hashes []uint64            // a heap, the largest first
	known  map[uint64]struct{} // those in hashes
}

// See tells of a span of a trace with that hash. It is cheap for most.
func (q *Quota) See(hash uint64) {
	if len(q.hashes) == q.Size && (q.Size == 0 || hash >= q.hashes[0]) {
		return
	}
	if _, known := q.known[hash]; known {
		return
	}
	if q.known == nil {
		q.known = map[uint64]struct{}{}
	}
	q.known[hash] = struct{}{}
	if len(q.hashes) < q.Size {
		q.hashes = append(q.hashes, hash)
		for i := len(q.hashes) - 1; i > 0 && q.hashes[(i-1)/2] < q.hashes[i]; i = (i - 1) / 2 {
			q.hashes[(i-1)/2], q.hashes[i] = q.hashes[i], q.hashes[(i-1)/2]
		}
		return
	}
	delete(q.known, q.hashes[0])
	q.hashes[0] = hash
	q.sink()
}

func (q *Quota) sink() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(q.hashes) {
			return
		}
		if child+1 < len(q.hashes) && q.hashes[child+1] > q.hashes[child] {
			child++
		}
		if q.hashes[i] >= q.hashes[child] {
			return
		}
		q.hashes[i], q.hashes[child] = q.hashes[child], q.hashes[i]
		i = child
	}
}

// Bound returns the hash below which, or at which, Size traces lie: [All] where there
// were fewer.
func (q *Quota) Bound() uint64 {
	if len(q.hashes) < q.Size || q.Size == 0 {
		return All
	}
	return q.hashes[0]
}

// Seen are the hashes that it holds, ascending.
func (q *Quota) Seen() []uint64 {
	out := slices.Clone(q.hashes)
	slices.Sort(out)
	return out
}
