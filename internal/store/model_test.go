package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"pgregory.net/rapid"
)

// A model is what the store promises, in maps.
type model struct {
	inbox       []modelRow
	letters     int
	forged      map[string]bool
	next, epoch int64
	order       []analysis.ValidationID
	validations map[analysis.ValidationID]*Validation
	checkpoints map[analysis.ValidationID]Checkpoint
	outbox      []string // pending message ids, in order
	seen        map[string]bool
	audited     int64
}

type modelRow struct {
	row             int64 // learned from the store: ids grow, but not by one
	id, hash        string
	handled, parked bool
}

func newModel() *model {
	return &model{
		forged: map[string]bool{}, validations: map[analysis.ValidationID]*Validation{}, checkpoints: map[analysis.ValidationID]Checkpoint{},
		seen: map[string]bool{}, audited: 1, // that the store was created
	}
}

// accept is Accept.
func (m *model) accept(b Batch) (got Accepted, err error) {
	if b.Lease != nil {
		if b.Lease.Epoch != m.epoch {
			return got, ErrFenced
		}
		m.next = b.NextOffset
	}
	for _, d := range b.Deliveries {
		row := slices.IndexFunc(m.inbox, func(r modelRow) bool { return r.id == d.Event.ID })
		outcome := OutcomeDuplicate
		switch {
		case row < 0:
			outcome = OutcomeAccepted
			m.inbox = append(m.inbox, modelRow{row: -1, id: d.Event.ID, hash: d.ContentHash})
			got.New++
		case m.inbox[row].hash != d.ContentHash:
			outcome = OutcomeConflict
			got.Conflicts++
			if forgery := d.Event.ID + d.ContentHash; !m.forged[forgery] {
				m.forged[forgery] = true
				m.letters++
			}
		default:
			got.Duplicates++
		}
		got.Outcomes = append(got.Outcomes, outcome)
	}
	m.letters += len(b.DeadLetters)
	return got, nil
}

// learn takes the ids of new rows from the store, and checks those that are known.
func (m *model) learn(t *rapid.T, b Batch, rows []int64) {
	for i, d := range b.Deliveries {
		row := slices.IndexFunc(m.inbox, func(r modelRow) bool { return r.id == d.Event.ID })
		if m.inbox[row].row < 0 {
			m.inbox[row].row = rows[i]
			if row > 0 && rows[i] <= m.inbox[row-1].row {
				t.Fatalf("inbox row %d comes after %d", rows[i], m.inbox[row-1].row)
			}
		}
		if m.inbox[row].row != rows[i] {
			t.Fatalf("%s is in row %d, want %d", d.Event.ID, rows[i], m.inbox[row].row)
		}
	}
}

// row returns the model's row of an inbox id, nil where there is none.
func (m *model) row(id int64) *modelRow {
	for i := range m.inbox {
		if m.inbox[i].row == id {
			return &m.inbox[i]
		}
	}
	return nil
}

// apply is Apply; a change that names what does not exist leaves the model alone.
func (m *model) apply(c Change) (got Applied, err error) {
	exists := func(id analysis.ValidationID) bool {
		return m.validations[id] != nil || slices.ContainsFunc(c.Open, func(v Validation) bool { return v.ID == id })
	}
	for _, id := range c.Handled {
		if m.row(id) == nil {
			return got, ErrNotFound
		}
	}
	for _, v := range c.Update {
		if !exists(v.ID) {
			return got, ErrNotFound
		}
	}
	for _, f := range c.Finals {
		if !exists(f.Validation) {
			return got, ErrNotFound
		}
	}
	for _, checkpoint := range c.Checkpoints {
		if !exists(checkpoint.Validation) {
			return got, ErrNotFound
		}
	}
	for _, id := range c.Handled {
		m.row(id).handled = true
	}
	for _, p := range c.Parked {
		m.row(p.InboxID).parked = true
	}
	for _, v := range c.Open {
		if m.validations[v.ID] != nil {
			got.Existing = append(got.Existing, v.ID)
			continue
		}
		v.Phase, v.Word, v.UpdatedAt = PhasePlanning, "pending", c.Now
		m.validations[v.ID] = &v
		m.order = append(m.order, v.ID)
	}
	for _, v := range c.Update {
		old := m.validations[v.ID]
		if old.Phase == PhaseFinal {
			got.Late = append(got.Late, v.ID)
			continue
		}
		if v.Plan == nil {
			v.Plan = old.Plan
		}
		if v.Latest == nil {
			v.Latest = old.Latest
		}
		v.AcceptedAt, v.InboxID, v.Word, v.UpdatedAt = old.AcceptedAt, old.InboxID, "pending", c.Now
		*old = v
	}
	for _, f := range c.Finals {
		v := m.validations[f.Validation]
		if v.Phase == PhaseFinal {
			got.Lost = append(got.Lost, v.ID)
			continue
		}
		v.Phase, v.Word, v.Latest, v.Seq, v.FinalAt, v.UpdatedAt = PhaseFinal, f.Word, f.Verdict, f.Seq, f.IssuedAt, c.Now
		got.Finals = append(got.Finals, v.ID)
		m.enqueue(f.Outbox)
		m.audited++
	}
	for _, checkpoint := range c.Checkpoints {
		if old, ok := m.checkpoints[checkpoint.Validation]; !ok || old.Looks <= checkpoint.Looks {
			m.checkpoints[checkpoint.Validation] = checkpoint
		}
	}
	m.letters += len(c.DeadLetters)
	m.enqueue(c.Outbox)
	m.audited += int64(len(c.Audit))
	return got, nil
}

func (m *model) enqueue(messages []OutboxMessage) {
	for _, message := range messages {
		if !m.seen[message.MessageID] {
			m.seen[message.MessageID] = true
			m.outbox = append(m.outbox, message.MessageID)
		}
	}
}

// check compares everything that can be read with the model.
func (m *model) check(t *rapid.T, s *Store) {
	ctx := t.Context()
	listed, err := s.Validations(ctx, Filter{Limit: 1000})
	if err != nil || len(listed) != len(m.order) {
		t.Fatalf("%d validations, %v, want %d", len(listed), err, len(m.order))
	}
	var open []analysis.ValidationID
	for i, id := range m.order {
		want := *m.validations[id]
		if got, err := s.Validation(ctx, id); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("validation:\n%+v, %v, want\n%+v", got, err, want)
		}
		if listed[len(m.order)-1-i].ID != id {
			t.Fatalf("the list is not in order of arrival")
		}
		final := want.Phase == PhaseFinal
		if body, is, err := s.FinalVerdict(ctx, id); err != nil || is != final || final && string(body) != string(want.Latest) {
			t.Fatalf("final verdict of %s: %s, %v, %v", id, body, is, err)
		}
		if !final {
			open = append(open, id)
		}
		if got, err := s.Checkpoint(ctx, id); err == nil && !reflect.DeepEqual(got, m.checkpoints[id]) || err != nil && m.checkpoints[id].Snapshot != nil {
			t.Fatalf("checkpoint: %+v, %v, want %+v", got, err, m.checkpoints[id])
		}
	}
	resumed, err := s.OpenValidations(ctx)
	if err != nil || !slices.EqualFunc(resumed, open, func(v Validation, id analysis.ValidationID) bool { return v.ID == id }) {
		t.Fatalf("open: %v, %v, want %v", ids(resumed), err, open)
	}
	var waiting, parked []int64
	for _, row := range m.inbox {
		switch {
		case row.handled:
		case row.parked:
			parked = append(parked, row.row)
		default:
			waiting = append(waiting, row.row)
		}
	}
	same := func(row InboxRow, id int64) bool { return row.ID == id && row.Event.ID == m.row(id).id }
	if rows, err := s.Unhandled(ctx, 1000); err != nil || !slices.EqualFunc(rows, waiting, same) {
		t.Fatalf("unhandled: %+v, %v, want %v", rows, err, waiting)
	}
	if rows, err := s.Orphans(ctx); err != nil || !slices.EqualFunc(rows, parked, same) {
		t.Fatalf("orphans: %+v, %v, want %v", rows, err, parked)
	}
	pending, err := s.PendingOutbox(ctx, "kafka", 1000)
	if err != nil || !slices.EqualFunc(pending, m.outbox, func(got OutboxMessage, id string) bool { return got.MessageID == id }) {
		t.Fatalf("outbox: %+v, %v, want %v", pending, err, m.outbox)
	}
	if letters, err := s.DeadLetters(ctx, 1000, 0); err != nil || len(letters) != m.letters {
		t.Fatalf("%d dead letters, %v, want %d", len(letters), err, m.letters)
	}
	if head, err := s.AuditHead(ctx); err != nil || head.Seq != m.audited {
		t.Fatalf("the audit log ends at %+v, %v, want %d", head, err, m.audited)
	}
	if err := s.VerifyAudit(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestStoreIsItsModel does random things to a store and to a model of it.
func TestStoreIsItsModel(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		path := filepath.Join(dir, fmt.Sprint(runs, ".db"))
		if err := fresh(path); err != nil {
			t.Fatal(err)
		}
		open := func() *Store {
			s, err := Open(t.Context(), path, t0)
			if err != nil {
				t.Fatal(err)
			}
			// What is on the disk is TestNothingAcknowledgedIsLost's; here it may be fast.
			if _, err := s.conn.ExecContext(t.Context(), `PRAGMA synchronous = OFF`); err != nil {
				t.Fatal(err)
			}
			return s
		}
		s, m := open(), newModel()
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		steps := rapid.IntRange(1, 20).Draw(t, "steps")
		for step := range steps {
			now := t0.Add(time.Duration(step) * time.Second)
			switch rapid.SampledFrom([]string{"accept", "apply", "apply", "apply", "acquire", "send", "poison", "reopen"}).Draw(t, "step") {
			case "acquire":
				lease, err := s.AcquirePartition(t.Context(), "deployments", 0, "a", "", now)
				m.epoch++
				if err != nil || lease.Epoch != m.epoch || lease.NextOffset != m.next {
					t.Fatalf("lease %+v, %v, want epoch %d at %d", lease, err, m.epoch, m.next)
				}
			case "accept":
				batch := drawBatch(t, m, now)
				want, wantErr := m.accept(batch)
				got, err := s.Accept(t.Context(), batch)
				rows := got.Inbox
				got.Inbox = nil
				if !errors.Is(err, wantErr) || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("accepted %+v, %v, want %+v, %v", got, err, want, wantErr)
				}
				if err == nil {
					m.learn(t, batch, rows)
				}
			case "apply":
				change := drawChange(t, m, now)
				want, wantErr := m.apply(change)
				got, err := s.Apply(t.Context(), change)
				if !errors.Is(err, wantErr) || !reflect.DeepEqual(got, want) {
					t.Fatalf("applied %+v, %v, want %+v, %v", got, err, want, wantErr)
				}
			case "send":
				pending, err := s.PendingOutbox(t.Context(), "kafka", 1)
				if err != nil {
					t.Fatal(err)
				}
				if len(pending) == 1 {
					if err := s.MarkSent(t.Context(), []int64{pending[0].ID}, now); err != nil {
						t.Fatal(err)
					}
					m.outbox = m.outbox[1:]
				}
			case "poison":
				d := drawDeployment(t)
				v := m.validations[d.Validation()]
				got, err := s.IncrementPoison(t.Context(), d.Validation(), now)
				if v == nil || v.Phase == PhaseFinal {
					if !errors.Is(err, ErrNotFound) {
						t.Fatalf("poison: %v, want ErrNotFound", err)
					}
					continue
				}
				v.Poison, v.UpdatedAt = v.Poison+1, now
				if err != nil || got != v.Poison {
					t.Fatalf("poison: %d, %v, want %d", got, err, v.Poison)
				}
			case "reopen":
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open()
			}
		}
		m.check(t, s)
	})
}

func drawDeployment(t *rapid.T) analysis.Deployment {
	return checkout(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "deployment"), 0)
}

func drawBatch(t *rapid.T, m *model, now time.Time) Batch {
	batch := Batch{Now: now, DeadLetters: make([]DeadLetter, rapid.IntRange(0, 1).Draw(t, "letters"))}
	if m.epoch > 0 && rapid.Bool().Draw(t, "leased") {
		batch.Lease = &Lease{Topic: "deployments", Epoch: m.epoch - rapid.Int64Range(0, 1).Draw(t, "fenced")}
		batch.NextOffset = m.next + rapid.Int64Range(0, 3).Draw(t, "offsets")
	}
	for range rapid.IntRange(0, 3).Draw(t, "deliveries") {
		d := delivery(TopicHTTP, rapid.Int64Range(0, 5).Draw(t, "event"))
		d.ContentHash = rapid.SampledFrom([]string{"h", "h", "forged"}).Draw(t, "hash")
		batch.Deliveries = append(batch.Deliveries, d)
	}
	return batch
}

func drawChange(t *rapid.T, m *model, now time.Time) Change {
	change := Change{Now: now}
	some := func(what string, add func(analysis.Deployment)) {
		for range rapid.IntRange(0, 2).Draw(t, what) {
			add(drawDeployment(t))
		}
	}
	some("open", func(d analysis.Deployment) {
		v := opening(d)
		v.Looks = rapid.Int64Range(0, 3).Draw(t, "looks")
		change.Open = append(change.Open, v)
	})
	some("update", func(d analysis.Deployment) {
		v := opening(d)
		v.Phase, v.Looks, v.SpoolBytes, v.Seq = PhaseJudging, rapid.Int64Range(0, 9).Draw(t, "looks"), 100, 2
		v.Deployment.Steps = []analysis.Step{{Index: 1, At: t0}}
		v.Plan = rapid.SampledFrom([][]byte{nil, []byte("plan"), []byte("other plan")}).Draw(t, "plan")
		v.Latest = rapid.SampledFrom([][]byte{nil, []byte("latest"), []byte("newer")}).Draw(t, "latest")
		change.Update = append(change.Update, v)
	})
	some("end", func(d analysis.Deployment) {
		change.Finals = append(change.Finals, ending(d, rapid.SampledFrom([]string{"promote", "rollback", "hold"}).Draw(t, "word")))
	})
	some("checkpoint", func(d analysis.Deployment) {
		looks := rapid.Int64Range(0, 9).Draw(t, "looks")
		change.Checkpoints = append(change.Checkpoints, Checkpoint{Validation: d.Validation(), Looks: looks, Snapshot: fmt.Append(nil, looks), At: now})
	})
	if len(m.inbox) > 0 {
		row := rapid.IntRange(0, len(m.inbox)-1)
		switch rapid.IntRange(0, 4).Draw(t, "handle") {
		case 0:
			change.Handled = []int64{99}
		case 1, 2:
			change.Handled = []int64{m.inbox[row.Draw(t, "handled")].row}
		}
		if rapid.Bool().Draw(t, "park") {
			change.Parked = []Parked{{m.inbox[row.Draw(t, "parked")].row, now}}
		}
	}
	change.Outbox = make([]OutboxMessage, rapid.IntRange(0, 1).Draw(t, "messages"))
	for i := range change.Outbox {
		change.Outbox[i] = OutboxMessage{Sink: "kafka", MessageID: rapid.SampledFrom([]string{"m", "n"}).Draw(t, "message")}
	}
	change.Audit = make([]AuditEntry, rapid.IntRange(0, 2).Draw(t, "entries"))
	change.DeadLetters = make([]DeadLetter, rapid.IntRange(0, 1).Draw(t, "letters"))
	return change
}
