package otlp_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// Times are seconds since this instant.
var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func fold(from, to float64) analysis.Fold { return analysis.Fold{Start: at(from), End: at(to)} }

func stamp(seconds float64) pcommon.Timestamp { return pcommon.NewTimestampFromTime(at(seconds)) }

const (
	cumulativeSum = pmetric.AggregationTemporalityCumulative
	deltaSum      = pmetric.AggregationTemporalityDelta
)

// A point is one data point of the metric "requests".
type point struct {
	at, start float64 // start 0: not given
	status    string
	v         float64
}

// exportOf is one export of a pod of the service "checkout".
func exportOf(pod string, temporality pmetric.AggregationTemporality, points ...point) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	putAll(rm.Resource().Attributes(), map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: pod})
	sm := rm.ScopeMetrics().AppendEmpty()
	for _, p := range points {
		m := sm.Metrics().AppendEmpty()
		m.SetName("requests")
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(temporality)
		dp := sum.DataPoints().AppendEmpty()
		dp.SetTimestamp(stamp(p.at))
		if p.start != 0 {
			dp.SetStartTimestamp(stamp(p.start))
		}
		dp.Attributes().PutStr("status", p.status)
		dp.SetDoubleValue(p.v)
	}
	return md
}

func push(t *testing.T, source *otlp.Source, md pmetric.Metrics) otlp.Outcome {
	t.Helper()
	outcome, err := source.Consume(t.Context(), md)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// errorsOfRequests counts the points with a status of class 5xx.
func errorsOfRequests() analysis.Signal {
	return analysis.Signal{
		Name: "errors", Source: "otlp", Unit: "1", Shape: analysis.ShapeRatio,
		Bad:   &analysis.Selector{Metric: "requests", Conditions: []analysis.Condition{{Name: "status", Op: analysis.OpIn, Values: []string{"5xx"}}}},
		Total: &analysis.Selector{Metric: "requests"},
	}
}

func checkout(f analysis.Fold) analysis.Query {
	return analysis.Query{
		Signal: errorsOfRequests(), Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}},
		Fold: f, Since: f.Start.Add(-time.Hour),
	}
}

func answerTo(t *testing.T, source *otlp.Source, q analysis.Query) analysis.Answer {
	t.Helper()
	answer, err := source.Rows(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// countsOf is the rows in short: "pod: bad of exposure (received)".
func countsOf(answer analysis.Answer) string {
	var out []string
	for _, r := range answer.Rows {
		text := fmt.Sprintf("%s: %v of %v (%d)", r.Pod, r.Bad, r.Exposure, r.Received)
		if r.New {
			text += fmt.Sprintf(" first %v of %v", r.FirstBad, r.FirstExposure)
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func wantCounts(t *testing.T, source *otlp.Source, f analysis.Fold, want string) {
	t.Helper()
	if got := countsOf(answerTo(t, source, checkout(f))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnAnswerNeverChanges(t *testing.T) {
	source := newSource(t)
	push(t, source, exportOf("a", cumulativeSum, point{at: -5, status: "200", v: 100}))
	push(t, source, exportOf("a", cumulativeSum, point{at: 10, status: "200", v: 110}))
	const want = "a: 0 of 10 (1)"
	wantCounts(t, source, fold(0, 15), want)

	late := push(t, source, exportOf("a", cumulativeSum, point{at: 12, status: "200", v: 400}, point{at: 15, status: "500", v: 7}))
	if late.Accepted != 0 || late.Dropped(otlp.DropLate) != 2 {
		t.Errorf("got %+v, want two late points", late)
	}
	// Nor may a pod appear that nobody had heard of, or one of another service's question.
	push(t, source, exportOf("b", cumulativeSum, point{at: 3, status: "200", v: 9}))
	wantCounts(t, source, fold(0, 15), want)

	// What comes for the next fold is in time, from both pods.
	push(t, source, exportOf("a", cumulativeSum, point{at: 25, status: "200", v: 130}))
	push(t, source, exportOf("b", cumulativeSum, point{at: 24, status: "200", v: 9}))
	wantCounts(t, source, fold(0, 15), want)
	wantCounts(t, source, fold(15, 30), "a: 0 of 20 (1); b: 0 of 0 (1) first 0 of 9")
	if got := source.Stats().Late; got != 3 {
		t.Errorf("%d late, want 3", got)
	}
}

func TestAnAnswerAboutOneServiceDoesNotCloseAnother(t *testing.T) {
	source := newSource(t)
	q := checkout(fold(0, 15))
	q.Matches[0].Values = []string{"cart"}
	answerTo(t, source, q)
	if got := push(t, source, exportOf("a", cumulativeSum, point{at: 10, status: "200", v: 1})); got.Accepted != 1 {
		t.Errorf("got %+v, want the point accepted", got)
	}
}

func TestOutOfOrderAndDuplicates(t *testing.T) {
	for _, temporality := range []pmetric.AggregationTemporality{cumulativeSum, deltaSum} {
		t.Run(temporality.String(), func(t *testing.T) {
			source := newSource(t)
			points := []point{
				{at: -5, start: -20, status: "200", v: 100},
				{at: 10, start: -20, status: "200", v: 130},
				{at: 25, start: -20, status: "200", v: 170},
				{at: 40, start: -20, status: "200", v: 220},
			}
			if temporality == deltaSum {
				for i, v := range []float64{100, 30, 40, 50} {
					points[i].v, points[i].start = v, points[i].at-15
				}
			}
			for _, i := range []int{0, 3, 1, 2, 3, 0, 2} {
				push(t, source, exportOf("a", temporality, points[i]))
			}
			// The first value counts, whatever a later one says.
			changed := points[1]
			changed.v = 999
			push(t, source, exportOf("a", temporality, changed))
			if got := source.Stats().Dropped[otlp.DropDuplicate]; got != 4 {
				t.Errorf("%d duplicates, want 4", got)
			}
			wantCounts(t, source, fold(0, 15), "a: 0 of 30 (1)")
			wantCounts(t, source, fold(15, 30), "a: 0 of 40 (1)")
			wantCounts(t, source, fold(30, 45), "a: 0 of 50 (1)")
		})
	}
}

// The points of one export carry times that differ by microseconds. They are one
// reading, and a fold boundary must not fall between errors and requests.
func TestPointsOfOneExportAreOneReading(t *testing.T) {
	source := newSource(t)
	for i := range 5 {
		n := float64(i)
		base := 15*n - 0.00001 // the fold's end lies between the two points
		push(t, source, exportOf("a", cumulativeSum,
			point{at: base, status: "500", v: n}, point{at: base + 0.00002, status: "200", v: 10 * n}))
	}
	wantCounts(t, source, fold(0, 15), "a: 1 of 11 (1)")
	wantCounts(t, source, fold(15, 30), "a: 1 of 11 (1)")

	// Split by a collector into two requests, they are still one, and a repeated
	// half is a duplicate.
	for range 2 {
		push(t, source, exportOf("a", cumulativeSum, point{at: 74.99, status: "500", v: 5}))
		push(t, source, exportOf("a", cumulativeSum, point{at: 75.03, status: "200", v: 50}))
	}
	wantCounts(t, source, fold(60, 75), "a: 1 of 11 (1)")
	if got := source.Stats().Dropped[otlp.DropDuplicate]; got != 2 {
		t.Errorf("%d duplicates, want 2", got)
	}

	// Who exports every 50 ms is not aligned away.
	for i := range 4 {
		push(t, source, exportOf("a", deltaSum, point{at: 80 + 0.05*float64(i), start: 79.95 + 0.05*float64(i), status: "201", v: 1}))
	}
	wantCounts(t, source, fold(75, 90), "a: 0 of 4 (4)")
}

func TestDeltaCountsInFullFromItsStart(t *testing.T) {
	tests := []struct {
		name   string
		points []point
		want   string
	}{
		{"the first increment began in the fold", []point{{at: 10, start: 2, status: "200", v: 7}}, "a: 0 of 7 (1)"},
		{"it began with the fold", []point{{at: 10, start: 1e-9, status: "200", v: 7}}, "a: 0 of 7 (1)"},
		{"it began before the fold", []point{{at: 10, start: -600, status: "200", v: 7}}, "a: 0 of 7 (1)"},
		{"nobody says when it began", []point{{at: 10, status: "200", v: 7}}, "a: 0 of 0 (1) first 0 of 7"},
		{"zero-length, which is the same", []point{{at: 10, start: 10, status: "200", v: 7}}, "a: 0 of 0 (1) first 0 of 7"},
		{"a series joins", []point{{at: -5, start: -20, status: "200", v: 50}, {at: 10, start: -5, status: "200", v: 7}, {at: 10, start: -5, status: "500", v: 2}}, "a: 2 of 9 (1)"},
		{"a series is back after silence", []point{
			{at: -900, start: -915, status: "500", v: 50},
			{at: -900, start: -915, status: "200", v: 50},
			{at: -5, start: -20, status: "200", v: 50},
			{at: 10, start: -5, status: "200", v: 7},
			{at: 10, start: -5, status: "500", v: 2},
		}, "a: 2 of 9 (1)"},
		{"after a gap only what was sent counts", []point{{at: -5, start: -20, status: "200", v: 50}, {at: 10, start: 5, status: "200", v: 7}}, "a: 0 of 7 (1)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := newSource(t)
			for _, p := range test.points {
				push(t, source, exportOf("a", deltaSum, p))
			}
			wantCounts(t, source, fold(0, 15), test.want)
		})
	}
}

// Start times are the most exact news of restarts, if they are read with care.
func TestStartTimes(t *testing.T) {
	tests := []struct {
		name     string
		points   []point
		want     string
		podStart float64 // 0: unknown
	}{
		{
			name: "a restart that no value shows",
			points: []point{
				{at: -5, start: -900, status: "200", v: 10},
				{at: -5, start: -900, status: "500", v: 1},
				{at: 10, start: 2, status: "200", v: 12},
				{at: 10, start: 2, status: "500", v: 1},
			},
			want: "a: 1 of 13 (1)", podStart: 2,
		},
		{
			// SDKs may give each series the time of its own first event. The old ones
			// were not restarted.
			name: "a series with a start of its own",
			points: []point{
				{at: -5, start: -900, status: "200", v: 1000},
				{at: 10, start: -900, status: "200", v: 1010},
				{at: 10, start: 7, status: "500", v: 1},
			},
			want: "a: 1 of 11 (1)", podStart: -900,
		},
		{
			name: "one restart, two starts, and the error series comes later",
			points: []point{
				{at: -5, start: -900, status: "200", v: 1000},
				{at: -5, start: -800, status: "500", v: 3},
				{at: 5, start: 2, status: "200", v: 20},
				{at: 14, start: 2, status: "200", v: 50},
				{at: 14, start: 9, status: "500", v: 4},
			},
			want: "a: 4 of 54 (2)", podStart: 2,
		},
		{
			// Computed as now minus uptime, it wobbles.
			name: "a start that wobbles",
			points: []point{
				{at: -5, start: -900, status: "200", v: 1000}, {at: 10, start: -899.9, status: "200", v: 1010},
			},
			want: "a: 0 of 10 (1)", podStart: -899.9,
		},
		{
			// The Collector's Prometheus receiver: the first scrape is its own start.
			name:   "a start at the time of the first sample is unknown",
			points: []point{{at: 5, start: 5, status: "200", v: 70000}, {at: 14, start: 5, status: "200", v: 70010}},
			want:   "a: 0 of 10 (2) first 0 of 70000", podStart: 5,
		},
		{
			name:   "a start after the sample is unknown",
			points: []point{{at: 5, start: 50, status: "200", v: 70000}},
			want:   "a: 0 of 0 (1) first 0 of 70000",
		},
		{
			name:   "a fall without a new start is a restart",
			points: []point{{at: -5, start: -900, status: "200", v: 1000}, {at: -5, start: -900, status: "500", v: 5}, {at: 10, start: -900, status: "200", v: 7}, {at: 10, start: -900, status: "500", v: 6}},
			want:   "a: 6 of 13 (1)", podStart: -900,
		},
		{
			// One series knows starts, the other does not: then the rule is per target.
			name: "some series know their start",
			points: []point{
				{at: -5, start: -900, status: "200", v: 10},
				{at: -5, status: "500", v: 1},
				{at: 10, start: 2, status: "200", v: 12},
				{at: 10, status: "500", v: 1},
			},
			want: "a: 1 of 13 (1)", podStart: 2,
		},
		{
			// The second start is that of the same restart, not another one: what came
			// back first must not count twice.
			name: "some series know their start, and come back one by one",
			points: []point{
				{at: -5, start: -900, status: "200", v: 50},
				{at: -5, start: -900, status: "404", v: 50},
				{at: -5, status: "500", v: 50},
				{at: 5, start: 2, status: "200", v: 20},
				{at: 5, status: "500", v: 1},
				{at: 14, start: 2, status: "200", v: 30},
				{at: 14, start: 9, status: "404", v: 4},
				{at: 14, status: "500", v: 1},
			},
			want: "a: 1 of 35 (2)", podStart: 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := newSource(t)
			for _, p := range test.points {
				push(t, source, exportOf("a", cumulativeSum, p))
			}
			wantCounts(t, source, fold(0, 15), test.want)
			got := answerTo(t, source, checkout(fold(0, 15))).Rows[0].PodStart
			want := at(test.podStart)
			if test.podStart == 0 {
				want = time.Time{}
			}
			if !got.Equal(want) {
				t.Errorf("pod start %v, want %v", got, want)
			}
		})
	}
}

func TestProcessesOfOnePodAddUp(t *testing.T) {
	source := newSource(t)
	for i := range 3 {
		for worker, v := range []float64{100, 5000} {
			md := exportOf("a", cumulativeSum, point{at: float64(15*i - 5 + worker), status: "200", v: v + float64(10*i)})
			md.ResourceMetrics().At(0).Resource().Attributes().PutInt("process.pid", int64(worker))
			push(t, source, md)
		}
	}
	wantCounts(t, source, fold(0, 15), "a: 0 of 20 (1)")
}

func TestUnusablePoints(t *testing.T) {
	number := func(change func(pmetric.Metric, pmetric.NumberDataPoint)) pmetric.Metrics {
		md := exportOf("a", cumulativeSum, point{at: 10, status: "200", v: 1})
		m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		change(m, m.Sum().DataPoints().At(0))
		return md
	}
	summary := exportOf("a", cumulativeSum, point{at: 10, status: "200", v: 1})
	summary.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetEmptySummary().DataPoints().AppendEmpty()
	tests := []struct {
		name string
		md   pmetric.Metrics
		want otlp.Drop
	}{
		{"no time", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) { p.SetTimestamp(0) }), otlp.DropNoTime},
		{"the end of time", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) { p.SetTimestamp(math.MaxUint64) }), otlp.DropNoTime},
		{"NaN", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) { p.SetDoubleValue(math.NaN()) }), otlp.DropNotFinite},
		{"infinite", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) { p.SetDoubleValue(math.Inf(1)) }), otlp.DropNotFinite},
		{"negative", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) { p.SetIntValue(-1) }), otlp.DropNegative},
		{"no value", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) {
			p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
		}), otlp.DropNoValue},
		{"no temporality", number(func(m pmetric.Metric, _ pmetric.NumberDataPoint) {
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityUnspecified)
		}), otlp.DropUnsupported},
		{"a summary", summary, otlp.DropUnsupported},
		{"a label value of a mebibyte", number(func(_ pmetric.Metric, p pmetric.NumberDataPoint) {
			p.Attributes().PutStr("big", strings.Repeat("x", 1<<20))
		}), otlp.DropTooLong},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := newSource(t)
			got := push(t, source, test.md)
			if got.Accepted != 0 || got.Dropped(test.want) != 1 {
				t.Errorf("got %+v, want one %s", got, test.want)
			}
			stats := source.Stats()
			if stats.Dropped[test.want] != 1 || stats.Series != 0 || stats.Resources != 0 || stats.Services != 0 {
				t.Errorf("got %+v, want one %s and nothing kept", stats, test.want)
			}
			if n, why := got.Rejected(); (n == 1) != (test.want != otlp.DropNoValue) || n == 1 && why != test.want {
				t.Errorf("the sender is told of %d, %s", n, why)
			}
			if len(answerTo(t, source, checkout(fold(0, 15))).Rows) != 0 {
				t.Error("it became a row")
			}
		})
	}
}

// A resource with a name of a mebibyte is not kept either.
func TestOverlongResource(t *testing.T) {
	source := newSource(t)
	md := exportOf("a", cumulativeSum, point{at: 1, status: "200", v: 1}, point{at: 2, status: "200", v: 1})
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr(analysis.AttrService, strings.Repeat("x", 1<<20))
	if got := push(t, source, md); got.Dropped(otlp.DropTooLong) != 2 {
		t.Errorf("got %+v, want two points too long", got)
	}
	if stats := source.Stats(); stats.Services != 0 || stats.Resources != 0 {
		t.Errorf("kept: %+v", stats)
	}
}

func TestSeriesLimit(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.MaxSeries = 10 })
	var points []point
	for i := range 1000 {
		points = append(points, point{at: 1, status: fmt.Sprint(i), v: 1})
	}
	got := push(t, source, exportOf("a", cumulativeSum, points...))
	if got.Accepted != 10 || got.Dropped(otlp.DropSeriesLimit) != 990 || source.Stats().Series != 10 {
		t.Errorf("got %+v, want 10 accepted", got)
	}
	// Who is in stays in.
	if got := push(t, source, exportOf("a", cumulativeSum, point{at: 16, status: "9", v: 2})); got.Accepted != 1 {
		t.Errorf("got %+v, want the known series accepted", got)
	}
	if got := push(t, source, exportOf("b", cumulativeSum, point{at: 16, status: "9", v: 2})); got.Accepted != 0 || source.Stats().Resources != 1 {
		t.Errorf("got %+v of %d resources, want a new resource refused", got, source.Stats().Resources)
	}
}

// A pod whose metric is no counter is missing, not silent: a row with nothing
// received would say that it serves nothing.
func TestMetricThatIsNoCounter(t *testing.T) {
	gauge := func(m pmetric.Metric) {
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(stamp(10))
		p.SetDoubleValue(-3)
	}
	falling := func(m pmetric.Metric) { m.Sum().SetIsMonotonic(false) }
	histogram := func(m pmetric.Metric) {
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(cumulativeSum)
		p := h.DataPoints().AppendEmpty()
		p.SetTimestamp(stamp(10))
		p.SetCount(3)
	}
	for name, change := range map[string]func(pmetric.Metric){"a gauge": gauge, "a sum that may fall": falling, "a histogram": histogram} {
		t.Run(name, func(t *testing.T) {
			source := newSource(t)
			push(t, source, exportOf("good", cumulativeSum, point{at: -5, status: "200", v: 1}))
			push(t, source, exportOf("good", cumulativeSum, point{at: 10, status: "200", v: 3}))
			md := exportOf("odd", cumulativeSum, point{at: 10, status: "200", v: 1})
			change(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0))
			push(t, source, md)
			answer := answerTo(t, source, checkout(fold(0, 15)))
			if got := countsOf(answer); got != "good: 0 of 2 (1)" {
				t.Errorf("got %q", got)
			}
			if len(answer.Warnings) != 1 || !strings.Contains(answer.Warnings[0], "pod odd left out") {
				t.Errorf("warnings %q, want one about pod odd", answer.Warnings)
			}
		})
	}
}

func TestAttributeNames(t *testing.T) {
	source := newSource(t)
	for i := range 2 {
		md := exportOf("", cumulativeSum, point{at: float64(15*i - 5), status: "200", v: float64(i)})
		attributes := md.ResourceMetrics().At(0).Resource().Attributes()
		attributes.Remove(analysis.AttrPod)
		attributes.PutStr(analysis.AttrInstance, "i-1")
		attributes.PutStr("deployment.environment", "production")
		attributes.PutStr("k8s.pod.labels.pod-template-hash", "abc")
		attributes.PutInt("answer", 42)
		attributes.PutBool("canary", true)
		push(t, source, md)
	}
	q := checkout(fold(0, 15))
	q.Matches = append([]analysis.Match{{Name: analysis.AttrEnvironment, Values: []string{"production"}}}, q.Matches...)
	q.Observe = []string{"answer", "canary", analysis.AttrPod, "k8s.pod.label.pod-template-hash", "nowhere"}
	answer := answerTo(t, source, q)
	if countsOf(answer) != "i-1: 0 of 1 (1)" {
		t.Fatalf("got %q", countsOf(answer))
	}
	if got, want := answer.Rows[0].Observed, []string{"42", "true", "i-1", "abc", ""}; !slices.Equal(got, want) {
		t.Errorf("observed %q, want %q", got, want)
	}
	if got, want := answer.Rendered[0], `bad requests.value{status in "5xx"} where deployment.environment.name in "production" where service.name in "checkout"`; got != want {
		t.Errorf("rendered %s, want %s", got, want)
	}
}

func TestHistogramsCount(t *testing.T) {
	for _, exponential := range []bool{false, true} {
		t.Run(fmt.Sprintf("exponential %v", exponential), func(t *testing.T) {
			source := newSource(t)
			for i := range 3 {
				md := exportOf("a", cumulativeSum, point{})
				m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
				if exponential {
					h := m.SetEmptyExponentialHistogram()
					h.SetAggregationTemporality(cumulativeSum)
					p := h.DataPoints().AppendEmpty()
					p.SetTimestamp(stamp(float64(15*i - 5)))
					p.SetCount(uint64(10 * i))
					p.SetSum(0.5 * float64(i))
				} else {
					h := m.SetEmptyHistogram()
					h.SetAggregationTemporality(cumulativeSum)
					p := h.DataPoints().AppendEmpty()
					p.SetTimestamp(stamp(float64(15*i - 5)))
					p.SetCount(uint64(10 * i))
					p.SetSum(0.5 * float64(i))
				}
				if got := push(t, source, md); got.Accepted != 1 {
					t.Errorf("got %+v, want one accepted point", got)
				}
			}
			q := checkout(fold(0, 15))
			q.Signal.Bad = &analysis.Selector{Metric: "requests", Field: analysis.FieldSum}
			q.Signal.Total = &analysis.Selector{Metric: "requests", Field: analysis.FieldCount}
			if got := countsOf(answerTo(t, source, q)); got != "a: 0.5 of 10 (1)" {
				t.Errorf("got %q", got)
			}
		})
	}
}
