package sourcetest

import (
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// firstReadingCases: the first reading of a pod, the first of a series, and those
// after a restart (statistics 2.1).
func firstReadingCases() []testCase {
	first := func(r analysis.Row, bad, exposure float64) analysis.Row {
		r.New, r.FirstBad, r.FirstExposure = true, bad, exposure
		return r
	}
	return []testCase{
		{
			name: "the first reading of a new pod is set apart",
			pods: []replay.Pod{pod("new", "2.0", "a", counts("200", 62, 500, 72, 520), counts("500", 62, 2, 72, 3))},
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("new", fold(60, 75), "2.0"), first(row("new", "2.0", "a", 2, 1, 21), 2, 502))
			},
		},
		{
			name: "a pod that started inside the fold counts in full",
			pods: []replay.Pod{
				startedAt(pod("started", "2.0", "before", counts("200", 62, 500, 72, 520)), 58),
				startedAt(pod("started", "2.0", "inside", counts("200", 67, 50, 82, 65), counts("500", 67, 2, 82, 2)), 61),
			},
			check: func(t *testing.T, s suite) {
				if !s.ReportsStart || s.Deltas {
					t.Skip("the source does not know starts")
				}
				before, inside := first(row("started", "2.0", "before", 2, 0, 20), 0, 500), row("started", "2.0", "inside", 1, 2, 52)
				before.PodStart, inside.PodStart = at(58), at(61)
				s.want(t, s.query("started", fold(60, 75), "2.0"), before, inside)
				inside = row("started", "2.0", "inside", 1, 0, 15)
				inside.PodStart = at(61)
				s.want(t, s.query("started", fold(75, 90), "2.0"), inside)
			},
		},
		{
			name: "a series born on a known pod counts in full",
			pods: []replay.Pod{startedAt(pod("born", "2.0", "a",
				counts("200", 37, 100, 52, 110, 67, 120, 82, 130), counts("500", 67, 2, 82, 2), counts("503", 82, 1)), -500)},
			check: func(t *testing.T, s suite) {
				a := row("born", "2.0", "a", 1, 2, 12)
				a.PodStart = at(-500)
				s.want(t, s.query("born", fold(60, 75), "2.0"), a)
				a.Increase = analysis.Increase{Bad: 1, Exposure: 11}
				s.want(t, s.query("born", fold(75, 90), "2.0"), a)
			},
		},
		{
			// 500 falls, and so 200 began anew too although it grew: 12, not 2.
			name: "a restart resets every series of the pod",
			pods: []replay.Pod{
				startedAt(pod("reset", "2.0", "a", counts("200", 52, 10, 67, 12), counts("500", 52, 5, 67, 1)), -500, 58),
				startedAt(pod("reset", "2.0", "b", counts("200", 52, 100, 67, 12), counts("500", 52, 5, 67, 6)), -500, 58),
			},
			check: func(t *testing.T, s suite) {
				a, b := row("reset", "2.0", "a", 1, 1, 13), row("reset", "2.0", "b", 1, 6, 18)
				a.PodStart, b.PodStart = at(58), at(58)
				if s.Deltas {
					t.Skip("increments are not reset")
				}
				s.want(t, s.query("reset", fold(60, 75), "2.0"), a, b)
			},
		},
		{
			name: "a restart that no counter shows",
			pods: []replay.Pod{startedAt(pod("hidden", "2.0", "a", counts("200", 52, 10, 67, 12), counts("500", 52, 1, 67, 1)), -500, 61)},
			check: func(t *testing.T, s suite) {
				if !s.ReportsStart || s.Deltas {
					t.Skip("the source does not know starts")
				}
				a := row("hidden", "2.0", "a", 1, 1, 13)
				a.PodStart = at(61)
				s.want(t, s.query("hidden", fold(60, 75), "2.0"), a)
				// Before anybody could have heard of it, there was no restart.
				a = row("hidden", "2.0", "a", 1, 0, 0)
				a.New, a.FirstBad, a.FirstExposure, a.PodStart = true, 1, 11, at(-500)
				s.want(t, s.query("hidden", fold(45, 61), "2.0"), a)
			},
		},
		{
			name: "a pod is known only by samples since the query's Since",
			pods: []replay.Pod{pod("since", "2.0", "a", counts("200", 7, 100, 1207, 300, 1222, 310), counts("500", 7, 1, 1222, 3))},
			check: func(t *testing.T, s suite) {
				if s.Deltas {
					t.Skip("increments count in full")
				}
				q := s.query("since", fold(1200, 1215), "2.0")
				q.Since = at(600)
				s.want(t, q, first(row("since", "2.0", "a", 1, 0, 0), 0, 300))
				// The quiet error series is older than the memory, but what it held then
				// has long been counted… by those who kept it. Both answers are legal.
				q = s.query("since", fold(1215, 1230), "2.0")
				q.Since = at(600)
				got := s.rows(t, q)
				if len(got) != 1 || got[0].New || got[0].Bad != 2 && got[0].Bad != 3 || got[0].Exposure != got[0].Bad+10 {
					t.Errorf("got %s, want 2 (or 3) bad of 12 (or 13)", show(got))
				}
				q.Since = at(0)
				s.want(t, q, row("since", "2.0", "a", 1, 2, 12))
			},
		},
	}
}
