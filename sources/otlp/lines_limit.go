package otlp

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A ledger adds up how many bytes slices of time take in the windows of all services.
type ledger struct {
	limit int

	mu    sync.Mutex
	bytes map[int64]int // by number of the slice
	total int
	floor atomic.Int64 // slices up to this one went
}

func newLedger(limit int) *ledger {
	l := &ledger{limit: limit, bytes: map[int64]int{}}
	l.floor.Store(math.MinInt64)
	return l
}

func (l *ledger) add(slice int64, by int) {
	if by == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += by
	if l.bytes[slice] += by; l.bytes[slice] <= 0 {
		delete(l.bytes, slice)
	}
}

func (l *ledger) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// over raises the floor until what lies above it keeps the limit, and reports whether it
// did. Which slices go depends on what came, and not on its order.
func (l *ledger) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total <= l.limit {
		return false
	}
	left := l.total
	for _, slice := range slices.Sorted(maps.Keys(l.bytes)) {
		if left <= l.limit {
			break
		}
		left -= l.bytes[slice]
		if slice > l.floor.Load() {
			l.floor.Store(slice)
		}
	}
	return true
}

const minuteWidth = int64(time.Minute)

// shedLines lets go of the oldest texts, minutes and samples where all together take too
// much. No service may be locked.
func (s *Source) shedLines() {
	texts, counts, samples := s.textBytes.over(), s.countBytes.over(), s.sampleBytes.over()
	if !texts && !counts && !samples {
		return
	}
	for _, svc := range s.allServices() {
		svc.mu.Lock()
		for _, w := range svc.ordered {
			if w.lines == nil {
				continue
			}
			if texts {
				s.shedTexts(svc, w, s.textBytes.floor.Load())
			}
			if counts {
				s.trimLines(svc, w, (s.countBytes.floor.Load()+1)*minuteWidth)
			}
		}
		if samples {
			svc.samples.forget(s.sampleBytes.floor.Load(), s.sampleBytes)
		}
		svc.mu.Unlock()
	}
}

// shedTexts lets go of the texts of ticks up to the given one.
func (s *Source) shedTexts(svc *service, w *window, floor int64) {
	l := w.lines
	if l.bare = max(l.bare, floor); l.texts == 0 {
		return
	}
	for n, t := range l.ticks {
		if n <= floor {
			s.forgetTexts(svc, w, n, t)
		}
	}
}

// shedOwnTexts keeps the texts of one resource within their limit.
func (s *Source) shedOwnTexts(svc *service, w *window) {
	l := w.lines
	if l.texts <= maxTextBytesEach {
		return
	}
	for _, n := range slices.Sorted(maps.Keys(l.ticks)) {
		if l.texts <= maxTextBytesEach {
			break
		}
		s.forgetTexts(svc, w, n, l.ticks[n])
		l.bare = max(l.bare, n)
	}
}
