package prometheus

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func TestRows(t *testing.T) {
	ok, bad := "200", "500"
	for _, test := range []struct {
		name   string
		series []recorded
		change func(*analysis.Query)
		want   []analysis.Row
	}{
		{name: "nothing is no error"},
		{
			name: "deltas of both arms",
			series: []recorded{
				requests("a", "v1", ok, readings(-30, 100, 0, 110, 30, 130, 60, 150, 90, 1000)),
				requests("a", "v1", bad, readings(-30, 1, 0, 2, 30, 2, 60, 5, 90, 500)),
				requests("b", "v2", ok, readings(0, 10, 60, 20)),
				requests("c", "v3", ok, readings(0, 10, 60, 20)), // not asked for
			},
			want: []analysis.Row{
				{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 3, Exposure: 43}, Received: 2},
				{Values: []string{"checkout", "v2"}, Pod: "b", Increase: analysis.Increase{Exposure: 10}, Received: 1},
			},
		},
		{
			name: "good events",
			series: []recorded{
				requests("a", "v1", ok, readings(0, 100, 60, 190)),
				requests("a", "v1", bad, readings(0, 0, 60, 10)),
			},
			change: func(q *analysis.Query) {
				q.Signal.Good, q.Signal.Bad = &analysis.Selector{Metric: "http_requests_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpNotRegexp, Values: []string{"5.."}}}}, nil
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 10, Exposure: 100}, Received: 1}},
		},
		{
			name: "an error series is born with its first error",
			series: []recorded{
				requests("a", "v1", ok, readings(0, 100, 60, 190)),
				requests("a", "v1", bad, readings(60, 1)),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 1, Exposure: 91}, Received: 1}},
		},
		{
			name: "a restart resets all series of a target, and only of that target",
			series: []recorded{
				requests("a", "v1", ok, readings(0, 100, 60, 90)),
				requests("a", "v1", bad, readings(0, 5, 60, 6)),
				{labels: pairs("__name__", "http_requests_total", "service_name", "checkout", "service_version", "v1", "pod", "a", "instance", "a:81", "job", "sidecar", "code", ok), samples: readings(0, 1000, 60, 1001)},
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 6, Exposure: 97}, Received: 1}},
		},
		{
			name: "a restart that the values hide is known by the start",
			series: []recorded{
				requests("a", "v1", ok, readings(0, 10, 60, 20)),
				started("a", "v1", readings(0, unix(at(-5000)), 60, unix(at(40)))),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", PodStart: at(40), Increase: analysis.Increase{Exposure: 20}, Received: 1, Fresh: true}},
		},
		{
			name: "a start that wanders by a second is no restart",
			series: []recorded{
				requests("a", "v1", ok, readings(0, 10, 30, 12, 60, 20)),
				started("a", "v1", readings(0, unix(at(-5000)), 30, unix(at(-4999)), 60, unix(at(-5000)))),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", PodStart: at(-5000), Increase: analysis.Increase{Exposure: 10}, Received: 2, Fresh: true}},
		},
		{
			name: "started inside the fold: the first sample counts",
			series: []recorded{
				requests("a", "v1", ok, readings(30, 7, 60, 9)),
				started("a", "v1", readings(30, unix(at(20)))),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", PodStart: at(20), Increase: analysis.Increase{Exposure: 9}, Received: 2, Fresh: true}},
		},
		{
			name: "a target's clock that runs ahead makes no restart",
			series: []recorded{
				requests("a", "v1", ok, readings(15, 7, 30, 8, 60, 9)),
				started("a", "v1", readings(15, unix(at(40)), 30, unix(at(40)), 60, unix(at(40)))),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", PodStart: at(15), Increase: analysis.Increase{Exposure: 9}, Received: 3, Fresh: true}},
		},
		{
			name: "a target's clock that lags hides no restart",
			series: []recorded{
				requests("a", "v1", ok, readings(0, 10, 60, 20)),
				started("a", "v1", readings(0, unix(at(-5000)), 60, unix(at(-200)))),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", PodStart: at(0).Add(time.Millisecond), Increase: analysis.Increase{Exposure: 20}, Received: 1, Fresh: true}},
		},
		{
			name: "a quiet error series that is older than the look-back is not counted again",
			series: []recorded{
				requests("a", "v1", ok, readings(-500, 10, 0, 20, 60, 30)),
				requests("a", "v1", bad, readings(-500, 7, 60, 8)),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 1, Exposure: 11}, Received: 1}},
		},
		{
			name:   "new, start unknown: the first sample is left to Counted",
			series: []recorded{requests("a", "v1", bad, readings(30, 7, 60, 9))},
			want:   []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 2, Exposure: 2, New: true, FirstBad: 7, FirstExposure: 7}, Received: 2}},
		},
		{
			name:   "back after an outage longer than the look-back: not new",
			series: []recorded{requests("a", "v1", bad, readings(-500, 5, 30, 7, 60, 9))},
			want:   []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 4, Exposure: 4}, Received: 2}},
		},
		{
			name:   "back after an outage that began before Since: new",
			series: []recorded{requests("a", "v1", bad, readings(-700, 5, 30, 7, 60, 9))},
			want:   []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 2, Exposure: 2, New: true, FirstBad: 7, FirstExposure: 7}, Received: 2}},
		},
		{
			name: "alive and silent, and gone",
			series: []recorded{
				started("a", "v1", readings(0, unix(at(-50)), 60, unix(at(-50)))),
				requests("b", "v1", ok, readings(-60, 5, 0, 7)),
				started("b", "v1", readings(-60, unix(at(-500)), 0, unix(at(-500)))),
			},
			want: []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", PodStart: at(-50), Fresh: true}},
		},
		{
			name: "observed, on the counters alone",
			series: []recorded{
				{labels: pairs("__name__", "http_requests_total", "track", "canary", "service_version", "v2", "instance", "10.0.0.1:80", "code", ok), samples: readings(0, 1, 60, 3)},
				{labels: pairs("__name__", startMetric, "track", "canary", "instance", "10.0.0.1:80"), samples: readings(60, unix(at(-90)))},
				{labels: pairs("__name__", "http_requests_total", "track", "stable", "service_version", "v1", "instance", "10.0.0.2:80", "code", ok), samples: readings(0, 1, 60, 3)},
			},
			change: func(q *analysis.Query) {
				q.Matches = []analysis.Match{{Name: "track", Values: []string{"canary", "stable"}}}
				q.Observe = []string{analysis.AttrVersion}
			},
			want: []analysis.Row{
				{Values: []string{"canary"}, Observed: []string{"v2"}, Pod: "10.0.0.1:80", PodStart: at(-90), Increase: analysis.Increase{Exposure: 2}, Received: 1, Fresh: true},
				{Values: []string{"stable"}, Observed: []string{"v1"}, Pod: "10.0.0.2:80", Increase: analysis.Increase{Exposure: 2}, Received: 1},
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, test.series...)
			q := minuteQuery("v1", "v2")
			if test.change != nil {
				test.change(&q)
			}
			got, err := open(t, f.URL).Rows(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Rows, test.want) {
				t.Errorf("rows\n got %+v\nwant %+v", got.Rows, test.want)
			}
			if !slices.Equal(got.Rendered, f.asked()) {
				t.Errorf("rendered %q is not what was asked", got.Rendered)
			}
		})
	}
}

// The answer as of a fold's end does not change when later samples come.
func TestRowsKnowNoFuture(t *testing.T) {
	full := []recorded{
		requests("a", "v1", "200", readings(-60, 1, 0, 5, 60, 9, 61, 2, 120, 4)),
		requests("a", "v1", "500", readings(61, 1, 120, 2)),
		started("a", "v1", readings(-60, unix(at(-900)), 60, unix(at(-900)), 61, unix(at(60)))),
		requests("b", "v2", "200", readings(61, 1)),
	}
	var cut []recorded
	for _, s := range full {
		s.samples = slices.DeleteFunc(slices.Clone(s.samples), func(s analysis.Sample) bool { return s.T.After(at(60)) })
		cut = append(cut, s)
	}
	later, err := open(t, newFake(t, full...).URL).Rows(context.Background(), minuteQuery("v1", "v2"))
	if err != nil {
		t.Fatal(err)
	}
	then, err := open(t, newFake(t, cut...).URL).Rows(context.Background(), minuteQuery("v1", "v2"))
	if err != nil || !reflect.DeepEqual(later, then) {
		t.Errorf("later %+v\n then %+v (%v)", later, then, err)
	}
	f := newFake(t, full...) // a server that answers more than it was asked
	f.ahead = time.Hour
	more, err := open(t, f.URL).Rows(context.Background(), minuteQuery("v1", "v2"))
	if err != nil || !reflect.DeepEqual(more, then) {
		t.Errorf("more %+v\nthen %+v (%v)", more, then, err)
	}
}

func TestRowsAskFewQueries(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*analysis.Query)
		want   []string
	}{
		{
			"bad is a part of total: one query for both",
			func(*analysis.Query) {},
			[]string{
				`http_requests_total{service_name="checkout",service_version=~"v1|v2"}[6m]`,
				`process_start_time_seconds{service_name="checkout",service_version=~"v1|v2"}[6m]`,
				`http_requests_total{pod="b",service_name="checkout",service_version=~"v1|v2"}[11m]`,
			},
		},
		{
			"two metrics",
			func(q *analysis.Query) { q.Signal.Bad = &analysis.Selector{Metric: "http_errors_total"} },
			[]string{
				`http_requests_total{service_name="checkout",service_version=~"v1|v2"}[6m]`,
				`http_errors_total{service_name="checkout",service_version=~"v1|v2"}[6m]`,
				`process_start_time_seconds{service_name="checkout",service_version=~"v1|v2"}[6m]`,
				`http_requests_total{pod="b",service_name="checkout",service_version=~"v1|v2"}[11m]`,
				`http_errors_total{pod="b",service_name="checkout",service_version=~"v1|v2"}[11m]`,
			},
		},
		{
			"long folds look further back, as far as Since at once",
			func(q *analysis.Query) { q.Fold.Start = at(-300) },
			[]string{
				`http_requests_total{service_name="checkout",service_version=~"v1|v2"}[24m]`,
				`process_start_time_seconds{service_name="checkout",service_version=~"v1|v2"}[24m]`,
			},
		},
	} {
		f := newFake(t, requests("a", "v1", "200", readings(0, 1, 60, 2)), requests("b", "v2", "200", readings(60, 2)))
		q := minuteQuery("v1", "v2")
		test.change(&q)
		if _, err := open(t, f.URL).Rows(context.Background(), q); err != nil {
			t.Fatal(err)
		}
		if got := f.asked(); !slices.Equal(got, test.want) {
			t.Errorf("%s: asked\n%s", test.name, strings.Join(got, "\n"))
		}
	}
}

func TestWarningsMakeAnAnswerPartial(t *testing.T) {
	f := newFake(t, requests("a", "v1", "200", readings(0, 1, 60, 2)))
	f.warnings = []string{"store 3 did not answer"}
	got, err := open(t, f.URL).Rows(context.Background(), minuteQuery("v1"))
	if err != nil || !got.Partial || !slices.Equal(got.Warnings, f.warnings) || len(got.Rows) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLabelsOfTheInstallation(t *testing.T) {
	f := newFake(t, recorded{labels: pairs("__name__", "http_requests_total", "app", "checkout", "destination_version", "v1", "kubernetes_pod", "a", "code", "500"), samples: readings(0, 1, 60, 4)})
	s := open(t, f.URL, func(c *Config) {
		c.Labels = map[string]string{analysis.AttrService: "app", analysis.AttrVersion: "destination_version", analysis.AttrPod: "kubernetes_pod"}
	})
	got, err := s.Rows(context.Background(), minuteQuery("v1"))
	want := []analysis.Row{{Values: []string{"checkout", "v1"}, Pod: "a", Increase: analysis.Increase{Bad: 3, Exposure: 3}, Received: 1}}
	if err != nil || !reflect.DeepEqual(got.Rows, want) {
		t.Errorf("got %+v, %v", got.Rows, err)
	}
}
