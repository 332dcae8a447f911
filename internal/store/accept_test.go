package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

func acquire(t testing.TB, s *Store, owner string) Lease {
	t.Helper()
	lease, err := s.AcquirePartition(t.Context(), "deployments", 0, owner, "topic-1", t0)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func accept(t testing.TB, s *Store, batch Batch) Accepted {
	t.Helper()
	batch.Now = t0
	accepted, err := s.Accept(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	return accepted
}

func TestAcceptOnceHoweverOftenDelivered(t *testing.T) {
	s := openTest(t)
	lease := acquire(t, s, "a")
	if lease.Known || lease.Epoch != 1 {
		t.Errorf("first lease is %+v", lease)
	}
	first, second := delivery("deployments", 0), delivery("deployments", 1)
	forged := delivery("deployments", 2)
	forged.Event.ID, forged.ContentHash = first.Event.ID, "other"

	got := accept(t, s, Batch{Lease: &lease, NextOffset: 5, Deliveries: []Delivery{first, second, first, forged, forged}})
	want := Accepted{
		Outcomes: []Outcome{OutcomeAccepted, OutcomeAccepted, OutcomeDuplicate, OutcomeConflict, OutcomeConflict},
		Inbox:    []int64{1, 2, 1, 1, 1}, New: 2, Duplicates: 1, Conflicts: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for range 3 { // as after a replay of the topic, and as over HTTP
		got = accept(t, s, Batch{Deliveries: []Delivery{second, forged}})
		if got.Duplicates != 1 || got.Conflicts != 1 {
			t.Errorf("again: %+v", got)
		}
	}
	rows, err := s.Unhandled(t.Context(), 10)
	if err != nil || len(rows) != 2 {
		t.Fatalf("unhandled: %+v, %v", rows, err)
	}
	if want := (InboxRow{ID: 1, Delivery: first, ReceivedAt: t0}); !reflect.DeepEqual(rows[0], want) {
		t.Errorf("kept %+v, want %+v", rows[0], want)
	}
	letters, err := s.DeadLetters(t.Context(), 10, 0)
	if err != nil || len(letters) != 1 || letters[0].Reason != ReasonConflict || string(letters[0].Value) != string(forged.Raw) || letters[0].EventID != first.Event.ID {
		t.Errorf("the forgery is %+v, %v; want one dead letter", letters, err)
	}
	if again := acquire(t, s, "a"); !again.Known || again.NextOffset != 5 || again.Epoch != 2 {
		t.Errorf("lease acquired again is %+v", again)
	}
}

func TestAcceptIsAllOrNothing(t *testing.T) {
	s := openTest(t)
	lease := acquire(t, s, "a")
	s.ForwardDeadLetters(func(DeadLetter) OutboxMessage { return OutboxMessage{} })
	nameless := delivery("deployments", 1)
	nameless.Event.ID = ""
	for name, batch := range map[string]Batch{
		"a delivery without a name": {Lease: &lease, NextOffset: 2, Deliveries: []Delivery{delivery("deployments", 0), nameless}},
		"a message without a sink":  {Lease: &lease, NextOffset: 2, Deliveries: []Delivery{delivery("deployments", 0)}, DeadLetters: []DeadLetter{{Reason: "malformed"}}},
	} {
		if _, err := s.Accept(t.Context(), batch); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if n := s.number(t, `SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM dead_letter) + (SELECT coalesce(next_offset, 0) FROM partition_lease)`); n != 0 {
		t.Error("part of a refused batch was written")
	}
}

func TestOlderLeaseIsFenced(t *testing.T) {
	s := openTest(t)
	old := acquire(t, s, "a")
	accept(t, s, Batch{Lease: &old, NextOffset: 1, Deliveries: []Delivery{delivery("deployments", 0)}})
	young := acquire(t, s, "b")
	if !young.Known || young.NextOffset != 1 {
		t.Errorf("the new owner goes on at %+v", young)
	}
	refused := Batch{Lease: &old, NextOffset: 2, Deliveries: []Delivery{delivery("deployments", 1)}, DeadLetters: []DeadLetter{{Reason: "malformed"}}, Now: t0}
	if _, err := s.Accept(t.Context(), refused); !errors.Is(err, ErrFenced) {
		t.Errorf("the zombie got %v, want ErrFenced", err)
	}
	unknown := Lease{Topic: "other", Epoch: 1}
	if _, err := s.Accept(t.Context(), Batch{Lease: &unknown, Now: t0}); !errors.Is(err, ErrFenced) {
		t.Errorf("a lease never acquired got %v, want ErrFenced", err)
	}
	if n := s.number(t, `SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM dead_letter)`); n != 1 {
		t.Error("the zombie left something behind")
	}
	accept(t, s, Batch{Lease: &young, NextOffset: 2, Deliveries: refused.Deliveries})
	if _, err := s.Accept(t.Context(), Batch{Lease: &young, NextOffset: 1, Now: t0}); err == nil || errors.Is(err, ErrFenced) {
		t.Errorf("an offset that goes back got %v", err)
	}
}

func TestRecreatedTopicStopsThePartition(t *testing.T) {
	s := openTest(t)
	lease := acquire(t, s, "a")
	accept(t, s, Batch{Lease: &lease, NextOffset: 100})
	if _, err := s.AcquirePartition(t.Context(), "deployments", 0, "a", "topic-2", t0); !errors.Is(err, ErrTopicRecreated) {
		t.Fatalf("got %v, want ErrTopicRecreated", err)
	}
	accept(t, s, Batch{Lease: &lease, NextOffset: 101}) // nothing has changed: the lease stands
	reset := Reset{Topic: "deployments", TopicID: "topic-2", NextOffset: 3, Now: t0, Audit: AuditEntry{At: t0, Actor: "anna", Action: "partition_reset", Subject: "deployments/0"}}
	if err := s.ResetPartition(t.Context(), reset); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(t.Context(), Batch{Lease: &lease, NextOffset: 102, Now: t0}); !errors.Is(err, ErrFenced) {
		t.Errorf("after the reset the old lease got %v, want ErrFenced", err)
	}
	again, err := s.AcquirePartition(t.Context(), "deployments", 0, "a", "topic-2", t0)
	if err != nil || again.NextOffset != 3 || again.Epoch != 3 {
		t.Errorf("after the reset: %+v, %v", again, err)
	}
	if entries, err := s.Audit(t.Context(), 1, 10); err != nil || len(entries) != 1 || entries[0].Actor != "anna" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}

func TestGapsAndDeadLetters(t *testing.T) {
	s := openTest(t)
	gap := Gap{Topic: "deployments", Partition: 3, From: 10, To: 20, At: t0}
	for range 2 {
		if err := s.AddGap(t.Context(), gap); err != nil {
			t.Fatal(err)
		}
	}
	if gaps, err := s.Gaps(t.Context()); err != nil || !reflect.DeepEqual(gaps, []Gap{gap}) {
		t.Errorf("gaps: %+v, %v", gaps, err)
	}
	letter := DeadLetter{
		Reason: "quarantined", Error: "bomb", Topic: "deployments", Partition: 3, Offset: 5, LastOffset: 9, Key: []byte{0, 0xff}, Value: []byte("raw"),
		Headers: []Header{{"x", []byte{0xfe}}}, EventSource: "s", EventID: "e", At: t0,
	}
	s.ForwardDeadLetters(func(l DeadLetter) OutboxMessage {
		return OutboxMessage{Sink: "dlq", MessageID: fmt.Sprint(l.ID), Payload: l.Value, CreatedAt: t0}
	})
	accept(t, s, Batch{DeadLetters: []DeadLetter{letter, letter}})
	apply(t, s, Change{DeadLetters: []DeadLetter{{Reason: "malformed", At: t0}}, Now: t0}) // the line refuses events too
	letters, err := s.DeadLetters(t.Context(), 1, 1)
	letter.ID = 2
	if err != nil || !reflect.DeepEqual(letters, []DeadLetter{letter}) {
		t.Errorf("second dead letter: %+v, %v, want %+v", letters, err, letter)
	}
	if counts, err := s.CountDeadLetters(t.Context()); err != nil || !reflect.DeepEqual(counts, map[string]int64{"quarantined": 2, "malformed": 1}) {
		t.Errorf("counts: %v, %v", counts, err)
	}
	if counts, err := s.CountOutbox(t.Context()); err != nil || !reflect.DeepEqual(counts, map[string]int64{"dlq": 3}) {
		t.Errorf("forwarded: %v, %v", counts, err)
	}
}

func TestUnsupportedIsFoundByItsID(t *testing.T) {
	s := openTest(t)
	accept(t, s, Batch{DeadLetters: []DeadLetter{
		{Reason: "unsupported_schema", Error: "v8", EventID: "e", At: t0},
		{Reason: "unsupported_schema", Error: "v9", EventSource: "s", EventID: "e", At: t0},
		{Reason: "malformed", EventID: "e", At: t0},
		{Reason: "malformed", EventID: "f", At: t0},
	}})
	want := DeadLetter{ID: 2, Reason: "unsupported_schema", Error: "v9", EventSource: "s", EventID: "e", At: t0}
	if got, ok, err := s.Unsupported(t.Context(), "e"); !ok || err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, %v, want %+v", got, ok, err, want)
	}
	if got, ok, err := s.Unsupported(t.Context(), "f"); ok || err != nil {
		t.Errorf("another reason: %+v, %v, %v", got, ok, err)
	}
}

func TestOrphansWaitAside(t *testing.T) {
	s := openTest(t)
	accept(t, s, Batch{Deliveries: []Delivery{delivery(TopicHTTP, 0), delivery(TopicHTTP, 1), delivery(TopicHTTP, 2)}})
	until := t0.Add(10 * time.Minute)
	apply(t, s, Change{Handled: []int64{1}, Parked: []Parked{{2, until}}})
	orphans, err := s.Orphans(t.Context())
	if err != nil || len(orphans) != 1 || orphans[0].ID != 2 || !orphans[0].ParkedUntil.Equal(until) {
		t.Errorf("orphans: %+v, %v", orphans, err)
	}
	if rows, err := s.Unhandled(t.Context(), 10); err != nil || len(rows) != 1 || rows[0].ID != 3 {
		t.Errorf("unhandled: %+v, %v", rows, err)
	}
	apply(t, s, Change{Handled: []int64{2, 2}, Parked: []Parked{{1, until}}}) // what is handled is not parked again
	if orphans, err := s.Orphans(t.Context()); err != nil || len(orphans) != 0 {
		t.Errorf("orphans: %+v, %v", orphans, err)
	}
	for _, id := range []int64{1, 2} {
		if row, err := s.Inbox(t.Context(), id); err != nil || !row.HandledAt.Equal(t0) || !row.ParkedUntil.IsZero() {
			t.Errorf("row %d: %+v, %v", id, row, err)
		}
	}
	for _, change := range []Change{{Handled: []int64{99}, Now: t0}, {Parked: []Parked{{99, until}}, Now: t0}} {
		if _, err := s.Apply(t.Context(), change); !errors.Is(err, ErrNotFound) {
			t.Errorf("a row that does not exist: %v, want ErrNotFound", err)
		}
	}
	if _, err := s.Inbox(t.Context(), 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// bareTable has the columns of the inbox and nothing that tells one row from another.
const bareTable = `CREATE TABLE bare (source TEXT, event_id TEXT, content_hash TEXT, topic TEXT, partition INTEGER, offset INTEGER, key BLOB, headers TEXT, raw BLOB, event TEXT, received_at INTEGER)`

// benchBatch is how many events one fetch brings in the benchmarks.
const benchBatch = 200

func benchRows(next *int64) []Delivery {
	rows := make([]Delivery, benchBatch)
	for i := range rows {
		rows[i] = delivery("deployments", *next)
		rows[i].Event.ID = analysis.DeriveID(rows[i].Event.ID)   // in no order, as the ids of events are
		rows[i].Raw = append(rows[i].Raw, make([]byte, 1200)...) // a CDEvent of ordinary size
		*next++
	}
	return rows
}

// acceptRows is what BenchmarkAccept measures.
func acceptRows(ctx context.Context, s *Store, lease *Lease, rows []Delivery, next int64) error {
	_, err := s.Accept(ctx, Batch{Lease: lease, NextOffset: next, Deliveries: rows, Now: t0})
	return err
}

// bareInsert is what it is compared with: the same rows, encoded beforehand, into a
// table without keys, with one prepared statement and one commit.
func bareInsert(ctx context.Context, s *Store, rows []Delivery, encoded []encoded) error {
	txn, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	insert, err := txn.PrepareContext(ctx, `INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i, d := range rows {
		if _, err := insert.ExecContext(ctx, d.Event.Source, d.Event.ID, d.ContentHash, d.Topic, d.Partition, d.Offset, d.Key, encoded[i].headers, d.Raw, encoded[i].event, nanos(t0)); err != nil {
			return errors.Join(err, txn.Rollback())
		}
	}
	return txn.Commit()
}

// BenchmarkAccept measures accepted events, in batches, and in the same run, batch
// by batch in turn, a bare insert of the same rows: "of_bare" is the rate of Accept
// as a part of the bare rate (1 = as fast).
func BenchmarkAccept(b *testing.B) {
	s := openTest(b)
	s.tamper(b, bareTable)
	lease := acquire(b, s, "bench")
	var next int64
	var ours, bare time.Duration
	for b.Loop() {
		b.StopTimer()
		rows := benchRows(&next)
		encoded, err := encodeDeliveries(rows)
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		if err := bareInsert(context.Background(), s, rows, encoded); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(begin)
		b.StartTimer()
		begin = time.Now()
		if err := acceptRows(b.Context(), s, &lease, rows, next); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(begin)
	}
	b.ReportMetric(float64(b.N*benchBatch)/ours.Seconds(), "events/s")
	b.ReportMetric(float64(b.N*benchBatch)/bare.Seconds(), "bare_events/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "of_bare")
}

// BenchmarkBareInsert is the yardstick alone.
func BenchmarkBareInsert(b *testing.B) {
	s := openTest(b)
	s.tamper(b, bareTable)
	var next int64
	for b.Loop() {
		b.StopTimer()
		rows := benchRows(&next)
		encoded, err := encodeDeliveries(rows)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := bareInsert(context.Background(), s, rows, encoded); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "events/s")
}
