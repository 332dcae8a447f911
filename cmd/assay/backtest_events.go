package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/backtest"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/sources"
)

// A pastRelease is a deployment of an events file: what started it, and its ramp.
type pastRelease struct {
	from    string // file and line of the starting event
	started analysis.Event
	ramp    []analysis.Event
}

// readPastReleases reads deployment events, one structured CloudEvent a line, as the topic
// of deployments carries them. That a release was finished or aborted then says nothing
// about how it is judged now.
func readPastReleases(name string) ([]pastRelease, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	limits := intake.DefaultLimits()
	var out []pastRelease
	byID := map[analysis.DeploymentID]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, limits.MaxBytes+1)
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		decoded, rejection := intake.Decode(intake.Message{Value: slices.Clone(lines.Bytes()), ContentType: "application/cloudevents+json"}, limits)
		if rejection != nil {
			return nil, fmt.Errorf("%s:%d: %s: %s", name, n, rejection.Reason, rejection.Detail)
		}
		e := decoded.Event
		e.Mode = analysis.Retrospective
		i, known := byID[e.DeploymentID]
		switch {
		case decoded.Outcome == intake.Ignored:
		case e.Phase == analysis.PhaseStarted && !known:
			byID[e.DeploymentID] = len(out)
			out = append(out, pastRelease{from: fmt.Sprintf("%s:%d", name, n), started: e})
		case e.Phase == analysis.PhaseStep && known:
			out[i].ramp = append(out[i].ramp, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no event that a deployment was started", name)
	}
	return out, nil
}

// A configuration is what releases are judged by, with its sources opened.
type configuration struct {
	conf     config.Config
	policies config.Policies
	table    map[string]sources.Source
}

func openConfiguration(file string, paths []string) (*configuration, error) {
	c := &configuration{}
	var err error
	if c.conf, c.policies, err = readConfig(file, paths); err != nil {
		return nil, usage(err)
	}
	c.table, err = (&server{config: c.conf, now: time.Now}).openSources(c.policies)
	return c, err
}

func (c *configuration) close() {
	_, closed := serversOf(c.table, nil)
	closed()
}

// cannotTell says why a past release cannot be judged against the live sources; "": it can.
func (c *configuration) cannotTell(e analysis.Event, now time.Time) string {
	policy := policyOf(c.policies)(e.Release, e.PolicyRef)
	if len(policy.Objectives) == 0 {
		return fmt.Sprintf("no policy is called %q", policy.Name)
	}
	kept := func(o analysis.Objective) bool {
		kind := c.conf.Sources[o.Signal.Source].Kind
		return kind == config.KindPrometheus || kind == config.KindLoki
	}
	judged := slices.ContainsFunc(policy.Objectives, func(o analysis.Objective) bool { return kept(o) && o.Role == analysis.Critical })
	for _, o := range policy.Objectives {
		source := o.Signal.Source
		if !kept(o) && !(policy.Candidates && judged) { // a candidate that is not kept is not heard of
			return fmt.Sprintf("%s: what was pushed to source %s is not kept: judge its bundle", o.Name, source)
		}
	}
	deadline := policy.Window.Deadline
	if e.MaxDuration > 0 {
		deadline = e.MaxDuration
	}
	if end := e.StartedAt.Add(deadline.D() + analysis.PullLag); end.After(now) {
		return fmt.Sprintf("its window ends at %s", end.UTC().Format(time.RFC3339))
	}
	return ""
}

// judge judges a past release against the live sources.
func (c *configuration) judge(ctx context.Context, r pastRelease, patience time.Duration) (a backtest.Answer, policy string, err error) {
	var line privateLine
	defer func() { err = errors.Join(err, line.closeLine()) }()
	if err := line.openLine(ctx, c.table, policyOf(c.policies)); err != nil {
		return a, "", err
	}
	if err := line.accept(ctx, append([]analysis.Event{r.started}, r.ramp...)...); err != nil {
		return a, "", internal(err)
	}
	if err := line.judge(ctx, r.started.DeploymentID, patience, func() {}); err != nil {
		return a, "", err
	}
	if line.plan != nil {
		policy = line.plan.Policy
	}
	return backtest.AnswerOf(line.verdict), policy, line.stopped
}

// judgeEvents judges past releases by two configurations against the live sources.
func judgeEvents(ctx context.Context, releases []pastRelease, before, after *configuration, labels *backtest.Labels, patience time.Duration, p *progress) (backtest.Tally, error) {
	var cases []backtest.Case
	unread := []backtest.Unread{}
	for i, r := range releases {
		one := backtest.Case{From: r.from, Deployment: r.started.DeploymentID, Service: r.started.Release.Service, Version: r.started.Release.Version}
		err := judgeEvent(ctx, &one, r, before, after, patience)
		if ctx.Err() != nil {
			return backtest.Tally{}, ctx.Err()
		}
		if err != nil {
			unread = append(unread, backtest.Unread{From: r.from, Error: fmt.Sprintf("%s: %v", r.from, err)})
		} else {
			if labels != nil {
				one.Truth = labels.Of(one)
			}
			cases = append(cases, one)
		}
		p.say("%d of %s judged by both configurations", i+1, counted(len(releases), "release"))
	}
	tally := backtest.Count(cases)
	tally.Unread = unread
	return tally, nil
}

func judgeEvent(ctx context.Context, c *backtest.Case, r pastRelease, before, after *configuration, patience time.Duration) (err error) {
	then, now := before.cannotTell(r.started, time.Now()), after.cannotTell(r.started, time.Now())
	for _, why := range []string{then, now} {
		if why != "" && !slices.Contains(c.CannotTell, why) {
			c.CannotTell = append(c.CannotTell, why)
		}
	}
	if then == "" {
		if c.Before, _, err = before.judge(ctx, r, patience); err != nil {
			return err
		}
	}
	if len(c.CannotTell) > 0 {
		return nil
	}
	answer, policy, err := after.judge(ctx, r, patience)
	c.After, c.Policy = &answer, policy
	return err
}
