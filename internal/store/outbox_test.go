package store

import (
	"reflect"
	"testing"
	"time"
)

func TestOutboxKeepsItsOrder(t *testing.T) {
	s := openTest(t)
	message := func(sink, id string) OutboxMessage {
		return OutboxMessage{Sink: sink, Key: "k", MessageID: id, ContentType: "text/plain", Headers: []Header{{"h", []byte{0xff}}}, Payload: []byte(id), CreatedAt: t0}
	}
	changed := message("kafka", "b")
	changed.Payload = []byte("another")
	apply(t, s, Change{Outbox: []OutboxMessage{message("kafka", "c"), message("webhook", "b"), message("kafka", "b"), message("kafka", "a"), changed}})

	pending := func(limit int) []OutboxMessage {
		t.Helper()
		got, err := s.PendingOutbox(t.Context(), "kafka", limit)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	order := func(messages []OutboxMessage) (of string) {
		for _, m := range messages {
			of += string(m.Payload)
		}
		return of
	}
	if got := order(pending(10)); got != "cba" { // in order of writing; the first of a name stays
		t.Errorf("pending: %s, want cba", got)
	}
	first := pending(1)
	want := message("kafka", "c")
	want.ID = first[0].ID
	if len(first) != 1 || !reflect.DeepEqual(first[0], want) {
		t.Errorf("pending: %+v, want %+v", first, want)
	}
	for range 2 {
		if err := s.MarkFailed(t.Context(), want.ID, "connection refused", t0.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	want.Attempts, want.LastError, want.TriedAt = 2, "connection refused", t0.Add(time.Second)
	if got := pending(1); !reflect.DeepEqual(got[0], want) {
		t.Errorf("after two failures: %+v, want %+v", got[0], want)
	}
	for range 2 {
		if err := s.MarkSent(t.Context(), []int64{want.ID, 999}, t0.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.MarkFailed(t.Context(), want.ID, "too late", t0); err != nil {
		t.Fatal(err)
	}
	if n := s.number(t, `SELECT attempts FROM outbox WHERE id = ?`, want.ID); n != 2 {
		t.Errorf("%d failed attempts, want the 2 before it was sent", n)
	}
	if got := order(pending(10)); got != "ba" {
		t.Errorf("after sending: %s, want ba", got)
	}
	apply(t, s, Change{Outbox: []OutboxMessage{message("kafka", "c")}}) // sent is sent
	if counts, err := s.CountOutbox(t.Context()); err != nil || !reflect.DeepEqual(counts, map[string]int64{"kafka": 2, "webhook": 1}) {
		t.Errorf("counts: %v, %v", counts, err)
	}
}
