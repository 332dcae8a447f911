package main

import (
	"log/slog"
	"testing"
	"time"
)

// TestSteadyClock moves a wall clock about: the time that is told follows small
// corrections at once, a jump only once it has lasted, and never runs ahead.
func TestSteadyClock(t *testing.T) {
	began := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	var elapsed, off time.Duration
	c := steadyClockOf(func() (time.Time, time.Duration) { return began.Add(elapsed + off), elapsed }, slog.New(slog.DiscardHandler))
	for _, step := range []struct {
		name               string
		after, wallAhead   time.Duration // elapsed since the step before; the wall clock against the true time
		wantAhead, wantOff time.Duration // what is told against the true time; jumped
	}{
		{"nothing", time.Minute, 0, 0, 0},
		{"a leap second", time.Second, -time.Second, -time.Second, 0},
		{"slewed", time.Second, 3 * time.Second, 3 * time.Second, 0},
		{"an hour ahead", time.Second, time.Hour, 3 * time.Second, time.Hour - 3*time.Second},
		{"still", 4 * time.Minute, time.Hour, 3 * time.Second, time.Hour - 3*time.Second},
		{"and back", time.Second, 0, 0, 0},
		{"an hour behind", time.Second, -time.Hour, 0, -time.Hour},
		{"two hours behind: believed from now", 4 * time.Minute, -2 * time.Hour, 0, -2 * time.Hour},
		{"not yet", 4 * time.Minute, -2 * time.Hour, 0, -2 * time.Hour},
		{"it stays", time.Minute, -2 * time.Hour, -2 * time.Hour, 0},
		{"put right", time.Second, 0, -2 * time.Hour, 2 * time.Hour},
		{"for good", believed, 0, 0, 0},
	} {
		elapsed, off = elapsed+step.after, step.wallAhead
		if ahead := c.now().Sub(began.Add(elapsed)); ahead != step.wantAhead {
			t.Errorf("%s: the time told is %v ahead, want %v", step.name, ahead, step.wantAhead)
		}
		if got := c.jumped(); got != step.wantOff {
			t.Errorf("%s: jumped %v, want %v", step.name, got, step.wantOff)
		}
	}
}
