package otlp

import (
	"strings"
	"sync"

	"github.com/release-assay/assay/sources/otlp/wire"
)

// resolved is what the bytes of a resource were found to mean.
type resolved struct {
	service *service
	window  *window
}

// resources remembers what resources mean by their bytes: collectors send the same ones
// every few milliseconds, and to sort their attributes costs more than their spans.
type resources struct {
	mu    sync.RWMutex
	known map[string]resolved
}

// maxResolved is how many are remembered. Then it begins anew.
const maxResolved = 1 << 15

// resolve returns the window of a resource with spans, and its service, locked; or why
// there is none.
func (s *Source) resolve(r *wire.Resource, keys *resourceKeys) (svc *service, w *window, why Drop) {
	s.resources.mu.RLock()
	known, ok := s.resources.known[string(r.Encoded)]
	s.resources.mu.RUnlock()
	if ok {
		known.service.mu.Lock()
		if !known.service.gone && known.window.listed {
			return known.service, known.window, ""
		}
		known.service.mu.Unlock()
	}
	name := keys.read(r)
	if len(keys.key) > maxResourceKey {
		return s.lockService(""), nil, DropTooLong
	}
	svc = s.lockService(name)
	w = svc.windows[string(keys.key)]
	if w != nil {
		s.spansOf(w)
		s.resources.remember(r.Encoded, resolved{svc, w})
		return svc, w, ""
	}
	if s.operations.Load() >= int64(s.cfg.MaxOperations) {
		return svc, nil, DropSeriesLimit
	}
	w = newWindow(string(keys.key), attributesOf(keys.pairs), svc.lost)
	w.answered = s.asked.about(w)
	s.spansOf(w)
	return svc, w, ""
}

func (r *resources) remember(encoded []byte, what resolved) {
	if len(encoded) > maxResourceKey {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxResolved {
		r.known = map[string]resolved{}
	}
	r.known[strings.Clone(string(encoded))] = what
}
