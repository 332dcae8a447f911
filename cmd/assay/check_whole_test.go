package main

import (
	"errors"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// soundWhole is an objective on a histogram or a gauge with nothing to say about.
func soundWhole(shape analysis.Shape) *checkedObjective {
	o := sound()
	s := &analysis.Selector{Metric: "m", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpEqual, Values: []string{"200"}}}}
	o.objective.Signal = analysis.Signal{Name: "s", Source: "prom", Shape: shape}
	if shape == analysis.ShapeDistribution {
		o.objective.Signal.Histogram, o.facts.total.metric.Type = s, "histogram"
	} else {
		o.objective.Signal.Gauge, o.facts.total.metric.Type = s, "gauge"
	}
	o.facts.event = partFacts{}
	return o
}

// TestCheckWhole changes one fact about a histogram or a gauge at a time.
func TestCheckWhole(t *testing.T) {
	for name, test := range map[string]struct {
		shape  analysis.Shape
		change func(o *checkedObjective)
		want   string // empty: nothing is found
	}{
		"a sound histogram":   {analysis.ShapeDistribution, func(*checkedObjective) {}, ""},
		"a sound gauge":       {analysis.ShapeLevel, func(*checkedObjective) {}, ""},
		"a type nobody tells": {analysis.ShapeLevel, func(o *checkedObjective) { o.facts.total.metric.Type = "" }, ""},
		"a summary": {
			analysis.ShapeDistribution, func(o *checkedObjective) { o.facts.total.metric.Type = "summary" },
			"error: total: m is a summary (as the targets that expose it say), whose quantiles cannot be compared: expose a histogram",
		},
		"a counter for a histogram": {
			analysis.ShapeDistribution, func(o *checkedObjective) { o.pushed, o.facts.total.metric.Type = true, "counter" },
			"error: total: m is a counter (as its senders say), and a distribution needs a histogram",
		},
		"a counter for a gauge": {
			analysis.ShapeLevel, func(o *checkedObjective) { o.facts.total.metric.Type = "counter" },
			"error: total: m is a counter (as the targets that expose it say), which only grows: compare a ratio of counters (sloRef), or name a gauge",
		},
		"a part of a histogram for a gauge": {
			analysis.ShapeLevel, func(o *checkedObjective) {
				o.facts.total.metric.Type, o.objective.Signal.Gauge.Metric = "histogram", "m_sum"
			},
			"error: total: m_sum is a counter (as the targets that expose it say), which only grows: compare a ratio of counters (sloRef), or name a gauge",
		},
		"a histogram for a gauge": {
			analysis.ShapeLevel, func(o *checkedObjective) { o.pushed, o.facts.total.metric.Type = true, "histogram" },
			"error: total: m is a histogram (as its senders say), which has no single value: name it by histogram instead of gauge",
		},
		"a refused query": {analysis.ShapeLevel, func(o *checkedObjective) { o.facts.total = partFacts{err: errors.New("bad data")} }, "error: total: bad data"},
		"a name that nothing has": {
			analysis.ShapeDistribution, func(o *checkedObjective) {
				o.facts.total.seen, o.facts.total.metric.Labels, o.facts.total.metric.Near = nil, nil, []string{"n_bucket"}
			},
			"error: total: source prom has no series called m; names like it: n_bucket",
		},
		"an arm in the query": {
			analysis.ShapeLevel, func(o *checkedObjective) { o.facts.telling = []string{"code"} },
			"error: total: the query has a condition on code, which tells the arms apart: leave it out, it is added for each arm",
		},
		"what the plan warns of": {
			analysis.ShapeDistribution, func(o *checkedObjective) {
				o.written.Objective.Path, o.facts.weak = "objective", []string{"p99 is not judged"}
			},
			"warning: objective: p99 is not judged",
		},
		"what no plan can judge": {
			analysis.ShapeLevel, func(o *checkedObjective) {
				o.written.Objective.Path, o.facts.planned, o.facts.unplanned = "objective", nil, errors.New("no")
			},
			"error: objective: it cannot be judged: no",
		},
	} {
		o := soundWhole(test.shape)
		test.change(o)
		got := ""
		for _, f := range o.findings() {
			got += f.String()
		}
		if got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
}

// A classic histogram is a series of buckets in a Prometheus, and one of its own name
// everywhere else.
func TestWhatAHistogramIsCalled(t *testing.T) {
	o := soundWhole(analysis.ShapeDistribution)
	if got := o.called(o.objective.Signal.Histogram); len(got) != 2 || got[0] != "m_bucket" || got[1] != "m" {
		t.Errorf("scraped: %v", got)
	}
	if o.pushed = true; len(o.called(o.objective.Signal.Histogram)) != 1 {
		t.Error("pushed")
	}
}
