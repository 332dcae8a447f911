package accuracy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// A Series is what a Prometheus would have scraped: samples of one metric with its
// labels. Missing values have no sample.
type Series struct {
	Metric  string
	Labels  map[string]string
	Samples []Sample
}

// A Sample is a value at a time.
type Sample struct {
	At    time.Time
	Value float64
}

// cumulative turns what was counted between points into a counter that starts at 0.
// The value of a point is what was counted since the point before.
func cumulative(at []time.Time, counted []float64) []Sample {
	var out []Sample
	sum := 0.0
	for i := range at {
		if math.IsNaN(counted[i]) {
			continue // what was counted is not known: neither sample nor count
		}
		sum += counted[i]
		out = append(out, Sample{at[i], sum})
	}
	return out
}

// gauge keeps the values that there are.
func gauge(at []time.Time, values []float64) []Sample {
	var out []Sample
	for i := range at {
		if !math.IsNaN(values[i]) {
			out = append(out, Sample{at[i], values[i]})
		}
	}
	return out
}

// WriteOpenMetrics writes series as text with time stamps, which promtool turns into
// blocks.
func WriteOpenMetrics(name string, series []Series) error {
	var b strings.Builder
	last := ""
	for _, s := range slices.SortedStableFunc(slices.Values(series), func(a, b Series) int { return cmp.Compare(a.Metric, b.Metric) }) {
		if s.Metric != last {
			fmt.Fprintf(&b, "# TYPE %s unknown\n", s.Metric)
			last = s.Metric
		}
		var labels []string
		for _, l := range slices.Sorted(maps.Keys(s.Labels)) {
			labels = append(labels, fmt.Sprintf("%s=%q", l, s.Labels[l]))
		}
		prefix := s.Metric + "{" + strings.Join(labels, ",") + "} "
		for _, p := range s.Samples {
			fmt.Fprintf(&b, "%s%v %.3f\n", prefix, p.Value, float64(p.At.UnixMilli())/1000)
		}
	}
	b.WriteString("# EOF\n")
	return os.WriteFile(name, []byte(b.String()), 0o644)
}
