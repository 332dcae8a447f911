package analysis_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Old pods have filled their caches: against them no leak is told, and none absent.
func TestLeakNeedsFreshBaseline(t *testing.T) {
	for _, c := range []struct {
		name string
		w    leakWorld
		code analysis.Code
	}{
		{"an hour old", leakWorld{deadline: 2 * time.Hour, age: time.Hour}, analysis.NeedsFreshBaseline},
		{"16 minutes old", leakWorld{deadline: 2 * time.Hour, age: 16 * time.Minute}, analysis.NeedsFreshBaseline},
		{"15 minutes old", leakWorld{deadline: 2 * time.Hour, age: 15 * time.Minute, limit: 1e6}, analysis.AllSafe},
		{"no history", leakWorld{deadline: 2 * time.Hour, noPast: true}, analysis.NeedsHistory},
	} {
		_, s := c.w.run(t, c.w.plan(t, 1), 1, 0, 0)
		if got := s.Checks().Safety; got.Code != c.code || (got.State == analysis.Good) != (c.code == analysis.AllSafe) {
			t.Errorf("%s: %+v, want %s", c.name, got, c.code)
		}
	}
}

// A finding tells the slope, and when the limit is reached; free memory that shrinks is
// the same leak.
func TestLeakFinding(t *testing.T) {
	for _, higher := range []bool{false, true} {
		w, sign := leakWorld{deadline: 3 * time.Hour, limit: 2000, higher: higher}, 1.0
		if higher {
			w.limit, sign = 100, -1
		}
		o, s := w.run(t, w.plan(t, 2), 2, 5, 0)
		if o.harm == 0 {
			t.Fatalf("higher %v: 5 MiB a minute are not found", higher)
		}
		f := s.Describe()[0]
		if f.EffectKind != "slope" || math.Abs(sign*float64(f.Effect)-5) > 3 || !(f.Low < f.Effect && f.Effect < f.High) || f.State != analysis.FindingBreached {
			t.Errorf("higher %v: %+v", higher, f)
		}
		if !strings.Contains(f.Reason, "canary pods grow by") || !strings.Contains(f.Reason, "MiB a minute at the median") {
			t.Errorf("higher %v: %s", higher, f.Reason)
		}
		if why := s.Checks().Harm.Reason; !strings.Contains(why, "its limit is reached in about") {
			t.Errorf("higher %v: %s", higher, why)
		}
	}
}

// One pod of several that grows is that pod's, not the release's.
func TestLeakOfOnePod(t *testing.T) {
	w := leakWorld{deadline: 3 * time.Hour}
	for _, c := range []struct {
		leaking int
		want    bool
	}{{1, false}, {2, false}, {3, true}} {
		s := newState(t, w.plan(t, 3))
		e := analysis.Evidence{Objective: "memory"}
		for i, pod := range []string{"b0", "b1", "b2", "c0", "c1", "c2"} {
			arm := analysis.Baseline
			if i >= 3 {
				arm = analysis.Canary
			}
			e.Rows = append(e.Rows, analysis.ArmRow{Arm: arm, Pod: pod, PodStart: deployedAt, Received: 1, Fresh: true})
		}
		found := false
		for k := range 150 {
			for i := range e.Rows {
				wave := 3 * math.Sin(float64(7*k*(i+2))) // each its own
				e.Rows[i].Level = 500 + wave
				if i >= 3 && i < 3+c.leaking {
					e.Rows[i].Level += 6 * float64(k)
				} else if i >= 3 {
					e.Rows[i].Level -= float64(k)
				}
			}
			e.Fold, _ = s.Next(0)
			if err := s.Fold(&e); err != nil {
				t.Fatal(err)
			}
			found = found || s.Assess()[0].State == analysis.FindingBreached
		}
		if found != c.want {
			t.Errorf("%d of 3 canary pods leak: rolled back %v", c.leaking, found)
		}
	}
}

// A bake that does not fit the deadline is told when the plan is made.
func TestLeakBakeTooLong(t *testing.T) {
	p := (leakWorld{deadline: time.Hour, limit: 600}).plan(t, 4) // 100 MiB in a day
	if !p.Objectives[0].Underpowered || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "the deadline is 60") {
		t.Errorf("bake %v, warnings %q", p.Objectives[0].Level.Bake, p.Warnings)
	}
	if got := p.Objectives[0].Cadence.D(); got != time.Minute {
		t.Errorf("samples every 15 s are folded every %v, want a minute", got)
	}
}

// leakRows folds an hour and a half of the given pods, and returns the state at its end
// and whether the canary was rolled back, or promoted, before.
func leakRows(t *testing.T, limit float64, pods func(minute float64) []analysis.ArmRow) (s *analysis.State, rollback, promote bool) {
	t.Helper()
	s = newState(t, leakWorld{deadline: 2 * time.Hour, limit: limit}.plan(t, 3))
	for k := range 100 {
		e := analysis.Evidence{Objective: "memory"}
		e.Fold, _ = s.Next(0)
		e.Rows = pods(e.Fold.End.Sub(deployedAt).Minutes())
		for i := range e.Rows {
			r := &e.Rows[i]
			r.Received, r.Fresh = 1, true
			r.Level += 4 * math.Sin(float64(7*k*(i+2))) // each its own
		}
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		rollback = rollback || s.Assess()[0].State == analysis.FindingBreached
		promote = promote || s.Checks().Safety.State == analysis.Good
	}
	return s, rollback, promote
}

// A canary that leaks until it is killed, and begins anew, does not look flat: of 6.6 MiB
// a minute that are allowed it takes 8.
func TestLeakThatRestartsIsNoFlatLine(t *testing.T) {
	s, _, promote := leakRows(t, 1e4, func(minute float64) []analysis.ArmRow {
		const life = 25
		since := math.Mod(minute, life)
		return []analysis.ArmRow{
			{Arm: analysis.Baseline, Pod: "b", PodStart: deployedAt, Level: 500},
			{Arm: analysis.Canary, Pod: "c", PodStart: deployedAt.Add(time.Duration((minute - since) * float64(time.Minute))), Level: 500 + 8*since},
		}
	})
	if promote {
		t.Error("promoted")
	}
	if c := s.Checks().Safety; c.Code != analysis.NeedsFreshBaseline || !strings.Contains(c.Reason, "began anew") {
		t.Errorf("%+v", c)
	}
}

// A pod that comes or goes, of whatever level, is no growth.
func TestLeakPodsThatComeAndGo(t *testing.T) {
	s, rollback, _ := leakRows(t, 0, func(minute float64) []analysis.ArmRow {
		rows := []analysis.ArmRow{{Arm: analysis.Baseline, Pod: "b0", PodStart: deployedAt, Level: 300}}
		if minute < 40 {
			rows = append(rows, analysis.ArmRow{Arm: analysis.Baseline, Pod: "b1", PodStart: deployedAt, Level: 700}) // and is gone
		}
		if minute >= 60 { // a young one
			rows = append(rows, analysis.ArmRow{Arm: analysis.Baseline, Pod: "b2", PodStart: deployedAt.Add(time.Hour), Level: 100})
		}
		return append(rows, analysis.ArmRow{Arm: analysis.Canary, Pod: "c", PodStart: deployedAt, Level: 500})
	})
	if f := s.Describe()[0]; rollback || math.Abs(float64(f.Effect)) > .1 {
		t.Errorf("rolled back %v: %+v", rollback, f)
	}
}

// Where only older pods run, the finding says so.
func TestLeakSaysThatBaselineIsOld(t *testing.T) {
	s, _, _ := leakRows(t, 0, func(float64) []analysis.ArmRow {
		return []analysis.ArmRow{
			{Arm: analysis.Baseline, Pod: "b", PodStart: deployedAt.Add(-time.Hour), Level: 500},
			{Arm: analysis.Canary, Pod: "c", PodStart: deployedAt, Level: 500},
		}
	})
	if f := s.Describe()[0]; !strings.Contains(f.Reason, "no baseline pods of the canary's age") {
		t.Error(f.Reason)
	}
}
