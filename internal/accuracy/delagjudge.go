package accuracy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
	"github.com/release-assay/assay/verdicts"
)

// The requests of a scenario carry no times, and any order of them is as good as
// another. They are dealt evenly over the folds of the validation and over so many
// pods. History goes on at the same pace: its requests are drawn over and over, since
// they would last for half an hour only, in which nobody learns how they spread.
const (
	delagSpacing  = time.Minute
	delagPods     = 3 // that serve the old version
	delagCanaries = 1 // that serve the new one
	delagPast     = 3 * time.Hour
)

// delagStart is when every such release begins, on the grid of its folds.
var delagStart = time.Date(2023, 1, 9, 12, 0, 0, 0, time.UTC)

// Judge lets the library judge a release: plan, folds, checks and decision, with an
// objective for the whole request and for each call, all critical.
func (d Draw) Judge() (Answer, error) {
	plan, err := d.plan()
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", d.Name, err)
	}
	state, err := analysis.NewState(plan)
	if err != nil {
		return Answer{}, fmt.Errorf("%s: %w", d.Name, err)
	}
	for k := range Deadline {
		for i := range plan.Objectives {
			fold, _ := state.Next(i)
			if err := state.Fold(d.evidence(&plan.Objectives[i], i, k, fold)); err != nil {
				return Answer{}, fmt.Errorf("%s: %w", d.Name, err)
			}
		}
		state.Assess()
		v := verdicts.Decide(plan, state.Checks(), nil, state.AsOf())
		if v.Final() {
			return Answer{Case: d.Case, Word: v.Word, Code: v.Code, At: state.AsOf(), Why: v.Reason}, nil
		}
	}
	return Answer{}, fmt.Errorf("%s: the deadline left it without a verdict", d.Name)
}

// plan is made from the requests that the old version served before.
func (d Draw) plan() (*analysis.Plan, error) {
	release := analysis.Release{Environment: Environment, Service: d.Service, Version: VersionAfter, PreviousVersion: VersionBefore}
	cohort := func(version string) analysis.Cohort {
		return analysis.Cohort{analysis.AttrService: d.Service, analysis.AttrVersion: version}
	}
	weight := float64(newRequests) / (oldRequests + newRequests)
	in := analysis.PlanInput{
		Deployment: analysis.Deployment{
			ID: analysis.DeploymentID(d.Name), Attempt: 1, Release: release, Mode: analysis.Retrospective, StartedAt: delagStart,
			Steps: []analysis.Step{{Index: 1, Total: 1, Weight: weight, At: delagStart}},
		},
		Policy: analysis.Policy{
			Name: "delag", Window: Window(delagSpacing),
			AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		},
		Cohorts: analysis.Cohorts{Baseline: cohort(VersionBefore), Canary: cohort(VersionAfter)},
	}
	for i, call := range d.Calls {
		o := analysis.Objective{Name: call, Role: analysis.Critical, Signal: analysis.Signal{
			Name: call, Source: "recording", Unit: "ms", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: call},
		}}
		seen, err := analysis.ExactHistogram(column(d.History, i))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", call, err)
		}
		sums := d.minutes(i, analysis.LatencyBounds(o, seen))
		in.Policy.Objectives = append(in.Policy.Objectives, o)
		in.Facts = append(in.Facts, analysis.Facts{
			Spacing: delagSpacing, Distribution: seen,
			History: history.Learn(sums, delagStart, weight, string(in.Deployment.Validation())),
		})
	}
	return analysis.NewPlan(in)
}

// column returns what each request took in one call, ascending.
func column(requests [][]float64, call int) []float64 {
	out := make([]float64, len(requests))
	for i, r := range requests {
		out[i] = r[call]
	}
	slices.Sort(out)
	return out
}

// minutes is the history of a call by minute and pod: as many requests a minute as the
// old version serves in the validation, each drawn from those of history.
func (d Draw) minutes(call int, bounds []float64) []analysis.MinuteSum {
	n := int(delagPast / delagSpacing)
	rng := rand.New(rand.NewPCG(seedOf(d.Name), 0)) // the same requests for every call
	sums := make([]analysis.MinuteSum, n*delagPods)
	for i := range sums {
		sums[i] = analysis.MinuteSum{
			Minute: delagStart.Add(time.Duration(i/delagPods-n) * delagSpacing), Pod: podName(VersionBefore, i%delagPods), Above: make([]float64, len(bounds)),
		}
	}
	for i := range n * oldRequests / Deadline {
		s := &sums[i%len(sums)]
		s.Exposure++
		countAbove(s.Above, bounds, d.History[rng.IntN(len(d.History))][call])
	}
	return sums
}

func podName(version string, i int) string { return fmt.Sprintf("train-ticket-%s-%d", version, i) }

func countAbove(above, bounds []float64, value float64) {
	for i, b := range bounds {
		if value > b {
			above[i]++
		}
	}
}

// evidence is what the pods of both versions served of a call in the k-th fold.
func (d Draw) evidence(o *analysis.PlannedObjective, call, k int, fold analysis.Fold) *analysis.Evidence {
	e := &analysis.Evidence{Objective: o.Name, Fold: fold, Source: "recording"}
	for _, arm := range []struct {
		analysis.Arm
		version  string
		pods     int
		requests [][]float64
	}{{analysis.Baseline, VersionBefore, delagPods, d.Old}, {analysis.Canary, VersionAfter, delagCanaries, d.New}} {
		rows := make([]analysis.ArmRow, arm.pods)
		for p := range rows {
			rows[p] = analysis.ArmRow{
				Arm: arm.Arm, Pod: podName(arm.version, p), PodStart: delagStart.Add(-delagPast), Above: make([]float64, len(o.Latency.Bounds)), Received: 1, Fresh: true,
			}
		}
		for i := k; i < len(arm.requests); i += Deadline {
			r := &rows[(i/Deadline)%arm.pods]
			r.Exposure++
			countAbove(r.Above, o.Latency.Bounds, arm.requests[i][call])
		}
		e.Rows = append(e.Rows, rows...)
	}
	return e
}
