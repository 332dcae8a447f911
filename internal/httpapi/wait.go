package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxWait is how long one request may wait: below the minute after which proxies
	// give up.
	maxWait = 55 * time.Second
	// maxWaiting is how many requests wait at a time. One more is answered at once, as
	// if it had not asked to wait.
	maxWaiting = 10_000
	// pollAfter and waitAfter are when to ask again while nothing is final, in seconds:
	// after an answer that came at once, and after one that was waited for.
	pollAfter, waitAfter = "5", "1"
)

// A page is what an address says at one instant.
type page struct {
	body        []byte
	contentType string
	validation  string // whose verdict it shows, empty: of none
	final       bool   // it will not change any more
}

// etag names the bytes of the page.
func (p page) etag() string {
	sum := sha256.Sum256(p.body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// waitOf reads ?wait=.
func waitOf(q url.Values) (time.Duration, error) {
	text := q.Get("wait")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, fmt.Errorf("wait must be a duration from 0s to %v, e.g. 30s", maxWait)
	}
	return d, nil
}

// serve answers what read says of a key, now or, where the request may wait, once it
// is final. With If-None-Match it is answered as soon as it differs from what the
// caller has, and with 304 if it does not.
func (s *server) serve(w http.ResponseWriter, r *http.Request, key string, read func(context.Context) (page, error)) {
	wait, err := waitOf(r.URL.Query())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	held := r.Header.Get("If-None-Match")
	var p page
	if wait > 0 && s.Store.Watching() < maxWaiting {
		p, err = s.await(r.Context(), wait, held, key, read)
	} else {
		p, err = read(r.Context())
	}
	if r.Context().Err() != nil {
		return // nobody is there to be answered
	}
	if err != nil {
		s.failed(w, err)
		return
	}
	h := w.Header()
	h.Set("ETag", p.etag())
	h.Set("Cache-Control", "no-store")
	switch {
	case p.final:
	case wait > 0:
		h.Set("Retry-After", waitAfter)
	default:
		h.Set("Retry-After", pollAfter)
	}
	if has(held, p.etag()) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", p.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(p.body)
}

// await reads until the page is what the caller waits for, the time is up, or the
// process stops. Between two reads it sleeps until the store tells of a change.
func (s *server) await(ctx context.Context, wait time.Duration, held, key string, read func(context.Context) (page, error)) (page, error) {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var of string
	for {
		watch := s.Store.Watch(held != "", key, of)
		p, err := read(ctx)
		if err != nil || p.final || held != "" && !has(held, p.etag()) {
			watch.Close()
			return p, err
		}
		if p.validation != of { // its end is told by its own id
			of = p.validation
			watch.Close()
			continue
		}
		select {
		case <-watch.C:
		case <-s.Stopping:
			watch.Close()
			return p, nil
		case <-limited.Done():
			watch.Close()
			return read(ctx) // what another process has written is not told
		}
		watch.Close()
	}
}

// has reports whether a list of entity tags, as If-None-Match sends it, names a tag.
func has(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}
