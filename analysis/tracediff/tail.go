package tracediff

import (
	"bytes"
	"fmt"
	"math"
)

// TailAttribute reports whether an attribute is one that tail samplers leave on the spans
// they keep: those of the Collector's tail sampling processor and of Refinery.
func TailAttribute(key []byte) bool {
	for _, prefix := range tailPrefixes {
		if bytes.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

var tailPrefixes = [][]byte{[]byte("tailsampling."), []byte("sampling.policy"), []byte("sampling.tail"), []byte("meta.refinery.")}

const (
	tailSigmas   = 6    // by how many standard errors the shares must differ
	tailRequests = 1000 // fewer tell nothing
	tailMissing  = 0.9  // share of the requests above which spans are not missing
)

// A Counted is how many requests there were in some time, and how many failed.
type Counted struct{ Requests, Errors float64 }

// Tail tells whether spans contradict the counter of the same requests so that they must
// have been chosen by how they ended: some are missing, and errors are not missing in
// proportion. Weighted says that the spans' weights tell of sampling. It returns why, ""
// where there is no sign of it. Spans of which only slow ones are kept look, by their
// counts, as if they had been chosen by chance: only attributes and configuration tell.
func Tail(spans, counter Counted) string {
	if counter.Requests < tailRequests || spans.Requests <= 0 || spans.Requests >= tailMissing*counter.Requests {
		return ""
	}
	share, usual := spans.Errors/spans.Requests, counter.Errors/counter.Requests
	if share <= usual {
		return "" // errors are missing: a fault, but no choice of tail samplers
	}
	pooled := (spans.Errors + counter.Errors) / (spans.Requests + counter.Requests)
	sigma := math.Sqrt(pooled * (1 - pooled) * (1/spans.Requests + 1/counter.Requests))
	if !(share-usual > tailSigmas*sigma) || share < 1.5*usual {
		return ""
	}
	return fmt.Sprintf("%.0f spans of %.0f requests, and %.2g %% of the spans failed where %.2g %% of the requests did: they were chosen by how they ended", spans.Requests, counter.Requests, 100*share, 100*usual)
}
