package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
)

// liveFlags say who is asked about the traffic of a service.
type liveFlags struct {
	file                                     *string
	policies                                 *[]string
	policy, environment, namespace, baseline string
	server                                   *string
}

// liveNames are the flags of liveFlags.
var liveNames = []string{"config", "policies", "policy", "environment", "namespace", "baseline", "server"}

func (v *liveFlags) add(c *cobra.Command) {
	v.file, v.policies = addConfigFlags(c)
	f := c.Flags()
	f.StringVar(&v.policy, "policy", "", "policy to judge by (default: the one that matches)")
	f.StringVar(&v.environment, "environment", "", "environment (default: the one where the service runs)")
	f.StringVar(&v.namespace, "namespace", "", "namespace of the service")
	f.StringVar(&v.baseline, "baseline", "", "the version that runs (default: the one with most traffic)")
	v.server = addServer(c)
}

// grounds asks the live sources what planning a release that began now would ask them.
func (v *liveFlags) grounds(ctx context.Context, service string, deadline time.Duration, p *progress) (planGrounds, error) {
	running, err := newClient(*v.server)
	if err != nil {
		return planGrounds{}, err
	}
	conf, policies, err := readConfig(*v.file, *v.policies)
	if err != nil {
		return planGrounds{}, usage(err)
	}
	table, err := (&server{config: conf}).openSources(policies)
	if err != nil {
		return planGrounds{}, usage(err)
	}
	servers, closed := serversOf(table, running)
	defer closed()
	r := &rehearsal{servers: servers, progress: p, seen: map[string][]analysis.Seen{}, now: time.Now().UTC().Truncate(time.Second)}
	r.release = analysis.Release{Environment: v.environment, Namespace: v.namespace, Service: service, Version: "next", PreviousVersion: v.baseline}
	if err := r.choose(ctx, policies, v.policy); err != nil {
		return planGrounds{}, err
	}
	return r.ask(ctx, deadline)
}

// A rehearsal plans a release that nobody makes.
type rehearsal struct {
	servers  map[string]asked
	progress *progress
	now      time.Time

	release analysis.Release
	policy  analysis.Policy
	seen    map[string][]analysis.Seen // of the service, by objective of the policy
}

// choose settles the environment, and takes the policy that would judge there.
func (r *rehearsal) choose(ctx context.Context, policies config.Policies, named string) error {
	found := false
	if r.policy, found = policies.For(r.release, named); named != "" && !found {
		var legal []string
		for _, p := range policies.All() {
			legal = append(legal, p.Name)
		}
		return usage(fmt.Errorf("no policy is called %q (legal: %s)", named, strings.Join(append(legal, config.BuiltinPolicyName), ", ")))
	}
	candidates := []analysis.Policy{r.policy}
	if r.release.Environment == "" && named == "" {
		candidates = append(policies.All(), policies.BuiltIn)
	}
	environments := map[string]bool{}
	for _, p := range candidates {
		if !policies.Covers(p.Name, analysis.Seen{Service: r.release.Service, Namespace: r.release.Namespace}) {
			continue
		}
		rows, err := r.hear(ctx, p)
		if err != nil {
			return err
		}
		for _, s := range rows {
			environments[s.Environment] = environments[s.Environment] || s.Environment != ""
		}
	}
	delete(environments, "")
	if r.release.Environment != "" {
		return nil
	}
	switch all := slices.Sorted(maps.Keys(environments)); len(all) {
	case 0:
	case 1:
		r.release.Environment = all[0]
		r.policy, _ = policies.For(r.release, named)
	default:
		return usage(fmt.Errorf("%s runs in several environments (%s): choose one with --environment", r.release.Service, strings.Join(all, ", ")))
	}
	return nil
}

// hear asks which releases of the service have the signals of a policy.
func (r *rehearsal) hear(ctx context.Context, p analysis.Policy) (own []analysis.Seen, err error) {
	for _, o := range p.Objectives {
		key := p.Name + "\x00" + o.Name
		rows, asked := r.seen[key]
		if !asked {
			r.progress.say("asking %s for %s", o.Signal.Source, o.Name)
			rows, err = r.ofService(ctx, o)
			if p.BuiltIn && ofStreams(o.Signal) && errors.Is(err, errNoServer) { // a candidate: nothing is pushed anywhere
				rows, err = nil, nil
			}
			if err != nil {
				return nil, err
			}
			r.seen[key] = rows
		}
		own = append(own, rows...)
	}
	return own, nil
}

// ofService asks for the service; where none carries its name, for all, since telemetry
// may not name the service at all.
func (r *rehearsal) ofService(ctx context.Context, o analysis.Objective) ([]analysis.Seen, error) {
	source := o.Signal.Source
	server := r.servers[source]
	if server == nil {
		return nil, usage(fmt.Errorf("objective %s: nobody can be asked about source %s", o.Name, source))
	}
	q := analysis.SeenQuery{Signal: o.Signal, Service: r.release.Service, From: r.now.Add(-checkSpan), To: r.now}
	rows, err := server.Seen(ctx, q)
	if err == nil && len(rows) == 0 {
		q.Service = ""
		rows, err = server.Seen(ctx, q)
	}
	if err != nil {
		return nil, r.troubled(ctx, source, err)
	}
	return slices.DeleteFunc(rows, func(s analysis.Seen) bool {
		differs := func(carried, wanted string) bool { return carried != "" && wanted != "" && carried != wanted }
		return differs(s.Service, r.release.Service) || differs(s.Environment, r.release.Environment) || differs(s.Namespace, r.release.Namespace)
	}), nil
}

// troubled is an error of a source, with the exit code that it deserves.
func (r *rehearsal) troubled(ctx context.Context, source string, err error) error {
	if probed := r.servers[source].Probe(ctx); errors.Is(probed, errNoServer) {
		return internal(fmt.Errorf("what is pushed to source %s is held by a running server, and %w: start 'assay serve', or name it with --server", source, probed))
	}
	code, text := troubleOf("source "+source, err)
	return &exitError{code, errors.New(text)}
}

// ask asks for what planning needs of each objective.
func (r *rehearsal) ask(ctx context.Context, deadline time.Duration) (planGrounds, error) {
	own, err := r.hear(ctx, r.policy)
	if err != nil {
		return planGrounds{}, err
	}
	if r.policy.BuiltIn {
		r.policy = r.policy.WithObjectives(slices.DeleteFunc(slices.Clone(r.policy.Objectives), func(o analysis.Objective) bool {
			return len(r.seen[r.policy.Name+"\x00"+o.Name]) == 0
		}))
	}
	if len(own) == 0 {
		return planGrounds{}, usage(fmt.Errorf("no source has heard of %s in the last hour by the signals of policy %s: 'assay check' says what there is instead", r.release.Service, r.policy.Name))
	}
	if r.release.PreviousVersion == "" {
		r.release.PreviousVersion = slices.MaxFunc(own, func(a, b analysis.Seen) int { return cmp.Compare(a.Exposure, b.Exposure) }).Version
	}
	in := analysis.PlanInput{Policy: r.policy, Deployment: analysis.Deployment{
		ID: "plan", Attempt: 1, Mode: analysis.Live, StartedAt: r.now, MaxDuration: analysis.Duration(deadline), Release: r.release,
	}}
	in.Cohorts, in.Warnings = validation.Cohorts(r.policy, in.Deployment, own)
	var told []validation.Recollection
	for _, o := range r.policy.Objectives {
		r.progress.say("asking %s for the history of %s", o.Signal.Source, o.Name)
		kept := false
		recalled, err := validation.Recall(ctx, rehearsedPast{r.servers[o.Signal.Source], r.servers, &kept}, o, in)
		switch {
		case err != nil && sources.KindOf(err) == sources.Unavailable:
			return planGrounds{}, r.troubled(ctx, o.Signal.Source, err)
		case err != nil:
			in.Warnings = append(in.Warnings, verdicts.Line(o.Name+": no history: "+err.Error()))
		case !kept && !o.Signal.Listed():
			in.Warnings = append(in.Warnings, o.Name+": the server keeps no history of it, because no objective that it has loaded names this signal")
		}
		told = append(told, recalled)
	}
	return planGrounds{in: in, facts: func(in analysis.PlanInput) (out []analysis.Facts) {
		for _, t := range told {
			out = append(out, t.Facts(in))
		}
		return out
	}}, nil
}
