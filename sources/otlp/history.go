package otlp

import (
	"cmp"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// lookback is how far back an earlier sample proves, in a history, that a pod is
// not new. It is also how much raw telemetry is kept behind what was summed.
const lookback = 10 * time.Minute

// A minute is what a pod counted in the minute that begins at. 24 hours of them take
// 46 KB for one pod and signal; of a distribution, the buckets are added (doc.go).
type minute struct {
	at            int64   // nanoseconds
	bad, exposure float64 // of a level, bad is its newest value
	buckets       *buckets
}

// tracked is what the loaded objectives ask about.
type tracked struct {
	must       *mustAppear           // of lines
	selections map[string]*selection // by their keys
	histograms map[string]bool       // metrics whose buckets are kept
	spans      bool                  // what was served is summed by minute
	durations  bool                  // how long it took is kept
	whole      bool                  // what whole traces say is summed by minute
}

func newTracked() *tracked {
	return &tracked{selections: map[string]*selection{}, histograms: map[string]bool{}, must: newMustAppear(nil)}
}

// Track names the signals whose one-minute sums are kept when raw samples go:
// those of all loaded objectives. Of histograms, it says whose buckets are kept at
// all. It replaces the signals named before; sums of signals that are no longer named
// are forgotten.
func (s *Source) Track(signals []analysis.Signal) error {
	t := newTracked()
	var texts []string
	for _, signal := range signals {
		sel, err := compile(signal)
		if err != nil {
			return err
		}
		t.selections[sel.key] = sel
		if sel.spans != nil {
			t.spans = true
			t.durations = t.durations || durationSignal(signal)
			t.whole = t.whole || sel.spans.Event.Sampled()
			continue
		}
		if sel.shape == analysis.ShapeDistribution {
			t.histograms[sel.total.metric] = true
		}
		if sel.logs != nil && sel.logs.MustAppear != "" {
			texts = append(texts, sel.logs.MustAppear)
		}
	}
	t.must = newMustAppear(texts)
	s.tracked.Store(t)
	s.traces.track(t.whole)
	return nil
}

// minuteSums returns what the window counted in each minute of [from, to): the
// increases whose later reading lies in (minute, minute + 60 s].
func (w *window) minuteSums(sel *selection, from, to int64) []minute {
	picked, odd := sel.pick(w)
	if len(picked) == 0 || odd != "" {
		return nil
	}
	first, last := int64(0), int64(0)
	for _, c := range picked {
		if len(c.samples) == 0 {
			continue
		}
		if first == 0 || c.samples[0].t < first {
			first = c.samples[0].t
		}
		last = max(last, c.samples[len(c.samples)-1].t)
	}
	var out []minute
	const width = int64(time.Minute)
	for at := max(from, minuteFrom(first-width)); at+width <= to && at < last; at += width {
		if m, received := sel.sum(picked, at); received > 0 {
			out = append(out, m)
		}
	}
	return out
}

// sum is what the picked series tell of the minute that begins at, and how many of
// their readings lie in it.
func (s *selection) sum(picked []counted, at int64) (m minute, received int) {
	fold := analysis.Fold{Start: instant(at), End: instant(at + int64(time.Minute))}
	m.at = at
	var inc analysis.Increase
	switch s.shape {
	case analysis.ShapeLevel:
		m.bad, received = s.newest(picked, fold)
		return m, received
	case analysis.ShapeDistribution:
		inc, received, m.buckets = observed(picked, fold, fold.Start.Add(-lookback))
	default:
		inc, received, _ = increase(picked, fold, fold.Start.Add(-lookback), s.good)
	}
	m.bad, m.exposure = inc.Bad, inc.Exposure
	return m, received
}

// minuteFrom returns the first whole minute at or after t.
func minuteFrom(t int64) int64 {
	const width = int64(time.Minute)
	return (t + width - 1) / width * width
}

// history returns the window's minute sums in [from, to): kept ones, then those of
// raw samples.
func (w *window) history(sel *selection, from, to int64) (sums []minute) {
	kept := w.minutes[sel.key]
	rawFrom := from
	if w.trimmed > 0 {
		// Before this, raw samples cannot say whether a pod was new.
		rawFrom = max(from, minuteFrom(w.trimmed))
	}
	if n := len(kept); n > 0 {
		rawFrom = max(from, w.summed)
	}
	for _, m := range kept {
		if m.at >= from && m.at+int64(time.Minute) <= min(to, rawFrom) {
			sums = append(sums, m)
		}
	}
	return append(sums, w.minuteSums(sel, rawFrom, to)...)
}

// trim sums the minutes that end at or before the horizon and forgets raw samples
// older than that, except what the next minutes need to be counted from. Room is how
// many samples' memory the buckets of the minutes may take; without it they are sums.
func (w *window) trim(horizon int64, tracked *tracked, historyRetention time.Duration, room int) (removed int) {
	horizon -= horizon % int64(time.Minute)
	if horizon > w.summed {
		// A sample of 1970 must not cost a loop over all minutes since.
		from := max(w.summed, horizon-int64(historyRetention))
		for key, sel := range tracked.selections {
			if sel.logs != nil || sel.spans != nil {
				continue // lines are summed as their tallies go
			}
			w.keep(key, w.minuteSums(sel, from, horizon), room)
		}
		w.summed = horizon
	}
	for key, sums := range w.minutes {
		n := 0
		for n < len(sums) && sums[n].at < w.newest-int64(historyRetention) {
			n++
		}
		if tracked.selections[key] == nil {
			n = len(sums)
		}
		for _, m := range sums[:n] {
			w.held -= m.buckets.cost()
		}
		if n == len(sums) {
			delete(w.minutes, key)
			continue
		}
		w.minutes[key] = slices.Delete(sums, 0, n)
	}
	return w.forget(horizon - int64(lookback))
}

// keep adds minutes to those of a tracked signal.
func (w *window) keep(key string, sums []minute, room int) {
	if len(sums) == 0 {
		return
	}
	for i := range sums {
		cost := sums[i].buckets.cost()
		if w.held+cost > room {
			sums[i].buckets, cost = nil, 0
		}
		w.held += cost
	}
	if w.minutes == nil {
		w.minutes = map[string][]minute{}
	}
	w.minutes[key] = append(w.minutes[key], sums...)
}

// trim trims a window and counts what it holds no more.
func (s *Source) trim(w *window, horizon int64, tracked *tracked) {
	held := w.held
	// A quarter stays free for raw samples, which come first: they are judged.
	room := held + s.cfg.MaxSamples - s.cfg.MaxSamples/4 - int(s.samples.Load())
	removed := w.trim(horizon, tracked, s.cfg.HistoryRetention, room)
	s.series.Add(-int64(removed))
	s.samples.Add(int64(w.held - held))
}

// forget removes raw samples before t, except the last of each series that has
// newer ones: that one is the reference of the next. A series without newer ones
// goes altogether.
func (w *window) forget(t int64) (removed int) {
	for key, s := range w.series {
		n := searchTimes(s.samples, t-1)
		if n == 0 {
			continue
		}
		if n > 1 || n == len(s.samples) {
			w.trimmed = max(w.trimmed, s.samples[n-1].t)
		}
		if n == len(s.samples) {
			delete(w.series, key)
			w.unlist(s)
			w.held -= s.costs(0, n)
			removed++
			continue
		}
		if n > 1 {
			w.held -= s.costs(0, n-1)
			s.drop(n - 1)
		}
	}
	return removed
}

func (w *window) unlist(s *series) {
	list := slices.DeleteFunc(w.byMetric[s.metric], func(other *series) bool { return other == s })
	if len(list) == 0 {
		delete(w.byMetric, s.metric)
		return
	}
	w.byMetric[s.metric] = list
}

// Evict forgets what is too old at the instant now: raw samples of resources that
// sent nothing since the call before, and resources whose last sums are beyond the
// history's retention. A resource whose newest sample lies more than a day after now
// has a broken clock and is forgotten, too. Resources that still send are trimmed as they
// send, by their own clock: what is old may be a backlog of which more is to come.
func (s *Source) Evict(now time.Time) {
	tracked := s.tracked.Load()
	var names []string
	for _, svc := range s.allServices() {
		names = append(names, svc.name)
		svc.mu.Lock()
		svc.lost.forget(now, s.cfg.Retention)
		svc.samples.forget(now.Add(-s.cfg.HistoryRetention).UnixNano()/hourWidth-1, s.sampleBytes)
		for _, w := range slices.Clone(svc.ordered) {
			age := now.Sub(instant(w.newest))
			if age > s.cfg.Retention && w.newest == w.evicted {
				s.trim(w, now.Add(-s.cfg.Retention).UnixNano(), tracked)
			}
			w.evicted = w.newest
			lines := s.evictLines(svc, w, now)
			spans := w.spans != nil && s.evictSpans(w.spans, now)
			gone := len(w.series) == 0 && len(w.minutes) == 0
			if !lines && !spans && (gone || age > s.cfg.HistoryRetention || age < -24*time.Hour) {
				s.removeLines(w)
				s.forgetSpans(w)
				s.series.Add(-int64(len(w.series)))
				s.samples.Add(-int64(w.held))
				s.windows.Add(-1)
				svc.remove(w)
			}
		}
		svc.mu.Unlock()
	}
	s.forgetServices(names...)
	s.traces.evict(now, s.cfg.HistoryRetention)
}

// byMinute adds up the sums of pods that have several windows, as sources.AddUp does,
// and sorts them. Mean says that levels are averaged.
func byMinute(sums []analysis.MinuteSum, mean bool) []analysis.MinuteSum {
	order := func(a, b analysis.MinuteSum) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Pod, b.Pod))
	}
	slices.SortStableFunc(sums, order)
	var out []analysis.MinuteSum
	levels := 1. // in the last of out
	for _, sum := range sums {
		n := len(out)
		if n == 0 || order(out[n-1], sum) != 0 {
			out, levels = append(out, sum), 1
			continue
		}
		last := &out[n-1]
		last.Bad += sum.Bad
		last.Exposure += sum.Exposure
		if mean {
			last.Level = (last.Level*levels + sum.Level) / (levels + 1)
			levels++
		} else {
			last.Level += sum.Level
		}
		if len(last.Above) != len(sum.Above) { // one of them does not tell
			last.Above = nil
			continue
		}
		for i, more := range sum.Above {
			last.Above[i] += more
		}
	}
	return out
}
