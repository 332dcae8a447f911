package oc

import (
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// An outcome is when a judge rolled a release back and when it promoted it, in
// seconds of event time after the deployment; 0 is never. Assay goes on looking
// after a promote, so that the chance of a false rollback is that of looking to the
// end.
type outcome struct{ alarm, promote int }

const (
	minBake = 10 * time.Minute
	warmup  = 3 * time.Minute
)

// lateness is how long after the end of a fold of the given cadence Assay folds it:
// what a source needs, for answers in wall time.
func lateness(cadence time.Duration) time.Duration { return analysis.LatenessOf(cadence, 0) }

// release is the deployment that every world judges.
func release(share float64, steps int) analysis.Deployment {
	return analysis.Deployment{
		ID: "simulated", Attempt: 1, StartedAt: deployedAt, Mode: analysis.Live,
		Release: analysis.Release{Environment: "prod", Namespace: "shop", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"},
		Steps:   []analysis.Step{{Index: 1, Total: max(1, steps), Weight: share, At: deployedAt}},
	}
}

// plan freezes the objectives with the facts that were learned.
func plan(d analysis.Deployment, minutes int, with analysis.Comparison, objectives []analysis.Objective, facts []analysis.Facts) (*analysis.Plan, error) {
	return analysis.NewPlan(analysis.PlanInput{
		Deployment: d,
		Policy: analysis.Policy{
			Name: "simulated", Objectives: objectives, Comparison: with,
			Window: analysis.Window{
				Warmup: analysis.Duration(warmup), MinBake: analysis.Duration(minBake),
				Deadline: analysis.Duration(time.Duration(minutes) * time.Minute), OnUnderpowered: analysis.WaitUnderpowered,
			},
			AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		},
		Facts: facts,
	})
}

// A telling fills in what the pods of both arms report of one objective in a fold.
type telling func(objective int, fold analysis.Fold) []analysis.ArmRow

// judge folds a simulated release to its deadline and reads the verdict after every
// look. Steps are the ramp steps after the first.
func judge(p *analysis.Plan, steps []analysis.Step, tell telling) (outcome, error) {
	var o outcome
	s, err := analysis.NewState(p)
	if err != nil {
		return o, err
	}
	evidence := analysis.Evidence{}
	for {
		i, fold, left := nextFold(s, p)
		if !left {
			return o, nil
		}
		for len(steps) > 0 && steps[0].At.Before(fold.End) {
			s.Step(steps[0])
			steps = steps[1:]
		}
		evidence.Objective, evidence.Fold, evidence.Rows = p.Objectives[i].Name, fold, tell(i, fold)
		if err := s.Fold(&evidence); err != nil {
			return o, fmt.Errorf("simulated release: %w", err)
		}
		if i < len(p.Objectives)-1 && sameCadence(p) {
			continue // the look comes with the last objective
		}
		if word, looked := look(s, p, o); looked {
			since := int(fold.End.Sub(deployedAt).Seconds())
			switch {
			case word == verdicts.Rollback:
				o.alarm = since
				return o, nil
			case word == verdicts.Promote && o.promote == 0:
				o.promote = since
			}
		}
	}
}

// nextFold is the earliest fold that is left, of the first objective that has it.
func nextFold(s *analysis.State, p *analysis.Plan) (objective int, fold analysis.Fold, left bool) {
	for i := range p.Objectives {
		if f, before := s.Next(i); before && (!left || f.End.Before(fold.End)) {
			objective, fold, left = i, f, true
		}
	}
	return objective, fold, left
}

func sameCadence(p *analysis.Plan) bool {
	for i := range p.Objectives {
		if p.Objectives[i].Cadence != p.Objectives[0].Cadence {
			return false
		}
	}
	return true
}

// look decides as the service does, wherever the decision can be other than pending:
// with the harm or the safety evidence at its bar, and once a minute for the checks
// that rest on neither.
func look(s *analysis.State, p *analysis.Plan, o outcome) (verdicts.Word, bool) {
	asOf := s.AsOf()
	since := asOf.Sub(p.Deployment.StartedAt)
	harm, safe := 0.0, o.promote == 0 && since >= p.Window.MinBake.D()
	for i, f := range s.Assess() {
		harm += p.Objectives[i].Weight * float64(f.ERollback)
		safe = safe && (f.Role != analysis.Critical || float64(f.EPromote) >= 1/p.AlphaPromote)
	}
	if since%time.Minute != 0 && harm < 1/p.AlphaRollback && !safe {
		return verdicts.Pending, false
	}
	return verdicts.Decide(p, s.Checks(), nil, asOf).Word, true
}
