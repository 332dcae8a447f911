package validation

import (
	"context"
	"encoding/json"
	"fmt"
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

// end ends a validation by an administrative look.
func (r *Runner) end(ctx context.Context, v *run, now time.Time, code analysis.Code, reason string) error {
	if v.latest.Final {
		return nil
	}
	if v.judge == nil {
		plan, err := analysis.NewPlan(analysis.PlanInput{Deployment: v.row.Deployment, Policy: analysis.Policy{Window: analysis.DefaultWindow()}, Refused: code, RefusedReason: reason})
		if err != nil {
			return err
		}
		if err := r.start(v, plan); err != nil {
			return err
		}
		if v.row.Plan, err = plan.Encode(); err != nil {
			return err
		}
	}
	if err := r.judgeEnd(v, now, code, reason); err != nil {
		return err
	}
	return r.conclude(ctx, []*run{v}, now)
}

// concludeResumed writes the finals of validations whose last look had been
// spooled when the process died.
func (r *Runner) concludeResumed(ctx context.Context, now time.Time) error {
	var ended []*run
	for _, v := range r.open {
		if v.latest.Final {
			ended = append(ended, v)
		}
	}
	return r.conclude(ctx, ended, now)
}

// conclude writes final verdicts, each with its outbox rows and audit entry, in
// one transaction, after their evidence is durable; then it seals the bundles.
// Where another final verdict was there first, that one stands.
func (r *Runner) conclude(ctx context.Context, ended []*run, now time.Time) error {
	if len(ended) == 0 {
		return nil
	}
	r.passed("before final")
	change := store.Change{Now: now}
	for _, v := range ended {
		if err := r.spools.sync(v.row.ID); err != nil {
			return err
		}
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
	for _, id := range applied.Lost {
		r.Log.Warn("another final verdict was written first, it stands", "validation", id)
	}
	r.passed("final")
	for _, v := range ended {
		r.drop(v)
		r.Log.Info("verdict", "validation", v.row.ID, "deployment", v.row.Deployment.ID, "service", v.latest.Service, "version", v.latest.Version,
			"verdict", v.latest.Verdict, "code", v.latest.ReasonCode, "reason", v.latest.Reason)
		if err := r.seal(ctx, v.row.ID); err != nil {
			r.Log.Error("the bundle could not be sealed, the next start tries again", "validation", v.row.ID, "error", err)
		}
	}
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
		if f.Outbox, err = r.Message(v.latest, body, v.row.Deployment); err != nil {
			return store.Final{}, fmt.Errorf("message for the verdict of %s: %w", v.row.ID, err)
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
	for _, v := range r.changed {
		latest, err := verdictBytes(r.withWaits(v))
		if err != nil {
			return err
		}
		v.row.Latest = latest
		change.Update = append(change.Update, v.row)
		if v.judge == nil {
			continue
		}
		if asOf := v.judge.State().AsOf(); !asOf.Before(v.checkpoint.Add(checkpointEvery)) {
			snapshot, err := v.judge.snapshot()
			if err != nil {
				return err
			}
			change.Checkpoints = append(change.Checkpoints, store.Checkpoint{Validation: v.row.ID, SpoolBytes: v.row.SpoolBytes, Looks: v.row.Looks, Snapshot: snapshot, At: now})
			v.checkpoint = asOf
		}
	}
	if _, err := r.Store.Apply(ctx, change); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	clear(r.changed)
	r.passed("committed")
	return nil
}

// withWaits is the pending verdict as it is shown while a source cannot answer.
func (r *Runner) withWaits(v *run) verdicts.Verdict {
	shown := v.latest
	for i := range v.waits {
		if err := v.waits[i].err; err != nil && !shown.Final {
			shown.ReasonCode, shown.Advice = analysis.SourceUnavailable, verdicts.Keep
			shown.Reason = verdicts.Line(fmt.Sprintf("%s: %v", v.plan.Objectives[i].Name, err))
			shown.Checks.Coverage = analysis.Check{State: analysis.Missing, Code: analysis.SourceUnavailable, Reason: shown.Reason}
		}
	}
	return shown
}
