package validation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
)

// patienceForHistory is how long a plan waits for a source that cannot tell the
// past; after that the plan is made without it, uncalibrated.
const patienceForHistory = 2 * time.Minute

// planned is what planning brings back: a plan, or an error that asks for more
// patience.
type planned struct {
	v    *run
	plan *analysis.Plan
	err  error
	// fault is what went wrong with the making itself: there is no plan, and there
	// will be none.
	fault error
}

// plansAtOnce is how many plans are being made at a time. More would share the
// places at the sources and all be late.
const plansAtOnce = 32

// askPlans starts planning in the order in which validations became due.
func (r *Runner) askPlans(now time.Time) {
	for len(r.toPlan) > 0 && r.planning < plansAtOnce {
		v := r.toPlan[0]
		suspected := v.row.Poison > 0
		if r.alone || suspected && r.planning > 0 { // what may have killed the process is planned by itself, or others would be blamed with it
			return
		}
		r.toPlan[0], r.toPlan = nil, r.toPlan[1:]
		if v.dropped {
			continue
		}
		r.planning++
		r.alone = suspected
		d, patient := v.row.Deployment, now.Before(v.row.AcceptedAt.Add(patienceForHistory))
		r.answer(func(ctx context.Context) answer {
			p := &planned{v: v}
			p.fault = guarded(func() error {
				p.plan, p.err = r.makePlan(ctx, d, now, patient)
				return nil
			})
			return answer{plan: p}
		})
	}
}

// takePlan starts judging by a finished plan, or waits for a better one. The plan is
// committed before the first fold, so that a restart judges by the same one.
func (r *Runner) takePlan(p *planned, now time.Time) error {
	v, plan := p.v, p.plan
	v.asking--
	r.planning--
	r.alone = false
	if v.dropped {
		return nil
	}
	defer r.schedule(v)
	r.changed[v.row.ID] = v
	if p.fault != nil {
		v.fault = p.fault // it ends with the next Advance
		return nil
	}
	if p.err != nil {
		reason := verdicts.Line("planning waits: " + p.err.Error())
		var err error
		code, waiting := refusedBy(p.err)
		if plan, err = r.refusedPlan(v.row.Deployment, code, reason); err != nil {
			return err
		}
		if now.Before(v.giveUp(plan)) {
			v.planning.patience(now, p.err)
			for _, end := range []time.Time{v.row.AcceptedAt.Add(patienceForHistory), v.giveUp(plan)} {
				if now.Before(end) && v.planning.until.After(end) {
					v.planning.until = end
				}
			}
			r.Log.Warn("planning waits", "validation", v.row.ID, "again", v.planning.until, "error", p.err)
			v.latest = waitingVerdict(v.row.Deployment, waiting, reason)
			return nil
		}
	}
	var judge *Judge
	var encoded []byte
	v.fault = guarded(func() (err error) {
		if judge, err = NewJudge(plan); err != nil {
			return err
		}
		encoded, err = plan.Encode()
		return err
	})
	if v.fault != nil {
		return nil
	}
	if plan.Refused != "" && now.Before(plan.Deadline()) {
		// Telemetry of a service often begins after the event that announces it.
		v.latest, v.planning = judge.Verdict(), wait{until: now.Add(planAgain)}
		return nil
	}
	row := v.row
	row.Plan, row.Phase, row.Poison = encoded, store.PhaseJudging, 0
	var err error
	if row.Latest, err = verdictBytes(judge.Verdict()); err != nil {
		return err
	}
	if _, err := r.Store.Apply(r.base, store.Change{Update: []store.Validation{row}, Now: now}); err != nil {
		return fmt.Errorf("commit the plan of %s: %w", v.row.ID, err)
	}
	v.row = row
	v.row.Plan = nil // it is in the store
	v.start(plan, judge)
	v.steps = stepsSince(v.row.Deployment, plan, judge)
	r.Log.Info("planned", "validation", v.row.ID, "service", plan.Deployment.Release.Service, "canary", plan.Deployment.Release.Version,
		"baseline", plan.Deployment.Release.PreviousVersion, "policy", plan.Policy, "calibrated", plan.Calibrated, "refused", plan.Refused)
	r.passed("planned")
	return nil
}

// refusedBy returns why there is no plan, by the error that kept it away, and the same
// while it is waited for: a source that says no is not one that is away.
func refusedBy(err error) (final, waiting analysis.Code) {
	switch sources.KindOf(err) {
	case sources.Rejected:
		return analysis.SourceRejected, analysis.SourceRejected
	case sources.Malformed:
		return analysis.MisconfiguredQuery, analysis.MisconfiguredQuery
	}
	return analysis.TelemetryOutage, analysis.SourceUnavailable
}

// planAgain is how often a refused plan is made again.
const planAgain = 15 * time.Second

// waitingVerdict is the pending answer while there is no plan yet.
func waitingVerdict(d analysis.Deployment, code analysis.Code, reason string) verdicts.Verdict {
	plan := &analysis.Plan{Validation: d.Validation(), Deployment: d}
	v := verdicts.New(plan, verdicts.Decision{Code: code, Reason: reason, Advice: verdicts.Keep}, nil)
	v.Deadline = nil
	return v
}

// refusedPlan is a plan that compares nothing and says why.
func (r *Runner) refusedPlan(d analysis.Deployment, code analysis.Code, reason string) (*analysis.Plan, error) {
	in := analysis.PlanInput{Deployment: d, Policy: r.Policy(d.Release, d.PolicyRef).Policy, Refused: code, RefusedReason: reason}
	if in.Policy.Window.Deadline <= 0 {
		in.Policy.Window = analysis.DefaultWindow()
	}
	return analysis.NewPlan(in)
}

// makePlan resolves the cohorts, fetches history and freezes the plan. An error
// asks for patience; whatever else goes wrong is said in the plan.
func (r *Runner) makePlan(ctx context.Context, d analysis.Deployment, now time.Time, patient bool) (*analysis.Plan, error) {
	policy := r.Policy(d.Release, d.PolicyRef)
	if len(policy.Objectives) == 0 {
		return r.refusedPlan(d, analysis.NoObjectives, fmt.Sprintf("no policy is called %q", policy.Name))
	}
	seen, err := r.seenBefore(ctx, policy.Objectives, d, now)
	all := flatten(seen)
	own := ofService(all, d.Release.Service)
	if err != nil && (patient || len(own) == 0) {
		return nil, err // who plays the arms cannot be guessed
	}
	in := analysis.PlanInput{Deployment: d, Policy: policy.Policy}
	if err != nil {
		in.Warnings = append(in.Warnings, verdicts.Line("what ran before could not be asked everywhere: "+err.Error()))
	}
	if policy.Candidates {
		in.Policy = in.Policy.WithObjectives(keepSeen(policy.Objectives, seen))
	}
	if len(in.Policy.Objectives) == 0 {
		return r.refusedPlan(d, analysis.NoObjectives, "no built-in signal of the service was seen; seen: "+Heard(d.Release, all))
	}
	if in.Deployment.Release.PreviousVersion == "" {
		version, err := r.previousVersion(ctx, d.Release, own)
		if err != nil {
			return nil, err
		}
		if version == "" {
			return r.refusedPlan(d, analysis.NoBaseline, "the event names no baseline version and none was seen before it; seen: "+Heard(d.Release, all))
		}
		in.Deployment.Release.PreviousVersion = version
	}
	if len(own) == 0 { // which attributes its telemetry carries is not known, and they tell the arms apart from others
		return r.refusedPlan(d, analysis.NothingSeen, "nothing was heard of the service yet; seen: "+Heard(d.Release, all))
	}
	var warnings []string
	in.Cohorts, warnings = Cohorts(policy.Policy, in.Deployment, own)
	in.Warnings = append(in.Warnings, warnings...)
	unquiet, err := r.unquiet(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := r.learnStreams(ctx, &in); err != nil && patient && sources.KindOf(err) == sources.Unavailable {
		return nil, err
	}
	var sums [][]analysis.MinuteSum
	for _, o := range in.Policy.Objectives {
		facts, told, err := r.facts(ctx, o, in, unquiet)
		if err != nil && patient && sources.KindOf(err) == sources.Unavailable {
			return nil, err
		}
		if err != nil {
			in.Warnings = append(in.Warnings, verdicts.Line(o.Name+": no history: "+err.Error()))
		}
		in.Facts, sums = append(in.Facts, facts), append(sums, told)
	}
	slot := r.working.begin(d.Validation(), notALook)
	defer r.working.end(slot)
	r.taking(d.Validation(), notALook)
	plan, err := analysis.NewPlan(in)
	if err != nil {
		return r.refusedPlan(d, analysis.AnalyzerFault, verdicts.Line("the plan could not be made: "+err.Error()))
	}
	if plan.FalseAlarms, err = r.tried(ctx, plan, sums); err != nil {
		return r.refusedPlan(d, analysis.AnalyzerFault, verdicts.Line("the plan could not be tried on its history: "+err.Error()))
	}
	return plan, nil
}

// previousVersion is the last release of the service with a final promote, else
// the version with most exposure before the deployment that is not the canary's.
func (r *Runner) previousVersion(ctx context.Context, release analysis.Release, seen []analysis.Seen) (string, error) {
	version, ok, err := r.Store.LastPromoted(ctx, release.Environment, release.Namespace, release.Service)
	if err != nil {
		return "", err
	}
	if ok && version != release.Version {
		return version, nil
	}
	exposure := map[string]float64{}
	best := ""
	for _, s := range seen {
		if s.Version == "" || s.Version == release.Version || !sameService(release, s) {
			continue
		}
		exposure[s.Version] += s.Exposure
		if best == "" || exposure[s.Version] > exposure[best] {
			best = s.Version
		}
	}
	return best, nil
}

func sameService(release analysis.Release, s analysis.Seen) bool {
	same := func(carried, wanted string) bool { return carried == "" || wanted == "" || carried == wanted }
	return same(s.Service, release.Service) && same(s.Environment, release.Environment) && same(s.Namespace, release.Namespace)
}

// Cohorts says who plays each arm: what the policy or the event selects, else the
// version; and service, environment and namespace wherever telemetry carries them.
func Cohorts(policy analysis.Policy, d analysis.Deployment, seen []analysis.Seen) (analysis.Cohorts, []string) {
	release := d.Release
	bind := strings.NewReplacer("${canary.version}", release.Version, "${baseline.version}", release.PreviousVersion)
	arm := func(template, selector map[string]string, version string) analysis.Cohort {
		c := analysis.Cohort{}
		for name, value := range template {
			c[name] = bind.Replace(value)
		}
		for name, value := range selector {
			c[name] = value
		}
		if len(c) == 0 {
			c[analysis.AttrVersion] = version
		}
		return c
	}
	out := analysis.Cohorts{
		Baseline: arm(policy.Baseline, d.Baseline, release.PreviousVersion),
		Canary:   arm(policy.Canary, d.Canary, release.Version),
	}
	if policy.Control != nil {
		out.Control = arm(policy.Control, nil, "")
	}
	var warnings []string
	for _, a := range []struct {
		name, value string
		carried     func(analysis.Seen) string
	}{
		{analysis.AttrService, release.Service, func(s analysis.Seen) string { return s.Service }},
		{analysis.AttrEnvironment, release.Environment, func(s analysis.Seen) string { return s.Environment }},
		{analysis.AttrNamespace, release.Namespace, func(s analysis.Seen) string { return s.Namespace }},
	} {
		if a.value == "" {
			continue
		}
		if !slices.ContainsFunc(seen, func(s analysis.Seen) bool { return a.carried(s) != "" }) {
			if a.name != analysis.AttrService {
				warnings = append(warnings, fmt.Sprintf("telemetry carries no %s: %q is not matched", a.name, a.value))
			}
			continue
		}
		for _, c := range []analysis.Cohort{out.Baseline, out.Canary, out.Control} {
			if _, chosen := c[a.name]; !chosen && c != nil {
				c[a.name] = a.value
			}
		}
	}
	return out, warnings
}
