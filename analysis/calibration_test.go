package analysis_test

import (
	"math"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// The tables of statistics 13, through the whole State: phi learned by package
// history from simulated minute sums, restarts, minEvents and the worst fold on.
// A share is compared with its nominal level plus three standard errors.

func limit(alpha float64, runs int) float64 {
	return alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(runs))
}

func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("simulation")
	}
}

// settingsBudget has an SLO of 98% and hence the affine null.
var settingsBudget = func() setting {
	w := settingsE
	w.target = .98
	return w
}()

// settingsTenth has so little traffic that safety is decided late, long after the
// bake.
var settingsTenth = func() setting {
	w := settingsBudget
	w.rps /= 10
	w.cadence = 15 * time.Second
	return w
}()

func withCadence(w setting, cadence time.Duration) setting {
	w.cadence = cadence
	return w
}

// atTolerance is the canary on the boundary of what is acceptable, atMargin on the
// boundary of what is not.
func (w setting) atTolerance(p *analysis.Plan) rates {
	return steady(w.line(p.Objectives[0].ToleranceBound), w.rate)
}

func (w setting) atMargin(p *analysis.Plan) rates {
	return steady(w.line(p.Objectives[0].MarginBound), w.rate)
}

func (w setting) line(b analysis.Bound) float64 {
	return b.Ratio*w.rate + b.Budget*(1-w.target)
}

// times is a canary with f times the baseline's rate.
func (w setting) times(f float64) func(*analysis.Plan) rates {
	return func(*analysis.Plan) rates { return steady(f*w.rate, w.rate) }
}

// incident has both arms fail six times as often for five minutes twice.
func (w setting) incident(*analysis.Plan) rates {
	return func(t time.Duration) (pC, pB float64) {
		if m := t.Minutes(); 12 < m && m <= 17 || 40 < m && m <= 45 {
			return 6 * w.rate, 6 * w.rate
		}
		return w.rate, w.rate
	}
}

func TestFalseRollbacks(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name  string
		w     setting
		runs  int
		draw  drawer
		hist  func() []analysis.History
		truth func(*analysis.Plan) rates
		null  analysis.Null
	}{
		{"ratio, true ratio 1.05", settingsE, 2000, poisson, poissonHistories, settingsE.atTolerance, analysis.NullRatio},
		{"affine, on the tolerance", settingsBudget, 2000, poisson, poissonHistories, settingsBudget.atTolerance, analysis.NullAffine},
		{"ratio, clusters of phi 5", settingsE, 1000, clustered, clusteredHistories, settingsE.times(1), analysis.NullRatio},
		{"affine, clusters of phi 5", settingsBudget, 500, clustered, clusteredHistories, settingsBudget.atTolerance, analysis.NullAffine},
		{"ratio, shared incidents", settingsE, 300, poisson, poissonHistories, settingsE.incident, analysis.NullRatio},
		{"affine, shared incidents", settingsBudget, 300, poisson, poissonHistories, settingsBudget.incident, analysis.NullAffine},
		{"ratio, true ratio 1.05, cadence 15 s", withCadence(settingsE, 15*time.Second), 600, poisson, poissonHistories, settingsE.atTolerance, analysis.NullRatio},
		{"ratio, true ratio 1.05, cadence 60 s", withCadence(settingsE, 60*time.Second), 1000, poisson, poissonHistories, settingsE.atTolerance, analysis.NullRatio},
		{"affine, on the tolerance, cadence 60 s", withCadence(settingsBudget, 60*time.Second), 1000, poisson, poissonHistories, settingsBudget.atTolerance, analysis.NullAffine},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			pool := c.hist()
			if got := c.w.plan(t, pool[0]).Objectives[0].Null; got != c.null {
				t.Fatalf("null %q, want %q", got, c.null)
			}
			all := c.w.simulate(t, c.runs, pool, c.draw, c.truth, harmed)
			got := share(all, harmed)
			t.Logf("rolled back in %.4f of %d runs; %.1f s", got, c.runs, time.Since(started).Seconds())
			if want := min(.017, limit(.01, c.runs)); got > want {
				t.Errorf("rolled back in %.4f of %d runs, want at most %.4f", got, c.runs, want)
			}
		})
	}
}

// A canary on the margin is unacceptable: safety after the bake is a false promote.
func TestFalsePromotes(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name string
		w    setting
		runs int
		draw drawer
		hist func() []analysis.History
	}{
		{"ratio, true ratio 1.25", settingsE, 500, poisson, poissonHistories},
		{"affine, on the margin", settingsBudget, 1000, poisson, poissonHistories},
		{"affine, on the margin, clusters of phi 5", settingsBudget, 500, clustered, clusteredHistories},
		{"affine, on the margin, a tenth of the traffic", settingsTenth, 1000, poisson, poissonHistories},
		{"ratio, cadence 60 s", withCadence(settingsE, 60*time.Second), 1000, poisson, poissonHistories},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			all := c.w.simulate(t, c.runs, c.hist(), c.draw, c.w.atMargin, promoted)
			got := share(all, promoted)
			t.Logf("promoted in %.4f of %d runs; %.1f s", got, c.runs, time.Since(started).Seconds())
			if want := limit(.05, c.runs); got > want {
				t.Errorf("promoted in %.4f of %d runs, want at most %.4f", got, c.runs, want)
			}
		})
	}
}

// Power, at what section 13 publishes: x2 in 3.6 minutes, x5 in 0.4, at a cadence
// of 5 s; a healthy canary promoted in .92.
func TestPower(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name    string
		w       setting
		ratio   float64
		atMost  float64 // minutes, median
		atLeast float64
	}{
		{"x5", settingsE, 5, 1, .2},
		{"x2", settingsE, 2, 6, 2},
		{"x1.5", settingsE, 1.5, 18, 6},
		{"x5, cadence 15 s", withCadence(settingsE, 15*time.Second), 5, 1.5, .5},
		{"x2, cadence 15 s", withCadence(settingsE, 15*time.Second), 2, 6, 2},
		{"x5, cadence 60 s", withCadence(settingsE, 60*time.Second), 5, 3, 3}, // three folds with events
		{"x2, cadence 60 s", withCadence(settingsE, 60*time.Second), 2, 7, 3},
		{"affine x5", settingsBudget, 5, 2, .3},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := c.w.simulate(t, 200, poissonHistories(), poisson, c.w.times(c.ratio), harmed)
			got := medianMinutes(all, func(o outcome) time.Duration { return o.harm })
			t.Logf("found in %.3f of the runs, median %.2f min", share(all, harmed), got)
			if got > c.atMost || got < c.atLeast {
				t.Errorf("median %.2f min, want %v to %v", got, c.atLeast, c.atMost)
			}
		})
	}
}

func TestHealthyCanariesArePromoted(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name      string
		w         setting
		low, high float64
		median    float64 // minutes, at most
	}{
		{"ratio", settingsE, .82, .97, 25},
		{"affine", settingsBudget, .98, 1, 12},
		{"ratio, cadence 60 s", withCadence(settingsE, 60*time.Second), .80, .97, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := c.w.simulate(t, 300, poissonHistories(), poisson, c.w.times(1), ended)
			got := share(all, promoted)
			when := medianMinutes(all, func(o outcome) time.Duration { return o.safety })
			t.Logf("promoted in %.3f, median %.1f min; rolled back in %.3f", got, when, share(all, harmed))
			if got < c.low || got > c.high {
				t.Errorf("promoted in %.3f, want %v to %v", got, c.low, c.high)
			}
			if when > c.median {
				t.Errorf("median %.1f min, want at most %v", when, c.median)
			}
		})
	}
}

// A regression that begins half an hour in would have half an hour to climb back
// without restarts.
func TestLateOnsetIsFound(t *testing.T) {
	slow(t)
	w := settingsE
	all := w.simulate(t, 200, poissonHistories(), poisson, func(*analysis.Plan) rates {
		return func(t time.Duration) (float64, float64) {
			if t > 30*time.Minute {
				return 2 * w.rate, w.rate
			}
			return w.rate, w.rate
		}
	}, harmed)
	got := medianMinutes(all, func(o outcome) time.Duration { return max(0, o.harm-30*time.Minute) })
	t.Logf("found in %.3f, median %.1f min after the onset", share(all, harmed), got)
	if got > 9 {
		t.Errorf("median %.1f min after the onset, want at most 9", got)
	}
}
