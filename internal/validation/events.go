package validation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

const (
	maxSkew      = 5 * time.Minute  // an event further in the future is quarantined
	maxAge       = 24 * time.Hour   // an older live deployment is expired
	orphanWait   = 10 * time.Minute // an event waits that long for its deployment
	eventsAtOnce = 500
)

// takeEvents applies accepted deployment events, in the order of their arrival,
// each in one transaction with its mark in the inbox.
func (r *Runner) takeEvents(ctx context.Context, now time.Time) error {
	if err := r.concludeResumed(ctx, now); err != nil {
		return err
	}
	for {
		rows, err := r.Store.Unhandled(ctx, eventsAtOnce)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := r.takeEvent(ctx, row, now); err != nil {
				return fmt.Errorf("event %s of %s: %w", row.Event.ID, row.Event.Source, err)
			}
		}
		if len(rows) > 0 {
			r.passed("accepted")
		}
		if len(rows) < eventsAtOnce {
			break
		}
	}
	return r.takeOrphans(ctx, now)
}

// takeOrphans joins parked events whose deployment has come, and buries those
// whose time is over.
func (r *Runner) takeOrphans(ctx context.Context, now time.Time) error {
	rows, err := r.Store.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		v, err := r.joined(ctx, row.Event)
		switch {
		case err != nil:
			return err
		case v != nil:
			err = r.join(ctx, v, row, now)
		case now.After(row.ParkedUntil):
			letter := letterOf(row, "orphan", fmt.Sprintf("no deployment to join came within %v", orphanWait), now)
			_, err = r.Store.Apply(ctx, store.Change{Handled: []int64{row.ID}, DeadLetters: []store.DeadLetter{letter}, Now: now})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func letterOf(row store.InboxRow, reason, text string, now time.Time) store.DeadLetter {
	return store.DeadLetter{
		Reason: reason, Error: text, Topic: row.Topic, Partition: row.Partition, Offset: row.Offset, LastOffset: row.Offset,
		Key: row.Key, Value: row.Raw, Headers: row.Headers, EventSource: row.Event.Source, EventID: row.Event.ID, At: now,
	}
}

func (r *Runner) takeEvent(ctx context.Context, row store.InboxRow, now time.Time) error {
	e := row.Event
	if e.Time.After(now.Add(maxSkew)) || e.StartedAt.After(now.Add(maxSkew)) {
		letter := letterOf(row, "quarantined", fmt.Sprintf("the event's time %s lies more than %v after now", e.Time.Format(time.RFC3339), maxSkew), now)
		_, err := r.Store.Apply(ctx, store.Change{Handled: []int64{row.ID}, DeadLetters: []store.DeadLetter{letter}, Now: now})
		return err
	}
	if e.Phase == analysis.PhaseStarted {
		return r.begin(ctx, row, now)
	}
	v, err := r.joined(ctx, e)
	if err != nil {
		return err
	}
	if v == nil {
		_, err := r.Store.Apply(ctx, store.Change{Parked: []store.Parked{{InboxID: row.ID, Until: now.Add(orphanWait)}}, Now: now})
		return err
	}
	return r.join(ctx, v, row, now)
}

// begin opens a validation for a starting event. A starting event of an open
// deployment changes nothing; one after a final verdict is a new attempt.
func (r *Runner) begin(ctx context.Context, row store.InboxRow, now time.Time) error {
	e := row.Event
	handled := store.Change{Handled: []int64{row.ID}, Now: now}
	attempts, err := r.Store.ByDeployment(ctx, e.DeploymentID)
	if err != nil {
		return err
	}
	attempt := 1
	for _, a := range attempts {
		d := a.Deployment
		if d.Release.Environment != e.Release.Environment || d.Release.Namespace != e.Release.Namespace || d.Release.Service != e.Release.Service {
			continue // one id may be used for several services
		}
		if a.Phase != store.PhaseFinal {
			_, err := r.Store.Apply(ctx, handled)
			return err
		}
		attempt = max(attempt, d.Attempt+1)
	}
	d := e.Deployment(attempt)
	v := &run{row: store.Validation{ID: d.Validation(), Deployment: d, AcceptedAt: now, Phase: store.PhasePlanning, InboxID: row.ID}, index: -1}
	v.latest = waitingVerdict(d, "accepted; cohorts and history are being resolved")
	if v.row.Latest, err = verdictBytes(v.latest); err != nil {
		return err
	}
	handled.Open = []store.Validation{v.row}
	handled.Audit = []store.AuditEntry{{At: now, Actor: e.Source, Action: "validation.opened", Subject: string(v.row.ID), Body: row.Raw}}
	if _, err := r.Store.Apply(ctx, handled); err != nil {
		return err
	}
	r.Log.Info("deployment accepted", "validation", v.row.ID, "deployment", d.ID, "service", d.Release.Service, "version", d.Release.Version, "mode", d.Mode)
	r.add(v)
	if d.Mode != analysis.Retrospective && d.StartedAt.Before(now.Add(-maxAge)) {
		return r.end(ctx, v, now, analysis.Expired, fmt.Sprintf("the deployment started %s, more than %v ago: say mode retrospective to judge the past", d.StartedAt.Format(time.RFC3339), maxAge))
	}
	return r.supersede(ctx, v, now)
}

// supersede ends the older of two live deployments of one service, whichever
// arrived first.
func (r *Runner) supersede(ctx context.Context, v *run, now time.Time) error {
	d := v.row.Deployment
	if d.Mode == analysis.Retrospective || d.Mode == analysis.Shadow {
		return nil
	}
	for _, other := range r.openOf(d.Release) {
		if other == v {
			continue
		}
		older, newer := other, v
		if v.row.Deployment.StartedAt.Before(other.row.Deployment.StartedAt) {
			older, newer = v, other
		}
		reason := fmt.Sprintf("deployment %s of version %s started later", newer.row.Deployment.ID, newer.row.Deployment.Release.Version)
		if err := r.end(ctx, older, now, analysis.Superseded, reason); err != nil {
			return err
		}
		if older == v {
			return nil
		}
	}
	return nil
}

// openOf returns the open live validations of a service.
func (r *Runner) openOf(release analysis.Release) []*run {
	var out []*run
	for _, v := range r.open {
		d := v.row.Deployment
		if (d.Mode == analysis.Live || d.Mode == "") && d.Release.Environment == release.Environment &&
			d.Release.Namespace == release.Namespace && d.Release.Service == release.Service && !v.latest.Final {
			out = append(out, v)
		}
	}
	return out
}

// joined returns the newest open validation that a later event belongs to, nil
// where there is none.
func (r *Runner) joined(ctx context.Context, e analysis.Event) (*run, error) {
	var best *run
	for _, v := range r.open {
		d := v.row.Deployment
		same := d.ID == e.DeploymentID
		if e.DeploymentID == "" {
			same = d.Release.Environment == e.Release.Environment && d.Release.Namespace == e.Release.Namespace && d.Release.Service == e.Release.Service &&
				(e.Release.ArtifactDigest == "" || d.Release.ArtifactDigest == e.Release.ArtifactDigest)
		}
		if same && (best == nil || d.StartedAt.After(best.row.Deployment.StartedAt)) {
			best = v
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, nil
}

// join applies a step, finished or aborted event to its validation.
func (r *Runner) join(ctx context.Context, v *run, row store.InboxRow, now time.Time) error {
	e := row.Event
	change := store.Change{Handled: []int64{row.ID}, Now: now}
	switch e.Phase {
	case analysis.PhaseStep:
		if e.Step != nil {
			step := *e.Step
			if step.At.IsZero() {
				step.At = e.Time
			}
			v.row.Deployment.Steps = append(v.row.Deployment.Steps, step)
			v.steps = append(v.steps, step)
			change.Update = []store.Validation{v.row}
		}
	case analysis.PhaseFinished:
		// The rollout is complete; the validation goes on until it can tell.
	case analysis.PhaseAborted:
		if _, err := r.Store.Apply(ctx, change); err != nil {
			return err
		}
		return r.end(ctx, v, now, analysis.Cancelled, fmt.Sprintf("the deployment was aborted or rolled back (%s)", e.Type))
	default:
		return fmt.Errorf("phase %q is not known", e.Phase)
	}
	_, err := r.Store.Apply(ctx, change)
	return err
}

// ErrNotOpen: the validation is not known, or has its final verdict already.
var ErrNotOpen = errors.New("no open validation of that id")

// Cancel ends a validation with hold(cancelled).
func (r *Runner) Cancel(ctx context.Context, id analysis.ValidationID, by string, now time.Time) error {
	v, ok := r.open[id]
	if !ok {
		return fmt.Errorf("cancel %s: %w", id, ErrNotOpen)
	}
	return r.end(ctx, v, now, analysis.Cancelled, "cancelled by "+by)
}
