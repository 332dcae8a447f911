package analysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A Replan is the plan that a recorded deployment would have had under another policy,
// as far as the recorded evidence can be judged by it.
type Replan struct {
	Plan *Plan
	// CannotTell says why the recorded evidence cannot be judged by the policy: each
	// objective that it does not answer, and why. Plan is nil then.
	CannotTell []string
	// Notes say what the new verdict does without.
	Notes []string

	by map[string][]string // recorded objective: those of Plan that its evidence is for
}

// ErrCannotTell is why an answer under another policy is not in what was recorded: it
// takes the deployment's event and the live source.
var ErrCannotTell = errors.New("not in the evidence: needs events against the live source")

// Replan plans the deployment of p again under another policy, from what p keeps of the
// time before it. Alphas, tolerances, margins, roles, targets and the window are free to
// differ. Not so what decided which questions were asked: the signal, its strata, the
// comparison, the bounds that a distribution was counted above. Cohorts are taken over:
// that the policy selects the same pods is for the caller to know. Under the policy that
// p was made from, the plan is p, byte for byte.
func (p *Plan) Replan(policy Policy) (Replan, error) {
	if p.Refused != "" {
		return p.replanRefused(policy)
	}
	if comparison(p.Comparison) != comparison(policy.Comparison) {
		return Replan{CannotTell: []string{fmt.Sprintf("the comparison was %s, not %s: %v", comparison(p.Comparison), comparison(policy.Comparison), ErrCannotTell)}}, nil
	}
	policy.Comparison = p.Comparison
	out := Replan{by: map[string][]string{}}
	var recorded []*PlannedObjective
	asked := policy
	if p.BuiltIn && policy.BuiltIn { // of its candidates the service had those that were recorded
		asked.Objectives = slices.DeleteFunc(slices.Clone(policy.Objectives), func(o Objective) bool { return !p.asked(o.Signal) })
	}
	policy.Objectives = nil
	for i, o := range asked.Objectives {
		from, why := p.evidenceFor(asked, i)
		switch {
		case why == "":
			policy.Objectives, recorded = append(policy.Objectives, o), append(recorded, from)
			out.by[from.Name] = append(out.by[from.Name], o.Name)
		case o.Role == Advisory:
			out.Notes = append(out.Notes, fmt.Sprintf("%s, which is advisory, is left out: %s", o.Name, why))
		default:
			out.CannotTell = append(out.CannotTell, o.Name+": "+why)
		}
	}
	if len(out.CannotTell) > 0 {
		return Replan{CannotTell: out.CannotTell}, nil
	}
	plan, err := p.planAgain(policy, recorded)
	if err != nil {
		return Replan{}, err
	}
	before, err := p.planAgain(p.policy(), p.recorded())
	if err != nil {
		return Replan{}, fmt.Errorf("the recorded plan cannot be made again: %w", err)
	}
	plan.Warnings = replaced(p.Warnings, before.Warnings, plan.Warnings)
	switch {
	case p.SameTest(plan):
		plan.FalseAlarms = p.FalseAlarms
	case p.FalseAlarms != nil:
		out.Notes = append(out.Notes, "how often the changed test alarms in quiet times is not known")
	}
	for i := range plan.Objectives {
		if now, then := plan.Objectives[i].Method, recorded[i].Method; now != then {
			out.Notes = append(out.Notes, fmt.Sprintf("%s was judged by %s, this version has %s", plan.Objectives[i].Name, then, now))
		}
	}
	out.Plan = plan
	return out, nil
}

// replanRefused plans a deployment again that nothing was compared of: there is no
// evidence. What kept the comparison away stays, unless it was the policy itself.
func (p *Plan) replanRefused(policy Policy) (Replan, error) {
	sameKind := p.BuiltIn == policy.BuiltIn && (len(policy.Objectives) == 0 || policy.BuiltIn)
	if p.Refused == NoObjectives && !sameKind || p.Refused == AnalyzerFault || p.Refused == MisconfiguredQuery {
		return Replan{CannotTell: []string{fmt.Sprintf("nothing was compared (%s): %v", p.Refused, ErrCannotTell)}}, nil
	}
	plan, err := NewPlan(PlanInput{
		Deployment: p.Deployment, Policy: policy, Cohorts: p.Cohorts, Warnings: p.Warnings, Refused: p.Refused, RefusedReason: p.RefusedReason,
	})
	return Replan{Plan: plan}, err
}

// asked reports whether any objective of p is about the signal.
func (p *Plan) asked(s Signal) bool {
	return slices.ContainsFunc(p.Objectives, func(o PlannedObjective) bool { return sameSignal(o.Signal, s) })
}

// comparison is c with its default spelled out.
func comparison(c Comparison) Comparison {
	if c == "" {
		return Concurrent
	}
	return c
}

// policy is what p was made from, as far as it is kept.
func (p *Plan) policy() Policy {
	policy := Policy{
		Name: p.Policy, BuiltIn: p.BuiltIn, Window: p.Window, Comparison: p.Comparison, AlphaRollback: p.AlphaRollback, AlphaPromote: p.AlphaPromote, Costs: p.Costs,
	}
	for _, o := range p.Objectives {
		policy.Objectives = append(policy.Objectives, o.Objective)
	}
	return policy
}

func (p *Plan) recorded() []*PlannedObjective {
	out := make([]*PlannedObjective, len(p.Objectives))
	for i := range p.Objectives {
		out[i] = &p.Objectives[i]
	}
	return out
}

// planAgain makes a plan from what p keeps of the time before the deployment: for each
// objective of the policy, what was recorded of one.
func (p *Plan) planAgain(policy Policy, recorded []*PlannedObjective) (*Plan, error) {
	in := PlanInput{Deployment: p.Deployment, Policy: policy, Cohorts: p.Cohorts}
	in.Logs, in.Traces = p.streamsAgain(policy)
	for _, o := range recorded {
		in.Facts = append(in.Facts, Facts{Spacing: o.Cadence.D(), Step: BaseTick, History: o.History, recorded: o})
	}
	plan, err := NewPlan(in)
	if err != nil {
		return nil, err
	}
	for i, o := range recorded {
		again := &plan.Objectives[i]
		if again.Cadence != o.Cadence {
			return nil, fmt.Errorf("objective %q was asked every %v, not every %v: %w", o.Name, o.Cadence.D(), again.Cadence.D(), ErrCannotTell)
		}
		again.Lateness = o.Lateness
	}
	return plan, nil
}

// streamsAgain is what p learned of logs and traces, with what the policy expects and
// mutes, where it says so.
func (p *Plan) streamsAgain(policy Policy) (*LogPlan, *TracePlan) {
	logs, traces := p.Logs, p.Traces
	if logs != nil && policy.Logs != nil {
		of := *logs
		of.Expect, of.Mute = policy.Logs.Expect, policy.Logs.Mute
		logs = &of
	}
	if traces != nil && policy.Traces != nil {
		of := *traces
		of.Mute = policy.Traces.Mute
		traces = &of
	}
	return logs, traces
}

// evidenceFor returns the recorded objective whose evidence the i-th objective of the
// policy can be judged by, the one of the same name where there are several, or why
// there is none.
func (p *Plan) evidenceFor(policy Policy, i int) (found *PlannedObjective, why string) {
	o, share := policy.Objectives[i], policy.AlphaRollback*objectiveWeights(policy.Objectives)[i]
	why = notAsked
	for k := range p.Objectives {
		then := &p.Objectives[k]
		if !sameSignal(then.Signal, o.Signal) {
			continue
		}
		differs := then.askedOtherwise(o)
		if differs == "" && then.History.Long != nil && (p.Window.Deadline != p.Deployment.window(policy.Window).Deadline || p.AlphaRollback*then.Weight != share) {
			differs = "what its long history tells holds for the recorded deadline, and for its share of the false rollbacks"
		}
		switch {
		case differs != "" && found == nil:
			why = differs
		case differs == "" && (found == nil || then.Name == o.Name):
			found, why = then, ""
		}
	}
	return found, why
}

const notAsked = "its signal was not asked for"

// sameSignal reports whether two signals ask for the same. What they are called does not
// matter, nor does what a recording does not keep apart: an empty list and none.
func sameSignal(a, b Signal) bool {
	a.Name, b.Name = "", ""
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// askedOtherwise says what of the recorded rows and history of o another objective on its
// signal would have wanted otherwise; "": nothing.
func (o *PlannedObjective) askedOtherwise(other Objective) string {
	switch {
	case !slices.Equal(o.Strata, other.strata()):
		return fmt.Sprintf("its strata were %q, not %q", o.Strata, other.strata())
	case o.Signal.Shape == ShapeLevel && (o.Leak == nil) != (other.Leak == nil):
		return "a leak is learned from other history than a level"
	case o.Signal.Shape == ShapeLevel && (o.Target > 0) != (other.Target > 0):
		return "a share of the error budget is learned from other history than a level"
	case o.Signal.Shape != ShapeDistribution:
		return ""
	case o.Latency == nil:
		return "no thresholds of it were recorded"
	case !slices.Equal(o.criticalQuantiles(), other.criticalQuantiles()):
		return "its bounds follow from its quantiles, which differ"
	case o.tolerance() != other.tolerance() || o.margin() != other.margin():
		return "its bounds follow from its tolerance and margin, which differ"
	}
	return ""
}

// replaced is list with the items of before that after lacks taken out, and those of
// after that before lacks put at its end.
func replaced(list, before, after []string) []string {
	out := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(before, s) && !slices.Contains(after, s) })
	for _, s := range after {
		if !slices.Contains(before, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Look is what of a recorded look is evidence for the new plan, and whether that is all
// of it, unchanged: evidence of objectives that the plan lacks and of folds after its
// deadline is left out, that of renamed objectives goes by their new names.
func (r *Replan) Look(l Look) (look Look, same bool) {
	look, same = l, true
	look.Evidence = make([]Evidence, 0, len(l.Evidence))
	for _, e := range l.Evidence {
		names := r.by[e.Objective]
		if e.Fold.End.After(r.Plan.Deadline()) {
			names = nil
		}
		same = same && len(names) == 1 && names[0] == e.Objective
		for _, name := range names {
			renamed := e
			renamed.Objective = name
			look.Evidence = append(look.Evidence, renamed)
		}
	}
	if same {
		return l, true
	}
	return look, false
}
