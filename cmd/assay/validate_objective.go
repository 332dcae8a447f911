package main

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/promql"
)

// named is NAME= at the beginning of an objective. No PromQL begins like that: a
// comparison has two equal signs, a matcher stands in braces.
var named = regexp.MustCompile(`(?s)^\s*([A-Za-z][A-Za-z0-9_.-]*)\s*=\s*([^=~].*)$`)

// parseObjective reads one of
//
//	[NAME=][good:]EVENTS / TOTAL   the share of events, critical
//	[NAME=]histogram:QUERY         a distribution, critical
//	[NAME=]gauge:QUERY             a level, secondary
//
// Without a name it is called by its metric, of a share the total.
func parseObjective(text string) (analysis.Objective, error) {
	name, query := "", text
	if m := named.FindStringSubmatch(text); m != nil {
		name, query = m[1], m[2]
	}
	query = strings.TrimSpace(query)
	o := analysis.Objective{Role: analysis.Critical, Signal: analysis.Signal{Source: promSource}}
	s, err := &o.Signal, error(nil)
	if histogram, is := strings.CutPrefix(query, "histogram:"); is {
		s.Shape = analysis.ShapeDistribution
		s.Histogram, err = promql.Histogram(histogram)
	} else if gauge, is := strings.CutPrefix(query, "gauge:"); is {
		o.Role, s.Shape = analysis.Secondary, analysis.ShapeLevel
		s.Gauge, err = promql.Gauge(gauge)
	} else {
		var events *analysis.Selector
		var good bool
		s.Shape, s.Unit = analysis.ShapeRatio, "1"
		query, good = strings.CutPrefix(query, "good:")
		events, s.Total, err = promql.Ratio(query)
		if good {
			s.Good = events
		} else {
			s.Bad = events
		}
	}
	if err != nil {
		return analysis.Objective{}, err
	}
	if s.Shape != analysis.ShapeRatio {
		s.Unit = unitOf(s.Measured().Metric)
	}
	o.Name = cmp.Or(name, s.Measured().Metric)
	s.Name = o.Name
	return o, o.Validate()
}

// unitOf reads the unit that names of metrics end in.
func unitOf(metric string) string {
	for suffix, unit := range map[string]string{"_seconds": "s", "_milliseconds": "ms", "_bytes": "By"} {
		if strings.HasSuffix(metric, suffix) {
			return unit
		}
	}
	return ""
}
