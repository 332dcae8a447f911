package otlp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// Hours of a process are told by the minute and as a whole, long after raw samples
// went: nothing is lost and nothing counted twice at the seam.
func TestHistogramsOutliveRawSamples(t *testing.T) {
	const hours = 3
	for _, c := range []struct{ exponential, deltas bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		t.Run(fmt.Sprintf("exponential %v, deltas %v", c.exponential, c.deltas), func(t *testing.T) {
			r := &recorder{pod: "a", exponential: c.exponential, deltas: c.deltas, start: -30, size: 60, bounds: explicitBounds}
			exports, arrived := randomRecords(rand.New(rand.NewPCG(3, 4)), r, hours*3600)
			source := tracking(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
			inProcess(t, source, exports)

			bounds := []float64{0.125, 0.5, 2}
			byMinute := map[int][]float64{}
			for _, one := range arrived[1:] {
				minute := int(math.Ceil(one.at/60)) - 1
				byMinute[minute] = append(byMinute[minute], one.seen...)
			}
			q := analysis.HistoryQuery{Signal: durations(), Matches: checkout(fold(0, 60)).Matches, From: at(0), To: at(hours * 3600), Bounds: bounds}
			var want []analysis.MinuteSum
			for minute := range hours * 60 {
				if seen, ok := byMinute[minute]; ok {
					want = append(want, analysis.MinuteSum{Minute: at(float64(60 * minute)), Pod: "a", Exposure: float64(len(seen)), Above: aboveOf(seen, bounds)})
				}
			}
			got := minutesOf(t, source, q)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%d minutes, want %d: %s", len(got), len(want), firstDifference(got, want))
			}

			for _, span := range [][2]int{{0, hours * 60}, {30, 90}, {100, 180}} { // minutes
				var seen []float64
				for minute := span[0]; minute < span[1]; minute++ {
					seen = append(seen, byMinute[minute]...)
				}
				h, err := source.Distribution(t.Context(), distributionOf(float64(60*span[0]), float64(60*span[1])))
				if err != nil {
					t.Fatal(err)
				}
				checkHistogram(t, h, seen, c.exponential)
			}
		})
	}
}

// checkHistogram compares a histogram with the observations, at each of its bounds.
func checkHistogram(t *testing.T, h analysis.Histogram, seen []float64, exponential bool) {
	t.Helper()
	if (h.Schema != nil) != exponential || len(h.Counts) != len(h.Bounds)+1 || !slices.IsSorted(h.Bounds) {
		t.Fatalf("%+v", h)
	}
	if !exponential && !slices.Equal(h.Bounds, explicitBounds) || exponential && len(h.Bounds) < 20 {
		t.Errorf("bounds %v", h.Bounds)
	}
	left := float64(len(seen))
	for i, bound := range h.Bounds {
		left -= h.Counts[i]
		if want := aboveOf(seen, []float64{bound})[0]; left != want {
			t.Errorf("%v above %v, want %v", left, bound, want)
		}
	}
	if left != h.Counts[len(h.Bounds)] {
		t.Errorf("%v above all bounds, want %v", h.Counts[len(h.Bounds)], left)
	}
}

func TestDistributionOfNothing(t *testing.T) {
	source := tracking(t)
	if h, err := source.Distribution(t.Context(), distributionOf(0, 3600)); err != nil || !reflect.DeepEqual(h, analysis.Histogram{}) {
		t.Errorf("%+v, %v", h, err)
	}
	ratio := distributionOf(0, 3600)
	ratio.Signal = errorsOfRequests()
	if _, err := source.Distribution(t.Context(), ratio); err == nil {
		t.Error("a ratio has a distribution")
	}
}

// Pods with different bounds have those in common that all have; a pod with
// exponential buckets has those that its buckets begin at.
func TestMixedDistribution(t *testing.T) {
	seen := []float64{0.1, 0.3, 0.6, 3}
	send := func(source *otlp.Source, pod string, bounds []float64) {
		r := &recorder{pod: pod, start: -100, exponential: bounds == nil, size: 160, bounds: bounds}
		r.record("200", 0.1)
		push(t, source, r.export(-30))
		for _, v := range seen {
			r.record("200", v)
		}
		push(t, source, r.export(10))
	}
	for _, c := range []struct {
		others []float64
		bounds []float64
		counts []float64
		mixed  bool
	}{
		{explicitBounds, explicitBounds, []float64{0, 0, 2, 0, 2, 2, 0, 2, 0}, false},
		{[]float64{0.125, 0.3, 2}, []float64{0.125, 2}, []float64{2, 4, 2}, true},
		{[]float64{0.3, 0.6}, []float64{}, []float64{8}, true},
		{nil, []float64{0.0625, 0.125, 0.25, 0.5, 1, 2, 4}, []float64{0, 2, 0, 2, 2, 0, 2, 0}, true},
	} {
		source := tracking(t)
		send(source, "a", explicitBounds)
		send(source, "b", c.others)
		h, err := source.Distribution(t.Context(), distributionOf(0, 60))
		if err != nil || h.Schema != nil || !slices.Equal(h.Bounds, c.bounds) || !slices.Equal(h.Counts, c.counts) || h.Mixed != c.mixed {
			t.Errorf("with %v: %+v, %v", c.others, h, err)
		}
	}
}

// The memory that buckets take is counted as samples, so that MaxSamples bounds it.
func TestHistogramMemory(t *testing.T) {
	const pods, hours = 4, 4
	for _, exponential := range []bool{true, false} {
		source := tracking(t)
		before := heap()
		loadHistograms(t, source, exponential, pods, hours*time.Hour)
		used, counted := float64(heap()-before), 24*float64(source.Held())
		t.Logf("exponential %v: %.0f KB a pod, %.0f %% of what is counted", exponential, used/pods/1e3, 100*used/counted)
		if used > 1.3*counted { // by hand: 1.1
			t.Errorf("%.1f MB are used where %.1f MB are counted", used/1e6, counted/1e6)
		}
		runtime.KeepAlive(source)
	}
}

// Where there is no room for buckets of minutes, their sums are kept all the same, and
// what was observed is known of the rest.
func TestNoRoomForMinutes(t *testing.T) {
	source := tracking(t, func(c *otlp.Config) { c.Retention, c.MaxSeries, c.MaxSamples = 30*time.Minute, 2, 5300 })
	loadHistograms(t, source, true, 1, 3*time.Hour)
	t.Logf("%d are held", source.Held())
	if dropped := source.Stats().Dropped[otlp.DropSampleLimit]; dropped > 0 {
		t.Fatalf("%d dropped: the test means minutes", dropped)
	}
	q := analysis.HistoryQuery{Signal: durations(), Matches: checkout(fold(0, 60)).Matches, From: at(0), To: at(179 * 60), Bounds: []float64{0.0625}}
	with := 0
	sums := minutesOf(t, source, q)
	for _, sum := range sums {
		if sum.Exposure != 600 {
			t.Fatalf("%+v", sum)
		}
		if sum.Above != nil {
			with++
		}
	}
	if len(sums) != 179 || with < 30 || with > 150 {
		t.Errorf("%d minutes, %d with buckets", len(sums), with)
	}
}

// loadHistograms pushes the exports of pods that record 10 durations a second, every
// 15 s, as increments of two series.
func loadHistograms(t testing.TB, source *otlp.Source, exponential bool, pods int, span time.Duration) {
	rng := rand.New(rand.NewPCG(1, 0))
	for pod := range pods {
		r := &recorder{pod: fmt.Sprint("pod-", pod), deltas: true, exponential: exponential, start: -15, size: 160, bounds: explicitBounds}
		for s := 0.; s < span.Seconds(); s += 15 {
			for i := range 150 {
				r.record([]string{"200", "500"}[i%2], math.Exp(-3+0.7*rng.NormFloat64()))
			}
			if _, err := source.Consume(t.Context(), r.export(s)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// One export of a pod with two exponential histograms.
func BenchmarkConsumeHistograms(b *testing.B) {
	source := tracking(b)
	r := &recorder{pod: "a", deltas: true, exponential: true, size: 160}
	rng := rand.New(rand.NewPCG(1, 0))
	b.ReportAllocs()
	for s := 0.; b.Loop(); s += 15 {
		b.StopTimer()
		for i := range 150 {
			r.record([]string{"200", "500"}[i%2], math.Exp(-3+0.7*rng.NormFloat64()))
		}
		md := r.export(s)
		b.StartTimer()
		if _, err := source.Consume(b.Context(), md); err != nil {
			b.Fatal(err)
		}
	}
}

// One fold of five pods with two exponential histograms, above 12 bounds.
func BenchmarkHistogramRows(b *testing.B) {
	source := tracking(b)
	loadHistograms(b, source, true, 5, time.Hour)
	var bounds []float64
	for i := range 12 {
		bounds = append(bounds, math.Exp2(float64(i-20)/4))
	}
	q := latency(fold(3540, 3555), bounds...)
	b.ReportAllocs()
	for b.Loop() {
		if answer, err := source.Rows(b.Context(), q); err != nil || len(answer.Rows) != 5 || len(answer.Rows[0].Above) != 12 {
			b.Fatal(answer, err)
		}
	}
}

// An hour of five pods with two exponential histograms, from raw samples.
func BenchmarkDistribution(b *testing.B) {
	source := tracking(b)
	loadHistograms(b, source, true, 5, time.Hour)
	q := distributionOf(0, 3600)
	b.ReportAllocs()
	for b.Loop() {
		if h, err := source.Distribution(b.Context(), q); err != nil || len(h.Counts) < 50 {
			b.Fatal(h, err)
		}
	}
}
