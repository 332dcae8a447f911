package analysis

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// mustAppearState is that of a plan with lines that must appear, of which history knows a rate of
// requests that have none.
func mustAppearState(tb testing.TB, missing float64, changes ...func(*PlanInput)) *State {
	all := append([]func(*PlanInput){withStreams(mustAppearObjective()), func(in *PlanInput) {
		if missing >= 0 {
			in.Facts[1].History = History{Calibrated: true, Minutes: 1440, Pods: 10, Phi0: [3]float64{1, 1, 1}, Bad: 1e6 * missing, Exposure: 1e6, BadHour: 1e4 * missing, HourTotal: 1e4, HourSpan: 60}
		}
	}}, changes...)
	return testState(tb, all...)
}

// Losing lines is harm, however few requests write them, and whatever history said; as
// many as before are none. Where most requests write them no margin can be shown: twice as
// many good requests as all of them is no hypothesis.
func TestLinesThatMustAppear(t *testing.T) {
	for _, missing := range []float64{-1, 0, .3, .7, .99} {
		for _, lost := range []float64{0, .2, .6} {
			s := mustAppearState(t, missing)
			o := s.plan.Objectives[1]
			if !o.CountGood {
				t.Errorf("missing %v: the lines are not counted", missing)
			}
			there := 1 - max(0, missing)
			for range 200 {
				foldRows(t, s, 0, rows(10, 10, 2000, 2000))
				foldStream(t, s, Evidence{Objective: "logs_must_appear", Rows: rows(2000-math.Round(2000*there*(1-lost)), 2000-math.Round(2000*there), 2000, 2000)})
			}
			c, f := s.Checks().Harm, s.Describe()[1]
			switch {
			case lost == .6 && (c.State != Bad || !strings.Contains(c.Reason, `of the requests without "order stored"`)):
				t.Errorf("missing %v, %v lost: %+v, evidence %v", missing, lost, c, f.ERollback)
			case lost < .25 && c.State != Good, lost == 0 && missing > .5 && f.State != FindingWithin:
				t.Errorf("missing %v, %v lost: %+v, %+v", missing, lost, c, f)
			}
		}
	}
}

// Harm that rests on one operation or one call is harm: the release has broken it. What
// rests on one zone may be the zone.
func TestOneBrokenOperationIsNotExcused(t *testing.T) {
	for name, c := range map[string]struct {
		objective Objective
		localised bool
	}{
		"operations": {exclusiveObjective(), false},
		"calls":      {callsObjective(), false},
		"zones": {func() Objective {
			o := exclusiveObjective()
			o.Strata = []string{"zone"}
			return o
		}(), true},
	} {
		s := testState(t, withStreams(c.objective), func(in *PlanInput) {
			in.Facts[1].History = knownHistory()
			in.Policy.Objectives[0].Role = Advisory
		})
		for range 60 {
			var all []ArmRow
			for _, arm := range []Arm{Baseline, Canary} {
				for i := range 5 {
					r := row(arm, fmt.Sprint(arm), 10, 2000)
					if r.Stratum = fmt.Sprint("s", i); arm == Canary && i == 3 {
						r.Bad = 30
					}
					all = append(all, r)
				}
			}
			foldStream(t, s, Evidence{Objective: c.objective.Name, Rows: all})
		}
		if h := s.Checks().Harm; (h.Code == Localised) != c.localised || !c.localised && h.State != Bad {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// Operations beyond those of the plan are one, in both arms.
func TestOperationsBeyondThePlanAreOne(t *testing.T) {
	s := testState(t, withStreams(exclusiveObjective()), func(in *PlanInput) { in.Traces = &TracePlan{Operations: []string{"GET /"}} })
	var all []ArmRow
	for _, arm := range []Arm{Baseline, Canary} {
		for _, stratum := range []string{"GET /", "x", "y", OtherOperation} {
			r := row(arm, fmt.Sprint(arm), 1, 100)
			r.Stratum = stratum
			all = append(all, r)
		}
	}
	foldStream(t, s, Evidence{Objective: exclusiveObjective().Name, Rows: all})
	strata := s.objectives[1].acc.(*ratio).concurrent.Strata
	if len(strata) != 2 || strata[0].Name != "GET /" || strata[1].Name != OtherOperation || strata[1].Canary != 300 {
		t.Errorf("%+v", strata)
	}
}

// More events than requests (lines outside of requests) are as many as requests; the rows
// stay as they came.
func TestLinesOutsideOfRequests(t *testing.T) {
	s := testState(t, withStreams(severityObjective()))
	r := rows(300, 5, 100, 900)
	foldStream(t, s, Evidence{Objective: "logs_severity", Rows: rows(0, 0, 0, 0)}) // lines are known to come from here on
	foldStream(t, s, Evidence{Objective: "logs_severity", Rows: r})
	if n := s.Describe()[1].N; n.CanaryBad != 100 || n.BaselineBad != 5 || r[1].Bad != 300 {
		t.Errorf("%+v %+v", n, r)
	}
}

func TestSentencesOfStreams(t *testing.T) {
	s := testState(t, withStreams(severityObjective(), exclusiveObjective(), callsObjective(), logsObjective(), topologyObjective()))
	foldStream(t, s, Evidence{Objective: "logs_severity", Rows: rows(0, 0, 0, 0)}) // lines are known to come from here on
	for _, o := range s.plan.Objectives[1:4] {
		foldStream(t, s, Evidence{Objective: o.Name, Rows: rows(3, 9, 100, 900)})
	}
	foldLines(t, s, 100, 900, fresh("a", SeverityError, 1))
	foldSpans(t, s, 100, 900, tallyOf(payCall, SpanCount{Calls: 1}, SpanCount{Calls: 9}))
	for i, want := range []string{
		"nothing counted yet",
		"3 of 100 of the requests with a line of error or above in the canary",
		"3 of 100 of the requests failed by themselves, with no failed call in the canary",
		"3 of 100 of the calls failed in the canary",
		"logs: listed, it weighs nothing (1 templates, 1 of the canary alone, 1 of these of error or above)",
		"traces: listed, it weighs nothing (0 operations, 1 calls)",
	} {
		if got := s.Describe()[i].Reason; !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
