package logdiff

import (
	"math"
	"slices"
)

// A distinct set counts different events by their hashes: exactly while there are at most
// keep, else estimated from the keep smallest ones with a relative standard error of
// 1/sqrt(keep-2) [1]. The order of events makes no difference.
//
// [1] Z. Bar-Yossef, T. S. Jayram, R. Kumar, D. Sivakumar, L. Trevisan, "Counting distinct
// elements in a data stream", RANDOM 2002.
type distinct struct {
	keep   int
	hashes []uint64 // with repetitions, until they are packed
	packed int      // of them sorted and different
	below  uint64   // hashes from here on are not kept; 0: all are
}

func (d *distinct) add(h uint64) {
	if d.below > 0 && h >= d.below {
		return
	}
	if n := len(d.hashes); n > 0 && d.hashes[n-1] == h { // the next line of the same request
		return
	}
	if len(d.hashes) >= 2*d.keep {
		d.pack()
		if d.below > 0 && h >= d.below {
			return
		}
	}
	d.hashes = append(d.hashes, h)
}

// pack sorts the hashes and drops what is there twice or too much.
func (d *distinct) pack() {
	if d.packed == len(d.hashes) {
		return
	}
	slices.Sort(d.hashes)
	d.hashes = slices.Compact(d.hashes)
	if len(d.hashes) > d.keep {
		d.below = d.hashes[d.keep] // the smallest that is not kept
		d.hashes = d.hashes[:d.keep]
	}
	d.packed = len(d.hashes)
}

// merge adds the events of another set, which it packs.
func (d *distinct) merge(o *distinct) {
	o.pack()
	if o.below > 0 && (d.below == 0 || o.below < d.below) {
		d.below = o.below
		d.hashes = slices.DeleteFunc(d.hashes, func(h uint64) bool { return h >= d.below })
		d.packed = 0
	}
	for _, h := range o.hashes {
		d.add(h)
	}
}

func (d *distinct) count() float64 {
	d.pack()
	if d.below == 0 {
		return float64(len(d.hashes))
	}
	// below is the (n+1)-th smallest of the hashes, n of which are kept.
	return float64(len(d.hashes)) / (float64(d.below) / math.MaxUint64)
}
