package analysis

import (
	"fmt"
	"math"
	"testing"
)

// Of ten critical objectives one that reaches 1/alpha by itself is not named harmful: the
// largest of ten is large by chance. What carries the whole is named.
func TestNamedForTheirNumber(t *testing.T) {
	s := testState(t, func(in *PlanInput) {
		o, f := in.Policy.Objectives[0], in.Facts[0]
		in.Policy.Objectives, in.Facts = nil, nil
		for i := range 10 {
			o.Name = fmt.Sprint("errors-", i)
			if o.Role = Critical; i == 9 {
				o.Role = Advisory
			}
			in.Policy.Objectives, in.Facts = append(in.Policy.Objectives, o), append(in.Facts, f)
		}
	})
	for i := range 10 {
		say(s, i, e(.01, 1), 0)
	}
	for _, test := range []struct {
		harm     float64
		state    FindingState
		adjusted float64
	}{
		{150, FindingUndecided, (150 + .08) / 9},
		{1000, FindingBreached, (1000 + .08) / 9},
	} {
		say(s, 0, e(test.harm, 1), 0)
		s.Assess()
		got := s.Describe()
		if got[0].State != test.state || !near(float64(got[0].EAdjusted), test.adjusted) {
			t.Errorf("evidence %v: %s, adjusted %v, want %s, %v", test.harm, got[0].State, got[0].EAdjusted, test.state, test.adjusted)
		}
		if !math.IsNaN(float64(got[9].EAdjusted)) {
			t.Errorf("what has no share in a rollback is adjusted to %v", got[9].EAdjusted)
		}
	}
}
