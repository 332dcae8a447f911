package prometheus

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A skew is how far the server's clock is ahead of ours, at least, as its newest
// answer told.
type skew struct {
	now  func() time.Time
	last atomic.Int64
}

func newSkew(now func() time.Time) *skew {
	if now == nil {
		now = time.Now
	}
	return &skew{now: now}
}

// latest returns the skew of the newest answer, 0 where none was told.
func (s *skew) latest() analysis.Duration { return analysis.Duration(s.last.Load()) }

// measure takes in the Date of an answer to a question that was sent at an instant.
// The Date was written between then and now and names a whole second; only what
// lies outside of that is skew, so that a slow answer is none. What comes from a
// cache on the way has the Date of another question.
func (s *skew) measure(sent time.Time, h http.Header) {
	received := s.now()
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		return
	}
	var ahead time.Duration
	if after := date.Sub(received); after > 0 {
		ahead = after
	} else if before := sent.Sub(date.Add(time.Second)); before > 0 {
		ahead = -before
	}
	s.last.Store(int64(ahead))
}
