package gather

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// settled is how old an hour of history must be before it is kept: until then
// samples may still be on their way.
const settled = 5 * time.Minute

// History returns the minute sums of a signal, hour by hour and newest first
// underneath, so that an answer over the limit of sums is shorter at its beginning.
// An hour that was asked for before is not asked for again, and one that somebody
// else is asking for is waited for. Hours are counted each by itself: the answer
// does not depend on what was known.
func (g *Gatherer) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	var hours [][]analysis.MinuteSum
	total := 0
	for end := q.To; end.After(q.From); {
		start := end.Add(-time.Nanosecond).Truncate(time.Hour)
		if start.Before(q.From) {
			start = q.From
		}
		w := q
		w.From, w.To = start, end
		keep := end.Sub(start) == time.Hour && q.To.Sub(end) >= settled
		sums, err := g.hour(ctx, w, keep)
		if err != nil {
			return nil, err
		}
		if total += len(sums); total > g.opts.HistorySums {
			break
		}
		hours = append(hours, sums)
		end = start
	}
	slices.Reverse(hours)
	return slices.Concat(hours...), nil
}

// hour returns one window, from the cache, from somebody who is asking, or from
// the source.
func (g *Gatherer) hour(ctx context.Context, w analysis.HistoryQuery, keep bool) ([]analysis.MinuteSum, error) {
	key := historyKey(w)
	for {
		f, mine := g.history.join(key)
		if mine {
			f.sums, f.err = withSlot(ctx, g, w.Signal.Source, "history", func(s sources.Source) ([]analysis.MinuteSum, error) { return s.History(ctx, w) })
			f.abandoned = f.err != nil && ctx.Err() != nil
			g.history.finish(key, f, keep)
			return f.sums, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, &sources.Error{Kind: sources.Unavailable, Source: w.Signal.Source, Op: "history", Err: context.Cause(ctx)}
		}
		if f.err == nil {
			g.cached.Add(1)
		}
		if !f.abandoned {
			return f.sums, f.err
		}
	}
}

// historyKey names a window: what is asked, of whom, from when to when.
func historyKey(w analysis.HistoryQuery) string {
	s := w.Signal
	s.Name, s.Unit = "", ""
	text, err := json.Marshal([]any{s, w.Matches})
	if err != nil {
		panic(err) // strings
	}
	return fmt.Sprintf("%s %d %d", text, w.From.UnixNano(), w.To.UnixNano())
}

// A historyCache keeps the windows that were used last, and those that are being
// asked for.
type historyCache struct {
	mu      sync.Mutex
	windows map[string]*window
	used    *list.List // of keys of kept windows, the latest first
	sums    int        // kept
	limit   int
}

// A window is being asked for until done is closed; then it has sums or an error.
type window struct {
	done      chan struct{}
	sums      []analysis.MinuteSum
	err       error
	abandoned bool          // who asked gave up; whoever waited asks for himself
	use       *list.Element // nil: not kept
}

func newHistoryCache(limit int) *historyCache {
	return &historyCache{windows: map[string]*window{}, used: list.New(), limit: limit}
}

// join returns the window of a key, and whether the caller has to ask for it and
// then call finish.
func (c *historyCache) join(key string) (w *window, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.windows[key]; w != nil {
		if w.use != nil {
			c.used.MoveToFront(w.use)
		}
		return w, false
	}
	w = &window{done: make(chan struct{})}
	c.windows[key] = w
	return w, true
}

// finish tells those who wait, and keeps the window if it may be kept. Old windows
// make room; one that is larger than the whole cache is not kept.
func (c *historyCache) finish(key string, w *window, keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(w.done)
	size := len(w.sums) + 1
	if w.err != nil || !keep || size > c.limit {
		delete(c.windows, key)
		return
	}
	w.use = c.used.PushFront(key)
	for c.sums += size; c.sums > c.limit; {
		last := c.used.Back()
		oldest := c.used.Remove(last).(string)
		c.sums -= len(c.windows[oldest].sums) + 1
		delete(c.windows, oldest)
	}
}
