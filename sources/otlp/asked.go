package otlp

import (
	"slices"
	"strconv"
	"sync"

	"github.com/release-assay/assay/analysis"
)

// asked remembers up to when who was asked about, for resources that are not known
// yet: their late samples must not change an answer either.
type asked struct {
	mu    sync.Mutex
	until map[string]*askedFor
}

type askedFor struct {
	matches []analysis.Match
	until   int64
}

// maxAsked bounds what is remembered. The oldest question is forgotten: its folds
// are the longest closed.
const maxAsked = 4096

func (a *asked) add(matches []analysis.Match, until int64) {
	var key []byte
	for _, m := range matches {
		key = strconv.AppendQuote(key, m.Name)
		for _, v := range m.Values {
			key = strconv.AppendQuote(key, v)
		}
		key = append(key, ';')
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.until[string(key)]; known != nil {
		known.until = max(known.until, until)
		return
	}
	if a.until == nil {
		a.until = map[string]*askedFor{}
	}
	if len(a.until) >= maxAsked {
		var oldest string
		for k, one := range a.until {
			if oldest == "" || one.until < a.until[oldest].until {
				oldest = k
			}
		}
		delete(a.until, oldest)
	}
	a.until[string(key)] = &askedFor{matches: clone(matches), until: until}
}

// about returns the instant up to which questions that match the window were answered.
func (a *asked) about(w *window) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var until int64
	for _, one := range a.until {
		if one.until <= until {
			continue
		}
		if _, ok := match(w, one.matches); ok {
			until = one.until
		}
	}
	return until
}

func clone(matches []analysis.Match) []analysis.Match {
	out := slices.Clone(matches)
	for i := range out {
		out[i].Values = slices.Clone(out[i].Values)
	}
	return out
}
