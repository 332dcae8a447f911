package promql

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

func jobShop(metric string) *analysis.Selector {
	return &analysis.Selector{Metric: metric, Conditions: []analysis.Condition{{Name: "job", Op: analysis.OpEqual, Values: []string{"shop"}}}}
}

// Every view of one histogram is that histogram, by the name that classic and native
// ones share.
func TestHistogram(t *testing.T) {
	for _, query := range []string{
		`m{job="shop"}`, `m_bucket{job="shop"}`, `sum by (le) (rate(m_bucket{job="shop"}[5m]))`,
		`sum(increase(m{job="shop"}[1h]))`, `((m_bucket{job="shop"}))`,
	} {
		if got, err := Histogram(query); err != nil || !reflect.DeepEqual(got, jobShop("m")) {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
}

func TestHistogramRefusals(t *testing.T) {
	reduce := " of the query cannot be reduced to one histogram (accepted: " + histogram.accepted + "); "
	for query, want := range map[string]string{
		`histogram_quantile(0.95, sum by (le) (rate(m_bucket[5m])))`: "the function histogram_quantile at column 1" + reduce +
			"write the bare histogram, m_bucket: its buckets are read and compared at the quantiles that the objective names",
		`m_count`:             "m_count at column 1 of the query is one number of a histogram and tells nothing of its shape; write the histogram, m",
		`rate(m_sum[5m])`:     "m_sum at column 1 of the query is one number of a histogram and tells nothing of its shape; write the histogram, m",
		`m_bucket{le="0.3"}`:  "the matcher on le at column 1 of the query chooses one bucket, and all are compared; leave it out, or write an SLO on the ratio of m_bucket to m_count",
		`_bucket`:             "the selector at column 1 of the query names no histogram; " + histogram.example,
		`{"NaN_bucket"}`:      "the selector at column 1 of the query names no histogram; " + histogram.example,
		`m_sum / m_count`:     "the operator / at column 1" + reduce + "write one counter here; the parts of a ratio are two queries, bad (or good) and total",
		`job:m_bucket:rate5m`: "job:m_bucket:rate5m at column 1 of the query is the result of a recording rule, which has no counts of its own; write the histogram that the rule is made from",
	} {
		if s, err := Histogram(query); err == nil || err.Error() != want || s != nil {
			t.Errorf("%s: %+v\ngot  %v\nwant %s", query, s, err, want)
		}
	}
}

// Every view of one gauge that keeps its unit is that gauge.
func TestGauge(t *testing.T) {
	for _, query := range []string{`m{job="shop"}`, `avg(m{job="shop"})`, `avg by (pod) ((m{job="shop"}))`} {
		if got, err := Gauge(query); err != nil || !reflect.DeepEqual(got, jobShop("m")) {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
	if got, err := Gauge(`job:queue:avg`); err != nil || got.Metric != "job:queue:avg" {
		t.Errorf("the result of a recording rule: %+v, %v", got, err)
	}
}

func TestGaugeRefusals(t *testing.T) {
	reduce := " of the query cannot be reduced to one gauge (accepted: " + gauge.accepted + "); "
	for query, want := range map[string]string{
		`sum by (pod) (m)`:        "the aggregation sum at column 1" + reduce + "write the bare gauge, m: every sample of it is read",
		`rate(m[5m])`:             "the function rate at column 1" + reduce + "write the bare gauge, m: every sample of it is read",
		`used / limit`:            "the operator / at column 1" + reduce + gauge.example,
		`m offset 5m`:             "offset at column 1 of the query shifts the comparison in time and is refused; write the bare gauge, m: every sample of it is read",
		`avg_over_time(m[5m:1m])`: "the function avg_over_time at column 1" + reduce + "write the bare gauge, m: every sample of it is read",
	} {
		if s, err := Gauge(query); err == nil || err.Error() != want || s != nil {
			t.Errorf("%s: %+v\ngot  %v\nwant %s", query, s, err, want)
		}
	}
}

// What is accepted is the same after it was written down and read again.
func TestMetricsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"m", "m_bucket", "m_bucket_bucket", "http.server.duration", "NaN", "sum_bucket", "_bucket", "a:b"}).Draw(t, "name")
		form := rapid.SampledFrom([]string{`{"%"}`, `sum(rate({"%", job="a\"b"}[5m]))`, `avg({"%", job=~"x|y"})`}).Draw(t, "form")
		query := strings.ReplaceAll(form, "%", name)
		for _, read := range []func(string) (*analysis.Selector, error){Histogram, Gauge} {
			s, err := read(query)
			if err != nil {
				if s != nil || !strings.Contains(err.Error(), "column ") {
					t.Fatalf("%s: %v, %v", query, s, err)
				}
				continue
			}
			again, err := read(Text(s))
			if err != nil || !sameMatchers(matchersOf(t, again), matchersOf(t, s)) {
				t.Fatalf("%s was read as %+v, and that (%s) as %+v, %v", query, s, Text(s), again, err)
			}
		}
	})
}
