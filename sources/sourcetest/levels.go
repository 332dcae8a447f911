package sourcetest

import (
	"math"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// levelCases: gauges.
func levelCases() []testCase {
	level := func(service, version, pod string, received int, value float64) analysis.Row {
		r := row(service, version, pod, received, 0, 0)
		r.Level = value
		return r
	}
	return []testCase{
		{
			name: "a level is the newest value in the fold, of all series of the pod",
			pods: []replay.Pod{
				pod("levels", "1.0", "a", gauge("heap", 52, 100, 67, 110, 72, 120, 82, 9), gauge("stack", 52, 1, 67, 2, 72, 3)),
				pod("levels", "2.0", "b", gauge("heap", 57, 5, 72, -7, 82, 1000)),
				pod("levels", "2.0", "silent", gauge("heap", 22, 5, 37, 7)),
			},
			check: func(t *testing.T, s suite) {
				if !s.Levels {
					return // see "what the source does not answer it rejects"
				}
				q := s.query("levels", fold(60, 75), "1.0", "2.0")
				q.Signal = s.Signal(memory("By"))
				s.want(t, q, level("levels", "1.0", "a", 2, 123), level("levels", "2.0", "b", 1, -7))
				q.Signal = s.Signal(memory("1")) // of shares the mean
				s.want(t, q, level("levels", "1.0", "a", 2, 61.5), level("levels", "2.0", "b", 1, -7))
				q.Signal = s.Signal(memory("By"))
				s.want(t, q, level("levels", "1.0", "a", 2, 123), level("levels", "2.0", "b", 1, -7))
			},
		},
		{
			name: "the history, the spacing and the releases of a level",
			pods: []replay.Pod{pod("levels-past", "1.0", "a", gauge("heap", steady(-53, 900, 15, 0, 1)...), gauge("stack", steady(-53, 900, 15, 1000, 0)...))},
			check: func(t *testing.T, s suite) {
				if !s.Levels {
					return
				}
				step := time.Minute
				if k, ok := s.source.(interface{ KeepsSamples() bool }); ok && k.KeepsSamples() {
					step = 15 * time.Second
				}
				q := analysis.HistoryQuery{Signal: s.Signal(memory("By")), Matches: matches("levels-past", "1.0"), From: at(60), To: at(310), Step: step}
				got, err := s.source.History(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				var want []analysis.MinuteSum
				for end := q.From.Add(step); !end.After(q.To); end = end.Add(step) { // readings at 7 s after each quarter, the first was 0 at -53
					newest := math.Floor((end.Sub(epoch).Seconds() + 53) / 15)
					want = append(want, analysis.MinuteSum{Minute: end.Add(-step), Pod: "a", Level: 1000 + newest})
				}
				if !sameSums(got, want) {
					t.Errorf("history\n got %+v\nwant %+v", got, want)
				}
				spacing, err := s.source.Spacing(t.Context(), analysis.SpacingQuery{Signal: s.Signal(memory("By")), Matches: matches("levels-past", "1.0"), From: at(0), To: at(900)})
				if err != nil || spacing != 15*time.Second {
					t.Errorf("spacing: got %v, %v", spacing, err)
				}
				seen, err := s.source.Seen(t.Context(), analysis.SeenQuery{Signal: s.Signal(memory("By")), Service: "levels-past", From: at(0), To: at(600)})
				if err != nil || len(seen) != 1 || seen[0].Version != "1.0" || seen[0].Pods != 1 || seen[0].Exposure != 0 {
					t.Errorf("seen: got %+v, %v, want one release without exposure", seen, err)
				}
			},
		},
	}
}

// strataCases: rows are told apart by attributes beside the pod.
func strataCases() []testCase {
	at := func(r analysis.Row, stratum ...string) analysis.Row {
		r.Stratum = stratum
		return r
	}
	routed := func(r, status string, pairs ...float64) replay.Series {
		return series(requests, map[string]string{statusCode: status, route: r}, pairs...)
	}
	return []testCase{
		{
			name: "strata: a row for each, of data points and of resources",
			pods: []replay.Pod{
				on(pod("strata", "1.0", "a", routed("/", "200", 52, 10, 67, 30), routed("/pay", "200", 52, 5, 67, 6), routed("/pay", "500", 67, 2)), "n1"),
				on(pod("strata", "1.0", "b", routed("/", "200", 52, 10, 67, 13)), "n2"),
				on(pod("strata-shapes", "1.0", "b", durations("/", []float64{1}, has(52, 1, 1), has(67, 2, 3)), durations("/pay", []float64{1}, has(52, 9, 9), has(67, 9, 10)), gauge("heap", 67, 4), gauge("stack", 67, 5)), "n2"),
			},
			check: func(t *testing.T, s suite) {
				if !s.Strata {
					return // see "what the source does not answer it rejects"
				}
				q := s.query("strata", fold(60, 75), "1.0")
				q.Strata = []string{route}
				s.want(t, q, at(row("strata", "1.0", "a", 1, 0, 20), "/"), at(row("strata", "1.0", "a", 1, 2, 3), "/pay"), at(row("strata", "1.0", "b", 1, 0, 3), "/"))
				q.Strata = []string{node, route}
				s.want(t, q, at(row("strata", "1.0", "a", 1, 0, 20), "n1", "/"), at(row("strata", "1.0", "a", 1, 2, 3), "n1", "/pay"), at(row("strata", "1.0", "b", 1, 0, 3), "n2", "/"))
				if s.Histograms {
					q := s.slower("strata-shapes", fold(60, 75), []float64{1}, "1.0")
					q.Strata = []string{route}
					s.want(t, q, at(observed("strata-shapes", "1.0", "b", 1, 3, 2), "/"), at(observed("strata-shapes", "1.0", "b", 1, 1, 1), "/pay"))
				}
				if s.Levels {
					q := s.query("strata-shapes", fold(60, 75), "1.0")
					q.Signal, q.Strata = s.Signal(memory("By")), []string{area}
					heap, stack := row("strata-shapes", "1.0", "b", 1, 0, 0), row("strata-shapes", "1.0", "b", 1, 0, 0)
					heap.Level, stack.Level = 4, 5
					s.want(t, q, at(heap, "heap"), at(stack, "stack"))
				}
			},
		},
		{
			name: "a restart that one stratum shows resets the pod",
			pods: []replay.Pod{pod("strata-reset", "1.0", "a", routed("/", "200", 52, 10, 67, 5), routed("/pay", "200", 52, 5, 67, 6))},
			check: func(t *testing.T, s suite) {
				if !s.Strata || s.Deltas {
					return
				}
				q := s.query("strata-reset", fold(60, 75), "1.0")
				q.Strata = []string{route}
				s.want(t, q, at(row("strata-reset", "1.0", "a", 1, 0, 5), "/"), at(row("strata-reset", "1.0", "a", 1, 0, 6), "/pay"))
			},
		},
	}
}
