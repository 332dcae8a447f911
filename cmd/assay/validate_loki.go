package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/verdicts"
)

// lokiSource is what the source of log lines is called in plans and bundles.
const lokiSource = "loki"

// lines reads how the Loki is asked, nil if there is none.
func (v *validateFlags) lines() (*loki.Config, error) {
	if v.loki == "" {
		if len(v.lokiHeaders)+len(v.lokiLabels) > 0 {
			return nil, errors.New("--loki-header and --loki-label are for --loki, which is not given")
		}
		return nil, nil
	}
	c := loki.DefaultConfig()
	c.URL = v.loki
	if err := setHeaders(&c.HTTP, "--loki-header", v.lokiHeaders); err != nil {
		return nil, err
	}
	var err error
	if c.Labels, err = labelsOf("--loki-label", v.lokiLabels); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("--loki: %w", err)
	}
	return &c, nil
}

// logObjectives are what log lines are held to: they are listed, and requests with lines
// of ERROR and above are compared where something counts the requests.
func logObjectives(requests *analysis.Signal) []analysis.Objective {
	signal := func(name string, shape analysis.Shape, severity analysis.Severity) analysis.Signal {
		return analysis.Signal{Name: name, Source: lokiSource, Unit: "1", Shape: shape, Logs: &analysis.LogSignal{Severity: severity, Requests: requests}}
	}
	all := []analysis.Objective{{Name: "logs", Role: analysis.Advisory, Signal: signal("logs", analysis.ShapeTemplates, analysis.SeverityUnknown)}}
	if requests != nil {
		all = append(all, analysis.Objective{Name: "logs_severity", Role: analysis.Secondary, Signal: signal("logs_severity", analysis.ShapeRatio, analysis.SeverityError)})
	}
	return all
}

// surveyLines asks what the Loki has of the service, and adds the objectives about it.
// Heard are the objectives that the Prometheus knows.
func (o *oneShot) surveyLines(ctx context.Context, heard []analysis.Objective) error {
	if o.logs == nil {
		return nil
	}
	o.progress.say("asking %s", o.lines.URL)
	if err := o.logs.Probe(ctx); err != nil {
		return o.lokiTroubled(err)
	}
	objectives := logObjectives(analysis.RequestsOf(heard))
	seen, err := o.linesSeen(ctx, objectives[0].Signal, o.release.Service)
	if err != nil {
		return o.lokiTroubled(err)
	}
	label := func(attribute string) string {
		return cmp.Or(o.lines.Labels[attribute], strings.ReplaceAll(attribute, ".", "_"))
	}
	if len(seen) == 0 {
		all, err := o.linesSeen(ctx, objectives[0].Signal, "")
		if err != nil {
			return o.lokiTroubled(err)
		}
		return usage(fmt.Errorf("%s has no lines with the label %s=%q: %s; --loki-label service.name=LABEL names another label",
			o.lines.URL, label(analysis.AttrService), o.release.Service, servicesOf(all)))
	}
	if !slices.ContainsFunc(seen, func(s analysis.Seen) bool { return s.Version != "" }) {
		return usage(fmt.Errorf("the lines of %s in %s have no version: neither a label nor structured metadata %s; --loki-label service.version=NAME names another, e.g. k8s_replicaset_name with its value for --canary",
			o.release.Service, o.lines.URL, label(analysis.AttrVersion)))
	}
	for _, version := range []string{o.release.Version, o.release.PreviousVersion} {
		if version != "" && !slices.ContainsFunc(seen, func(s analysis.Seen) bool { return s.Version == version }) {
			o.progress.say("note: %s has no line of %s %s: %s", o.lines.URL, o.release.Service, version, versionsOf("it has", seen))
		}
	}
	if len(objectives) == 1 {
		o.progress.say("note: nothing counts requests, so that log lines are listed and not tested")
	}
	o.policy.Objectives = append(slices.Clone(o.policy.Objectives), objectives...)
	o.policy.Logs = &analysis.LogPlan{Source: lokiSource, Share: 1}
	if len(objectives) > 1 {
		o.policy.Logs.Origin = objectives[1].Signal.Logs.Requests.Name
	}
	return nil
}

// linesSeen are the releases that wrote lines in the hour before the start, or since.
func (o *oneShot) linesSeen(ctx context.Context, signal analysis.Signal, service string) ([]analysis.Seen, error) {
	return o.logs.Seen(ctx, analysis.SeenQuery{Signal: signal, Service: service, From: o.start.Add(-time.Hour), To: o.end()})
}

// lateLines is how long after the end of a fold its lines are waited for.
func (o *oneShot) lateLines() time.Duration {
	if o.logs == nil {
		return 0
	}
	return analysis.StreamLateness + o.logs.Lag()
}

// servicesOf lists the services that wrote most.
func servicesOf(seen []analysis.Seen) string {
	lines := map[string]float64{}
	var names []string
	for _, s := range seen {
		if lines[s.Service] == 0 {
			names = append(names, s.Service)
		}
		lines[s.Service] += s.Exposure
	}
	if len(names) == 0 {
		return "it has no line of any service since then"
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(lines[b], lines[a]), cmp.Compare(a, b)) })
	const shown = 8
	if len(names) > shown {
		names = append(names[:shown], "…")
	}
	return "it has lines of " + strings.Join(names, ", ")
}

// lokiTroubled says what is wrong with the Loki, for the one who wrote its address.
func (o *oneShot) lokiTroubled(err error) error {
	url, text := o.lines.URL, verdicts.Plain(err.Error())
	switch loki.Diagnose(err) {
	case loki.Denied:
		return &exitError{exitAuth, fmt.Errorf("%s wants other credentials, or a tenant (--loki-header 'X-Scope-OrgID: TENANT'): %s", url, text)}
	case loki.NotLoki:
		return usage(fmt.Errorf("%s answers, but not as the API of Loki: %s\nthe address is the root to which /loki/api/v1/query is added: http://HOST:3100; Grafana itself is none", url, text))
	case loki.Unreachable:
		return &exitError{exitInternal, fmt.Errorf("no answer from %s: %s (does it run there, and can this machine reach it?)", url, text)}
	}
	return &exitError{exitInternal, errors.New(url + ": " + text)}
}
