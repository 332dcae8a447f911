package oc

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
)

// errorRate is an objective on failing requests.
func errorRate(name string, target float64) analysis.Objective {
	return analysis.Objective{
		Name: name, Role: analysis.Critical, Target: target,
		Signal: analysis.Signal{
			Name: name, Source: "simulated", Unit: "1", Shape: analysis.ShapeRatio,
			Bad:   &analysis.Selector{Metric: "requests_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpIn, Values: []string{"5xx"}}}},
			Total: &analysis.Selector{Metric: "requests_total"},
		},
	}
}

// objectiveNames of a release with so many objectives.
func objectiveNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("errors-%02d", i)
	}
	return names
}

// countPlan freezes the plan of a world with objectives that are all alike.
func (w *countWorld) countPlan(cadence time.Duration, objectives int, h analysis.History) (*analysis.Plan, error) {
	var all []analysis.Objective
	var facts []analysis.Facts
	for _, name := range objectiveNames(objectives) {
		all = append(all, errorRate(name, w.target))
		facts = append(facts, analysis.Facts{Spacing: cadence, History: h})
	}
	return plan(release(w.weight(0), len(w.steps)), w.minutes, w.comparison(), all, facts)
}

// learn draws a day of history and reduces it.
func (w *countWorld) learn(rng *rand.Rand, seed string) analysis.History {
	return history.Learn(w.minuteSums(rng), deployedAt, w.weight(0), seed)
}

// ramp are the steps after the first.
func (w *countWorld) ramp() []analysis.Step {
	var out []analysis.Step
	for i := 1; i < len(w.steps); i++ {
		since := time.Duration(w.minutes) * time.Minute * time.Duration(i) / time.Duration(len(w.steps))
		out = append(out, analysis.Step{Index: i + 1, Total: len(w.steps), Weight: w.steps[i], At: deployedAt.Add(since)})
	}
	return out
}

// judgeCounts judges the ticks of each objective, one pod an arm: the counts of an
// arm are what is tested, however many pods they come from.
func judgeCounts(p *analysis.Plan, ramp []analysis.Step, objectives [][]counts) (outcome, error) {
	rows := []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "baseline", Received: 1, Fresh: true, Version: "1.4.9"},
		{Arm: analysis.Canary, Pod: "canary", Received: 1, Fresh: true, Version: "1.5.0"},
	}
	return judge(p, ramp, func(objective int, fold analysis.Fold) []analysis.ArmRow {
		var c counts
		from, to := ticksOf(fold)
		for _, t := range objectives[objective][from:to] {
			c.add(t)
		}
		rows[0].Bad, rows[0].Exposure = c.xB, c.nB
		rows[1].Bad, rows[1].Exposure = c.xC, c.nC
		return rows
	})
}

// ticksOf are the ticks of a fold.
func ticksOf(fold analysis.Fold) (from, to int) {
	return int(fold.Start.Sub(deployedAt) / tick), int(fold.End.Sub(deployedAt) / tick)
}
