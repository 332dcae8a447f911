// Package promql reads the PromQL that people write down for their service: of an
// expression that counts events it keeps the counter, of one that views a histogram
// the histogram, of one that views a gauge the gauge, and refuses everything else with
// the node named and what to write instead.
//
// People paste what stands in their dashboards, `sum by (pod) (rate(m[5m]))`. Rates
// and sums are views of a counter that a comparison of two arms computes for itself,
// from raw samples, so that the counter inside is all that is needed (counter.go). It
// is the same with histograms and gauges (metric.go). What is not a view of one metric
// has nothing to test, and is refused (refusal.go).
//
// The package evaluates nothing, asks nobody, and knows neither cohorts nor files:
// package sources/prometheus binds cohorts to what is read here, and package
// internal/config says in which file it stood.
package promql

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
)

// maxQuery bounds the text of a query, in bytes.
const maxQuery = 16 << 10

// Counter reduces a PromQL expression to the one counter that it views: the selector
// inside any nesting of sum, rate, increase, irate and parentheses. Assay fetches the
// counter's raw samples, and computes increases, resets and coverage itself.
//
// What is left out changes no comparison. A range, and which of the three functions
// stands over it, say how a rate is smoothed for the eye; increases are counted here
// over folds. The labels of `sum by (...)` and `sum without (...)` say how a sum is
// split for display; all parts together are the same sum, and it is split here by pod
// and by cohort.
//
// A range selector by itself, m[5m], is refused: it is no number that anybody could
// have looked at, so that a part of the query is missing. Errors name the node and
// the column of the query, counted in bytes from 1, and say what to write.
func Counter(query string) (*analysis.Selector, error) {
	return counter.read(query)
}

// read returns the selector in a query that views the metric that is wanted.
func (w wanted) read(query string) (*analysis.Selector, error) {
	if len(query) > maxQuery {
		return nil, fmt.Errorf("is longer than %d bytes", maxQuery)
	}
	expr, err := parser.ParseExpr(query)
	if err != nil {
		return nil, w.syntaxError(query, err)
	}
	v, err := w.inside(expr)
	if err != nil {
		return nil, err
	}
	return w.selector(v)
}

// rates are the functions that view a counter as a rate. The parser has seen that
// what they are given is a range.
var rates = []string{"rate", "increase", "irate"}

// inside returns the selector in a nesting of what is accepted.
func (w wanted) inside(expr parser.Expr) (*parser.VectorSelector, error) {
	for ranged := false; ; {
		switch e := expr.(type) {
		case *parser.ParenExpr:
			expr = e.Expr
			continue
		case *parser.AggregateExpr:
			if e.Op == w.aggregation {
				expr = e.Expr
				continue
			}
		case *parser.Call:
			if w.counts && slices.Contains(rates, e.Func.Name) {
				expr, ranged = e.Args[0], true
				continue
			}
		case *parser.MatrixSelector:
			if ranged {
				expr = e.VectorSelector
				continue
			}
		case *parser.VectorSelector:
			return e, nil
		}
		return nil, w.refused(expr)
	}
}

// selector reads a selector in the words of package analysis.
func (w wanted) selector(v *parser.VectorSelector) (*analysis.Selector, error) {
	switch {
	case v.OriginalOffset != 0 || v.OriginalOffsetExpr != nil:
		return nil, fmt.Errorf("offset at column %d of the query shifts the comparison in time and is refused; %s", column(v), w.advice(v))
	case v.Timestamp != nil || v.StartOrEnd != 0:
		return nil, fmt.Errorf("@ at column %d of the query pins the comparison to one instant and is refused; %s", column(v), w.advice(v))
	}
	s, named := &analysis.Selector{}, false
	for _, m := range v.LabelMatchers {
		if !isText(m.Name) || !isText(m.Value) { // it could not be recorded, and no label is like it
			return nil, fmt.Errorf("the matcher %s at column %d of the query holds what is no text (UTF-8), as every label is; %s", m, column(v), w.example)
		}
		if m.Name != labels.MetricName {
			s.Conditions = append(s.Conditions, analysis.Condition{Name: m.Name, Op: ops[m.Type], Values: []string{m.Value}})
			continue
		}
		if m.Type != labels.MatchEqual || named {
			return nil, fmt.Errorf("the matcher %s at column %d of the query does not name one metric; %s", m, column(v), w.example)
		}
		s.Metric, named = m.Value, true
	}
	switch {
	case s.Metric == "":
		return nil, fmt.Errorf("the selector at column %d of the query names no metric; %s", column(v), w.example)
	case isWord(s.Metric):
		return nil, fmt.Errorf("%s at column %d of the query is a word of PromQL and cannot be asked for as a metric; %s", s.Metric, column(v), w.example)
	case w.counts && strings.Contains(s.Metric, ":"):
		return nil, fmt.Errorf("%s at column %d of the query is the result of a recording rule, which has no counts of its own; write the %s that the rule is made from", s.Metric, column(v), w.noun)
	}
	return s, nil
}

// isText reports whether s is UTF-8 in which nothing has been replaced: the parser
// refuses U+FFFD where it stands, and lets its escape pass.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) }

// isWord reports whether a name is read as something else where a metric stands: NaN,
// inf, on, bool and the like.
func isWord(name string) bool {
	if !model.LegacyValidation.IsValidMetricName(name) {
		return false // it is written in quotes
	}
	expr, err := parser.ParseExpr(name + "{}")
	_, is := expr.(*parser.VectorSelector)
	return err != nil || !is
}

var ops = map[labels.MatchType]analysis.Op{
	labels.MatchEqual:     analysis.OpEqual,
	labels.MatchNotEqual:  analysis.OpNotEqual,
	labels.MatchRegexp:    analysis.OpRegexp,
	labels.MatchNotRegexp: analysis.OpNotRegexp,
}

// Text writes a selector as PromQL that Counter, Histogram and Gauge read as the same.
func Text(s *analysis.Selector) string {
	v := &parser.VectorSelector{LabelMatchers: []*labels.Matcher{{Type: labels.MatchEqual, Name: labels.MetricName, Value: s.Metric}}}
	if model.LegacyValidation.IsValidMetricName(s.Metric) {
		v.Name = s.Metric
	}
	for _, c := range s.Conditions {
		for kind, op := range ops {
			if op == c.Op {
				v.LabelMatchers = append(v.LabelMatchers, &labels.Matcher{Type: kind, Name: c.Name, Value: c.Values[0]})
			}
		}
	}
	return v.String()
}
