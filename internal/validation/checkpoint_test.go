package validation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// everyShape is a plan of 20 objectives: eight ratios, six distributions, five levels and
// a leak, folded every quarter of a minute, with strata where there are counts.
func everyShape(t *testing.T) *analysis.Plan {
	t.Helper()
	in := analysis.PlanInput{
		Deployment: deployment(analysis.Live).Deployment(1),
		Policy:     policy().Policy,
	}
	in.Policy.Window.Deadline = analysis.Duration(80 * time.Minute)
	in.Policy.Objectives = nil
	schema := 3
	day := analysis.Histogram{Schema: &schema}
	for i := range 40 {
		day.Bounds, day.Counts = append(day.Bounds, math.Exp2(float64(i)/8)), append(day.Counts, 1e4)
	}
	day.Counts = append(day.Counts, 0)
	add := func(o analysis.Objective, f analysis.Facts) {
		o.Name, f.Spacing = fmt.Sprint(o.Signal.Shape, len(in.Facts)), scrape
		in.Policy.Objectives, in.Facts = append(in.Policy.Objectives, o), append(in.Facts, f)
	}
	for i := range 20 {
		o := objective(0)
		metric := &analysis.Selector{Metric: "m"}
		switch {
		case i < 8:
			o.Strata = []string{"zone"}
			if i%2 == 1 {
				o.Target = .99
			}
			add(o, analysis.Facts{})
		case i < 14:
			o.Strata = []string{"zone"}
			o.Signal = analysis.Signal{Name: "m", Source: "replay", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: metric}
			add(o, analysis.Facts{Distribution: day})
		default:
			o.Signal = analysis.Signal{Name: "m", Source: "replay", Unit: "s", Shape: analysis.ShapeLevel, Gauge: metric}
			if i == 19 {
				o.Leak = &analysis.Leak{Limit: 1e6}
			}
			add(o, analysis.Facts{Step: scrape})
		}
	}
	p, err := analysis.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// evidenceOfShape is the next fold of the i-th objective.
func evidenceOfShape(rng *rand.Rand, j *Judge, i int) analysis.Evidence {
	o := &j.plan.Objectives[i]
	e := analysis.Evidence{Objective: o.Name, Source: "replay"}
	e.Fold, _ = j.state.Next(i)
	for _, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary} {
		for zone := range max(1, 2*len(o.Strata)) {
			r := analysis.ArmRow{Arm: arm, Pod: fmt.Sprint(arm, zone), PodStart: start, Received: 1, Fresh: true}
			if len(o.Strata) > 0 {
				r.Stratum = fmt.Sprint("zone", zone)
			}
			switch {
			case o.Level != nil:
				r.Level = 100 * math.Exp(.05*rng.NormFloat64())
			case o.Latency != nil:
				r.Exposure = float64(100 + rng.IntN(100))
				for _, b := range o.Latency.Bounds {
					r.Above = append(r.Above, math.Floor(r.Exposure*max(0, 1-math.Log2(b)/5)))
				}
			default:
				r.Exposure, r.Bad = float64(100+rng.IntN(100)), float64(rng.IntN(3))
			}
			e.Rows = append(e.Rows, r)
		}
	}
	return e
}

// Of 20 objectives of every shape, one of which waits for its source for 25 minutes and
// then catches up, no more than ten minutes lie between a crash and the checkpoint, of
// any. What is restored from it and folds the rest of the spool again tells to the byte
// what the one that never crashed tells.
func TestCrashFoldsTenMinutesAgain(t *testing.T) {
	plan := everyShape(t)
	judge, err := NewJudge(plan)
	if err != nil {
		t.Fatal(err)
	}
	v := &run{}
	v.start(plan, judge)
	rng := rand.New(rand.NewPCG(51, 1))
	const waiting = 9 // a distribution
	var spool [][]byte
	checkpoint, err := judge.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	checkpoints, behind := 0, 0
	crash := func() {
		t.Helper()
		again, err := restoreJudge(plan, checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range again.folded() {
			if lost := judge.folded()[i].Sub(at); lost > checkpointEvery {
				t.Fatalf("%s: %v are folded again", plan.Objectives[i].Name, lost)
			}
		}
		for _, line := range spool[again.looks:] {
			if _, err := again.Look(line); err != nil {
				t.Fatal(err)
			}
		}
		got, errGot := verdictBytes(again.Verdict())
		want, errWant := verdictBytes(judge.Verdict())
		if errGot != nil || errWant != nil || !bytes.Equal(got, want) {
			t.Fatalf("after a crash: %v %v\n%s\nwant\n%s", errGot, errWant, got, want)
		}
	}
	for now := start.Add(scrape); now.Before(start.Add(60 * time.Minute)); now = now.Add(scrape) {
		look := analysis.Look{Now: now}
		minute := now.Sub(start).Minutes()
		for i := range plan.Objectives {
			next, _ := judge.state.Next(i)
			if !next.End.After(now) && (i != waiting || minute < 15 || minute > 40) {
				look.Evidence = append(look.Evidence, evidenceOfShape(rng, judge, i))
			}
		}
		for range 2 { // two of the folds that the waiting one is behind
			line, err := json.Marshal(look)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := judge.Look(line); err != nil {
				t.Fatal(err)
			}
			spool = append(spool, line)
			if judge.Verdict().Final {
				t.Fatalf("final after %.0f minutes: %s", minute, judge.Verdict().Reason)
			}
			if next, _ := judge.state.Next(waiting); minute <= 40 || next.End.After(now) {
				break
			}
			behind++
			look.Evidence = []analysis.Evidence{evidenceOfShape(rng, judge, waiting)}
		}
		if v.checkpointDue() {
			crash() // just before it is written, the most is lost
			if checkpoint, err = judge.snapshot(); err != nil {
				t.Fatal(err)
			}
			v.checkpoint = judge.folded()
			checkpoints++
		}
	}
	crash()
	if checkpoints < 6 || behind < 50 {
		t.Errorf("%d checkpoints, %d folds were caught up: nothing was tested", checkpoints, behind)
	}
}
