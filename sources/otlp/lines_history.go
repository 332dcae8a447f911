package otlp

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// trimLines sums and samples the whole minutes that end at or before the horizon, and
// forgets their tallies.
func (s *Source) trimLines(svc *service, w *window, horizon int64) {
	l := w.lines
	horizon = floorDiv(horizon, minuteWidth) * minuteWidth
	if horizon <= l.summed {
		return
	}
	l.summed = horizon
	byMinute := map[int64]*podLines{}
	for _, n := range slices.Sorted(maps.Keys(l.ticks)) {
		if (n+1)*baseTick > horizon {
			continue
		}
		t := l.ticks[n]
		sumInto(byMinute, n, t)
		s.forgetTexts(svc, w, n, t)
		s.forgetTick(l, n, t)
	}
	tracked := s.tracked.Load()
	for _, number := range slices.Sorted(maps.Keys(byMinute)) {
		p := byMinute[number]
		for key, sel := range tracked.selections {
			if sel.logs == nil || sel.shape != analysis.ShapeRatio || p.lines == 0 {
				continue
			}
			if l.minutes == nil {
				l.minutes = map[string][]minute{}
			}
			l.minutes[key] = append(l.minutes[key], minute{at: number * minuteWidth, bad: p.events(sel.logs)})
		}
	}
	for key, sums := range l.minutes {
		if tracked.selections[key] == nil {
			delete(l.minutes, key)
			continue
		}
		l.minutes[key] = slices.DeleteFunc(sums, func(m minute) bool { return m.at < horizon-int64(s.cfg.HistoryRetention) })
	}
	maps.DeleteFunc(l.alive, func(n int64, _ bool) bool { return n*baseTick < horizon })
}

// sumInto adds a tick to the sum of its minute.
func sumInto(byMinute map[int64]*podLines, n int64, t *lineTick) {
	minute := minuteOf(n)
	if byMinute[minute] == nil {
		byMinute[minute] = &podLines{}
	}
	byMinute[minute].add(t)
}

// evictLines forgets what is too old at the instant now, or beyond a day ahead of it, and
// reports whether anything is left. Of a resource that wrote since the call before, what
// is old is told by its own newest line: of a backlog more is to come.
func (s *Source) evictLines(svc *service, w *window, now time.Time) (left bool) {
	l := w.lines
	if l == nil {
		return false
	}
	horizon, newest := now.UnixNano(), l.summed
	for n := range l.ticks {
		newest = max(newest, (n+1)*baseTick)
	}
	if newest != l.evicted {
		horizon, l.evicted = min(horizon, newest), newest
	}
	s.trimLines(svc, w, horizon-int64(s.cfg.Retention))
	for n, t := range l.ticks {
		if n*baseTick > now.Add(24*time.Hour).UnixNano() {
			s.forgetTick(l, n, t)
		}
	}
	for key, sums := range l.minutes {
		sums = slices.DeleteFunc(sums, func(m minute) bool { return m.at < now.Add(-s.cfg.HistoryRetention).UnixNano() })
		if l.minutes[key] = sums; len(sums) == 0 {
			delete(l.minutes, key)
		}
	}
	return len(l.ticks)+len(l.minutes) > 0
}

func (s *Source) forgetTick(l *lineWindow, n int64, t *lineTick) {
	delete(l.ticks, n)
	s.charge(l, n, t, 0, 0)
}

// removeLines gives back what a window takes that is about to go.
func (s *Source) removeLines(w *window) {
	if w.lines != nil {
		for n, t := range w.lines.ticks {
			s.forgetTick(w.lines, n, t)
		}
	}
}

// history returns the events of the minutes in [from, to): kept ones, then those of
// tallies.
func (l *lineWindow) history(sel *selection, from, to int64) (sums []minute) {
	for _, m := range l.minutes[sel.key] {
		if m.at >= from && m.at+minuteWidth <= to {
			sums = append(sums, m)
		}
	}
	byMinute := map[int64]*podLines{}
	for _, n := range slices.Sorted(maps.Keys(l.ticks)) {
		if at := minuteOf(n) * minuteWidth; at >= from && at+minuteWidth <= to {
			sumInto(byMinute, n, l.ticks[n])
		}
	}
	for number, p := range byMinute {
		if p.lines > 0 {
			sums = append(sums, minute{at: number * minuteWidth, bad: p.events(sel.logs)})
		}
	}
	slices.SortFunc(sums, func(a, b minute) int { return cmp.Compare(a.at, b.at) })
	return sums
}

// count returns how many lines there were in a fold.
func (l *lineWindow) count(fold analysis.Fold) (lines float64) {
	for _, t := range l.within(fold.Start.UnixNano(), fold.End.UnixNano()) {
		lines += t.lines
	}
	return lines
}
