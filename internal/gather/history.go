package gather

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// span is the length of the windows that history comes in. They lie at multiples of
// it, so that deployments share them: a day of one service is five questions, of
// which the three in the middle are asked once, however often it is deployed.
const span = 6 * time.Hour

// settled is how old a window of history must be before it is kept: until then
// samples may still be on their way.
const settled = 5 * time.Minute

// History returns the minute sums of a signal, window by window and newest first
// underneath, so that an answer over the limit of sums is shorter at its beginning.
// A window that was asked for before is not asked for again, and one that somebody
// else is asking for is waited for. Windows are counted each by itself: the answer
// does not depend on what was known.
// That of a log signal is joined with the history of its requests.
func (g *Gatherer) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	if requests := requestsOf(q.Signal); requests != nil {
		of := q
		of.Signal = *requests
		exposure, err := g.History(ctx, of)
		if err != nil {
			return nil, err
		}
		logs := q.Signal.Logs
		q.Signal = eventsOf(q.Signal)
		events, err := g.History(ctx, q)
		return JoinSums(logs, events, exposure), err
	}
	var windows [][]analysis.MinuteSum
	total := 0
	for end := q.To; end.After(q.From); {
		start := end.Add(-time.Nanosecond).Truncate(span)
		if start.Before(q.From) {
			start = q.From
		}
		w := q
		w.From, w.To = start, end
		keep := end.Sub(start) == span && g.now.Load()-end.UnixNano() >= int64(settled)
		sums, err := g.window(ctx, w, keep)
		if err != nil {
			return nil, err
		}
		if total += weight(sums); total > g.opts.HistorySums {
			break
		}
		windows = append(windows, sums)
		end = start
	}
	slices.Reverse(windows)
	return slices.Concat(windows...), nil
}

// window returns one window, from the cache, from somebody who is asking, or from
// the source.
func (g *Gatherer) window(ctx context.Context, w analysis.HistoryQuery, keep bool) ([]analysis.MinuteSum, error) {
	key := named(w.Signal, []any{w.Matches, w.Bounds, w.Step}, w.From, w.To)
	for {
		f, mine := g.history.join(key)
		if mine {
			f.sums, f.err = put(ctx, g, plans, w.Signal.Source, "history", func(s sources.Source) ([]analysis.MinuteSum, error) { return s.History(ctx, w) })
			f.abandoned = f.err != nil && ctx.Err() != nil
			g.history.finish(key, f, keep)
			return f.sums, f.err
		}
		if err := landed(ctx, f.done, w.Signal.Source, "history"); err != nil {
			return nil, err
		}
		if f.err == nil {
			g.shared.Add(1)
		}
		if !f.abandoned {
			return f.sums, f.err
		}
	}
}

// weight is how many plain sums take as much memory: what a distribution counted above
// its bounds takes more, and all sums of an answer have the same bounds.
func weight(sums []analysis.MinuteSum) int {
	if len(sums) == 0 {
		return 0
	}
	const plain = 12 // bounds in the room of a sum
	return len(sums) * (1 + (len(sums[0].Above)+plain-1)/plain)
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
	size := weight(w.sums) + 1
	if w.err != nil || !keep || size > c.limit {
		delete(c.windows, key)
		return
	}
	w.use = c.used.PushFront(key)
	for c.sums += size; c.sums > c.limit; {
		last := c.used.Back()
		oldest := c.used.Remove(last).(string)
		c.sums -= weight(c.windows[oldest].sums) + 1
		delete(c.windows, oldest)
	}
}
