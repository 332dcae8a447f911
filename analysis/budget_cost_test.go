package analysis

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func withCosts(failedEvent, falseRollback float64) func(*PlanInput) {
	return func(in *PlanInput) { in.Policy.Costs = &Costs{failedEvent, falseRollback, "EUR"} }
}

// The expected costs follow their definition: of waiting until harm would be shown by
// (12), and of rolling back a good release.
func TestCostFollowsItsDefinition(t *testing.T) {
	const failed, wrong = 2., 500.
	s := testState(t, cadence60, withCosts(failed, wrong))
	for range 5 {
		foldRows(t, s, 0, rows(18, 108, 2400, 21600)) // one and a half times
	}
	f, tr := s.Describe()[0], trialOf(s)
	pBad, worse := float64(f.Posterior.PBad), float64(f.Posterior.ExpectedExcess)
	if !(pBad > .1 && pBad < .9) || !(worse > .2 && worse < 2) {
		t.Fatalf("%+v: the test needs a canary in doubt", f.Posterior)
	}
	rho := 1 + worse
	q := func(rho float64) float64 { return rho * .1 / (1 + (rho-1)*.1) }
	kl := func(a, b float64) float64 { return a*math.Log(a/b) + (1-a)*math.Log((1-a)/(1-b)) }
	wait := tr.phi() * (math.Log(100) + 2.5 - max(0, tr.logHarm(false))) / (24000 * .005 * (1 + (rho-1)*.1) * kl(q(rho), q(1.05)))
	if !(wait > 1 && wait < 55) {
		t.Fatalf("%v minutes: the test needs some, before the deadline", wait)
	}
	c := f.Cost
	for _, x := range []struct {
		what string
		got  Figure
		want float64
	}{
		{"wait", c.WaitMinutes, wait},
		{"waiting", c.Waiting, failed * 2400 * wait * .005 * pBad * worse},
		{"false rollback", c.FalseRollback, wrong * (1 - pBad)},
		{"so far", c.SoFar, failed * (90 - 60)},
		{"an hour of all traffic", c.PerHour.Effect, failed * .0025 * 720_000},
		{"at least", c.PerHour.Low, failed * .005 * (float64(f.Low) - 1) * 720_000},
		{"at most", c.PerHour.High, failed * .005 * (float64(f.High) - 1) * 720_000},
	} {
		if !near(float64(x.got), x.want) {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
	if c.Currency != "EUR" || c.ReduceWeight != (c.Waiting > c.FalseRollback) {
		t.Errorf("%+v", c)
	}
}

// Costs decide which way the advice goes, and nothing else: every check and every other
// part of the finding is the same without them.
func TestCostsChangeNoEvidence(t *testing.T) {
	reduced := map[bool]bool{}
	for _, wrong := range []float64{1, 1e9, 0} {
		changes := []func(*PlanInput){cadence60, withSLO}
		if wrong > 0 {
			changes = append(changes, withCosts(1, wrong))
		}
		with, without := testState(t, changes...), testState(t, cadence60, withSLO)
		for range 8 {
			for _, s := range []*State{with, without} {
				foldRows(t, s, 0, rows(15, 108, 2400, 21600))
			}
			a, b := with.Describe()[0], without.Describe()[0]
			if (a.Cost != nil) != (wrong > 0) || b.Cost != nil {
				t.Fatalf("costs %+v and %+v", a.Cost, b.Cost)
			}
			if a.Cost != nil {
				reduced[a.Cost.ReduceWeight] = true
				if want := wrong == 1; a.Cost.ReduceWeight != want {
					t.Errorf("a false rollback of %v: %+v, want %v", wrong, a.Cost, want)
				}
			}
			a.Cost = nil
			one, err := json.Marshal([]any{a, with.Checks()})
			if err != nil {
				t.Fatal(err)
			}
			two, err := json.Marshal([]any{b, without.Checks()})
			if err != nil || !bytes.Equal(one, two) {
				t.Fatalf("%v\n%s\n%s", err, one, two)
			}
		}
	}
	if len(reduced) != 2 {
		t.Error("the advice goes one way only")
	}
}

// Nobody waits beyond the deadline, and at it there is nothing left to lose.
func TestWaitingEndsAtTheDeadline(t *testing.T) {
	s := testState(t, cadence60, withSLO, withCosts(1, 1), func(in *PlanInput) { in.Policy.Window.Deadline = Duration(12 * time.Minute) })
	for k := range 12 {
		foldRows(t, s, 0, rows(13, 108, 2400, 21600)) // inside the tolerance of the budget: harm is never shown
		c := s.Describe()[0].Cost
		if left := float64(11 - k); float64(c.WaitMinutes) != left {
			t.Errorf("after %d minutes it waits %v, want %v", k+1, c.WaitMinutes, left)
		}
	}
	if c := s.Describe()[0].Cost; c.Waiting != 0 || c.ReduceWeight {
		t.Errorf("at the deadline %+v", c)
	}
}

// An objective that may not roll back does not advise either.
func TestAdvisoryObjectivesDoNotAdvise(t *testing.T) {
	s := testState(t, cadence60, withCosts(1e6, 1), func(in *PlanInput) {
		o := in.Policy.Objectives[0]
		o.Name, o.Role = "shown", Advisory
		in.Policy.Objectives = append(in.Policy.Objectives, o)
		in.Facts = append(in.Facts, in.Facts[0])
	})
	for range 3 {
		foldRows(t, s, 0, rows(12, 108, 2400, 21600))
		foldRows(t, s, 1, rows(60, 108, 2400, 21600))
	}
	if c := s.Describe()[1].Cost; c == nil || c.ReduceWeight || !(c.Waiting > c.FalseRollback) {
		t.Errorf("%+v", c)
	}
}

func TestImpossibleCosts(t *testing.T) {
	for _, c := range []Costs{{0, 1, ""}, {1, 0, ""}, {-1, 1, ""}, {math.NaN(), 1, ""}, {1, math.Inf(1), ""}} {
		in := testInput()
		in.Policy.Costs = &c
		if _, err := NewPlan(in); err == nil || !strings.Contains(err.Error(), "must be positive") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
