package main

import (
	"regexp"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/promql"
)

// named is NAME= at the beginning of an objective. No PromQL begins like that: a
// comparison has two equal signs, a matcher stands in braces.
var named = regexp.MustCompile(`(?s)^\s*([A-Za-z][A-Za-z0-9_.-]*)\s*=\s*([^=~].*)$`)

// parseObjective reads [NAME=][good:]EVENTS / TOTAL, a critical objective on the
// share of events. Without a name it is called by its total.
func parseObjective(text string) (analysis.Objective, error) {
	name, query := "", text
	if m := named.FindStringSubmatch(text); m != nil {
		name, query = m[1], m[2]
	}
	query, good := strings.CutPrefix(strings.TrimSpace(query), "good:")
	events, total, err := promql.Ratio(query)
	if err != nil {
		return analysis.Objective{}, err
	}
	if name == "" {
		name = total.Metric
	}
	s := analysis.Signal{Name: name, Source: promSource, Unit: "1", Shape: analysis.ShapeRatio, Total: total}
	if good {
		s.Good = events
	} else {
		s.Bad = events
	}
	o := analysis.Objective{Name: name, Role: analysis.Critical, Signal: s}
	return o, o.Validate()
}
