package promql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	accepted   = "accepted: a counter, sum, sum by and sum without of it, rate, increase and irate of it over a range, in any nesting"
	oneCounter = "write the name of one counter, such as http_requests_total{code=~\"5..\"}"
)

func syntaxError(query string, err error) error {
	var errs parser.ParseErrors
	text, where := err.Error(), 1
	if errors.As(err, &errs) && len(errs) > 0 {
		text, where = errs[0].Err.Error(), int(errs[0].PositionRange.Start)+1
	}
	if strings.Contains(query, "{{") {
		text += "; templates such as {{.window}} are not known: " + oneCounter
	}
	return fmt.Errorf("is no PromQL: column %d of the query: %s", where, text)
}

func column(n parser.Node) int { return int(n.PositionRange().Start) + 1 }

// refused says why an expression is not the view of one counter.
func refused(expr parser.Expr) error {
	return fmt.Errorf("%s at column %d of the query cannot be reduced to one counter (%s); %s", nodeName(expr), column(expr), accepted, advice(expr))
}

// nodeName names the outermost node of a refused expression in the words of its
// author.
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
	case *parser.NumberLiteral, *parser.StringLiteral:
		return "the literal"
	}
	return "the expression"
}

// advice says what to write instead of an expression: the one counter inside, if
// there is one.
func advice(expr parser.Expr) string {
	var found []*parser.VectorSelector
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, is := n.(*parser.VectorSelector); is {
			found = append(found, v)
		}
		return nil
	})
	switch {
	case len(found) > 1:
		return "write one counter here; the parts of a ratio are two queries, bad (or good) and total"
	case len(found) == 0 || found[0].Name == "" || strings.Contains(found[0].Name, ":"):
		return oneCounter
	}
	bare := &parser.VectorSelector{Name: found[0].Name, LabelMatchers: found[0].LabelMatchers}
	text := bare.String()
	if len(text) > 500 {
		return oneCounter
	}
	if isBucket(found[0]) {
		return fmt.Sprintf("count the requests that were fast enough instead: good is %s with le=\"...\", total is the same metric's _count", found[0].Name)
	}
	return fmt.Sprintf("write the bare counter, %s: raw samples are read and increases computed from them", text)
}

// isBucket reports whether v selects all buckets of a classic histogram.
func isBucket(v *parser.VectorSelector) bool {
	for _, m := range v.LabelMatchers {
		if m.Name == labels.BucketLabel {
			return false
		}
	}
	return strings.HasSuffix(v.Name, "_bucket")
}
