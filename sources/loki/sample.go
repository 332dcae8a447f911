package loki

import (
	"cmp"
	"context"
	"slices"

	"github.com/release-assay/assay/analysis"
)

// SampleLines implements sources.LineSampler: the first lines of each slice, joined and
// redacted, in order of time, pod and text.
func (s *Source) SampleLines(ctx context.Context, q analysis.LineSampleQuery) ([]analysis.Line, error) {
	const op = "lines"
	e, err := s.ask(op, q.Signal, q.Matches)
	if err != nil {
		return nil, err
	}
	if q.Slices < 1 || q.Lines < 1 || !q.To.After(q.From) {
		return nil, nil
	}
	var lines []analysis.Line
	from, long := q.From.UnixNano(), q.To.UnixNano()-q.From.UnixNano()
	for k := range int64(q.Slices) {
		width := long / int64(q.Slices)
		slice := span{from + k*width, from + (k+1)*width}
		if k == int64(q.Slices)-1 {
			slice.to = q.To.UnixNano()
		}
		found, err := s.sample(ctx, op, e, slice, q.Lines)
		if err != nil {
			return nil, err
		}
		lines = append(lines, found...)
	}
	slices.SortStableFunc(lines, func(a, b analysis.Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Text, b.Text))
	})
	return lines, nil
}

func (s *Source) sample(ctx context.Context, op string, e expression, slice span, most int) ([]analysis.Line, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	i := &inquiry{Source: s, op: op, most: min(most, s.maxLines)}
	found, _, _, err := i.pull(ctx, e, slice)
	if err != nil {
		return nil, err
	}
	var lines []analysis.Line
	for _, m := range join(found, func(*message) bool { return true }) {
		lines = append(lines, analysis.Line{Time: m.time(), Pod: s.labels.pod(m.label), Severity: m.Severity, TraceID: m.TraceID, Text: s.redact.String(m.Text)})
	}
	return lines, nil
}
