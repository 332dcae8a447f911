package prometheus

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// described answers questions about names from tables.
func described(t *testing.T, types map[string][]string, labels map[string][]string, values []string) *Source {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data any
		switch path.Base(r.URL.Path) {
		case "labels":
			data = append([]string{}, labels[r.FormValue("match[]")]...)
		case "values":
			data = values
		case "metadata":
			if types == nil {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			found := map[string][]map[string]string{}
			for _, t := range types[r.FormValue("metric")] {
				found[r.FormValue("metric")] = append(found[r.FormValue("metric")], map[string]string{"type": t})
			}
			data = found
		}
		json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}))
	t.Cleanup(server.Close)
	return open(t, server.URL)
}

// TestMetricType looks for the declaration where the products and formats keep it.
func TestMetricType(t *testing.T) {
	const there = "carried by a label"
	for name, test := range map[string]struct {
		metric string
		types  map[string][]string
		want   string
	}{
		"the name itself":                     {"m_total", map[string][]string{"m_total": {"counter"}}, "counter"},
		"several targets that agree":          {"m", map[string][]string{"m": {"gauge", "gauge"}}, "gauge"},
		"targets that disagree":               {"m", map[string][]string{"m": {"gauge", "counter"}}, ""},
		"a counter of OpenMetrics":            {"m_total", map[string][]string{"m": {"counter"}}, "counter"},
		"a gauge without the suffix":          {"m_total", map[string][]string{"m": {"gauge"}}, ""},
		"a part of a histogram":               {"m_bucket", map[string][]string{"m": {"histogram"}}, "histogram"},
		"a part of a summary":                 {"m_count", map[string][]string{"m": {"summary"}}, "summary"},
		"a gauge that is called like a part":  {"m_count", map[string][]string{"m_count": {"gauge"}, "m": {"histogram"}}, "gauge"},
		"another metric without the suffix":   {"m_count", map[string][]string{"m": {"gauge"}}, ""},
		"unknown to the target":               {"m", map[string][]string{"m": {"unknown"}}, ""},
		"nobody declares it":                  {"m", map[string][]string{}, ""},
		"a product that keeps no declaration": {"m", nil, ""},
	} {
		s := described(t, test.types, map[string][]string{test.metric: {"__name__", there}}, nil)
		got, err := s.Metric(t.Context(), test.metric, time.Unix(0, 0), time.Unix(3600, 0))
		if err != nil || got.Type != test.want || !reflect.DeepEqual(got.Labels, []string{there}) {
			t.Errorf("%s: %+v, %v, want type %q", name, got, err, test.want)
		}
	}
}

// Of a name that nothing has, those that come nearest are offered.
func TestMetricNear(t *testing.T) {
	s := described(t, map[string][]string{}, nil, []string{"up", "http_requests_total", "http_responses_total"})
	got, err := s.Metric(t.Context(), "http_request_total", time.Unix(0, 0), time.Unix(3600, 0))
	want := sources.Metric{Near: []string{"http_requests_total", "http_responses_total", "up"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMetricUnavailable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	if _, err := open(t, server.URL).Metric(t.Context(), "m", time.Unix(0, 0), time.Unix(3600, 0)); sources.KindOf(err) != sources.Unavailable || err == nil {
		t.Error(err)
	}
}

func TestCarries(t *testing.T) {
	condition := func(op analysis.Op, value string) analysis.Condition {
		return analysis.Condition{Name: "code", Op: op, Values: []string{value}}
	}
	for _, test := range []struct {
		condition analysis.Condition
		without   bool // it can hold for series that lack the label
	}{
		{condition(analysis.OpEqual, "500"), false},
		{condition(analysis.OpEqual, ""), true},
		{condition(analysis.OpNotEqual, "500"), true},
		{condition(analysis.OpRegexp, "5.."), false},
		{condition(analysis.OpRegexp, ".*"), true},
		{condition(analysis.OpNotRegexp, "4.."), true},
		{condition(analysis.OpIn, "500"), false},
	} {
		if got := Carries([]string{"job"}, test.condition); got != test.without {
			t.Errorf("%+v on series without the label: %v", test.condition, got)
		}
		if got := Carries([]string{"code"}, test.condition); got != (test.condition.Op != analysis.OpIn) {
			t.Errorf("%+v on series with the label: %v", test.condition, got)
		}
	}
}
