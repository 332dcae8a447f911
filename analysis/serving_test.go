package analysis

import (
	"strings"
	"testing"
	"time"
)

// declared gives the starting event a share of traffic.
func declared(weight float64) func(*PlanInput) {
	return func(in *PlanInput) {
		in.Deployment.Steps = []Step{{Index: 1, Total: 4, Weight: weight, At: testStart}}
	}
}

// cadence60 makes "the last five minutes" five folds.
func cadence60(in *PlanInput) { in.Facts[0].Spacing = time.Minute }

func servingAfter(t *testing.T, s *State, folds int, rows []ArmRow) Check {
	t.Helper()
	for range folds {
		foldRows(t, s, 0, rows)
	}
	return s.Checks().Serving
}

func wantCheck(t *testing.T, what string, got Check, state CheckState, code Code) {
	t.Helper()
	if got.State != state || got.Code != code {
		t.Errorf("%s: got %v %q (%s), want %v %q", what, got.State, got.Code, got.Reason, state, code)
	}
}

// silentCanary is a canary whose pod is alive but serves nothing.
func silentCanary(nB float64) []ArmRow { return rows(0, 0, 0, nB) }

func TestServing(t *testing.T) {
	gone := func(arm Arm) []ArmRow {
		out := silentCanary(1000)
		out[arm-1].Received, out[arm-1].Fresh = 0, false
		return out
	}
	byOthers := silentCanary(1000) // the success series is absent, its siblings are fresh
	byOthers[1].Received = 0
	one := append(silentCanary(1000), ArmRow{Arm: Canary, Pod: "d"}) // one of two pods is alive
	for _, c := range []struct {
		name   string
		weight float64
		folds  int // of 60 s
		rows   []ArmRow
		state  CheckState
		code   Code
	}{
		{"the share that was declared", .1, 5, rows(0, 0, 100, 900), Good, ""},
		{"not five minutes yet", .1, 4, rows(0, 0, 100, 900), Undecided, Collecting},
		{"just half of the share", .1, 5, rows(0, 0, 50, 950), Good, ""},
		{"under half of the share", .1, 5, rows(0, 0, 49, 951), Conflicting, TrafficShareOff},
		{"just twice the share", .1, 5, rows(0, 0, 200, 800), Good, ""},
		{"over twice the share", .1, 5, rows(0, 0, 201, 799), Conflicting, TrafficShareOff},
		{"no traffic in the baseline", .1, 5, rows(0, 0, 100, 0), Undecided, Collecting},
		{"alive and serving nothing", .1, 5, silentCanary(900), Bad, CanaryNotServing},
		{"alive by other series, serving nothing", .1, 5, byOthers, Bad, CanaryNotServing},
		{"alive and serving nothing, not five minutes yet", .1, 4, silentCanary(900), Undecided, Collecting},
		// A tenth predicts a ninth of the baseline's requests: 5 x 90 / 9 = 50.
		{"50 requests are enough to tell", .1, 5, silentCanary(90), Bad, CanaryNotServing},
		{"49.9 are not", .1, 5, silentCanary(89.9), Undecided, NoTraffic},
		{"silence of everything is no proof", .1, 5, gone(Canary), Undecided, NoTraffic},
		{"every pod must be alive", .1, 5, one, Undecided, NoTraffic},
		{"nor is it with a silent baseline", .1, 5, gone(Baseline), Undecided, NoTraffic},
		{"no share at all", 0, 5, silentCanary(900), NotRequired, ""},
		{"everything", 1, 5, silentCanary(900), NotRequired, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testState(t, cadence60, declared(c.weight))
			wantCheck(t, c.name, servingAfter(t, s, c.folds, c.rows), c.state, c.code)
		})
	}
}

func TestServingWithoutDeclaredShareIsNotRequired(t *testing.T) {
	s := testState(t, cadence60)
	wantCheck(t, "no share declared", servingAfter(t, s, 6, silentCanary(900)), NotRequired, "")
}

// One fold in which the pods were not proven alive breaks the proof, and it takes
// five minutes to be complete again.
func TestServingNeedsFiveUnbrokenMinutes(t *testing.T) {
	s := testState(t, cadence60, declared(.1))
	servingAfter(t, s, 3, silentCanary(900))
	foldMissing(t, s, 0, "")
	wantCheck(t, "a hole", servingAfter(t, s, 1, silentCanary(900)), Undecided, NoTraffic)
	wantCheck(t, "the hole is in the window", servingAfter(t, s, 3, silentCanary(900)), Undecided, NoTraffic)
	wantCheck(t, "it is not any more", servingAfter(t, s, 1, silentCanary(900)), Bad, CanaryNotServing)
	wantCheck(t, "one request", servingAfter(t, s, 1, rows(0, 0, 1, 900)), Conflicting, TrafficShareOff)
}

// A ramp step to a larger share is not a share that is off: each fold is held
// against the share that was declared for it.
func TestServingAcrossARampStep(t *testing.T) {
	s := testState(t, cadence60, declared(.05))
	servingAfter(t, s, 6, rows(0, 0, 50, 950))
	s.Step(Step{Index: 2, Total: 4, Weight: .5, At: at(6*60 + 1)})
	for k := range 6 {
		want := rows(0, 0, 500, 500)
		if k == 0 { // the traffic moves within the fold
			want = rows(0, 0, 400, 600)
		}
		wantCheck(t, "after the step", servingAfter(t, s, 1, want), Good, "")
	}
	wantCheck(t, "the old share", servingAfter(t, s, 5, rows(0, 0, 50, 950)), Conflicting, TrafficShareOff)
}

// A canary that waits for its first share has served nothing, as it should.
func TestServingBeforeTheFirstShare(t *testing.T) {
	s := testState(t, cadence60, declared(0))
	wantCheck(t, "no share yet", servingAfter(t, s, 10, silentCanary(9000)), NotRequired, "")
	s.Step(Step{Index: 2, Total: 4, Weight: .5, At: at(10 * 60)})
	for range 5 {
		if got := servingAfter(t, s, 1, silentCanary(9000)); got.State == Bad && s.AsOf().Before(at(15*60)) {
			t.Fatalf("as of %v: %+v, but the share is not five minutes old", s.AsOf(), got)
		}
	}
	wantCheck(t, "five minutes of a share", servingAfter(t, s, 1, silentCanary(9000)), Bad, CanaryNotServing)
}

// The worst critical objective decides.
func TestServingIsTheWorstOfTheCriticalObjectives(t *testing.T) {
	s := testState(t, cadence60, declared(.1), func(in *PlanInput) {
		for _, role := range []Role{Critical, Secondary} {
			o := in.Policy.Objectives[0]
			o.Name, o.Role = string(role), role
			in.Policy.Objectives = append(in.Policy.Objectives, o)
			in.Facts = append(in.Facts, in.Facts[0])
		}
	})
	for range 6 {
		foldRows(t, s, 0, rows(0, 0, 100, 900))
		foldRows(t, s, 1, silentCanary(900))
		foldRows(t, s, 2, silentCanary(900))
	}
	got := s.Checks().Serving
	wantCheck(t, "two critical objectives", got, Bad, CanaryNotServing)
	if !strings.HasPrefix(got.Reason, "critical:") {
		t.Errorf("reason %q does not name the objective", got.Reason)
	}
}

// A canary that serves by one objective has lost the telemetry of another, not its
// traffic: a metric that the new version calls otherwise is no harm.
func TestServingByAnotherObjectiveIsServing(t *testing.T) {
	second := func(in *PlanInput) {
		o := in.Policy.Objectives[0]
		o.Name = "renamed"
		in.Policy.Objectives = append(in.Policy.Objectives, o)
		in.Facts = append(in.Facts, in.Facts[0])
	}
	absent := []ArmRow{row(Baseline, "b", 0, 900), {Arm: Canary, Pod: "c", Fresh: true, Version: "1.5.0"}}
	s := testState(t, cadence60, declared(.1), second)
	for range 6 {
		foldRows(t, s, 0, rows(0, 0, 100, 900))
		foldRows(t, s, 1, absent)
	}
	wantCheck(t, "served by the other", s.Checks().Serving, Undecided, CanaryTelemetryMissing)
	s = testState(t, cadence60, declared(.1), second)
	for range 6 {
		foldRows(t, s, 0, silentCanary(900))
		foldRows(t, s, 1, absent)
	}
	wantCheck(t, "served by none", s.Checks().Serving, Bad, CanaryNotServing)
}
