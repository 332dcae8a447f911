package analysis

import (
	"math"
	"testing"
	"time"
)

// testStart is when the deployments of these tests start; it lies on the grid of
// every usual cadence.
var testStart = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// at is the instant so many seconds after testStart.
func at(seconds float64) time.Time {
	return testStart.Add(time.Duration(seconds * float64(time.Second)))
}

// ratioSignal is a plain pair of counters.
func ratioSignal(name string) Signal {
	return Signal{
		Name: name, Source: "prometheus", Unit: "1", Shape: ShapeRatio,
		Bad: &Selector{Metric: name + "_bad_total"}, Total: &Selector{Metric: name + "_total"},
	}
}

// knownHistory is a calibrated history of 0.5% errors without dispersion, at 12,000
// requests a minute.
func knownHistory() History {
	return History{
		Calibrated: true, Minutes: 1440, Pods: 10, Phi0: [3]float64{1, 1, 1},
		Bad: 43199.5, Exposure: 8.64e6, BadHour: 3600, HourTotal: 720_000, HourSpan: 60,
	}
}

// testInput is the plan of one critical objective "errors" without SLO, 5 s of
// cadence and an hour of time.
func testInput() PlanInput {
	return PlanInput{
		Deployment: Deployment{
			ID: "d1", Attempt: 1, Mode: Live, StartedAt: testStart,
			Release: Release{Environment: "prod", Namespace: "shop", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"},
		},
		Policy: Policy{
			Name: "checkout-prod", Objectives: []Objective{{Name: "errors", Role: Critical, Signal: ratioSignal("errors")}},
			Window:        Window{Warmup: Duration(3 * minute), MinBake: Duration(10 * minute), Deadline: Duration(60 * minute), OnUnderpowered: WaitUnderpowered},
			AlphaRollback: DefaultAlphaRollback, AlphaPromote: DefaultAlphaPromote,
		},
		Facts: []Facts{{Spacing: 5 * time.Second, History: knownHistory()}},
	}
}

// withSLO gives the objective an SLO of 98%: four times the rate of knownHistory.
func withSLO(in *PlanInput) { in.Policy.Objectives[0].Target = .98 }

// testPlan is the plan of testInput after changes.
func testPlan(tb testing.TB, changes ...func(*PlanInput)) *Plan {
	tb.Helper()
	in := testInput()
	for _, change := range changes {
		change(&in)
	}
	p, err := NewPlan(in)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func testState(tb testing.TB, changes ...func(*PlanInput)) *State {
	tb.Helper()
	s, err := NewState(testPlan(tb, changes...))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// row is a row of a pod that sent one sample.
func row(arm Arm, pod string, bad, exposure float64) ArmRow {
	version := "1.4.9"
	if arm == Canary {
		version = "1.5.0"
	}
	return ArmRow{Arm: arm, Pod: pod, Bad: bad, Exposure: exposure, Received: 1, Fresh: true, Version: version}
}

// rows are one pod an arm.
func rows(xC, xB, nC, nB float64) []ArmRow {
	return []ArmRow{row(Baseline, "b", xB, nB), row(Canary, "c", xC, nC)}
}

// foldRows folds rows into the next fold of the i-th objective.
func foldRows(tb testing.TB, s *State, i int, rows []ArmRow) {
	tb.Helper()
	fold, _ := s.Next(i)
	if err := s.Fold(&Evidence{Objective: s.plan.Objectives[i].Name, Fold: fold, Rows: rows}); err != nil {
		tb.Fatal(err)
	}
	s.Assess()
}

// foldMissing folds a fold without an answer.
func foldMissing(tb testing.TB, s *State, i int, why Code) {
	tb.Helper()
	fold, _ := s.Next(i)
	if err := s.Fold(&Evidence{Objective: s.plan.Objectives[i].Name, Fold: fold, Missing: why}); err != nil {
		tb.Fatal(err)
	}
	s.Assess()
}

// near reports whether got is want within a relative 1e-9, or 1e-12 of 0.
func near(got, want float64) bool {
	return got == want || math.Abs(got-want) <= 1e-9*min(math.Abs(want), 1e300)+1e-12 || math.IsNaN(got) && math.IsNaN(want)
}

// about reports whether got is a published figure of six digits.
func about(got, want float64) bool { return math.Abs(got-want) <= 5e-6*math.Abs(want) }

// said is an accumulator that says what it is told to.
type said struct {
	oneStratum
	now   evidence
	rest  float64 // without the worst fold
	steps []time.Time
	o     *PlannedObjective
}

func (a *said) lateBreak(r *recent) (Check, bool) { return lateBreak(a.o, a.now.Counts, r) }

func (a *said) fold(*taken) error                     { return nil }
func (a *said) step(at time.Time)                     { a.steps = append(a.steps, at) }
func (a *said) evidence() evidence                    { return a.now }
func (a *said) harmWithoutWorst() float64             { return a.rest }
func (a *said) describe(*Finding)                     {}
func (a *said) stillNeeded() (promote, detect Figure) { return Figure(math.NaN()), Figure(math.NaN()) }
func (a *said) counted() string                       { return a.now.counted() }
func (a *said) compared() string                      { return a.now.compared() }
func (a *said) snapshot() ([]byte, error)             { return nil, nil }
func (a *said) restore([]byte) error                  { return nil }

// say makes the i-th objective say e, and rest without its worst fold.
func say(s *State, i int, e evidence, rest float64) {
	s.objectives[i].acc, s.objectives[i].last = &said{now: e, rest: rest, o: s.objectives[i].o}, e
	s.Assess()
}

// e is evidence with the given e-values.
func e(harm, safety float64) evidence {
	return evidence{logHarm: math.Log(harm), logSafety: math.Log(safety), phi: 1, enoughEvents: true}
}
