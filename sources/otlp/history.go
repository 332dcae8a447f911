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

// A minute is what a pod counted in the minute that begins at. 24 hours of them
// take 35 KB for one pod and signal.
type minute struct {
	at            int64 // nanoseconds
	bad, exposure float64
}

// Track names the signals whose one-minute sums are kept when raw samples go:
// those of all loaded objectives. It replaces the signals named before; sums of
// signals that are no longer named are forgotten.
func (s *Source) Track(signals []analysis.Signal) error {
	tracked := map[string]*selection{}
	for _, signal := range signals {
		sel, err := compile(signal)
		if err != nil {
			return err
		}
		tracked[sel.key] = sel
	}
	s.tracked.Store(&tracked)
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
		fold := analysis.Fold{Start: instant(at), End: instant(at + width)}
		inc, received, _ := increase(picked, fold, fold.Start.Add(-lookback), sel.good)
		if received > 0 {
			out = append(out, minute{at, inc.Bad, inc.Exposure})
		}
	}
	return out
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
// older than that, except what the next minutes need to be counted from.
func (w *window) trim(horizon int64, tracked map[string]*selection, historyRetention time.Duration) (removed int) {
	horizon -= horizon % int64(time.Minute)
	if horizon > w.summed {
		// A sample of 1970 must not cost a loop over all minutes since.
		from := max(w.summed, horizon-int64(historyRetention))
		for key, sel := range tracked {
			sums := w.minuteSums(sel, from, horizon)
			if len(sums) > 0 {
				if w.minutes == nil {
					w.minutes = map[string][]minute{}
				}
				w.minutes[key] = append(w.minutes[key], sums...)
			}
		}
		w.summed = horizon
	}
	for key, sums := range w.minutes {
		n := 0
		for n < len(sums) && sums[n].at < w.newest-int64(historyRetention) {
			n++
		}
		if tracked[key] == nil || n == len(sums) {
			delete(w.minutes, key)
			continue
		}
		w.minutes[key] = slices.Delete(sums, 0, n)
	}
	return w.forget(horizon - int64(lookback))
}

// trim trims a window and counts what it holds no more.
func (s *Source) trim(w *window, horizon int64, tracked map[string]*selection) {
	held := w.held
	removed := w.trim(horizon, tracked, s.cfg.HistoryRetention)
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
			w.held -= n
			removed++
			continue
		}
		if n > 1 {
			s.samples = slices.Delete(s.samples, 0, n-1)
			w.held -= n - 1
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
// fell silent, and resources whose last sums are beyond the history's retention. A
// resource whose newest sample lies more than a day after now has a broken clock
// and is forgotten, too. Resources that still send are trimmed as they send.
func (s *Source) Evict(now time.Time) {
	tracked := *s.tracked.Load()
	var names []string
	for _, svc := range s.allServices() {
		names = append(names, svc.name)
		svc.mu.Lock()
		svc.lost.forget(now, s.cfg.Retention)
		for _, w := range slices.Clone(svc.ordered) {
			age := now.Sub(instant(w.newest))
			if age > s.cfg.Retention {
				s.trim(w, now.Add(-s.cfg.Retention).UnixNano(), tracked)
			}
			gone := len(w.series) == 0 && len(w.minutes) == 0
			if gone || age > s.cfg.HistoryRetention || age < -24*time.Hour {
				s.series.Add(-int64(len(w.series)))
				s.samples.Add(-int64(w.held))
				s.windows.Add(-1)
				svc.remove(w)
			}
		}
		svc.mu.Unlock()
	}
	s.forgetServices(names...)
}

// byMinute adds up the sums of pods that have several windows, and sorts them.
func byMinute(sums []analysis.MinuteSum) []analysis.MinuteSum {
	order := func(a, b analysis.MinuteSum) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Pod, b.Pod))
	}
	slices.SortStableFunc(sums, order)
	var out []analysis.MinuteSum
	for _, sum := range sums {
		if n := len(out); n > 0 && order(out[n-1], sum) == 0 {
			out[n-1].Bad += sum.Bad
			out[n-1].Exposure += sum.Exposure
			continue
		}
		out = append(out, sum)
	}
	return out
}
