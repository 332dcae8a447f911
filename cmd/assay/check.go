package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/prometheus"
)

// checksAtOnce is how many objectives are asked about at a time: enough to be quick,
// few enough that the servers do not notice.
const checksAtOnce = 4

func newCheck(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [POLICY-FILE...]",
		Short: "Check the configuration, and every query against the live sources",
		Long: `Check reads the process file and the policy files as 'assay serve' does, and then asks the
live Prometheus sources what became of every query: whether it is a counter, whether the
services have series of it, whether two versions can be told apart, and whether there are
enough samples to learn from. It changes nothing.

An error is what could never be judged: a mistake in a file, a query that finds nothing,
a gauge where a counter is needed. A warning is what makes verdicts late or weak: one
scrape a minute, one version or one pod seen, little history, too little traffic to decide
by the deadline. About what is pushed (OTLP) the running server is asked; where none
answers, that is a warning.

Exit codes: 0 no errors (there may be warnings), 2 errors.`,
		Example: `  assay check --config assay.yaml
  assay check --config assay.yaml --offline policies/     # the files only
  assay check --server http://assay:8080 policies/        # what is pushed to that server
  assay check --config assay.yaml -o json`,
	}
	file, policies := addConfigFlags(c)
	offline := c.Flags().Bool("offline", false, "read the files only and ask no source")
	quiet := c.Flags().BoolP("quiet", "q", false, "no progress on stderr")
	server, output := addServer(c), addOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var running *client
		if !*offline {
			var err error
			if running, err = newClient(*server); err != nil {
				return err
			}
		}
		report, err := check(c.Context(), *file, append(*policies, args...), running, progressOf(s, *quiet))
		if err != nil {
			return err
		}
		if err := report.show(s.out, string(*output)); err != nil {
			return internal(err)
		}
		if n := report.Errors; n > 0 {
			return usage(fmt.Errorf("%s", counted(n, "error")))
		}
		return nil
	}
	return c
}

// addConfigFlags adds the flags that name the files of a configuration.
func addConfigFlags(c *cobra.Command) (file *string, policies *[]string) {
	return c.Flags().String("config", "", "process file (docs/configuration.md)"),
		c.Flags().StringSlice("policies", nil, "policy files or directories, instead of those of the process file")
}

// readConfig reads a configuration as serve does, with other policy files if any are
// named.
func readConfig(file string, policies []string) (config.Config, config.Policies, error) {
	conf, err := config.Load(file)
	if err != nil {
		return conf, config.Policies{}, err
	}
	if len(policies) > 0 {
		conf.Policies = policies
	}
	read, err := conf.LoadPolicies()
	if err == nil {
		conf.Sources = read.Sources // those of DataSource objects too
	}
	return conf, read, err
}

// check reads the files and asks the sources, of those that are pushed the running
// server; without one (nil) nobody is asked. Mistakes are part of the report; an error
// is that nothing could be reported.
func check(ctx context.Context, file string, policyFiles []string, running *client, p *progress) (*checkReport, error) {
	defer p.end()
	conf, policies, err := readConfig(file, policyFiles)
	if err != nil {
		return reportOf(nil, mistakes(err)), nil
	}
	table, err := (&server{config: conf}).openSources(policies)
	if err != nil {
		return reportOf(nil, mistakes(err)), nil
	}
	checked := checkedObjectives(conf, policies)
	servers, closed := serversOf(table, running)
	defer closed()
	if running == nil {
		servers = nil
	}
	if err := askAll(ctx, checked, servers, p); err != nil {
		return nil, internal(err)
	}
	return reportOf(checked, nil), nil
}

// serversOf says who is asked about each source: itself, or of what is pushed the running
// server.
func serversOf(table map[string]sources.Source, running *client) (servers map[string]asked, closed func()) {
	servers = map[string]asked{}
	var open []*prometheus.Source
	for name, source := range table {
		switch source := source.(type) {
		case *prometheus.Source:
			open = append(open, source)
			servers[name] = scrapedSource{source}
		case *otlp.Source:
			servers[name] = pushedSource{name, running}
		case sources.LineSampler:
			servers[name] = queriedSource{source}
		}
	}
	return servers, func() {
		for _, source := range open {
			source.Close()
		}
	}
}

// mistakes are the findings of an error of reading: one for each that was joined.
func mistakes(err error) (out []finding) {
	switch e := err.(type) {
	case *exitError:
		return mistakes(e.err)
	case config.Fault:
		return []finding{findingOf(levelError, e)}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			out = append(out, mistakes(one)...)
		}
		slices.SortStableFunc(out, func(a, b finding) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return out
	}
	return []finding{{Level: levelError, Message: err.Error()}}
}

// checkedObjectives are the objectives of all policies; where the built-in plan is
// asked from a server too, also the built-in signals.
func checkedObjectives(conf config.Config, policies config.Policies) []*checkedObjective {
	var out []*checkedObjective
	for _, policy := range policies.All() {
		service, environments := policies.Match(policy.Name)
		for _, o := range policy.Objectives {
			name := policy.Name
			out = append(out, &checkedObjective{
				policy: policy, objective: o, written: policies.Written(name, o.Name), source: conf.Sources[o.Signal.Source].Written(), service: service, environments: environments,
				pushed: conf.Sources[o.Signal.Source].Kind == config.KindOTLP,
				covers: func(s analysis.Seen) bool { return policies.Covers(name, s) },
			})
		}
	}
	source := conf.BuiltIn.Source
	if conf.Sources[source].Kind == config.KindOTLP {
		return out
	}
	place := conf.Sources[source].Written()
	for _, o := range policies.BuiltIn.Objectives {
		out = append(out, &checkedObjective{
			policy: policies.BuiltIn, objective: o, written: config.Written{Objective: place, Event: place, Total: place}, source: place, service: "*",
			covers: func(analysis.Seen) bool { return true },
		})
	}
	return out
}

// askAll fills in what the servers say about each objective, by the name of the source.
// No servers: none is to be asked.
func askAll(ctx context.Context, objectives []*checkedObjective, servers map[string]asked, p *progress) error {
	now := time.Now()
	down := map[string]error{}
	for _, o := range objectives {
		name := o.objective.Signal.Source
		if _, probed := down[name]; servers[name] == nil || probed {
			continue
		}
		p.say("asking %s", name)
		down[name] = servers[name].Probe(ctx)
	}
	var (
		mu      sync.Mutex // guards progress and done
		done    int
		workers errgroup.Group
	)
	workers.SetLimit(checksAtOnce)
	for _, o := range objectives {
		workers.Go(func() error {
			name := o.objective.Signal.Source
			switch fault := down[name]; {
			case servers == nil:
				o.skipped = "not asked (--offline)"
			case servers[name] == nil:
				o.skipped = "not asked"
			case errors.Is(fault, errNoServer):
				o.skipped, o.missing = "not checked: telemetry is pushed to a running server", fault
			case fault != nil:
				o.facts.down = fault
			default:
				o.ask(ctx, servers, now)
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			p.say("%d of %d: %s of %s", done, len(objectives), o.objective.Name, o.policy.Name)
			return nil
		})
	}
	_ = workers.Wait() // what went wrong is in the facts
	return ctx.Err()
}
