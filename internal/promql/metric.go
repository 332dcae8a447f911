package promql

import (
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
)

var histogram = wanted{
	noun: "histogram", counts: true, aggregation: parser.SUM,
	accepted: "a histogram, sum, sum by and sum without of it, rate, increase and irate of it over a range, in any nesting",
	example:  "write the name of one histogram, such as http_request_duration_seconds{job=\"shop\"}",
	bare:     "its buckets are read and compared at the quantiles that the objective names",
}

var gauge = wanted{
	noun: "gauge", aggregation: parser.AVG,
	accepted: "a gauge, avg, avg by and avg without of it, in any nesting",
	example:  "write the name of one gauge, such as process_resident_memory_bytes{job=\"shop\"}",
	bare:     "every sample of it is read",
}

// The parts of a classic histogram, as series are called.
const (
	bucketSuffix = "_bucket"
	countSuffix  = "_count"
	sumSuffix    = "_sum"
)

// Histogram reduces a PromQL expression to the one histogram that it views, as Counter
// does with counters. A classic histogram is called by its name without _bucket, as a
// native one is: one selector finds either.
func Histogram(query string) (*analysis.Selector, error) {
	s, err := histogram.read(query)
	if err != nil {
		return nil, err
	}
	for strings.HasSuffix(s.Metric, bucketSuffix) {
		s.Metric = strings.TrimSuffix(s.Metric, bucketSuffix)
	}
	for _, suffix := range []string{countSuffix, sumSuffix} {
		if base, part := strings.CutSuffix(s.Metric, suffix); part {
			return nil, fmt.Errorf("%s at column 1 of the query is one number of a histogram and tells nothing of its shape; write the histogram, %s", s.Metric, base)
		}
	}
	if s.Metric == "" || isWord(s.Metric) {
		return nil, fmt.Errorf("the selector at column 1 of the query names no histogram; %s", histogram.example)
	}
	for _, c := range s.Conditions {
		if c.Name == labels.BucketLabel {
			return nil, fmt.Errorf("the matcher on le at column 1 of the query chooses one bucket, and all are compared; leave it out, or write an SLO on the ratio of %s%s to %s%s", s.Metric, bucketSuffix, s.Metric, countSuffix)
		}
	}
	return s, nil
}

// Gauge reduces a PromQL expression to the one gauge that it views: the selector inside
// any nesting of avg and parentheses. A pod's level is the mean of its series, so that
// avg by (pod) changes nothing. The result of a recording rule is a gauge like any
// other, provided that its series name their pods.
func Gauge(query string) (*analysis.Selector, error) { return gauge.read(query) }
