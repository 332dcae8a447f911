package validation

import (
	"context"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// validationsBack is how many earlier validations of a service are looked at for times
// that were not quiet.
const validationsBack = 100

// A span is a stretch of time [from, to).
type span struct{ from, to time.Time }

// unquiet are the times before a deployment at which another one of the service was judged
// and not promoted: what ran then may have been the harm itself (statistics 2.5). It is
// asked only where the canary is compared with the time before; beside a running baseline
// the history is that of the baseline's pods, whatever else was tried.
func (r *Runner) unquiet(ctx context.Context, in analysis.PlanInput) ([]span, error) {
	if c := in.Policy.Comparison; c != analysis.PreviousWindow && c != analysis.Both {
		return nil, nil
	}
	release, start := in.Deployment.Release, in.Deployment.StartedAt
	listed, err := r.Store.Validations(ctx, store.Filter{Service: release.Service, Environment: release.Environment, Namespace: release.Namespace, Limit: validationsBack})
	if err != nil {
		return nil, err
	}
	var out []span
	for _, v := range listed {
		if v.ID == in.Deployment.Validation() || !v.Deployment.StartedAt.Before(start) || v.Word == verdicts.Promote.String() {
			continue
		}
		to := v.Deployment.StartedAt.Add(in.Policy.Window.Deadline.D())
		if v.Deployment.Mode == analysis.Live && !v.FinalAt.IsZero() && v.FinalAt.Before(to) {
			to = v.FinalAt
		}
		out = append(out, span{v.Deployment.StartedAt, to})
	}
	return out, nil
}

// without leaves out what was told about the given times.
func (r Recollection) without(times []span) Recollection {
	if len(times) == 0 {
		return r
	}
	in := func(m analysis.MinuteSum) bool {
		return slices.ContainsFunc(times, func(s span) bool { return m.Minute.Before(s.to) && m.Minute.Add(time.Minute).After(s.from) })
	}
	for _, sums := range []*[]analysis.MinuteSum{&r.Sums, &r.control, &r.longService, &r.longControl} {
		*sums = slices.DeleteFunc(slices.Clone(*sums), in)
	}
	return r
}
