package loki

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

var errStrata = errors.New("lines are not told apart by strata")

// ask checks a signal and binds a question about it.
func (s *Source) ask(op string, signal analysis.Signal, matches []analysis.Match) (expression, error) {
	if signal.Logs == nil || signal.Shape != analysis.ShapeRatio && signal.Shape != analysis.ShapeTemplates {
		return expression{}, s.rejected(op, errNoLogs)
	}
	e, err := s.labels.bind(matches)
	if err != nil {
		return e, s.rejected(op, err)
	}
	return e, nil
}

// Rows answers a query for one fold: a row for every pod that wrote a line in it, with
// the number of its lines as Received.
func (s *Source) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	const op = "rows"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e, err := s.ask(op, q.Signal, q.Matches)
	if err != nil {
		return analysis.Answer{}, err
	}
	if len(q.Strata) > 0 {
		return analysis.Answer{}, s.rejected(op, errStrata)
	}
	i := &inquiry{Source: s, op: op, most: s.maxLines}
	w := &writers{labels: s.labels, query: q, pods: map[string]*writer{}}
	counts, err := i.count(ctx, e, q)
	if err != nil {
		return analysis.Answer{}, err
	}
	w.heard(counts)
	var missed []string
	if w.lines > 0 {
		if missed, err = i.readFold(ctx, e, w); err != nil {
			return analysis.Answer{}, err
		}
	}
	a, err := w.answer(s.redact.String)
	if err != nil {
		return analysis.Answer{}, s.rejected(op, err)
	}
	a.Rows = sources.AddUp(a.Rows, q.Signal)
	if q.Lines != nil {
		a.NotRead.Skipped = max(0, w.lines-float64(i.lines))
	}
	if len(missed) > 0 && a.NotRead.Truncated == 0 {
		a.NotRead.Truncated = 1 // at least
	}
	a.Warnings, a.Rendered = unique(append(i.warnings, missed...)), i.rendered
	a.Partial = len(a.Warnings) > 0
	return a, nil
}

// count asks how many lines each pod wrote in the fold.
func (i *inquiry) count(ctx context.Context, e expression, q analysis.Query) ([]point, error) {
	query, err := e.count(q.Fold.End.Sub(q.Fold.Start), i.labels.whoOf(q))
	if err != nil {
		return nil, i.rejected(i.op, err)
	}
	return i.instant(ctx, query, q.Fold.End)
}

// whoOf are the labels that tell the rows of a query apart.
func (n naming) whoOf(q analysis.Query) []string {
	attrs := slices.Clone(q.Observe)
	for _, m := range q.Matches {
		attrs = append(attrs, m.Name)
	}
	return n.who(attrs...)
}

// readFold pulls the lines of a fold that are read and tallies them. It returns what is
// missing, in words.
func (i *inquiry) readFold(ctx context.Context, e expression, w *writers) (missed []string, err error) {
	whole := spanOf(w.query.Fold)
	slice := sliceOf(whole, w.query.Lines)
	var all []entry
	if slice != whole {
		if all, missed, err = i.pullAll(ctx, always(e, w.query.Signal.Logs), whole); err != nil {
			return nil, err
		}
	}
	if slice.to > slice.from {
		rest, more, err := i.pullAll(ctx, []expression{e}, slice)
		if err != nil {
			return nil, err
		}
		all, missed = append(all, rest...), append(missed, more...)
	}
	wanted := wants(w.query.Signal.Logs)
	messages := join(once(all), func(m *message) bool { return wanted(m) || slice.from <= m.at && m.at < slice.to })
	i.lines = 0 // of what was pulled, what counts
	for k := range messages {
		i.lines += messages[k].entries
	}
	w.add(messages)
	return missed, nil
}

// counted pulls the messages in a span that are always read.
func (i *inquiry) counted(ctx context.Context, e expression, logs *analysis.LogSignal, over span) (messages []message, missed []string, err error) {
	all, missed, err := i.pullAll(ctx, always(e, logs), over)
	if err != nil {
		return nil, nil, err
	}
	return join(once(all), wants(logs)), missed, nil
}

// pullAll pulls the lines of several expressions and says what is missing.
func (i *inquiry) pullAll(ctx context.Context, parts []expression, over span) (all []entry, missed []string, err error) {
	for _, part := range parts {
		found, cut, short, err := i.pull(ctx, part, over)
		if err != nil {
			return nil, nil, err
		}
		if short {
			missed = append(missed, fmt.Sprintf("there are more lines than one question reads: from %s on some are left out, of both versions alike", time.Unix(0, cut).UTC().Format(time.RFC3339Nano)))
		}
		all = append(all, found...)
	}
	return all, missed, nil
}

// always selects the lines that are always read, and some that are not.
func always(e expression, logs *analysis.LogSignal) []expression {
	if logs.MustAppear != "" {
		return []expression{containing(e, logs.MustAppear)}
	}
	return severe(e, leastRead(logs))
}

// wants tells messages that are always read.
func wants(logs *analysis.LogSignal) func(*message) bool {
	level := leastRead(logs)
	return func(m *message) bool { return logs.MustAppear != "" || m.Severity >= level }
}

// spanOf is the time of a fold, to which its end belongs and its start does not.
func spanOf(f analysis.Fold) span { return span{f.Start.UnixNano() + 1, f.End.UnixNano() + 1} }

// leastRead is the level from which on lines are always read.
func leastRead(l *analysis.LogSignal) analysis.Severity {
	if l.Severity != analysis.SeverityUnknown {
		return min(l.Severity, analysis.SeverityError)
	}
	return analysis.SeverityError
}

// sliceOf is the part of a fold of which all lines are read: as long as the share says,
// at a place that follows from the fold's time and from nothing else.
func sliceOf(fold span, q *analysis.LineQuery) span {
	if q == nil || !(q.Share > 0) {
		return span{fold.from, fold.from}
	}
	long := fold.to - fold.from
	width := int64(float64(long) * q.Share)
	if width >= long {
		return fold
	}
	place := uint64(fold.from) // mixed as splitmix64 does
	place = (place ^ place>>30) * 0xbf58476d1ce4e5b9
	place = (place ^ place>>27) * 0x94d049bb133111eb
	from := fold.from + int64((place^place>>31)%uint64(long-width+1))
	return span{from, from + width}
}

// once returns the lines in order, those that several expressions selected once.
func once(all []entry) []entry {
	sortEntries(all)
	var out []entry
	seen := map[string]bool{} // of the instant
	for k, e := range all {
		if k > 0 && e.at != all[k-1].at {
			clear(seen)
		}
		if key := e.key(); !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}

// Render returns the queries that a question comes to, without asking them: what a
// merged question would have been for one of those it was merged from. A question that
// cannot be put has none.
func (s *Source) Render(q analysis.Query) []string {
	e, err := s.ask("rows", q.Signal, q.Matches)
	if err != nil {
		return nil
	}
	count, err := e.count(q.Fold.End.Sub(q.Fold.Start), s.labels.whoOf(q))
	if err != nil {
		return nil
	}
	rendered := []string{count}
	parts := always(e, q.Signal.Logs)
	if q.Lines != nil {
		parts = append(parts, e)
	}
	for _, part := range parts {
		text, err := part.render()
		if err != nil {
			return nil
		}
		rendered = append(rendered, text)
	}
	return rendered
}

// unique returns the strings sorted, each once, in a slice of their own.
func unique(all []string) []string {
	if len(all) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}
