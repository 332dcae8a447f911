package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
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
}

// askPlans starts the planning of validations that have no plan yet.
func (r *Runner) askPlans(now time.Time) {
	var waiting []*run
	for _, v := range r.open {
		if v.judge == nil && v.asking == 0 && !v.planning.until.After(now) {
			waiting = append(waiting, v)
		}
	}
	sort.Slice(waiting, func(i, j int) bool { return waiting[i].row.ID < waiting[j].row.ID })
	for _, v := range waiting {
		v.asking++
		r.schedule(v)
		d, patient := v.row.Deployment, now.Before(v.row.AcceptedAt.Add(patienceForHistory))
		r.answer(func(ctx context.Context) answer {
			plan, err := r.makePlan(ctx, d, now, patient)
			return answer{plan: &planned{v, plan, err}}
		})
	}
}

// takePlan starts judging by a finished plan, or waits for a better one. The plan is
// committed before the first fold, so that a restart judges by the same one.
func (r *Runner) takePlan(p *planned, now time.Time) error {
	v, plan := p.v, p.plan
	v.asking--
	if v.dropped {
		return nil
	}
	defer r.schedule(v)
	r.changed[v.row.ID] = v
	if p.err != nil {
		reason := verdicts.Line("planning waits: " + p.err.Error())
		var err error
		if plan, err = r.refusedPlan(v.row.Deployment, analysis.TelemetryOutage, reason); err != nil {
			return err
		}
		if now.Before(v.giveUp(plan)) {
			v.planning.patience(now, p.err)
			r.Log.Warn("planning waits", "validation", v.row.ID, "again", v.planning.until, "error", p.err)
			v.latest = waitingVerdict(v.row.Deployment, analysis.SourceUnavailable, reason)
			return nil
		}
	}
	judge, err := NewJudge(plan)
	if err != nil {
		return err
	}
	if plan.Refused != "" && now.Before(plan.Deadline()) {
		// Telemetry of a service often begins after the event that announces it.
		v.latest, v.planning = judge.Verdict(), wait{until: now.Add(planAgain)}
		return nil
	}
	encoded, err := plan.Encode()
	if err != nil {
		return err
	}
	row := v.row
	row.Plan, row.Phase = encoded, store.PhaseJudging
	if row.Latest, err = verdictBytes(judge.Verdict()); err != nil {
		return err
	}
	if _, err := r.Store.Apply(r.base, store.Change{Update: []store.Validation{row}, Now: now}); err != nil {
		return fmt.Errorf("commit the plan of %s: %w", v.row.ID, err)
	}
	v.row = row
	v.start(plan, judge)
	v.steps = stepsSince(v.row.Deployment, plan, judge)
	r.Log.Info("planned", "validation", v.row.ID, "service", plan.Deployment.Release.Service, "canary", plan.Deployment.Release.Version,
		"baseline", plan.Deployment.Release.PreviousVersion, "policy", plan.Policy, "calibrated", plan.Calibrated, "refused", plan.Refused)
	r.passed("planned")
	return nil
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
		in.Policy.Objectives = keepSeen(policy.Objectives, seen)
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
	in.Cohorts, warnings = cohorts(policy.Policy, in.Deployment, own)
	in.Warnings = append(in.Warnings, warnings...)
	for _, o := range in.Policy.Objectives {
		facts, err := r.facts(ctx, o, in)
		if err != nil && patient && sources.KindOf(err) == sources.Unavailable {
			return nil, err
		}
		if err != nil {
			in.Warnings = append(in.Warnings, verdicts.Line(o.Name+": no history: "+err.Error()))
		}
		in.Facts = append(in.Facts, facts)
	}
	plan, err := analysis.NewPlan(in)
	if err != nil {
		return r.refusedPlan(d, analysis.AnalyzerFault, verdicts.Line("the plan could not be made: "+err.Error()))
	}
	return plan, nil
}

// facts asks for what the time before the deployment says about one objective.
func (r *Runner) facts(ctx context.Context, o analysis.Objective, in analysis.PlanInput) (analysis.Facts, error) {
	start, lag := in.Deployment.StartedAt, r.Gatherer.Lag(o.Signal.Source)
	matches := in.Cohorts.Baseline.Matches()
	spacing, err := r.Gatherer.Spacing(ctx, analysis.SpacingQuery{Signal: o.Signal, Matches: matches, From: start.Add(-time.Hour), To: start})
	if err != nil {
		return analysis.Facts{Lag: lag}, err
	}
	sums, err := r.Gatherer.History(ctx, analysis.HistoryQuery{Signal: o.Signal, Matches: matches, From: start.Add(-history.Span), To: start})
	if err != nil {
		return analysis.Facts{Spacing: spacing, Lag: lag}, err
	}
	weight := analysis.PlannedWeight(in.Deployment)
	return analysis.Facts{Spacing: spacing, Lag: lag, History: history.Learn(sums, start, weight, string(in.Deployment.Validation()))}, nil
}

// seenBefore asks, for each signal, which releases were heard of in the hour
// before the deployment; where the service was not, in the first ten minutes of it,
// and then in the last ten.
func (r *Runner) seenBefore(ctx context.Context, objectives []analysis.Objective, d analysis.Deployment, now time.Time) (map[string][]analysis.Seen, error) {
	out := map[string][]analysis.Seen{}
	var errs []error
	for _, o := range objectives {
		windows := [][2]time.Time{{d.StartedAt.Add(-time.Hour), d.StartedAt}}
		if now.After(d.StartedAt) {
			windows = append(windows, [2]time.Time{d.StartedAt, earlier(now, d.StartedAt.Add(firstHeard))})
		}
		if now.After(d.StartedAt.Add(firstHeard)) && d.Mode != analysis.Retrospective {
			windows = append(windows, [2]time.Time{now.Add(-firstHeard), now})
		}
		for _, w := range windows {
			rows, err := r.seen(ctx, o.Signal, d.Release.Service, w[0], w[1])
			if err != nil {
				errs = append(errs, err)
				break
			}
			if len(rows) > 0 {
				out[o.Name] = rows
			}
			if len(ofService(rows, d.Release.Service)) > 0 {
				break
			}
		}
	}
	return out, errors.Join(errs...)
}

// firstHeard is how long after its start a deployment may first be heard of, for one
// question.
const firstHeard = 10 * time.Minute

// ofService leaves out what is known to come from another service.
func ofService(seen []analysis.Seen, service string) []analysis.Seen {
	return slices.DeleteFunc(slices.Clone(seen), func(s analysis.Seen) bool { return s.Service != "" && s.Service != service })
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// seen asks for the releases of a service; where none carries its name, for all,
// since telemetry may not name the service at all.
func (r *Runner) seen(ctx context.Context, signal analysis.Signal, service string, from, to time.Time) ([]analysis.Seen, error) {
	rows, err := r.Gatherer.Seen(ctx, analysis.SeenQuery{Signal: signal, Service: service, From: from, To: to})
	if err != nil || len(rows) > 0 {
		return rows, err
	}
	return r.Gatherer.Seen(ctx, analysis.SeenQuery{Signal: signal, From: from, To: to})
}

// keepSeen returns the candidates whose signal the service was heard of with.
func keepSeen(candidates []analysis.Objective, seen map[string][]analysis.Seen) []analysis.Objective {
	var out []analysis.Objective
	for _, o := range candidates {
		if slices.ContainsFunc(seen[o.Name], func(s analysis.Seen) bool { return s.Service != "" }) {
			out = append(out, o)
		}
	}
	return out
}

func flatten(seen map[string][]analysis.Seen) []analysis.Seen {
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []analysis.Seen
	for _, name := range names {
		out = append(out, seen[name]...)
	}
	return out
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

// cohorts says who plays each arm: what the policy or the event selects, else the
// version; and service, environment and namespace wherever telemetry carries them.
func cohorts(policy analysis.Policy, d analysis.Deployment, seen []analysis.Seen) (analysis.Cohorts, []string) {
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
		for _, c := range []analysis.Cohort{out.Baseline, out.Canary} {
			if _, chosen := c[a.name]; !chosen {
				c[a.name] = a.value
			}
		}
	}
	return out, warnings
}

// Heard says what was seen instead: "checkout: versions 1.5.0, 1.4.9; environments
// production; the event says prod-eu1".
func Heard(release analysis.Release, seen []analysis.Seen) string {
	var own, others []analysis.Seen
	for _, s := range seen {
		if s.Service == "" || s.Service == release.Service {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	says := fmt.Sprintf("the event says %s %s", release.Service, release.Version)
	if release.Environment != "" {
		says += " in " + release.Environment
	}
	switch {
	case len(own) > 0:
		line := release.Service + ": versions " + listed(own, func(s analysis.Seen) string { return s.Version })
		if e := listed(own, func(s analysis.Seen) string { return s.Environment }); e != none {
			line += "; environments " + e
		}
		return line + "; " + says
	case len(others) > 0:
		return "services " + listed(others, func(s analysis.Seen) string { return s.Service }) + "; " + says
	}
	return "nothing at all; " + says
}

const none = "(none)"

// listed joins up to five distinct values.
func listed(seen []analysis.Seen, value func(analysis.Seen) string) string {
	var values []string
	for _, s := range seen {
		if v := value(s); v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	sort.Strings(values)
	if len(values) == 0 {
		return none
	}
	if len(values) > 5 {
		values = append(values[:5], "…")
	}
	return strings.Join(values, ", ")
}

// seenAnswer is what was seen instead of a silent arm.
type seenAnswer struct {
	v    *run
	text string
}

// seenAgain is how often, in event time, it is asked what was seen instead.
const seenAgain = 5 * time.Minute

// askSeen asks what was seen instead where an arm was never heard of.
func (r *Runner) askSeen(v *run) {
	state := v.judge.State()
	asOf := state.AsOf()
	if !state.Uncovered() || !v.seenAsked.IsZero() && asOf.Before(v.seenAsked.Add(seenAgain)) {
		return
	}
	v.seenAsked = asOf
	v.asking++
	signal, d := v.plan.Objectives[0].Signal, v.plan.Deployment
	r.answer(func(ctx context.Context) answer {
		text := ""
		if rows, err := r.seen(ctx, signal, d.Release.Service, d.StartedAt.Add(-10*time.Minute), asOf); err == nil {
			text = Heard(d.Release, rows)
		}
		return answer{seen: &seenAnswer{v, text}}
	})
}
