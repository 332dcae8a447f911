// Package promql reads the PromQL that people write down for their service: of an
// expression that counts events it keeps the counter, and refuses everything else
// with the node named. It evaluates nothing, asks nobody, and knows neither
// cohorts nor files: package sources/prometheus binds cohorts to what is read
// here, and package internal/config says in which file it stood.
package promql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
)

// maxQuery bounds the text of a query.
const maxQuery = 16 << 10

// Counter reduces a PromQL expression to the one counter that it selects. Assay
// fetches raw samples and computes deltas, resets and coverage itself, so that a
// query is a bare selector; everything around one is refused by name. Errors name
// the column of the query.
func Counter(query string) (*analysis.Selector, error) {
	if len(query) > maxQuery {
		return nil, fmt.Errorf("is longer than %d bytes", maxQuery)
	}
	expr, err := parser.ParseExpr(query)
	if err != nil {
		return nil, syntaxError(query, err)
	}
	v, bare := expr.(*parser.VectorSelector)
	if !bare {
		return nil, fmt.Errorf("%s at column %d of the query is not known to this version; %s",
			nodeName(expr), column(expr), advice(expr))
	}
	return selectorOf(v)
}

func selectorOf(v *parser.VectorSelector) (*analysis.Selector, error) {
	switch {
	case v.OriginalOffset != 0 || v.OriginalOffsetExpr != nil:
		return nil, fmt.Errorf("offset at column %d of the query shifts the comparison in time and is refused; %s", column(v), advice(v))
	case v.Timestamp != nil || v.StartOrEnd != 0:
		return nil, fmt.Errorf("@ at column %d of the query pins the comparison to one instant and is refused; %s", column(v), advice(v))
	case v.Name == "":
		return nil, errors.New("names no metric; write the name of a counter in front of the braces")
	case strings.Contains(v.Name, ":"):
		return nil, fmt.Errorf("%s is the result of a recording rule, which has no counts of its own; write the counter that the rule is made from", v.Name)
	}
	s := &analysis.Selector{Metric: v.Name}
	for _, m := range v.LabelMatchers {
		if m.Name == labels.MetricName {
			if m.Type != labels.MatchEqual || m.Value != v.Name {
				return nil, errors.New("has a matcher on __name__; write the name of one counter in front of the braces")
			}
			continue
		}
		s.Conditions = append(s.Conditions, analysis.Condition{Name: m.Name, Op: ops[m.Type], Values: []string{m.Value}})
	}
	return s, nil
}

var ops = map[labels.MatchType]analysis.Op{
	labels.MatchEqual:     analysis.OpEqual,
	labels.MatchNotEqual:  analysis.OpNotEqual,
	labels.MatchRegexp:    analysis.OpRegexp,
	labels.MatchNotRegexp: analysis.OpNotRegexp,
}

func syntaxError(query string, err error) error {
	var errs parser.ParseErrors
	text, where := err.Error(), 1
	if errors.As(err, &errs) && len(errs) > 0 {
		text, where = errs[0].Err.Error(), int(errs[0].PositionRange.Start)+1
	}
	if strings.Contains(query, "{{") {
		text += "; templates such as {{.window}} are not known: write the bare counter, such as http_requests_total{code=~\"5..\"}"
	}
	return fmt.Errorf("is no PromQL: column %d of the query: %s", where, text)
}

func column(n parser.Node) int { return int(n.PositionRange().Start) + 1 }

// nodeName names the outermost node of a refused query in the words of its author.
func nodeName(expr parser.Expr) string {
	switch e := expr.(type) {
	case *parser.AggregateExpr:
		return "the aggregation " + e.Op.String()
	case *parser.Call:
		return "the function " + e.Func.Name
	case *parser.MatrixSelector:
		return "the range selector"
	case *parser.SubqueryExpr:
		return "the subquery"
	case *parser.BinaryExpr:
		return "the operator " + e.Op.String()
	case *parser.UnaryExpr:
		return "the operator " + e.Op.String()
	case *parser.ParenExpr:
		return "the parenthesis"
	case *parser.NumberLiteral, *parser.StringLiteral:
		return "the literal"
	}
	return "the expression"
}

// advice says what to write instead: the one selector inside, if there is one.
func advice(expr parser.Expr) string {
	var inside []*parser.VectorSelector
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, is := n.(*parser.VectorSelector); is {
			inside = append(inside, v)
		}
		return nil
	})
	const why = "raw samples are read and increases computed from them"
	if len(inside) == 1 && inside[0].Name != "" && !strings.Contains(inside[0].Name, ":") {
		bare := &parser.VectorSelector{Name: inside[0].Name, LabelMatchers: inside[0].LabelMatchers}
		if text := bare.String(); len(text) < 500 {
			return fmt.Sprintf("write the bare counter, %s: %s", text, why)
		}
	}
	return fmt.Sprintf("write one bare counter, such as http_requests_total{code=~\"5..\"}: %s", why)
}
