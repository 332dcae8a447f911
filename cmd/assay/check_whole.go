package main

import (
	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/prometheus"
)

// judgeWhole says what is wrong with a histogram or a gauge.
func (o *checkedObjective) judgeWhole(add adder, s *analysis.Selector, f partFacts, at config.Place) {
	if f.err != nil {
		o.judgeRefusal(add, f, at)
		return
	}
	kind := f.metric.Type
	said := "as the targets that expose it say"
	if o.pushed {
		said = "as its senders say"
	}
	if o.objective.Signal.Shape == analysis.ShapeDistribution {
		switch {
		case kind == "summary":
			add(levelError, at, "%s is a summary (%s), whose quantiles cannot be compared: expose a histogram", s.Metric, said)
			return
		case kind != "" && kind != "histogram":
			add(levelError, at, "%s is a %s (%s), and a distribution needs a histogram", s.Metric, kind, said)
			return
		}
	} else {
		isPart := !o.pushed && (kind == "histogram" || kind == "summary") && prometheus.PartOf(s.Metric) != prometheus.Whole
		switch {
		case kind == "counter" || isPart:
			add(levelError, at, "%s is a counter (%s), which only grows: compare a ratio of counters (sloRef), or name a gauge", s.Metric, said)
			return
		case kind == "histogram":
			add(levelError, at, "%s is a histogram (%s), which has no single value: name it by histogram instead of gauge", s.Metric, said)
			return
		}
	}
	if len(f.seen) == 0 {
		o.judgeAbsence(add, "total", s, f, at)
	}
}
