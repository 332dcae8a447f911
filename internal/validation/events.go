package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
// whose time is over. A rollout goes on after its verdict: what it tells then is
// no orphan.
func (r *Runner) takeOrphans(ctx context.Context, now time.Time) error {
	rows, err := r.Store.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if v := r.joined(row.Event); v != nil {
			if err := r.join(ctx, v, row, now); err != nil {
				return err
			}
			continue
		}
		if !now.After(row.ParkedUntil) {
			continue
		}
		change := store.Change{Handled: []int64{row.ID}, Now: now}
		judged, err := r.judgedBefore(ctx, row.Event)
		if err != nil {
			return err
		}
		if !judged {
			change.DeadLetters = []store.DeadLetter{letterOf(row, "orphan", fmt.Sprintf("no deployment to join came within %v", orphanWait), now)}
		}
		if _, err := r.Store.Apply(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

// judgedBefore reports whether an event belongs to a deployment that has its final
// verdict.
func (r *Runner) judgedBefore(ctx context.Context, e analysis.Event) (bool, error) {
	var rows []store.Validation
	var err error
	if e.DeploymentID != "" {
		rows, err = r.Store.ByDeployment(ctx, e.DeploymentID)
	} else {
		rows, err = r.Store.Validations(ctx, store.Filter{Environment: e.Release.Environment, Service: e.Release.Service})
	}
	return slices.ContainsFunc(rows, func(v store.Validation) bool { return belongs(e, v.Deployment) }), err
}

func letterOf(row store.InboxRow, reason, text string, now time.Time) store.DeadLetter {
	return store.DeadLetter{
		Reason: reason, Error: text, Topic: row.Topic, Partition: row.Partition, Offset: row.Offset, LastOffset: row.Offset,
		Key: row.Key, Value: row.Raw, Headers: row.Headers, EventSource: row.Event.Source, EventID: row.Event.ID,
		DeploymentID: row.Event.DeploymentID, At: now,
	}
}

func (r *Runner) takeEvent(ctx context.Context, row store.InboxRow, now time.Time) error {
	e := row.Event
	what, at := "time", e.Time
	if e.StartedAt.After(at) {
		what, at = "startedAt", e.StartedAt
	}
	if at.After(now.Add(maxSkew)) {
		letter := letterOf(row, "quarantined", fmt.Sprintf("the event's %s %s lies more than %v after now", what, at.Format(time.RFC3339), maxSkew), now)
		_, err := r.Store.Apply(ctx, store.Change{Handled: []int64{row.ID}, DeadLetters: []store.DeadLetter{letter}, Now: now})
		return err
	}
	switch e.Phase {
	case analysis.PhaseStarted:
		return r.begin(ctx, row, now)
	case analysis.PhaseStep, analysis.PhaseFinished, analysis.PhaseAborted:
	default: // of a newer version of Assay, whose store this is
		letter := letterOf(row, "unsupported_schema", fmt.Sprintf("phase %q is not known to this version", e.Phase), now)
		_, err := r.Store.Apply(ctx, store.Change{Handled: []int64{row.ID}, DeadLetters: []store.DeadLetter{letter}, Now: now})
		return err
	}
	if v := r.joined(e); v != nil {
		return r.join(ctx, v, row, now)
	}
	_, err := r.Store.Apply(ctx, store.Change{Parked: []store.Parked{{InboxID: row.ID, Until: now.Add(orphanWait)}}, Now: now})
	return err
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
		if !samePlace(d.Release, e.Release) {
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
	v.latest = waitingVerdict(d, analysis.Planning, accepted)
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
	r.passed("opened")
	return r.admit(ctx, v, now)
}

// accepted is the reason of a validation that has just been opened.
const accepted = "accepted; cohorts and history are being resolved"

// admit ends what is not to be judged: a deployment that was too old when it came,
// and the older of two live ones of a service, whichever came first. To ask again
// changes nothing: a process that died may have opened v and no more.
func (r *Runner) admit(ctx context.Context, v *run, now time.Time) error {
	d := v.row.Deployment
	if d.Mode != analysis.Retrospective && d.StartedAt.Before(v.row.AcceptedAt.Add(-maxAge)) {
		reason := fmt.Sprintf("the deployment started %s, more than %v ago: say mode retrospective to judge the past", d.StartedAt.Format(time.RFC3339), maxAge)
		return r.end(ctx, v, analysis.Expired, reason, store.Change{Now: now})
	}
	if d.Mode == analysis.Retrospective || d.Mode == analysis.Shadow {
		return nil
	}
	for _, other := range r.openOf(d.Release) {
		older, newer := other, v
		if other == v || v.latest.Final {
			continue
		}
		if other.newer(v) {
			older, newer = v, other
		}
		reason := fmt.Sprintf("deployment %s of version %s started later", newer.row.Deployment.ID, newer.row.Deployment.Release.Version)
		if err := r.end(ctx, older, analysis.Superseded, reason, store.Change{Now: now}); err != nil {
			return err
		}
	}
	return nil
}

// newer reports whether v was started later than w; of two that started at once it
// is the one that came later.
func (v *run) newer(w *run) bool {
	a, b := v.row.Deployment.StartedAt, w.row.Deployment.StartedAt
	return a.After(b) || a.Equal(b) && v.row.InboxID > w.row.InboxID
}

// openOf returns the open live validations of a service.
func (r *Runner) openOf(release analysis.Release) []*run {
	var out []*run
	for _, v := range r.places[placeOf(release)] {
		d := v.row.Deployment
		if (d.Mode == analysis.Live || d.Mode == "") && samePlace(d.Release, release) && !v.latest.Final {
			out = append(out, v)
		}
	}
	return out
}

// samePlace reports whether two releases are of one service in one place.
func samePlace(a, b analysis.Release) bool {
	return a.Environment == b.Environment && a.Namespace == b.Namespace && a.Service == b.Service
}

// belongs reports whether a later event is of a deployment: by its id and service,
// else by service and artifact. What was told before the deployment started is of
// an earlier attempt, or of an earlier deployment of the same artifact.
func belongs(e analysis.Event, d analysis.Deployment) bool {
	place := e.Release
	if place.Namespace == "" && e.DeploymentID != "" {
		place.Namespace = d.Release.Namespace // the id says enough
	}
	if !samePlace(place, d.Release) {
		return false
	}
	if e.DeploymentID != "" {
		return d.ID == e.DeploymentID && (d.Attempt == 1 || !e.Time.Before(d.StartedAt))
	}
	return (e.Release.ArtifactDigest == "" || d.Release.ArtifactDigest == e.Release.ArtifactDigest) && !e.Time.Before(d.StartedAt)
}

// joined returns the newest open validation that a later event belongs to, nil
// where there is none.
func (r *Runner) joined(e analysis.Event) *run {
	var best *run
	for _, v := range r.places[placeOf(e.Release)] {
		if belongs(e, v.row.Deployment) && (best == nil || v.newer(best)) {
			best = v
		}
	}
	return best
}

// join applies a step, finished or aborted event to its validation.
func (r *Runner) join(ctx context.Context, v *run, row store.InboxRow, now time.Time) error {
	e := row.Event
	change := store.Change{Handled: []int64{row.ID}, Now: now}
	switch {
	case e.Phase == analysis.PhaseAborted:
		return r.end(ctx, v, analysis.Cancelled, fmt.Sprintf("the deployment was aborted or rolled back (%s)", e.Type), change)
	case e.Phase == analysis.PhaseStep && e.Step != nil:
		step := *e.Step
		if step.At.IsZero() {
			step.At = e.Time
		}
		stepped := v.row
		stepped.Deployment.Steps = append(slices.Clip(stepped.Deployment.Steps), step)
		change.Update = []store.Validation{stepped}
		if _, err := r.Store.Apply(ctx, change); err != nil {
			return err
		}
		v.row = stepped
		v.steps = append(v.steps, step)
		return nil
	}
	// A finished rollout changes nothing: the validation goes on until it can tell.
	_, err := r.Store.Apply(ctx, change)
	return err
}

// ErrNotOpen: the validation is not known, or has its final verdict already.
var ErrNotOpen = errors.New("no open validation of that id")

// Cancel ends a validation with hold(cancelled).
func (r *Runner) Cancel(ctx context.Context, id analysis.ValidationID, by string, now time.Time) error {
	v, ok := r.open[id]
	if ok {
		if err := r.awake(context.WithoutCancel(ctx), v); err != nil {
			return err
		}
	}
	if !ok || v.latest.Final {
		return fmt.Errorf("cancel %s: %w", id, ErrNotOpen)
	}
	audit := store.AuditEntry{At: now, Actor: by, Action: "validation.cancelled", Subject: string(id)}
	return r.end(context.WithoutCancel(ctx), v, analysis.Cancelled, "cancelled by "+by, store.Change{Audit: []store.AuditEntry{audit}, Now: now})
}
