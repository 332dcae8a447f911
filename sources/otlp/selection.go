package otlp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A selection is a signal made ready to pick series. Conditions are on attributes
// of data points; one that a point does not carry has the value "".
type selection struct {
	key   string // the same for signals that select the same series
	shape analysis.Shape
	// Of a ratio; of a distribution or a level both are its one metric.
	event, total selector
	good         bool
	mean         bool // of a level: a pod's series are averaged, not added up

	logs  *analysis.LogSignal  // set: lines are counted, and no series
	spans *analysis.SpanSignal // set: spans are, and no series
}

type selector struct {
	metric     string
	field      analysis.Field
	conditions []analysis.Condition
}

func compile(signal analysis.Signal) (*selection, error) {
	if err := signal.Validate(); err != nil {
		return nil, err
	}
	switch {
	case signal.Logs != nil:
		return compileLines(signal), nil
	case signal.Spans != nil:
		return &selection{key: "spans " + string(signal.Spans.Event) + " " + string(signal.Shape), shape: signal.Shape, spans: signal.Spans}, nil
	}
	switch signal.Shape {
	case analysis.ShapeDistribution:
		return compileOne(signal, signal.Histogram, analysis.FieldCount)
	case analysis.ShapeLevel:
		return compileOne(signal, signal.Gauge, analysis.FieldValue)
	}
	event, kind := signal.Bad, "bad"
	if signal.Good != nil {
		event, kind = signal.Good, "good"
	}
	e, err := compileSelector(*event)
	if err != nil {
		return nil, fmt.Errorf("signal %q: %s: %w", signal.Name, kind, err)
	}
	t, err := compileSelector(*signal.Total)
	if err != nil {
		return nil, fmt.Errorf("signal %q: total: %w", signal.Name, err)
	}
	return &selection{key: kind + " " + e.String() + " / " + t.String(), shape: signal.Shape, event: e, total: t, good: signal.Good != nil}, nil
}

// compileOne compiles a signal of one metric, whose samples are in the given field.
func compileOne(signal analysis.Signal, metric *analysis.Selector, field analysis.Field) (*selection, error) {
	sel, err := compileSelector(analysis.Selector{Metric: metric.Metric, Field: field, Conditions: metric.Conditions})
	if err == nil && metric.Field != "" && metric.Field != field {
		err = fmt.Errorf("field %q is no part of a %s (legal: %s, or none)", metric.Field, signal.Shape, field)
	}
	if err != nil {
		return nil, fmt.Errorf("signal %q: %w", signal.Name, err)
	}
	s := &selection{shape: signal.Shape, event: sel, total: sel, mean: signal.Shape == analysis.ShapeLevel && !signal.Adds()}
	s.key = s.String()
	return s, nil
}

// String says what is selected, for a signal of one metric.
func (s *selection) String() string {
	what := "histogram " + s.total.metric
	if s.shape == analysis.ShapeLevel {
		what = "level " + s.total.metric
		if s.mean {
			what = "mean " + what
		}
	}
	return what + strings.TrimPrefix(s.total.String(), s.total.metric+"."+string(s.total.field))
}

func compileSelector(s analysis.Selector) (selector, error) {
	field := s.Field
	switch field {
	case "":
		field = analysis.FieldValue
	case analysis.FieldValue, analysis.FieldCount, analysis.FieldSum:
	default:
		return selector{}, fmt.Errorf("field %q is not known (legal: value, count, sum)", s.Field)
	}
	if s.Metric == "" {
		return selector{}, fmt.Errorf("no metric")
	}
	for _, c := range s.Conditions {
		switch c.Op {
		case analysis.OpEqual, analysis.OpNotEqual:
			if len(c.Values) != 1 {
				return selector{}, fmt.Errorf("%s: condition on %q: %q takes one value, not %d", s.Metric, c.Name, c.Op, len(c.Values))
			}
		case analysis.OpIn:
			if len(c.Values) == 0 {
				return selector{}, fmt.Errorf("%s: condition on %q: no values", s.Metric, c.Name)
			}
		default:
			return selector{}, fmt.Errorf("%s: condition on %q: operator %q is not known to OTLP (legal: =, !=, in)", s.Metric, c.Name, c.Op)
		}
	}
	return selector{metric: s.Metric, field: field, conditions: slices.Clone(s.Conditions)}, nil
}

// String renders the selector as people write it.
func (s selector) String() string {
	var b strings.Builder
	b.WriteString(s.metric + "." + string(s.field))
	for i, c := range s.conditions {
		b.WriteString([]string{"{", ", "}[min(i, 1)] + c.Name + " " + string(c.Op))
		for _, v := range c.Values {
			b.WriteString(" " + strconv.Quote(v))
		}
	}
	if len(s.conditions) > 0 {
		b.WriteString("}")
	}
	return b.String()
}

func (s selector) matches(candidate *series) bool {
	for _, c := range s.conditions {
		if !holds(c, candidate.attribute(c.Name)) {
			return false
		}
	}
	return true
}

func holds(c analysis.Condition, value string) bool {
	switch c.Op {
	case analysis.OpNotEqual:
		return value != c.Values[0]
	case analysis.OpIn:
		for _, want := range c.Values {
			if value == want || inClass(value, want) {
				return true
			}
		}
		return false
	}
	return value == c.Values[0]
}

// inClass reports whether value is a status of the class want ("5xx").
func inClass(value, want string) bool {
	class, ok := analysis.StatusClass(want)
	if !ok || len(value) != 3 || value[0] != class {
		return false
	}
	return '0' <= value[1] && value[1] <= '9' && '0' <= value[2] && value[2] <= '9'
}

// counted is a series that belongs to a signal.
type counted struct {
	*series
	event, total bool
}

// pick returns the window's series of the signal. odd is not empty if the window
// has the metric, but not as the signal needs it: what such a pod counts cannot be
// known, which is not the same as nothing.
func (s *selection) pick(w *window) (picked []counted, odd string) {
	pick := func(sel selector, event bool) {
		candidates := w.byMetric[sel.metric]
		wrong := ""
		found := len(candidates) == 0
		for _, candidate := range candidates {
			if why := s.unlike(candidate, sel.field); why != "" {
				wrong = why
				continue
			}
			found = true
			if sel.matches(candidate) {
				picked = include(picked, candidate, event)
			}
		}
		if !found {
			odd = sel.metric + " is " + wrong + ", not a " + s.wanted()
		}
	}
	if s.shape == analysis.ShapeRatio {
		pick(s.event, true)
	}
	pick(s.total, false)
	return picked, odd
}

// unlike says what a series is, if it is not what the signal needs.
func (s *selection) unlike(candidate *series, field analysis.Field) string {
	switch {
	case candidate.kind == change:
		return "a sum that may fall, sent as changes"
	case candidate.kind == level && s.shape != analysis.ShapeLevel:
		return "a gauge or a sum that may fall"
	case candidate.kind != level && s.shape == analysis.ShapeLevel:
		return "a " + candidate.typeName()
	case candidate.field != field:
		return "a metric without the field " + string(field)
	}
	return ""
}

func (s *selection) wanted() string {
	switch s.shape {
	case analysis.ShapeDistribution:
		return "histogram"
	case analysis.ShapeLevel:
		return "gauge"
	}
	return "counter"
}

func include(picked []counted, s *series, event bool) []counted {
	i := slices.IndexFunc(picked, func(c counted) bool { return c.series == s })
	if i < 0 {
		i = len(picked)
		picked = append(picked, counted{series: s})
	}
	if event {
		picked[i].event = true
	} else {
		picked[i].total = true
	}
	return picked
}

// render says what is asked, for people; times are left out because they alone
// differ from fold to fold.
func render(sel *selection, q analysis.Query) []string {
	var where strings.Builder
	for i, bound := range q.Bounds {
		where.WriteString([]string{" above ", ", "}[min(i, 1)] + strconv.FormatFloat(bound, 'g', -1, 64))
	}
	for _, m := range q.Matches {
		where.WriteString(" where " + m.Name + " in")
		for _, v := range m.Values {
			where.WriteString(" " + strconv.Quote(v))
		}
	}
	if sel.logs != nil {
		return []string{lineWords(sel.logs) + where.String()}
	}
	if sel.spans != nil {
		return renderSpans(q)
	}
	if sel.shape != analysis.ShapeRatio {
		return []string{sel.String() + where.String()}
	}
	event := "bad "
	if sel.good {
		event = "good "
	}
	return []string{event + sel.event.String() + where.String(), "total " + sel.total.String() + where.String()}
}

// match returns the window's values of the matches, if it carries a wanted one of each.
func match(w *window, matches []analysis.Match) ([]string, bool) {
	for _, m := range matches {
		if !slices.Contains(m.Values, w.attribute(m.Name)) {
			return nil, false
		}
	}
	values := make([]string, len(matches))
	for i, m := range matches {
		values[i] = w.attribute(m.Name)
	}
	return values, true
}

func observe(w *window, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = w.attribute(name)
	}
	return values
}
