package analysis_test

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

// epoch is when the readings of these tests begin.
var epoch = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// classicReading puts observations into classic buckets.
func classicReading(at time.Time, bounds, observed []float64) analysis.Reading {
	counts := make([]float64, len(bounds)+1)
	for _, v := range observed {
		counts[sort.SearchFloat64s(bounds, v)]++
	}
	return analysis.Histogram{Bounds: bounds, Counts: counts}.Reading(at)
}

// exponentialReading puts observations into the buckets of a schema, by plain powers.
func exponentialReading(at time.Time, schema int, zero float64, observed []float64) analysis.Reading {
	growth := math.Exp2(math.Exp2(-float64(schema)))
	r := analysis.Reading{T: at, Count: float64(len(observed))}
	for _, v := range slices.Sorted(slices.Values(observed)) {
		b := analysis.Bucket{Lower: -zero, Upper: zero, Count: 1}
		if v > zero {
			k := math.Ceil(math.Log(v)/math.Log(growth) - 1e-12)
			b.Lower, b.Upper = math.Pow(growth, k-1), math.Pow(growth, k)
		}
		if n := len(r.Buckets); n > 0 && math.Abs(r.Buckets[n-1].Upper-b.Upper) < 1e-9*b.Upper {
			r.Buckets[n-1].Count++
		} else {
			r.Buckets = append(r.Buckets, b)
		}
	}
	return r
}

func TestReadingAbove(t *testing.T) {
	inf := math.Inf(1)
	classic := analysis.Histogram{Bounds: []float64{0.1, 0.25, 1}, Counts: []float64{5, 3, 0, 2}}.Reading(time.Time{})
	native := analysis.Reading{Count: 12, Buckets: []analysis.Bucket{{-0.001, 0.001, 2}, {0.5, math.Pow(2, -0.75), 4}, {1, math.Pow(2, 0.25), 5}, {math.MaxFloat64, inf, 1}}}
	custom := analysis.Reading{Count: 7, Buckets: []analysis.Bucket{{-inf, 0.1, 2}, {0.3, 1, 4}, {5, inf, 1}}}
	for _, test := range []struct {
		name  string
		r     analysis.Reading
		bound float64
		want  float64 // NaN: cannot be told
	}{
		{"a classic bound is inclusive", classic, 0.25, 2},
		{"a classic bound as others write it", classic, 0.1 + 1e-12, 5},
		{"the last classic bound", classic, 1, 2},
		{"no classic bound", classic, 0.3, math.NaN()},
		{"a power of the schema", native, 1, 6},
		{"a power of the schema whose buckets are empty", native, math.Pow(2, 0.5), 1},
		{"no power of the schema", native, 1.1, math.NaN()},
		{"a power of a higher schema", native, math.Pow(2, 0.125), math.NaN()},
		{"within the threshold of zero", native, 0.0009765625, math.NaN()},
		{"above the threshold of zero", native, 0.25, 10},
		{"a custom bound", custom, 1, 1},
		{"between populated custom buckets nothing was observed", custom, 0.2, 5},
		{"inside of a populated custom bucket", custom, 0.5, math.NaN()},
		{"of nothing", analysis.Reading{}, 0.3, 0},
	} {
		got, ok := test.r.Above(test.bound)
		if ok == math.IsNaN(test.want) || ok && got != test.want {
			t.Errorf("%s: got %v, %v, want %v", test.name, got, ok, test.want)
		}
	}
}

// Whatever a target observes, however it restarts and is scraped, and although its
// exponential buckets become coarser: what is counted above the bounds in a fold is
// what was observed above them, since the reading before the fold, less what was
// lost between a last reading and the restart.
func TestReadingsCountWhatWasObserved(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		bounds := []float64{0.25, 0.5, 2}
		exponential := rapid.Bool().Draw(r, "exponential")
		layout := slices.Sorted(slices.Values(append(slices.Clone(bounds), 0.1, 0.7, 5)))
		schema := 3
		var readings []analysis.Reading
		var starts []time.Time
		var held, sinceReading []float64 // of the process; observed since its last reading
		var wantAll float64
		wantAbove := make([]float64, len(bounds))
		fold := analysis.Fold{Start: epoch.Add(5 * time.Minute), End: epoch.Add(10 * time.Minute)}
		for m := range 13 {
			at := epoch.Add(time.Duration(m) * time.Minute)
			switch rapid.IntRange(0, 6).Draw(r, "event") {
			case 0: // restart, told by its start
				starts = append(starts, at.Add(-30*time.Second))
				held, sinceReading, schema = nil, nil, 3
			case 1:
				schema = max(0, schema-1)
			}
			for range rapid.IntRange(0, 5).Draw(r, "observations") {
				v := math.Exp2((float64(rapid.IntRange(-256, 192).Draw(r, "value")) + 0.5) / 64) // never a bound
				held, sinceReading = append(held, v), append(sinceReading, v)
			}
			if m > 0 && rapid.IntRange(0, 4).Draw(r, "missed") == 0 {
				continue
			}
			one := classicReading(at, layout, held)
			if exponential {
				one = exponentialReading(at, schema, 0.01, held)
			}
			readings = append(readings, one)
			if at.After(fold.Start) && !at.After(fold.End) {
				for _, v := range sinceReading {
					wantAll++
					for i, b := range bounds {
						if v > b {
							wantAbove[i]++
						}
					}
				}
			}
			sinceReading = nil
		}
		series, anew := analysis.CountReadings(readings, starts, bounds)
		series.Total = true
		for _, at := range anew {
			i := slices.IndexFunc(readings, func(r analysis.Reading) bool { return r.T.Equal(at) })
			if !slices.ContainsFunc(starts, func(s time.Time) bool { return s.After(readings[i-1].T) && s.Before(at) }) {
				r.Fatalf("at %v it did not begin anew: %+v after %+v", at, readings[i], readings[i-1])
			}
		}
		starts = slices.SortedFunc(slices.Values(append(starts, anew...)), time.Time.Compare)
		got, _ := analysis.IncreaseOf(analysis.Target{Starts: starts, Series: []analysis.CounterSeries{series}}, fold, false)
		if got.New { // no reading at or before the fold's start
			r.Fatalf("new: %+v", got)
		}
		heard := slices.ContainsFunc(readings, func(r analysis.Reading) bool { return r.T.After(fold.Start) && !r.T.After(fold.End) })
		if got.Exposure != wantAll || heard && !slices.Equal(got.Above, wantAbove) {
			r.Fatalf("got %+v, want %v above of %v", got, wantAbove, wantAll)
		}
	})
}

// What is observed between readings, all series of all targets together, is the
// histogram of the observations themselves, at the lowest schema that was seen.
func TestHistogramOfIsThatOfTheObservations(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var all []float64
		var observed []analysis.Reading
		lowest := 4
		fold := analysis.Fold{Start: epoch, End: epoch.Add(time.Hour)}
		for range rapid.IntRange(1, 4).Draw(r, "targets") {
			schema := rapid.IntRange(0, 4).Draw(r, "schema")
			var held []float64
			var readings []analysis.Reading
			for m := range rapid.IntRange(1, 6).Draw(r, "readings") {
				for range rapid.IntRange(1, 6).Draw(r, "observations") {
					v := math.Exp2((float64(rapid.IntRange(-256, 256).Draw(r, "value")) + 0.5) / 64)
					held = append(held, v)
					if m > 0 {
						all = append(all, v)
						lowest = min(lowest, schema)
					}
				}
				readings = append(readings, exponentialReading(epoch.Add(time.Duration(m)*time.Minute), schema, 0, held))
			}
			observed = append(observed, analysis.ObservedIn([][]analysis.Reading{readings}, fold)...)
		}
		h := analysis.HistogramOf(observed)
		if len(all) == 0 {
			if len(h.Counts) != 0 {
				r.Fatalf("of nothing: %+v", h)
			}
			return
		}
		if err := h.Validate(); err != nil || h.Schema == nil || *h.Schema != lowest || h.Total() != float64(len(all)) {
			r.Fatalf("got %+v (%v), want %d observations at schema %d", h, err, len(all), lowest)
		}
		for power := -5.0; power <= 5; power += math.Exp2(-float64(lowest)) {
			bound, want := math.Exp2(power), 0.0
			for _, v := range all {
				if v > bound {
					want++
				}
			}
			if got, ok := h.Reading(epoch).Above(bound); !ok || got != want {
				r.Fatalf("%v (%v) above %v, want %v: %+v", got, ok, bound, want, h)
			}
		}
	})
}

// Series of one target begin anew together, though one of them hides it.
func TestObservedInResetsTheTarget(t *testing.T) {
	bounds := []float64{1}
	reading := func(minute int, counts ...float64) analysis.Reading {
		return analysis.Histogram{Bounds: bounds, Counts: counts}.Reading(epoch.Add(time.Duration(minute) * time.Minute))
	}
	target := [][]analysis.Reading{
		{reading(0, 5, 5), reading(1, 4, 9)},
		{reading(0, 1, 1), reading(1, 2, 2)},
	}
	h := analysis.HistogramOf(analysis.ObservedIn(target, analysis.Fold{Start: epoch, End: epoch.Add(time.Minute)}))
	if want := []float64{6, 11}; !slices.Equal(h.Counts, want) {
		t.Errorf("got %v, want %v", h.Counts, want)
	}
}

func TestHistogramOfUnlikeLayouts(t *testing.T) {
	at := time.Time{}
	classic := analysis.Histogram{Bounds: []float64{0.1, 0.25, 1}, Counts: []float64{5, 3, 0, 2}}.Reading(at)
	other := analysis.Histogram{Bounds: []float64{0.1, 0.3, 1}, Counts: []float64{1, 1, 1, 1}}.Reading(at)
	native := exponentialReading(at, 2, 0, []float64{0.2, 0.4, 0.8, 3})
	for _, test := range []struct {
		readings []analysis.Reading
		want     string
	}{
		{[]analysis.Reading{classic, classic}, "[0.1 0.25 1] [10 6 0 4] mixed false"},
		{[]analysis.Reading{classic, other}, "[0.1 1] [6 5 3] mixed true"},
		{[]analysis.Reading{classic, native}, "[0.25 1] [9 2 3] mixed true"},
		{[]analysis.Reading{{Count: 3, Odd: 3}}, "[] [] mixed false"},
		{nil, "[] [] mixed false"},
	} {
		h := analysis.HistogramOf(test.readings)
		if got := fmt.Sprint(h.Bounds, " ", h.Counts, " mixed ", h.Mixed); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// Some targets count an observation below one bound after the other. A scrape in between
// finds less in a bucket than before: that is no new beginning, and no pod counts more
// above a higher bound.
func TestCountReadingsOfTornScrapes(t *testing.T) {
	bounds := []float64{1, 2}
	var readings []analysis.Reading
	for minute, below := range [][3]float64{{5, 10, 12}, {6, 10, 14}, {6, 11, 15}} { // up to 1, up to 2, all
		readings = append(readings, analysis.Histogram{Bounds: bounds, Counts: []float64{below[0], below[1] - below[0], below[2] - below[1]}}.Reading(epoch.Add(time.Duration(minute)*time.Minute)))
	}
	series, anew := analysis.CountReadings(readings, nil, bounds)
	series.Total = true
	if len(anew) > 0 {
		t.Fatalf("began anew at %v", anew)
	}
	for minute := range 2 {
		fold := analysis.Fold{Start: readings[minute].T, End: readings[minute+1].T}
		inc, _ := analysis.IncreaseOf(analysis.Target{Series: []analysis.CounterSeries{series}}, fold, false)
		if !(inc.Above[0] <= inc.Exposure && inc.Above[1] <= inc.Above[0]) {
			t.Errorf("minute %d: %v above %v of %v", minute, inc.Above, bounds, inc.Exposure)
		}
	}
	if last := series.Above[2]; last[0] != 9 || last[1] != 4 {
		t.Errorf("above %v at last: %v, want 9 and 4", bounds, last)
	}
}
