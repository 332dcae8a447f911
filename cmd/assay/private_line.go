package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
)

// A privateLine judges one deployment with a line of its own: store, spool and runner in
// a folder that is removed. What judges is what judges in serve.
type privateLine struct {
	dir    string
	store  *store.Store
	runner *validation.Runner

	verdict verdicts.Verdict
	body    []byte // the verdict as it is stored
	plan    *analysis.Plan
	stopped error // why there is no final verdict
}

// openLine opens the line. Where that fails, close removes what there is.
func (l *privateLine) openLine(ctx context.Context, table map[string]sources.Source, policy func(analysis.Release, string) validation.Policy) error {
	var err error
	if l.dir, err = os.MkdirTemp("", "assay-line-"); err != nil {
		return internal(err)
	}
	if l.store, err = store.Open(ctx, filepath.Join(l.dir, "assay.db"), time.Now()); err != nil {
		return internal(err)
	}
	l.runner, err = validation.Open(ctx, validation.Config{
		Store: l.store, Gatherer: gather.New(table, gather.Options{}), Policy: policy, Dir: l.dir, Engine: "assay " + version,
	})
	if err != nil {
		return internal(err)
	}
	return nil
}

// closeLine removes everything.
func (l *privateLine) closeLine() error {
	if l.runner != nil {
		l.runner.Close()
	}
	var errs []error
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.dir != "" {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return internal(err)
	}
	return nil
}

// accept puts events into the inbox, as intake would.
func (l *privateLine) accept(ctx context.Context, events ...analysis.Event) error {
	b := store.Batch{Now: time.Now()}
	for _, e := range events {
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		b.Deliveries = append(b.Deliveries, store.Delivery{Topic: "assay", Partition: store.PartitionHTTP, Raw: raw, ContentHash: e.ID, Event: e})
	}
	_, err := l.store.Accept(ctx, b)
	return err
}

// judge lets the line run until the verdict is final or there is no hope for one:
// telemetry has brought nothing new for as long as patience (0: it never ends).
func (l *privateLine) judge(ctx context.Context, deployment analysis.DeploymentID, patience time.Duration, tell func()) error {
	tick := time.NewTicker(advanceEvery)
	defer tick.Stop()
	changed := time.Now()
	for {
		limited, cancel := context.WithTimeout(ctx, advancePeriod)
		err := l.runner.Advance(limited, time.Now())
		busy := limited.Err() != nil // it was not done
		cancel()
		if err != nil {
			return internal(err)
		}
		before := l.verdict.AsOf
		if err := l.read(context.WithoutCancel(ctx), deployment); err != nil {
			return internal(err)
		}
		v := l.verdict
		if v.Final {
			return nil
		}
		tell()
		if v.AsOf != nil && (before == nil || v.AsOf.After(*before)) {
			changed = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			l.stopped = stillPending(v, "stopped")
			return nil
		case patience > 0 && time.Since(changed) > patience:
			l.stopped = stillPending(v, fmt.Sprintf("the server has brought nothing new for %v (--timeout)", patience))
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
func (l *privateLine) read(ctx context.Context, deployment analysis.DeploymentID) error {
	rows, err := l.store.ByDeployment(ctx, deployment)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("deployment %s has no validation", deployment)
	}
	row := rows[0]
	l.verdict, l.body = verdicts.Verdict{}, row.Latest
	if err := json.Unmarshal(row.Latest, &l.verdict); err != nil {
		return fmt.Errorf("verdict of %s: %w", row.ID, err)
	}
	if row.Plan == nil || l.plan != nil {
		return nil
	}
	l.plan = &analysis.Plan{}
	return json.Unmarshal(row.Plan, l.plan)
}
