package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// fortnight simulates a service of three pods and a control of three, minute by minute:
// a daily season, shocks that both share, slow noise of their own; and the same for the
// hour after the start.
type fortnight struct{ service, control []analysis.MinuteSum }

func simulated(rng *rand.Rand, effect, incident float64) fortnight {
	var f fortnight
	own, other, shared := 0.0, 0.0, 0.0
	minutes := int(analysis.LongSpan / time.Minute)
	for t := range minutes + 60 {
		at := deployedAt.Add(time.Duration(t-minutes) * time.Minute)
		season := .3 * math.Sin(2*math.Pi*float64(t)/1440)
		own = .9*own + .01*rng.NormFloat64()
		other = .9*other + .01*rng.NormFloat64()
		shared = .95*shared + .05*rng.NormFloat64()
		y, c := season+shared+own, season+shared+other
		if !at.Before(deployedAt) {
			y += effect + incident
			c += incident
		}
		for pod := range 3 {
			f.service = append(f.service, analysis.MinuteSum{Minute: at, Pod: fmt.Sprint("a", pod), Level: 200 * math.Exp(y+.01*rng.NormFloat64())})
			f.control = append(f.control, analysis.MinuteSum{Minute: at, Pod: fmt.Sprint("c", pod), Level: 80 * math.Exp(c+.01*rng.NormFloat64())})
		}
	}
	return f
}

func levelObjective() analysis.Objective {
	return analysis.Objective{
		Name: "memory", Role: analysis.Critical, BeforeAfterPromote: true,
		Signal: analysis.Signal{Name: "memory", Source: "prom", Unit: "By", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "memory"}},
	}
}

// longPlan is the plan of an all-at-once deployment after the fortnight.
func longPlan(t *testing.T, f fortnight) *analysis.Plan {
	t.Helper()
	o := levelObjective()
	window := analysis.DefaultWindow()
	var day []analysis.MinuteSum
	for _, m := range f.service {
		if !m.Minute.Before(deployedAt.Add(-Span)) {
			day = append(day, m)
		}
	}
	h := LearnLevel(day, deployedAt, time.Minute, 1, "seed", o)
	h.Long = LearnLong(&o, h.Level, f.service, f.control, deployedAt, window.Deadline.D(), analysis.DefaultAlphaRollback)
	plan, err := analysis.NewPlan(analysis.PlanInput{
		Deployment: analysis.Deployment{
			ID: "d", StartedAt: deployedAt,
			Release: analysis.Release{Service: "checkout", Version: "2", PreviousVersion: "1", Environment: "prod"},
		},
		Policy: analysis.Policy{
			Name: "p", Window: window, AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
			Comparison: analysis.PreviousWindow, Objectives: []analysis.Objective{o},
		},
		Cohorts: analysis.Cohorts{
			Baseline: analysis.Cohort{analysis.AttrVersion: "1"}, Canary: analysis.Cohort{analysis.AttrVersion: "2"},
			Control: analysis.Cohort{analysis.AttrService: "cart"},
		},
		Facts: []analysis.Facts{{Spacing: time.Minute, History: h}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// folded folds the hour after the start, minute by minute.
func folded(t *testing.T, plan *analysis.Plan, f fortnight) *analysis.State {
	t.Helper()
	s, err := analysis.NewState(plan)
	if err != nil {
		t.Fatal(err)
	}
	for {
		fold, open := s.Next(0)
		if !open {
			return s
		}
		e := analysis.Evidence{Objective: "memory", Fold: fold}
		for _, side := range []struct {
			arm  analysis.Arm
			sums []analysis.MinuteSum
		}{{analysis.Canary, f.service}, {analysis.Control, f.control}} {
			for _, m := range side.sums[len(side.sums)-180:] {
				if m.Minute.Equal(fold.Start) {
					e.Rows = append(e.Rows, analysis.ArmRow{Arm: side.arm, Pod: m.Pod, PodStart: deployedAt.Add(-time.Hour), Level: m.Level, Received: 1, Fresh: true})
				}
			}
		}
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		s.Assess()
	}
}

// A doubling is shown, an incident of everybody is not the release's, and where nothing
// happens the release is shown safe: with the error rates of the plan.
func TestLongHistoryJudges(t *testing.T) {
	const runs = 20
	for _, w := range []struct {
		name             string
		effect, incident float64
		harm, safe       [2]int // least and most
	}{
		{"nothing happens", 0, 0, [2]int{0, 2}, [2]int{10, runs}},
		{"an incident of everybody", 0, .5, [2]int{0, 2}, [2]int{10, runs}},
		{"half as much again", math.Log(1.5), 0, [2]int{14, runs}, [2]int{0, 0}},
		{"at the margin", math.Log(1.2), 0, [2]int{0, runs}, [2]int{0, 4}}, // .05 and three standard errors
	} {
		rng := rand.New(rand.NewPCG(11, uint64(len(w.name))))
		harmed, safe := 0, 0
		for range runs {
			f := simulated(rng, w.effect, w.incident)
			plan := longPlan(t, f)
			if plan.Objectives[0].History.Long == nil {
				t.Fatal("the fortnight was not learned from")
			}
			if plan.Objectives[0].History.Long.Refused != "" {
				continue
			}
			s := folded(t, plan, f)
			if s.Evidence() >= 1/plan.AlphaRollback {
				harmed++
			}
			if s.Checks().Safety.State == analysis.Good {
				safe++
			}
		}
		t.Logf("%s: harm in %d, safe in %d of %d", w.name, harmed, safe, runs)
		if harmed < w.harm[0] || harmed > w.harm[1] || safe < w.safe[0] || safe > w.safe[1] {
			t.Errorf("%s: harm in %d (want %v), safe in %d (want %v)", w.name, harmed, w.harm, safe, w.safe)
		}
	}
}

// What came after the start is not learned from, and a state that was written down goes
// on as if it had not been.
func TestLongHistoryNoFutureAndCheckpoint(t *testing.T) {
	f := simulated(rand.New(rand.NewPCG(5, 5)), math.Log(1.5), 0)
	plan := longPlan(t, f)
	before := fortnight{}
	for _, s := range [][2]*[]analysis.MinuteSum{{&f.service, &before.service}, {&f.control, &before.control}} {
		for _, m := range *s[0] {
			if m.Minute.Before(deployedAt) {
				*s[1] = append(*s[1], m)
			}
		}
	}
	a, err := plan.Digest()
	if err != nil {
		t.Fatal(err)
	}
	b, err := longPlan(t, before).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Error("what came after the start is in the plan")
	}
	s := folded(t, plan, f)
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := analysis.RestoreState(plan, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(restored.Describe()), fmt.Sprint(s.Describe()); got != want {
		t.Errorf("restored:\n%s\nwas:\n%s", got, want)
	}
}

// A control that has nothing to do with the service is none.
func TestLongHistoryRefusesAForeignControl(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	f, other := simulated(rng, math.Log(3), 0), simulated(rng, 0, 0)
	f.control = other.control
	plan := longPlan(t, f)
	if plan.Objectives[0].History.Long.Refused == "" {
		t.Fatal("a control of another world was taken")
	}
	s := folded(t, plan, f)
	if c := s.Checks(); c.Harm.State == analysis.Bad || c.Safety.State == analysis.Good {
		t.Errorf("something was concluded from it: %+v", c)
	}
}

// Values between the minutes belong to no minute after the start.
func TestLearnLongOfValuesBetweenMinutes(t *testing.T) {
	f := simulated(rand.New(rand.NewPCG(1, 1)), 0, 0)
	o := levelObjective()
	h := &analysis.LevelHistory{Scale: analysis.ScaleLog}
	want := LearnLong(&o, h, f.service, f.control, deployedAt, time.Hour, .01)
	f.service = append(f.service, analysis.MinuteSum{Minute: deployedAt.Add(-30 * time.Second), Pod: "a0", Level: 1e6})
	if got := LearnLong(&o, h, f.service, f.control, deployedAt, time.Hour, .01); want == nil || got == nil || len(got.Up) != len(want.Up) {
		t.Errorf("learned %v, want %v", got, want)
	}
}
