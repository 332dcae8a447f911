package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A checkpointWorld folds the same random life into any state: two objectives of
// different null and cadence, pods that come and go, holes, ramp steps.
func checkpointWorld(tb testing.TB) *State {
	return testState(tb, declared(.1), func(in *PlanInput) {
		withSLO(in)
		in.Facts[0].Spacing = 30 * time.Second
		o := in.Policy.Objectives[0]
		o.Name, o.Target = "plain", 0
		in.Policy.Objectives = append(in.Policy.Objectives, o)
		in.Facts = append(in.Facts, Facts{Spacing: time.Minute, History: knownHistory()})
		in.Policy.Window.Deadline = Duration(35 * time.Minute)
	})
}

// live folds look k.
func live(tb testing.TB, s *State, k int) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(11, uint64(k)))
	if k%17 == 5 {
		s.Step(Step{Index: k, Weight: .2, At: at(float64(30 * k))})
	}
	if k%20 == 3 {
		s.Heard(fmt.Sprint("seen ", k))
	}
	for i := range 2 {
		if i == 1 && k%2 == 0 {
			continue
		}
		if k%11 == 9 {
			foldMissing(tb, s, i, SourceUnavailable)
			continue
		}
		var out []ArmRow
		for pod := range 4 {
			n := float64(rng.IntN(500))
			out = append(out, row(Baseline, fmt.Sprint("b", pod+k/25), float64(rng.IntN(8))*min(1, n), 8*n))
		}
		for pod := range 2 {
			if rng.IntN(9) > 0 {
				n := float64(rng.IntN(300))
				out = append(out, row(Canary, fmt.Sprint("c", pod+k/30), float64(rng.IntN(3))*min(1, n), 2*n))
			}
		}
		foldRows(tb, s, i, out)
	}
}

// told is all that a state tells, as bytes.
func told(tb testing.TB, s *State) []byte {
	tb.Helper()
	s.Assess()
	next0, _ := s.Next(0)
	next1, _ := s.Next(1)
	b, err := json.Marshal(struct {
		Findings   []Finding
		Checks     Checks
		AsOf       time.Time
		Next       [2]Fold
		Steps      int
		Weight     Figure
		Warnings   []string
		Uncovered  bool
		Evidence   float64
		Last       [2]string
		CanaryHere string
	}{
		s.Describe(), s.Checks(), s.AsOf(),
		[2]Fold{next0, next1},
		s.Steps(), Figure(s.Weight()), s.Warnings(), s.Uncovered(), s.Evidence(),
		[2]string{fmt.Sprintf("%+v", s.objectives[0].last), fmt.Sprintf("%+v", s.objectives[1].last)},
		fmt.Sprint(s.Received(Canary)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func snapshot(tb testing.TB, s *State) []byte {
	tb.Helper()
	b, err := s.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Restoring at any look and going on gives bit for bit what never stopping gives:
// what the state tells, its next checkpoint, and every one after.
func TestRestoringContinuesBitForBit(t *testing.T) {
	const looks = 70
	var snapshots, tells [looks + 1][]byte
	s := checkpointWorld(t)
	snapshots[0], tells[0] = snapshot(t, s), told(t, s)
	for k := 1; k <= looks; k++ {
		live(t, s, k)
		snapshots[k], tells[k] = snapshot(t, s), told(t, s)
	}
	if s.objectives[0].env.profile != nil || s.objectives[1].env.profile == nil {
		t.Fatal("the world needs one environment of either kind")
	}
	for k := range looks + 1 {
		restored, err := RestoreState(s.plan, snapshots[k])
		if err != nil {
			t.Fatalf("look %d: %v", k, err)
		}
		if got := told(t, restored); !bytes.Equal(got, tells[k]) {
			t.Fatalf("restored at look %d it tells\n%s\nwant\n%s", k, got, tells[k])
		}
		for j := k; j <= looks; j += 7 { // checkpoints of the restored state, now and then
			for i := max(k, j-7) + 1; i <= j && j > k; i++ {
				live(t, restored, i)
			}
			if got := snapshot(t, restored); !bytes.Equal(got, snapshots[j]) {
				t.Fatalf("restored at look %d, the checkpoint at look %d differs", k, j)
			}
			if got := told(t, restored); !bytes.Equal(got, tells[j]) {
				t.Fatalf("restored at look %d, at look %d it tells\n%s\nwant\n%s", k, j, got, tells[j])
			}
		}
	}
}

// Equal states have equal checkpoints: taking one changes nothing, and no order of
// a map is in it.
func TestCheckpointsAreDeterministic(t *testing.T) {
	a, b := checkpointWorld(t), checkpointWorld(t)
	for k := 1; k <= 70; k++ {
		live(t, a, k)
		live(t, b, k)
		if k%9 == 0 {
			first := snapshot(t, b)
			if !bytes.Equal(first, snapshot(t, b)) {
				t.Fatalf("look %d: two checkpoints of one state differ", k)
			}
		}
	}
	if !bytes.Equal(snapshot(t, a), snapshot(t, b)) {
		t.Error("checkpoints on the way changed the state")
	}
}

func TestRestoringRefusesWhatDoesNotFit(t *testing.T) {
	s := checkpointWorld(t)
	live(t, s, 1)
	good := snapshot(t, s)
	one := testPlan(t)
	if _, err := RestoreState(one, good); err == nil {
		t.Error("a checkpoint of two objectives for a plan of one: no error")
	}
	other := *s.plan
	other.Objectives = []PlannedObjective{s.plan.Objectives[1], s.plan.Objectives[0]}
	if _, err := RestoreState(&other, good); err == nil {
		t.Error("the nulls are exchanged: no error")
	}
	for _, nulls := range [][2]func(*PlanInput){{withSLO, func(*PlanInput) {}}, {func(*PlanInput) {}, withSLO}} {
		from, to := testState(t, nulls[0]), testPlan(t, nulls[1])
		foldRows(t, from, 0, rows(1, 9, 100, 900))
		if _, err := RestoreState(to, snapshot(t, from)); err == nil {
			t.Errorf("a checkpoint of %s for %s: no error", from.plan.Objectives[0].Null, to.Objectives[0].Null)
		}
	}
	faster := *s.plan
	faster.Objectives = append([]PlannedObjective(nil), s.plan.Objectives...)
	faster.Objectives[0].Cadence = Duration(5 * time.Second)
	for k := 2; k < 20; k++ {
		live(t, s, k)
	}
	if _, err := RestoreState(&faster, snapshot(t, s)); err == nil {
		t.Error("another cadence: no error")
	}
	for _, cut := range []int{0, 1, len(good) / 2, len(good) - 1} {
		if _, err := RestoreState(s.plan, good[:cut]); err == nil {
			t.Errorf("cut at %d of %d bytes: no error", cut, len(good))
		}
	}
}
