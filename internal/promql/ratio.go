package promql

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
)

// Ratio reduces the PromQL of a share, EVENTS / TOTAL, to its two counters. Each side
// is what Counter accepts; how the division matches labels changes nothing, because
// both sides are counted by pod here. Errors name the side, and its columns from 1.
func Ratio(query string) (events, total *analysis.Selector, err error) {
	if len(query) > maxQuery {
		return nil, nil, fmt.Errorf("is longer than %d bytes", maxQuery)
	}
	expr, err := parser.ParseExpr(query)
	if err != nil {
		return nil, nil, counter.syntaxError(query, err)
	}
	for p, is := expr.(*parser.ParenExpr); is; p, is = expr.(*parser.ParenExpr) {
		expr = p.Expr
	}
	division, is := expr.(*parser.BinaryExpr)
	if !is || division.Op != parser.DIV {
		return nil, nil, errors.New("is no quotient of two counters (write EVENTS / TOTAL)")
	}
	side := func(e parser.Expr) string {
		at := e.PositionRange()
		return query[at.Start:at.End]
	}
	if events, err = Counter(side(division.LHS)); err != nil {
		return nil, nil, fmt.Errorf("left of the division: %w", err)
	}
	if total, err = Counter(side(division.RHS)); err != nil {
		return nil, nil, fmt.Errorf("right of the division: %w", err)
	}
	return events, total, nil
}
