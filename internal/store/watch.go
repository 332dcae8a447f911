package store

import (
	"sync"

	"github.com/release-assay/assay/analysis"
)

// A Watch tells one waiter that what the store says of its keys may have changed.
type Watch struct {
	// C receives after a change. Several changes may be told as one.
	C <-chan struct{}

	news  *news
	keys  []string
	every bool
	told  chan struct{}
}

// news knows who waits for what. A change costs a look into a map for each validation
// that changed, and nothing for those who wait for others.
type news struct {
	mu      sync.Mutex
	waiting map[string]map[*Watch]struct{}
	waiters int
}

// Watch waits for changes of validations by this process, by any of their keys: the
// validation's id, the deployment's, environment:service:version and
// environment:namespace/service:version; of refused events of an unknown schema also
// the event's id. It is told of what opens or ends a validation, and with every also
// of each new verdict that is pending. Watch first, then read. Close it in the end.
func (s *Store) Watch(every bool, keys ...string) *Watch {
	told := make(chan struct{}, 1)
	w := &Watch{C: told, news: &s.news, keys: keys, every: every, told: told}
	s.news.add(w)
	return w
}

// Watching is how many watches there are.
func (s *Store) Watching() int {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	return s.news.waiters
}

func (n *news) add(w *Watch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = map[string]map[*Watch]struct{}{}
	}
	n.waiters++
	for _, key := range w.keys {
		if n.waiting[key] == nil {
			n.waiting[key] = map[*Watch]struct{}{}
		}
		n.waiting[key][w] = struct{}{}
	}
}

// Close ends the watch. It may be called twice.
func (w *Watch) Close() {
	n := w.news
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.keys == nil {
		return
	}
	n.waiters--
	for _, key := range w.keys {
		delete(n.waiting[key], w)
		if len(n.waiting[key]) == 0 {
			delete(n.waiting, key)
		}
	}
	w.keys = nil
}

// tell wakes who waits for a key. What is not decisive wakes only who wants every
// change.
func (n *news) tell(decisive bool, keys ...string) {
	for _, key := range keys {
		for w := range n.waiting[key] {
			if !decisive && !w.every {
				continue
			}
			select {
			case w.told <- struct{}{}:
			default: // it has not read of the change before
			}
		}
	}
}

// changed tells of a change that was committed.
func (s *Store) changed(c Change) {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	if s.news.waiters == 0 {
		return
	}
	for _, v := range c.Open {
		s.news.tell(true, namesOf(v.ID, v.Deployment)...)
	}
	for _, v := range c.Update {
		s.news.tell(false, string(v.ID))
	}
	for _, f := range c.Finals {
		s.news.tell(true, string(f.Validation))
	}
	s.news.buried(c.DeadLetters)
}

// buried tells of events whose senders ask for a verdict that will not come.
func (n *news) buried(letters []DeadLetter) {
	for _, letter := range letters {
		if letter.Reason == "unsupported_schema" {
			n.tell(true, letter.EventID, string(letter.DeploymentID))
		}
	}
}

// accepted tells of dead letters that intake wrote.
func (s *Store) accepted(b Batch) {
	if len(b.DeadLetters) == 0 {
		return
	}
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	s.news.buried(b.DeadLetters)
}

// namesOf are the keys by which a validation is asked for.
func namesOf(id analysis.ValidationID, d analysis.Deployment) []string {
	r := d.Release
	names := []string{string(id), string(d.ID), r.Environment + ":" + r.Service + ":" + r.Version}
	if r.Namespace != "" {
		names = append(names, r.Environment+":"+r.Namespace+"/"+r.Service+":"+r.Version)
	}
	return names
}
