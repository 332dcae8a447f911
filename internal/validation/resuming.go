package validation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// wakeAtOnce is how many validations are resumed before their questions are asked:
// so many that those are merged well, and so few that the first do not wait long.
const wakeAtOnce = 1000

// findOpen takes under the runner's care what an earlier process has left. It sleeps
// until Advance wakes it; only what was being worked on when that process ended is
// resumed at once, since it is suspected of having ended it.
func (r *Runner) findOpen(ctx context.Context, underWay map[analysis.ValidationID]int64) error {
	rows, err := r.Store.OpenValidations(ctx)
	if err != nil {
		return err
	}
	var suspects []*run
	for _, row := range rows {
		v := &run{row: row, index: -1, asleep: true}
		v.latest = waitingVerdict(row.Deployment, analysis.Planning, accepted)
		if at, suspected := underWay[row.ID]; suspected {
			if err := r.suspect(ctx, v, at); err != nil {
				return err
			}
			if err := r.resume(ctx, v); err != nil {
				return err
			}
			suspects = append(suspects, v)
		}
		r.asleep = append(r.asleep, v) // suspects too: they are to be admitted
		r.add(v)
	}
	if err := r.acquit(ctx, suspects); err != nil {
		return err
	}
	return r.findUnsealed(ctx)
}

// wake resumes the next of those that sleep, and does what an event asked for beyond
// its own transaction, which its process may not have come to. After an error they
// are woken again.
func (r *Runner) wake(ctx context.Context, now time.Time) error {
	batch := r.asleep[:min(len(r.asleep), wakeAtOnce)]
	if len(batch) == 0 {
		return nil
	}
	errs := make([]error, r.workers)
	var workers sync.WaitGroup
	for k := range r.workers {
		workers.Go(func() {
			for i := k; i < len(batch) && errs[k] == nil; i += r.workers {
				if v := batch[i]; v.asleep && !v.dropped {
					errs[k] = r.resume(ctx, v)
				}
			}
		})
	}
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, v := range batch {
		if !v.dropped && v.asking == 0 {
			r.schedule(v)
		}
	}
	if err := r.acquit(ctx, batch); err != nil {
		return err
	}
	if err := r.finishEnded(ctx, now); err != nil {
		return err
	}
	for _, v := range batch {
		if v.dropped {
			continue
		}
		if err := r.admit(ctx, v, now); err != nil {
			return err
		}
	}
	r.asleep = r.asleep[len(batch):]
	return nil
}

// awake resumes a validation that is needed before its turn.
func (r *Runner) awake(ctx context.Context, v *run) error {
	if !v.asleep {
		return nil
	}
	if err := r.resume(ctx, v); err != nil {
		return err
	}
	r.schedule(v)
	return nil
}

// resume rebuilds a validation from the store and its spool. What this version
// cannot judge on is no reason to refuse to start: it is a fault of that validation.
func (r *Runner) resume(ctx context.Context, v *run) error {
	err := r.rebuild(ctx, v)
	v.asleep = err != nil
	v.row.Plan, v.row.Latest = nil, nil // they are in the store
	return err
}

func (r *Runner) rebuild(ctx context.Context, v *run) error {
	row, err := r.Store.Validation(ctx, v.row.ID)
	if err != nil {
		return err
	}
	v.row = row
	v.latest = waitingVerdict(v.row.Deployment, analysis.Planning, accepted)
	if v.row.Plan == nil {
		return nil
	}
	if v.row.Poison >= planParkedAfter { // maybe by a process that was killed before it came to the end
		v.fault = cmp.Or(v.fault, parked(v.row.Poison, notALook))
	}
	if v.row.Poison > planParkedAfter { // its end killed the process too: not even the plan is read
		return nil
	}
	from := int64(0)
	fault := guarded(func() error {
		slot := r.working.begin(v.row.ID, notALook)
		defer r.working.end(slot)
		var plan analysis.Plan
		if err := json.Unmarshal(v.row.Plan, &plan); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		judge, err := NewJudge(&plan)
		if err != nil {
			return err
		}
		v.start(&plan, judge)
		return nil
	})
	if fault == nil && v.fault == nil {
		from, err = r.restore(ctx, v)
	}
	if v.fault = cmp.Or(v.fault, fault); v.fault != nil || err != nil {
		return err
	}
	length, err := r.replay(v.row.ID, from, v.judge)
	var bad *badLook
	if errors.As(err, &bad) {
		v.fault = bad
		return nil
	}
	if err != nil {
		return err
	}
	if length < v.row.SpoolBytes {
		r.Log.Warn("looks were lost, as with the power; they are asked again", "validation", v.row.ID, "looks", v.row.Looks-v.judge.looks)
	}
	v.row.SpoolBytes, v.row.Looks, v.latest = length, v.judge.looks, v.judge.Verdict()
	v.steps = stepsSince(v.row.Deployment, v.plan, v.judge)
	return nil
}

// restore starts from the checkpoint, where there is one that the spool still
// covers, and returns the byte from which the spool is folded again.
func (r *Runner) restore(ctx context.Context, v *run) (int64, error) {
	c, err := r.Store.Checkpoint(ctx, v.row.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.SpoolBytes > r.spools.size(v.row.ID) {
		return 0, nil // none, or the disk lost what it rests on: fold everything again
	}
	if err != nil {
		return 0, err
	}
	var judge *Judge
	err = guarded(func() error {
		slot := r.working.begin(v.row.ID, notALook)
		defer r.working.end(slot)
		judge, err = restoreJudge(v.plan, c.Snapshot)
		return err
	})
	if err != nil {
		r.Log.Warn("checkpoint is not usable, folding the spool again", "validation", v.row.ID, "error", err)
		return 0, nil
	}
	v.judge, v.checkpoint = judge, judge.folded()
	return c.SpoolBytes, nil
}

// stepsSince are the ramp steps of the deployment that neither the plan nor a look
// has told the judge yet.
func stepsSince(d analysis.Deployment, plan *analysis.Plan, j *Judge) []analysis.Step {
	known := len(plan.Deployment.Steps) + j.State().Steps()
	if known >= len(d.Steps) {
		return nil
	}
	return d.Steps[known:]
}
