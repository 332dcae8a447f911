package main

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// followed is how far the wall clock may be from ours to be followed at once: what
	// NTP slews, and what a leap second does.
	followed = 5 * time.Second
	// believed is how long a wall clock that has jumped further must stay where it is
	// to be followed. A fold that is closed before its time is closed without data, so
	// a jump that is taken back must do nothing.
	believed = 5 * time.Minute
)

// A steadyClock tells the time by which the process works: that of the wall clock, but
// counted by the monotonic one where the wall clock jumps. It never jumps by itself.
type steadyClock struct {
	read func() (wall time.Time, elapsed time.Duration)
	log  *slog.Logger

	mu     sync.Mutex
	origin time.Time     // at elapsed 0, as it is told
	astray time.Duration // how far the wall clock is ahead of what is told; 0: it is followed
	since  time.Duration // elapsed since it went there
}

func newSteadyClock(log *slog.Logger) *steadyClock {
	began := time.Now()
	return steadyClockOf(func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(began)
	}, log)
}

func steadyClockOf(read func() (time.Time, time.Duration), log *slog.Logger) *steadyClock {
	wall, elapsed := read()
	return &steadyClock{read: read, log: log, origin: wall.Add(-elapsed)}
}

// now is the time by which the process works.
func (c *steadyClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, elapsed := c.read()
	ahead := wall.Sub(c.origin.Add(elapsed))
	switch {
	case ahead.Abs() <= followed:
		if c.astray != 0 {
			c.log.Info("the clock of this machine is back where it was", "away", elapsed-c.since)
		}
		c.follow(wall, elapsed)
	case (ahead - c.astray).Abs() > followed: // it has jumped just now
		c.astray, c.since = ahead, elapsed
		c.log.Warn("the clock of this machine has jumped, the time is counted from before", "by", ahead, "followedIn", believed)
	case elapsed-c.since >= believed:
		c.log.Warn("the clock of this machine stays where it jumped to and is followed", "by", ahead)
		c.follow(wall, elapsed)
	}
	return c.origin.Add(elapsed)
}

func (c *steadyClock) follow(wall time.Time, elapsed time.Duration) {
	c.origin, c.astray = wall.Add(-elapsed), 0
}

// jumped is how far the wall clock is away from the time that is told; 0 while it is
// followed.
func (c *steadyClock) jumped() time.Duration {
	c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.astray
}
