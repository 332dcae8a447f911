package prometheus

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
)

// histograms is the form of histograms. The classic buckets, count and sum of one
// label combination become one series; a native histogram of the same labels is
// another.
func histograms(i *inquiry, query string, streams model.Matrix, end time.Time) ([]series, error) {
	var native []series
	classic := map[model.Fingerprint]*classic{}
	for _, stream := range streams {
		metric := stream.Metric.Clone()
		delete(metric, labels.MetricName)
		part := PartOf(string(stream.Metric[labels.MetricName]))
		switch {
		case part == Whole && len(stream.Values) > 0:
			return nil, i.wrong(i.op, query, "%.300s is a single number, not a histogram", stream.Metric)
		case part != Whole && len(stream.Histograms) > 0:
			return nil, i.wrong(i.op, query, "%.300s is a native histogram: name it as it is called", stream.Metric)
		case part == Whole:
			readings, err := i.nativeReadings(query, stream, end)
			if err != nil {
				return nil, err
			}
			if len(readings) > 0 {
				native = append(native, series{metric: metric, readings: readings, native: true})
			}
			continue
		}
		le := string(metric[model.BucketLabel])
		delete(metric, model.BucketLabel)
		c := classic[metric.Fingerprint()]
		if c == nil {
			c = newClassic(metric)
			classic[metric.Fingerprint()] = c
		}
		if err := i.classicPart(query, c, part, le, stream, end); err != nil {
			return nil, err
		}
	}
	all := native
	for _, c := range classic {
		if readings := c.readings(); len(readings) > 0 {
			all = append(all, series{metric: c.metric, readings: readings})
		}
	}
	slices.SortFunc(all, func(a, b series) int { return cmp.Compare(a.metric.Fingerprint(), b.metric.Fingerprint()) }) // an order, so that sums of floats are the same each time
	return all, nil
}

// A classic is a histogram of classic buckets while its series come in.
type classic struct {
	metric model.Metric
	at     map[time.Time]*instant
}

// An instant is what the series of a classic histogram held at one scrape.
type instant struct {
	le      map[float64]float64
	count   float64
	counted bool
	odd     bool // a NaN was observed, nobody knows when
}

func newClassic(metric model.Metric) *classic {
	return &classic{metric: metric, at: map[time.Time]*instant{}}
}

// classicPart takes in one series of a classic histogram.
func (i *inquiry) classicPart(query string, c *classic, part Part, le string, stream *model.SampleStream, end time.Time) error {
	if part == Sum { // may be anything; NaN for ever after an observation that was NaN
		for _, p := range stream.Values {
			if t := p.Timestamp.Time().UTC(); math.IsNaN(float64(p.Value)) && !t.After(end) {
				c.instant(t).odd = true
			}
		}
		return nil
	}
	bound := 0.0
	if part == Bucket {
		var err error
		if bound, err = strconv.ParseFloat(le, 64); err != nil || math.IsNaN(bound) {
			return i.wrong(i.op, query, "%.300s has no bound in its label le, which is %q", stream.Metric, le)
		}
	}
	samples, err := i.counted(query, stream, end)
	if err != nil {
		return err
	}
	for _, s := range samples {
		at := c.instant(s.T)
		if part == Count {
			at.count, at.counted = s.V, true
			continue
		}
		at.le[bound] = max(at.le[bound], s.V) // one bound may be written in two ways
	}
	return nil
}

func (c *classic) instant(t time.Time) *instant {
	if c.at[t] == nil {
		c.at[t] = &instant{le: map[float64]float64{}}
	}
	return c.at[t]
}

// readings returns what the histogram held, ascending in time. An instant of which
// there is neither the bucket of all observations nor their count says nothing.
func (c *classic) readings() []analysis.Reading {
	var out []analysis.Reading
	for _, t := range slices.SortedFunc(maps.Keys(c.at), time.Time.Compare) {
		at := c.at[t]
		if _, ok := at.le[math.Inf(1)]; !ok && at.counted {
			at.le[math.Inf(1)] = at.count
		}
		if _, ok := at.le[math.Inf(1)]; !ok {
			continue
		}
		out = append(out, at.reading(t))
	}
	return out
}

// reading returns the instant as buckets. Counts that fall from one bound to the next
// are raised to the one before (their envelope). What lies below zero is odd, and
// where a NaN was observed at some time, no bucket says which count is its.
func (at *instant) reading(t time.Time) analysis.Reading {
	r := analysis.Reading{T: t, All: true}
	lower := math.Inf(-1)
	for _, upper := range slices.Sorted(maps.Keys(at.le)) {
		b := analysis.Bucket{Lower: lower, Upper: upper, Count: max(0, at.le[upper]-r.Count)}
		r.Count += b.Count
		if upper < 0 {
			r.Odd += b.Count
			b.Count = 0
		}
		r.Buckets = append(r.Buckets, b)
		lower = upper
	}
	if at.odd {
		r.Buckets = []analysis.Bucket{{Lower: math.Inf(-1), Upper: math.Inf(1), Count: r.Count - r.Odd}}
	}
	return r
}

// nativeReadings returns what a native histogram held. The server lists populated
// buckets by their bounds, in an order that is theirs.
func (i *inquiry) nativeReadings(query string, stream *model.SampleStream, end time.Time) ([]analysis.Reading, error) {
	var out []analysis.Reading
	for _, p := range stream.Histograms {
		t := p.Timestamp.Time().UTC()
		if t.After(end) {
			continue
		}
		r, err := nativeReading(p.Histogram)
		if err != nil {
			return nil, i.wrong(i.op, query, "%.300s: %w", stream.Metric, err)
		}
		r.T = t
		out = append(out, r)
	}
	return out, nil
}

func nativeReading(sample *model.SampleHistogram) (analysis.Reading, error) {
	r := analysis.Reading{Count: float64(sample.Count)}
	if !(r.Count >= 0) || math.IsInf(r.Count, 1) {
		return r, fmt.Errorf("%v observations cannot be", r.Count)
	}
	counted, last := 0.0, math.Inf(-1)
	for _, b := range sample.Buckets {
		if b == nil {
			return r, errors.New("a bucket that is null")
		}
		lower, upper, count := float64(b.Lower), float64(b.Upper), float64(b.Count)
		if !(lower >= last && upper >= lower && count >= 0) || math.IsInf(count, 1) {
			return r, fmt.Errorf("the bucket %v cannot be", b)
		}
		if upper < 0 {
			r.Odd += count
		} else {
			r.Buckets = append(r.Buckets, analysis.Bucket{Lower: lower, Upper: upper, Count: count})
		}
		counted += count
		last = upper
	}
	r.Odd += max(0, r.Count-counted) // a NaN is in no bucket
	return r, nil
}
