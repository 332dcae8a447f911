package analysis_test

import (
	"testing"
	"time"
)

// Settings L of statistics 13, through the whole State: thresholds from a day before,
// phi learned by package history from simulated minute sums, restarts, minEvents and the
// worst fold on.

// in returns w with another layout and cadence.
func (w latencySetting) in(l layout, cadence time.Duration) latencySetting {
	w.layout, w.cadence = l, cadence
	return w
}

const (
	tick    = 5 * time.Second
	quarter = 15 * time.Second
)

func TestLatencyFalseRollbacks(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name string
		w    latencySetting
		runs int
		slow slowdown
	}{
		{"exact, no change", settingsL, 40, by(1)},
		{"exact, +5 %", settingsL.in(exact, quarter), 300, by(1.05)},
		{"exact, +5 % in shared slowness", settingsL.in(exact, quarter), 100, sharedSlowness(1.05)},
		{"exact, pods differ by 5 %", settingsL, 100, by(1).noisy(.05)},
		{"exact, +5 %, cadence 60 s", settingsL.in(exact, time.Minute), 600, by(1.05)},
		{"schema 5, +5 %", settingsL.in(exponential(5), quarter), 200, by(1.05)},
		{"schema 3, +5 %", settingsL.in(exponential(3), quarter), 200, by(1.05)},
		{"classic, +5 %", settingsL.in(classic, quarter), 400, by(1.05)},
		{"classic, +5 % in shared slowness", settingsL.in(classic, quarter), 100, sharedSlowness(1.05)},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			all := c.w.simulate(t, c.runs, c.w.plans(t, c.slow.noise), c.slow, harmed)
			got := share(all, harmed)
			t.Logf("rolled back in %.4f of %d runs; %.1f s", got, c.runs, time.Since(started).Seconds())
			if want := max(.017, limit(.01, c.runs)); got > want {
				t.Errorf("rolled back in %.4f of %d runs, want at most %.4f", got, c.runs, want)
			}
		})
	}
}

// A canary that is slower by the margin is unacceptable, and so is one of whose requests
// 5 % take three times as long.
func TestLatencyFalsePromotes(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name string
		w    latencySetting
		runs int
		slow slowdown
	}{
		{"exact, +20 %", settingsL.in(exact, quarter), 200, by(1.2)},
		{"exact, +20 %, cadence 60 s", settingsL.in(exact, time.Minute), 600, by(1.2)},
		{"schema 5, +20 %", settingsL.in(exponential(5), quarter), 100, by(1.2)},
		{"schema 3, +20 %", settingsL.in(exponential(3), quarter), 100, by(1.2)},
		{"classic, +20 %", settingsL.in(classic, quarter), 400, by(1.2)},
		{"exact, 5 % of the requests x3", settingsL.in(exact, quarter), 100, tail(.05, 3)},
		{"classic, 5 % of the requests x3", settingsL.in(classic, quarter), 100, tail(.05, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			all := c.w.simulate(t, c.runs, c.w.plans(t, 0), c.slow, promoted)
			got := share(all, promoted)
			t.Logf("shown safe in %.4f of %d runs; %.1f s", got, c.runs, time.Since(started).Seconds())
			if want := limit(.05, c.runs); got > want {
				t.Errorf("shown safe in %.4f of %d runs, want at most %.4f", got, c.runs, want)
			}
		})
	}
}

// Power, next to what section 13 publishes for a test without restarts, minEvents and
// the worst fold, which together cost about a quarter of the time and, of what is found
// at once, two folds: +10 % in 11.9 minutes, +25 % in 0.8 to 1.8, +50 % in 0.2 to 0.3.
func TestLatencyPower(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name   string
		w      latencySetting
		slow   slowdown
		share  float64 // found, at least
		atMost float64 // minutes, median
	}{
		{"exact, +10 %", settingsL, by(1.1), .97, 16},
		{"exact, +25 %", settingsL, by(1.25), 1, 1.5},
		{"exact, +50 %", settingsL, by(1.5), 1, .5},
		{"exact, +100 %", settingsL, by(2), 1, .34},
		{"exact, 5 % of the requests x3", settingsL, tail(.05, 3), 1, 4.5},
		{"exact, +25 %, cadence 15 s", settingsL.in(exact, quarter), by(1.25), 1, 2},
		{"exact, +25 %, cadence 60 s", settingsL.in(exact, time.Minute), by(1.25), 1, 4},
		{"schema 5, +10 %", settingsL.in(exponential(5), quarter), by(1.1), .85, 40},
		{"schema 5, +25 %", settingsL.in(exponential(5), tick), by(1.25), 1, 1.7},
		{"schema 5, 5 % of the requests x3", settingsL.in(exponential(5), tick), tail(.05, 3), 1, 5.5},
		{"schema 3, +25 %", settingsL.in(exponential(3), tick), by(1.25), 1, 2.2},
		{"classic, +10 %", settingsL.in(classic, quarter), by(1.1), .6, 55},
		{"classic, +25 %", settingsL.in(classic, tick), by(1.25), 1, 2},
		{"classic, +50 %", settingsL.in(classic, tick), by(1.5), 1, .7},
		{"classic, 5 % of the requests x3", settingsL.in(classic, tick), tail(.05, 3), 1, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := c.w.simulate(t, 60, c.w.plans(t, 0), c.slow, harmed)
			found := share(all, harmed)
			when := medianMinutes(all, func(o outcome) time.Duration { return o.harm })
			t.Logf("found in %.3f of the runs, median %.2f min", found, when)
			if found < c.share || when > c.atMost {
				t.Errorf("found in %.3f of the runs, median %.2f min, want %v and at most %v", found, when, c.share, c.atMost)
			}
		})
	}
}

func TestHealthyLatencyIsShownSafe(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name   string
		w      latencySetting
		atMost float64 // minutes, median
	}{
		{"exact", settingsL, 4.8},
		{"schema 5", settingsL.in(exponential(5), tick), 4.6},
		{"schema 3", settingsL.in(exponential(3), tick), 5.5},
		{"classic", settingsL.in(classic, tick), 6},
		{"exact, cadence 60 s", settingsL.in(exact, time.Minute), 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := c.w.simulate(t, 100, c.w.plans(t, 0), by(1), ended)
			got := share(all, promoted)
			when := medianMinutes(all, func(o outcome) time.Duration { return o.safety })
			t.Logf("shown safe in %.3f, median %.1f min; rolled back in %.3f", got, when, share(all, harmed))
			if got < .97 || when > c.atMost {
				t.Errorf("shown safe in %.3f, median %.1f min, want at least .97 and at most %v", got, when, c.atMost)
			}
		})
	}
}
