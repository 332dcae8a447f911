package replay

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A selection is a signal made ready to pick series: an attribute that a series
// does not carry has the value "".
type selection struct {
	shape        analysis.Shape
	event, total *selector // of a distribution or a level, total is its one metric
	good         bool
	logs         *analysis.LogSignal  // set: lines are counted
	spans        *analysis.SpanSignal // set: spans are counted
}

type selector struct {
	metric     string
	field      analysis.Field
	conditions []condition
}

type condition struct {
	name  string
	holds func(value string) bool
}

func compile(signal analysis.Signal) (selection, error) {
	if err := signal.Validate(); err != nil {
		return selection{}, err
	}
	if signal.Logs != nil || signal.Spans != nil {
		return selection{shape: signal.Shape, logs: signal.Logs, spans: signal.Spans}, nil
	}
	for _, one := range []*analysis.Selector{signal.Histogram, signal.Gauge} {
		if one == nil {
			continue
		}
		t, err := compileSelector(*one)
		if err != nil {
			return selection{}, fmt.Errorf("signal %q: %w", signal.Name, err)
		}
		return selection{shape: signal.Shape, total: t}, nil
	}
	event := signal.Bad
	if signal.Good != nil {
		event = signal.Good
	}
	e, err := compileSelector(*event)
	if err != nil {
		return selection{}, fmt.Errorf("signal %q: %w", signal.Name, err)
	}
	t, err := compileSelector(*signal.Total)
	if err != nil {
		return selection{}, fmt.Errorf("signal %q: %w", signal.Name, err)
	}
	return selection{shape: signal.Shape, event: e, total: t, good: signal.Good != nil}, nil
}

func compileSelector(s analysis.Selector) (*selector, error) {
	out := &selector{metric: s.Metric, field: fieldOf(s.Field)}
	for _, c := range s.Conditions {
		holds, err := compileCondition(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Metric, err)
		}
		out.conditions = append(out.conditions, condition{c.Name, holds})
	}
	return out, nil
}

func compileCondition(c analysis.Condition) (func(string) bool, error) {
	if len(c.Values) == 0 || len(c.Values) > 1 && c.Op != analysis.OpIn {
		return nil, fmt.Errorf("condition on %q: %d values for %q", c.Name, len(c.Values), c.Op)
	}
	switch c.Op {
	case analysis.OpEqual:
		return func(v string) bool { return v == c.Values[0] }, nil
	case analysis.OpNotEqual:
		return func(v string) bool { return v != c.Values[0] }, nil
	case analysis.OpIn:
		return func(v string) bool {
			return slices.ContainsFunc(c.Values, func(want string) bool {
				class, isClass := analysis.StatusClass(want)
				return v == want || isClass && len(v) == 3 && v[0] == class && isDigit(v[1]) && isDigit(v[2])
			})
		}, nil
	case analysis.OpRegexp, analysis.OpNotRegexp:
		re, err := regexp.Compile("^(?s:" + c.Values[0] + ")$")
		if err != nil {
			return nil, fmt.Errorf("condition on %q: %w", c.Name, err)
		}
		return func(v string) bool { return re.MatchString(v) == (c.Op == analysis.OpRegexp) }, nil
	}
	return nil, fmt.Errorf("condition on %q: operator %q is not known", c.Name, c.Op)
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func fieldOf(f analysis.Field) analysis.Field {
	if f == "" {
		return analysis.FieldValue
	}
	return f
}

func (s *selector) matches(series Series) bool {
	if series.Metric != s.metric || fieldOf(series.Field) != s.field {
		return false
	}
	for _, c := range s.conditions {
		if !c.holds(series.Attributes[c.name]) {
			return false
		}
	}
	return true
}

// A picked series is a series of the pod that belongs to the signal.
type picked struct {
	analysis.CounterSeries
	index   int // in Pod.Series
	stratum []string
	anew    []time.Time // when a histogram began anew
}

// pick returns the pod's series of the signal. Of histograms it counts what lies above
// the bounds.
func (s selection) pick(pod Pod, bounds []float64, strata []string) []picked {
	var out []picked
	for i, series := range pod.Series {
		p := picked{index: i, stratum: stratumOf(pod, series, strata)}
		switch s.shape {
		case analysis.ShapeDistribution:
			if len(series.Histograms) == 0 || !s.total.matches(series) {
				continue
			}
			p.CounterSeries, p.anew = analysis.CountReadings(series.readings(), pod.Starts, bounds)
			p.Total = true
		case analysis.ShapeLevel:
			if !series.Gauge || !s.total.matches(series) {
				continue
			}
			p.Samples = series.Samples
		default:
			p.Event, p.Total = s.event.matches(series), s.total.matches(series)
			if series.Gauge || len(series.Histograms) > 0 || !p.Event && !p.Total {
				continue
			}
			p.Samples = series.Samples
		}
		out = append(out, p)
	}
	return out
}

func (s Series) readings() []analysis.Reading {
	out := make([]analysis.Reading, len(s.Histograms))
	for i, h := range s.Histograms {
		out[i] = h.Reading(h.T)
	}
	return out
}

// stratumOf returns the values of attributes of the series, or else of the pod.
func stratumOf(pod Pod, series Series, strata []string) []string {
	var out []string
	for _, name := range strata {
		value, ok := series.Attributes[name]
		if !ok {
			value = pod.Attributes[name]
		}
		out = append(out, value)
	}
	return out
}

// target returns the pod as it was known at the fold's end by one who remembers
// nothing before since. A target with any sample in [since, fold.Start] is known,
// and then even the older samples of its quieter series are references; a target
// without one is new, whatever it sent long ago. Series of other strata than the
// given one tell of resets only.
func target(pod Pod, series []picked, stratum []string, fold analysis.Fold, since time.Time) analysis.Target {
	known := slices.ContainsFunc(series, func(s picked) bool { return hasSample(s.Samples, since, fold.Start) })
	out := analysis.Target{Starts: slices.Clone(pod.Starts)}
	for _, s := range series {
		cs := s.CounterSeries
		if !slices.Equal(s.stratum, stratum) {
			cs.Event, cs.Total = false, false
		}
		from := 0
		if !known {
			from, _ = slices.BinarySearchFunc(cs.Samples, since, func(s analysis.Sample, t time.Time) int { return s.T.Compare(t) })
		}
		cs = cut(cs, from, countUntil(cs.Samples, fold.End, timeOf))
		if len(cs.Samples) > 0 {
			out.Series = append(out.Series, cs)
			out.Starts = append(out.Starts, s.anew...)
		}
	}
	slices.SortFunc(out.Starts, time.Time.Compare)
	return out
}

// cut returns the samples from one index to another.
func cut(s analysis.CounterSeries, from, to int) analysis.CounterSeries {
	from = min(from, to)
	s.Samples = s.Samples[from:to]
	if s.Above != nil {
		s.Above = s.Above[from:to]
	}
	return s
}

// hasSample reports whether a sample lies in [from, to].
func hasSample(samples []analysis.Sample, from, to time.Time) bool {
	n := countUntil(samples, to, timeOf)
	return n > 0 && !samples[n-1].T.Before(from)
}
