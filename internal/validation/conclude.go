package validation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// checkpointEvery is how far event time moves between two checkpoints: after a
// crash at most that much is folded again.
const checkpointEvery = 10 * time.Minute

// verdictBytes is the one encoding of a verdict: what the store keeps, what is
// served, and what the bundle holds.
func verdictBytes(v verdicts.Verdict) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("verdict of %s: %w", v.ValidationID, err)
	}
	return b, nil
}

// end ends a validation by an administrative look. What is to be written in any
// case comes with it: in the transaction of the verdict, or alone where there is a
// verdict already.
func (r *Runner) end(ctx context.Context, v *run, code analysis.Code, reason string, with store.Change) error {
	if err := r.awake(ctx, v); err != nil {
		return err
	}
	if v.latest.Final {
		_, err := r.Store.Apply(ctx, with)
		return err
	}
	if v.fault != nil { // its judge can take no look, this one neither
		if err := r.endWithFault(v, with.Now, v.fault); err != nil {
			return err
		}
		return r.conclude(ctx, []*run{v}, with)
	}
	planning := v.judge == nil
	if planning {
		if err := r.refuse(v, code, reason); err != nil {
			return err
		}
	}
	if err := r.lookLast(v, with.Now, code, reason); err != nil {
		if planning {
			v.unplan()
		}
		return err
	}
	return r.conclude(ctx, []*run{v}, with)
}

// refuse gives a validation without a plan one that compares nothing.
func (r *Runner) refuse(v *run, code analysis.Code, reason string) error {
	plan, err := r.refusedPlan(v.row.Deployment, code, reason)
	if err != nil {
		return err
	}
	judge, err := NewJudge(plan)
	if err != nil {
		return err
	}
	if v.row.Plan, err = plan.Encode(); err != nil {
		return err
	}
	v.start(plan, judge)
	return nil
}

// finish brings to an end what an earlier process, or a call that failed, began.
func (r *Runner) finish(ctx context.Context, now time.Time) error {
	if err := r.finishEnded(ctx, now); err != nil {
		return err
	}
	r.sealUnsealed(ctx, now)
	return nil
}

// finishEnded concludes final looks that are spooled and not committed, and ends
// validations that cannot be judged on.
func (r *Runner) finishEnded(ctx context.Context, now time.Time) error {
	ended := r.sorted(func(v *run) bool { return v.fault != nil || v.latest.Final })
	for _, v := range ended {
		if v.fault != nil && !v.latest.Final {
			r.Log.Error("the validation cannot be judged on, it ends with hold", "validation", v.row.ID, "error", v.fault)
			if err := r.endWithFault(v, now, v.fault); err != nil {
				return err
			}
		}
	}
	return r.conclude(ctx, ended, store.Change{Now: now})
}

// sorted returns some of the open validations in the order of their acceptance.
func (r *Runner) sorted(which func(*run) bool) []*run {
	var out []*run
	for _, v := range r.open {
		if which(v) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b *run) int { return cmp.Compare(a.row.InboxID, b.row.InboxID) })
	return out
}

// conclude writes final verdicts, each with its outbox rows and audit entry, in
// one transaction, after their evidence is durable; then it seals the bundles.
// Where another final verdict was there first, that one stands. The change is
// written in the same transaction.
func (r *Runner) conclude(ctx context.Context, ended []*run, change store.Change) error {
	if len(ended) == 0 {
		return nil
	}
	r.passed("before final")
	if err := r.spools.syncAll(ended); err != nil {
		return err
	}
	for _, v := range ended {
		final, err := r.final(v)
		if err != nil {
			return err
		}
		change.Update = append(change.Update, v.row)
		change.Finals = append(change.Finals, final)
	}
	applied, err := r.Store.Apply(ctx, change)
	if err != nil {
		return fmt.Errorf("final verdicts: %w", err)
	}
	r.passed("final")
	for _, v := range ended {
		r.drop(v)
		if slices.Contains(applied.Lost, v.row.ID) {
			r.Log.Warn("another final verdict was written first, it stands", "validation", v.row.ID)
		} else if r.Concluded != nil {
			r.Concluded(v.latest)
		}
		r.Log.Info("verdict", "validation", v.row.ID, "deployment", v.row.Deployment.ID, "service", v.latest.Service, "version", v.latest.Version,
			"verdict", v.latest.Verdict, "code", v.latest.ReasonCode, "reason", v.latest.Reason)
		r.unsealed[v.row.ID] = r.awaitExemplars(v, change.Now)
	}
	r.sealUnsealed(ctx, change.Now)
	r.passed("sealed")
	return nil
}

func (r *Runner) final(v *run) (store.Final, error) {
	body, err := verdictBytes(v.latest)
	if err != nil {
		return store.Final{}, err
	}
	f := store.Final{
		Validation: v.row.ID, Verdict: body, Word: v.latest.Verdict.String(), Code: string(v.latest.ReasonCode),
		VerdictID: v.latest.ID(), Seq: v.latest.Seq, IssuedAt: *v.latest.IssuedAt,
		Audit: store.AuditEntry{At: *v.latest.IssuedAt, Actor: "assay", Action: "verdict.issued", Subject: string(v.row.ID), Body: body},
	}
	mode := v.row.Deployment.Mode
	if r.Message != nil && (mode == analysis.Live || mode == "") {
		// A verdict that no message can carry is still the verdict.
		if f.Outbox, err = r.Message(v.latest, body, v.row.Deployment); err != nil {
			r.Log.Error("the verdict is not published, ask for it", "validation", v.row.ID, "error", err)
		}
	}
	return f, nil
}

// commit writes the positions and pending verdicts of all that changed in one
// transaction, with the checkpoints that are due.
func (r *Runner) commit(ctx context.Context, now time.Time) error {
	if len(r.changed) == 0 {
		return nil
	}
	change := store.Change{Now: now}
	var due []*run
	for _, v := range r.changed {
		shown, err := verdictBytes(v.shown())
		if err != nil {
			return err
		}
		row := v.row
		row.Latest = shown
		change.Update = append(change.Update, row)
		if v.judge != nil && v.checkpointDue() {
			due = append(due, v)
		}
	}
	// A checkpoint must not outlive the looks that it stands for.
	if err := r.spools.syncAll(due); err != nil {
		return err
	}
	for _, v := range due {
		snapshot, err := v.judge.snapshot()
		if err != nil {
			return err
		}
		change.Checkpoints = append(change.Checkpoints, store.Checkpoint{Validation: v.row.ID, SpoolBytes: v.row.SpoolBytes, Looks: v.row.Looks, Snapshot: snapshot, At: now})
	}
	if _, err := r.Store.Apply(ctx, change); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for _, v := range due {
		v.checkpoint = v.judge.folded()
	}
	clear(r.changed)
	r.passed("committed")
	return nil
}

// checkpointDue reports whether a crash would have any objective folded again for
// checkpointEvery: also one that goes on while another's source is waited for, and one
// that catches up with the others.
func (v *run) checkpointDue() bool {
	for i, now := range v.judge.folded() {
		if !now.Before(v.checkpoint[i].Add(checkpointEvery)) {
			return true
		}
	}
	return false
}

// shown is the verdict as people see it: while a source cannot answer, a pending
// one says so. Signs of harm that there are already keep their advice.
func (v *run) shown() verdicts.Verdict {
	shown := v.latest
	for i := range v.waits {
		err := v.waits[i].err
		if err == nil || shown.Final {
			continue
		}
		shown.ReasonCode = analysis.SourceUnavailable
		shown.Reason = verdicts.Line(fmt.Sprintf("%s: %v", v.plan.Objectives[i].Name, err))
		if shown.Advice == verdicts.Increase {
			shown.Advice = verdicts.Keep
		}
		if v.plan.Objectives[i].Role == analysis.Critical {
			shown.Checks.Coverage = analysis.Check{State: analysis.Missing, Code: analysis.SourceUnavailable, Reason: shown.Reason}
		}
	}
	return shown
}
