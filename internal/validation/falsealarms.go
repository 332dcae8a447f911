package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
	"github.com/release-assay/assay/internal/store"
)

// plansBack is among how many earlier validations of a service one is looked for that was
// judged by the same test.
const plansBack = 10

// tried runs a plan over its history as if there had been deployments in it, and adds what
// the newest plan of the same test knew of the weeks before (statistics 2.5).
func (r *Runner) tried(ctx context.Context, plan *analysis.Plan, sums [][]analysis.MinuteSum) (*analysis.FalseAlarms, error) {
	alarms, err := history.FalseAlarms(plan, sums)
	if err != nil {
		return nil, err
	}
	earlier, err := r.earlierAlarms(ctx, plan)
	if err != nil {
		return nil, err
	}
	if earlier != nil {
		alarms.Merge(earlier.Windows, plan.Deployment.StartedAt, plan.Window.Deadline.D())
	}
	if len(alarms.Windows) == 0 {
		return nil, nil
	}
	return &alarms, nil
}

// earlierAlarms is what the newest earlier plan of the same test knew, which holds what
// those before it knew; nil where there is none.
func (r *Runner) earlierAlarms(ctx context.Context, plan *analysis.Plan) (*analysis.FalseAlarms, error) {
	release := plan.Deployment.Release
	listed, err := r.Store.Validations(ctx, store.Filter{Service: release.Service, Environment: release.Environment, Namespace: release.Namespace, Limit: plansBack})
	if err != nil {
		return nil, err
	}
	for _, v := range listed {
		if v.ID == plan.Validation || v.Phase == store.PhasePlanning {
			continue
		}
		row, err := r.Store.Validation(ctx, v.ID)
		if errors.Is(err, store.ErrNotFound) { // retention was faster
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(row.Plan) == 0 {
			continue
		}
		var earlier analysis.Plan
		if err := json.Unmarshal(row.Plan, &earlier); err != nil {
			return nil, fmt.Errorf("plan of %s: %w", v.ID, err)
		}
		if earlier.FalseAlarms != nil && earlier.SameTest(plan) {
			return earlier.FalseAlarms, nil
		}
	}
	return nil, nil
}
