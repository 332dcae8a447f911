package gather

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/release-assay/assay/sources"
)

const (
	// failuresToOpen is how many answers in a row must stay away before a source is
	// left alone.
	failuresToOpen = 5
	// probeEvery is how long it is left alone then, give or take half of it.
	probeEvery = 15 * time.Second
	// maxPause is the longest time for which a source is left alone, whatever it
	// asks for: a clock that was set back must not make it longer either.
	maxPause = 5 * time.Minute
	// unasked is how long after its pause a source that failed counts as down while
	// nobody asks it: later nobody knows.
	unasked = time.Minute
)

// plansEvery is which place goes to a plan that waits: a source that is too slow for
// all folds would keep plans waiting beyond their deadlines.
const plansEvery = 8

// A lane is a queue at a source. Folds go first, but for every eighth place: a
// thousand plans being made must not delay them.
type lane int

const (
	folds lane = iota
	plans
	lanes
)

// A flow admits questions to one source. At most limit of them are under way: a
// source that is overloaded or gone halves the limit, down to 1, and answers raise
// it again, by one for as many as it admits, up to the ceiling. Plans leave one
// place to folds.
//
// After failuresToOpen failures in a row the breaker is open: questions are refused
// at once. When the pause is over one question goes through as a probe and the
// others wait for what becomes of it. A source that says Retry-After is left alone
// as a whole.
type flow struct {
	source  string
	ceiling int

	mu      sync.Mutex
	now     time.Time
	limit   float64
	busy    [lanes]int
	busiest int
	begun   uint64
	waiting [lanes]*list.List // of *turn

	failed int       // in a row
	open   bool      // the breaker; a probe closes it
	opened uint64    // how often
	probe  time.Time // not asked before, while the breaker is open
	rest   time.Time // nor before: as the source itself said
	last   error     // that it failed with

	refused uint64
}

// A turn is a question that waits for its place.
type turn struct {
	done chan struct{} // closed when it has one, or an error
	err  error
}

func newFlow(source string, ceiling int) *flow {
	return &flow{source: source, ceiling: ceiling, limit: float64(ceiling), waiting: [lanes]*list.List{list.New(), list.New()}}
}

// advance tells the time.
func (f *flow) advance(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = now
}

// enter returns when the source may be asked; then leave must be called. Its error
// says that the source is not to be asked now, or that ctx has ended.
func (f *flow) enter(ctx context.Context, l lane, op string) error {
	unanswered := func() error {
		return &sources.Error{Kind: sources.Unavailable, Source: f.source, Op: op, Err: context.Cause(ctx)}
	}
	if ctx.Err() != nil {
		return unanswered()
	}
	f.mu.Lock()
	if err := f.closed(op); err != nil {
		f.refused++
		f.mu.Unlock()
		return err
	}
	if f.waiting[l].Len() == 0 && f.admits(l) {
		f.begin(l)
		f.mu.Unlock()
		return nil
	}
	t := &turn{done: make(chan struct{})}
	place := f.waiting[l].PushBack(t)
	f.mu.Unlock()

	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-t.done: // at the same moment
		if t.err == nil {
			f.busy[l]--
			f.pass(op)
		}
	default:
		f.waiting[l].Remove(place)
	}
	return unanswered()
}

// leave takes note of what became of a question, and lets the next ones in. An
// asker that gave up has learned nothing about the source. It returns how long the
// source is left alone now.
func (f *flow) leave(l lane, op string, err error, gaveUp bool) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy[l]--
	switch {
	case gaveUp:
	case err != nil && sources.KindOf(err) == sources.Unavailable:
		f.fail(err)
	default: // a refusal is an answer
		f.failed, f.open = 0, false
		f.limit = min(float64(f.ceiling), f.limit+1/f.limit)
	}
	f.pass(op)
	return f.paused()
}

func (f *flow) fail(err error) {
	f.limit = max(1, f.limit/2)
	f.failed++
	f.last = err
	if f.failed >= failuresToOpen {
		f.open = true
		f.opened++
		f.probe = f.now.Add(f.untilProbe())
	}
	if after := min(sources.RetryAfter(err), maxPause); after > 0 && f.now.Add(after).After(f.rest) {
		f.rest = f.now.Add(after)
	}
}

// untilProbe is different each time and for each source, and the same in each run:
// replicas and sources that failed together do not come back together.
func (f *flow) untilProbe() time.Duration {
	h := fnv.New64a()
	fmt.Fprint(h, f.source, " ", f.opened)
	return probeEvery/2 + time.Duration(h.Sum64()%uint64(probeEvery))
}

// closed returns the error of a question that must not be put now.
func (f *flow) closed(op string) error {
	left, why := f.paused(), "it asked to be left alone"
	if left == 0 {
		return nil
	}
	if left > f.left(f.rest) {
		why = fmt.Sprintf("it failed %d times in a row", f.failed)
	}
	last := f.last
	var known *sources.Error
	if errors.As(last, &known) {
		last = known.Err
	}
	return &sources.Error{
		Kind: sources.Unavailable, Source: f.source, Op: op, RetryAfter: left,
		Err: fmt.Errorf("not asked for another %v, since %s: %w", left.Round(time.Second), why, last),
	}
}

// paused is how long the source is left alone from now on.
func (f *flow) paused() time.Duration {
	if f.open {
		return max(f.left(f.rest), f.left(f.probe))
	}
	return f.left(f.rest)
}

// left is how long it is until an instant, 0 where it is over. What no pause can
// reach is over too: the clock was set back.
func (f *flow) left(until time.Time) time.Duration {
	left := until.Sub(f.now)
	if left < 0 || left > maxPause {
		return 0
	}
	return left
}

// admits reports whether there is a place for one more question of a lane.
func (f *flow) admits(l lane) bool {
	places := int(f.limit)
	if f.open {
		places = 1 // the probe
	}
	if f.busy[folds]+f.busy[plans] >= places {
		return false
	}
	return l == folds || f.busy[plans] < max(1, places-1)
}

func (f *flow) begin(l lane) {
	f.busy[l]++
	f.begun++
	f.busiest = max(f.busiest, f.busy[folds]+f.busy[plans])
}

// pass gives the places that are free to those who wait, or tells them all that
// there is none to wait for.
func (f *flow) pass(op string) {
	closed := f.closed(op)
	for l := f.next(closed != nil); l < lanes; l = f.next(closed != nil) {
		t := f.waiting[l].Remove(f.waiting[l].Front()).(*turn)
		if closed != nil {
			t.err = closed
			f.refused++
		} else {
			f.begin(l)
		}
		close(t.done)
	}
}

// next is the lane whose turn it is among those who wait for a place that is free, or
// among all; lanes: nobody's.
func (f *flow) next(all bool) lane {
	order := []lane{folds, plans}
	if f.begun%plansEvery == plansEvery-1 {
		order = []lane{plans, folds}
	}
	for _, l := range order {
		if f.waiting[l].Len() > 0 && (all || f.admits(l)) {
			return l
		}
	}
	return lanes
}

// SourceStats is how a source is asked at this moment.
type SourceStats struct {
	UnderWay, Waiting int    // questions
	Limit, Busiest    int    // how many may be under way now, and were at once so far
	Open              bool   // it failed so often in a row that only probes are put to it; no more where none has been for long
	Opened            uint64 // how often it came to that
	Refused           uint64 // questions that were not put to it, because it is to be left alone
}

func (f *flow) stats() SourceStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	down := f.open && (f.busy[folds]+f.busy[plans] > 0 || f.now.Before(f.probe.Add(unasked)) || f.now.Before(f.rest.Add(unasked)))
	return SourceStats{
		UnderWay: f.busy[folds] + f.busy[plans], Waiting: f.waiting[folds].Len() + f.waiting[plans].Len(),
		Limit: int(f.limit), Busiest: f.busiest, Open: down, Opened: f.opened, Refused: f.refused,
	}
}
