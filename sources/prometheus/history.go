package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

const (
	step = time.Minute // of a history
	// maxPoints is how many steps one range query may have; Prometheus refuses
	// more than 11,000.
	maxPoints = 10_000
	// firstSpan is how much history is asked for at first, minSpan the least that
	// is tried where an answer is over the limit of bytes.
	firstSpan = 6 * time.Hour
	minSpan   = 10 * time.Minute
)

// History returns the sums of the whole minutes in [From, To), from one reading a
// minute. It is asked for newest first, in spans that keep each answer within the
// limits; where the samples are over the limit it is shorter, not wrong.
//
// A reading is the newest sample in its minute, so the sums are those of IncreaseOf
// but for what a pod counted between its last reading and a restart. A target's
// first reading is a reference only, and a minute without a sample has no sum.
func (s *Source) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	const op = "history"
	counters, err := s.ratio(q.Signal, q.Matches)
	if err != nil {
		return nil, s.rejected(op, err)
	}
	first, last := q.From.UTC().Add(step-1).Truncate(step), q.To.UTC().Truncate(step)
	var spans [][]series // newest first
	budget, span := s.maxSamples, firstSpan
	for end := last; end.After(first); {
		start := end.Add(-min(span, end.Sub(first), maxPoints*step))
		i := &inquiry{Source: s, op: op}
		found, err := counters.read(func(ms []*labels.Matcher) ([]series, error) {
			ctx, cancel := context.WithTimeout(ctx, s.timeout)
			defer cancel()
			return i.steps(ctx, ms, start, end, step)
		})
		if errors.Is(err, errTooBig) && end.Sub(start) > minSpan {
			span = end.Sub(start) / 2
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(i.warnings) > 0 {
			return nil, &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: fmt.Errorf("the server warns: %s", clip(i.warnings[0]))}
		}
		if budget -= i.samples; budget < 0 && len(spans) > 0 {
			first = end
			break
		}
		spans = append(spans, found)
		end = start
	}
	slices.Reverse(spans)
	return s.minutes(spans, counters.good, first, last), nil
}

// minutes joins spans, whose ends are in both neighbours, and sums each minute of
// each target.
func (s *Source) minutes(spans [][]series, good bool, first, last time.Time) []analysis.MinuteSum {
	type seriesKey struct {
		id           model.Fingerprint
		event, total bool
	}
	type targetKey struct{ pod, scrape string }
	type history struct {
		readings []reading
		index    map[seriesKey]int
	}
	targets := map[targetKey]*history{}
	var order []targetKey
	for _, span := range spans {
		for _, sr := range span {
			pod, _ := s.labels.pod(sr.metric)
			key := targetKey{pod, s.labels.scrape(sr.metric)}
			h := targets[key]
			if h == nil {
				h = &history{index: map[seriesKey]int{}}
				targets[key] = h
				order = append(order, key)
			}
			id := seriesKey{sr.metric.Fingerprint(), sr.Event, sr.Total}
			at, ok := h.index[id]
			if !ok {
				at = len(h.readings)
				h.index[id] = at
				h.readings = append(h.readings, reading{CounterSeries: analysis.CounterSeries{Event: sr.Event, Total: sr.Total}})
			}
			r := &h.readings[at]
			for _, sample := range sr.Samples {
				if n := len(r.Samples); n == 0 || sample.T.After(r.Samples[n-1].T) {
					r.Samples = append(r.Samples, sample)
				}
			}
		}
	}

	slices.SortFunc(order, func(a, b targetKey) int { return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.scrape, b.scrape)) })

	var sums []analysis.MinuteSum
	for end := first; !end.After(last); end = end.Add(step) {
		for _, key := range order { // the targets of a pod follow each other
			inc, received := count(targets[key].readings, end, good)
			if received == 0 || inc.New || end.Equal(first) {
				continue
			}
			minute := end.Add(-step)
			if n := len(sums); n == 0 || sums[n-1].Pod != key.pod || !sums[n-1].Minute.Equal(minute) {
				sums = append(sums, analysis.MinuteSum{Minute: minute, Pod: key.pod})
			}
			sum := &sums[len(sums)-1]
			sum.Bad += inc.Bad
			sum.Exposure += inc.Exposure
		}
	}
	return sums
}

// A reading is one series of a target while its minutes are counted one by one.
type reading struct {
	analysis.CounterSeries
	next  int
	known bool    // it has a value from which the next delta counts
	value float64 // unless a reset of the target has put it back to 0
}

// count returns what a target counted in the minute that ends at end. The minutes
// are counted in order, each by IncreaseOf on two readings: what is known of the
// target at the beginning of the minute, and the sample at its end.
func count(readings []reading, end time.Time, good bool) (inc analysis.Increase, received int) {
	start := end.Add(-step)
	target := analysis.Target{Series: make([]analysis.CounterSeries, 0, len(readings))}
	reset := false
	for k := range readings {
		r := &readings[k]
		s := analysis.CounterSeries{Event: r.Event, Total: r.Total}
		if r.known {
			s.Samples = append(s.Samples, analysis.Sample{T: start, V: r.value})
		}
		if r.next < len(r.Samples) && r.Samples[r.next].T.Equal(end) {
			s.Samples = append(s.Samples, r.Samples[r.next])
			reset = reset || r.Samples[r.next].V < r.value
		}
		target.Series = append(target.Series, s)
	}
	inc, received = analysis.IncreaseOf(target, analysis.Fold{Start: start, End: end}, good)
	for k := range readings {
		r := &readings[k]
		if reset {
			r.value = 0
		}
		if r.next < len(r.Samples) && r.Samples[r.next].T.Equal(end) {
			r.known, r.value = true, r.Samples[r.next].V
			r.next++
		}
	}
	return inc, received
}
