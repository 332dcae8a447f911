package prometheus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// A series is one label combination of a counter as the server holds it.
type series struct {
	metric model.Metric
	analysis.CounterSeries
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
func (i *inquiry) raw(ctx context.Context, ms []*labels.Matcher, over time.Duration, end time.Time) ([]series, error) {
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
	return i.accept(query, v, end)
}

// steps returns, at every step from start to end, the newest sample within the
// step of the series that carry ms. Servers that do not know the parameter
// lookback_delta return samples that are up to five minutes older: no increase.
func (i *inquiry) steps(ctx context.Context, ms []*labels.Matcher, start, end time.Time, step time.Duration) ([]series, error) {
	query, err := render(ms, 0)
	if err != nil {
		return nil, i.rejected(i.op, err)
	}
	r := v1.Range{Start: start, End: end, Step: step}
	v, warnings, _, err := i.api.QueryRange(ctx, query, r, v1.WithTimeout(i.timeout), v1.WithLimit(uint64(i.maxSeries)+1), v1.WithLookbackDelta(step))
	i.warnings = append(i.warnings, warnings...)
	if err != nil {
		return nil, i.about(query, err)
	}
	return i.accept(query, v, end)
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

// accept checks an answer: a matrix of counters within the limits, every series
// once, its samples in order. Samples after end are dropped, whoever sent them.
func (i *inquiry) accept(query string, v model.Value, end time.Time) ([]series, error) {
	matrix, ok := v.(model.Matrix)
	if !ok {
		return nil, i.wrong(i.op, query, "the answer is a %T, not a matrix", v)
	}
	if len(matrix) > i.maxSeries {
		return nil, i.wrong(i.op, query, "more than %d series", i.maxSeries)
	}
	seen := make(map[model.Fingerprint]bool, len(matrix))
	all := make([]series, 0, len(matrix))
	for _, stream := range matrix {
		if id := stream.Metric.Fingerprint(); seen[id] {
			return nil, i.wrong(i.op, query, "two series with the same labels (%.300s)", stream.Metric)
		} else {
			seen[id] = true
		}
		if len(stream.Histograms) > 0 {
			return nil, i.wrong(i.op, query, "%.300s is a native histogram, not a counter", stream.Metric)
		}
		if i.samples += len(stream.Values); i.samples > i.maxSamples {
			return nil, i.wrong(i.op, query, "more than %d samples", i.maxSamples)
		}
		samples := make([]analysis.Sample, 0, len(stream.Values))
		for k, p := range stream.Values {
			value := float64(p.Value)
			switch {
			case k > 0 && p.Timestamp <= stream.Values[k-1].Timestamp:
				return nil, i.wrong(i.op, query, "the times of %.300s do not ascend", stream.Metric)
			case math.IsNaN(value) || math.IsInf(value, 0) || value < 0:
				return nil, i.wrong(i.op, query, "a sample that is %v, which no counter can be (%.300s)", value, stream.Metric)
			}
			if t := p.Timestamp.Time().UTC(); !t.After(end) {
				samples = append(samples, analysis.Sample{T: t, V: value})
			}
		}
		if len(samples) > 0 {
			all = append(all, series{stream.Metric, analysis.CounterSeries{Samples: samples}})
		}
	}
	return all, nil
}

// A ratio is the pair of selectors of a signal, bound to a question.
type ratio struct {
	event, total []*labels.Matcher
	good         bool
	// within says that every series of the event counter is one of the total: the
	// same metric under the same and further conditions. Then one query does.
	within bool
}

func (s *Source) ratio(signal analysis.Signal, matches []analysis.Match) (r ratio, err error) {
	sel := signal.Bad
	if sel == nil {
		sel, r.good = signal.Good, true
	}
	if r.total, err = s.labels.bind(signal.Total, matches); err != nil {
		return r, err
	}
	if r.event, err = s.labels.bind(sel, matches); err != nil {
		return r, err
	}
	r.within = true
	for _, t := range r.total {
		r.within = r.within && carries(r.event, t)
	}
	return r, nil
}

func carries(ms []*labels.Matcher, want *labels.Matcher) bool {
	for _, m := range ms {
		if m.Name == want.Name && m.Type == want.Type && m.Value == want.Value {
			return true
		}
	}
	return false
}

// read asks for both counters of a ratio; narrowed by further matchers.
func (r ratio) read(ask func([]*labels.Matcher) ([]series, error), further ...*labels.Matcher) ([]series, error) {
	total, err := ask(append(r.total[:len(r.total):len(r.total)], further...))
	if err != nil {
		return nil, err
	}
	for k := range total {
		total[k].Total = true
		total[k].Event = r.within && matches(r.event, total[k].metric)
	}
	if r.within {
		return total, nil
	}
	event, err := ask(append(r.event[:len(r.event):len(r.event)], further...))
	if err != nil {
		return nil, err
	}
	for k := range event {
		event[k].Event = true
	}
	return append(total, event...), nil
}

func matches(ms []*labels.Matcher, metric model.Metric) bool {
	for _, m := range ms {
		if !m.Matches(string(metric[model.LabelName(m.Name)])) {
			return false
		}
	}
	return true
}
