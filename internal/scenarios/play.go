package scenarios

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// start is when every deployment of a script starts: an instant on the grid of every
// cadence, so that fold 1 is whole.
var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// A Played is how a scenario ended.
type Played struct {
	verdicts.Decision
	Fold   int // the fold after which the answer was final, or the last one
	Plan   *analysis.Plan
	Points map[string][2][]float64 // of each objective, the canary's and the baseline's points, as other judges see them
}

// Play plays s with a random seed: plan, folds, checks, decision. The same seed gives
// the same answer.
func (s Scenario) Play(seed uint64) (Played, error) {
	plan, err := s.plan(seed)
	if err != nil {
		return Played{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	state, err := analysis.NewState(plan)
	if err != nil {
		return Played{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	stage := s.newStage(seed)
	out := Played{Plan: plan, Points: map[string][2][]float64{}}
	for k := 1; ; k++ {
		folded := false
		for i := range plan.Objectives {
			o := &plan.Objectives[i]
			fold, open := state.Next(i)
			if !open || fold.End.After(start.Add(time.Duration(k)*s.Cadence)) {
				continue
			}
			folded = true
			e := stage.evidence(o, fold, k)
			if err := state.Fold(&e); err != nil {
				return out, fmt.Errorf("%s, fold %d: %w", s.Name, k, err)
			}
		}
		if !folded {
			break
		}
		if out.Final() {
			continue // the rest is played for the other judges
		}
		state.Assess()
		out.Decision, out.Fold = verdicts.Decide(plan, state.Checks(), nil, state.AsOf()), k
	}
	out.Points = stage.points
	return out, nil
}

func (s Scenario) plan(seed uint64) (*analysis.Plan, error) {
	release := analysis.Release{Environment: "prod", Service: "checkout", Version: "2", PreviousVersion: "1"}
	d := analysis.Deployment{ID: analysis.DeploymentID(s.Name), Attempt: 1, Release: release, StartedAt: start, Mode: analysis.Retrospective}
	if s.Weight > 0 {
		d.Steps = []analysis.Step{{Index: 1, Total: 1, Weight: s.Weight, At: start}}
	}
	cohort := func(version string) analysis.Cohort {
		return analysis.Cohort{analysis.AttrService: release.Service, analysis.AttrVersion: version}
	}
	in := analysis.PlanInput{
		Deployment: d,
		Policy: analysis.Policy{
			Name: s.Name, Objectives: s.Objectives, Window: s.Window,
			AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		},
		Cohorts: analysis.Cohorts{Baseline: cohort("1"), Canary: cohort("2")},
	}
	for _, o := range s.Objectives {
		facts, err := s.facts(o, d, seed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
		in.Facts = append(in.Facts, facts)
	}
	return analysis.NewPlan(in)
}

// A stage draws what the pods of both arms count.
type stage struct {
	Scenario
	actors map[string]*actor
	seed   uint64
	points map[string][2][]float64
}

func (s Scenario) newStage(seed uint64) *stage {
	return &stage{Scenario: s, actors: map[string]*actor{}, seed: seed, points: map[string][2][]float64{}}
}

// actor returns who draws under a name; each name draws its own numbers.
func (s *stage) actor(name string) *actor {
	a, ok := s.actors[name]
	if !ok {
		h := fnv.New64a()
		h.Write([]byte(s.Name + "\x00" + name))
		a = &actor{rng: rand.New(rand.NewPCG(h.Sum64(), s.seed))}
		s.actors[name] = a
	}
	return a
}

// sceneOf is the last scene of a fold, an arm and an objective; false: nothing is said.
func (s *stage) sceneOf(k int, arm analysis.Arm, objective string) (Scene, bool) {
	for i := len(s.Scenes) - 1; i >= 0; i-- {
		c := s.Scenes[i]
		if c.Objective != objective || k < c.From || k > c.To {
			continue
		}
		for _, a := range c.Arms {
			if a == arm {
				return c, true
			}
		}
	}
	return Scene{}, false
}

// evidence is what both arms counted in a fold. An arm of which the script says
// nothing is silent.
func (s *stage) evidence(o *analysis.PlannedObjective, fold analysis.Fold, k int) analysis.Evidence {
	e := analysis.Evidence{Objective: o.Name, Fold: fold, Source: "script", Rows: []analysis.ArmRow{}}
	both := s.points[o.Name]
	for i, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary} {
		c, said := s.sceneOf(k, arm, o.Name)
		point := math.NaN()
		switch {
		case !said || c.State == "silent":
		case c.Missing != "":
			e.Missing = c.Missing
		default:
			var rows []analysis.ArmRow
			rows, point = s.rows(o, c, arm, k)
			e.Rows = append(e.Rows, rows...)
		}
		both[1-i] = append(both[1-i], point)
	}
	s.points[o.Name] = both
	if e.Missing != "" {
		e.Rows = nil
	}
	return e
}

// rows deals what an arm counted over its pods, and returns it as the one point that
// other judges see: the share of bad requests, the mean level, the median duration.
func (s *stage) rows(o *analysis.PlannedObjective, c Scene, arm analysis.Arm, k int) ([]analysis.ArmRow, float64) {
	n := s.Pods[arm]
	rows := make([]analysis.ArmRow, n)
	sum, bad, point := 0.0, 0.0, math.NaN()
	var all []float64
	for i := range rows {
		pod := fmt.Sprintf("checkout-%s-%d", arm, i)
		r := &rows[i]
		*r = analysis.ArmRow{Arm: arm, Pod: pod, PodStart: start.Add(-48 * time.Hour), Received: 1, Fresh: true}
		if arm == analysis.Canary {
			r.PodStart = start
		}
		if c.State == "idle" {
			continue
		}
		m := s.actor(fmt.Sprint(arm, " ", o.Name, " ", i)).counted(c.Values, k-c.From, c.To-c.From+1, i, n)
		r.Bad, r.Exposure, r.Level = m.bad, m.requests, m.level
		sum, bad = sum+m.requests, bad+m.bad
		if o.Signal.Shape == analysis.ShapeLevel {
			all = append(all, m.level)
		}
		if o.Latency != nil {
			r.Above = above(m.durations, o.Latency.Bounds)
			all = append(all, m.durations...)
		}
	}
	switch {
	case o.Signal.Shape == analysis.ShapeRatio && sum > 0:
		point = bad / sum
	case len(all) > 0:
		for _, v := range all {
			point = v/float64(len(all)) + zeroIfNaN(point)
		}
	}
	return rows, point
}

func zeroIfNaN(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
