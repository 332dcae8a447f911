package otlp_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

func memory() analysis.Signal {
	return analysis.Signal{
		Name: "memory", Source: "otlp", Unit: "By", Shape: analysis.ShapeLevel,
		Gauge: &analysis.Selector{Metric: "memory", Field: analysis.FieldValue},
	}
}

// gauges is one export of a pod: a gauge with a value for each kind of memory, or a
// sum that may fall.
func gauges(pod string, seconds float64, upDown bool, values map[string]float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	putAll(rm.Resource().Attributes(), map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: pod, "zone": "z-" + pod})
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("memory")
	var points pmetric.NumberDataPointSlice
	if upDown {
		m.SetEmptySum().SetAggregationTemporality(cumulativeSum)
		points = m.Sum().DataPoints()
	} else {
		points = m.SetEmptyGauge().DataPoints()
	}
	for kind, v := range values {
		p := points.AppendEmpty()
		p.SetTimestamp(stamp(seconds))
		p.Attributes().PutStr("kind", kind)
		p.SetDoubleValue(v)
	}
	return md
}

func levelOf(f analysis.Fold, signal analysis.Signal) analysis.Query {
	q := checkout(f)
	q.Signal = signal
	return q
}

// The level of a pod is its newest values in the fold: bytes of all kinds add up,
// shares are averaged. Other counters of the process say when it began.
func TestLevel(t *testing.T) {
	for _, upDown := range []bool{false, true} {
		source := newSource(t)
		push(t, source, gauges("a", -5, upDown, map[string]float64{"heap": 1000, "stack": 1000}))
		push(t, source, gauges("a", 5, upDown, map[string]float64{"heap": 70, "stack": 7}))
		push(t, source, gauges("a", 10, upDown, map[string]float64{"heap": 80}))
		push(t, source, gauges("b", 10, upDown, map[string]float64{"heap": -4}))
		push(t, source, gauges("silent", -5, upDown, map[string]float64{"heap": 9}))
		push(t, source, exportOf("silent", cumulativeSum, point{at: 8, start: -100, v: 1}))
		push(t, source, exportOf("other", cumulativeSum, point{at: 8, start: -100, v: 1}))

		share := memory()
		share.Unit = "1"
		heap := memory()
		heap.Gauge.Conditions = []analysis.Condition{{Name: "kind", Op: analysis.OpEqual, Values: []string{"heap"}}}
		for name, c := range map[string]struct {
			signal analysis.Signal
			level  float64
		}{"bytes": {memory(), 87}, "shares": {share, 43.5}, "one kind": {heap, 80}} {
			got := answerTo(t, source, levelOf(fold(0, 15), c.signal)).Rows
			row := func(pod string, level float64, received int, fresh bool) analysis.Row {
				return analysis.Row{Values: []string{"checkout"}, Pod: pod, Level: level, Received: received, Fresh: fresh}
			}
			silent, other := row("silent", 0, 0, true), row("other", 0, 0, true)
			silent.PodStart, other.PodStart = at(-100), at(-100)
			// Other kinds of memory are another series: they show that the pod lives.
			want := []analysis.Row{row("a", c.level, 2, name == "one kind"), row("b", -4, 1, false), other, silent}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, may fall %v:\n got %+v\nwant %+v", name, upDown, got, want)
			}
		}
	}
}

// Two processes of a pod are one pod: bytes add up, shares are averaged, in rows and in
// the history.
func TestLevelOfTwoProcesses(t *testing.T) {
	source := newSource(t)
	for i, v := range []float64{30, 50} {
		md := gauges("a", 10, false, map[string]float64{"heap": v})
		md.ResourceMetrics().At(0).Resource().Attributes().PutStr(analysis.AttrInstance, fmt.Sprint(i))
		push(t, source, md)
	}
	for unit, want := range map[string]float64{"By": 80, "%": 40} {
		signal := memory()
		signal.Unit = unit
		if rows := answerTo(t, source, levelOf(fold(0, 15), signal)).Rows; len(rows) != 1 || rows[0].Level != want || rows[0].Received != 1 {
			t.Errorf("%s: %+v, want %v", unit, rows, want)
		}
		sums := minutesOf(t, source, analysis.HistoryQuery{Signal: signal, From: at(0), To: at(60)})
		if len(sums) != 1 || sums[0].Level != want {
			t.Errorf("%s: history %+v, want %v", unit, sums, want)
		}
	}
}

// The newest value of each minute outlives the raw samples of a tracked level.
func TestLevelsOutliveRawSamples(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	if err := source.Track([]analysis.Signal{memory()}); err != nil {
		t.Fatal(err)
	}
	var want []analysis.MinuteSum
	for i := range 720 { // three hours
		v := float64(i*i%1000) + 1
		push(t, source, gauges("a", float64(15*i), false, map[string]float64{"heap": v, "stack": 5}))
		if i%4 == 0 && i > 0 {
			want = append(want, analysis.MinuteSum{Minute: at(float64(15*i - 60)), Pod: "a", Level: v + 5})
		}
	}
	got := minutesOf(t, source, analysis.HistoryQuery{Signal: memory(), From: at(0), To: at(179 * 60)})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d minutes, want %d: %s", len(got), len(want), firstDifference(got, want))
	}
	seen, err := source.Seen(t.Context(), analysis.SeenQuery{Signal: memory(), From: at(10_000), To: at(10_060)})
	if err != nil || len(seen) != 1 || seen[0].Pods != 1 || seen[0].Exposure != 0 {
		t.Errorf("%+v, %v: want one pod without exposure", seen, err)
	}
}

// What is no gauge has no level, least of all the changes of one.
func TestMetricThatIsNoGauge(t *testing.T) {
	for says, change := range map[string]func(pmetric.Metric){
		"a counter":                            func(m pmetric.Metric) { m.SetEmptySum().SetIsMonotonic(true) },
		"a sum that may fall, sent as changes": func(m pmetric.Metric) { m.SetEmptySum().SetAggregationTemporality(deltaSum) },
		"a histogram":                          func(m pmetric.Metric) { m.SetEmptyHistogram().SetAggregationTemporality(deltaSum) },
	} {
		source := newSource(t)
		md := gauges("a", 10, false, nil)
		m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		change(m)
		if m.Type() == pmetric.MetricTypeSum {
			if m.Sum().IsMonotonic() {
				m.Sum().SetAggregationTemporality(cumulativeSum)
			}
			p := m.Sum().DataPoints().AppendEmpty()
			p.SetTimestamp(stamp(10))
			p.SetDoubleValue(5)
		} else {
			p := m.Histogram().DataPoints().AppendEmpty()
			p.SetTimestamp(stamp(10))
		}
		if got := push(t, source, md); got.Accepted != 1 {
			t.Fatalf("%s: %+v", says, got)
		}
		answer := answerTo(t, source, levelOf(fold(0, 15), memory()))
		if len(answer.Rows) != 0 || len(answer.Warnings) != 1 || !strings.Contains(answer.Warnings[0], "memory is "+says+", not a gauge") {
			t.Errorf("%s: %+v", says, answer)
		}
	}
}

// Strata are told apart by attributes of data points, else of the resource. All of a
// pod's series say whether it is new and when it restarted.
func TestStrata(t *testing.T) {
	source := tracking(t)
	r := &recorder{pod: "a", start: -100, bounds: explicitBounds}
	r.record("200", 0.1)
	push(t, source, r.export(-5))
	for _, v := range []float64{0.1, 0.6, 3} {
		r.record("200", v)
	}
	r.record("500", 3) // the first error of a known pod counts
	push(t, source, r.export(10))
	push(t, source, gauges("a", 10, false, map[string]float64{"heap": 80, "stack": 7}))

	q := latency(fold(0, 15), 0.5, 2)
	q.Strata = []string{"zone", "status"}
	got := answerTo(t, source, q).Rows
	want := []analysis.Row{
		{Stratum: []string{"z-a", "200"}, Increase: analysis.Increase{Exposure: 3, Above: []float64{2, 1}}},
		{Stratum: []string{"z-a", "500"}, Increase: analysis.Increase{Exposure: 1, Above: []float64{1, 1}}},
	}
	for i := range want {
		want[i].Values, want[i].Pod, want[i].PodStart, want[i].Received = []string{"checkout"}, "a", at(-100), 1
		want[i].Fresh = true // there is a gauge
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}

	// The other gauge of the pod is another stratum, not another series of this one.
	levels := levelOf(fold(0, 15), memory())
	levels.Strata = []string{"kind"}
	var told []string
	for _, row := range answerTo(t, source, levels).Rows {
		told = append(told, fmt.Sprint(row.Stratum, row.Level, row.Received))
	}
	if !slices.Equal(told, []string{"[heap] 80 1", "[stack] 7 1"}) {
		t.Errorf("%v", told)
	}

	// A restart that only one stratum shows resets the others.
	fresh := &recorder{pod: "a", start: 20, bounds: explicitBounds}
	for range 4 {
		fresh.record("200", 0.1)
	}
	fresh.record("500", 3)
	push(t, source, fresh.export(25))
	q.Fold = fold(15, 30)
	for _, row := range answerTo(t, source, q).Rows {
		if want := map[string]float64{"200": 4, "500": 1}[row.Stratum[1]]; row.Exposure != want {
			t.Errorf("%v: %v, want %v", row.Stratum, row.Exposure, want)
		}
	}
}
