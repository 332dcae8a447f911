package prometheus

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

func latency() analysis.Signal {
	return analysis.Signal{Name: "latency", Source: "prom", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "request_seconds"}}
}

// part is one series of a pod's histogram.
func part(pod, suffix, le string, samples []analysis.Sample) recorded {
	of := pairs(model.MetricNameLabel, "request_seconds"+suffix, "service_name", "checkout", "service_version", "v1", "pod", pod, "instance", pod+":80", "job", "shop")
	if le != "" {
		of["le"] = le
	}
	return recorded{labels: of, samples: samples}
}

// buckets are the series of a histogram with the bound 0.25, read at -30, 0, 30 and 60 s.
func buckets(pod string, below, all [4]float64) []recorded {
	var le, inf []float64
	for i, second := range []float64{-30, 0, 30, 60} {
		le, inf = append(le, second, below[i]), append(inf, second, all[i])
	}
	return []recorded{part(pod, "_bucket", "0.25", readings(le...)), part(pod, "_bucket", "+Inf", readings(inf...)), part(pod, "_count", "", readings(inf...))}
}

// answeringSource is a source whose server always gives the same answer.
func answeringSource(t *testing.T, body string) *Source {
	s := open(t, "http://127.0.0.1:1")
	s.client.Transport.(*guard).next = answering{http.StatusOK, []byte(body)}
	return s
}

var nan = math.NaN()

// exponential is a native histogram from its texts at seconds.
func exponential(pod string, texts map[int]string) recorded {
	r := part(pod, "", "", nil)
	for _, second := range slices.Sorted(maps.Keys(texts)) {
		r.native = append(r.native, native{at(second), texts[second]})
	}
	return r
}

func TestRowsOfHistograms(t *testing.T) {
	row := func(pod string, inc analysis.Increase) analysis.Row {
		return analysis.Row{Values: []string{"checkout", "v1"}, Pod: pod, Increase: inc, Received: 2}
	}
	grown := func(count int, buckets string) string {
		return fmt.Sprintf(`{"count":"%d","sum":"1","buckets":[%s]}`, count, buckets)
	}
	with := func(all []recorded, more ...recorded) []recorded { return append(all, more...) }
	for _, test := range []struct {
		name   string
		series []recorded
		bounds []float64
		want   []analysis.Row
	}{
		{name: "nothing is no error", bounds: []float64{0.25}},
		{
			name: "without bounds there is an exposure", series: buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}),
			want: []analysis.Row{row("a", analysis.Increase{Exposure: 5})},
		},
		{
			name: "a scrape in the middle of an observation", bounds: []float64{0.25},
			series: buckets("a", [4]float64{1, 2, 5, 5}, [4]float64{2, 6, 8, 9}), // above: 1, 4, 3, 4
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 3, Above: []float64{0}})},
		},
		{
			name: "buckets that fall from bound to bound", bounds: []float64{0.1, 0.25},
			series: with(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}), part("a", "_bucket", "0.1", readings(-30, 1, 0, 3, 30, 3, 60, 3))),
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 5, Above: []float64{5, 4}})},
		},
		{
			name: "without the bucket of all the count says how many", bounds: []float64{0.25},
			series: slices.Delete(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}), 1, 2),
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 5, Above: []float64{3}})},
		},
		{
			name: "a NaN was observed at some time", bounds: []float64{0.25},
			series: with(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}), part("a", "_sum", "", readings(-30, 1, 0, 2, 30, 4, 60, nan))),
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 5})},
		},
		{
			name: "observations below zero", bounds: []float64{0.25},
			series: with(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}), part("a", "_bucket", "-1", readings(-30, 1, 0, 1, 30, 1, 60, 2))),
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 5})},
		},
		{
			name: "a summary has no buckets", bounds: []float64{0.25},
			series: []recorded{part("a", "_count", "", readings(0, 3, 30, 4, 60, 5))},
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 2})},
		},
		{
			name: "native: a NaN is in no bucket", bounds: []float64{0.25},
			series: []recorded{exponential("a", map[int]string{0: grown(3, `[0,"0.25","0.5","3"]`), 30: grown(4, `[0,"0.25","0.5","4"]`), 60: grown(6, `[0,"0.25","0.5","5"]`)})},
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 3})},
		},
		{
			name: "native: observations below zero", bounds: []float64{0.25},
			series: []recorded{exponential("a", map[int]string{0: grown(1, `[0,"0.25","0.5","1"]`), 30: grown(2, `[0,"0.25","0.5","2"]`), 60: grown(4, `[1,"-0.5","-0.25","1"],[0,"0.25","0.5","3"]`)})},
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 3})},
		},
		{
			name: "native: what was observed long ago and was odd", bounds: []float64{0.25},
			series: []recorded{exponential("a", map[int]string{0: grown(5, `[0,"0.25","0.5","4"]`), 30: grown(6, `[0,"0.25","0.5","5"]`), 60: grown(7, `[0,"0.25","0.5","6"]`)})},
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 2, Above: []float64{2}})},
		},
		{
			name: "custom buckets in the native form", bounds: []float64{0.3, 0.9},
			series: []recorded{exponential("a", map[int]string{0: grown(0, ``), 30: grown(3, `[0,"-Inf","0.1","1"],[0,"0.1","0.3","2"]`), 60: grown(9, `[0,"-Inf","0.1","2"],[0,"0.1","0.3","3"],[0,"0.9","+Inf","4"]`)})},
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 9, Above: []float64{4, 4}})},
		},
		{
			name: "both kinds: the native one, as it has the bound", bounds: []float64{0.5},
			series: with(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}), exponential("a", map[int]string{0: grown(1, `[0,"0.5","1","1"]`), 30: grown(2, `[0,"0.5","1","2"]`), 60: grown(3, `[0,"0.5","1","3"]`)})),
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 2, Above: []float64{2}})},
		},
		{
			name: "both kinds: the classic one, as the native one is only just scraped", bounds: []float64{0.25},
			series: with(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}), exponential("a", map[int]string{30: grown(6, `[0,"0.5","1","6"]`), 60: grown(9, `[0,"0.5","1","9"]`)})),
			want:   []analysis.Row{row("a", analysis.Increase{Exposure: 5, Above: []float64{3}})},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, test.series...)
			q := minuteQuery("v1")
			q.Signal, q.Bounds, q.Since = latency(), test.bounds, at(-300)
			s := open(t, f.URL)
			got, err := s.Rows(t.Context(), q)
			if err != nil || !reflect.DeepEqual(got.Rows, test.want) {
				t.Errorf("%v\n got %+v\nwant %+v", err, got.Rows, test.want)
			}
			asked := []string{
				`{__name__=~"request_seconds|request_seconds_bucket|request_seconds_count|request_seconds_sum",service_name="checkout",service_version="v1"}[6m]`,
				`process_start_time_seconds{service_name="checkout",service_version="v1"}[6m]`,
			}
			if got := f.asked(); !slices.Equal(got, asked) || !slices.Equal(s.Render(q), asked) {
				t.Errorf("asked\n%s\nrendered\n%s", strings.Join(got, "\n"), strings.Join(s.Render(q), "\n"))
			}
		})
	}
}

func TestHistogramsThatCannotBe(t *testing.T) {
	for answer, want := range map[string]string{
		`{"metric":{"__name__":"request_seconds","quantile":"0.5"},"values":[[1772452805,"3"]]}`:                                                                  "is a single number, not a histogram",
		`{"metric":{"__name__":"request_seconds_bucket","vmrange":"1...2"},"values":[[1772452805,"3"]]}`:                                                          `has no bound in its label le, which is ""`,
		`{"metric":{"__name__":"request_seconds_bucket","le":"NaN"},"values":[[1772452805,"3"]]}`:                                                                 "has no bound in its label le",
		`{"metric":{"__name__":"request_seconds_bucket","le":"1"},"values":[[1772452805,"-3"]]}`:                                                                  "which no counter can be",
		`{"metric":{"__name__":"request_seconds_count"},"histograms":[[1772452805,{"count":"1","sum":"1","buckets":[]}]]}`:                                        "name it as it is called",
		`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"-1","sum":"1","buckets":[]}]]}`:                                             "-1 observations cannot be",
		`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"1","sum":"1","buckets":[[0,"1","2","-1"]]}]]}`:                              "cannot be",
		`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"1","sum":"1","buckets":[[0,"2","1","1"]]}]]}`:                               "cannot be",
		`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"2","sum":"1","buckets":[[0,"1","2","1"],[0,"1","2","1"]]}]]}`:               "cannot be",
		`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"1","sum":"1"}],[1772452805,{"count":"1","sum":"1"}]]}`:                      "do not ascend",
		`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"1","sum":"1","buckets":[[0,"1","2","1"]]}]],"values":[[1772452805.5,"1"]]}`: "is a single number",
	} {
		s := answeringSource(t, matrixOf(answer))
		q := minuteQuery("v1")
		q.Signal, q.Bounds = latency(), []float64{1}
		_, err := s.Rows(t.Context(), q)
		if err == nil || sources.KindOf(err) != sources.Malformed || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant malformed, %s", answer, err, want)
		}
	}
}

func TestHistogramSelectors(t *testing.T) {
	s := open(t, "http://127.0.0.1:1")
	for _, test := range []struct {
		selector analysis.Selector
		want     string
	}{
		{analysis.Selector{Metric: "request_seconds_bucket"}, "name the histogram (request_seconds)"},
		{analysis.Selector{Metric: "request_seconds_count"}, "name the histogram (request_seconds)"},
		{analysis.Selector{Metric: "request_seconds", Conditions: []analysis.Condition{{Name: "le", Op: analysis.OpEqual, Values: []string{"0.5"}}}}, "a condition on le"},
		{analysis.Selector{Metric: "request_seconds", Field: analysis.FieldCount}, "is a word of OTLP"},
	} {
		q := minuteQuery("v1")
		q.Signal = latency()
		q.Signal.Histogram = &test.selector
		if _, err := s.Rows(t.Context(), q); err == nil || sources.KindOf(err) != sources.Rejected || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want rejected: %s", test.selector, err, test.want)
		}
	}
}

// A fleet that is half way from classic to native histograms is one distribution, at
// the bounds that both have.
func TestDistributionOfAFleetInBetween(t *testing.T) {
	f := newFake(t, append(buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9}),
		exponential("b", map[int]string{-30: `{"count":"1","sum":"1","buckets":[[0,"0.125","0.25","1"]]}`, 60: `{"count":"4","sum":"1","buckets":[[0,"0.125","0.25","2"],[0,"0.5","1","2"]]}`}))...)
	q := analysis.DistributionQuery{Signal: latency(), Matches: checkout("v1"), From: at(-30), To: at(61)}
	h, err := open(t, f.URL).Distribution(t.Context(), q)
	if want := (analysis.Histogram{Bounds: []float64{0.25}, Counts: []float64{4, 6}, Mixed: true}); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("got %+v, %v, want %+v", h, err, want)
	}
}

// Pods that are younger than the space between readings are read more closely, and of
// one that was read once nothing is known; the source stops looking.
func TestDistributionOfYoungPods(t *testing.T) {
	q := analysis.DistributionQuery{Signal: latency(), Matches: checkout("v1"), From: at(-3600), To: at(61)}
	h, err := open(t, newFake(t, buckets("a", [4]float64{1, 2, 3, 4}, [4]float64{2, 4, 6, 9})...).URL).Distribution(t.Context(), q)
	if want := []float64{3, 4}; err != nil || !slices.Equal(h.Counts, want) {
		t.Errorf("got %+v, %v, want %v", h, err, want)
	}
	f := newFake(t, part("a", "_bucket", "0.25", readings(60, 3)), part("a", "_bucket", "+Inf", readings(60, 5)))
	h, err = open(t, f.URL).Distribution(t.Context(), q)
	if n := len(f.asked()); err != nil || len(h.Counts) != 0 || n > 6 {
		t.Errorf("of one reading: %+v, %v, after %d queries", h, err, n)
	}
}

// Where the answer is over the limit of bytes, fewer readings do.
func TestDistributionKeepsItsLimit(t *testing.T) {
	texts := map[int]string{}
	for s := 0; s <= 3600; s += 15 {
		var populated []string
		for k := range 40 {
			populated = append(populated, fmt.Sprintf(`[0,"%d","%d","%d"]`, 1<<k, 2<<k, 1+s))
		}
		texts[s] = fmt.Sprintf(`{"count":"%d","sum":"1","buckets":[%s]}`, 40*(1+s), strings.Join(populated, ","))
	}
	f := newFake(t, exponential("a", texts))
	q := analysis.DistributionQuery{Signal: latency(), Matches: checkout("v1"), From: at(0), To: at(3601)}
	s := open(t, f.URL, func(c *Config) { c.MaxBytes = 7000 })
	h, err := s.Distribution(t.Context(), q)
	if err != nil || h.Total() < 40*3500 || h.Schema == nil || *h.Schema != 0 {
		t.Errorf("got %v observations, %v", h.Total(), err)
	}
	if n := len(f.asked()); n < 2 {
		t.Errorf("%d queries: the first was within the limit", n)
	}
	s = open(t, f.URL, func(c *Config) { c.MaxBytes = 2000 })
	if _, err := s.Distribution(t.Context(), q); sources.KindOf(err) != sources.Malformed {
		t.Errorf("over the limit whatever is asked: %v", err)
	}
}

// Of a container that was replaced in the middle of a long fold only the successor
// counts; what is not a number is no reading.
func TestLevels(t *testing.T) {
	gauge := func(pod, container string, samples []analysis.Sample) recorded {
		return recorded{labels: pairs("__name__", "memory_bytes", "service_name", "checkout", "service_version", "v1", "pod", pod, "container", container, "instance", "kubelet:80"), samples: samples}
	}
	f := newFake(t,
		gauge("a", "old", readings(-15, 7, 0, 7, 15, 7)), gauge("a", "new", readings(30, 1, 45, 2, 60, 3)), gauge("a", "side", readings(0, 100, 15, 100, 30, 100, 45, 200, 60, nan)),
		gauge("b", "app", readings(-15, 7, 0, 7)), gauge("c", "app", readings(60, nan)))
	q := minuteQuery("v1")
	q.Signal = analysis.Signal{Source: "prom", Unit: "By", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "memory_bytes"}}
	got, err := open(t, f.URL).Rows(t.Context(), q)
	want := []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Level: 203, Received: 4}}
	if err != nil || !reflect.DeepEqual(got.Rows, want) {
		t.Errorf("got %+v, %v, want %+v", got.Rows, err, want)
	}
	_, err = open(t, f.URL).History(t.Context(), analysis.HistoryQuery{Signal: q.Signal, Matches: q.Matches, From: at(0), To: at(60), Step: 7 * 1e9})
	if sources.KindOf(err) != sources.Rejected {
		t.Errorf("a step of 7 s: %v", err)
	}
}
