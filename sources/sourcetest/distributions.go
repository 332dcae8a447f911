package sourcetest

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

func (s suite) slower(service string, f analysis.Fold, bounds []float64, versions ...string) analysis.Query {
	q := s.query(service, f, versions...)
	q.Signal, q.Bounds = s.Signal(duration()), bounds
	return q
}

// observed is a wanted row of a distribution.
func observed(service, version, pod string, received int, exposure float64, above ...float64) analysis.Row {
	r := row(service, version, pod, received, 0, exposure)
	r.Above = above
	return r
}

// distributionCases: histograms of classic buckets.
func distributionCases() []testCase {
	usual := []float64{0.1, 0.25, 0.5}
	return []testCase{
		{
			name: "observations above bounds, both arms at once",
			pods: []replay.Pod{
				pod("slow", "1.0", "base", durations("/", usual, has(52, 10, 20, 30, 40), has(67, 11, 22, 33, 44))),
				pod("slow", "2.0", "canary", durations("/", usual, has(52, 1, 0, 0, 0), has(67, 1, 0, 0, 5)), durations("/pay", usual, has(67, 0, 0, 2, 0))),
				pod("slow", "1.0", "silent", durations("/", usual, has(22, 1, 2, 3, 4), has(37, 2, 3, 4, 5))),
			},
			check: func(t *testing.T, s suite) {
				if !s.Histograms {
					return // see "what the source does not answer it rejects"
				}
				s.want(t, s.slower("slow", fold(60, 75), []float64{0.1, 0.5}, "1.0", "2.0"),
					observed("slow", "1.0", "base", 1, 10, 9, 4), observed("slow", "2.0", "canary", 1, 7, 7, 5))
				s.want(t, s.slower("slow", fold(60, 75), []float64{0.25}, "1.0"), observed("slow", "1.0", "base", 1, 10, 7))
				q := s.slower("slow", fold(60, 75), []float64{0.1}, "2.0")
				q.Signal.Histogram.Conditions = slices.Clone(s.Signal(onRoute(duration(), "/pay")).Histogram.Conditions)
				for _, r := range s.rows(t, q) { // who asks for one route alone does not see that the pod was there before
					if r.Exposure+r.FirstExposure != 2 {
						t.Errorf("/pay alone: %s", show([]analysis.Row{r}))
					}
				}
			},
		},
		{
			name: "a histogram without a bound has no counts above",
			pods: []replay.Pod{
				pod("layout", "1.0", "a", durations("/", usual, has(52, 1, 1, 1, 1), has(67, 2, 2, 2, 2))),
				pod("layout", "2.0", "b", durations("/", []float64{0.1, 0.3}, has(52, 1, 1, 1), has(67, 2, 2, 3))),
			},
			check: func(t *testing.T, s suite) {
				if !s.Histograms {
					return
				}
				s.want(t, s.slower("layout", fold(60, 75), []float64{0.1, 0.25}, "1.0", "2.0"), observed("layout", "1.0", "a", 1, 4, 3, 2), observed("layout", "2.0", "b", 1, 4))
				s.want(t, s.slower("layout", fold(60, 75), []float64{0.1}, "2.0"), observed("layout", "2.0", "b", 1, 4, 3))
				if h := s.distribution(t, "layout", 0, 120); !h.Mixed || !slices.Equal(h.Bounds, []float64{0.1}) || !slices.Equal(h.Counts, []float64{2, 6}) {
					t.Errorf("two layouts: got %+v, want 2 and 6 at the bound that both have", h)
				}
			},
		},
		{
			name: "the first reading of a new pod's histogram is set apart",
			pods: []replay.Pod{pod("slow-new", "2.0", "a", durations("/", usual, has(62, 100, 0, 0, 50), has(72, 101, 0, 0, 53)))},
			check: func(t *testing.T, s suite) {
				if !s.Histograms {
					return
				}
				want := observed("slow-new", "2.0", "a", 2, 4, 3, 3)
				want.New, want.FirstExposure, want.FirstAbove = true, 150, []float64{50, 50}
				s.want(t, s.slower("slow-new", fold(60, 75), []float64{0.1, 0.5}, "2.0"), want)
			},
		},
		{
			name: "a bucket that falls alone resets the pod",
			pods: []replay.Pod{
				pod("slow-reset", "2.0", "a", durations("/", usual, has(52, 5, 0, 0, 0), has(67, 4, 0, 0, 3)), durations("/pay", usual, has(52, 1, 0, 0, 1), has(67, 2, 0, 0, 2))),
			},
			check: func(t *testing.T, s suite) {
				if !s.Histograms || s.Deltas {
					return // increments are not reset
				}
				s.want(t, s.slower("slow-reset", fold(60, 75), []float64{0.1}, "2.0"), observed("slow-reset", "2.0", "a", 1, 11, 5))
			},
		},
		{
			name: "random histograms: every fold as the plain rule says, and as if later samples did not exist",
			pods: randomDurations("slow-random", 4),
			check: func(t *testing.T, s suite) {
				if !s.Histograms {
					return
				}
				for start := 0.0; start < 600; start += 30 {
					q := s.slower("slow-random", fold(start, start+30), []float64{0.1, 0.5, 1}, "v1", "v2")
					s.same(t, s.rows(t, q), s.plain(t, q))
				}
				q := s.slower("slow-random", fold(300, 315), []float64{0.1, 0.5, 1}, "v1", "v2")
				before := s.rows(t, q)
				s.rows(t, s.slower("slow-random", fold(585, 600), q.Bounds, "v1", "v2"))
				s.same(t, s.rows(t, q), before)
			},
		},
		{
			name: "the distribution, the history, the spacing and the releases of a histogram",
			pods: []replay.Pod{
				pod("slow-past", "1.0", "a", growing(usual, -53, 1800, 15, 0, 1, 2, 0, 1)),
				pod("slow-past", "1.0", "b", growing(usual, -57, 1800, 15, 1, 0, 0, 3, 1)),
				pod("slow-past", "2.0", "c", growing(usual, -57, 1800, 15, 0, 9, 9, 9, 9)),
			},
			check: checkPastOfHistogram,
		},
	}
}

// growing is a histogram that grows by the same counts from each reading to the next.
func growing(bounds []float64, from, to, step, first float64, by ...float64) replay.Series {
	s := durations("/", bounds)
	held := slices.Repeat([]float64{first}, len(by))
	for second := from; second <= to; second += step {
		s.Histograms = append(s.Histograms, replay.HistogramSample{T: at(second), Histogram: analysis.Histogram{Bounds: bounds, Counts: slices.Clone(held)}})
		for i := range held {
			held[i] += by[i]
		}
	}
	return s
}

func onRoute(signal analysis.Signal, r string) analysis.Signal {
	signal.Histogram = &analysis.Selector{Metric: signal.Histogram.Metric, Conditions: []analysis.Condition{{Name: route, Op: analysis.OpEqual, Values: []string{r}}}}
	return signal
}

func (s suite) distribution(t *testing.T, service string, from, to float64, versions ...string) analysis.Histogram {
	t.Helper()
	h, err := s.source.Distribution(t.Context(), analysis.DistributionQuery{Signal: s.Signal(duration()), Matches: matches(service, versions...), From: at(from), To: at(to)})
	if err != nil {
		t.Fatalf("distribution: %v", err)
	}
	if err := h.Validate(); err != nil {
		t.Fatalf("distribution: %v", err)
	}
	return h
}

func checkPastOfHistogram(t *testing.T, s suite) {
	if !s.Histograms {
		return
	}
	// Pod a observes 4 and b 4 every 15 s; how many readings lie in the time that is
	// asked for may differ by one at either end.
	h := s.distribution(t, "slow-past", 600, 1200, "1.0")
	n := h.Total() / 8
	if want := []float64{1, 2, 3, 2}; !slices.Equal(h.Bounds, []float64{0.1, 0.25, 0.5}) || n < 38 || n > 41 || h.Mixed {
		t.Errorf("got %+v, want about 40 times %v", h, want)
	} else {
		for i := range want {
			if math.Abs(h.Counts[i]/n-want[i]) > 0.15 {
				t.Errorf("got %v, want about %v times %v", h.Counts, n, want)
				break
			}
		}
	}
	for _, empty := range []analysis.Histogram{s.distribution(t, "nobody", 600, 1200), s.distribution(t, "slow-past", -9000, -8000), s.distribution(t, "slow-past", 600, 600)} {
		if len(empty.Counts) != 0 {
			t.Errorf("of nobody: %+v", empty)
		}
	}
	sums, err := s.source.History(t.Context(), analysis.HistoryQuery{Signal: s.Signal(duration()), Matches: matches("slow-past", "1.0"), From: at(600), To: at(900), Bounds: []float64{0.1, 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	var want []analysis.MinuteSum
	for m := range 5 {
		for i, above := range [][]float64{{12, 4}, {16, 4}} {
			want = append(want, analysis.MinuteSum{Minute: at(600 + 60*float64(m)), Pod: []string{"a", "b"}[i], Exposure: 16, Above: above})
		}
	}
	if !sameSums(sums, want) {
		t.Errorf("history\n got %+v\nwant %+v", sums, want)
	}
	spacing, err := s.source.Spacing(t.Context(), analysis.SpacingQuery{Signal: s.Signal(duration()), Matches: matches("slow-past", "1.0"), From: at(0), To: at(1200)})
	if err != nil || spacing != 15*time.Second {
		t.Errorf("spacing: got %v, %v", spacing, err)
	}
	seen, err := s.source.Seen(t.Context(), analysis.SeenQuery{Signal: s.Signal(duration()), Service: "slow-past", From: at(0), To: at(600)})
	if err != nil {
		t.Fatal(err)
	}
	release := analysis.Seen{Service: "slow-past", Namespace: namespace, Environment: environment, Version: "1.0", Pods: 2, Exposure: 40 * 8}
	other := release
	other.Version, other.Pods, other.Exposure = "2.0", 1, 40*36
	s.sameSeen(t, seen, []analysis.Seen{release, other})
}

func sameSums(got, want []analysis.MinuteSum) bool {
	for i := range got {
		got[i].Minute = got[i].Minute.UTC()
	}
	return reflect.DeepEqual(got, want)
}

// exponentialCases: histograms of exponential buckets.
func exponentialCases() []testCase {
	return []testCase{
		{
			name: "exponential buckets: bounds of the grid, around zero, at another resolution",
			pods: []replay.Pod{
				// schema 3: eight bounds from one power of two to the next.
				pod("grown", "1.0", "a", powers(grown(52, 3, 0.001, 2, -8, 10, 0, 5, 4, 5), grown(67, 3, 0.001, 3, -8, 13, 0, 6, 4, 9, 8, 1))),
				// Lowered in the fold: its buckets are full, nothing began anew.
				pod("grown", "1.0", "b", powers(grown(52, 3, 0, 0, 1, 3, 2, 4, 9, 1), grown(67, 2, 0, 0, 1, 9, 5, 3))),
				pod("grown", "2.0", "c", powers(grown(52, 1, 0, 0, 1, 7), grown(67, 1, 0, 0, 1, 8, 3, 1))),
			},
			check: func(t *testing.T, s suite) {
				if !s.Exponential {
					return
				}
				s.want(t, s.slower("grown", fold(60, 75), []float64{0.5, 1, 2}, "1.0"),
					observed("grown", "1.0", "a", 1, 10, 6, 5, 0), observed("grown", "1.0", "b", 1, 4, 4, 4, 2))
				// 2^(1/4) is a bound at schemas 2 and 3 and not at 1.
				between := math.Exp2(0.25)
				s.want(t, s.slower("grown", fold(60, 75), []float64{between}, "1.0", "2.0"),
					observed("grown", "1.0", "a", 1, 10, 5), observed("grown", "1.0", "b", 1, 4, 2), observed("grown", "2.0", "c", 1, 2))
				// 0.0005 lies below the threshold of zero, 1.1 between two bounds.
				for _, bound := range []float64{0.0005, 1.1} {
					s.want(t, s.slower("grown", fold(60, 75), []float64{bound}, "1.0"), observed("grown", "1.0", "a", 1, 10), observed("grown", "1.0", "b", 1, 4))
				}
			},
		},
		{
			name: "the distribution of exponential buckets is that of the coarsest",
			pods: []replay.Pod{
				pod("grown-past", "1.0", "a", powers(grown(7, 3, 0.001, 2, -8, 10, 4, 5), grown(300, 3, 0.001, 4, -8, 12, 4, 9), grown(590, 3, 0.001, 5, -8, 12, 4, 9, 5, 1))),
				pod("grown-past", "1.0", "b", powers(grown(7, 2, 0, 0, 2, 1), grown(300, 2, 0, 0, 2, 1, 3, 4), grown(590, 2, 0, 0, 2, 1, 3, 8))),
			},
			check: func(t *testing.T, s suite) {
				if !s.Exponential {
					return
				}
				h := s.distribution(t, "grown-past", 0, 600)
				if h.Schema == nil || *h.Schema != 2 || h.Zero != 0.001 || h.Total() != 18 {
					t.Fatalf("got %+v, want 18 observations at schema 2 with the zero threshold 0.001", h)
				}
				for _, want := range []struct{ bound, above float64 }{{0.001, 15}, {0.5, 13}, {math.Exp2(0.25), 13}, {math.Exp2(0.5), 9}, {math.Exp2(0.75), 0}} {
					above := 0.0
					for i, n := range h.Counts {
						if i == len(h.Bounds) || h.Bounds[i] > want.bound*(1+1e-9) {
							above += n
						}
					}
					if above != want.above {
						t.Errorf("%v above %v, want %v: %+v", above, want.bound, want.above, h)
					}
				}
			},
		},
		{
			name: "the history of exponential buckets",
			pods: []replay.Pod{pod("grown-minutes", "1.0", "a", grownMinutes())},
			check: func(t *testing.T, s suite) {
				if !s.Exponential {
					return
				}
				got, err := s.source.History(t.Context(), analysis.HistoryQuery{Signal: s.Signal(duration()), Matches: matches("grown-minutes", "1.0"), From: at(60), To: at(300), Bounds: []float64{1, math.Exp2(0.25)}})
				if err != nil {
					t.Fatal(err)
				}
				var want []analysis.MinuteSum
				for m := range 4 {
					want = append(want, analysis.MinuteSum{Minute: at(60 + 60*float64(m)), Pod: "a", Exposure: 20, Above: []float64{12, 8}})
				}
				if !sameSums(got, want) {
					t.Errorf("history\n got %+v\nwant %+v", got, want)
				}
			},
		},
	}
}

// grownMinutes is a histogram that observes five values every 15 s, at a schema that
// is lowered half way: one around zero, one below 1, one at 2^(1/4) and two at 2^(1/2).
func grownMinutes() replay.Series {
	var all []replay.HistogramSample
	for i := range 25 {
		n := float64(i)
		second := -53 + 15*n
		if second < 150 {
			all = append(all, grown(second, 3, 0.001, n+1, -2, n+1, 2, n+1, 4, 2*n+2))
		} else {
			all = append(all, grown(second, 2, 0.001, n+1, -1, n+1, 1, n+1, 2, 2*n+2))
		}
	}
	return powers(all...)
}
