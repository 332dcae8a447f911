package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/torture"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// show notes what the API shows of each verdict that was final when the round ended.
func (r *rack) show() {
	r.mu.Lock()
	ids := make([]analysis.ValidationID, 0, len(r.finals))
	for id := range r.finals {
		if r.shown[id] == "" {
			ids = append(ids, id)
		}
	}
	r.mu.Unlock()
	for _, id := range ids {
		if _, body, err := r.a.ask("GET", "/v1/validations/"+string(id)+"/verdict", nil, nil); err == nil {
			r.shown[id] = string(body)
		}
	}
}

// collect reads everything that the process, which has ended, left behind.
func (r *rack) collect() {
	h := &r.history
	h.Topic = nil
	eachRecord(r.t, r.config.broker, r.config.topics+".verdicts", func(partition int, k kafka.Record) {
		one := recordOf(r.t, k)
		var v verdicts.Verdict
		_ = json.Unmarshal(one.verdict, &v) // what is none has no validation, and Check says so
		h.Topic = append(h.Topic, torture.Record{
			Partition: partition, Offset: k.Offset, Key: one.key, ID: one.id,
			Deployment: v.DeploymentID, Validation: v.ValidationID, VerdictID: v.ID(), Body: string(one.verdict),
		})
	})
	h.Store = torture.Contents{}
	ctx := context.Background()
	s, err := store.Open(ctx, r.a.data("assay.db"), time.Now())
	if err != nil {
		r.fault("the store does not open: %v", err)
		return
	}
	err = errors.Join(r.validations(ctx, s), r.letters(ctx, s), r.audit(ctx, s), r.partitions(ctx, s), r.inbox(ctx), s.Close())
	if err != nil {
		r.fault("the store cannot be read: %v", err)
	}
	r.bundles()
}

func (r *rack) validations(ctx context.Context, s *store.Store) error {
	rows, err := s.Validations(ctx, store.Filter{Limit: 1_000_000})
	for _, row := range rows {
		d := row.Deployment
		v := torture.Validation{
			ID: row.ID, Deployment: d.ID, Attempt: d.Attempt, Key: d.Release.Environment + "/" + d.Release.Namespace + "/" + d.Release.Service,
			Live: d.Mode == analysis.Live, Final: row.Phase == store.PhaseFinal, Word: row.Word, Shown: r.shown[row.ID],
		}
		for _, step := range d.Steps {
			v.Steps = append(v.Steps, step.Index)
		}
		if !v.Final {
			v.Shown = string(row.Latest)
		} else {
			var final verdicts.Verdict
			if err := json.Unmarshal(row.Latest, &final); err != nil {
				return err
			}
			v.Code, v.VerdictID, v.Body = final.ReasonCode, final.ID(), string(row.Latest)
		}
		r.history.Store.Validations = append(r.history.Store.Validations, v)
	}
	return err
}

func (r *rack) letters(ctx context.Context, s *store.Store) error {
	all, err := s.DeadLetters(ctx, 1_000_000, 0)
	for _, l := range all {
		r.history.Store.DeadLetters = append(r.history.Store.DeadLetters, torture.DeadLetter{
			Reason: l.Reason, Topic: l.Topic, Partition: l.Partition, Offset: l.Offset, Source: l.EventSource, ID: l.EventID, Value: string(l.Value),
		})
	}
	return err
}

func (r *rack) audit(ctx context.Context, s *store.Store) error {
	contents := &r.history.Store
	for _, err := range []error{s.VerifyAudit(ctx), s.IntegrityCheck(ctx)} {
		if err != nil {
			contents.Damage = append(contents.Damage, err.Error())
		}
	}
	entries, err := s.Audit(ctx, 0, 1_000_000)
	for _, e := range entries {
		switch e.Action {
		case "validation.opened":
			contents.Opened = append(contents.Opened, analysis.ValidationID(e.Subject))
		case "verdict.issued":
			contents.Issued = append(contents.Issued, analysis.ValidationID(e.Subject))
		}
	}
	pending, failed := s.CountOutbox(ctx)
	for _, n := range pending {
		contents.Undelivered += n
	}
	return errors.Join(err, failed)
}

// partitions acquires each partition once, which tells its epoch and offset.
func (r *rack) partitions(ctx context.Context, s *store.Store) error {
	client, err := kafka.Connect(kafka.Config{Brokers: []string{r.config.broker}})
	if err != nil {
		return err
	}
	defer client.Close()
	topic := r.config.topics + ".deployments"
	n, err := client.Partitions(ctx, topic)
	for p := range n {
		lease, failed := s.AcquirePartition(ctx, topic, p, "torture", "", time.Now())
		_, end, late := client.Offsets(ctx, topic, p)
		if err = errors.Join(err, failed, late); err != nil {
			return err
		}
		before := r.leases[p]
		now := torture.Partition{Number: p, Epoch: lease.Epoch, EpochBefore: before.Epoch, Next: lease.NextOffset, Was: before.Next, End: end}
		r.leases[p] = now
		r.history.Store.Partitions = append(r.history.Store.Partitions, now)
	}
	return err
}

// inbox reads the rows of the inbox, of which the store itself lists only those that
// are not handled.
func (r *rack) inbox(ctx context.Context) error {
	db, err := sql.Open("sqlite", "file:"+r.a.data("assay.db")+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT source, event_id, event, handled_at > 0, parked_until > 0 FROM inbox ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row torture.Event
		var text string
		var event analysis.Event
		if err := rows.Scan(&row.Source, &row.ID, &text, &row.Handled, &row.Parked); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &event); err != nil {
			return err
		}
		row.Deployment, row.Forged = event.DeploymentID, event.Labels[torture.Forgery] != ""
		r.history.Store.Inbox = append(r.history.Store.Inbox, row)
	}
	return rows.Err()
}

// bundles looks for the bundle of each final verdict, and judges again those of this
// round.
func (r *rack) bundles() {
	before := r.history.Bundles
	r.history.Bundles = map[analysis.ValidationID]torture.Bundle{}
	for _, v := range r.history.Store.Validations {
		switch {
		case !v.Final:
		case r.checked[v.ID]:
			r.history.Bundles[v.ID] = before[v.ID]
		default:
			r.checked[v.ID] = true
			r.history.Bundles[v.ID] = judgedAgain(r.a.data("bundles", bundle.Name(v.ID)), v.Body)
		}
	}
}

func judgedAgain(path, body string) torture.Bundle {
	b, err := bundle.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return torture.Bundle{}
	}
	out := torture.Bundle{Present: true}
	if err != nil {
		out.Err = err.Error()
		return out
	}
	defer b.Close()
	v, same, err := validation.Rejudge(b)
	if err != nil {
		out.Err = err.Error()
		return out
	}
	out.Rejudged, out.Same, out.Effective = true, same && string(b.VerdictBytes()) == body, v.Verdict.String()
	return out
}
