package otlp

import (
	"context"
	"fmt"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// Distribution implements sources.Source. It adds up whole minutes, as History does, so
// that what was rolled up counts too; those of which no buckets are kept are left out.
func (s *Source) Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	sel, err := s.begin(ctx, "distribution", q.Signal)
	if err != nil {
		return analysis.Histogram{}, err
	}
	if sel.shape != analysis.ShapeDistribution {
		return analysis.Histogram{}, s.fail("distribution", sources.Rejected, fmt.Errorf("signal %q is a %s, not a distribution", q.Signal.Name, sel.shape))
	}
	from, to := minuteFrom(q.From.UnixNano()), q.To.UnixNano()
	var minutes []*buckets
	err = s.each(ctx, "distribution", q.Matches, func(w *window, _ []string) {
		var sums []minute
		if sel.spans != nil {
			sums = w.spanMinutes(s, q.Signal, from, to)
		} else {
			sums = w.history(sel, from, to)
		}
		for _, m := range sums {
			if m.buckets != nil && m.exposure > 0 {
				minutes = append(minutes, m.buckets)
			}
		}
	})
	if err != nil {
		return analysis.Histogram{}, err
	}
	g, ok := common(minutes)
	if !ok {
		return analysis.Histogram{}, nil
	}
	above, all := make([]float64, g.len()), 0.
	for _, b := range minutes {
		for one := range b.all {
			all += float64(one.count)
		}
		for i, more := range g.above(b) {
			above[i] += more
		}
	}
	return g.histogram(above, all), nil
}
