package prometheus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// A series is one label combination of a metric as the server holds it. That of a
// histogram has readings, of a gauge samples, and of a counter samples and what it
// counts.
type series struct {
	metric model.Metric
	analysis.CounterSeries
	readings []analysis.Reading
	native   bool // of readings: an exponential histogram, not classic buckets
}

// An inquiry is one question to the source while it is being answered: what the
// server said on the side, and how much it has sent.
type inquiry struct {
	*Source
	op       string
	rendered []string
	warnings []string
	samples  int
}

// raw returns the samples in (end-over, end] of the series that carry ms.
func (i *inquiry) raw(ctx context.Context, f form, ms []*labels.Matcher, over time.Duration, end time.Time) ([]series, error) {
	query, err := render(ms, over)
	if err != nil {
		return nil, i.rejected(i.op, err)
	}
	i.rendered = append(i.rendered, query)
	v, warnings, _, err := i.api.Query(ctx, query, end, v1.WithTimeout(i.timeout), v1.WithLimit(uint64(i.maxSeries)+1))
	i.warnings = append(i.warnings, warnings...)
	if err != nil {
		return nil, i.about(query, err)
	}
	return i.accept(query, f, v, end)
}

// steps returns, at every step from start to end, the newest sample within the
// step of the series that carry ms. Servers that do not know the parameter
// lookback_delta return samples that are up to five minutes older: no increase.
func (i *inquiry) steps(ctx context.Context, f form, ms []*labels.Matcher, start, end time.Time, step time.Duration) ([]series, error) {
	query, err := render(ms, 0)
	if err != nil {
		return nil, i.rejected(i.op, err)
	}
	r := v1.Range{Start: start, End: end, Step: step}
	v, warnings, _, err := i.api.QueryRange(ctx, query, r, v1.WithTimeout(i.timeout), v1.WithLimit(uint64(i.maxSeries)+1), v1.WithLookbackDelta(wholeSeconds(step)))
	i.warnings = append(i.warnings, warnings...)
	if err != nil {
		return nil, i.about(query, err)
	}
	return i.accept(query, f, v, end)
}

// wholeSeconds rounds up: servers read no fractions in lookback_delta.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// about classifies an error of one query. An answer that the question does not admit
// names the question, which may be what is wrong.
func (i *inquiry) about(query string, err error) error {
	err = i.fault(i.op, err)
	if known := (*sources.Error)(nil); errors.As(err, &known) && known.Kind == sources.Malformed {
		known.Err = fmt.Errorf("%w, in the answer to %.300s", known.Err, query)
	}
	return err
}

// A form reads the streams of an answer, whose order and number are checked, as
// series of one kind. Samples after end are dropped, whoever sent them.
type form func(i *inquiry, query string, streams model.Matrix, end time.Time) ([]series, error)

// accept checks an answer: a matrix within the limits, every series once, its samples
// in order.
func (i *inquiry) accept(query string, f form, v model.Value, end time.Time) ([]series, error) {
	matrix, ok := v.(model.Matrix)
	if !ok {
		return nil, i.wrong(i.op, query, "the answer is a %T, not a matrix", v)
	}
	if len(matrix) > i.maxSeries {
		return nil, i.wrong(i.op, query, "more than %d series", i.maxSeries)
	}
	seen := make(map[model.Fingerprint]bool, len(matrix))
	for _, stream := range matrix {
		if id := stream.Metric.Fingerprint(); seen[id] {
			return nil, i.wrong(i.op, query, "two series with the same labels (%.300s)", stream.Metric)
		} else {
			seen[id] = true
		}
		i.samples += len(stream.Values)
		for _, h := range stream.Histograms {
			i.samples += 1 + len(h.Histogram.Buckets)
		}
		if i.samples > i.maxSamples {
			return nil, i.wrong(i.op, query, "more than %d samples", i.maxSamples)
		}
		ascending := slices.IsSortedFunc(stream.Values, func(a, b model.SamplePair) int { return order(a.Timestamp, b.Timestamp) }) &&
			slices.IsSortedFunc(stream.Histograms, func(a, b model.SampleHistogramPair) int { return order(a.Timestamp, b.Timestamp) })
		if !ascending {
			return nil, i.wrong(i.op, query, "the times of %.300s do not ascend", stream.Metric)
		}
	}
	return f(i, query, matrix, end)
}

// order compares times so that equal ones are out of order too.
func order(a, b model.Time) int {
	if a > b {
		return 1
	}
	return -1
}

// counters is the form of counters.
func counters(i *inquiry, query string, streams model.Matrix, end time.Time) ([]series, error) {
	all := make([]series, 0, len(streams))
	for _, stream := range streams {
		if len(stream.Histograms) > 0 {
			return nil, i.wrong(i.op, query, "%.300s is a native histogram, not a counter", stream.Metric)
		}
		samples, err := i.counted(query, stream, end)
		if err != nil {
			return nil, err
		}
		if len(samples) > 0 {
			all = append(all, series{metric: stream.Metric, CounterSeries: analysis.CounterSeries{Samples: samples}})
		}
	}
	return all, nil
}

// counted returns the samples of a counter.
func (i *inquiry) counted(query string, stream *model.SampleStream, end time.Time) ([]analysis.Sample, error) {
	samples := make([]analysis.Sample, 0, len(stream.Values))
	for _, p := range stream.Values {
		value := float64(p.Value)
		if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
			return nil, i.wrong(i.op, query, "a sample that is %v, which no counter can be (%.300s)", value, stream.Metric)
		}
		if t := p.Timestamp.Time().UTC(); !t.After(end) {
			samples = append(samples, analysis.Sample{T: t, V: value})
		}
	}
	return samples, nil
}

// levels is the form of gauges. A value that is no finite number is none: exporters
// write NaN for what they do not know.
func levels(i *inquiry, query string, streams model.Matrix, end time.Time) ([]series, error) {
	all := make([]series, 0, len(streams))
	for _, stream := range streams {
		if len(stream.Histograms) > 0 {
			return nil, i.wrong(i.op, query, "%.300s is a native histogram, not a gauge", stream.Metric)
		}
		s := series{metric: stream.Metric}
		for _, p := range stream.Values {
			value, t := float64(p.Value), p.Timestamp.Time().UTC()
			if !t.After(end) && !math.IsNaN(value) && !math.IsInf(value, 0) {
				s.Samples = append(s.Samples, analysis.Sample{T: t, V: value})
			}
		}
		if len(s.Samples) > 0 {
			all = append(all, s)
		}
	}
	return all, nil
}
