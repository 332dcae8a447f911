package replay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// SampleLines implements sources.LineSampler.
func (s *Source) SampleLines(ctx context.Context, q analysis.LineSampleQuery) ([]analysis.Line, error) {
	sel, err := s.begin(ctx, "lines", q.Signal)
	if err != nil {
		return nil, err
	}
	if sel.logs == nil {
		return nil, s.rejected("lines", errors.New("the signal is not one of log lines"))
	}
	if q.Slices < 1 || q.Lines < 1 || !q.To.After(q.From) {
		return nil, nil
	}
	var lines []analysis.Line
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); !ok {
			continue
		}
		for i := range pod.Lines {
			if at := pod.Lines[i].Time; !at.Before(q.From) && at.Before(q.To) {
				l := read(&pod.Lines[i]).Line
				l.Pod, l.Text = pod.Name(), redactor.String(l.Text)
				lines = append(lines, l)
			}
		}
	}
	slices.SortFunc(lines, func(a, b analysis.Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Text, b.Text))
	})
	var out []analysis.Line
	taken := map[time.Duration]int{}
	width := max(q.To.Sub(q.From)/time.Duration(q.Slices), 1)
	for _, l := range lines {
		slice := l.Time.Sub(q.From) / width
		if taken[slice]++; taken[slice] <= q.Lines {
			out = append(out, l)
		}
	}
	return out, nil
}

// streamHistory answers History for lines and spans.
func (s *Source) streamHistory(ctx context.Context, q analysis.HistoryQuery, sel selection) ([]analysis.MinuteSum, error) {
	var out []analysis.MinuteSum
	fold := analysis.FoldAt(q.From, time.Minute)
	if fold.Start.Before(q.From) {
		fold = fold.Next()
	}
	for ; !fold.End.After(q.To); fold = fold.Next() {
		answer, err := s.Rows(ctx, analysis.Query{Signal: q.Signal, Matches: q.Matches, Fold: fold, Bounds: q.Bounds})
		if err != nil {
			return nil, err
		}
		byPod := map[string]*analysis.MinuteSum{}
		for _, r := range answer.Rows {
			if r.Received == 0 {
				continue
			}
			if byPod[r.Pod] == nil {
				byPod[r.Pod] = &analysis.MinuteSum{Minute: fold.Start, Pod: r.Pod, Above: make([]float64, len(q.Bounds))}
			}
			m := byPod[r.Pod]
			m.Bad += r.Bad
			m.Exposure += r.Exposure
			for i, n := range r.Above {
				m.Above[i] += n
			}
			if len(m.Above) == 0 {
				m.Above = nil
			}
		}
		for _, m := range byPod {
			out = append(out, *m)
		}
	}
	slices.SortFunc(out, func(a, b analysis.MinuteSum) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Pod, b.Pod))
	})
	return out, nil
}

// streamSpacing answers Spacing for lines and spans: it is fixed where there are any.
func (s *Source) streamSpacing(q analysis.SpacingQuery, sel selection) time.Duration {
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); ok && len(sel.within(pod, analysis.Fold{Start: q.From, End: q.To})) > 0 {
			return streamSpacing
		}
	}
	return 0
}
