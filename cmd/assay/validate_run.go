package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/verdicts"
)

// A oneShot is a comparison with a line of its own: store, spool and runner in a
// folder that is removed. What judges is what judges in serve.
type oneShot struct {
	comparison
	progress *progress
	again    func(extra ...string) string // the command line, with further arguments

	source  *prometheus.Source
	cadence time.Duration // the longest of an objective
	dir     string
	store   *store.Store
	runner  *validation.Runner

	verdict verdicts.Verdict
	body    []byte // the verdict as it is stored
	plan    *analysis.Plan
	kept    string // the bundle's file; empty: not kept
	stopped error  // why there is no final verdict
}

func (o *oneShot) open(ctx context.Context) error {
	var err error
	if o.source, err = prometheus.Open(promSource, o.server); err != nil {
		return usage(err)
	}
	if o.dir, err = os.MkdirTemp("", "assay-validate-"); err != nil {
		return internal(err)
	}
	if o.store, err = store.Open(ctx, filepath.Join(o.dir, "assay.db"), time.Now()); err != nil {
		return internal(errors.Join(err, o.close()))
	}
	o.runner, err = validation.Open(ctx, validation.Config{
		Store: o.store, Gatherer: gather.New(map[string]sources.Source{promSource: o.source}, gather.Options{}),
		Policy: func(analysis.Release, string) validation.Policy { return o.policy },
		Dir:    o.dir, Engine: "assay " + version,
	})
	if err != nil {
		return internal(errors.Join(err, o.close()))
	}
	return nil
}

// close removes everything but a bundle that was kept.
func (o *oneShot) close() error {
	if o.runner != nil {
		o.runner.Close()
	}
	var errs []error
	if o.store != nil {
		errs = append(errs, o.store.Close())
	}
	if err := errors.Join(append(errs, o.source.Close(), os.RemoveAll(o.dir))...); err != nil {
		return internal(err)
	}
	return nil
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
	raw, err := json.Marshal(e)
	if err == nil {
		_, err = o.store.Accept(ctx, store.Batch{Now: time.Now(), Deliveries: []store.Delivery{{
			Topic: "validate", Partition: store.PartitionHTTP, Raw: raw, ContentHash: id, Event: e,
		}}})
	}
	return e.DeploymentID, err
}

// judge lets the line run until the verdict is final or there is no hope for one.
func (o *oneShot) judge(ctx context.Context) error {
	deployment, err := o.deploy(ctx)
	if err != nil {
		return internal(err)
	}
	tick := time.NewTicker(advanceEvery)
	defer tick.Stop()
	changed := time.Now()
	for {
		limited, cancel := context.WithTimeout(ctx, advancePeriod)
		err := o.runner.Advance(limited, time.Now())
		busy := limited.Err() != nil // it was not done
		cancel()
		if err != nil {
			return internal(err)
		}
		before := o.verdict.AsOf
		if err := o.read(context.WithoutCancel(ctx), deployment); err != nil {
			return internal(err)
		}
		v := o.verdict
		if v.Final {
			return nil
		}
		o.tell()
		if v.AsOf != nil && (before == nil || v.AsOf.After(*before)) {
			changed = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			o.stopped = stillPending(v, "stopped")
			return nil
		case !o.follow && time.Since(changed) > o.timeout:
			o.stopped = stillPending(v, fmt.Sprintf("the server has brought nothing new for %v (--timeout)", o.timeout))
			return nil
		case busy:
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// read reads what the line has come to.
func (o *oneShot) read(ctx context.Context, deployment analysis.DeploymentID) error {
	rows, err := o.store.ByDeployment(ctx, deployment)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("deployment %s has no validation", deployment)
	}
	row := rows[0]
	o.verdict, o.body = verdicts.Verdict{}, row.Latest
	if err := json.Unmarshal(row.Latest, &o.verdict); err != nil {
		return fmt.Errorf("verdict of %s: %w", row.ID, err)
	}
	if row.Plan == nil || o.plan != nil {
		return nil
	}
	o.plan = &analysis.Plan{}
	return json.Unmarshal(row.Plan, o.plan)
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
