package analysis

import "time"

// startSlots tells when the restarts of a late-onset mixture are due (statistics
// 3.7): at the start times of the plan, and at the ramp steps that were declared.
type startSlots struct {
	timed []time.Time // of the plan
	ramps int         // that may take a slot
	startsTaken
}

// startsTaken is what a checkpoint carries of it.
type startsTaken struct {
	Timed int         // of the plan's start times
	Ramp  []time.Time // ramp steps that wait for their fold
	Ramps int         // that took a slot
}

func newStartSlots(p *Plan) startSlots {
	return startSlots{timed: p.Restarts, ramps: rampSlots(p.Deployment)}
}

// count is the number of slots, used or not.
func (s *startSlots) count() int { return len(s.timed) + s.ramps }

func (s *startSlots) step(at time.Time) {
	if s.Ramps < s.ramps {
		s.Ramps++
		s.Ramp = append(s.Ramp, at)
	}
}

// due takes the next start that lies before the fold's end, if there is one: it
// counts from the state after the folds before.
func (s *startSlots) due(f Fold) bool {
	switch {
	case len(s.Ramp) > 0 && s.Ramp[0].Before(f.End):
		s.Ramp = s.Ramp[1:]
		return true
	case s.Timed < len(s.timed) && s.timed[s.Timed].Before(f.End):
		s.Timed++
		return true
	}
	return false
}
