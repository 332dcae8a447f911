package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis/stats"
)

// templateVectors are the published e-values of statistics 10: x lines of the canary in x
// folds, none of the baseline.
var templateVectors = map[float64][]float64{
	.10: {2.092, 5.753, 20.03, 81.33, 360.8},
	.02: {3.654, 34.11, 528.0, 9710},
}

func TestTemplateVectors(t *testing.T) {
	for share, want := range templateVectors {
		s := testState(t, withStreams(logsObjective()))
		for x, e := range want {
			foldLines(t, s, 10000*share, 10000*(1-share), fresh("a", SeverityError, 1))
			got := s.Differences()
			if len(got) != 1 || math.Abs(float64(got[0].E)-e) > 6e-4*e {
				t.Errorf("share %v, %d lines: %+v, want an evidence of %v", share, x+1, got, e)
			}
		}
	}
}

// Of 400 templates of equal weight a finding needs 8,000: seven lines at a share of 10 %.
func TestSevenLinesAreAFindingAmongFourHundred(t *testing.T) {
	s := testState(t, withStreams(logsObjective()))
	logE := make([]float64, 400)
	for x := 1; x <= 7; x++ {
		foldLines(t, s, 1000, 9000, fresh("a", SeverityError, 1))
		logE[0] = math.Log(float64(s.Differences()[0].E))
		if found := stats.EBH(logE, .05); (found == 1) != (x == 7) {
			t.Errorf("%d lines (E = %v): %d findings", x, math.Exp(logE[0]), found)
		}
	}
}

// Half of the weight is the known templates', in proportion to severity, half the new
// ones', by 1/(j(j+1)) for each severity: together they are never more than one.
func TestTemplateWeights(t *testing.T) {
	p := testPlan(t, withStreams(logsObjective()), withTemplates(
		Template{ID: "f", Severity: SeverityFatal}, Template{ID: "e", Severity: SeverityError},
		Template{ID: "w", Severity: SeverityWarn}, Template{ID: "i", Severity: SeverityInfo},
	))
	a, err := newTemplates(p, &p.Objectives[1])
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]float64{"f": 8 / 14.25 / 2, "e": 4 / 14.25 / 2, "w": 2 / 14.25 / 2, "i": .25 / 14.25 / 2} {
		if got := a.weights[id]; !near(got, want) {
			t.Errorf("weight of %s: %v, want %v", id, got, want)
		}
	}
	total := .5
	for i := range 200 {
		severity := Severity(i % int(SeverityFatal+1))
		f := taken{foldCounts: foldCounts{nC: 100, nB: 900}, Logs: &LogTally{Templates: []TemplateTally{fresh(fmt.Sprint(i), severity, 1)}}}
		if err := a.fold(&f); err != nil {
			t.Fatal(err)
		}
		total += a.Seen[i].Weight
	}
	if second := a.Seen[5+7].Weight; !near(second, 4/14.25/2/6) {
		t.Errorf("the second new template of ERROR weighs %v, want %v", second, 4/14.25/12)
	}
	if first := a.Seen[5].Weight; !near(first, 4/14.25/2/2) {
		t.Errorf("the first new template of ERROR weighs %v, want %v", first, 4/14.25/4)
	}
	if !(total > .9 && total < 1) {
		t.Errorf("all weights add up to %v", total)
	}
	if a.Tested != [2]int{maxNewTested, maxNewTested} {
		t.Errorf("tested: %v", a.Tested)
	}
}

// Every new template of ERROR is told from its first line, before it is evidence.
func TestNewErrorTemplatesAreToldFromTheFirstLine(t *testing.T) {
	s := testState(t, withStreams(logsObjective()))
	foldLines(t, s, 1000, 9000, fresh("info", SeverityInfo, 3), fresh("error", SeverityError, 1))
	got := s.Differences()
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	d := got[0]
	switch {
	case d.Key != "template:error" || d.Found || !d.New || d.Severity != SeverityError || d.Canary != 1 || d.Baseline != 0:
		t.Errorf("%+v", d)
	case !strings.Contains(d.What, "seen, not yet evidence") || !strings.Contains(d.What, "new error line: “text of error”"):
		t.Errorf("it says %q", d.What)
	case d.Since == nil || !d.Since.Equal(at(15)) || d.TraceID == "" || d.Example.Text != "a line of error" || !slices.Equal(d.Pods, []string{"c"}) || d.OfPods != 1:
		t.Errorf("%+v", d)
	}
}

// A line that both arms write is none of the canary's, however new it is; one that the
// canary alone no longer writes is told as gone.
func TestTemplatesOfBothArmsAndGoneOnes(t *testing.T) {
	s := testState(t, withStreams(logsObjective()), withTemplates(knownTemplates(2)...))
	for range 20 {
		foldLines(
			t, s, 1000, 9000,
			TemplateTally{Template: "shared", New: "new in both", Severity: SeverityError, Baseline: 9, Canary: 1},
			TemplateTally{Template: "k000", Baseline: 900, Canary: 100},
			TemplateTally{Template: "k001", Baseline: 90},
		)
	}
	got := s.Differences()
	if len(got) != 1 || got[0].Key != "template:k001" || !got[0].Gone || got[0].New || got[0].Found {
		t.Errorf("%+v", got)
	}
	if new := s.NewTemplates(); len(new) != 1 || new[0].ID != "shared" || new[0].Text != "new in both" {
		t.Errorf("new templates %+v", new)
	}
}

// A flood of new templates is bounded, counted, and hides no error.
func TestAFloodOfTemplates(t *testing.T) {
	s := testState(t, withStreams(logsObjective()), withTemplates(knownTemplates(1000)...))
	for k := range 60 {
		var tallies []TemplateTally
		for i := range 100 {
			tallies = append(tallies, fresh(fmt.Sprintf("flood-%d-%d", k, i), SeverityInfo, 1))
		}
		if k >= 45 {
			tallies = append(tallies, fresh("beyond", SeverityFatal, 1))
		}
		if k >= 40 {
			tallies = append(tallies, fresh("error", SeverityError, 1))
		}
		foldLines(t, s, 1000, 9000, tallies...)
	}
	got := s.Differences()
	if len(got) != maxDifferences || got[0].Key != "template:error" || !got[0].Found {
		t.Errorf("%d differences, the first %+v", len(got), got[0])
	}
	if got[1].Key != "template:beyond" || !got[1].Found {
		t.Errorf("the second: %+v", got[1])
	}
	if n := len(s.NewTemplates()); n != maxNewQuiet+2 {
		t.Errorf("%d new templates are named", n)
	}
	if dropped := s.NotRead().Dropped; dropped != 6000-maxNewQuiet {
		t.Errorf("%v lines dropped", dropped)
	}
	snapshot, err := s.Snapshot()
	if err != nil || len(snapshot) > 1<<20 {
		t.Errorf("a checkpoint of %d bytes (%v)", len(snapshot), err)
	}
}

// Lines of a fold whose requests are not known are told and prove nothing.
func TestPartialFoldsTellAndProveNothing(t *testing.T) {
	s := testState(t, withStreams(logsObjective()))
	for range 30 {
		foldStream(t, s, Evidence{Objective: "logs", Partial: true, Rows: rows(0, 0, 1000, 9000), Logs: &LogTally{
			Templates: []TemplateTally{fresh("a", SeverityError, 1)}, NotRead: NotRead{Truncated: 2},
		}})
	}
	got := s.Differences()
	if len(got) != 1 || got[0].Found || !math.IsNaN(float64(got[0].E)) || got[0].Canary != 30 {
		t.Errorf("%+v", got)
	}
	if n := s.NotRead(); n.Truncated != 60 {
		t.Errorf("%+v", n)
	}
}

func TestHostileTalliesAreRefused(t *testing.T) {
	s := testState(t, withStreams(logsObjective(), topologyObjective()))
	foldLines(t, s, 100, 900, fresh("a", SeverityError, 1))
	before, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := math.NaN(), math.Inf(1)
	for _, e := range []Evidence{
		{Objective: "logs", Logs: &LogTally{Templates: []TemplateTally{{Template: "a", Canary: nan}}}},
		{Objective: "logs", Logs: &LogTally{Templates: []TemplateTally{{Template: "a", Baseline: -1}}}},
		{Objective: "logs", Logs: &LogTally{Templates: []TemplateTally{{Template: "a", CanaryLines: inf}}}},
		{Objective: "logs", Logs: &LogTally{Volumes: []Volume{{Arm: 9}}}},
		{Objective: "logs", Logs: &LogTally{Volumes: []Volume{{Arm: Canary, Level: 7}}}},
		{Objective: "logs", Logs: &LogTally{NotRead: NotRead{Late: -1}}},
		{Objective: "traces", Spans: &SpanTally{Edges: []EdgeTally{{Canary: SpanCount{Seconds: inf}}}}},
		{Objective: "traces", Spans: &SpanTally{NotRead: NotRead{Share: 2}}},
	} {
		e.Fold, _ = s.Next(place(t, s, e.Objective))
		if err := s.Fold(&e); err == nil {
			t.Errorf("taken: %+v %+v", e.Logs, e.Spans)
		}
	}
	if after, err := s.Snapshot(); err != nil || !bytes.Equal(before, after) {
		t.Errorf("refused evidence changed the state (%v)", err)
	}
}

// A state that is restored after any fold tells the same, byte for byte, in every fold
// after it.
func TestRestoredListsAreTheSame(t *testing.T) {
	begin := func() *State {
		return testState(t, withStreams(logsObjective(), topologyObjective()), withTemplates(knownTemplates(5)...))
	}
	told := func(s *State) string {
		b, err := json.Marshal([]any{s.Differences(), s.NewTemplates(), s.NotRead(), s.Describe(), s.Checks(), s.Warnings()})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one, two := begin(), begin()
	for k := range 24 {
		for _, s := range []*State{one, two} {
			tallies := []TemplateTally{{Template: "k001", Baseline: 9, Canary: float64(k % 3)}, fresh(fmt.Sprint("n", k/5), Severity(k%7), 1)}
			foldStream(t, s, Evidence{Objective: "logs", Rows: rows(0, 0, 1000, 9000), Logs: &LogTally{
				Templates: tallies, Volumes: []Volume{{Canary, SeverityDebug, 300, 9000}, {Baseline, SeverityInfo, 100, 1000}}, NotRead: NotRead{Late: 1},
			}})
			foldSpans(t, s, 1000, 9000, EdgeTally{
				Edge:   Edge{Service: "checkout", Operation: "POST /pay", Callee: "payment", CalleeVersion: fmt.Sprint("v", k%2)},
				Canary: SpanCount{Calls: 50, Errors: 5, Seconds: 9}, Baseline: SpanCount{Calls: 450, Errors: 2, Seconds: 40},
			})
		}
		snapshot, err := two.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if two, err = RestoreState(two.plan, snapshot); err != nil {
			t.Fatal(err)
		}
		if a, b := told(one), told(two); a != b {
			t.Fatalf("fold %d:\n%s\n%s", k, a, b)
		}
		again, err := two.Snapshot()
		if err != nil || !bytes.Equal(snapshot, again) {
			t.Fatalf("fold %d: another checkpoint (%v)", k, err)
		}
	}
	if len(one.Differences()) < 5 {
		t.Errorf("next to nothing was compared: %+v", one.Differences())
	}
}

func TestVolumeIsTold(t *testing.T) {
	s := testState(t, withStreams(logsObjective()))
	volume := func(debugC, infoC float64) {
		foldStream(t, s, Evidence{Objective: "logs", Rows: rows(0, 0, 1000, 9000), Logs: &LogTally{Volumes: []Volume{
			{Baseline, SeverityInfo, 18000, 9e5}, {Canary, SeverityDebug, debugC, 1000}, {Canary, SeverityInfo, infoC, 1e5},
		}}})
	}
	volume(0, 2000)
	if got := s.Differences(); len(got) != 0 {
		t.Errorf("as many lines for each request: %+v", got)
	}
	volume(4000, 2000)
	got := s.Differences()
	if len(got) != 2 || got[0].Kind != DiffVolume || !slices.ContainsFunc(got, func(d Difference) bool { return d.Key == "volume:level" && d.New }) {
		t.Errorf("%+v", got)
	}
}

func BenchmarkTemplates(b *testing.B) {
	s := testState(b, withStreams(logsObjective()), withTemplates(knownTemplates(400)...))
	var tallies []TemplateTally
	for i := range 400 {
		tallies = append(tallies, TemplateTally{Template: fmt.Sprintf("k%03d", i), Canary: 1, Baseline: 9})
	}
	f := taken{foldCounts: foldCounts{nC: 1000, nB: 9000}, Logs: &LogTally{Templates: tallies}}
	b.Run("fold", func(b *testing.B) {
		for b.Loop() {
			if err := s.objectives[1].acc.fold(&f); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tell", func(b *testing.B) {
		for b.Loop() {
			s.Differences()
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			data, err := s.objectives[1].acc.snapshot()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(data)), "bytes")
		}
	})
}

// A new template that was one of too many to be tested is tested once its lines are errors.
func TestALineThatBecomesAnErrorIsTested(t *testing.T) {
	s := testState(t, withStreams(logsObjective()))
	var flood []TemplateTally
	for i := range maxNewTested + 1 {
		flood = append(flood, fresh(fmt.Sprintf("quiet%02d", i), SeverityInfo, 1))
	}
	foldLines(t, s, 300, 2700, flood...)
	for range 20 {
		foldLines(t, s, 300, 2700, fresh(flood[maxNewTested].Template, SeverityError, 3))
	}
	if c := s.newError(); c.Code != NewErrorTemplate {
		t.Errorf("%+v", c)
	}
}
