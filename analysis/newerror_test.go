package analysis

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// shopWithLogs folds fold by fold a service of 200 requests a second with a canary of
// the given share, whose requests fail and write lines of ERROR as told.
type shopWithLogs struct {
	tb    testing.TB
	s     *State
	rng   *rand.Rand
	share float64
}

func newShopWithLogs(tb testing.TB, seed uint64, share float64, changes ...func(*PlanInput)) *shopWithLogs {
	all := append([]func(*PlanInput){withStreams(logsObjective(), severityObjective()), func(in *PlanInput) {
		in.Facts[2].History = History{ // one request in a hundred writes such a line
			Calibrated: true, Minutes: 1440, Pods: 10, Phi0: [3]float64{1, 1, 1}, Bad: 172800, Exposure: 1.728e7, BadHour: 7200, HourTotal: 720_000, HourSpan: 60,
		}
	}}, changes...)
	return &shopWithLogs{tb, testState(tb, all...), rand.New(rand.NewPCG(77, seed)), share}
}

// bernoulli counts how many of n happen with probability p.
func bernoulli(rng *rand.Rand, n, p float64) float64 {
	x := 0.0
	for range int(n) {
		if rng.Float64() < p {
			x++
		}
	}
	return x
}

// fold folds 15 s: errors of the arms at rates pC and pB, requests with ERROR lines at
// eC and eB, of which those of the canary are lines of a new template in so many cases.
func (w *shopWithLogs) fold(pC, pB, eC, eB, reworded float64) {
	n := 3000.0
	nC := n * w.share
	nB := n - nC
	errorsC, errorsB := bernoulli(w.rng, nC, eC), bernoulli(w.rng, nB, eB)
	foldRows(w.tb, w.s, 0, rows(bernoulli(w.rng, nC, pC), bernoulli(w.rng, nB, pB), nC, nB))
	fresh, known := 0.0, errorsC
	for range int(errorsC) {
		if w.rng.Float64() < reworded {
			fresh, known = fresh+1, known-1
		}
	}
	tallies := []TemplateTally{{Template: "old", Severity: SeverityError, Baseline: errorsB, Canary: known}}
	if fresh > 0 {
		tallies = append(tallies, freshTally(fresh))
	}
	foldLines(w.tb, w.s, nC, nB, tallies...)
	foldStream(w.tb, w.s, Evidence{Objective: "logs_severity", Rows: rows(errorsC, errorsB, nC, nB)})
}

func freshTally(n float64) TemplateTally { return fresh("reworded", SeverityError, n) }

func oldTemplate(in *PlanInput) {
	withTemplates(Template{ID: "old", Text: "cart <*> is gone", Severity: SeverityError, Lines: 1000})(in)
}

// A healthy release that rewords its ERROR line is held back for a moment, where the rate
// of such lines is not shown at once, then promoted. It is never rolled back.
func TestARewordedErrorLineIsNeverARollback(t *testing.T) {
	all := 0
	for seed := range uint64(12) {
		w := newShopWithLogs(t, seed, .3, oldTemplate)
		held, promoted := false, false
		for range 160 {
			w.fold(.005, .005, .01, .01, 1)
			c := w.s.Checks()
			if c.Harm.State == Bad {
				t.Fatalf("seed %d: rolled back: %s", seed, c.Harm.Reason)
			}
			held = held || w.s.newError().Code == NewErrorTemplate
			promoted = promoted || c.Safety.State == Good
		}
		got := w.s.Differences()
		if held {
			all++
		}
		if !promoted || len(got) == 0 || got[0].Template != "text of reworded" || !got[0].Found {
			t.Errorf("seed %d: promoted %v: %+v", seed, promoted, got)
		}
	}
	if all < 6 {
		t.Errorf("only %d of 12 were held back", all)
	}
}

// With a new line of ERROR beside the old ones, safety names it until the rate of such
// lines is shown, and never otherwise.
func TestANewErrorTemplateBlocks(t *testing.T) {
	block := func(changes ...func(*PlanInput)) *shopWithLogs {
		w := newShopWithLogs(t, 3, .1, append([]func(*PlanInput){oldTemplate}, changes...)...)
		for range 40 { // errors are shown safe, of lines there is no trace but the new one
			foldRows(t, w.s, 0, rows(15, 135, 3000, 27000))
			foldLines(t, w.s, 3000, 27000, freshTally(1))
		}
		return w
	}
	s := block().s
	c := s.Checks().Safety
	if c.State != Undecided || c.Code != NewErrorTemplate || !strings.Contains(c.Reason, "“text of reworded”") {
		t.Fatalf("%+v", c)
	}
	if f := s.Describe()[1]; f.Code != NewErrorTemplate || f.State != FindingUndecided {
		t.Errorf("%+v", f)
	}
	for range 40 { // as many lines as in the baseline
		foldStream(t, s, Evidence{Objective: "logs_severity", Rows: rows(30, 270, 3000, 27000)})
	}
	if c := s.Checks().Safety; c.State != Good {
		t.Errorf("the rate is shown: %+v", c)
	}
	if got := s.Differences(); len(got) != 1 || !got[0].Found || got[0].Muted {
		t.Errorf("%+v", got)
	}
	foldStream(t, s, Evidence{Objective: "logs_severity", Missing: SourceUnavailable})
	if c := s.Checks().Safety; c.Code != NewErrorTemplate {
		t.Errorf("the rate is not counted any more: %+v", c)
	}
	foldStream(t, s, Evidence{Objective: "logs_severity", Rows: rows(30, 270, 3000, 27000)})
	if c := s.Checks().Safety; c.State != Good {
		t.Errorf("the rate is counted again: %+v", c)
	}
	for range 4 {
		foldStream(t, s, Evidence{Objective: "logs_severity", Rows: rows(90, 270, 3000, 27000)})
	}
	if c := s.Checks().Safety; c.Code != NewErrorTemplate {
		t.Errorf("the rate broke of late: %+v", c)
	}
	for name, change := range map[string]func(*PlanInput){
		"expected by the deployment": func(in *PlanInput) { in.Deployment.ExpectLines = []string{"A Line Of"} },
		"expected":                   func(in *PlanInput) { in.Logs.Expect = []string{"text of"} },
		"muted":                      func(in *PlanInput) { in.Logs.Mute = []string{"reworded"} },
		"already in history":         withTemplates(Template{ID: "reworded", Text: "known", Severity: SeverityError}),
	} {
		s := block(change).s
		if c := s.Checks().Safety; c.State != Good {
			t.Errorf("%s: %+v", name, c)
		}
		got := s.Differences()
		if muted := name != "already in history"; len(got) != 1 || got[0].Muted != muted {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// One stray line is told, and holds nothing up; nor does a new line of WARN.
func TestWhatIsNoFindingDoesNotBlock(t *testing.T) {
	for name, tally := range map[string]func(k int) []TemplateTally{
		"a stray line": func(k int) []TemplateTally {
			if k == 7 {
				return []TemplateTally{freshTally(1)}
			}
			return nil
		},
		"a warning": func(int) []TemplateTally { return []TemplateTally{fresh("warning", SeverityWarn, 2)} },
		"in both arms": func(int) []TemplateTally {
			return []TemplateTally{{Template: "both", New: "new in both", Severity: SeverityError, Canary: 1, Baseline: 9}}
		},
	} {
		w := newShopWithLogs(t, 3, .1)
		for k := range 40 {
			foldRows(t, w.s, 0, rows(15, 135, 3000, 27000))
			foldLines(t, w.s, 3000, 27000, tally(k)...)
		}
		if c := w.s.Checks().Safety; c.State != Good {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// A severity rate of a narrower class does not speak for the template.
func TestANarrowSeverityShowsNothingOfTheOthers(t *testing.T) {
	w := newShopWithLogs(t, 3, .1, func(in *PlanInput) {
		logs := *in.Policy.Objectives[2].Signal.Logs
		logs.Severity = SeverityFatal
		in.Policy.Objectives[2].Signal.Logs = &logs
	})
	for range 40 {
		foldRows(t, w.s, 0, rows(15, 135, 3000, 27000))
		foldLines(t, w.s, 3000, 27000, freshTally(1))
		foldStream(t, w.s, Evidence{Objective: "logs_severity", Rows: rows(30, 270, 3000, 27000)})
	}
	if c := w.s.Checks().Safety; c.Code != NewErrorTemplate {
		t.Errorf("%+v", c)
	}
}
