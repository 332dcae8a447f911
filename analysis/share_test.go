package analysis

import (
	"strings"
	"testing"
)

// A share of four fifths of the declared one is pointed out, the declared one is not, and
// a ramp step inside a fold is no share that is off.
func TestShareWarning(t *testing.T) {
	for _, test := range []struct {
		name      string
		canary    float64 // requests of 1000 a fold, at a declared share of 10 %
		ramp      bool
		mentioned bool
	}{
		{"as declared", 100, false, false},
		{"four fifths", 80, false, true},
		{"a ramp to a half that is followed", 100, true, false},
	} {
		s := testState(t, func(in *PlanInput) { in.Deployment.Steps = []Step{{Weight: .1, At: in.Deployment.StartedAt}} })
		nC := test.canary
		for k := range 60 {
			f, _ := s.Next(0)
			if test.ramp && k == 30 {
				s.Step(Step{Weight: .5, At: f.Start.Add(f.End.Sub(f.Start) / 2)})
			}
			if test.ramp && k == 30 {
				nC = 300 // half of the fold at either share
			}
			if test.ramp && k == 31 {
				nC = 500
			}
			foldRows(t, s, 0, rows(0, 0, nC, 1000-nC))
		}
		s.Assess()
		got := strings.Join(s.Warnings(), "\n")
		if strings.Contains(got, string(TrafficShareOff)) != test.mentioned {
			t.Errorf("%s: warnings %q", test.name, got)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		restored, err := RestoreState(s.Plan(), snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if again := strings.Join(restored.Warnings(), "\n"); again != got {
			t.Errorf("%s: after a restart the warnings are %q", test.name, again)
		}
	}
}

// Against the time before there is no share to be off.
func TestNoShareWithoutABaselineBeside(t *testing.T) {
	s := testState(t, compared(PreviousWindow), cadence60, declared(.1))
	for range 10 {
		foldRows(t, s, 0, alone(60, 12_000))
	}
	if w := s.shareWarning(); w != "" {
		t.Error(w)
	}
}
