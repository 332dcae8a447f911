package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// Assess reads what is shown about each objective as of the last fold. The
// returned slice is reused by the next call; intervals, forecasts and reasons are
// added by Describe. Harm evidence below 1/alpha_hold may be no more than an upper
// bound: Describe and Evidence have it exactly. It allocates nothing.
func (s *State) Assess() []Finding {
	s.leader = -1
	best := math.Inf(-1)
	for i := range s.objectives {
		o := &s.objectives[i]
		f := &s.findings[i]
		s.logHarm[i] = o.last.logHarm
		f.ERollback, f.EPromote = figureOf(o.last.logHarm), figureOf(o.last.logSafety)
		f.N, f.Phi = o.last.Counts, Figure(o.last.phi)
		f.State, f.Code, f.Evidence = FindingUndecided, Collecting, BesideBaseline
		if o.last.before {
			f.Evidence = BeforeAfter
		}
		switch {
		case o.last.logHarm >= math.Log(1/s.plan.AlphaRollback):
			f.State, f.Code = FindingBreached, HarmShown
		case o.last.logSafety >= math.Log(1/s.plan.AlphaPromote):
			f.State, f.Code = FindingWithin, AllSafe
		}
		if weighted := math.Log(o.o.Weight) + o.last.logHarm; o.o.Weight > 0 && (s.leader < 0 || weighted > best) {
			best, s.leader = weighted, i
		}
	}
	s.total, s.rough = s.average(s.logHarm), s.anyRough()
	if s.rough && s.total >= math.Log(1/s.plan.AlphaHold) { // bounds of several reach what none of them does
		s.total, s.rough = s.exactTotal(), false
	}
	return s.findings
}

// average is the log of the weighted average of the harm evidence, -Inf where no
// objective has a weight.
func (s *State) average(logHarm []float64) float64 {
	if s.leader < 0 {
		return math.Inf(-1)
	}
	total, err := stats.LogWeightedMean(logHarm, s.weights)
	if err != nil { // no evidence is ever beyond arithmetic; if it were, nothing may follow from it
		return math.NaN()
	}
	return total
}

func (s *State) anyRough() bool {
	for i := range s.objectives {
		if s.objectives[i].last.rough {
			return true
		}
	}
	return false
}

// exactTotal is ln R where some of the evidence of Assess is but a bound.
func (s *State) exactTotal() float64 {
	for i := range s.objectives {
		s.logHarm[i] = s.objectives[i].exactHarm()
	}
	return s.average(s.logHarm)
}

func (o *objectiveState) exactHarm() float64 {
	if acc, ok := o.acc.(rough); ok && o.last.rough {
		return acc.exactHarm()
	}
	return o.last.logHarm
}

// figureOf is e^v, capped for display where it would overflow.
func figureOf(v float64) Figure { return Figure(math.Exp(min(v, 700))) }

// Describe returns a copy of the findings of the last Assess with effects,
// intervals, forecasts and reasons.
func (s *State) Describe() []Finding {
	out := append([]Finding{}, s.findings...)
	for i := range out {
		out[i].ERollback = figureOf(s.objectives[i].exactHarm())
		s.objectives[i].acc.describe(&out[i])
		if acc, ok := s.objectives[i].acc.(accountant); ok {
			acc.account(&out[i], s.plan.Deadline().Sub(s.objectives[i].next.Start))
		}
	}
	s.name(out)
	for i := range out {
		out[i].Reason = sentence(&out[i], s.objectives[i].acc.counted())
		if l, ok := s.objectives[i].acc.(lister); ok {
			s.list(&out[i], l)
		}
	}
	return out
}

// list says what an objective shows that weighs nothing.
func (s *State) list(f *Finding, l lister) {
	f.Reason = f.Objective + ": nothing read yet"
	if seen := l.listed(); seen != "" {
		f.Reason = fmt.Sprintf("%s: listed, it weighs nothing (%s)", f.Objective, seen)
	}
	if _, ok := l.(*templates); ok {
		if c := s.newError(); c.State != Good {
			f.Code, f.Reason = c.Code, c.Reason
		}
	}
}

// name decides which objectives are named harmful: with the evidence of many, the largest
// of them is large by chance. What has no share in a rollback stands for itself.
func (s *State) name(out []Finding) {
	logHarm := make([]float64, len(out))
	for i := range out {
		logHarm[i] = s.objectives[i].exactHarm()
		out[i].EAdjusted = Figure(math.NaN())
	}
	adjusted, err := stats.AdjustedLogE(logHarm, s.weights)
	if err != nil { // nobody has a share, or the evidence is beyond arithmetic: nobody is named by it
		return
	}
	for i := range out {
		if s.weights[i] == 0 {
			continue
		}
		out[i].EAdjusted = figureOf(adjusted[i])
		if out[i].State == FindingBreached && adjusted[i] < math.Log(1/s.plan.AlphaRollback) {
			out[i].State, out[i].Code = FindingUndecided, HarmSuspected
		}
	}
}

var stateWords = map[FindingState]string{
	FindingBreached:  "harm beyond the tolerance is shown",
	FindingWithin:    "shown within the margin",
	FindingUndecided: "not decided yet",
}

// sentence says in one line what is shown.
func sentence(f *Finding, counted string) string {
	rests := ""
	if counted != "" {
		rests = " (" + counted + ")"
	} else if f.State == FindingUndecided {
		return f.Objective + ": nothing counted yet"
	}
	return fmt.Sprintf("%s: %s", f.Objective, stateWords[f.State]) + rests
}
