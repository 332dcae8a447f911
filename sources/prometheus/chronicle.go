package prometheus

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/analysis"
)

// A chronicle is a history while its spans are joined and its steps are summed.
type chronicle struct {
	labels naming
	analysis.HistoryQuery
	good    bool
	step    time.Duration
	targets map[targetKey]*chronicled
	order   []targetKey
}

type targetKey struct{ pod, scrape string }

// chronicled is one target with its series over all spans.
type chronicled struct {
	series []series
	index  map[seriesKey]int
}

type seriesKey struct {
	id           model.Fingerprint
	event, total bool
	native       bool
}

// join takes in the next span, whose first readings are the last of the one before.
func (c *chronicle) join(span []series) {
	if c.targets == nil {
		c.targets = map[targetKey]*chronicled{}
	}
	for _, sr := range span {
		pod, _ := c.labels.pod(sr.metric)
		key := targetKey{pod, c.labels.scrape(sr.metric)}
		t := c.targets[key]
		if t == nil {
			t = &chronicled{index: map[seriesKey]int{}}
			c.targets[key] = t
			c.order = append(c.order, key)
		}
		id := seriesKey{sr.metric.Fingerprint(), sr.Event, sr.Total, sr.native}
		at, ok := t.index[id]
		if !ok {
			t.index[id] = len(t.series)
			t.series = append(t.series, sr)
			continue
		}
		all := &t.series[at]
		all.Samples = append(all.Samples, after(sr.Samples, all.Samples, func(s analysis.Sample) time.Time { return s.T })...)
		all.readings = append(all.readings, after(sr.readings, all.readings, func(r analysis.Reading) time.Time { return r.T })...)
	}
}

// after returns those of more that are later than the last of have.
func after[T any](more, have []T, at func(T) time.Time) []T {
	if len(have) == 0 {
		return more
	}
	last := at(have[len(have)-1])
	for len(more) > 0 && !at(more[0]).After(last) {
		more = more[1:]
	}
	return more
}

// sums returns the sum of each step of each pod from first to last.
func (c *chronicle) sums(first, last time.Time) []analysis.MinuteSum {
	slices.SortFunc(c.order, func(a, b targetKey) int { return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.scrape, b.scrape)) })
	count := make([]func(time.Time) (analysis.MinuteSum, bool), len(c.order))
	for k, key := range c.order {
		count[k] = c.counter(c.targets[key])
	}
	var sums []analysis.MinuteSum
	levels := 1.0 // targets in the last of sums
	for end := first; !end.After(last); end = end.Add(c.step) {
		for k, key := range c.order { // the targets of a pod follow each other
			one, ok := count[k](end)
			if !ok || end.Equal(first) {
				continue
			}
			one.Minute, one.Pod = end.Add(-c.step), key.pod
			n := len(sums)
			if n == 0 || sums[n-1].Pod != one.Pod || !sums[n-1].Minute.Equal(one.Minute) {
				sums, levels = append(sums, one), 1
				continue
			}
			sum := &sums[n-1]
			sum.Bad += one.Bad
			sum.Exposure += one.Exposure
			if len(one.Above) == 0 {
				sum.Above = nil
			}
			for i := range sum.Above {
				sum.Above[i] += one.Above[i]
			}
			if sum.Level += one.Level; !c.Signal.Adds() {
				sum.Level = (sum.Level + (levels-1)*(sum.Level-one.Level)) / (levels + 1)
				levels++
			}
		}
	}
	return sums
}

// counter returns what counts a target step by step: it is called for every step in
// order, with its end, and tells whether there is anything to say of it.
func (c *chronicle) counter(t *chronicled) func(time.Time) (analysis.MinuteSum, bool) {
	switch c.Signal.Shape {
	case analysis.ShapeLevel:
		gauges := pastReadings(t.series)
		return func(end time.Time) (analysis.MinuteSum, bool) { return c.level(gauges, end) }
	case analysis.ShapeDistribution:
		var kinds [2][]past
		for _, s := range t.series {
			counted, anew := analysis.CountReadings(s.readings, nil, c.Bounds)
			counted.Total = true
			kind := 0
			if s.native {
				kind = 1
			}
			kinds[kind] = append(kinds[kind], past{CounterSeries: counted, anew: anew})
		}
		return func(end time.Time) (analysis.MinuteSum, bool) {
			classic, some := count(kinds[0], end, c.step, c.good)
			native, more := count(kinds[1], end, c.step, c.good)
			inc, received := choose(native, more, classic, some)
			return analysis.MinuteSum{Exposure: inc.Exposure, Above: inc.Above}, received > 0 && !inc.New
		}
	}
	counters := pastReadings(t.series)
	return func(end time.Time) (analysis.MinuteSum, bool) {
		inc, received := count(counters, end, c.step, c.good)
		return analysis.MinuteSum{Bad: inc.Bad, Exposure: inc.Exposure}, received > 0 && !inc.New
	}
}

func pastReadings(all []series) []past {
	out := make([]past, len(all))
	for k, s := range all {
		out[k].CounterSeries = s.CounterSeries
	}
	return out
}

// level returns the level of a target at the end of a step.
func (c *chronicle) level(gauges []past, end time.Time) (sum analysis.MinuteSum, ok bool) {
	n := 0.0
	for k := range gauges {
		if g := &gauges[k]; g.due(end) {
			sum.Level += g.Samples[g.next].V
			g.next++
			n++
		}
	}
	if n > 0 && !c.Signal.Adds() {
		sum.Level /= n
	}
	return sum, n > 0
}

// A past is one series of a target while its steps are counted one by one.
type past struct {
	analysis.CounterSeries
	anew  []time.Time // when it is seen to have begun anew
	next  int
	known bool      // it has a value from which the next delta counts
	value float64   // unless a reset of the target has put it back to 0
	above []float64 // with the value
}

// due reports whether the next sample is that of the step which ends at end.
func (r *past) due(end time.Time) bool {
	return r.next < len(r.Samples) && r.Samples[r.next].T.Equal(end)
}

// count returns what a target counted in the step that ends at end. The steps are
// counted in order, each by IncreaseOf on two readings: what is known of the target
// at the beginning of the step, and the sample at its end.
func count(readings []past, end time.Time, step time.Duration, good bool) (inc analysis.Increase, received int) {
	start := end.Add(-step)
	target := analysis.Target{Series: make([]analysis.CounterSeries, 0, len(readings))}
	reset := false
	for k := range readings {
		r := &readings[k]
		s := analysis.CounterSeries{Event: r.Event, Total: r.Total}
		if r.known {
			s.Samples = append(s.Samples, analysis.Sample{T: start, V: r.value})
			s.Above = append(s.Above, r.above)
		}
		if r.due(end) {
			s.Samples = append(s.Samples, r.Samples[r.next])
			reset = reset || r.Samples[r.next].V < r.value
			if r.Above != nil {
				s.Above = append(s.Above, r.Above[r.next])
			}
			if slices.ContainsFunc(r.anew, end.Equal) {
				reset = true
				target.Starts = []time.Time{end}
			}
		}
		if r.Above == nil {
			s.Above = nil
		}
		target.Series = append(target.Series, s)
	}
	inc, received = analysis.IncreaseOf(target, analysis.Fold{Start: start, End: end}, good)
	for k := range readings {
		r := &readings[k]
		if reset {
			r.value, r.above = 0, make([]float64, len(r.above))
		}
		if r.due(end) {
			r.known, r.value = true, r.Samples[r.next].V
			if r.Above != nil {
				r.above = r.Above[r.next]
			}
			r.next++
		}
	}
	return inc, received
}
