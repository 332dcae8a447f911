package analysis_test

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Settings G of statistics 13 and the pod effects of 5.2, through the whole State.

func (w levelWorld) with(change func(*levelWorld)) levelWorld {
	change(&w)
	return w
}

// podsDiffer has pods differ for good, and a shorter day to tell it from.
func podsDiffer(sd float64, canary, baseline int) levelWorld {
	return settingsG.with(func(w *levelWorld) { w.podSD, w.canary, w.baseline, w.past = sd, canary, baseline, 6*time.Hour })
}

var (
	twoScales = settingsG.with(func(w *levelWorld) { w.slowPhi = .99 })
	noPast    = settingsG.with(func(w *levelWorld) { w.past = 0 })
	minutely  = settingsG.with(func(w *levelWorld) { w.cadence, w.phi = time.Minute, .656 }) // .9 in 15 s
)

func TestLevelPower(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name    string
		w       levelWorld
		effect  float64
		share   float64 // found within the hour at least
		minutes float64 // at the median at most
	}{
		{"x1.25", settingsG, 1.25, .95, 21},
		{"x1.5", settingsG, 1.5, 1, 5.8},
		{"x2", settingsG, 2, 1, 2},
		{"x2, 60-s rows", minutely, 2, 1, 9},
		{"x1.5, no history", noPast, 1.5, .9, 60},
		{"x1.5, x2 as noisy pods", settingsG.with(func(w *levelWorld) { w.sd = .16 }), 1.5, .8, 40},
	} {
		all := c.w.simulate(t, 150, c.w.histories(4), lasting(c.effect), harmed)
		got, median := share(all, harmed), medianMinutes(all, func(o outcome) time.Duration { return o.harm })
		t.Logf("%s: rolled back in %.3f, median %.1f min", c.name, got, median)
		if got < c.share || median > c.minutes {
			t.Errorf("%s: rolled back in %.3f after %.1f min, want %.2f after %.1f", c.name, got, median, c.share, c.minutes)
		}
	}
}

// After a long healthy start a regression is found by the restarts of the test.
func TestLevelLateOnset(t *testing.T) {
	slow(t)
	w := settingsG.with(func(w *levelWorld) { w.past, w.warmup = 6*time.Hour, 3*time.Minute })
	all := w.simulate(t, 150, w.histories(4), func(at time.Duration) float64 {
		if at > 30*time.Minute {
			return 1.5
		}
		return 1
	}, harmed)
	got, median := share(all, harmed), medianMinutes(all, func(o outcome) time.Duration { return o.harm })-30
	t.Logf("x1.5 from minute 30 on: rolled back in %.3f, %.1f min after the onset", got, median)
	if got < .95 || median > 5 {
		t.Errorf("x1.5 from minute 30 on: rolled back in %.3f, %.1f min after the onset", got, median)
	}
}

func TestLevelPromotes(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name    string
		w       levelWorld
		share   float64 // promoted within the hour at least
		minutes float64 // at the median at most
	}{
		{"settings G", settingsG, .95, 13.5},
		{"60-s rows", minutely, .9, 30},
		{"pods differ by 5%, 1 v 9", podsDiffer(.05, 1, 9), .5, 60},
	} {
		all := c.w.simulate(t, 200, c.w.histories(8), lasting(1), ended)
		got, median := share(all, promoted), medianMinutes(all, func(o outcome) time.Duration { return o.safety })
		t.Logf("%s: promoted in %.3f, median %.1f min", c.name, got, median)
		if got < c.share || median > c.minutes {
			t.Errorf("%s: promoted in %.3f after %.1f min, want %.2f after %.1f", c.name, got, median, c.share, c.minutes)
		}
	}
}

// A canary on the tolerance is acceptable: each rollback is false.
func TestLevelFalseRollbacks(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name   string
		w      levelWorld
		effect float64
		runs   int
	}{
		{"null", settingsG, 1, 300},
		{"true +5%", settingsG, 1.05, 600},
		{"true +5%, 60-s rows", minutely, 1.05, 600},
		{"two-scale noise", twoScales, 1, 300},
		{"true +5%, two-scale noise", twoScales, 1.05, 300},
		{"pods differ by 5%, 1 v 9", podsDiffer(.05, 1, 9), 1.05, 300},
		{"pods differ by 5%, 3 v 3", podsDiffer(.05, 3, 3), 1.05, 300},
		{"true +5%, heavy tails", settingsG.with(func(w *levelWorld) { w.heavy, w.past = true, 6*time.Hour }), 1.05, 300},
		{"true +5%, no history", noPast, 1.05, 600},
	} {
		all := c.w.simulate(t, c.runs, c.w.histories(4), lasting(c.effect), harmed)
		got := share(all, harmed)
		t.Logf("%s: rolled back in %.4f of %d runs", c.name, got, c.runs)
		if want := limit(.01, c.runs); got > want {
			t.Errorf("%s: rolled back in %.4f of %d runs, want at most %.4f", c.name, got, c.runs, want)
		}
	}
}

// A canary on the margin is unacceptable: each promote is false.
func TestLevelFalsePromotes(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name string
		w    levelWorld
	}{
		{"settings G", settingsG},
		{"two-scale noise", twoScales},
		{"60-s rows", minutely},
		{"pods differ by 5%, 1 v 9", podsDiffer(.05, 1, 9)},
		{"pods differ by 5%, 1 v 3", podsDiffer(.05, 1, 3)},
		{"pods differ by 10%, 1 v 9", podsDiffer(.1, 1, 9)},
		{"no history", noPast},
	} {
		const runs = 200
		all := c.w.simulate(t, runs, c.w.histories(10), lasting(1.2), promoted)
		got := share(all, promoted)
		t.Logf("%s: promoted in %.4f of %d runs", c.name, got, runs)
		if want := limit(.05, runs); got > want {
			t.Errorf("%s: promoted in %.4f of %d runs, want at most %.4f", c.name, got, runs, want)
		}
	}
}

// beforeAfter has an hour of minutes before the deployment and half an hour after it,
// no baseline beside the canary, and one pod whose noise is 10 % (statistics 7.1).
func beforeAfter(phi float64) levelWorld {
	return levelWorld{
		cadence: time.Minute, deadline: 30 * time.Minute, canary: 1, phi: phi, sd: .1, load: .2, control: true,
		past: time.Hour, window: analysis.PreviousWindow,
		target: func(o *analysis.Objective) { o.BeforeAfterPromote = true },
	}
}

func TestLevelBeforeAfter(t *testing.T) {
	slow(t)
	const runs = 1000
	for _, c := range []struct {
		phi             float64
		promoted, found float64 // of healthy canaries, of +50 %, at least
	}{
		{.5, .56, .93},
		{.9, .05, .2},
	} {
		w := beforeAfter(c.phi)
		pool := w.histories(50)
		healthy := share(w.simulate(t, runs, pool, lasting(1), ended), promoted)
		found := share(w.simulate(t, runs, pool, lasting(1.5), harmed), harmed)
		alarms := share(w.simulate(t, runs, pool, lasting(1.05), harmed), harmed)
		missed := share(w.simulate(t, runs, pool, lasting(1.25), promoted), promoted)
		t.Logf("AR %v: healthy promoted %.3f, +50%% found %.3f, false rollbacks %.4f, promoted at +25%% %.4f", c.phi, healthy, found, alarms, missed)
		if healthy < c.promoted || found < c.found {
			t.Errorf("AR %v: healthy promoted in %.3f, +50%% found in %.3f, want %.2f and %.2f", c.phi, healthy, found, c.promoted, c.found)
		}
		if alarms > limit(.01, runs) || missed > limit(.05, runs) {
			t.Errorf("AR %v: false rollbacks %.4f, false promotes %.4f", c.phi, alarms, missed)
		}
	}
}

// Without a control, harm is the release's only where it began with the switch: an
// incident a quarter of an hour later is not blamed on it.
func TestLevelWithoutControl(t *testing.T) {
	slow(t)
	w := beforeAfter(.5)
	w.control, w.load = false, 0
	pool := w.histories(20)
	incident := func(at time.Duration) float64 {
		if at > 15*time.Minute {
			return 2
		}
		return 1
	}
	const runs = 200
	found := share(w.simulate(t, runs, pool, lasting(2), harmed), harmed)
	blamed := share(w.simulate(t, runs, pool, incident, harmed), harmed)
	alarms := share(w.simulate(t, runs, pool, lasting(1.05), harmed), harmed)
	t.Logf("x2 from the switch on found %.3f, a later incident blamed %.3f, false rollbacks %.4f", found, blamed, alarms)
	if found < .9 || blamed > .02 || alarms > limit(.01, runs) {
		t.Errorf("x2 from the switch on found in %.3f, a later incident blamed in %.3f, false rollbacks %.4f", found, blamed, alarms)
	}
	w.control, w.load = true, .2
	if blamed := share(w.simulate(t, runs, w.histories(20), incident, harmed), harmed); blamed < .5 {
		t.Errorf("with a control the same shift of the canary alone is found in %.3f", blamed)
	}
}

// Compared with both, a canary rolls back on either, and promotes on the baseline
// beside it only.
func TestLevelComparesWithBoth(t *testing.T) {
	slow(t)
	w := settingsG.with(func(w *levelWorld) { w.window, w.control, w.past = analysis.Both, true, 6*time.Hour })
	pool := w.histories(4)
	const runs = 100
	found := share(w.simulate(t, runs, pool, lasting(1.5), harmed), harmed)
	healthy := share(w.simulate(t, runs, pool, lasting(1), ended), promoted)
	alarms := share(w.simulate(t, runs, pool, lasting(1.05), harmed), harmed)
	t.Logf("+50%% found %.2f, healthy promoted %.2f, false rollbacks %.2f", found, healthy, alarms)
	if found < .95 || healthy < .9 || alarms > limit(.01, runs) {
		t.Errorf("+50%% found in %.2f, healthy promoted in %.2f, false rollbacks %.2f", found, healthy, alarms)
	}
}
