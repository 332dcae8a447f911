package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/sources/prometheus"
)

// A oneShot is a comparison with a line of its own.
type oneShot struct {
	comparison
	privateLine
	progress *progress
	again    func(extra ...string) string // the command line, with further arguments

	source  *prometheus.Source
	logs    *loki.Source  // nil: none is asked
	cadence time.Duration // the longest of an objective
	kept    string        // the bundle's file; empty: not kept
}

func (o *oneShot) open(ctx context.Context) error {
	var err error
	if o.source, err = prometheus.Open(promSource, o.server); err != nil {
		return usage(err)
	}
	table := map[string]sources.Source{promSource: o.source}
	if o.lines != nil {
		if o.logs, err = loki.Open(lokiSource, *o.lines); err != nil {
			return usage(err)
		}
		table[lokiSource] = o.logs
	}
	if err := o.openLine(ctx, table, func(analysis.Release, string) validation.Policy { return o.policy }); err != nil {
		return errors.Join(err, o.close())
	}
	return nil
}

// close removes everything but a bundle that was kept.
func (o *oneShot) close() error {
	err := o.closeLine()
	if closed := o.source.Close(); closed != nil {
		err = errors.Join(err, internal(closed))
	}
	if o.logs != nil {
		if closed := o.logs.Close(); closed != nil {
			err = errors.Join(err, internal(closed))
		}
	}
	return err
}

// deploy puts the deployment into the inbox, as an event would. The same question
// has the same ids, so that it has the same answer.
func (o *oneShot) deploy(ctx context.Context) (analysis.DeploymentID, error) {
	r := o.release
	id := analysis.DeriveID("validate", r.Environment, r.Namespace, r.Service, r.Version, r.PreviousVersion, o.start.Format(time.RFC3339))
	e := analysis.Event{
		Source: "/assay/validate", ID: id, DeploymentID: analysis.DeploymentID(id), Phase: analysis.PhaseStarted,
		Time: o.start, StartedAt: o.start, Release: r, Mode: analysis.Retrospective, Step: o.weight,
	}
	if o.follow {
		e.Mode = analysis.Live
	}
	return e.DeploymentID, o.accept(ctx, e)
}

// answer lets the line run to the end of the comparison.
func (o *oneShot) answer(ctx context.Context) error {
	deployment, err := o.deploy(ctx)
	if err != nil {
		return internal(err)
	}
	patience := o.timeout
	if o.follow {
		patience = 0
	}
	return o.judge(ctx, deployment, patience, o.tell)
}

// tell shows how far the telemetry is judged.
func (o *oneShot) tell() {
	v := o.verdict
	if o.plan == nil || v.AsOf == nil {
		o.progress.say("planning: %s", v.Reason)
		return
	}
	o.progress.say("judged %v of %v: %s", v.AsOf.Sub(o.start).Round(time.Second), o.policy.Window.Deadline.D(), v.Reason)
}

// copyWhole copies a file into a folder, which is made where it is missing.
func copyWhole(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return writeWhole(to, func(f *os.File) error {
		_, err := io.Copy(f, source)
		return err
	})
}
