package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
)

// askedAt is the client of a server that answers for a source, or with anything else.
func askedAt(t *testing.T, handler http.Handler) pushedSource {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := newClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return pushedSource{"otlp", c}
}

// What a client hears over HTTP is what the source says itself.
func TestPushedRoundTrip(t *testing.T) {
	source, err := otlp.New(otlp.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	signal := analysis.Signal{
		Name: "errors", Source: "otlp", Unit: "1", Shape: analysis.ShapeRatio,
		Bad:   &analysis.Selector{Metric: "requests", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpIn, Values: []string{"5xx"}}}},
		Total: &analysis.Selector{Metric: "requests"},
	}
	if err := source.Track([]analysis.Signal{signal}); err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i := range 20 {
		if _, err := source.Consume(t.Context(), requestsAt(begin.Add(time.Duration(i)*15*time.Second), float64(i))); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{table: map[string]sources.Source{"otlp": source}}
	s.gather = gather.New(s.table, gather.Options{})
	there := askedAt(t, httpapi.New(httpapi.Config{Pushed: s.pushed(), Metrics: http.NotFoundHandler()}))
	here := s.pushed()["otlp"]

	ctx, from, to := t.Context(), begin.Add(-time.Minute), begin.Add(time.Hour)
	matches := []analysis.Match{{Name: analysis.AttrVersion, Values: []string{"1.0"}}}
	same := func(what string, got, want any, err, wantErr error) {
		t.Helper()
		if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) || reflect.ValueOf(got).IsZero() {
			t.Errorf("%s over HTTP: %+v, %v\nof the source: %+v, %v", what, got, err, want, wantErr)
		}
	}
	seenQuery := analysis.SeenQuery{Signal: signal, Service: "cart", From: from, To: to}
	seen, err := there.Seen(ctx, seenQuery)
	seenHere, errHere := here.Seen(ctx, seenQuery)
	same("seen", seen, seenHere, err, errHere)
	spacingQuery := analysis.SpacingQuery{Signal: signal, Matches: matches, From: from, To: to}
	spacing, err := there.Spacing(ctx, spacingQuery)
	spacingHere, errHere := here.Spacing(ctx, spacingQuery)
	same("spacing", spacing, spacingHere, err, errHere)
	historyQuery := analysis.HistoryQuery{Signal: signal, Matches: matches, From: from, To: to}
	sums, kept, err := there.Past(ctx, historyQuery)
	sumsHere, _, errHere := here.History(ctx, historyQuery)
	same("history", sums, sumsHere, err, errHere)
	metric, err := there.Metric(ctx, "requests", from, to)
	metricHere, errHere := here.Metric(ctx, "requests", from, to)
	same("metric", metric, metricHere, err, errHere)
	values, err := there.Values(ctx, "requests", "code", from, to)
	valuesHere, errHere := here.Values(ctx, "requests", "code", from, to)
	same("values", values, valuesHere, err, errHere)

	historyQuery.Signal.Bad = &analysis.Selector{Metric: "failures"}
	_, forgotten, err := there.Past(ctx, historyQuery)
	if !kept || forgotten || err != nil {
		t.Errorf("kept: %v, and %v of a signal that no objective names (%v)", kept, forgotten, err)
	}

	// A refusal keeps its words.
	seenQuery.Signal.Total = &analysis.Selector{Metric: "requests", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}}
	_, err = there.Seen(ctx, seenQuery)
	_, errHere = here.Seen(ctx, seenQuery)
	if err == nil || sources.KindOf(err) != sources.Rejected || err.Error() != errHere.Error() {
		t.Errorf("over HTTP: %v\nof the source: %v", err, errHere)
	}
}

// requestsAt is an export of a pod of cart.
func requestsAt(at time.Time, n float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	for name, value := range map[string]string{analysis.AttrService: "cart", analysis.AttrVersion: "1.0", analysis.AttrPod: "cart-0"} {
		rm.Resource().Attributes().PutStr(name, value)
	}
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("requests")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for code, v := range map[string]float64{"200": n, "500": n / 2} {
		p := sum.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(v)
		p.Attributes().PutStr("code", code)
	}
	return md
}

// Whatever answers is an error of the source with the kind that says what to do.
func TestPushedErrors(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		retryAfter string
		body       string
		kind       sources.Kind
		after      time.Duration
		says       string
	}{
		"at rest":              {503, "7", `{"detail":"it rests","kind":"unavailable"}`, sources.Unavailable, 7 * time.Second, "source otlp: metric: unavailable: it rests"},
		"a pause in the past":  {503, "-7", `{"detail":"it rests","kind":"unavailable"}`, sources.Unavailable, 0, "it rests"},
		"refused":              {422, "", `{"detail":"no","kind":"rejected"}`, sources.Rejected, 0, "source otlp: metric: rejected: no"},
		"too much":             {502, "", `{"detail":"too much","kind":"malformed"}`, sources.Malformed, 0, "source otlp: metric: malformed: too much"},
		"an older server":      {404, "", `{"detail":"no such address: /v1/sources/otlp/metric"}`, sources.Rejected, 0, "no such address"},
		"somebody else":        {404, "", `404 page not found`, sources.Rejected, 0, "404 page not found"},
		"not authorised":       {401, "", `{"detail":"who are you?"}`, sources.Rejected, 0, "refuses: who are you?"},
		"a proxy in its place": {504, "", `<html>`, sources.Unavailable, 0, "504 Gateway Timeout"},
		"too many requests":    {429, "", ``, sources.Unavailable, 0, "429 Too Many Requests"},
		"no answer to it":      {200, "", `<html>`, sources.Malformed, 0, "is not understood"},
	} {
		p := askedAt(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.retryAfter)
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		_, err := p.Metric(t.Context(), "m", time.Unix(0, 0), time.Unix(60, 0))
		var known *sources.Error
		if !errors.As(err, &known) || known.Kind != test.kind || known.Source != "otlp" || known.Op != "metric" || known.RetryAfter != test.after || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v (%+v), want %v and %q", name, err, known, test.kind, test.says)
		}
	}
}

// Nobody there is told from somebody who refuses.
func TestPushedProbe(t *testing.T) {
	p := askedAt(t, http.NotFoundHandler())
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("somebody is there: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	c, err := newClient(gone.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := (pushedSource{"otlp", c}).Probe(context.Background()); !errors.Is(err, errNoServer) || !strings.Contains(err.Error(), gone.URL) {
		t.Errorf("nobody is there: %v", err)
	}
}
