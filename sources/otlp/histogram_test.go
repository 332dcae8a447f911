package otlp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// durations is the distribution of the metric "duration".
func durations(conditions ...analysis.Condition) analysis.Signal {
	return analysis.Signal{
		Name: "latency", Source: "otlp", Unit: "s", Shape: analysis.ShapeDistribution,
		Histogram: &analysis.Selector{Metric: "duration", Conditions: conditions},
	}
}

// latency asks what was slower than bounds.
func latency(f analysis.Fold, bounds ...float64) analysis.Query {
	q := checkout(f)
	q.Signal, q.Bounds = durations(), bounds
	return q
}

// tracking returns a source that keeps the buckets of durations.
func tracking(t testing.TB, change ...func(*otlp.Config)) *otlp.Source {
	t.Helper()
	var cfg otlp.Config
	for _, c := range change {
		c(&cfg)
	}
	source, err := otlp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Track([]analysis.Signal{durations()}); err != nil {
		t.Fatal(err)
	}
	return source
}

// A recorder is a process that records durations and exports them, as an SDK does.
type recorder struct {
	pod         string
	exponential bool
	deltas      bool
	start       float64 // seconds; of a delta, when the last export was
	size        int     // exponential buckets that it may have
	bounds      []float64
	since       map[string][]float64 // by status: what the next export tells
}

var explicitBounds = []float64{0, 0.0625, 0.125, 0.25, 0.5, 1, 2, 4}

func (r *recorder) record(status string, seconds float64) {
	if r.since == nil {
		r.since = map[string][]float64{}
	}
	r.since[status] = append(r.since[status], seconds)
}

// export appends what the process tells at an instant.
func (r *recorder) export(at float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	putAll(rm.Resource().Attributes(), map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: r.pod, "zone": "z-" + r.pod})
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("duration")
	temporality := cumulativeSum
	if r.deltas {
		temporality = deltaSum
	}
	for _, status := range []string{"200", "500"} {
		seen := r.since[status]
		if len(seen) == 0 {
			continue
		}
		if r.exponential {
			h := orEmpty(m, pmetric.MetricTypeExponentialHistogram, m.ExponentialHistogram, m.SetEmptyExponentialHistogram)
			h.SetAggregationTemporality(temporality)
			p := h.DataPoints().AppendEmpty()
			p.Attributes().PutStr("status", status)
			p.SetTimestamp(stamp(at))
			p.SetStartTimestamp(stamp(r.start))
			exponentialPoint(p, seen, r.size)
			continue
		}
		h := orEmpty(m, pmetric.MetricTypeHistogram, m.Histogram, m.SetEmptyHistogram)
		h.SetAggregationTemporality(temporality)
		p := h.DataPoints().AppendEmpty()
		p.Attributes().PutStr("status", status)
		p.SetTimestamp(stamp(at))
		p.SetStartTimestamp(stamp(r.start))
		explicitPoint(p, seen, r.bounds)
	}
	if r.deltas {
		r.since, r.start = nil, at
	}
	return md
}

// orEmpty returns the data of a metric, which are made if it has none yet.
func orEmpty[T any](m pmetric.Metric, want pmetric.MetricType, have, empty func() T) T {
	if m.Type() == want {
		return have()
	}
	return empty()
}

func explicitPoint(p pmetric.HistogramDataPoint, seen, bounds []float64) {
	counts := make([]uint64, len(bounds)+1)
	for _, v := range seen {
		i, _ := slices.BinarySearch(bounds, v) // the first bound that is not below
		counts[i]++
	}
	p.ExplicitBounds().FromRaw(bounds)
	p.BucketCounts().FromRaw(counts)
	p.SetCount(uint64(len(seen)))
}

// exponentialPoint takes the largest scale at which the buckets suffice.
func exponentialPoint(p pmetric.ExponentialHistogramDataPoint, seen []float64, size int) {
	p.SetCount(uint64(len(seen)))
	for scale := 20; ; scale-- {
		counts, low, high := map[int]uint64{}, math.MaxInt, math.MinInt
		zero := uint64(0)
		for _, v := range seen {
			if v == 0 {
				zero++
				continue
			}
			i := indexOf(v, scale)
			counts[i]++
			low, high = min(low, i), max(high, i)
		}
		if len(counts) > 0 && high-low >= size {
			continue
		}
		p.SetScale(int32(scale))
		p.SetZeroCount(zero)
		if len(counts) > 0 {
			p.Positive().SetOffset(int32(low))
			for i := low; i <= high; i++ {
				p.Positive().BucketCounts().Append(counts[i])
			}
		}
		return
	}
}

// indexOf is the bucket (g^i, g^(i+1)] that v lies in.
func indexOf(v float64, scale int) int {
	fraction, power := math.Frexp(v)
	if fraction == 0.5 { // a power of two is the end of its bucket, exactly
		return (power-1)<<scale - 1
	}
	return int(math.Ceil(math.Ldexp(math.Log2(v), scale))) - 1
}

// A told is what one export that arrived adds to what was known.
type told struct {
	at    float64
	seen  []float64
	scale int // lowest of the exports that it is told from
}

// Processes that serve, restart, lose exports and send them late and in any order, in
// either temporality and with buckets of either kind: rows say how many observations
// were above each bound, and nothing where a histogram does not have the bound.
func TestHistogramsAgainstObservations(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		r := &recorder{
			pod: "a", exponential: rapid.Bool().Draw(rt, "exponential"), deltas: rapid.Bool().Draw(rt, "deltas"),
			start: -30, size: 16 + rng.IntN(60), bounds: explicitBounds,
		}
		exports, want := randomRecords(rng, r, 300)
		source := tracking(t)
		for i := range exports { // late, by up to three exports
			j := min(len(exports)-1, i+rng.IntN(4))
			exports[i], exports[j] = exports[j], exports[i]
		}
		inProcess(t, source, exports)

		fine := math.Exp2(0.25) // a bound from scale 2 on
		for from := 0.; from < 300; {
			to := from + float64(1+rng.IntN(40))
			bounds := [][]float64{{0.125, 0.5, 2}, {0.5, fine}, {0.3}}[rng.IntN(3)]
			q := latency(fold(from, to), bounds...)
			q.Since = at(-1000)
			checkAbove(rt, source, q, r, want)
			from = to
		}
	})
}

// randomRecords is so many seconds of a process, and what its exports tell that arrive.
func randomRecords(rng *rand.Rand, r *recorder, span float64) (exports []pmetric.Metrics, arrived []told) {
	r.record("200", 0.3)
	exports = append(exports, r.export(-20))
	arrived = append(arrived, told{at: -20, seen: []float64{0.3}, scale: 20})
	var fresh []float64
	scale := scaleOf(exports[0])
	for s := 1.; s < span; s++ {
		if rng.IntN(40) == 0 { // a restart loses what was not exported
			fresh, r.since, r.start, scale = nil, nil, s-0.5, 20
		}
		for range rng.IntN(5) {
			v := math.Exp(-2 + 1.5*rng.NormFloat64())
			switch rng.IntN(10) {
			case 0:
				v = math.Ldexp(1, rng.IntN(5)-3)
			case 1:
				v = 0
			}
			r.record([]string{"200", "200", "200", "500"}[rng.IntN(4)], v)
			fresh = append(fresh, v)
		}
		if rng.IntN(8) > 0 || len(r.since) == 0 {
			continue
		}
		md := r.export(s)
		lost := rng.IntN(6) == 0
		if !lost {
			now := scaleOf(md)
			exports = append(exports, md)
			arrived = append(arrived, told{at: s, seen: fresh, scale: min(now, scale)})
			scale = now
		}
		if r.deltas {
			scale = 20 // each is told by itself
		}
		if r.deltas || !lost {
			fresh = nil
		}
	}
	return exports, arrived
}

// scaleOf is the lowest scale of an export.
func scaleOf(md pmetric.Metrics) int {
	scale := 20
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	if m.Type() == pmetric.MetricTypeExponentialHistogram {
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			scale = min(scale, int(p.Scale()))
		}
	}
	return scale
}

func checkAbove(t *rapid.T, source *otlp.Source, q analysis.Query, r *recorder, arrived []told) {
	var seen []float64
	received, scale := 0, 20
	for _, one := range arrived {
		if instant := at(one.at); instant.After(q.Fold.Start) && !instant.After(q.Fold.End) {
			seen = append(seen, one.seen...)
			scale = min(scale, one.scale)
			received++
		}
	}
	answer, err := source.Rows(t.Context(), q)
	if err != nil || len(answer.Warnings) > 0 {
		t.Fatalf("%v, %q", err, answer.Warnings)
	}
	if received == 0 {
		if len(answer.Rows) != 0 {
			t.Fatalf("%v: rows out of nothing: %+v", q.Fold, answer.Rows)
		}
		return
	}
	var want []float64
	needs := 0 // the scale at which exponential buckets begin at all the bounds
	if q.Bounds[0] == 0.3 {
		needs = math.MaxInt
	} else if q.Bounds[len(q.Bounds)-1] != 2 {
		needs = 2
	}
	if r.exponential && scale >= needs || !r.exponential && needs == 0 {
		want = aboveOf(seen, q.Bounds)
	}
	if len(answer.Rows) != 1 {
		t.Fatalf("%v: got %+v, want one row", q.Fold, answer.Rows)
	}
	got := answer.Rows[0]
	if got.Exposure != float64(len(seen)) || got.Bad != 0 || got.Received != received || got.New || !reflect.DeepEqual(got.Above, want) {
		t.Fatalf("%v above %v at scale %d, exponential %v, deltas %v:\n got %+v\nwant %v of %d, %d received",
			q.Fold.Start.Sub(epoch), q.Bounds, scale, r.exponential, r.deltas, got, want, len(seen), received)
	}
}

func aboveOf(seen, bounds []float64) []float64 {
	above := make([]float64, len(bounds))
	for _, v := range seen {
		for i, bound := range bounds {
			if v > bound {
				above[i]++
			}
		}
	}
	return above
}

// The first export of a pod is set apart, above each bound too, unless its process
// began inside the fold or sends increments.
func TestFirstHistogramOfAPod(t *testing.T) {
	for _, c := range []struct {
		name        string
		start       float64
		deltas      bool
		above       []float64
		firstAbove  []float64
		exposure    float64
		firstlyMore float64
	}{
		{"of an old process", -1000, false, []float64{1}, []float64{2}, 2, 3},
		{"of a process that began in the fold", 1, false, []float64{3}, nil, 5, 0},
		{"of increments", 1, true, []float64{3}, nil, 5, 0},
	} {
		for _, exponential := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, exponential %v", c.name, exponential), func(t *testing.T) {
				source := tracking(t)
				r := &recorder{pod: "a", exponential: exponential, deltas: c.deltas, start: c.start, size: 160, bounds: explicitBounds}
				for _, v := range []float64{0.5, 0.6, 3} {
					r.record("200", v)
				}
				push(t, source, r.export(5))
				r.record("200", 0.1)
				r.record("500", 0.7) // a series that is born on a known pod counts in full
				push(t, source, r.export(10))
				answer := answerTo(t, source, latency(fold(0, 15), 0.5))
				if len(answer.Rows) != 1 {
					t.Fatalf("%+v", answer)
				}
				got := answer.Rows[0]
				if !reflect.DeepEqual(got.Above, c.above) || !reflect.DeepEqual(got.FirstAbove, c.firstAbove) || got.Exposure != c.exposure || got.FirstExposure != c.firstlyMore || got.Received != 2 {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// Without start times a restart shows in any bucket that falls, though the count and
// all that is above the bounds grew.
func TestBucketThatFalls(t *testing.T) {
	for _, exponential := range []bool{false, true} {
		source := tracking(t)
		for i, seen := range [][]float64{{0.1, 0.1, 1.5}, {0.1, 0.3, 1.5, 1.5, 3}} {
			r := &recorder{pod: "a", exponential: exponential, size: 160, bounds: explicitBounds}
			for _, v := range seen {
				r.record("200", v)
			}
			md := r.export(float64(15*i - 5))
			m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
			if exponential {
				m.ExponentialHistogram().DataPoints().At(0).SetStartTimestamp(0)
			} else {
				m.Histogram().DataPoints().At(0).SetStartTimestamp(0)
			}
			push(t, source, md)
		}
		got := answerTo(t, source, latency(fold(0, 15), 1)).Rows
		if len(got) != 1 || got[0].Exposure != 5 || !slices.Equal(got[0].Above, []float64{3}) {
			t.Errorf("exponential %v: %+v, want all 5 of the new process, 3 above", exponential, got)
		}
	}
}

// A restart with other buckets is no change of the layout for who asks after it.
func TestRestartWithOtherBuckets(t *testing.T) {
	source := tracking(t)
	old := &recorder{pod: "a", start: -100, bounds: []float64{1, 10}}
	old.record("200", 5)
	push(t, source, old.export(-5))
	fresh := &recorder{pod: "a", start: 3, bounds: explicitBounds}
	for _, v := range []float64{0.1, 0.6, 3} {
		fresh.record("200", v)
	}
	push(t, source, fresh.export(10))
	got := answerTo(t, source, latency(fold(0, 15), 0.5, 2)).Rows
	if len(got) != 1 || got[0].Exposure != 3 || !slices.Equal(got[0].Above, []float64{2, 1}) {
		t.Errorf("%+v", got)
	}
	// In one fold with the old ones, only what both have can be told.
	q := latency(fold(-10, 15), 0.5)
	if got := answerTo(t, source, q).Rows; len(got) != 1 || got[0].Received != 2 || got[0].Above != nil && got[0].New == false {
		t.Errorf("%+v", got)
	}
}

// Buckets are kept from when an objective names the histogram. Until there are any to
// count from, the pod is left out and not called healthy; its count needs none.
func TestBucketsAreKeptForObjectives(t *testing.T) {
	source := newSource(t)
	r := &recorder{pod: "a", start: -100, bounds: explicitBounds}
	send := func(at float64) {
		r.record("200", 1.5)
		push(t, source, r.export(at))
	}
	send(-5)
	if err := source.Track([]analysis.Signal{durations()}); err != nil {
		t.Fatal(err)
	}
	send(10)
	send(25)
	answer := answerTo(t, source, latency(fold(0, 15), 1))
	if len(answer.Rows) != 0 || len(answer.Warnings) != 1 || answer.Partial {
		t.Errorf("%+v, want no row and a warning", answer)
	}
	if rows := answerTo(t, source, latency(fold(0, 15))).Rows; len(rows) != 1 || rows[0].Exposure != 1 {
		t.Errorf("without bounds %+v", rows)
	}
	if rows := answerTo(t, source, latency(fold(15, 30), 1)).Rows; len(rows) != 1 || !slices.Equal(rows[0].Above, []float64{1}) {
		t.Errorf("%+v", rows)
	}
}

// What is dropped of a histogram is missing, too.
func TestLostHistograms(t *testing.T) {
	source := tracking(t, func(c *otlp.Config) { c.MaxSeries = 1 })
	r := &recorder{pod: "a", start: -100, bounds: explicitBounds}
	for _, s := range []float64{-5, 10, 25} {
		r.record("200", 0.1)
		if s == 25 {
			r.record("500", 3)
		}
		push(t, source, r.export(s))
	}
	if rows := answerTo(t, source, latency(fold(0, 15), 1)).Rows; len(rows) != 1 || !slices.Equal(rows[0].Above, []float64{0}) {
		t.Errorf("%+v", rows)
	}
	if answer := answerTo(t, source, latency(fold(15, 30), 1)); len(answer.Rows) != 0 || len(answer.Warnings) != 1 {
		t.Errorf("%+v, want no row: slow errors were dropped", answer)
	}
}

// Odd histograms are counted, but nothing is above a bound, and it is said why.
func TestOddHistograms(t *testing.T) {
	explicit := func(change func(pmetric.HistogramDataPoint)) func(pmetric.Metric) {
		return func(m pmetric.Metric) {
			h := m.SetEmptyHistogram()
			h.SetAggregationTemporality(deltaSum)
			p := h.DataPoints().AppendEmpty()
			explicitPoint(p, []float64{0.1, 3}, []float64{0, 1, 2})
			change(p)
		}
	}
	exponential := func(change func(pmetric.ExponentialHistogramDataPoint)) func(pmetric.Metric) {
		return func(m pmetric.Metric) {
			h := m.SetEmptyExponentialHistogram()
			h.SetAggregationTemporality(deltaSum)
			p := h.DataPoints().AppendEmpty()
			exponentialPoint(p, []float64{0.1, 3}, 160)
			change(p)
		}
	}
	for name, c := range map[string]struct {
		set  func(pmetric.Metric)
		says string
	}{
		"no buckets": {explicit(func(p pmetric.HistogramDataPoint) {
			p.BucketCounts().FromRaw(nil)
			p.ExplicitBounds().FromRaw(nil)
		}), "no buckets were sent"},
		"one bound too many": {explicit(func(p pmetric.HistogramDataPoint) { p.ExplicitBounds().Append(7) }), "bounds that are not"},
		"bounds that fall":   {explicit(func(p pmetric.HistogramDataPoint) { p.ExplicitBounds().SetAt(1, 5) }), "bounds that are not"},
		"a bound of NaN":     {explicit(func(p pmetric.HistogramDataPoint) { p.ExplicitBounds().SetAt(1, math.NaN()) }), "bounds that are not"},
		"a count that is not the sum": {explicit(func(p pmetric.HistogramDataPoint) {
			p.BucketCounts().SetAt(0, math.MaxUint64)
			p.BucketCounts().SetAt(1, 2)
		}), "do not add up"},
		"NaN was observed": {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.SetZeroCount(1); p.SetCount(4) }), "do not add up"},
		"less than nothing": {explicit(func(p pmetric.HistogramDataPoint) {
			explicitPoint(p, []float64{-3, 1}, []float64{-1, 0, 1})
		}), "negative observations"},
		"negative buckets":   {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.Negative().BucketCounts().FromRaw([]uint64{0, 1}) }), "negative observations"},
		"a scale of 21":      {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.SetScale(21) }), "beyond all numbers"},
		"a scale of -11":     {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.SetScale(-11) }), "beyond all numbers"},
		"the highest offset": {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.Positive().SetOffset(math.MaxInt32) }), "beyond all numbers"},
		"the lowest offset":  {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.Positive().SetOffset(math.MinInt32) }), "beyond all numbers"},
		"a threshold of NaN": {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.SetZeroThreshold(math.NaN()) }), "beyond all numbers"},
		"a million buckets": {exponential(func(p pmetric.ExponentialHistogramDataPoint) {
			p.Positive().BucketCounts().FromRaw(make([]uint64, million))
		}), "more than 4096"},
		"a million bounds":     {explicit(func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw(make([]uint64, million)) }), "more than 4096"},
		"a threshold above it": {exponential(func(p pmetric.ExponentialHistogramDataPoint) { p.SetZeroThreshold(2) }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			source := tracking(t)
			md := pmetric.NewMetrics()
			rm := md.ResourceMetrics().AppendEmpty()
			putAll(rm.Resource().Attributes(), map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: "a"})
			m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			m.SetName("duration")
			c.set(m)
			switch m.Type() {
			case pmetric.MetricTypeHistogram:
				timed(m.Histogram().DataPoints().At(0))
			case pmetric.MetricTypeExponentialHistogram:
				timed(m.ExponentialHistogram().DataPoints().At(0))
			}
			if got := push(t, source, md); got.Accepted != 1 {
				t.Fatalf("%+v", got)
			}
			answer := answerTo(t, source, latency(fold(0, 15), 1))
			if len(answer.Rows) != 1 || answer.Rows[0].Above != nil || answer.Rows[0].Received != 1 || answer.Rows[0].Exposure < 2 {
				t.Fatalf("%+v", answer)
			}
			if warnings := strings.Join(answer.Warnings, "; "); c.says == "" && warnings != "" || !strings.Contains(warnings, c.says) {
				t.Errorf("%q, want %q", warnings, c.says)
			}
			if h, err := source.Distribution(t.Context(), distributionOf(0, 60)); err != nil || c.says != "" && h.Counts != nil {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

func timed(p interface {
	SetTimestamp(pcommon.Timestamp)
	SetStartTimestamp(pcommon.Timestamp)
},
) {
	p.SetTimestamp(stamp(10))
	p.SetStartTimestamp(stamp(2))
}

func distributionOf(from, to float64) analysis.DistributionQuery {
	q := latency(fold(from, to))
	return analysis.DistributionQuery{Signal: q.Signal, Matches: q.Matches, From: at(from), To: at(to)}
}
