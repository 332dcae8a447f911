package analysis_test

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A canary that breaks shortly before the bake ends must not be promoted on its
// healthy start (statistics 1.1 has .025 for x5 from minute 9 at 1 000 requests a
// second).
func TestLateBreakIsNotPromoted(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		name   string
		w      setting
		rps    float64
		ratio  float64
		onset  time.Duration
		atMost float64
	}{
		{"ratio, x5 from minute 9", settingsE, 1000, 5, 9 * time.Minute, .05},
		{"affine, x5 from minute 9", settingsBudget, 1000, 5, 9 * time.Minute, .05},
		{"affine, x5 from minute 7", settingsBudget, 1000, 5, 7 * time.Minute, .05},
		{"affine, x5 from minute 5", settingsBudget, 1000, 5, 5 * time.Minute, .05},
		{"affine, x5 from minute 5, a fifth of the traffic", settingsBudget, 200, 5, 5 * time.Minute, .05},
		// One minute of 20 requests a second cannot always tell: .34 are promoted,
		// without the veto all of them.
		{"affine, x5 from minute 9, a fifth of the traffic", settingsBudget, 200, 5, 9 * time.Minute, .5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := c.w
			w.rps = c.rps
			all := w.simulate(t, 100, poissonHistories(), poisson, func(*analysis.Plan) rates {
				return func(at time.Duration) (float64, float64) {
					if at > c.onset {
						return c.ratio * w.rate, w.rate
					}
					return w.rate, w.rate
				}
			}, ended)
			got := share(all, func(o outcome) bool { return promoted(o) && !harmed(o) })
			t.Logf("promoted in %.2f, rolled back in %.2f", got, share(all, harmed))
			if got > c.atMost {
				t.Errorf("promoted in %.2f of the runs, want at most %v", got, c.atMost)
			}
		})
	}
}

// What both arms share is no break, and neither is a single error.
func TestLateBreakVetoesTheCanaryOnly(t *testing.T) {
	for _, c := range []struct {
		name   string
		xC, xB float64 // of the newest minute; 40 and 160 requests a second
		want   analysis.CheckState
	}{
		{"quiet", 2, 10, analysis.Good},
		{"a bad minute of both arms", 36, 144, analysis.Good},
		{"a bad minute of the canary", 36, 10, analysis.Undecided},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := setting{cadence: time.Minute, deadline: time.Hour, rps: 200, share: .2, rate: .001, target: .995}
			s := newState(t, w.plan(t, analysis.History{Bad: 100, Exposure: 100_000, BadHour: 100, HourTotal: 100_000, HourSpan: 60}))
			fold := func(xC, xB float64) {
				f, _ := s.Next(0)
				err := s.Fold(&analysis.Evidence{Objective: "errors", Fold: f, Rows: []analysis.ArmRow{
					{Arm: analysis.Baseline, Pod: "b", Bad: xB, Exposure: 9600, Received: 1},
					{Arm: analysis.Canary, Pod: "c", Bad: xC, Exposure: 2400, Received: 1},
				}})
				if err != nil {
					t.Fatal(err)
				}
				s.Assess()
			}
			for range 50 {
				fold(2, 10)
			}
			fold(c.xC, c.xB)
			if f := s.Assess()[0]; float64(f.EPromote) < 20 {
				t.Fatalf("the run must be safe as a whole, E = %v", f.EPromote)
			}
			got := s.Checks().Safety
			if got.State != c.want || c.want != analysis.Good && got.Code != analysis.LateBreak {
				t.Errorf("%+v, want %v", got, c.want)
			}
		})
	}
}
