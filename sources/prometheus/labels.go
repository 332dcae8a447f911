package prometheus

import (
	"strings"

	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/analysis"
)

// A naming maps OpenTelemetry's attribute names to Prometheus' label names.
type naming map[string]string // the overrides of the configuration

// of returns the label that carries the attribute.
func (n naming) of(attr string) string {
	if label, ok := n[attr]; ok {
		return label
	}
	switch attr {
	case analysis.AttrPod:
		return "pod"
	case analysis.AttrInstance:
		return "instance"
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, attr)
}

// pod returns who a series belongs to, and the label that says so: the pod's
// name, else the instance. A series with neither belongs to the nameless pod.
func (n naming) pod(m model.Metric) (name, label string) {
	for _, attr := range []string{analysis.AttrPod, analysis.AttrInstance} {
		label := n.of(attr)
		if name := string(m[model.LabelName(label)]); name != "" {
			return name, label
		}
	}
	return "", ""
}

// scrape returns what tells the targets of one pod apart: several containers, or
// one container scraped by two jobs, are read at different times and restart
// alone.
func (n naming) scrape(m model.Metric) string {
	return string(m[model.LabelName(n.of(analysis.AttrInstance))]) + "\x00" + string(m[model.JobLabel])
}

// values returns the labels that carry the given attributes, "" where there is none.
func (n naming) values(m model.Metric, attrs []string) []string {
	if len(attrs) == 0 {
		return nil
	}
	values := make([]string, len(attrs))
	for i, attr := range attrs {
		values[i] = string(m[model.LabelName(n.of(attr))])
	}
	return values
}
