package replay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// KeepsSamples says that the history of a level can be had at a step below a minute.
func (s *Source) KeepsSamples() bool { return true }

// History implements sources.Source.
func (s *Source) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	sel, err := s.begin(ctx, "history", q.Signal)
	if err != nil {
		return nil, err
	}
	if sel.logs != nil || sel.spans != nil {
		return s.streamHistory(ctx, q, sel)
	}
	step := time.Minute
	if sel.shape == analysis.ShapeLevel && q.Step > 0 {
		step = q.Step
	}
	type key struct {
		minute time.Time
		pod    string
	}
	rows := map[key][]analysis.Row{}
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); !ok {
			continue
		}
		series := sel.pick(pod, q.Bounds, nil)
		fold := analysis.FoldAt(q.From, step)
		if fold.Start.Before(q.From) {
			fold = fold.Next()
		}
		for ; !fold.End.After(q.To); fold = fold.Next() {
			row := analysis.Row{Pod: pod.Name()}
			if sel.shape == analysis.ShapeLevel {
				row.Level, row.Received = level(series, nil, fold, q.Signal)
			} else {
				since := fold.Start.Add(-HistoryLookback)
				row.Increase, row.Received = analysis.IncreaseOf(recent(target(pod, series, nil, fold, since), since), fold, sel.good)
			}
			if row.Received > 0 {
				k := key{fold.Start, pod.Name()}
				rows[k] = append(rows[k], row)
			}
		}
	}
	var out []analysis.MinuteSum
	for k, processes := range rows {
		row := sources.AddUp(processes, q.Signal)[0]
		out = append(out, analysis.MinuteSum{Minute: k.minute, Pod: k.pod, Bad: row.Bad, Exposure: row.Exposure, Above: row.Above, Level: row.Level})
	}
	slices.SortFunc(out, func(a, b analysis.MinuteSum) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Pod, b.Pod))
	})
	return out, nil
}

// Distribution implements sources.Source.
func (s *Source) Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	sel, err := s.begin(ctx, "distribution", q.Signal)
	if err != nil {
		return analysis.Histogram{}, err
	}
	if sel.shape != analysis.ShapeDistribution { // of spans: their durations
		return analysis.Histogram{}, s.rejected("distribution", errors.New("only a histogram has a distribution"))
	}
	if sel.spans != nil {
		return s.spanDistribution(q), nil
	}
	var observed []analysis.Reading
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); !ok {
			continue
		}
		var readings [][]analysis.Reading
		for _, p := range sel.pick(pod, nil, nil) {
			readings = append(readings, pod.Series[p.index].readings())
		}
		observed = append(observed, analysis.ObservedIn(readings, analysis.Fold{Start: q.From, End: q.To.Add(-1)})...)
	}
	return analysis.HistogramOf(observed), nil
}
