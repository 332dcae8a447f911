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

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/verdicts"
)

// enoughSamples of each version must have been expected before coverage says
// anything (statistics 2.3).
const enoughSamples = 8

// A heard release is one that the server has samples of, before or since the start.
type heard struct{ before, since []analysis.Seen }

// survey asks what the server has of the service before anything is judged. What
// the command names and the server has never heard of is a mistake in the command,
// and said with what there is instead; a version that is silent is for the line to
// judge, and only remarked on.
func (o *oneShot) survey(ctx context.Context) error {
	o.progress.say("asking %s", o.server.URL)
	if err := o.source.Probe(ctx); err != nil {
		return o.troubled(err)
	}
	all, critical := heard{}, false
	var known []analysis.Objective
	for _, objective := range o.policy.Objectives {
		h, err := o.hear(ctx, objective.Signal)
		if err != nil {
			return o.troubled(err)
		}
		if len(h.before)+len(h.since) == 0 {
			if o.policy.Candidates {
				continue
			}
			return o.missing(ctx, fmt.Sprintf("%s has no %s %s of %s", o.server.URL, noun(objective.Signal.Shape), objective.Signal.Measured().Metric, o.release.Service))
		}
		if !slices.ContainsFunc(slices.Concat(h.before, h.since), func(s analysis.Seen) bool { return s.Version != "" }) {
			return o.missing(ctx, fmt.Sprintf("%s of %s has no label for the version (%s is looked for)", objective.Signal.Measured().Metric, o.release.Service, o.label(analysis.AttrVersion)))
		}
		critical = critical || objective.Role == analysis.Critical
		known = append(known, objective)
		all.before, all.since = append(all.before, h.before...), append(all.since, h.since...)
	}
	if o.policy.Candidates && !critical {
		return o.missing(ctx, fmt.Sprintf("%s has none of the built-in signals of %s", o.server.URL, o.release.Service))
	}
	if err := o.settleEnvironment(all); err != nil {
		return usage(err)
	}
	if err := o.settleEnd(ctx); err != nil {
		return err
	}
	for _, remark := range o.remarks(all) {
		o.progress.say("note: %s", remark)
	}
	return o.surveyLines(ctx, known)
}

// noun is what a signal of a shape is called in a Prometheus.
func noun(s analysis.Shape) string {
	switch s {
	case analysis.ShapeDistribution:
		return "histogram"
	case analysis.ShapeLevel:
		return "gauge"
	}
	return "counter"
}

// end is up to when samples are there.
func (o *oneShot) end() time.Time {
	if !o.until.IsZero() {
		return o.until
	}
	return time.Now().UTC()
}

// label is the label that carries an attribute.
func (o *oneShot) label(attribute string) string {
	return cmp.Or(o.server.Labels[attribute], strings.ReplaceAll(attribute, ".", "_"))
}

// hear asks which releases of the service have a signal.
func (o *oneShot) hear(ctx context.Context, signal analysis.Signal) (heard, error) {
	ask := func(from, to time.Time) ([]analysis.Seen, error) {
		if !from.Before(to) {
			return nil, nil
		}
		q := analysis.SeenQuery{Signal: signal, Service: o.release.Service, From: from, To: to}
		rows, err := o.source.Seen(ctx, q)
		if err != nil || len(rows) > 0 || !names(signal.Measured(), o.release.Service) {
			return rows, err
		}
		q.Service = "" // the objective names the service itself
		rows, err = o.source.Seen(ctx, q)
		return slices.DeleteFunc(rows, func(s analysis.Seen) bool { return s.Service != "" }), err
	}
	var h heard
	var err, err2 error
	h.before, err = ask(o.start.Add(-time.Hour), o.start)
	h.since, err2 = ask(o.start, o.end())
	return h, errors.Join(err, err2)
}

// names reports whether a selector has a condition that a service is the one.
func names(s *analysis.Selector, service string) bool {
	return slices.ContainsFunc(s.Conditions, func(c analysis.Condition) bool {
		return (c.Op == analysis.OpEqual || c.Op == analysis.OpRegexp) && slices.Equal(c.Values, []string{service})
	})
}

// settleEnvironment takes the one environment where the versions run. Several must
// not be mixed into one comparison.
func (o *oneShot) settleEnvironment(h heard) error {
	if o.release.Environment != "" {
		return nil
	}
	found := map[string]bool{}
	for _, s := range slices.Concat(h.before, h.since) {
		if s.Version == o.release.Version || s.Version == o.release.PreviousVersion || o.release.PreviousVersion == "" {
			found[s.Environment] = true
		}
	}
	delete(found, "") // where telemetry does not say it, nothing can be told apart
	environments := slices.Sorted(maps.Keys(found))
	if len(environments) > 1 {
		return fmt.Errorf("%s runs in several environments (%s): choose one with --environment", o.release.Service, strings.Join(environments, ", "))
	}
	if len(environments) == 1 {
		o.release.Environment = environments[0]
	}
	return nil
}

// settleEnd sets the deadline. The past is judged up to where its folds have closed:
// samples of the last minutes may still be on their way.
func (o *oneShot) settleEnd(ctx context.Context) error {
	cadence, err := o.longestCadence(ctx)
	if err != nil {
		return o.troubled(err)
	}
	o.cadence = cadence
	if o.follow {
		return nil
	}
	end := o.until
	if end.IsZero() {
		late := max(analysis.LatenessOf(cadence, o.source.Lag()), o.lateLines())
		end = time.Now().UTC().Add(-late).Truncate(cadence)
		if !end.After(o.start) {
			return usage(fmt.Errorf("samples are %v apart and the last ones are waited for %v: nothing of a deployment that started at %s can be judged yet; try again later, or with --follow",
				cadence, late, o.start.Format(time.RFC3339)))
		}
	}
	o.policy.Window.Deadline = analysis.Duration(end.Sub(o.start))
	return nil
}

// longestCadence is the longest time between two looks at an objective that is
// judged.
func (o *oneShot) longestCadence(ctx context.Context) (time.Duration, error) {
	longest := time.Duration(0)
	for _, objective := range o.policy.Objectives {
		q := analysis.SpacingQuery{Signal: objective.Signal, From: o.start.Add(-time.Hour), To: o.start}
		for _, m := range []struct{ attribute, value string }{{analysis.AttrService, o.release.Service}, {analysis.AttrVersion, o.release.PreviousVersion}} {
			if m.value != "" && !(m.attribute == analysis.AttrService && names(objective.Signal.Measured(), m.value)) {
				q.Matches = append(q.Matches, analysis.Match{Name: m.attribute, Values: []string{m.value}})
			}
		}
		spacing, err := o.source.Spacing(ctx, q)
		if err != nil {
			return 0, err
		}
		if o.policy.Candidates && spacing == 0 {
			continue // a built-in signal that the service does not have
		}
		longest = max(longest, analysis.CadenceOf(spacing))
	}
	return cmp.Or(longest, analysis.DefaultCadence), nil
}

// remarks say what will keep the verdict from being more than a hold.
func (o *oneShot) remarks(h heard) []string {
	var out []string
	window := o.policy.Window.Deadline.D()
	if window <= o.policy.Window.MinBake.D() {
		out = append(out, fmt.Sprintf("%v are judged, and nothing is promoted within --min-bake %v", window, o.policy.Window.MinBake.D()))
	}
	for _, arm := range []struct{ flag, version string }{{"--canary", o.release.Version}, {"--baseline", o.release.PreviousVersion}} {
		pods := 0
		for _, s := range h.since {
			if s.Version == arm.version {
				pods = max(pods, s.Pods)
			}
		}
		if samples := pods * int(window/o.cadence); pods > 0 && samples < enoughSamples {
			out = append(out, fmt.Sprintf("%d samples of %s %s, %v apart, can come within %v; %d are needed: scrape more often, or judge longer", samples, arm.flag, arm.version, o.cadence, window, enoughSamples))
		}
		if arm.version == "" || pods > 0 || o.follow {
			continue
		}
		text := fmt.Sprintf("no sample of %s %s since the start: %s", arm.flag, arm.version, versionsOf("seen since then", h.since))
		if len(h.before) > 0 {
			text += "; " + versionsOf("in the hour before", h.before)
		}
		if arm.flag == "--baseline" && len(h.since) > 0 {
			text += "; two versions are compared side by side, which takes both"
		}
		out = append(out, text)
	}
	return out
}

// versionsOf lists versions by their traffic.
func versionsOf(when string, seen []analysis.Seen) string {
	exposure := map[string]float64{}
	for _, s := range seen {
		exposure[cmp.Or(s.Version, "(no version)")] += s.Exposure
	}
	if len(exposure) == 0 {
		return when + " nothing"
	}
	versions := slices.SortedFunc(maps.Keys(exposure), func(a, b string) int { return cmp.Or(cmp.Compare(exposure[b], exposure[a]), cmp.Compare(a, b)) })
	const shown = 8
	if len(versions) > shown {
		versions = append(versions[:shown], "…")
	}
	return when + " " + strings.Join(versions, ", ")
}

// troubled is an error of the server, with the exit code that it deserves.
func (o *oneShot) troubled(err error) error {
	code, text := troubleOf(o.server.URL, err)
	return &exitError{code, errors.New(text)}
}

// troubleOf says what is wrong with a server, for the one who wrote its address.
func troubleOf(url string, err error) (exitCode, string) {
	text := verdicts.Plain(err.Error())
	switch prometheus.Diagnose(err) {
	case prometheus.Denied:
		return exitAuth, fmt.Sprintf("%s wants other credentials: %s", url, text)
	case prometheus.NotAnAPI:
		return exitUsage, fmt.Sprintf("%s answers, but not as the API of Prometheus: %s\n"+
			"the address is the root to which /api/v1/query is added: http://HOST:9090, Mimir http://HOST/prometheus, VictoriaMetrics http://HOST:8428; Grafana itself is none", url, text)
	case prometheus.Unreachable:
		return exitInternal, fmt.Sprintf("no answer from %s: %s (does it run there, and can this machine reach it?)", url, text)
	}
	return exitInternal, url + ": " + text
}
