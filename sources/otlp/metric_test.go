package otlp_test

import (
	"fmt"
	"reflect"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
)

// everyType is one export of a pod with a metric of each type, at an instant.
func everyType(pod string, seconds float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	putAll(rm.Resource().Attributes(), map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: pod})
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	metric := func(name string) pmetric.Metric {
		m := metrics.AppendEmpty()
		m.SetName(name)
		return m
	}
	sum := func(name string, monotonic bool, temporality pmetric.AggregationTemporality) {
		s := metric(name).SetEmptySum()
		s.SetIsMonotonic(monotonic)
		s.SetAggregationTemporality(temporality)
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(stamp(seconds))
		p.SetIntValue(1)
		p.Attributes().PutStr("outcome", "stored")
	}
	sum("requests", true, cumulativeSum)
	sum("increments", true, deltaSum)
	sum("in.flight", false, cumulativeSum)
	g := metric("queue").SetEmptyGauge().DataPoints().AppendEmpty()
	g.SetTimestamp(stamp(seconds))
	h := metric("duration").SetEmptyHistogram()
	h.SetAggregationTemporality(cumulativeSum)
	p := h.DataPoints().AppendEmpty()
	p.SetTimestamp(stamp(seconds))
	p.SetCount(3)
	p.SetSum(0.5)
	e := metric("size").SetEmptyExponentialHistogram()
	e.SetAggregationTemporality(deltaSum)
	x := e.DataPoints().AppendEmpty()
	x.SetTimestamp(stamp(seconds))
	return md
}

// A metric is what its senders say that it is, and nothing where they disagree.
func TestMetricType(t *testing.T) {
	s := newSource(t)
	push(t, s, everyType("a", 10))
	resource := []string{analysis.AttrPod, analysis.AttrService}
	for name, want := range map[string]sources.Metric{
		"requests":   {Type: "counter", Labels: []string{"outcome"}, Resource: resource},
		"increments": {Type: "counter", Labels: []string{"outcome"}, Resource: resource},
		"in.flight":  {Type: "gauge", Labels: []string{"outcome"}, Resource: resource},
		"queue":      {Type: "gauge", Resource: resource},
		"duration":   {Type: "histogram", Resource: resource},
		"size":       {Type: "histogram", Resource: resource},
		"request":    {Near: []string{"requests", "queue", "size", "increments", "duration", "in.flight"}},
	} {
		if got, err := s.Metric(t.Context(), name, at(0), at(60)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	if got, err := s.Metric(t.Context(), "requests", at(10), at(60)); err != nil || got.Known() || len(got.Near) != 5 {
		t.Errorf("a metric that fell silent: %+v, %v", got, err)
	}

	// Another service calls a gauge the same.
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(analysis.AttrService, "cart")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("requests")
	m.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(stamp(20))
	push(t, s, md)
	if got, err := s.Metric(t.Context(), "requests", at(0), at(60)); err != nil || got.Type != "" || !got.Known() {
		t.Errorf("two opinions: %+v, %v", got, err)
	}
}

// Of an attribute the first ten values are told, of the asked time only.
func TestValues(t *testing.T) {
	s := newSource(t)
	var points []point
	for i := range 12 {
		points = append(points, point{at: 10, status: fmt.Sprint(500 + i), v: 1})
	}
	push(t, s, exportOf("a", cumulativeSum, points...))
	push(t, s, exportOf("a", cumulativeSum, point{at: 70, status: "200", v: 1}))
	for _, test := range []struct {
		attribute string
		from, to  float64
		want      []string
	}{
		{"status", 0, 60, []string{"500", "501", "502", "503", "504", "505", "506", "507", "508", "509"}},
		{"status", 60, 120, []string{"200"}},
		{"colour", 0, 120, nil},
		{"status", 100, 120, nil},
	} {
		got, err := s.Values(t.Context(), "requests", test.attribute, at(test.from), at(test.to))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
}

// Only the signals of loaded objectives have a history that stays.
func TestTracks(t *testing.T) {
	s := newSource(t)
	tracked := errorsOfRequests()
	if s.Tracks(tracked) {
		t.Error("tracked before Track")
	}
	if err := s.Track([]analysis.Signal{tracked}); err != nil {
		t.Fatal(err)
	}
	renamed, other := tracked, tracked
	renamed.Name = "the same under another name"
	other.Bad = &analysis.Selector{Metric: "failures"}
	if !s.Tracks(tracked) || !s.Tracks(renamed) || s.Tracks(other) || s.Tracks(analysis.Signal{}) {
		t.Errorf("tracked %v, renamed %v, other %v, none %v", s.Tracks(tracked), s.Tracks(renamed), s.Tracks(other), s.Tracks(analysis.Signal{}))
	}
}

// Who only looks closes nothing: what comes late for the time that was asked about is
// still taken.
func TestLookingChangesNothing(t *testing.T) {
	s := newSource(t)
	push(t, s, exportOf("a", cumulativeSum, point{at: 10, status: "200", v: 1}, point{at: 50, status: "200", v: 5}))
	ctx, signal := t.Context(), errorsOfRequests()
	_, seenErr := s.Seen(ctx, analysis.SeenQuery{Signal: signal, From: at(0), To: at(60)})
	_, spacingErr := s.Spacing(ctx, analysis.SpacingQuery{Signal: signal, From: at(0), To: at(60)})
	_, historyErr := s.History(ctx, analysis.HistoryQuery{Signal: signal, From: at(0), To: at(60)})
	_, metricErr := s.Metric(ctx, "requests", at(0), at(60))
	_, valuesErr := s.Values(ctx, "requests", "status", at(0), at(60))
	for _, err := range []error{seenErr, spacingErr, historyErr, metricErr, valuesErr} {
		if err != nil {
			t.Fatal(err)
		}
	}
	push(t, s, exportOf("a", cumulativeSum, point{at: 30, status: "200", v: 3}))
	if n := s.Stats().Dropped[otlp.DropLate]; n != 0 {
		t.Errorf("%d points were late after somebody looked", n)
	}
}
