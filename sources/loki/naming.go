package loki

import (
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A naming maps OpenTelemetry's attribute names to the names of labels and of structured
// metadata.
type naming struct {
	labels  map[string]string // the overrides of the configuration
	streams []string          // attributes whose labels are labels of streams
}

func newNaming(cfg Config) naming {
	return naming{labels: cfg.Labels, streams: append([]string{analysis.AttrService}, cfg.Streams...)}
}

// of returns the labels that may carry the attribute, the first that does counts. Loki
// writes OpenTelemetry's names with underscores; the others are what log collectors of
// Kubernetes and older conventions write.
func (n naming) of(attr string) []string {
	if label, ok := n.labels[attr]; ok {
		return []string{label}
	}
	own := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, attr)
	if own == "" || own[0] >= '0' && own[0] <= '9' {
		own = "_" + own
	}
	switch attr {
	case analysis.AttrPod:
		return []string{own, "pod"}
	case analysis.AttrInstance:
		return []string{own, "instance"}
	case analysis.AttrEnvironment:
		return []string{own, "deployment_environment"}
	}
	return []string{own}
}

// ofStreams reports whether the attribute's label is one of streams, known by one name.
func (n naming) ofStreams(attr string) bool {
	return slices.Contains(n.streams, attr) && len(n.of(attr)) == 1
}

// who are the labels that tell the attributes and the pod of a line, for a count by
// them, sorted.
func (n naming) who(attrs ...string) []string {
	var names []string
	for _, attr := range append(attrs[:len(attrs):len(attrs)], analysis.AttrPod, analysis.AttrInstance) {
		names = append(names, n.of(attr)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// value returns what get says of the attribute, "" where there is nothing.
func (n naming) value(get func(label string) string, attr string) string {
	for _, label := range n.of(attr) {
		if v := get(label); v != "" {
			return v
		}
	}
	return ""
}

func (n naming) values(get func(string) string, attrs []string) []string {
	if len(attrs) == 0 {
		return nil
	}
	values := make([]string, len(attrs))
	for i, attr := range attrs {
		values[i] = n.value(get, attr)
	}
	return values
}

// pod returns who wrote a line: the pod's name, else the instance. A line with neither
// belongs to the nameless pod.
func (n naming) pod(get func(string) string) string {
	if name := n.value(get, analysis.AttrPod); name != "" {
		return name
	}
	return n.value(get, analysis.AttrInstance)
}
