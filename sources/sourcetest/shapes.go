package sourcetest

import (
	"github.com/release-assay/assay/analysis"
)

const (
	node = "k8s.node.name"
	area = "area"
)

// duration is the distribution of the suite.
func duration() analysis.Signal {
	return analysis.Signal{Name: "duration", Source: "test", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "shop.duration"}}
}

// memory is the level of the suite, in a unit that says whether a pod's series add up.
func memory(unit string) analysis.Signal {
	return analysis.Signal{Name: "memory", Source: "test", Unit: unit, Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "shop.memory"}}
}

// neutral is a signal in the words of the recording.
func (s suite) neutral(signal analysis.Signal) analysis.Signal {
	switch signal.Shape {
	case analysis.ShapeDistribution:
		return duration()
	case analysis.ShapeLevel:
		return memory(signal.Unit)
	}
	return errorRatio()
}
