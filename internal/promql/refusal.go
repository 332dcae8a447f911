package promql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// wanted is what a query should view, and the words in which others are refused.
type wanted struct {
	noun        string
	counts      bool            // rates of it say the same as it does
	aggregation parser.ItemType // of its series that is made here too
	accepted    string
	example     string
	bare        string // why the metric alone is enough
}

var counter = wanted{
	noun: "counter", counts: true, aggregation: parser.SUM,
	accepted: "a counter, sum, sum by and sum without of it, rate, increase and irate of it over a range, in any nesting",
	example:  "write the name of one counter, such as http_requests_total{code=~\"5..\"}",
	bare:     "raw samples are read and increases computed from them",
}

func (w wanted) syntaxError(query string, err error) error {
	var errs parser.ParseErrors
	text, where := err.Error(), 1
	if errors.As(err, &errs) && len(errs) > 0 {
		text, where = errs[0].Err.Error(), int(errs[0].PositionRange.Start)+1
	}
	if strings.Contains(query, "{{") {
		text += "; templates such as {{.window}} are not known: " + w.example
	}
	return fmt.Errorf("is no PromQL: column %d of the query: %s", where, text)
}

func column(n parser.Node) int { return int(n.PositionRange().Start) + 1 }

// refused says why an expression is not the view of one such metric.
func (w wanted) refused(expr parser.Expr) error {
	return fmt.Errorf("%s at column %d of the query cannot be reduced to one %s (accepted: %s); %s", nodeName(expr), column(expr), w.noun, w.accepted, w.advice(expr))
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

// advice says what to write instead of an expression: the one metric inside, if there
// is one.
func (w wanted) advice(expr parser.Expr) string {
	var found []*parser.VectorSelector
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, is := n.(*parser.VectorSelector); is {
			found = append(found, v)
		}
		return nil
	})
	switch {
	case len(found) > 1 && !w.counts:
		return w.example
	case len(found) > 1:
		return "write one counter here; the parts of a ratio are two queries, bad (or good) and total"
	case len(found) == 0 || found[0].Name == "" || strings.Contains(found[0].Name, ":"):
		return w.example
	}
	bare := &parser.VectorSelector{Name: found[0].Name, LabelMatchers: found[0].LabelMatchers}
	text := bare.String()
	if len(text) > 500 {
		return w.example
	}
	if w.noun == counter.noun && isBucket(found[0]) {
		return fmt.Sprintf("count the requests that were fast enough instead: good is %s with le=\"...\", total is the same metric's _count", found[0].Name)
	}
	return fmt.Sprintf("write the bare %s, %s: %s", w.noun, text, w.bare)
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
