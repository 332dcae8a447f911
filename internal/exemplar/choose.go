package exemplar

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Candidate is a trace that a search returned, with what is to be known to choose.
type Candidate struct {
	ID     string
	Took   time.Duration // the longest of the spans that were asked about
	Failed bool          // one of them has an error status
}

// Choose returns the candidates that show a kind, the first to be shown first: failed
// ones in the order of a hash of their ids; slow ones by how long they took; typical ones
// are those without an error whose duration lies between the quartiles, in the order of
// the hash.
func Choose(kind analysis.ExemplarKind, of []Candidate) []Candidate {
	var out []Candidate
	for _, c := range of {
		if (kind != analysis.ExemplarFailed || c.Failed) && (kind != analysis.ExemplarTypical || !c.Failed) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Took, a.Took), cmp.Compare(hash(a.ID), hash(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	out = slices.CompactFunc(out, func(a, b Candidate) bool { return a.ID == b.ID })
	if kind == analysis.ExemplarSlow {
		return out
	}
	if kind == analysis.ExemplarTypical && len(out) > 2 {
		out = out[len(out)/4 : len(out)-len(out)/4]
	}
	slices.SortFunc(out, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(hash(a.ID), hash(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// hash orders ids as if at random, and always in the same way. Ids themselves would not
// do: some programs count them up.
func hash(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:8])
}
