package store

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

const day = 24 * time.Hour

func retain(t testing.TB, s *Store, keep Retention, now time.Time) Removed {
	t.Helper()
	removed, err := s.Retain(t.Context(), keep, now)
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

// TestRetentionLaws has one row of everything that must never go, beside one that may.
func TestRetentionLaws(t *testing.T) {
	s := openTest(t)
	release := func(id string, minutes int, change func(*analysis.Deployment)) analysis.Deployment {
		d := checkout(id, minutes)
		if change != nil {
			change(&d)
		}
		return d
	}
	deployments := map[string]struct {
		analysis.Deployment
		word string
		kept bool
	}{
		"open":             {release("open", 0, nil), "", true},
		"old promote":      {release("old", 1, nil), "promote", false},
		"newest promote":   {release("newest", 2, nil), "promote", true},
		"later rollback":   {release("rollback", 3, nil), "rollback", false},
		"later shadow":     {release("shadow", 4, func(d *analysis.Deployment) { d.Mode = analysis.Shadow }), "promote", false},
		"later, past":      {release("past", 5, func(d *analysis.Deployment) { d.Mode = analysis.Retrospective }), "promote", false},
		"other service":    {release("cart", 0, func(d *analysis.Deployment) { d.Release.Service = "cart" }), "promote", true},
		"other namespace":  {release("ns", 0, func(d *analysis.Deployment) { d.Release.Namespace = "x" }), "promote", true},
		"other env., hold": {release("env", 0, func(d *analysis.Deployment) { d.Release.Environment = "x" }), "hold", false},
	}
	accept(t, s, Batch{Deliveries: []Delivery{delivery(TopicHTTP, 0), delivery(TopicHTTP, 1), delivery(TopicHTTP, 2), delivery(TopicHTTP, 3)}, DeadLetters: []DeadLetter{{Reason: "malformed", At: t0}}})
	change := Change{Handled: []int64{1, 2}, Parked: []Parked{{3, t0}}} // 4 is unhandled
	for _, d := range deployments {
		v := opening(d.Deployment)
		v.Plan, v.Latest = []byte("plan"), []byte("latest")
		if d.word == "" {
			v.InboxID = 1
		} else {
			change.Finals = append(change.Finals, ending(d.Deployment, d.word))
		}
		change.Open = append(change.Open, v)
		change.Checkpoints = append(change.Checkpoints, Checkpoint{Validation: v.ID, At: t0})
	}
	change.Outbox = []OutboxMessage{{Sink: "s", MessageID: "sent"}, {Sink: "s", MessageID: "unsent"}}
	apply(t, s, change)
	sent, err := s.PendingOutbox(t.Context(), "s", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.MarkSent(t.Context(), []int64{sent[0].ID}, t0); err != nil {
		t.Fatal(err)
	}
	audited := s.number(t, `SELECT count(*) FROM audit`)

	hour := Retention{Inbox: time.Hour, DeadLetters: time.Hour, Validations: time.Hour, Outbox: time.Hour}
	if removed := retain(t, s, hour, t0.Add(time.Hour)); removed != (Removed{}) {
		t.Errorf("at the hour: %+v, want nothing", removed)
	}
	if removed := retain(t, s, Retention{}, t0.Add(1000*day)); removed != (Removed{}) {
		t.Errorf("no retention: %+v, want nothing", removed)
	}
	late := t0.Add(time.Hour + 1)
	if removed, want := retain(t, s, hour, late), (Removed{Contents: 1, DeadLetters: 1, Validations: 5, Outbox: 1}); removed != want {
		t.Errorf("after the hour: %+v, want %+v", removed, want)
	}
	if removed := retain(t, s, hour, late); removed != (Removed{}) {
		t.Errorf("again: %+v, want nothing", removed)
	}
	for name, d := range deployments {
		if _, err := s.Validation(t.Context(), d.Validation()); (err == nil) != d.kept {
			t.Errorf("%s: %v, want kept %v", name, err, d.kept)
		}
	}
	for _, table := range []string{"plan", "checkpoint"} {
		if n := s.number(t, `SELECT count(*) FROM `+table); n != 4 {
			t.Errorf("%d rows of %s, want those of the 4 validations that are left", n, table)
		}
	}
	if version, ok, err := s.LastPromoted(t.Context(), "prod-eu1", "shop", "checkout"); version != "v-newest" || !ok || err != nil {
		t.Errorf("last promoted: %q, %v, %v", version, ok, err)
	}

	// The event was emptied, yet is known for a week; then its name goes too.
	if row, err := s.Inbox(t.Context(), 2); err != nil || row.Raw != nil || row.ContentHash != delivery(TopicHTTP, 1).ContentHash {
		t.Errorf("emptied row: %+v, %v", row, err)
	}
	if row, err := s.Inbox(t.Context(), 1); err != nil || !reflect.DeepEqual(row.Delivery, delivery(TopicHTTP, 0)) {
		t.Errorf("the event of the open validation: %+v, %v", row, err)
	}
	if got := accept(t, s, Batch{Deliveries: []Delivery{delivery(TopicHTTP, 1)}}); got.Duplicates != 1 {
		t.Errorf("an emptied event again: %+v, want a duplicate", got)
	}
	if removed := retain(t, s, hour, t0.Add(7*day)); removed.Inbox != 0 {
		t.Errorf("within 7 days: %+v", removed)
	}
	if removed := retain(t, s, hour, t0.Add(7*day+1)); removed.Inbox != 1 {
		t.Errorf("after 7 days: %+v", removed)
	}
	// A hundred years later what must never go is still there.
	retain(t, s, hour, t0.Add(36500*day))
	if n := s.number(t, `SELECT (SELECT count(*) FROM inbox) * 1000 + (SELECT count(*) FROM outbox WHERE sink = 's') * 100 + (SELECT count(*) FROM validation)`); n != 3104 {
		t.Errorf("left %d, want 3 inbox rows, 1 message, 4 validations", n)
	}
	if n := s.number(t, `SELECT count(*) FROM audit`); n != audited {
		t.Errorf("%d audit entries, want %d", n, audited)
	}
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRetainGoesInPortions(t *testing.T) {
	s := openTest(t)
	var batch Batch
	for i := range portion + 10 {
		batch.DeadLetters = append(batch.DeadLetters, DeadLetter{Reason: fmt.Sprint(i % 3), At: t0})
	}
	accept(t, s, batch)
	keep, late := Retention{DeadLetters: time.Hour}, t0.Add(day)
	if removed := retain(t, s, keep, late); removed.DeadLetters != portion || !removed.More {
		t.Errorf("first portion: %+v", removed)
	}
	if removed := retain(t, s, keep, late); removed.DeadLetters != 10 || removed.More {
		t.Errorf("second portion: %+v", removed)
	}
}
