package analysis

import (
	"math"
	"strings"
	"testing"
)

func TestHarm(t *testing.T) {
	few := func(v evidence) evidence { v.enoughEvents = false; return v }
	for _, c := range []struct {
		name  string
		e     evidence
		rest  float64 // E_R without the worst fold
		state CheckState
		code  Code
	}{
		{"nothing", e(1, 1), 1, Good, ""},
		{"just below 1/alpha_hold", e(9.9999, 1), 30, Good, ""},
		{"at 1/alpha_hold", e(10, 1), 30, Undecided, HarmSuspected},
		{"just below the bar", e(99.999, 1), 99, Undecided, HarmSuspected},
		{"at the bar", e(100, 1), 30, Bad, HarmShown},
		{"far beyond", e(1e200, 1), 1e100, Bad, HarmShown},
		{"too few events", few(e(1e200, 1)), 1e100, Undecided, TooFewEvents},
		{"it rests on one fold", e(1e200, 1), 29.9999, Undecided, TooFewEvents},
		{"just not on one fold", e(1e200, 1), 30, Bad, HarmShown},
		{"no evidence at all", evidence{logHarm: math.Inf(-1), logSafety: math.Inf(-1)}, 0, Good, ""},
		{"no number", evidence{logHarm: math.NaN(), enoughEvents: true}, 1e9, Errored, AnalyzerFault},
		{"beyond arithmetic", evidence{logHarm: math.Inf(1), enoughEvents: true}, 1e9, Errored, AnalyzerFault},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testState(t)
			say(s, 0, c.e, math.Log(c.rest))
			wantCheck(t, c.name, s.Checks().Harm, c.state, c.code)
		})
	}
}

// The bars follow the plan's alphas.
func TestHarmBarIsThePlans(t *testing.T) {
	s := testState(t, func(in *PlanInput) { in.Policy.AlphaRollback, in.Policy.AlphaPromote = .001, .01 })
	say(s, 0, e(999, 99.9), math.Log(999))
	wantCheck(t, "harm at 999", s.Checks().Harm, Undecided, HarmSuspected)
	wantCheck(t, "safety at 99.9", s.Checks().Safety, Undecided, Collecting)
	say(s, 0, e(1000.001, 100.001), math.Log(999))
	wantCheck(t, "harm at 1000", s.Checks().Harm, Bad, HarmShown)
	wantCheck(t, "safety at 100", s.Checks().Safety, Good, AllSafe)
}

// Without the worst fold of the leader the whole average must still be 30.
func TestWorstFoldIsTheLeaders(t *testing.T) {
	s := testState(t, twoCadences) // two critical objectives, half each
	say(s, 0, e(300, 1), math.Log(1))
	say(s, 1, e(59.1, 1), math.Log(1e9))
	wantCheck(t, "the average without it is 30.05", s.Checks().Harm, Bad, HarmShown)
	say(s, 1, e(58.9, 1), math.Log(1e9))
	wantCheck(t, "the average without it is 29.95", s.Checks().Harm, Undecided, TooFewEvents)
	few := e(300, 1)
	few.enoughEvents = false
	say(s, 1, e(200, 1), math.Log(200))
	say(s, 0, few, math.Log(300))
	wantCheck(t, "events are those of the leader", s.Checks().Harm, Undecided, TooFewEvents)
	few.logHarm = math.Log(199)
	say(s, 0, few, math.Log(199))
	wantCheck(t, "the other one leads", s.Checks().Harm, Bad, HarmShown)
}

func TestNoObjectiveCanShowHarm(t *testing.T) {
	s := testState(t, func(in *PlanInput) { in.Policy.Objectives[0].Role = Advisory })
	say(s, 0, e(1e9, 1e9), 9)
	wantCheck(t, "advisory only: harm", s.Checks().Harm, Undecided, Collecting)
	wantCheck(t, "advisory only: safety", s.Checks().Safety, Undecided, NoObjectives)
}

func TestSafety(t *testing.T) {
	s := testState(t, twoCadences, func(in *PlanInput) {
		o := in.Policy.Objectives[0]
		o.Name, o.Role = "side", Secondary
		in.Policy.Objectives = append(in.Policy.Objectives, o)
		in.Facts = append(in.Facts, in.Facts[0])
	})
	say(s, 2, e(1, .001), 0) // a secondary objective never blocks
	for _, c := range []struct {
		first, second float64
		state         CheckState
		code          Code
	}{
		{20, 20, Good, AllSafe},
		{19.999, 20, Undecided, Collecting},
		{20, 19.999, Undecided, Collecting},
		{1e9, .1, Undecided, Collecting},
	} {
		say(s, 0, e(1, c.first), 0)
		say(s, 1, e(1, c.second), 0)
		wantCheck(t, "safety", s.Checks().Safety, c.state, c.code)
	}
}

// Safety is what stands now: an early proof does not outvote a later regression.
func TestSafetyIsNotRemembered(t *testing.T) {
	s := testState(t, withSLO)
	for range 24 {
		foldRows(t, s, 0, rows(0, 5, 100, 900))
	}
	wantCheck(t, "healthy", s.Checks().Safety, Good, AllSafe)
	for range 36 {
		foldRows(t, s, 0, rows(4, 5, 100, 900))
	}
	wantCheck(t, "a regression later", s.Checks().Safety, Undecided, Collecting)
}

func TestSafetyWithoutTraffic(t *testing.T) {
	s := testState(t)
	for range 10 {
		foldRows(t, s, 0, rows(0, 9, 0, 900))
	}
	wantCheck(t, "covered and idle", s.Checks().Safety, Undecided, NoTraffic)
	foldRows(t, s, 0, rows(0, 9, 1, 900))
	wantCheck(t, "one request", s.Checks().Safety, Undecided, Collecting)
	s = testState(t)
	foldRows(t, s, 0, rows(0, 9, 0, 900))
	wantCheck(t, "not covered yet", s.Checks().Safety, Undecided, Collecting)
}

// Too little traffic is said from the start, in place of "collecting".
func TestUnderpoweredIsSaidFirst(t *testing.T) {
	s := testState(t, func(in *PlanInput) { in.Facts[0].History.HourTotal /= 10 })
	s.Assess()
	for what, c := range map[string]Check{"safety": s.Checks().Safety, "coverage": s.Checks().Coverage} {
		wantCheck(t, what, c, Undecided, Underpowered)
		for _, part := range []string{"too little traffic", "about 281 minutes", "an SLO would decide sooner, e.g. target: 0.99"} {
			if !strings.Contains(c.Reason, part) {
				t.Errorf("%s: %q does not say %q", what, c.Reason, part)
			}
		}
	}
	say(s, 0, e(1, 20), 0)
	wantCheck(t, "shown all the same", s.Checks().Safety, Good, AllSafe)
}

func TestUnderpoweredNamesTheWeightThatWouldDo(t *testing.T) {
	s := testState(t, func(in *PlanInput) { in.Facts[0].History.HourTotal /= 2 }) // 56 min at 10%, 42 are left
	if w := s.plan.Objectives[0].WeightNeeded; w != .15 {
		t.Fatalf("weight needed %v, want .15", w)
	}
	if got := s.Checks().Safety.Reason; !strings.Contains(got, "about 57 minutes or 15% weight") {
		t.Errorf("%q", got)
	}
}

func TestSuggestTarget(t *testing.T) {
	for _, c := range []struct {
		rate float64
		want string
	}{
		{0, "0.9999"},
		{.00004999, "0.9999"},
		{.0000501, "0.9995"},
		{.000249, "0.9995"},
		{.000251, "0.999"},
		{.0024999, "0.995"},
		{.0025001, "0.99"},
		{.00501, "0.95"},
		{.026, "0.9"},
	} {
		if got := suggestTarget(c.rate); got != c.want {
			t.Errorf("a rate of %v: %s, want %s", c.rate, got, c.want)
		}
	}
}

// What was not heard of cannot be identified: the reason is why it was not heard.
func TestIdentityNamesWhyAnArmIsMissing(t *testing.T) {
	s := testState(t)
	for range 10 {
		foldRows(t, s, 0, []ArmRow{row(Baseline, "b", 0, 900)})
	}
	c := s.Checks()
	wantCheck(t, "identity", c.Identity, Missing, CanaryTelemetryMissing)
	wantCheck(t, "coverage", c.Coverage, Missing, CanaryTelemetryMissing)
}

// A check speaks for another one only where that one knows nothing itself.
func TestChecksSpeakForThemselves(t *testing.T) {
	s := testState(t)
	foldRows(t, s, 0, []ArmRow{row(Baseline, "b", 0, 900), named(row(Canary, "c", 0, 100), "1.4.9")})
	c := s.Checks()
	wantCheck(t, "coverage", c.Coverage, Undecided, TooFewSamples)
	wantCheck(t, "identity", c.Identity, Bad, IdentityMismatch)
	s = testState(t, func(in *PlanInput) { in.Facts[0].History.HourTotal /= 10 })
	for range 10 {
		foldRows(t, s, 0, rows(1, 9, 100, 900))
	}
	for range 3 {
		foldMissing(t, s, 0, SourceUnavailable)
	}
	c = s.Checks()
	wantCheck(t, "coverage in an outage", c.Coverage, Stale, TelemetryOutage)
	wantCheck(t, "safety in an outage", c.Safety, Undecided, Underpowered)
	wantCheck(t, "identity in an outage", c.Identity, Good, "")
}

func TestWeight(t *testing.T) {
	s := testState(t, cadence60)
	foldRows(t, s, 0, rows(0, 0, 250, 750))
	if got := s.Weight(); got != .25 {
		t.Errorf("realised weight %v, want .25", got)
	}
	s = testState(t, cadence60, declared(.05))
	foldRows(t, s, 0, rows(0, 0, 250, 750))
	s.Step(Step{Index: 2, Weight: .2, At: at(90)})
	if got := s.Weight(); got != .05 {
		t.Errorf("declared weight %v before the step, want .05", got)
	}
	foldRows(t, s, 0, rows(0, 0, 250, 750))
	if got := s.Weight(); got != .2 {
		t.Errorf("declared weight %v after the step, want .2", got)
	}
}

func TestWarnings(t *testing.T) {
	s := testState(t, func(in *PlanInput) {
		in.Warnings = []string{"namespace is not in the telemetry"}
		in.Facts[0].History.Calibrated = false
	})
	w := s.Warnings()
	if len(w) != 2 || w[0] != "namespace is not in the telemetry" || !strings.HasPrefix(w[1], string(Uncalibrated)) {
		t.Errorf("%q", w)
	}
	if w := testState(t).Warnings(); len(w) != 0 {
		t.Errorf("%q", w)
	}
}

func TestCheckStates(t *testing.T) {
	if n := len(CheckStates()); n != len(checkStateNames) {
		t.Fatalf("%d states and %d names", n, len(checkStateNames))
	}
	for _, s := range CheckStates() {
		text, _ := s.MarshalText()
		back := Bad
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%v reads back as %v (%v)", s, back, err)
		}
	}
	s := Good
	if _ = s.UnmarshalText([]byte("fine")); s != Undecided {
		t.Errorf("an unknown word is %v", s)
	}
	if got := CheckState(200).String(); got != "undecided" {
		t.Errorf("an unknown state is %q", got)
	}
}

// Evidence that is no number proves nothing.
func TestSafetyThatIsNoNumberIsNone(t *testing.T) {
	s := testState(t)
	say(s, 0, evidence{logHarm: math.NaN(), logSafety: math.NaN(), phi: 1}, 0)
	wantCheck(t, "safety", s.Checks().Safety, Undecided, Collecting)
	wantCheck(t, "harm", s.Checks().Harm, Errored, AnalyzerFault)
}

// Where a rollback needs less than what must be left without the worst fold, it needs no
// more without it either.
func TestWorstFoldAtALowBar(t *testing.T) {
	s := testState(t, func(in *PlanInput) { in.Policy.AlphaRollback = .05 })
	say(s, 0, e(21, 1), math.Log(21))
	wantCheck(t, "nothing rests on the worst fold", s.Checks().Harm, Bad, HarmShown)
	say(s, 0, e(21, 1), math.Log(19))
	wantCheck(t, "it takes the worst fold", s.Checks().Harm, Undecided, TooFewEvents)
}
