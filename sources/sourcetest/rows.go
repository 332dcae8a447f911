package sourcetest

import (
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// rowCases: who gets a row, in which order, and what it counts.
func rowCases() []testCase {
	return []testCase{
		{
			name: "both arms are answered at once, sorted",
			pods: []replay.Pod{
				pod("arms", "2.0", "canary-1", counts("200", 52, 10, 67, 30), counts("500", 52, 0, 67, 2)),
				pod("arms", "1.0", "base-2", counts("200", 53, 1000, 68, 1100), counts("500", 53, 7, 68, 7)),
				pod("arms", "1.0", "base-1", counts("200", 51, 500, 66, 600), counts("500", 51, 3, 66, 4)),
				pod("arms", "0.9", "old", counts("200", 52, 1, 67, 2)),
				in(pod("arms", "2.0", "elsewhere", counts("200", 52, 1, 67, 2)), "staging"),
				pod("arms-other", "2.0", "stranger", counts("200", 52, 1, 67, 2)),
			},
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("arms", fold(60, 75), "1.0", "2.0"),
					row("arms", "1.0", "base-1", 1, 1, 101),
					row("arms", "1.0", "base-2", 1, 0, 100),
					row("arms", "2.0", "canary-1", 1, 2, 22))
				s.want(t, s.query("arms", fold(60, 75), "2.0"),
					row("arms", "2.0", "canary-1", 1, 2, 22))
				// The questions of several services may be merged.
				q := s.query("arms", fold(60, 75), "0.9", "2.0")
				q.Matches[1].Values = []string{"arms", "arms-other"}
				s.want(t, q,
					row("arms", "0.9", "old", 1, 0, 1),
					row("arms", "2.0", "canary-1", 1, 2, 22),
					row("arms-other", "2.0", "stranger", 1, 0, 1))
			},
		},
		{
			name: "attributes are reported without being matched",
			pods: []replay.Pod{
				pod("observe", "1.0", "a", counts("200", 52, 10, 67, 30)),
				pod("observe", "2.0", "b", counts("200", 52, 10, 67, 31)),
			},
			check: func(t *testing.T, s suite) {
				if !s.ReportsObserved {
					t.Skip("the source observes only what is matched")
				}
				q := s.query("observe", fold(60, 75))
				q.Observe = []string{podHash, analysis.AttrVersion}
				a, b := row("observe", "", "a", 1, 0, 20), row("observe", "", "b", 1, 0, 21)
				a.Values, b.Values = a.Values[:2], b.Values[:2]
				a.Observed, b.Observed = []string{"hash-of-1.0", "1.0"}, []string{"hash-of-2.0", "2.0"}
				s.want(t, q, a, b)
				// A cohort may be any attribute.
				q = s.query("observe", fold(60, 75))
				q.Matches = append(q.Matches[1:], analysis.Match{Name: podHash, Values: []string{"hash-of-2.0"}})
				q.Matches[0], q.Matches[1] = q.Matches[1], q.Matches[0] // sorted by name: "rollouts…" < "service…"
				b.Values, b.Observed = []string{"hash-of-2.0", "observe"}, nil
				s.want(t, q, b)
			},
		},
		{
			name: "the end of a fold belongs to it, the start does not",
			pods: []replay.Pod{pod("edges", "1.0", "a", counts("200", 45, 10, 60, 25, 75, 45), counts("500", 45, 0, 60, 1, 75, 3))},
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("edges", fold(45, 60), "1.0"), row("edges", "1.0", "a", 1, 1, 16))
				s.want(t, s.query("edges", fold(60, 75), "1.0"), row("edges", "1.0", "a", 1, 2, 22))
			},
		},
		{
			name: "several readings in one fold",
			pods: []replay.Pod{pod("several", "1.0", "a",
				counts("200", 55, 10, 65, 20, 75, 30, 85, 40, 95, 50, 105, 60, 115, 70, 125, 80), counts("500", 55, 0, 65, 1, 75, 1, 85, 1, 95, 2, 105, 2, 115, 5, 125, 9))},
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("several", fold(60, 120), "1.0"), row("several", "1.0", "a", 6, 5, 65))
			},
		},
		{
			name: "a pod that is silent has no row",
			pods: []replay.Pod{
				pod("absent", "1.0", "gone", counts("200", 22, 10, 37, 20, 52, 30)),
				pod("absent", "1.0", "here", counts("200", 22, 10, 37, 20, 52, 30, 67, 40)),
				pod("absent", "1.0", "later", counts("200", 82, 10, 97, 20)),
			},
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("absent", fold(60, 75), "1.0"), row("absent", "1.0", "here", 1, 0, 10))
			},
		},
		{
			name: "a pod that serves nothing but is alive",
			pods: []replay.Pod{
				pod("idle", "1.0", "busy", counts("200", 52, 10, 67, 20), cpu(52, 1, 67, 2)),
				pod("idle", "2.0", "idle", cpu(52, 1, 67, 2)),
				pod("idle", "2.0", "stopped", counts("200", 37, 5, 52, 5), cpu(37, 1, 52, 2, 67, 3)),
				pod("idle", "2.0", "dead", counts("200", 37, 5, 52, 5), cpu(37, 1, 52, 2)),
			},
			check: func(t *testing.T, s suite) {
				busy, idle, stopped := row("idle", "1.0", "busy", 1, 0, 10), row("idle", "2.0", "idle", 0, 0, 0), row("idle", "2.0", "stopped", 0, 0, 0)
				busy.Fresh, idle.Fresh, stopped.Fresh = true, true, true
				s.want(t, s.query("idle", fold(60, 75), "1.0", "2.0"), busy, idle, stopped)
			},
		},
		{
			name: "nothing matches: an empty answer, no error",
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("nobody", fold(60, 75), "1.0"))
				s.want(t, s.query("arms", fold(60, 75), "9.9"))
				s.want(t, s.query("arms", fold(-9000, -8985), "1.0"))
				q := s.query("arms", fold(60, 75), "1.0")
				q.Signal = errorRatio()
				q.Signal.Bad.Metric, q.Signal.Total.Metric = "shop.nothing", "shop.nothing"
				q.Signal = s.Signal(q.Signal)
				for _, r := range s.rows(t, q) {
					if r.Received != 0 || r.Bad != 0 || r.Exposure != 0 {
						t.Errorf("a metric that nobody sends: %s", show([]analysis.Row{r}))
					}
				}
			},
		},
	}
}

// selectionCases: what belongs to a signal.
func selectionCases() []testCase {
	routed := func(r, status string, pairs ...float64) replay.Series {
		return series(requests, map[string]string{statusCode: status, route: r}, pairs...)
	}
	literals := []string{
		"1.0", "1x0", ".*", "a|b", "a", "b", "(a)", `v"quoted"`, "v'quoted'", `back\slash`, `\d+`, "${canary.version}", "{{.version}}", "50%", "ä-ß", "new\nline", "[ab]+$", "^1",
	}
	var literalPods []replay.Pod
	for i, version := range literals {
		p := pod("literal", version, "pod-"+string(rune('a'+i)), counts("200", 52, 0, 67, float64(i+1)))
		literalPods = append(literalPods, p)
	}
	return []testCase{
		{
			name: "label combinations add up",
			pods: []replay.Pod{pod("combinations", "1.0", "a",
				routed("/", "200", 52, 100, 67, 110), routed("/cart", "200", 52, 10, 67, 12), routed("/", "404", 52, 1, 67, 2),
				routed("/", "500", 52, 1, 67, 4), routed("/cart", "503", 52, 2, 67, 3), routed("/pay", "599", 67, 1))},
			check: func(t *testing.T, s suite) {
				s.want(t, s.query("combinations", fold(60, 75), "1.0"), row("combinations", "1.0", "a", 1, 3+1+1, 10+2+1+3+1+1))
			},
		},
		{
			name: "conditions and good counters",
			pods: []replay.Pod{pod("conditions", "1.0", "a",
				routed("/", "200", 52, 100, 67, 110), routed("/", "500", 52, 1, 67, 4),
				routed("/cart", "200", 52, 10, 67, 12), routed("/cart", "503", 52, 2, 67, 3))},
			check: func(t *testing.T, s suite) {
				ask := func(bad, exposure float64, change func(*analysis.Signal)) {
					t.Helper()
					signal := errorRatio()
					change(&signal)
					q := s.query("conditions", fold(60, 75), "1.0")
					q.Signal = s.Signal(signal)
					s.want(t, q, row("conditions", "1.0", "a", 1, bad, exposure))
				}
				condition := func(name string, op analysis.Op, values ...string) analysis.Condition {
					return analysis.Condition{Name: name, Op: op, Values: values}
				}
				ask(3, 16, func(signal *analysis.Signal) {
					signal.Bad.Conditions[0] = condition(statusCode, analysis.OpEqual, "500")
				})
				ask(4, 16, func(signal *analysis.Signal) {
					signal.Bad.Conditions[0] = condition(statusCode, analysis.OpNotEqual, "200")
				})
				ask(1, 3, func(signal *analysis.Signal) {
					signal.Bad.Conditions = append(signal.Bad.Conditions, condition(route, analysis.OpEqual, "/cart"))
					signal.Total.Conditions = []analysis.Condition{condition(route, analysis.OpEqual, "/cart")}
				})
				ask(4, 16, func(signal *analysis.Signal) {
					signal.Bad.Conditions[0] = condition(statusCode, analysis.OpIn, "500", "503")
				})
				ask(4, 16, func(signal *analysis.Signal) {
					signal.Good, signal.Bad = signal.Bad, nil
					signal.Good.Conditions[0] = condition(statusCode, analysis.OpIn, "2xx")
				})
			},
		},
		{
			name: "values are literals, never patterns",
			pods: append(literalPods, pod("literal-routes", "1.0", "a",
				routed("/a.b", "200", 52, 0, 67, 1), routed("/axb", "200", 52, 0, 67, 10),
				routed(`/{id}|"x"\`, "200", 52, 0, 67, 100), routed(".*", "200", 52, 0, 67, 1000))),
			check: func(t *testing.T, s suite) {
				for i, version := range literals {
					p := literalPods[i].Name()
					s.want(t, s.query("literal", fold(60, 75), version), row("literal", version, p, 1, 0, float64(i+1)))
				}
				if got := s.rows(t, s.query("literal", fold(60, 75), ".*", "a|b")); len(got) != 2 {
					t.Errorf("got %d rows, want 2: %s", len(got), show(got))
				}
				for value, exposure := range map[string]float64{"/a.b": 1, "/axb": 10, `/{id}|"x"\`: 100, ".*": 1000} {
					signal := errorRatio()
					signal.Total.Conditions = []analysis.Condition{{Name: route, Op: analysis.OpEqual, Values: []string{value}}}
					q := s.query("literal-routes", fold(60, 75), "1.0")
					q.Signal = s.Signal(signal)
					s.want(t, q, row("literal-routes", "1.0", "a", 1, 0, exposure))
				}
			},
		},
	}
}
