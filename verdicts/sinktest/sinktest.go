// Package sinktest is what every sink must pass: [Run] holds it against the
// contract of [verdicts.Sink].
//
// A sink is tested together with a receiver that reads what was delivered, real
// where there is one. The suite publishes, repeats, breaks and heals; it does not
// test formats, performance or authentication, which are the sink's own.
package sinktest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/verdicts"
)

// A Harness is a sink and its receiver.
type Harness struct {
	Sink verdicts.Sink
	// Received returns everything that was delivered so far, repetitions included,
	// in order for each key. It may wait for what is under way.
	Received func(t testing.TB) []verdicts.Message
	// Break makes the receiver unreachable, and reachable again. Nil where that
	// cannot be done; the tests that need it are left out.
	Break func(t testing.TB, broken bool)
	// MaxPayload is the largest payload that the sink takes; 0: there is no limit.
	MaxPayload int
}

// within bounds every single publication.
const within = 30 * time.Second

// Run tests a sink. open makes a harness with an empty receiver; it cleans up by
// itself.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"name", name},
		{"delivers what it is given", delivers},
		{"publishing twice is publishing once", twice},
		{"order of a key", order},
		{"leaves the message alone", alone},
		{"ends with its context", ends},
		{"refuses what has no name", nameless},
		{"refuses what is too large", large},
		{"heals", heals},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Message returns the n-th message of a key.
func Message(key string, n int) verdicts.Message {
	return verdicts.Message{
		ID: fmt.Sprintf("%s-%d", key, n), Key: "prod//" + key, ContentType: "application/json",
		Headers: []verdicts.Header{{Key: "ce_id", Value: []byte(fmt.Sprintf("%s-%d", key, n))}, {Key: "ce_note", Value: []byte("ä✓")}},
		Payload: fmt.Appendf(nil, `{"n": %d, "text": "<\u2028ä>"}`, n),
	}
}

func publish(t *testing.T, h Harness, m verdicts.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := h.Sink.Publish(ctx, m); err != nil {
		t.Fatalf("publish %s: %v", m.ID, err)
	}
}

// once returns what was received, repetitions dropped, as receivers do.
func once(t *testing.T, h Harness) []verdicts.Message {
	t.Helper()
	var out []verdicts.Message
	for _, m := range h.Received(t) {
		first := slices.IndexFunc(out, func(o verdicts.Message) bool { return o.ID == m.ID })
		if first < 0 {
			out = append(out, m)
			continue
		}
		if !bytes.Equal(out[first].Payload, m.Payload) || out[first].Key != m.Key {
			t.Errorf("%s was delivered with two contents", m.ID)
		}
	}
	return out
}

func name(t *testing.T, h Harness) {
	if a, b := h.Sink.Name(), h.Sink.Name(); a == "" || a != b {
		t.Errorf("names %q and %q", a, b)
	}
}

func delivers(t *testing.T, h Harness) {
	want := Message("checkout", 1)
	publish(t, h, want)
	got := once(t, h)
	if len(got) != 1 {
		t.Fatalf("%d messages were received, want 1", len(got))
	}
	g := got[0]
	if g.ID != want.ID || g.Key != want.Key || g.ContentType != want.ContentType || !bytes.Equal(g.Payload, want.Payload) {
		t.Errorf("received %+v, want %+v", g, want)
	}
	for _, h := range want.Headers {
		if !slices.ContainsFunc(g.Headers, func(o verdicts.Header) bool { return o.Key == h.Key && bytes.Equal(o.Value, h.Value) }) {
			t.Errorf("header %s is missing or another: %+v", h.Key, g.Headers)
		}
	}
}

func twice(t *testing.T, h Harness) {
	for range 3 {
		publish(t, h, Message("checkout", 1))
	}
	if got := once(t, h); len(got) != 1 {
		t.Errorf("%d messages are left when repetitions are dropped, want 1", len(got))
	}
}

func order(t *testing.T, h Harness) {
	const n = 10
	for i := range n {
		publish(t, h, Message("checkout", i))
		publish(t, h, Message("cart", i))
	}
	next := map[string]int{}
	for _, m := range once(t, h) {
		if want := Message(m.Key[len("prod//"):], next[m.Key]); m.ID != want.ID {
			t.Errorf("received %s where %s was published", m.ID, want.ID)
		}
		next[m.Key]++
	}
	if next["prod//checkout"] != n || next["prod//cart"] != n {
		t.Errorf("received %v, want %d of each", next, n)
	}
}

func alone(t *testing.T, h Harness) {
	m, want := Message("checkout", 1), Message("checkout", 1)
	publish(t, h, m)
	if m.ID != want.ID || m.Key != want.Key || !bytes.Equal(m.Payload, want.Payload) || len(m.Headers) != len(want.Headers) ||
		m.Headers[0].Key != want.Headers[0].Key || !bytes.Equal(m.Headers[0].Value, want.Headers[0].Value) {
		t.Errorf("the sink has changed the message to %+v", m)
	}
}

func ends(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	err := h.Sink.Publish(ctx, Message("checkout", 1))
	if err == nil || verdicts.IsPermanent(err) {
		t.Errorf("a done context gives %v, want a temporary error", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	publish(t, h, Message("checkout", 1)) // the sink still works
}

func nameless(t *testing.T, h Harness) {
	m := Message("checkout", 1)
	m.ID = ""
	if err := h.Sink.Publish(t.Context(), m); !verdicts.IsPermanent(err) {
		t.Errorf("a message without id gives %v, want a permanent error: nobody could drop its repetition", err)
	}
	if got := h.Received(t); len(got) != 0 {
		t.Errorf("it was delivered: %+v", got)
	}
}

func large(t *testing.T, h Harness) {
	if h.MaxPayload == 0 {
		t.Skip("the sink has no limit")
	}
	m := Message("checkout", 1)
	m.Payload = bytes.Repeat([]byte("x"), h.MaxPayload+1)
	if err := h.Sink.Publish(t.Context(), m); !verdicts.IsPermanent(err) {
		t.Errorf("%d bytes give %v, want a permanent error", len(m.Payload), err)
	}
	m = Message("checkout", 2)
	m.Payload = bytes.Repeat([]byte("x"), h.MaxPayload)
	publish(t, h, m)
	if got := once(t, h); len(got) != 1 || len(got[0].Payload) != h.MaxPayload {
		t.Errorf("%d messages were received, want the one of %d bytes", len(got), h.MaxPayload)
	}
}

func heals(t *testing.T, h Harness) {
	if h.Break == nil {
		t.Skip("the receiver cannot be broken")
	}
	publish(t, h, Message("checkout", 0))
	h.Break(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := h.Sink.Publish(ctx, Message("checkout", 1)); err == nil || verdicts.IsPermanent(err) {
		t.Errorf("an unreachable receiver gives %v, want a temporary error", err)
	}
	h.Break(t, false)
	deadline := time.Now().Add(within)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		err := h.Sink.Publish(ctx, Message("checkout", 1))
		cancel()
		if err == nil {
			break
		}
		if verdicts.IsPermanent(err) || time.Now().After(deadline) {
			t.Fatalf("the receiver is back, and still: %v", err)
		}
		pause, done := context.WithTimeout(t.Context(), 100*time.Millisecond)
		<-pause.Done()
		done()
	}
	if got := once(t, h); len(got) != 2 {
		t.Errorf("%d messages were received, want 2", len(got))
	}
}
