package analysis_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"pgregory.net/rapid"
)

// All tests count seconds from here; folds are (from, to] in these seconds.
var increaseEpoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func sec(s float64) time.Time { return increaseEpoch.Add(time.Duration(s * float64(time.Second))) }

func foldOf(from, to float64) analysis.Fold { return analysis.Fold{Start: sec(from), End: sec(to)} }

// counter builds a series from pairs of second and value.
func counter(event, total bool, pairs ...float64) analysis.CounterSeries {
	s := analysis.CounterSeries{Event: event, Total: total}
	for i := 0; i < len(pairs); i += 2 {
		s.Samples = append(s.Samples, analysis.Sample{T: sec(pairs[i]), V: pairs[i+1]})
	}
	return s
}

func errorsOf(pairs ...float64) analysis.CounterSeries   { return counter(true, false, pairs...) }
func requestsOf(pairs ...float64) analysis.CounterSeries { return counter(false, true, pairs...) }

func TestIncreaseOf(t *testing.T) {
	tests := []struct {
		name     string
		starts   []time.Time
		series   []analysis.CounterSeries
		fold     analysis.Fold
		good     bool
		want     analysis.Increase
		received int
	}{
		{
			name: "nothing", fold: foldOf(0, 15),
		},
		{
			name:   "from the last reading before the fold to the last one in it",
			series: []analysis.CounterSeries{errorsOf(-8, 5, 7, 6), requestsOf(-8, 100, 7, 160)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 1, Exposure: 60}, received: 1,
		},
		{
			// The boundary belongs to the fold that it ends.
			name:   "a sample at the start is a reference, a sample at the end counts",
			series: []analysis.CounterSeries{requestsOf(0, 100, 15, 130)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 30}, received: 1,
		},
		{
			name:   "deltas are summed over several readings",
			series: []analysis.CounterSeries{errorsOf(-1, 0, 4, 1, 9, 1, 14, 4), requestsOf(-1, 10, 4, 20, 9, 30, 14, 50)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 4, Exposure: 40}, received: 3,
		},
		{
			name:   "samples after the end are ignored, even a reset",
			series: []analysis.CounterSeries{requestsOf(-1, 10, 14, 20, 15.001, 3, 29, 900)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 10}, received: 1,
		},
		{
			name:   "no reading inside the fold",
			series: []analysis.CounterSeries{requestsOf(-20, 10, -5, 20)},
			fold:   foldOf(0, 15),
		},
		{
			name:   "a decrease resets the series, which then counts from 0",
			series: []analysis.CounterSeries{requestsOf(-1, 100, 7, 12)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 12}, received: 1,
		},
		{
			// By itself the error series went from 2 to 3; but the process restarted,
			// and all 3 are new. Per series, x could exceed n.
			name:   "a decrease of a sibling resets every series",
			series: []analysis.CounterSeries{errorsOf(-1, 2, 7, 3), requestsOf(-1, 100, 7, 12)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 3, Exposure: 12}, received: 1,
		},
		{
			name:   "a start between two readings resets every series, although none decreased",
			starts: []time.Time{sec(-300), sec(3)},
			series: []analysis.CounterSeries{errorsOf(-1, 2, 7, 3), requestsOf(-1, 10, 7, 12)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 3, Exposure: 12}, received: 1,
		},
		{
			// The reset is known when the series is absent; its old value must not
			// come back as a reference.
			name:   "a series that is absent at the reset counts in full when it returns",
			series: []analysis.CounterSeries{errorsOf(-1, 2, 14, 3), requestsOf(-1, 100, 7, 12, 14, 30)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 3, Exposure: 30}, received: 2,
		},
		{
			name:   "two resets in one fold",
			series: []analysis.CounterSeries{requestsOf(-1, 100, 4, 5, 9, 2, 14, 6)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 5 + 2 + 4}, received: 3,
		},
		{
			name:   "a series born on a known target counts in full",
			series: []analysis.CounterSeries{errorsOf(7, 4), requestsOf(-1, 100, 7, 160)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 4, Exposure: 60}, received: 1,
		},
		{
			name:   "born before the fold, it is a reference like any other",
			series: []analysis.CounterSeries{errorsOf(-1, 4, 7, 5), requestsOf(-16, 50, -1, 100, 7, 160)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 1, Exposure: 60}, received: 1,
		},
		{
			name:   "the first reading of a new target is set apart",
			series: []analysis.CounterSeries{errorsOf(4, 2, 14, 3), requestsOf(4, 500, 14, 520)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 1, Exposure: 20, New: true, FirstBad: 2, FirstExposure: 500}, received: 2,
		},
		{
			name:   "started inside the fold, its first reading counts in full",
			starts: []time.Time{sec(2)},
			series: []analysis.CounterSeries{errorsOf(4, 2), requestsOf(4, 50)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 2, Exposure: 50}, received: 1,
		},
		{
			// All that it counted came after the start of the fold.
			name:   "started exactly at the start of the fold",
			starts: []time.Time{sec(0)},
			series: []analysis.CounterSeries{requestsOf(4, 50)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 50}, received: 1,
		},
		{
			name:   "started before the fold, its first reading is set apart",
			starts: []time.Time{sec(-1)},
			series: []analysis.CounterSeries{requestsOf(4, 50)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{New: true, FirstExposure: 50}, received: 1,
		},
		{
			// The start after the first reading is a restart, not the reason to count
			// the first reading.
			name:   "a restart after the first reading does not explain it",
			starts: []time.Time{sec(-500), sec(9)},
			series: []analysis.CounterSeries{requestsOf(4, 50, 14, 60)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 60, New: true, FirstExposure: 50}, received: 2,
		},
		{
			name:   "known before the fold, not new",
			starts: []time.Time{sec(-1000)},
			series: []analysis.CounterSeries{requestsOf(-600, 1, 4, 50)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Exposure: 49}, received: 1,
		},
		{
			name:   "good events: bad is what is missing from the total",
			series: []analysis.CounterSeries{counter(true, false, -1, 90, 7, 140), requestsOf(-1, 100, 7, 160)},
			fold:   foldOf(0, 15), good: true,
			want: analysis.Increase{Bad: 10, Exposure: 60}, received: 1,
		},
		{
			// A good counter that runs ahead (retries counted as good) must not
			// subtract bad events of other pods.
			name:   "good events never make a negative bad",
			series: []analysis.CounterSeries{counter(true, false, -1, 0, 7, 70), requestsOf(-1, 0, 7, 60)},
			fold:   foldOf(0, 15), good: true,
			want: analysis.Increase{Exposure: 60}, received: 1,
		},
		{
			name:   "good events of a new target",
			series: []analysis.CounterSeries{counter(true, false, 7, 45), requestsOf(7, 50)},
			fold:   foldOf(0, 15), good: true,
			want: analysis.Increase{New: true, FirstBad: 5, FirstExposure: 50}, received: 1,
		},
		{
			name:   "one series may be event and total",
			series: []analysis.CounterSeries{counter(true, true, -1, 1, 7, 3), requestsOf(-1, 9, 7, 17)},
			fold:   foldOf(0, 15),
			want:   analysis.Increase{Bad: 2, Exposure: 10}, received: 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, received := analysis.IncreaseOf(analysis.Target{Starts: test.starts, Series: test.series}, test.fold, test.good)
			if !reflect.DeepEqual(got, test.want) || received != test.received {
				t.Errorf("got %+v of %d readings, want %+v of %d", got, received, test.want, test.received)
			}
		})
	}
}

func TestCounted(t *testing.T) {
	deployed := sec(0)
	row := func(isNew bool, podStart time.Time) analysis.Row {
		return analysis.Row{PodStart: podStart, Increase: analysis.Increase{
			Bad: 1, Exposure: 20, New: isNew, FirstBad: 2, FirstExposure: 500,
		}}
	}
	tests := []struct {
		name string
		row  analysis.Row
		arm  analysis.Arm
		all  bool // the first reading counts too
	}{
		{"new canary pod of unknown start: taken to have started with the deployment", row(true, time.Time{}), analysis.Canary, true},
		{"new canary pod that started with the deployment", row(true, deployed), analysis.Canary, true},
		{"new canary pod that started after it", row(true, sec(30)), analysis.Canary, true},
		{"new canary pod that is older than the deployment", row(true, sec(-1)), analysis.Canary, false},
		{"known canary pod", row(false, sec(30)), analysis.Canary, false},
		{"new baseline pod", row(true, sec(30)), analysis.Baseline, false},
		{"new baseline pod of unknown start", row(true, time.Time{}), analysis.Baseline, false},
		{"no arm", row(true, sec(30)), 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bad, exposure := test.row.Counted(test.arm, deployed)
			wantBad, wantExposure := 1.0, 20.0
			if test.all {
				wantBad, wantExposure = 3, 520
			}
			if bad != wantBad || exposure != wantExposure {
				t.Errorf("got %v of %v, want %v of %v", bad, exposure, wantBad, wantExposure)
			}
		})
	}
}

// A history is a random life of one pod: what each of its label combinations
// counted between readings, and at which readings it came back from a restart.
type history struct {
	combinations int
	increments   [][]int // by reading, by combination
	restart      []bool  // by reading
	announced    bool    // restarts are known by start times; otherwise by falling counters
}

func drawHistory(t *rapid.T, combinations int) history {
	h := history{combinations: combinations, announced: rapid.Bool().Draw(t, "announced")}
	readings := rapid.IntRange(1, 12).Draw(t, "readings")
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	for i := range readings {
		inc := make([]int, combinations)
		for c := range inc {
			inc[c] = max(0, rng.IntN(6)-2) // often 0, so that series are born late
		}
		h.increments = append(h.increments, inc)
		h.restart = append(h.restart, i > 0 && rng.IntN(4) == 0)
	}
	return h
}

// targets returns the pod with one total series and one error series per
// combination, and the same pod with everything in one of each. Errors are the
// combinations with an even number.
func (h history) targets() (split, whole analysis.Target) {
	values := make([]int, h.combinations)
	born := make([]bool, h.combinations)
	series := make([]analysis.CounterSeries, h.combinations)
	for c := range series {
		series[c] = analysis.CounterSeries{Event: c%2 == 0, Total: true}
	}
	events, all := errorsOf(), requestsOf()
	for i, inc := range h.increments {
		at := sec(float64(10*i + 3))
		if h.restart[i] {
			if h.announced {
				// Series come back only with their first event.
				split.Starts = append(split.Starts, sec(float64(10*i-2)))
				clear(born)
				clear(values)
			} else {
				// Unannounced, a restart is visible only where a counter falls: let
				// every series that there was come back, with 0.
				clear(values)
				inc = make([]int, h.combinations)
			}
		}
		var event, total int
		for c := range values {
			values[c] += inc[c]
			born[c] = born[c] || inc[c] > 0
			if born[c] {
				series[c].Samples = append(series[c].Samples, analysis.Sample{T: at, V: float64(values[c])})
			}
			total += values[c]
			if c%2 == 0 {
				event += values[c]
			}
		}
		events.Samples = append(events.Samples, analysis.Sample{T: at, V: float64(event)})
		all.Samples = append(all.Samples, analysis.Sample{T: at, V: float64(total)})
	}
	split.Series = append(series, requestsOf(allZero(all)...)) // the pod is known even before the first event
	whole = analysis.Target{Starts: split.Starts, Series: []analysis.CounterSeries{events, all}}
	return split, whole
}

// allZero returns the pairs of a series with the times of s that never counts.
func allZero(s analysis.CounterSeries) []float64 {
	var pairs []float64
	for _, sample := range s.Samples {
		pairs = append(pairs, sample.T.Sub(increaseEpoch).Seconds(), 0)
	}
	return pairs
}

func TestSplittingIntoLabelCombinationsChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		split, whole := drawHistory(t, 50).targets()
		good := rapid.Bool().Draw(t, "good")
		for end := 10; end <= 120; end += 10 {
			fold := foldOf(float64(end-10), float64(end))
			got, received := analysis.IncreaseOf(split, fold, good)
			want, wantReceived := analysis.IncreaseOf(whole, fold, good)
			if !reflect.DeepEqual(got, want) || received != wantReceived {
				t.Fatalf("fold to %d: split %+v of %d, whole %+v of %d", end, got, received, want, wantReceived)
			}
		}
	})
}

func TestConsecutiveFoldsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target, _ := drawHistory(t, 5).targets()
		width := rapid.SampledFrom([]float64{4, 5, 10, 15, 60}).Draw(t, "fold")
		const from, to = 0, 120
		var sum analysis.Increase
		for start := float64(from); start < to; start += width {
			inc, _ := analysis.IncreaseOf(target, foldOf(start, start+width), false)
			sum.Bad += inc.Bad
			sum.Exposure += inc.Exposure
		}
		all, _ := analysis.IncreaseOf(target, foldOf(from, to), false)
		if sum.Bad != all.Bad || sum.Exposure != all.Exposure {
			t.Fatalf("folds of %v s: %+v, at once: %+v", width, sum, all)
		}
	})
}

func TestCuttingTheFutureOffChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target, _ := drawHistory(t, 5).targets()
		end := float64(rapid.IntRange(1, 120).Draw(t, "end"))
		fold := foldOf(end-10, end)
		cut := analysis.Target{}
		for _, s := range target.Starts {
			if !s.After(fold.End) {
				cut.Starts = append(cut.Starts, s)
			}
		}
		for _, series := range target.Series {
			kept := series
			kept.Samples = nil
			for _, s := range series.Samples {
				if !s.T.After(fold.End) {
					kept.Samples = append(kept.Samples, s)
				}
			}
			cut.Series = append(cut.Series, kept)
		}
		got, n := analysis.IncreaseOf(cut, fold, false)
		want, m := analysis.IncreaseOf(target, fold, false)
		if !reflect.DeepEqual(got, want) || n != m {
			t.Fatalf("cut %+v of %d, whole %+v of %d", got, n, want, m)
		}
	})
}

// Statistics 2.1 tells two stories of what happens when the first sample of every
// label combination is thrown away, as rate() does. They are told here without
// chance: each combination errs in turn, the baseline's pods have had every
// combination for long, the canary's pods are fresh.
func TestTheTwoStoriesOfFirstErrors(t *testing.T) {
	tests := []struct {
		name                 string
		combinations, errors int // errors of a canary pod in the ten minutes
		ratio                float64
		perSeries            float64 // what a rule per series makes of it
	}{
		{"a healthy canary looks better than it is", 10, 36, 1, float64(36-10) / 36},
		{"a doubled error rate looks healthy", 30, 60, 2, float64(60-30) / 30},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const scrapes = 40
			fresh := erringPod(scrapes, test.combinations, test.errors, 0)
			old := erringPod(scrapes, test.combinations, int(float64(test.errors)/test.ratio), 7)
			canary, canaryPerSeries := countErrors(fresh, analysis.Canary, scrapes)
			baseline, baselinePerSeries := countErrors(old, analysis.Baseline, scrapes)
			if got := canary / baseline; got != test.ratio {
				t.Errorf("ratio %v (%v against %v), want %v", got, canary, baseline, test.ratio)
			}
			if got := canaryPerSeries / baselinePerSeries; got != test.perSeries {
				t.Errorf("the rule per series gives %v, want %v: the story is told wrong", got, test.perSeries)
			}
		})
	}
}

// countErrors returns the errors of all folds as analysis counts them, and as a
// rule per series would: from each series' own first sample.
func countErrors(target analysis.Target, arm analysis.Arm, scrapes int) (bad, perSeries float64) {
	for i := range scrapes {
		inc, _ := analysis.IncreaseOf(target, foldOf(float64(15*i), float64(15*i+15)), false)
		b, _ := analysis.Row{Increase: inc}.Counted(arm, sec(0))
		bad += b
	}
	for _, series := range target.Series[1:] {
		perSeries += series.Samples[len(series.Samples)-1].V - series.Samples[0].V
	}
	return bad, perSeries
}

// erringPod is scraped every 15 s, serves 300 requests between scrapes and errs n
// times, its combinations taking turns. With earlier > 0 every combination had
// that many errors before, and there is a scrape before the first fold.
func erringPod(scrapes, combinations, n int, earlier float64) analysis.Target {
	total := requestsOf()
	series := make([]analysis.CounterSeries, combinations)
	values := make([]float64, combinations)
	for c := range series {
		series[c] = errorsOf()
		values[c] = earlier
	}
	erred, served := 0, 1000*earlier
	for i := range scrapes + 1 {
		at := sec(float64(15*i - 5))
		if i == 0 && earlier == 0 {
			continue
		}
		if i > 0 {
			served += 300
			for ; erred < n*i/scrapes; erred++ {
				values[erred%combinations]++
			}
		}
		total.Samples = append(total.Samples, analysis.Sample{T: at, V: served})
		for c, v := range values {
			if v > 0 { // an error series is born with its first error
				series[c].Samples = append(series[c].Samples, analysis.Sample{T: at, V: v})
			}
		}
	}
	if erred != n {
		panic(fmt.Sprintf("%d errors, want %d", erred, n))
	}
	return analysis.Target{Series: append([]analysis.CounterSeries{total}, series...)}
}
