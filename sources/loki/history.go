package loki

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/sources"
)

const (
	// firstSpan is how much history is asked for at first, minSpan the least that is
	// tried where there are more lines than one question may read.
	firstSpan = 6 * time.Hour
	minSpan   = 10 * time.Minute
)

// History returns the sums of the whole minutes in [From, To): of each pod that wrote a
// line, how many requests wrote one that counts. It is read newest first, in spans that
// keep each within the limits; where there are more lines than one question may read it
// is shorter, not wrong: a minute without a sum of any pod was silent, or not read.
func (s *Source) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	const op = "history"
	e, err := s.ask(op, q.Signal, q.Matches)
	if err != nil {
		return nil, err
	}
	first, last := q.From.UTC().Add(time.Minute-1).Truncate(time.Minute), q.To.UTC().Truncate(time.Minute)
	var sums []analysis.MinuteSum
	budget, long := s.maxLines, firstSpan
	for end := last; end.After(first); {
		start := end.Add(-min(long, end.Sub(first)))
		i := &inquiry{Source: s, op: op, most: s.maxLines}
		found, short, err := i.minutes(ctx, e, q, start, end)
		if err != nil {
			return nil, err
		}
		if len(i.warnings) > 0 {
			return nil, &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: fmt.Errorf("the server warns: %s", i.warnings[0])}
		}
		if short {
			if end.Sub(start) <= minSpan {
				break
			}
			long = max(minSpan, (end.Sub(start) / 4).Truncate(time.Minute))
			continue
		}
		if budget -= i.lines; budget < 0 {
			break
		}
		sums = append(sums, found...)
		end = start
	}
	slices.SortFunc(sums, func(a, b analysis.MinuteSum) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Pod, b.Pod))
	})
	return sums, nil
}

// minutes returns the sums of the minutes in (start, end]; short: there are more lines
// than may be read.
func (i *inquiry) minutes(ctx context.Context, e expression, q analysis.HistoryQuery, start, end time.Time) (sums []analysis.MinuteSum, short bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	query, err := e.count(time.Minute, i.labels.who())
	if err != nil {
		return nil, false, i.rejected(i.op, err)
	}
	counts, err := i.steps(ctx, query, start.Add(time.Minute), end, time.Minute)
	if err != nil {
		return nil, false, err
	}
	type key struct {
		minute int64
		pod    string
	}
	tallies := map[key]*logdiff.Tally{}
	of := func(at int64, pod string) *logdiff.Tally {
		k := key{(at - 1) / int64(time.Minute), pod} // the end of a minute belongs to it
		if tallies[k] == nil {
			tallies[k] = logdiff.NewTally(mustOf(q.Signal.Logs)...)
		}
		return tallies[k]
	}
	any := false
	for k := range counts {
		if p := &counts[k]; p.value > 0 {
			of(p.at.UnixNano(), i.labels.pod(p.label))
			any = true
		}
	}
	if any && q.Signal.Shape == analysis.ShapeRatio {
		messages, missed, err := i.counted(ctx, e, q.Signal.Logs, span{start.UnixNano() + 1, end.UnixNano() + 1})
		if err != nil || len(missed) > 0 {
			return nil, len(missed) > 0, err
		}
		for k := range messages {
			m := &messages[k]
			of(m.at, i.labels.pod(m.label)).Add(m.record())
		}
	}
	for k, tally := range tallies {
		sum := analysis.MinuteSum{Minute: time.Unix(0, k.minute*int64(time.Minute)).UTC(), Pod: k.pod}
		if q.Signal.Shape == analysis.ShapeRatio {
			sum.Bad = eventsOf(tally, q.Signal.Logs)
		}
		sums = append(sums, sum)
	}
	return sums, false, nil
}
