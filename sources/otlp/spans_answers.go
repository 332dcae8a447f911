package otlp

import (
	"context"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// spanSpacing is the time between readings of spans: the shortest cadence, since they come
// with requests and not with the clock; 0 where there are none.
func (s *Source) spanSpacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	var spacing time.Duration
	err := s.each(ctx, "spacing", q.Matches, func(w *window, _ []string) {
		if spacing == 0 && len(w.spanMinutes(s, q.Signal, minuteFrom(q.From.UnixNano()-int64(time.Minute)), q.To.UnixNano()+int64(time.Minute))) > 0 {
			spacing = analysis.StreamCadence
		}
	})
	return spacing, err
}

// spanMinutes returns what is known of a window's minutes in [from, to).
func (w *window) spanMinutes(s *Source, signal analysis.Signal, from, to int64) []minute {
	if w.spans == nil {
		return nil
	}
	event := signal.Spans.Event
	if event.Sampled() {
		s.traces.mu.Lock()
		defer s.traces.mu.Unlock()
		return s.traces.history(w.key, event, from, to)
	}
	sums := w.spans.history(from, to, event == analysis.SpanDuration)
	if event == analysis.SpanDuration {
		for i := range sums {
			sums[i].bad, sums[i].exposure = 0, 0
			if sums[i].buckets != nil {
				for one := range sums[i].buckets.all {
					sums[i].exposure += float64(one.count)
				}
			}
		}
	}
	return sums
}

// spanHistory answers History for signals of spans.
func (s *Source) spanHistory(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	var g *grid
	if durationSignal(q.Signal) && len(q.Bounds) > 0 {
		g = bounded(q.Bounds)
	}
	from, to := minuteFrom(q.From.UnixNano()), q.To.UnixNano()
	var sums []analysis.MinuteSum
	err := s.each(ctx, "history", q.Matches, func(w *window, _ []string) {
		for _, m := range w.spanMinutes(s, q.Signal, from, to) {
			sum := analysis.MinuteSum{Minute: instant(m.at), Pod: w.pod, Bad: m.bad, Exposure: m.exposure}
			if g != nil {
				sum.Above = g.above(m.buckets)
			}
			if durationSignal(q.Signal) && m.buckets == nil {
				continue // nothing is known of it
			}
			sums = append(sums, sum)
		}
	})
	if err != nil {
		return nil, err
	}
	return byMinute(sums, false), nil
}

// eachNamed is each for those who need the service, too.
func (s *Source) eachNamed(ctx context.Context, op string, matches []analysis.Match, visit func(svc *service, w *window, values []string)) error {
	for _, svc := range s.servicesOf(matches) {
		if err := ctx.Err(); err != nil {
			return s.fail(op, sources.Unavailable, err)
		}
		svc.mu.Lock()
		for _, w := range slices.Clone(svc.ordered) {
			if values, ok := match(w, matches); ok {
				visit(svc, w, values)
			}
		}
		svc.mu.Unlock()
	}
	return nil
}

// spanExposure is what a release served in a fold, and whether there was any span.
func (w *window) spanExposure(fold analysis.Fold) (exposure float64, received int) {
	if w.spans == nil {
		return 0, 0
	}
	for t := range w.spans.within(fold.Start.UnixNano(), fold.End.UnixNano()) {
		received++
		for r := range t.records {
			if w.spans.ops[r.op].kind.Serves() {
				exposure += float64(r.n)
			}
		}
	}
	return exposure, received
}
