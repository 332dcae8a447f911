package prometheus

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/httpquery"
)

// Spacing returns the median time between consecutive scrapes of the targets that
// have the total counter, the histogram or the gauge, from the last ten minutes
// before To, or from the whole of [From, To) where those hold no two scrapes of a
// target. Of native histograms, which are large, one minute may have to do.
func (s *Source) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	const op = "spacing"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	asked, err := s.presence(q.Signal, q.Matches)
	if err != nil {
		return 0, s.rejected(op, err)
	}
	to := q.To.Add(-time.Millisecond) // the end is open
	span := q.To.Sub(q.From).Truncate(time.Second)
	for _, over := range []time.Duration{min(span, 10*time.Minute), span} {
		if over <= 0 {
			return 0, nil
		}
		found, err := s.recent(ctx, op, asked, to, over)
		if err != nil {
			return 0, err
		}
		if gaps := s.gaps(found); len(gaps) > 0 {
			return gaps[len(gaps)/2], nil
		}
	}
	return 0, nil
}

// recent returns the samples in (to-over, to], or of less time where they are over
// the limit of bytes.
func (s *Source) recent(ctx context.Context, op string, asked question, to time.Time, over time.Duration) ([]series, error) {
	for {
		i := &inquiry{Source: s, op: op}
		found, err := i.raw(ctx, asked.form, asked.total, over, to)
		if !errors.Is(err, httpquery.ErrTooBig) || over <= time.Minute {
			return found, err
		}
		over = max(over/4, time.Minute).Truncate(time.Second)
	}
}

// gaps returns the times between consecutive scrapes of each target, ascending.
func (s *Source) gaps(found []series) []time.Duration {
	scrapes := map[[2]string][]time.Time{}
	for _, sr := range found {
		pod, _ := s.labels.pod(sr.metric)
		key := [2]string{pod, s.labels.scrape(sr.metric)}
		for _, sample := range sr.Samples {
			scrapes[key] = append(scrapes[key], sample.T)
		}
		for _, r := range sr.readings {
			scrapes[key] = append(scrapes[key], r.T)
		}
	}
	var gaps []time.Duration
	for _, times := range scrapes {
		slices.SortFunc(times, time.Time.Compare)
		times = slices.CompactFunc(times, time.Time.Equal)
		for k := 1; k < len(times); k++ {
			gaps = append(gaps, times[k].Sub(times[k-1]))
		}
	}
	slices.Sort(gaps)
	return gaps
}

// Seen returns the releases whose pods have the total counter, the histogram or the
// gauge in [From, To). It reads one sample every few minutes: the exposures are for
// telling the large from the small. A gauge has none.
func (s *Source) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	const op = "seen"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var service []analysis.Match
	if q.Service != "" {
		service = []analysis.Match{{Name: analysis.AttrService, Values: []string{q.Service}}}
	}
	asked, err := s.presence(q.Signal, service)
	if err != nil {
		return nil, s.rejected(op, err)
	}
	span := q.To.Sub(q.From)
	every := max(min(max(span/12, time.Minute), lookBack, span).Truncate(time.Second), (span/maxPoints + time.Second).Truncate(time.Second))
	end := q.To.Add(-time.Millisecond).Truncate(time.Millisecond) // the server's own precision: its last step must not lie after it
	start := end.Add(-span / every * every)
	i := &inquiry{Source: s, op: op}
	found, err := i.steps(ctx, asked.form, asked.total, start, end, every)
	if err != nil {
		return nil, err
	}

	native := map[targetKey]bool{} // targets whose classic histograms would count twice
	for _, sr := range found {
		if pod, _ := s.labels.pod(sr.metric); sr.native {
			native[targetKey{pod, s.labels.scrape(sr.metric)}] = true
		}
	}
	type podKey struct {
		release analysis.Seen
		pod     string
	}
	pods := map[podKey]map[string]*analysis.Target{}
	for _, sr := range found {
		v := s.labels.values(sr.metric, []string{analysis.AttrService, analysis.AttrNamespace, analysis.AttrEnvironment, analysis.AttrVersion})
		pod, _ := s.labels.pod(sr.metric)
		if !sr.native && native[targetKey{pod, s.labels.scrape(sr.metric)}] {
			continue
		}
		key := podKey{analysis.Seen{Service: v[0], Namespace: v[1], Environment: v[2], Version: v[3]}, pod}
		if pods[key] == nil {
			pods[key] = map[string]*analysis.Target{}
		}
		scrape := s.labels.scrape(sr.metric)
		if pods[key][scrape] == nil {
			pods[key][scrape] = new(analysis.Target)
		}
		if sr.readings != nil {
			sr.CounterSeries, _ = analysis.CountReadings(sr.readings, nil, nil)
		}
		sr.Total = q.Signal.Shape != analysis.ShapeLevel
		t := pods[key][scrape]
		t.Series = append(t.Series, sr.CounterSeries)
	}
	releases := map[analysis.Seen]*analysis.Seen{}
	for key, targets := range pods {
		heard := false
		exposure := 0.0
		for _, t := range targets {
			inc, received := analysis.IncreaseOf(*t, analysis.Fold{Start: start, End: end}, false)
			heard = heard || received > 0
			exposure += inc.Exposure
		}
		if !heard {
			continue
		}
		r := releases[key.release]
		if r == nil {
			r = &analysis.Seen{Service: key.release.Service, Namespace: key.release.Namespace, Environment: key.release.Environment, Version: key.release.Version}
			releases[key.release] = r
		}
		r.Pods++
		r.Exposure += exposure
	}
	seen := make([]analysis.Seen, 0, len(releases))
	for _, r := range releases {
		seen = append(seen, *r)
	}
	slices.SortFunc(seen, func(a, b analysis.Seen) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Version, b.Version))
	})
	return seen, nil
}
