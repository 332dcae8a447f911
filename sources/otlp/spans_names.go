package otlp

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// spanNames are the operations of a service that keep their names: those that a plan
// names, and of the others so many of the smallest hash. Which ones that are does not
// depend on the order in which they came; all others are analysis.OtherOperation. The
// service's lock protects them.
type spanNames struct {
	quota  tracediff.Quota
	pinned map[string]bool
	// frozen are the bounds that answers were given with: up to an instant, ascending.
	frozen []frozenNames
}

type frozenNames struct {
	until int64
	bound uint64
}

// maxFrozen is how many changes of the bound are remembered.
const maxFrozen = 64

// admit reports whether an operation that is new to a resource keeps its name for now.
func (n *spanNames) admit(name string, hash uint64) bool {
	n.quota.Size = namesOfService
	n.quota.See(hash)
	return hash <= n.quota.Bound() || n.pinned[name]
}

// pin lets operations of a plan keep their names. Answers under way hold the map that it
// replaces.
func (n *spanNames) pin(names []string) {
	if !slices.ContainsFunc(names, func(name string) bool { return !n.pinned[name] }) {
		return
	}
	pinned := maps.Clone(n.pinned)
	if pinned == nil {
		pinned = map[string]bool{}
	}
	for _, name := range names {
		if len(pinned) < 2*namesOfService {
			pinned[strings.Clone(name)] = true
		}
	}
	n.pinned = pinned
}

// boundAt returns the bound of names in an answer up to an instant, the same every time.
func (n *spanNames) boundAt(end int64) uint64 {
	bound := uint64(math.MaxUint64)
	if n.quota.Size > 0 {
		bound = n.quota.Bound()
	}
	i, _ := slices.BinarySearchFunc(n.frozen, end, func(f frozenNames, end int64) int {
		if f.until < end {
			return -1
		}
		return 1
	})
	if i < len(n.frozen) {
		return n.frozen[i].bound
	}
	if k := len(n.frozen); k > 0 && n.frozen[k-1].bound == bound {
		n.frozen[k-1].until = end
		return bound
	}
	if len(n.frozen) >= maxFrozen {
		n.frozen = slices.Delete(n.frozen, 0, 1)
	}
	n.frozen = append(n.frozen, frozenNames{end, bound})
	return bound
}

// A namer says how operations are called in an answer.
type namer struct {
	keep   map[string]bool // nil: all
	bound  uint64
	pinned map[string]bool
}

func (n *spanNames) namer(q analysis.Query) namer {
	out := namer{bound: n.boundAt(q.Fold.End.UnixNano())}
	if q.Spans != nil && len(q.Spans.Operations) > 0 {
		n.pin(q.Spans.Operations)
		out.keep = map[string]bool{}
		for _, name := range q.Spans.Operations {
			out.keep[name] = true
		}
	}
	out.pinned = n.pinned
	return out
}

func (n namer) name(name string) string {
	if n.keep != nil {
		if n.keep[name] {
			return name
		}
		return analysis.OtherOperation
	}
	if n.pinned[name] || hashOfName([]byte(name)) <= n.bound {
		return name
	}
	return analysis.OtherOperation
}
