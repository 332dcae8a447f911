package analysis

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Above each bound a target counts what it would count of that bound alone: the first
// readings, restarts and births of series are those of its counts.
func TestAboveCountsAsCountersDo(t *testing.T) {
	start := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		const bounds = 3
		series := make([]CounterSeries, 2)
		alone := make([][]CounterSeries, bounds) // of each bound, the same as event counters
		for j := range alone {
			alone[j] = make([]CounterSeries, len(series))
		}
		held := make([][bounds + 1]float64, len(series))
		target := Target{Starts: []time.Time{start.Add(time.Duration(rng.IntN(120)-60) * time.Second)}}
		for s := rng.IntN(90); s < 300; s += 1 + rng.IntN(30) {
			if rng.IntN(5) == 0 {
				clear(held)
				target.Starts = append(target.Starts, start.Add(time.Duration(s)*time.Second))
			}
			for i := range series {
				n := 0.
				for j := bounds; j >= 0; j-- { // fewer above a higher bound
					n += float64(rng.IntN(4))
					held[i][j] += n
				}
				if rng.IntN(4) == 0 {
					continue
				}
				at := start.Add(time.Duration(s) * time.Second)
				series[i].Total = true
				series[i].Samples = append(series[i].Samples, Sample{at, held[i][0]})
				series[i].Above = append(series[i].Above, slices.Clone(held[i][1:]))
				for j := range alone {
					alone[j][i].Event = true
					alone[j][i].Samples = append(alone[j][i].Samples, Sample{at, held[i][j+1]})
				}
			}
		}
		target.Series = series
		fold := Fold{Start: start.Add(time.Duration(rng.IntN(200)) * time.Second)}
		fold.End = fold.Start.Add(time.Duration(1+rng.IntN(60)) * time.Second)
		got, received := IncreaseOf(target, fold, false)
		if received == 0 && got.Above != nil || received > 0 && len(got.Above) != bounds || got.New != (got.FirstAbove != nil) {
			rt.Fatalf("%d received: %+v", received, got)
		}
		for j := range alone {
			want, _ := IncreaseOf(Target{Starts: target.Starts, Series: alone[j]}, fold, false)
			if received > 0 && (got.Above[j] != want.Bad || got.New && got.FirstAbove[j] != want.FirstBad) {
				rt.Fatalf("bound %d: got %+v, want %+v", j, got, want)
			}
		}
	})
}

// What a reading does not tell is missing if it was to be counted, or counted from.
// A restart needs nothing from before.
func TestAboveThatIsNotTold(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	fold := Fold{Start: at(20), End: at(40)}
	for name, c := range map[string]struct {
		above  [][]float64 // at 10, 20, 30 and 40 s
		starts []time.Time
		want   []float64
	}{
		"all is told":                   {[][]float64{{1}, {2}, {3}, {5}}, nil, []float64{3}},
		"one in the fold is not":        {[][]float64{{1}, {2}, nil, {5}}, nil, nil},
		"the one counted from is not":   {[][]float64{{1}, nil, {3}, {5}}, nil, nil},
		"an older one is not":           {[][]float64{nil, {2}, {3}, {5}}, nil, []float64{3}},
		"a restart needs none before":   {[][]float64{{1}, nil, {3}, {5}}, []time.Time{at(25)}, []float64{5}},
		"what falls is a new beginning": {[][]float64{{1}, {2}, {1}, {5}}, nil, []float64{5}},
		"none is":                       {[][]float64{nil, nil, nil, nil}, nil, nil},
	} {
		s := CounterSeries{Total: true, Above: c.above}
		for i := range c.above {
			s.Samples = append(s.Samples, Sample{at(10 * (i + 1)), float64(10 * (i + 1))})
		}
		inc, received := IncreaseOf(Target{Starts: c.starts, Series: []CounterSeries{s}}, fold, false)
		if received != 2 || !slices.Equal(inc.Above, c.want) {
			t.Errorf("%s: %+v, want %v", name, inc, c.want)
		}
	}
}
