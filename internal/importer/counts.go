package importer

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/internal/promql"
)

// ofEvents reduces a query for bad events and one for all to counters. Bad events that
// are written as all less the good ones, which is how a histogram's buckets tell of slow
// requests, become good events.
func ofEvents(bad, total string) (ratioMetric, error) {
	all, err := counter(total)
	if err != nil {
		return ratioMetric{}, fmt.Errorf("the query of all events %w", err)
	}
	left, right, difference := operands(bad, parser.SUB)
	if !difference {
		events, err := counter(bad)
		if err != nil {
			return ratioMetric{}, fmt.Errorf("the query of bad events %w", err)
		}
		return ratioMetric{Bad: prometheus(events), Total: prometheus(all)}, nil
	}
	minuend, err := counter(left)
	if err != nil {
		return ratioMetric{}, fmt.Errorf("the query of bad events, left of the minus, %w", err)
	}
	good, err := counter(right)
	if err != nil {
		return ratioMetric{}, fmt.Errorf("the query of bad events, right of the minus, %w", err)
	}
	if minuend != all {
		return ratioMetric{}, fmt.Errorf("subtracts good events from %s, while all events are %s", minuend, all)
	}
	return ratioMetric{Good: prometheus(good), Total: prometheus(all)}, nil
}

// ofGood reduces a query for good events and one for all to counters.
func ofGood(good, total string) (ratioMetric, error) {
	events, err := counter(good)
	if err != nil {
		return ratioMetric{}, fmt.Errorf("the query of good events %w", err)
	}
	all, err := counter(total)
	if err != nil {
		return ratioMetric{}, fmt.Errorf("the query of all events %w", err)
	}
	return ratioMetric{Good: prometheus(events), Total: prometheus(all)}, nil
}

// ofShare reduces the query of an error share, BAD / TOTAL or 1 - GOOD / TOTAL, to
// counters.
func ofShare(query string) (ratioMetric, error) {
	if one, rest, is := operands(query, parser.SUB); is && one == "1" {
		good, total, is := operands(rest, parser.DIV)
		if !is {
			return ratioMetric{}, errors.New("is 1 less something that is no quotient of counters")
		}
		return ofGood(good, total)
	}
	bad, total, is := operands(query, parser.DIV)
	if !is {
		return ratioMetric{}, errors.New("is no quotient of counters")
	}
	return ofEvents(bad, total)
}

// counter is the selector of the one counter that a query views.
func counter(query string) (string, error) {
	s, err := promql.Counter(query)
	if err != nil {
		return "", err
	}
	return promql.Text(s), nil
}

// operands returns both sides of a query that is one binary operation, without the
// parentheses around it.
func operands(query string, op parser.ItemType) (left, right string, is bool) {
	expr, err := parser.ParseExpr(query)
	if err != nil {
		return "", "", false
	}
	for p, paren := expr.(*parser.ParenExpr); paren; p, paren = expr.(*parser.ParenExpr) {
		expr = p.Expr
	}
	binary, ok := expr.(*parser.BinaryExpr)
	if !ok || binary.Op != op {
		return "", "", false
	}
	return binary.LHS.String(), binary.RHS.String(), true
}
