package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// minWithoutWorst is what the harm evidence must still be without its worst fold
// (statistics 1.1).
const minWithoutWorst = 30

// A State is everything that a validation has learned so far. It is updated in
// place by Fold and read by Assess, Checks and Describe; it is not safe for
// concurrent use. All of it follows from the plan and the evidence folded.
type State struct {
	plan       *Plan
	objectives []objectiveState
	steps      []Step // ramp steps that came after the plan
	first      Fold   // first fold with canary exposure
	seen       string // what sources heard of instead, where an arm is not heard of

	findings []Finding // of Assess, reused
	logHarm  []float64
	weights  []float64
	total    float64 // ln R of the last Assess
	leader   int     // objective with the largest weighted harm
}

// objectiveState is the part of the state that belongs to one objective.
type objectiveState struct {
	o     *PlannedObjective
	acc   accumulator
	env   environment
	next  Fold // the fold to be folded next
	folds int  // folded so far
	last  evidence

	coverage [2]armCoverage // baseline, canary
	missing  Code           // why the newest fold taught nothing
	why      string         // the same in the source's words
	skew     Duration       // of the source's clock, at the newest fold
	identity identity
	recent   recent
}

// NewState returns the state of a plan of which nothing was seen yet.
func NewState(p *Plan) (*State, error) {
	s := &State{plan: p}
	for i := range p.Objectives {
		o := &p.Objectives[i]
		m, err := methodFor(o.Signal.Shape)
		if err != nil {
			return nil, err
		}
		if m.ID() != o.Method {
			return nil, fmt.Errorf("objective %q was planned with method %s, this version has %s", o.Name, o.Method, m.ID())
		}
		acc, err := m.newAccumulator(p, o)
		if err != nil {
			return nil, fmt.Errorf("objective %q: %w", o.Name, err)
		}
		env, err := newEnvironment(p, o)
		if err != nil {
			return nil, fmt.Errorf("objective %q: %w", o.Name, err)
		}
		s.objectives = append(s.objectives, objectiveState{
			o: o, acc: acc, env: env, next: FoldAt(p.Deployment.StartedAt, o.Cadence.D()), last: acc.evidence(),
			coverage: [2]armCoverage{newArmCoverage(), newArmCoverage()}, identity: newIdentity(p), recent: newRecent(o.Cadence.D()),
		})
		s.findings = append(s.findings, Finding{Objective: o.Name, Role: o.Role, Method: o.Method, State: FindingUndecided, Strength: "exact"})
		s.logHarm = append(s.logHarm, 0)
		s.weights = append(s.weights, o.Weight)
	}
	s.Assess()
	return s, nil
}

// Plan returns the plan of s.
func (s *State) Plan() *Plan { return s.plan }

// Next returns the fold of the i-th objective that is folded next, and whether it
// still lies before the deadline.
func (s *State) Next(i int) (Fold, bool) {
	f := s.objectives[i].next
	return f, !f.End.After(s.plan.Deadline())
}

// AsOf is the latest instant up to which every fold of every objective is folded;
// the deployment's start before there is one, the deadline once no fold is left
// before it.
func (s *State) AsOf() time.Time {
	asOf, open := s.plan.Deployment.StartedAt, false
	next := s.plan.Deadline()
	for i := range s.objectives {
		if f, before := s.Next(i); before {
			open = true
			if f.End.Before(next) {
				next = f.End
			}
		}
	}
	if !open {
		return s.plan.Deadline()
	}
	for i := range s.objectives {
		done, cadence := s.objectives[i].next.Start, s.objectives[i].o.Cadence.D()
		if !done.Before(next) { // ahead of the slowest: its last fold that ends before next
			done = done.Add(-cadence * (1 + done.Sub(next)/cadence))
		}
		if s.objectives[i].folds > 0 && done.After(asOf) {
			asOf = done
		}
	}
	return asOf
}

// Step records a ramp step.
func (s *State) Step(step Step) {
	before, _ := s.weightAt(step.At)
	s.steps = append(s.steps, step)
	for i := range s.objectives {
		s.objectives[i].acc.step(step.At)
		s.objectives[i].coverage[0].ramp(1-before, 1-step.Weight)
	}
}

// Heard records what sources heard of, for the reason where an arm is silent.
func (s *State) Heard(seen string) { s.seen = seen }

// Fold takes in the evidence of one objective's next fold. Evidence of another
// fold is an error: folds are folded once and in order. Evidence that is missing
// or partial advances the fold and counts against coverage; nothing else. With an
// error the state is unchanged.
func (s *State) Fold(e *Evidence) error {
	i := s.index(e.Objective)
	if i < 0 {
		return fmt.Errorf("evidence for %q, which the plan does not name", e.Objective)
	}
	o := &s.objectives[i]
	if !e.Fold.End.Equal(o.next.End) || !e.Fold.Start.Equal(o.next.Start) {
		return fmt.Errorf("objective %q: evidence for the fold ending %s, but the next one ends %s",
			e.Objective, e.Fold.End.Format(time.RFC3339), o.next.End.Format(time.RFC3339))
	}
	rows := e.Rows
	if e.Missing != "" || e.Partial || e.skewed() {
		rows = nil
	}
	arms, counts, err := splitArms(rows)
	if err != nil {
		return fmt.Errorf("objective %q, fold ending %s: %w", e.Objective, e.Fold.End.Format(time.RFC3339), err)
	}
	o.folds++
	o.next = o.next.Next()
	o.missing, o.why = e.Missing, ""
	switch {
	case e.Missing != "":
	case e.skewed():
		o.missing = ClockSkew
	case e.Partial:
		o.missing = TelemetryPartial
	}
	if o.missing != "" && len(e.Warnings) > 0 {
		o.why = e.Warnings[0]
	}
	o.skew = e.Skew
	for a := range arms {
		o.coverage[a].fold(o.folds, arms[a], s.plan.Deployment.StartedAt)
	}
	o.identity.fold(arms)
	o.recent.add(recentFold{foldCounts: counts, End: e.Fold.End, CanaryAlive: alive(arms[1]), BaselineIn: o.coverage[0].LastFold == o.folds})
	if counts.nC > 0 && (s.first.End.IsZero() || e.Fold.End.Before(s.first.End)) {
		s.first = e.Fold
	}
	if err := o.env.fold(counts, o.last.phi); err != nil {
		return err
	}
	if err := o.acc.fold(e.Fold, counts); err != nil {
		return err
	}
	o.last = o.acc.evidence()
	return nil
}

// maxCount is the largest exposure of an arm in one fold; no service reaches it,
// and the kernel refuses more.
const maxCount = 1e15

// splitArms cuts the rows, sorted by arm, into those of the baseline and the
// canary, and adds them up. Impossible counts are an error.
func splitArms(rows []ArmRow) (arms [2][]ArmRow, c foldCounts, err error) {
	cut := len(rows)
	for i := range rows {
		r := &rows[i]
		if !(r.Bad >= 0 && r.Bad <= r.Exposure) {
			return arms, c, fmt.Errorf("pod %s counts %v bad of %v: bad events must be among the exposures", r.Pod, r.Bad, r.Exposure)
		}
		if r.Received < 0 {
			return arms, c, fmt.Errorf("pod %s has %d samples", r.Pod, r.Received)
		}
		switch r.Arm {
		case Baseline:
			if cut < i {
				return arms, c, fmt.Errorf("rows are not sorted by arm")
			}
			c.xB += r.Bad
			c.nB += r.Exposure
		case Canary:
			cut = min(cut, i)
			c.xC += r.Bad
			c.nC += r.Exposure
		default:
			return arms, c, fmt.Errorf("pod %s plays no arm", r.Pod)
		}
	}
	if !(c.nB <= maxCount && c.nC <= maxCount) {
		return arms, c, fmt.Errorf("the exposures add up to %v and %v, more than %v", c.nB, c.nC, float64(maxCount))
	}
	return [2][]ArmRow{rows[:cut], rows[cut:]}, c, nil
}

// alive reports whether there are pods and every one of them is fresh.
func alive(rows []ArmRow) bool {
	for i := range rows {
		if rows[i].Received == 0 && !rows[i].Fresh {
			return false
		}
	}
	return len(rows) > 0
}

func (s *State) index(objective string) int {
	for i := range s.objectives {
		if s.objectives[i].o.Name == objective {
			return i
		}
	}
	return -1
}

// Assess reads what is shown about each objective as of the last fold. The
// returned slice is reused by the next call; intervals, forecasts and reasons are
// added by Describe. It allocates nothing.
func (s *State) Assess() []Finding {
	s.leader = -1
	best := math.Inf(-1)
	for i := range s.objectives {
		o := &s.objectives[i]
		f := &s.findings[i]
		s.logHarm[i] = o.last.logHarm
		f.ERollback, f.EPromote = figureOf(o.last.logHarm), figureOf(o.last.logSafety)
		f.N, f.Phi = o.last.Counts, Figure(o.last.phi)
		f.State, f.Code = FindingUndecided, Collecting
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
	s.total = math.Inf(-1)
	if s.leader >= 0 {
		total, err := stats.LogWeightedMean(s.logHarm, s.weights)
		if err != nil { // no evidence is ever beyond arithmetic; if it were, nothing may follow from it
			total = math.NaN()
		}
		s.total = total
	}
	return s.findings
}

// figureOf is e^v, capped for display where it would overflow.
func figureOf(v float64) Figure { return Figure(math.Exp(min(v, 700))) }

// Describe returns a copy of the findings of the last Assess with effects,
// intervals, forecasts and reasons.
func (s *State) Describe() []Finding {
	out := append([]Finding{}, s.findings...)
	for i := range out {
		s.objectives[i].acc.describe(&out[i])
		out[i].Reason = s.sentence(&out[i])
	}
	return out
}

// sentence says in one line what is shown.
func (s *State) sentence(f *Finding) string {
	n := f.N
	counts := fmt.Sprintf("%.0f of %.0f bad in the canary, %.0f of %.0f in the baseline", n.CanaryBad, n.CanaryExposure, n.BaselineBad, n.BaselineExposure)
	switch f.State {
	case FindingBreached:
		return fmt.Sprintf("%s: harm beyond the tolerance is shown (%s)", f.Objective, counts)
	case FindingWithin:
		return fmt.Sprintf("%s: shown within the margin (%s)", f.Objective, counts)
	}
	if n.CanaryExposure == 0 && n.BaselineExposure == 0 {
		return fmt.Sprintf("%s: nothing counted yet", f.Objective)
	}
	return fmt.Sprintf("%s: not decided yet (%s)", f.Objective, counts)
}

// Steps returns how many ramp steps were recorded.
func (s *State) Steps() int { return len(s.steps) }
