package otlp

import (
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// maxTallies is how many folds' counts of whole traces are kept: all objectives and
// services ask of the same ones.
const maxTallies = 16

// tally counts the whole traces of a fold. The store is locked.
func (t *traceStore) tally(from, to int64) *tracediff.Tally {
	for _, c := range t.tallies {
		if c.from == from && c.to == to && to <= t.closed {
			return c.tally
		}
	}
	tally := &tracediff.Tally{From: from, To: to, Owners: make([]tracediff.Owner, len(t.owners))}
	for i, o := range t.owners {
		tally.Owners[i] = o.Owner
	}
	first, last := minuteAt(from+1), minuteAt(to)
	bound, seen := uint64(tracediff.All), map[*heldTrace]bool{}
	for _, m := range t.between(first, last) {
		bound = min(bound, t.below(m, to <= t.closed))
		for trace := range t.minutes[m].traces {
			seen[trace] = true
		}
	}
	for trace := range seen {
		if trace.hash < bound && t.held[trace.id] == trace {
			tally.Add(trace.spans)
		}
	}
	return tally
}

// between returns the minutes from first to last of which anything is held.
func (t *traceStore) between(first, last int64) (minutes []int64) {
	if last-first < int64(len(t.minutes)) {
		for m := first; m <= last; m++ {
			if t.minutes[m] != nil {
				minutes = append(minutes, m)
			}
		}
		return minutes
	}
	for m := range t.minutes {
		if m >= first && m <= last {
			minutes = append(minutes, m)
		}
	}
	slices.Sort(minutes)
	return minutes
}

// remember keeps the counts of a fold that was answered.
func (t *traceStore) remember(tally *tracediff.Tally) {
	if tally.To > t.closed || slices.ContainsFunc(t.tallies, func(c *cachedTally) bool { return c.tally == tally }) {
		return
	}
	if len(t.tallies) >= maxTallies {
		t.tallies = slices.Delete(t.tallies, 0, 1)
	}
	t.tallies = append(t.tallies, &cachedTally{tally.From, tally.To, tally})
}

// share is what part of all traces is counted in a fold.
func (t *traceStore) share(from, to int64) float64 {
	share := 1.
	for _, m := range t.between(minuteAt(from+1), minuteAt(to)) {
		share = min(share, tracediff.Share(t.below(m, false)))
	}
	return share
}

// sum keeps what a minute of whole traces says, before it is forgotten.
func (t *traceStore) sum(minute int64) {
	if !t.tracked {
		return
	}
	start := minute * int64(time.Minute)
	tally := t.tally(start, start+int64(time.Minute))
	sums := map[int32]*wholeSum{}
	for k, c := range tally.Counts {
		if sums[k.Owner] == nil {
			sums[k.Owner] = &wholeSum{}
		}
		sums[k.Owner].add(k, c)
	}
	for owner, s := range sums {
		o := t.owners[owner]
		if s.served > 0 && (len(o.exclusive.chunks) == 0 || o.exclusive.last < minute) {
			o.exclusive.add(spanMinute{minute, float64(s.exclusive), float64(s.served)})
		}
		if s.calls > 0 && (len(o.calls.chunks) == 0 || o.calls.last < minute) {
			o.calls.add(spanMinute{minute, float64(s.failed), float64(s.calls)})
		}
	}
}

// A wholeSum is what whole traces say of one resource.
type wholeSum struct{ served, exclusive, calls, failed int64 }

func (s *wholeSum) add(k tracediff.Key, c *tracediff.Count) {
	switch {
	case k.Callee != "":
		s.calls += c.Spans
		s.failed += c.Errors
	case serves(k.Kind):
		s.served += c.Spans
		s.exclusive += c.Exclusive
	}
}

func serves(kind string) bool {
	return kind == tracediff.Server.String() || kind == tracediff.Consumer.String()
}

// wholeTraces adds to an answer what whole traces say.
func (s *Source) wholeTraces(answer *analysis.Answer, pods []*spanPod, q analysis.Query, namers map[string]namer) {
	t := &s.traces
	from, to := q.Fold.Start.UnixNano(), q.Fold.End.UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch(q.Matches, to)
	t.closed = max(t.closed, to)
	if minuteAt(from+1) <= t.retired {
		answer.Partial = true
		answer.Warnings = append(answer.Warnings, "whole traces before "+instant((t.retired+1)*int64(time.Minute)).Format(time.RFC3339)+" are no longer held")
		for _, p := range pods {
			p.alive, p.heard, p.lately = false, false, false
		}
		return
	}
	tally := t.tally(from, to)
	t.remember(tally)
	if share := t.share(from, to); share < 1 {
		answer.NotRead.Share = analysis.Figure(share)
	}
	answer.NotRead.Dropped += float64(tally.Beyond)
	for _, m := range t.between(minuteAt(from+1), minuteAt(to)) {
		if t.minutes[m].tail {
			answer.Tail = "attributes of spans say that a tail sampler kept them"
		}
	}
	byOwner := map[int32]*spanPod{}
	for _, p := range pods {
		if i, known := t.byKey[p.window.key]; known {
			byOwner[i] = p
		}
	}
	list := q.Spans != nil || q.Signal.Shape == analysis.ShapeTopology
	rows := map[*spanPod]map[string]*analysis.Row{}
	for _, k := range tally.Keys() {
		p := byOwner[k.Owner]
		if p == nil {
			continue
		}
		c := tally.Counts[k]
		e := k.Edge
		e.Operation = name(namers, e.Service, e.Operation)
		if e.Callee != "" {
			e.CalleeOperation = name(namers, e.Callee, e.CalleeOperation)
		}
		if list {
			answer.Spans = append(answer.Spans, analysis.SpanRow{Values: p.values, Observed: p.observed, Pod: p.window.pod, Edge: e, SpanCount: c.SpanCount(e.Callee != "")})
		}
		p.whole(q, e, c, rows)
	}
	for p, strata := range rows {
		for _, stratum := range slices.Sorted(maps.Keys(strata)) {
			p.rows = append(p.rows, *strata[stratum])
		}
	}
}

// name is what an operation of a service is called in an answer. Those of services that
// were not asked about keep their names.
func name(namers map[string]namer, service, operation string) string {
	if n, known := namers[service]; known {
		return n.name(operation)
	}
	return operation
}

// whole adds a count of whole traces to the rows of its stratum.
func (p *spanPod) whole(q analysis.Query, e analysis.Edge, c *tracediff.Count, rows map[*spanPod]map[string]*analysis.Row) {
	var bad, exposure int64
	stratum := ""
	switch event := q.Signal.Spans.Event; {
	case event == analysis.SpanExclusive && e.Callee == "" && serves(e.Kind):
		bad, exposure, stratum = c.Exclusive, c.Spans, e.Operation
	case event == analysis.SpanCalls && e.Callee != "":
		bad, exposure, stratum = c.Errors, c.Spans, callOf(e)
	default:
		return
	}
	if !slices.Contains(q.Strata, analysis.StratumOperation) && !slices.Contains(q.Strata, analysis.StratumCall) {
		stratum = ""
	}
	if rows[p] == nil {
		rows[p] = map[string]*analysis.Row{}
	}
	row := rows[p][stratum]
	if row == nil {
		one := p.row(q, stratum, stratum)
		row = &one
		rows[p][stratum] = row
	}
	row.Bad += float64(bad)
	row.Exposure += float64(exposure)
}

// callOf is the stratum of a call: the callee and its operation.
func callOf(e analysis.Edge) string { return e.Callee + " " + e.CalleeOperation }

// history returns what whole traces say of a window's minutes in [from, to).
func (t *traceStore) history(key string, event analysis.SpanEvent, from, to int64) (sums []minute) {
	i, known := t.byKey[key]
	if !known {
		return nil
	}
	kept := &t.owners[i].exclusive
	if event == analysis.SpanCalls {
		kept = &t.owners[i].calls
	}
	for m := range kept.all {
		if at := m.at * int64(time.Minute); at >= from && at+int64(time.Minute) <= to {
			sums = append(sums, minute{at: at, bad: m.bad, exposure: m.exposure})
		}
	}
	for _, number := range slices.Sorted(maps.Keys(t.minutes)) {
		at := number * int64(time.Minute)
		if at < from || at+int64(time.Minute) > to {
			continue
		}
		var sum wholeSum
		tally := t.tally(at, at+int64(time.Minute))
		t.remember(tally)
		for k, c := range tally.Counts {
			if k.Owner == i {
				sum.add(k, c)
			}
		}
		one := minute{at: at, bad: float64(sum.exclusive), exposure: float64(sum.served)}
		if event == analysis.SpanCalls {
			one.bad, one.exposure = float64(sum.failed), float64(sum.calls)
		}
		if one.exposure > 0 {
			sums = append(sums, one)
		}
	}
	return sums
}

// evict forgets owners of which nothing is known any more, and minutes ahead of the clock
// by more than a day.
func (t *traceStore) evict(now time.Time, historyRetention time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ahead := minuteAt(now.Add(24 * time.Hour).UnixNano())
	for m := range t.minutes {
		if m > ahead {
			t.forget(m)
		}
	}
	used := make([]bool, len(t.owners))
	for _, trace := range t.held {
		for i := range trace.spans {
			used[trace.spans[i].Owner] = true
		}
	}
	before := now.Add(-historyRetention).UnixNano() / int64(time.Minute)
	moved := make([]int32, len(t.owners))
	var kept []*traceOwner
	for i, o := range t.owners {
		o.exclusive.forget(before)
		o.calls.forget(before)
		if !used[i] && len(o.exclusive.chunks)+len(o.calls.chunks) == 0 {
			delete(t.byKey, o.window.key)
			continue
		}
		moved[i] = int32(len(kept))
		t.byKey[o.window.key] = moved[i]
		kept = append(kept, o)
	}
	if len(kept) == len(t.owners) {
		return
	}
	t.owners, t.tallies = kept, nil
	for _, trace := range t.held {
		for i := range trace.spans {
			trace.spans[i].Owner = moved[trace.spans[i].Owner]
		}
	}
}
