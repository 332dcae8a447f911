package analysis

import (
	"fmt"
	"math"
)

// shareNoted is the evidence from which a share of traffic that is not the declared one
// is pointed out (statistics 2.3). It is a warning and no gate: the comparison takes the
// requests as they came, and routers that count replicas or keep connections alive are
// off by a fifth as a matter of course.
const shareNoted = 1000

// watchShare takes the exposures of a fold into the test of the canary's share, from the
// first critical objective that counts requests.
func (s *State) watchShare(o *objectiveState, t *taken) error {
	if s.plan.Comparison == PreviousWindow || s.shareOf() != o { // against the time before nobody shares
		return nil
	}
	from, declared := s.weightAt(t.Start)
	to, _ := s.weightAt(t.End)
	if !declared || from != to { // a step inside the fold: neither share is that of all its requests
		return nil
	}
	return s.share.Add(to, t.nC, t.nB)
}

// shareOf is the objective whose requests tell the canary's share; nil for none.
func (s *State) shareOf() *objectiveState {
	for i := range s.objectives {
		if o := &s.objectives[i]; o.o.Role == Critical && o.o.Signal.Shape != ShapeLevel {
			return o
		}
	}
	return nil
}

// shareWarning says that the realised share is not the declared one; "" where it may be.
func (s *State) shareWarning() string {
	logE := s.share.LogE()
	n := s.share.NC + s.share.NB
	if !(logE >= math.Log(shareNoted)) || n == 0 {
		return ""
	}
	return fmt.Sprintf("%s: the canary serves %.3g%% of the traffic, declared are %.3g%% (evidence %.3g)",
		TrafficShareOff, 100*s.share.NC/n, 100*s.share.Weight, math.Exp(min(logE, 700)))
}
