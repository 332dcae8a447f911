package validation

import (
	"context"
	"fmt"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// How often the process may die while it works on the same thing. A look that kills
// it, by the memory that it takes or by what Go cannot recover from, would do so at
// every start, for ever. Plans have one death more: they take longest and are made
// first after a start, where a process that others kill is likeliest to be hit.
const (
	parkedAfter     = 2
	planParkedAfter = 3
)

// suspect counts that the process died while it worked on v, before work on it begins
// again. What did so too often is parked: its validation ends with a fault, its look
// is cut off the spool, and it is never taken again.
func (r *Runner) suspect(ctx context.Context, v *run, at int64) error {
	poison, err := r.Store.IncrementPoison(ctx, v.row.ID, v.row.UpdatedAt)
	if err != nil {
		return err
	}
	v.row.Poison = poison
	r.Log.Warn("the process died while it worked on this validation", "validation", v.row.ID, "spoolByte", at, "times", poison)
	if poison < parkedAfter || at == notALook && poison < planParkedAfter {
		return nil
	}
	v.fault = parked(poison, at)
	if at == notALook || r.spools.size(v.row.ID) <= at {
		return nil
	}
	return r.spools.truncate(v.row.ID, at)
}

func parked(times int, at int64) error {
	return fmt.Errorf("the process died %d times while it worked on this validation (at byte %d of its evidence): it is parked", times, at)
}

// acquit forgets the suspicion against those that were resumed without harm, also one
// that an earlier process was killed too soon to forget.
func (r *Runner) acquit(ctx context.Context, resumed []*run) error {
	var change store.Change
	var acquitted []*run
	for _, v := range resumed {
		if v.row.Poison == 0 || v.fault != nil || v.plan == nil || v.dropped {
			continue
		}
		row := v.row
		row.Poison = 0
		change.Update, change.Now = append(change.Update, row), later(change.Now, row.UpdatedAt)
		acquitted = append(acquitted, v)
	}
	if len(acquitted) == 0 {
		return nil
	}
	if _, err := r.Store.Apply(ctx, change); err != nil {
		return err
	}
	for _, v := range acquitted {
		v.row.Poison = 0
	}
	return nil
}

// replay lets a judge take the spool of a validation from a byte on, each look marked
// as under way.
func (r *Runner) replay(id analysis.ValidationID, from int64, judge *Judge) (int64, error) {
	at := from
	slot := r.working.begin(id, at)
	defer r.working.end(slot)
	return r.spools.replay(id, from, func(line []byte) error {
		r.working.move(slot, id, at)
		r.taking(id, at)
		err := judge.again(line)
		at += int64(len(line)) + 1
		return err
	})
}

// taking is a step of the line of its own for each look of each validation: tests kill
// the process whenever this one is taken.
func (r *Runner) taking(id analysis.ValidationID, at int64) {
	if r.Passed != nil {
		r.Passed(fmt.Sprintf("taking %s %d", id, at))
	}
}
