package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

// distributionReadings is how many times a distribution reads each pod at most: the
// more, the less is lost to a restart.
const distributionReadings = 12

// Distribution returns what was observed in [From, To), from a few readings of every
// series. Observations between a pod's last reading before a restart and the restart
// are lost, and those before a pod's first reading are not counted.
//
// Where all targets have native histograms these are taken, else the classic ones
// where all have those. A fleet in between is merged at the bounds that all have.
func (s *Source) Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	const op = "distribution"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if q.Signal.Shape != analysis.ShapeDistribution {
		return analysis.Histogram{}, s.rejected(op, fmt.Errorf("a %s has no distribution", cmp.Or(q.Signal.Shape, "signal without a shape")))
	}
	asked, err := s.question(q.Signal, q.Matches)
	if err != nil {
		return analysis.Histogram{}, s.rejected(op, err)
	}
	end := q.To.Add(-time.Millisecond).Truncate(time.Millisecond) // the end is open
	span := end.Sub(q.From).Truncate(time.Millisecond)
	if span <= 0 {
		return analysis.Histogram{}, nil
	}
	// Pods that are younger than the space between two readings have only one: then
	// the end of the time is looked at more closely.
	for {
		found, every, err := s.fewReadings(ctx, op, asked, span, end)
		if err != nil {
			return analysis.Histogram{}, err
		}
		h := analysis.HistogramOf(s.observations(found, analysis.Fold{Start: q.From, End: end}))
		if len(h.Counts) > 0 || len(found) == 0 || every == span {
			return h, nil
		}
		span = every
	}
}

// closest is how near to each other readings are of any use.
const closest = 2 * time.Second

// fewReadings returns readings of every series, how far apart they are, from span
// before end until end.
func (s *Source) fewReadings(ctx context.Context, op string, asked question, span time.Duration, end time.Time) (found []series, every time.Duration, err error) {
	for n := max(1, min(distributionReadings, span/closest)); ; n /= 2 {
		i := &inquiry{Source: s, op: op}
		every = max((span / n).Truncate(time.Millisecond), time.Millisecond)
		found, err = i.steps(ctx, asked.form, asked.total, end.Add(-n*every), end, every)
		if errors.Is(err, httpquery.ErrTooBig) && n > 1 {
			continue
		}
		if err == nil && len(i.warnings) > 0 {
			err = &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: fmt.Errorf("the server warns: %s", httpquery.Clip(i.warnings[0]))}
		}
		return found, every, err
	}
}

// observations returns what every series observed from each of its readings to the
// next, of the kind of histogram that is taken.
func (s *Source) observations(found []series, f analysis.Fold) []analysis.Reading {
	targets := map[targetKey]*[2][]series{} // classic and native
	for _, sr := range found {
		pod, _ := s.labels.pod(sr.metric)
		key := targetKey{pod, s.labels.scrape(sr.metric)}
		if targets[key] == nil {
			targets[key] = new([2][]series)
		}
		kind := 0
		if sr.native {
			kind = 1
		}
		targets[key][kind] = append(targets[key][kind], sr)
	}
	first, second := 1, 0 // which kind is preferred
	for _, t := range targets {
		if len(t[1]) == 0 {
			first, second = 0, 1
		}
	}
	var out []analysis.Reading
	order := func(a, b targetKey) int { return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.scrape, b.scrape)) }
	for _, key := range slices.SortedFunc(maps.Keys(targets), order) {
		t := targets[key]
		kind := t[first]
		if len(kind) == 0 {
			kind = t[second]
		}
		var readings [][]analysis.Reading
		for _, sr := range kind {
			readings = append(readings, sr.readings)
		}
		out = append(out, analysis.ObservedIn(readings, f)...)
	}
	return out
}
