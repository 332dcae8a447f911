package prometheus

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
)

// A question is a signal bound to whom it is asked of: the selectors that are sent
// and how their answers are read.
type question struct {
	signal analysis.Signal
	form   form
	// total selects what is always asked for: the total counter of a ratio, all
	// series of a histogram, or a gauge.
	total []*labels.Matcher
	// event selects the event counter of a ratio, which counts good events if good.
	event []*labels.Matcher
	good  bool
	// within says that every series of the event counter is one of the total: the
	// same metric under the same and further conditions. Then one query does.
	within bool
}

// question binds the selectors of a signal to matches.
func (s *Source) question(signal analysis.Signal, matches []analysis.Match) (q question, err error) {
	q = question{signal: signal, form: counters, within: true}
	switch signal.Shape {
	case analysis.ShapeDistribution:
		q.form = histograms
		q.total, err = s.labels.bindHistogram(signal.Histogram, matches, Whole, Bucket, Count, Sum)
		return q, err
	case analysis.ShapeLevel:
		q.form = levels
		q.total, err = s.labels.bind(signal.Gauge, matches)
		return q, err
	}
	sel := signal.Bad
	if sel == nil {
		sel, q.good = signal.Good, true
	}
	if q.total, err = s.labels.bind(signal.Total, matches); err != nil {
		return q, err
	}
	if q.event, err = s.labels.bind(sel, matches); err != nil {
		return q, err
	}
	for _, t := range q.total {
		q.within = q.within && carries(q.event, t)
	}
	return q, nil
}

// presence binds the selector that tells best who sends a signal at all, of which
// there are few series.
func (s *Source) presence(signal analysis.Signal, matches []analysis.Match) (q question, err error) {
	switch signal.Shape {
	case analysis.ShapeDistribution:
		q = question{signal: signal, form: histograms}
		q.total, err = s.labels.bindHistogram(signal.Histogram, matches, Whole, Count)
	case analysis.ShapeLevel:
		return s.question(signal, matches)
	default:
		q = question{signal: signal, form: counters}
		q.total, err = s.labels.bind(signal.Total, matches)
	}
	return q, err
}

// bindHistogram binds the selector of a histogram, which names it as its targets do,
// to the series of some of its parts.
func (n naming) bindHistogram(sel *analysis.Selector, matches []analysis.Match, parts ...Part) ([]*labels.Matcher, error) {
	ms, err := n.bind(sel, matches)
	if err != nil {
		return nil, err
	}
	if part := PartOf(sel.Metric); part != Whole {
		base := sel.Metric[:len(sel.Metric)-len(part)]
		return nil, fmt.Errorf("%s: is a part of a histogram: name the histogram (%s)", sel.Metric, base)
	}
	if slices.ContainsFunc(sel.Conditions, func(c analysis.Condition) bool { return c.Name == model.BucketLabel }) {
		return nil, fmt.Errorf("%s: a condition on %s: which buckets are compared is for the plan to choose", sel.Metric, model.BucketLabel)
	}
	pattern := ""
	for i, part := range parts {
		if i > 0 {
			pattern += "|"
		}
		pattern += regexp.QuoteMeta(sel.Metric + string(part))
	}
	ms[0], err = labels.NewMatcher(labels.MatchRegexp, labels.MetricName, pattern)
	return ms, err
}

func carries(ms []*labels.Matcher, want *labels.Matcher) bool {
	for _, m := range ms {
		if m.Name == want.Name && m.Type == want.Type && m.Value == want.Value {
			return true
		}
	}
	return false
}

// read asks for all series of a question; narrowed by further matchers.
func (q question) read(ask func(form, []*labels.Matcher) ([]series, error), further ...*labels.Matcher) ([]series, error) {
	total, err := ask(q.form, append(q.total[:len(q.total):len(q.total)], further...))
	if err != nil {
		return nil, err
	}
	for k := range total {
		total[k].Total = true
		total[k].Event = q.event != nil && q.within && matches(q.event, total[k].metric)
	}
	if q.within {
		return total, nil
	}
	event, err := ask(q.form, append(q.event[:len(q.event):len(q.event)], further...))
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
