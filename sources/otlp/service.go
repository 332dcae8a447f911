package otlp

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// A service holds the windows of one service.name.
type service struct {
	name string

	mu        sync.Mutex
	windows   map[string]*window
	ordered   []*window // by key
	lost      losses
	samples   samples // of lines
	spanNames spanNames
	gone      bool // dropped from Source.services by Evict; look it up again
}

func byKey(w *window, key string) int { return cmp.Compare(w.key, key) }

func (s *service) add(w *window) {
	s.windows[w.key] = w
	w.listed = true
	i, _ := slices.BinarySearchFunc(s.ordered, w.key, byKey)
	s.ordered = slices.Insert(s.ordered, i, w)
}

func (s *service) remove(w *window) {
	delete(s.windows, w.key)
	w.listed = false
	if i, ok := slices.BinarySearchFunc(s.ordered, w.key, byKey); ok {
		s.ordered = slices.Delete(s.ordered, i, i+1)
	}
}

// each visits the windows that match, each under its service's lock. The order is
// fixed, since floating-point sums depend on it.
// Only the services that the matches name are looked at.
func (s *Source) each(ctx context.Context, op string, matches []analysis.Match, visit func(w *window, values []string)) error {
	for _, svc := range s.servicesOf(matches) {
		if err := ctx.Err(); err != nil {
			return s.fail(op, sources.Unavailable, err)
		}
		svc.mu.Lock()
		for _, w := range svc.ordered {
			if values, ok := match(w, matches); ok {
				visit(w, values)
			}
		}
		svc.mu.Unlock()
	}
	return nil
}

// servicesOf returns the services that the matches name, all if they name none.
func (s *Source) servicesOf(matches []analysis.Match) []*service {
	for _, m := range matches {
		if m.Name == analysis.AttrService {
			return s.namedServices(m.Values)
		}
	}
	return s.allServices()
}

func (s *Source) allServices() []*service {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*service, 0, len(s.services))
	for _, svc := range s.services {
		all = append(all, svc)
	}
	slices.SortFunc(all, func(a, b *service) int { return cmp.Compare(a.name, b.name) })
	return all
}

func (s *Source) namedServices(names []string) []*service {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var named []*service
	for _, name := range names {
		if svc := s.services[name]; svc != nil && !slices.Contains(named, svc) {
			named = append(named, svc)
		}
	}
	return named
}

// lockService returns the service of that name, locked.
func (s *Source) lockService(name string) *service {
	for {
		s.mu.RLock()
		svc := s.services[name]
		s.mu.RUnlock()
		if svc == nil {
			s.mu.Lock()
			if svc = s.services[name]; svc == nil {
				svc = &service{name: strings.Clone(name), windows: map[string]*window{}, lost: losses{}, samples: samples{}}
				s.services[svc.name] = svc
			}
			s.mu.Unlock()
		}
		svc.mu.Lock()
		if !svc.gone {
			return svc
		}
		svc.mu.Unlock()
	}
}

// forgetServices drops those of the named services that have no resources.
func (s *Source) forgetServices(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		svc := s.services[name]
		if svc == nil {
			continue
		}
		svc.mu.Lock()
		if len(svc.ordered)+len(svc.samples) == 0 {
			svc.gone = true
			delete(s.services, name)
		}
		svc.mu.Unlock()
	}
}
