package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/prometheus"
)

// checkSpan is how far back check looks for series and versions.
const checkSpan = time.Hour

// A checkedObjective is an objective of a policy and what its source says about it.
type checkedObjective struct {
	policy       analysis.Policy
	objective    analysis.Objective
	written      config.Written
	source       config.Place
	service      string // the pattern of the policy
	environments []string
	covers       func(analysis.Seen) bool

	pushed  bool   // to a running server, which is asked instead of the source
	skipped string // why nothing was asked; empty: it was
	missing error  // the running server that should have been asked
	facts   facts
}

// asked is what check needs of a source, wherever that is.
type asked interface {
	// Label returns what an attribute is called there.
	Label(attribute string) string
	Lag() time.Duration
	Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error)
	Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error)
	Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error)
	HistoryStep(cadence time.Duration) time.Duration
	// Past returns the history, and whether the source keeps one of the signal.
	Past(ctx context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, kept bool, err error)
	Metric(ctx context.Context, name string, from, to time.Time) (sources.Metric, error)
	Values(ctx context.Context, metric, label string, from, to time.Time) ([]string, error)
	Probe(ctx context.Context) error
}

// A scrapedSource is a Prometheus, which keeps the history of everything.
type scrapedSource struct{ *prometheus.Source }

func (s scrapedSource) Past(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, bool, error) {
	sums, err := s.History(ctx, q)
	return sums, true, err
}

func (s scrapedSource) HistoryStep(cadence time.Duration) time.Duration {
	return gather.HistoryStep(s.Source, cadence)
}

// A rehearsed past is what planning would be told, and whether the source will keep it.
type rehearsedPast struct {
	asked
	others map[string]asked // who counts the requests of log lines
	kept   *bool
}

// facts are what a server says about an objective: the ground of all findings.
type facts struct {
	down         error           // the server gives no answer
	total, event partFacts       // of a histogram or gauge the first only
	own          []analysis.Seen // of the total, what the policy covers
	versions     []analysis.Seen // of those, the versions of the service with most traffic, largest first
	version      string          // the label that carries service.version
	cohorts      analysis.Cohorts
	telling      []string // the labels that tell the arms apart
	spacing      time.Duration
	silent       bool  // nothing plays the baseline
	unlearned    error // why there is no history
	unkept       bool  // the source forgets the signal
	planned      *analysis.PlannedObjective
	weak         []string // what the plan warns of
	unplanned    error    // why it cannot be judged
}

// partFacts are what a server says about one counter, or about a histogram or gauge.
type partFacts struct {
	err    error // it refuses the question
	seen   []analysis.Seen
	all    bool // every service was asked for, not one
	metric sources.Metric
	values map[string][]string // where nothing matches: what the labels of the conditions hold
}

// ask asks a server everything about an objective. A question that cannot be answered
// leaves its facts empty; an outage ends the asking.
func (o *checkedObjective) ask(ctx context.Context, servers map[string]asked, now time.Time) {
	f, signal := &o.facts, o.objective.Signal
	server := servers[signal.Source]
	if ofStreams(signal) {
		f.total = o.stream(ctx, server, now)
	}
	for _, part := range signal.Selectors() {
		facts := &f.total
		if part == signal.Bad || part == signal.Good {
			facts = &f.event
		}
		*facts = o.part(ctx, server, part, now)
	}
	if f.outage(f.total.err) || f.outage(f.event.err) {
		return
	}
	for _, s := range f.total.seen {
		if o.covers(s) {
			f.own = append(f.own, s)
		}
	}
	f.version = server.Label(analysis.AttrVersion)
	if len(f.own) > 0 {
		o.rehearse(ctx, servers, now)
	}
}

// outage notes an error that says nothing about the question.
func (f *facts) outage(err error) bool {
	if err == nil || sources.KindOf(err) != sources.Unavailable {
		return false
	}
	f.down = err
	return true
}

// part asks what there is of one counter, or of a histogram or gauge.
func (o *checkedObjective) part(ctx context.Context, server asked, s *analysis.Selector, now time.Time) (f partFacts) {
	signal := o.objective.Signal
	if signal.Shape == analysis.ShapeRatio {
		signal.Bad, signal.Good, signal.Total = s, nil, s // this one alone, not what is counted among it
	}
	q := analysis.SeenQuery{Signal: signal, From: now.Add(-checkSpan), To: now}
	if !strings.ContainsAny(o.service, "*?") {
		q.Service = o.service
	}
	f.seen, f.err = server.Seen(ctx, q)
	if f.err == nil && len(f.seen) == 0 && q.Service != "" {
		q.Service = "" // telemetry may not name the service, or another one
		f.seen, f.err = server.Seen(ctx, q)
	}
	f.all = q.Service == ""
	if f.err != nil {
		return f
	}
	name := s.Metric
	for _, name = range o.called(s) {
		if f.metric, f.err = server.Metric(ctx, name, q.From, q.To); f.err != nil || f.metric.Known() {
			break
		}
	}
	if f.err != nil || len(f.seen) > 0 {
		return f
	}
	f.values = map[string][]string{}
	for _, c := range s.Conditions {
		if !slices.Contains(f.metric.Labels, c.Name) {
			continue
		}
		if f.values[c.Name], f.err = server.Values(ctx, name, c.Name, q.From, q.To); f.err != nil {
			return f
		}
	}
	return f
}

// called returns the names of the series that a selector finds. A classic histogram is
// one of buckets; a native one has the name of the whole.
func (o *checkedObjective) called(s *analysis.Selector) []string {
	if o.objective.Signal.Shape == analysis.ShapeDistribution && !o.pushed {
		return []string{s.Metric + "_bucket", s.Metric}
	}
	return []string{s.Metric}
}

// byVersion reports whether the baseline is told from the canary by its version.
func (o *checkedObjective) byVersion() bool {
	for _, value := range o.policy.Baseline {
		if strings.Contains(value, "${baseline.version}") {
			return true
		}
	}
	return len(o.policy.Baseline) == 0
}

// rehearse plans a release of the service with most traffic, as if it began now: its
// largest version against the next one.
func (o *checkedObjective) rehearse(ctx context.Context, servers map[string]asked, now time.Time) {
	f, server := &o.facts, servers[o.objective.Signal.Source]
	largest := slices.MaxFunc(f.own, func(a, b analysis.Seen) int { return cmp.Compare(a.Exposure, b.Exposure) })
	for _, s := range f.own {
		if s.Service == largest.Service && s.Namespace == largest.Namespace && s.Environment == largest.Environment {
			f.versions = append(f.versions, s)
		}
	}
	slices.SortStableFunc(f.versions, func(a, b analysis.Seen) int { return cmp.Compare(b.Exposure, a.Exposure) })
	if largest.Version == "" && o.byVersion() {
		return // there is no way to tell the arms apart
	}
	d := analysis.Deployment{ID: "check", Attempt: 1, Mode: analysis.Live, StartedAt: now, Release: analysis.Release{
		Environment: largest.Environment, Namespace: largest.Namespace, Service: largest.Service, Version: "next", PreviousVersion: f.versions[0].Version,
	}}
	if len(f.versions) > 1 {
		d.Release.Version = f.versions[1].Version
	}
	f.cohorts, _ = validation.Cohorts(o.policy, d, f.versions)
	for _, name := range f.cohorts.Baseline.Names() {
		if f.cohorts.Baseline[name] != f.cohorts.Canary[name] {
			f.telling = append(f.telling, server.Label(name))
		}
	}
	policy := o.policy
	policy.Objectives = []analysis.Objective{o.objective}
	in := analysis.PlanInput{Deployment: d, Policy: policy, Cohorts: f.cohorts}
	kept := false
	told, err := validation.Recall(ctx, rehearsedPast{server, servers, &kept}, o.objective, in)
	f.spacing = told.Spacing
	var unanswered *sources.Error
	if errors.As(err, &unanswered) && unanswered.Op == "spacing" {
		if !f.outage(err) {
			f.total.err = err
		}
		return
	}
	f.unlearned, f.unkept = err, err == nil && !kept && !o.objective.Signal.Listed()
	f.silent = err == nil && len(told.Sums) == 0 && f.spacing == 0 && !o.objective.Signal.Listed()
	in.Facts = []analysis.Facts{told.Facts(in)}
	plan, err := analysis.NewPlan(in)
	if err != nil {
		f.unplanned = err
		return
	}
	f.planned, f.weak = &plan.Objectives[0], plan.Warnings
}
