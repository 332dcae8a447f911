package prometheus

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
)

// maxValue is the longest label value that is put into a query. Kubernetes ends
// at 63 bytes, image digests at 71.
const maxValue = 1024

// bind returns the matchers of a user's selector together with those of a
// question. The user's are as written; the question's values come from events and
// are literals whatever they contain: one is an equality, several are an
// alternation of quoted literals, which is the only regular expression ever made
// here.
func (n naming) bind(sel *analysis.Selector, matches []analysis.Match) ([]*labels.Matcher, error) {
	if sel == nil || sel.Metric == "" {
		return nil, fmt.Errorf("no metric is named")
	}
	if sel.Field != "" && sel.Field != analysis.FieldValue {
		return nil, fmt.Errorf("%s: field %q is a word of OTLP: name the series itself (%s_%s)", sel.Metric, sel.Field, sel.Metric, sel.Field)
	}
	ms := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, sel.Metric)}
	for _, c := range sel.Conditions {
		m, err := condition(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sel.Metric, err)
		}
		ms = append(ms, m)
	}
	for _, match := range matches {
		m, err := literal(n.of(match.Name), match.Values)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", sel.Metric, match.Name, err)
		}
		ms = append(ms, m)
	}
	return ms, nil
}

var matchTypes = map[analysis.Op]labels.MatchType{
	analysis.OpEqual:     labels.MatchEqual,
	analysis.OpNotEqual:  labels.MatchNotEqual,
	analysis.OpRegexp:    labels.MatchRegexp,
	analysis.OpNotRegexp: labels.MatchNotRegexp,
}

func condition(c analysis.Condition) (*labels.Matcher, error) {
	kind, ok := matchTypes[c.Op]
	if !ok {
		return nil, fmt.Errorf("condition on %s: %q is no comparison of Prometheus (legal: =, !=, =~, !~)", c.Name, c.Op)
	}
	if len(c.Values) != 1 {
		return nil, fmt.Errorf("condition on %s: %d values, Prometheus compares with one", c.Name, len(c.Values))
	}
	if c.Name == labels.MetricName || !model.UTF8Validation.IsValidLabelName(c.Name) {
		return nil, fmt.Errorf("condition on %q: no label name", c.Name)
	}
	return labels.NewMatcher(kind, c.Name, c.Values[0])
}

// literal matches a label that has one of the given values. An empty value is
// refused: in PromQL it would match everything that lacks the label.
func literal(label string, values []string) (*labels.Matcher, error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("no value to match")
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		switch {
		case v == "":
			return nil, fmt.Errorf("an empty value would match whatever lacks the label %s", label)
		case len(v) > maxValue:
			return nil, fmt.Errorf("a value of %d bytes is over the limit of %d", len(v), maxValue)
		case !utf8.ValidString(v) || strings.ContainsRune(v, utf8.RuneError): // the parser refuses U+FFFD itself
			return nil, fmt.Errorf("%q is no valid UTF-8, as every label value is", v)
		}
		quoted[i] = regexp.QuoteMeta(v)
	}
	if len(values) == 1 {
		return labels.NewMatcher(labels.MatchEqual, label, values[0])
	}
	return labels.NewMatcher(labels.MatchRegexp, label, strings.Join(quoted, "|"))
}

// render returns the text of a selector with exactly the given matchers, over a
// range or, with 0, of one sample a step. The text is made by Prometheus' printer
// and read back by its parser: a query that does not carry exactly what was bound
// is never sent.
func render(ms []*labels.Matcher, over time.Duration) (string, error) {
	vector := &parser.VectorSelector{LabelMatchers: ms}
	for _, m := range ms {
		if m.Name == labels.MetricName && model.LegacyValidation.IsValidMetricName(m.Value) {
			vector.Name = m.Value // name{...}; any other name is printed as a matcher
		}
	}
	var expr parser.Expr = vector
	if over > 0 {
		expr = &parser.MatrixSelector{VectorSelector: vector, Range: over}
	}
	text := expr.String()
	read, err := parser.ParseExpr(text)
	if err != nil {
		return "", fmt.Errorf("the query %.200q cannot be read back: %w", text, err)
	}
	if !isSelector(read, ms, over) {
		return "", fmt.Errorf("the query %.200q does not carry exactly the matchers that were bound", text)
	}
	return text, nil
}

// isSelector reports whether expr is a bare selector with exactly these matchers
// over exactly this range.
func isSelector(expr parser.Expr, ms []*labels.Matcher, over time.Duration) bool {
	if matrix, ok := expr.(*parser.MatrixSelector); ok {
		if matrix.Range != over || matrix.RangeExpr != nil {
			return false
		}
		expr = matrix.VectorSelector
	} else if over != 0 {
		return false
	}
	v, ok := expr.(*parser.VectorSelector)
	if !ok || v.OriginalOffset != 0 || v.OriginalOffsetExpr != nil || v.Timestamp != nil || v.StartOrEnd != 0 {
		return false
	}
	order := func(a, b *labels.Matcher) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
	}
	return slices.EqualFunc(slices.SortedFunc(slices.Values(v.LabelMatchers), order), slices.SortedFunc(slices.Values(ms), order),
		func(a, b *labels.Matcher) bool { return order(a, b) == 0 })
}
