package analysis

import (
	"math"
	"testing"
)

func TestEnvironmentWithSLO(t *testing.T) {
	// The SLO is 98%; five folds of 60 s are what counts as now.
	for _, c := range []struct {
		name  string
		rows  []ArmRow
		state CheckState
		code  Code
	}{
		{"well within", rows(1, 9, 100, 900), Good, ""},
		{"both over", rows(3, 27, 100, 900), Conflicting, EnvironmentDegraded},
		{"the canary alone", rows(3, 9, 100, 900), Good, ""},
		{"the baseline alone", rows(1, 27, 100, 900), Good, ""},
		{"both just at the SLO", rows(2, 18, 100, 900), Good, ""},
		{"over with five events in each arm", rows(1, 1, 40, 40), Conflicting, EnvironmentDegraded},
		{"over with four in the canary", rows(.8, 1, 30, 40), Good, ""},
		{"over with four in the baseline", rows(1, .8, 40, 30), Good, ""},
		{"nothing", nil, Good, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testState(t, withSLO, cadence60)
			for range 5 {
				foldRows(t, s, 0, c.rows)
			}
			wantCheck(t, c.name, s.Checks().Environment, c.state, c.code)
		})
	}
}

// Now is the last five minutes.
func TestEnvironmentForgetsAfterFiveMinutes(t *testing.T) {
	s := testState(t, withSLO, cadence60)
	foldRows(t, s, 0, rows(10, 90, 100, 900))
	for k := 2; k <= 5; k++ {
		foldRows(t, s, 0, rows(1, 9, 100, 900))
		wantCheck(t, "the incident is in the window", s.Checks().Environment, Conflicting, EnvironmentDegraded)
	}
	foldRows(t, s, 0, rows(1, 9, 100, 900))
	wantCheck(t, "it is not any more", s.Checks().Environment, Good, "")
}

func TestBaselineOverItsSLOBefore(t *testing.T) {
	over := func(bad float64) func(*PlanInput) {
		return func(in *PlanInput) { in.Facts[0].History.BadHour = bad }
	}
	// 2% of 720,000 are 14,400.
	p := testPlan(t, withSLO, over(14401))
	s, err := NewState(p)
	if err != nil {
		t.Fatal(err)
	}
	foldRows(t, s, 0, rows(300, 2700, 1000, 9000))
	wantCheck(t, "over before", s.Checks().Environment, Good, BaselineOverSLO)
	if w := s.Warnings(); len(w) != 1 {
		t.Errorf("warnings %q, want the one about the baseline", w)
	}
	if testPlan(t, withSLO, over(14400)).Objectives[0].BaselineOverSLO {
		t.Error("a baseline at its SLO is not over it")
	}
}

func TestEnvironmentWithoutTimeBefore(t *testing.T) {
	for _, change := range []func(*PlanInput){withSLO, func(*PlanInput) {}} {
		s := testState(t, change, func(in *PlanInput) { in.Facts[0].History = History{} })
		foldRows(t, s, 0, rows(300, 2700, 1000, 9000))
		wantCheck(t, "nothing to compare with", s.Checks().Environment, NotRequired, "")
	}
}

// Without SLO the baseline now is held against the hour before, at tolerance 2,
// whose counts are spread over the folds up to the deadline. Both arms err three
// times as often as before: after k folds the evidence is that of 3 k shares.
func TestEnvironmentWithoutSLO(t *testing.T) {
	s := testState(t, cadence60) // 60 folds; the hour before: 60 of 12,000 a fold
	var logE float64
	for k := 1; k <= 60; k++ {
		phi := s.objectives[0].last.phi
		foldRows(t, s, 0, rows(18, 162, 1000, 9000))
		e := &s.objectives[0].env
		logE = e.profile.LogHarm(e.grid)
		got := s.Checks().Environment
		if logE >= math.Log(20) {
			wantCheck(t, "worse than before", got, Conflicting, EnvironmentDegraded)
		} else {
			wantCheck(t, "not shown yet", got, Good, "")
		}
		if k == 1 {
			// (2) at rho = 4 against 2 of 162 events in 9,000 now and 60 in 12,000 before.
			i, j := e.grid.IndexOf(2), e.grid.IndexOf(math.Exp(1.4))
			w := 9000. / 21000
			want := (162*(1.4-math.Log(2)) - 222*(math.Log1p((math.Exp(1.4)-1)*w)-math.Log1p(w))) / phi
			if got := e.profile.L[j] - e.profile.L[i]; !near(got, want) {
				t.Errorf("log-likelihood ratio of the first fold %v, want %v", got, want)
			}
		}
	}
	if logE < math.Log(20) || s.objectives[0].env.left != 0 {
		t.Errorf("after the deadline: ln E %v, %d shares left", logE, s.objectives[0].env.left)
	}
	foldRows(t, s, 0, rows(18, 162, 1000, 9000))
	e := &s.objectives[0].env
	if got := e.profile.LogHarm(e.grid); got != logE {
		t.Errorf("the hour before was used up, ln E went from %v to %v", logE, got)
	}
}

// A fold without the baseline uses up no share of the hour before.
func TestEnvironmentNeedsTheBaseline(t *testing.T) {
	s := testState(t, cadence60)
	foldRows(t, s, 0, rows(18, 0, 1000, 0))
	foldMissing(t, s, 0, "")
	if left := s.objectives[0].env.left; left != 60 {
		t.Errorf("%d shares left, want 60", left)
	}
}

// Twice as bad as before is tolerated.
func TestEnvironmentToleratesTwice(t *testing.T) {
	s := testState(t, cadence60)
	for range 60 {
		foldRows(t, s, 0, rows(9, 90, 1000, 9000)) // 1%, before .5%
		wantCheck(t, "twice as bad", s.Checks().Environment, Good, "")
	}
}

func TestEnvironmentOfCriticalObjectivesOnly(t *testing.T) {
	s := testState(t, withSLO, cadence60, func(in *PlanInput) { in.Policy.Objectives[0].Role = Secondary })
	foldRows(t, s, 0, rows(10, 90, 100, 900))
	wantCheck(t, "no critical objective", s.Checks().Environment, Undecided, Collecting)
}
