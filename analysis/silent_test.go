package analysis

import (
	"strings"
	"testing"
)

// linesOf is a fold of requests of which a pod of either arm wrote so many lines.
func linesOf(linesC, linesB int, xC, xB float64) []ArmRow {
	out := rows(xC, xB, 3000, 27000)
	out[0].Received, out[1].Received = linesB, linesC
	out[0].Fresh, out[1].Fresh = true, true
	return out
}

// Requests of a pod whose lines stay away are not counted where that could show harm,
// however long it lasts; they are again once its lines come. A pod that was often without
// lines is not silent.
func TestRequestsOfSilentPodsAreNotCounted(t *testing.T) {
	for name, c := range map[string]struct {
		o       Objective
		before  [][2]int // lines of the canary and the baseline, fold by fold
		lines   [2]int
		counted [2]bool // canary, baseline
	}{
		"nobody was heard":         {severityObjective(), nil, [2]int{40, 400}, [2]bool{false, false}},
		"both are heard":           {severityObjective(), [][2]int{{40, 400}}, [2]int{40, 400}, [2]bool{true, true}},
		"silent baseline":          {severityObjective(), [][2]int{{40, 400}}, [2]int{40, 0}, [2]bool{true, false}},
		"silent canary":            {severityObjective(), [][2]int{{40, 400}}, [2]int{0, 400}, [2]bool{false, true}},
		"baseline of few lines":    {severityObjective(), [][2]int{{1, 1}, {0, 0}, {0, 0}, {1, 1}}, [2]int{1, 0}, [2]bool{true, true}},
		"canary of few lines":      {severityObjective(), [][2]int{{1, 400}}, [2]int{0, 400}, [2]bool{true, true}},
		"must appear, silent":      {mustAppearObjective(), [][2]int{{3, 400}}, [2]int{0, 400}, [2]bool{false, true}},
		"must appear, no baseline": {mustAppearObjective(), [][2]int{{3, 400}}, [2]int{3, 0}, [2]bool{true, true}},
	} {
		s := testState(t, withStreams(c.o))
		for _, lines := range c.before {
			foldStream(t, s, Evidence{Objective: c.o.Name, Rows: linesOf(lines[0], lines[1], 0, 0)})
		}
		o := &s.objectives[place(t, s, c.o.Name)]
		for range 30 {
			got := o.spoken(linesOf(c.lines[0], c.lines[1], 0, 0))
			if counted := [2]bool{got[1].Exposure > 0, got[0].Exposure > 0}; counted != c.counted {
				t.Errorf("%s: counted %v", name, counted)
			}
			if name != "silent baseline" && name != "must appear, silent" { // the others hold for one fold
				break
			}
			foldStream(t, s, Evidence{Objective: c.o.Name, Rows: linesOf(c.lines[0], c.lines[1], 0, 0)})
		}
		if strings.HasSuffix(name, "silent baseline") && !strings.Contains(strings.Join(s.Warnings(), "\n"), "baseline_telemetry_missing: logs_severity: no log line comes of 1 of 1 pods of the baseline") {
			t.Errorf("%s: %q", name, s.Warnings())
		}
	}
}

// A new line of ERROR blocks on where the canary's lines stop to come: a rate of errors
// that nobody writes down is no rate that is shown.
func TestSilenceLiftsNoBlock(t *testing.T) {
	for _, silent := range []bool{false, true} {
		w := newShopWithLogs(t, 3, .1, oldTemplate)
		for range 40 {
			foldRows(t, w.s, 0, rows(15, 135, 3000, 27000))
			foldLines(t, w.s, 3000, 27000, freshTally(1))
		}
		if c := w.s.newError(); c.Code != NewErrorTemplate {
			t.Fatalf("%+v", c)
		}
		known := TemplateTally{Template: "old", Severity: SeverityError, Baseline: 270, BaselineLines: 270, Canary: 30, CanaryLines: 30}
		if silent {
			known.Canary, known.CanaryLines = 0, 0
		}
		for range 40 {
			foldLines(t, w.s, 3000, 27000, known)
			foldStream(t, w.s, Evidence{Objective: "logs_severity", Rows: rows(known.Canary, 270, 3000, 27000)})
		}
		if blocks := w.s.newError().Code == NewErrorTemplate; blocks != silent {
			t.Errorf("silent %v: blocks %v", silent, blocks)
		}
	}
}
