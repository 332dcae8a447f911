package analysis

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// pods are rows of pods 0 to n-1 that sent one sample each.
func pods(arm Arm, n int) []ArmRow {
	var out []ArmRow
	for i := range n {
		out = append(out, row(arm, fmt.Sprintf("%s-%d", arm, i), 0, 10))
	}
	return out
}

// covered folds how many pods reported, fold by fold, and returns the counts.
func covered(perFold ...int) armCoverage {
	c := newArmCoverage(&PlannedObjective{})
	for k, n := range perFold {
		c.fold(k+1, pods(Canary, n), testStart)
	}
	return c
}

func repeat(n, times int) []int {
	out := make([]int, times)
	for i := range out {
		out[i] = n
	}
	return out
}

func TestExpectedAndReceived(t *testing.T) {
	for _, c := range []struct {
		name               string
		perFold            []int
		expected, received int
	}{
		{"nothing is expected before the first sample", []int{0, 0, 0}, 0, 0},
		{"a pod is expected from its first sample on", []int{0, 0, 1, 1}, 2, 2},
		{"a second pod from its own", []int{1, 2, 2}, 5, 5},
		{"one of two misses a fold", []int{2, 1, 2}, 6, 5},
		// pod 1 is expected in folds 2, 3 and 4 and has left in fold 5.
		{"a pod that left is expected for three folds", []int{2, 1, 1, 1, 1, 1}, 2 + 2 + 2 + 2 + 1 + 1, 7},
		{"a silent arm stays expected", []int{2, 0, 0, 0, 0, 0}, 12, 2},
		{"until it is back: then who is not back has left", []int{2, 0, 0, 0, 0, 1}, 11, 3},
		{"back in the third fold: still expected", []int{2, 0, 0, 1}, 8, 3},
		{"a pod that comes back is expected again", []int{2, 1, 1, 1, 1, 2, 1}, 2 + 2 + 2 + 2 + 1 + 2 + 2, 9},
	} {
		got := covered(c.perFold...)
		if got.Expected != c.expected || got.Received != c.received {
			t.Errorf("%s: %d of %d, want %d of %d", c.name, got.Received, got.Expected, c.received, c.expected)
		}
	}
}

// A pod that was seen with two versions in one fold has two rows and is one pod.
func TestTwoRowsOfAPodAreOnePod(t *testing.T) {
	c := newArmCoverage(&PlannedObjective{})
	a, b := row(Canary, "c", 0, 10), row(Canary, "c", 0, 5)
	b.Version = "1.4.9"
	c.fold(1, []ArmRow{a, b}, testStart)
	if c.Expected != 1 || c.Received != 1 || c.Now != 1 || c.Exposure != 15 {
		t.Errorf("%+v", c)
	}
	c.fold(2, []ArmRow{a, row(Canary, "d", 0, 1)}, testStart)
	if c.Received != 3 {
		t.Errorf("two pods with a row each: received %d, want 3", c.Received)
	}
	a.Received = 0
	c.fold(3, []ArmRow{a, b}, testStart)
	if c.Received != 4 {
		t.Errorf("one of two rows has a sample: received %d, want 4", c.Received)
	}
}

// A pod that is fresh by other series alone sent no sample of this signal.
func TestFreshIsNotReceived(t *testing.T) {
	c := newArmCoverage(&PlannedObjective{})
	c.fold(1, []ArmRow{{Arm: Canary, Pod: "c", Fresh: true}}, testStart)
	if c.Expected != 0 || c.Received != 0 || c.LastFold != 0 || c.Now != 0 {
		t.Errorf("%+v", c)
	}
	// Nor does it keep a pod expected that stopped sending this signal.
	for k := 2; k <= 6; k++ {
		c.fold(k, pods(Canary, 2), testStart)
	}
	fresh := append(pods(Canary, 1), ArmRow{Arm: Canary, Pod: "canary-1", Fresh: true})
	for k := 7; k <= 12; k++ {
		c.fold(k, fresh, testStart)
	}
	if c.Expected-c.Received != 3 {
		t.Errorf("%d of %d samples, want three missed", c.Received, c.Expected)
	}
}

func TestMedianPods(t *testing.T) {
	for _, c := range []struct {
		perFold []int
		want    int
	}{
		{nil, 0},
		{[]int{0, 0}, 0},
		{[]int{3}, 3},
		{[]int{4, 4, 1}, 4},
		{[]int{4, 1}, 1}, // the lower of two
		{[]int{4, 4, 1, 1, 1}, 1},
		{[]int{0, 0, 0, 0, 5}, 5}, // folds without data do not count
	} {
		got := covered(c.perFold...)
		if m := got.medianPods(); m != c.want {
			t.Errorf("%v: median %d, want %d", c.perFold, m, c.want)
		}
	}
}

func TestCoverageCheck(t *testing.T) {
	full := repeat(1, 20)
	for _, c := range []struct {
		name             string
		baseline, canary []int
		state            CheckState
		code             Code
	}{
		{"nobody was heard", repeat(0, 20), repeat(0, 20), Missing, NothingSeen},
		{"no canary", full, repeat(0, 20), Missing, CanaryTelemetryMissing},
		{"no baseline", repeat(0, 20), full, Missing, NoConcurrentBaseline},
		{"full", full, full, Good, ""},
		{"seven samples", repeat(1, 7), repeat(1, 7), Undecided, TooFewSamples},
		{"eight samples", repeat(1, 8), repeat(1, 8), Good, ""},
		{"seven samples of the canary", full, append(repeat(0, 13), repeat(1, 7)...), Undecided, TooFewSamples},
		{"seven samples of the baseline", append(repeat(0, 13), repeat(1, 7)...), full, Undecided, TooFewSamples},
		{"18 of 20", full, append([]int{1, 0, 0}, repeat(1, 17)...), Good, ""},
		{"17 of 20", full, append([]int{1, 0, 0, 0}, repeat(1, 16)...), Partial, TelemetryPartial},
		{"17 of 20 in the baseline", append([]int{1, 0, 0, 0}, repeat(1, 16)...), full, Partial, TelemetryPartial},
		{"both silent for two folds", append(repeat(1, 40), 0, 0), append(repeat(1, 40), 0, 0), Partial, TelemetryPartial}, // none of the usual pods now
		{"both silent for three folds", append(repeat(1, 40), 0, 0, 0), append(repeat(1, 40), 0, 0, 0), Stale, TelemetryOutage},
		{"the canary silent for three folds", repeat(1, 43), append(repeat(1, 40), 0, 0, 0), Stale, CanaryTelemetryMissing},
		{"the baseline silent for three folds", append(repeat(1, 40), 0, 0, 0), repeat(1, 43), Stale, BaselineTelemetryMissing},
		{"half of the pods now", repeat(4, 41), append(repeat(4, 40), 2), Good, ""},
		{"under half of the pods now", repeat(4, 41), append(repeat(4, 40), 1), Partial, TelemetryPartial},
		{"half of an odd number", repeat(5, 41), append(repeat(5, 40), 2), Partial, TelemetryPartial},
	} {
		t.Run(c.name, func(t *testing.T) {
			arms := [2]armCoverage{covered(c.baseline...), covered(c.canary...)}
			o := &PlannedObjective{Objective: Objective{Name: "errors"}, Cadence: Duration(15 * time.Second)}
			got := coverageCheck(o, len(c.canary), &arms, "", "")
			if got.State != c.state || got.Code != c.code {
				t.Errorf("got %v %q (%s), want %v %q", got.State, got.Code, got.Reason, c.state, c.code)
			}
		})
	}
}

// A source that never answered is an outage, and so is one that answers "nothing"
// of a baseline that it knew before; of one that it never knew it is not.
func TestNothingSeenOrNothingAnswered(t *testing.T) {
	known := testState(t)
	foldRows(t, known, 0, nil)
	if got := known.Checks().Coverage; got.State != Missing || got.Code != TelemetryOutage {
		t.Errorf("the baseline was known: %+v", got)
	}
	s := testState(t, func(in *PlanInput) { in.Facts[0].History = History{} })
	foldMissing(t, s, 0, SourceUnavailable)
	if got := s.Checks().Coverage; got.State != Missing || got.Code != TelemetryOutage {
		t.Errorf("unavailable: %+v", got)
	}
	foldRows(t, s, 0, nil)
	if got := s.Checks().Coverage; got.State != Missing || got.Code != NothingSeen {
		t.Errorf("an empty answer: %+v", got)
	}
	s.Heard("versions 1.5.1")
	if got := s.Checks().Coverage; !strings.Contains(got.Reason, "versions 1.5.1") {
		t.Errorf("what was seen instead is not in %q", got.Reason)
	}
}

// The worst objective speaks for all; what no fold was closed of is not known.
func TestCoverageIsTheWorstOfTheCriticalObjectives(t *testing.T) {
	s := testState(t, func(in *PlanInput) {
		slow, side := in.Policy.Objectives[0], in.Policy.Objectives[0]
		slow.Name, side.Name, side.Role = "slow", "side", Secondary
		in.Policy.Objectives = append(in.Policy.Objectives, slow, side)
		in.Facts = append(in.Facts, Facts{Spacing: 60 * time.Second}, in.Facts[0])
	})
	for range 10 {
		foldRows(t, s, 0, rows(0, 0, 100, 900))
		foldMissing(t, s, 2, "") // a secondary objective never blocks
	}
	if got := s.Checks().Coverage; got.State != Undecided || got.Code != Collecting {
		t.Errorf("an objective without a fold: %+v", got)
	}
	for range 8 {
		foldRows(t, s, 1, rows(0, 0, 100, 900))
	}
	if got := s.Checks().Coverage; got.State != Good {
		t.Errorf("both covered: %+v", got)
	}
	for range 3 {
		foldMissing(t, s, 1, SourceRejected)
	}
	got := s.Checks().Coverage
	if got.State != Stale || got.Code != SourceRejected {
		t.Errorf("a source that refuses: %+v", got)
	}
}

func TestUncovered(t *testing.T) {
	s := testState(t)
	for k := 1; k <= 4; k++ {
		foldRows(t, s, 0, []ArmRow{row(Baseline, "b", 0, 10)})
		if got, want := s.Uncovered(), k >= 3; got != want {
			t.Errorf("after %d folds without a canary: %v, want %v", k, got, want)
		}
	}
	foldRows(t, s, 0, rows(0, 0, 1, 1))
	if s.Uncovered() {
		t.Error("both arms were heard of")
	}
}

func TestReceivedIsThatOfTheWorstCriticalObjective(t *testing.T) {
	s := testState(t, func(in *PlanInput) {
		other := in.Policy.Objectives[0]
		other.Name = "other"
		in.Policy.Objectives = append(in.Policy.Objectives, other)
		in.Facts = append(in.Facts, in.Facts[0])
	})
	foldRows(t, s, 0, rows(0, 0, 100, 900))
	foldRows(t, s, 0, rows(0, 0, 100, 900))
	foldRows(t, s, 1, rows(0, 0, 7, 70))
	foldMissing(t, s, 1, SourceUnavailable)
	if expected, received, now, exposure := s.Received(Canary); expected != 2 || received != 1 || now != 0 || exposure != 7 {
		t.Errorf("canary: %d of %d, %d pods, exposure %v", received, expected, now, exposure)
	}
	if _, _, _, exposure := s.Received(Baseline); exposure != 70 {
		t.Errorf("baseline: exposure %v, want 70", exposure)
	}
}
