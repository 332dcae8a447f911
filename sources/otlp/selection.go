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
	key          string // the same for signals that select the same series
	event, total selector
	good         bool
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
	return &selection{key: kind + " " + e.String() + " / " + t.String(), event: e, total: t, good: signal.Good != nil}, nil
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
// has the metric, but not as a counter of the wanted field: what such a pod counts
// cannot be known, which is not the same as nothing.
func (s *selection) pick(w *window) (picked []counted, odd string) {
	pick := func(sel selector, event bool) {
		candidates := w.byMetric[sel.metric]
		wrong := ""
		found := len(candidates) == 0
		for _, candidate := range candidates {
			switch {
			case candidate.kind == level:
				wrong = "a gauge or a sum that may fall"
				continue
			case candidate.field != sel.field:
				wrong = "a metric without the field " + string(sel.field)
				continue
			}
			found = true
			if sel.matches(candidate) {
				picked = include(picked, candidate, event)
			}
		}
		if !found {
			odd = sel.metric + " is " + wrong + ", not a counter"
		}
	}
	pick(s.event, true)
	pick(s.total, false)
	return picked, odd
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
func render(sel *selection, matches []analysis.Match) []string {
	var where strings.Builder
	for _, m := range matches {
		where.WriteString(" where " + m.Name + " in")
		for _, v := range m.Values {
			where.WriteString(" " + strconv.Quote(v))
		}
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
