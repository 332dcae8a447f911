package sources

// A Metric is what a source knows of the series of one name, for people who check
// what they wrote down. Nothing is judged by it.
type Metric struct {
	// Type is counter, gauge, histogram or summary, as those say who expose or send
	// the metric. Of a histogram or summary in Prometheus, a series of its parts
	// (_bucket, _count, _sum) is meant. Empty: unknown, or they disagree.
	Type string `json:"type,omitempty"`
	// Labels are the labels, or the attributes of data points, that series of the name
	// carry, sorted.
	Labels []string `json:"labels,omitempty"`
	// Resource are the attributes of the resources that send it, sorted, where the
	// source tells them from those of data points.
	Resource []string `json:"resource,omitempty"`
	// Near are the names that come nearest, where the name itself is not known: then
	// there are neither Labels nor Resource.
	Near []string `json:"near,omitempty"`
}

// Known reports whether there are any series of the name.
func (m Metric) Known() bool { return len(m.Labels)+len(m.Resource) > 0 }
