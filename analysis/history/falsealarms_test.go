package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// quietDay is a day of eight healthy pods, 20 requests a second together, .5 % bad, and
// the plan of a deployment after it.
func quietDay(t *testing.T, seed uint64, bad func(minute, pod int) float64) (*analysis.Plan, []analysis.MinuteSum) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var day []analysis.MinuteSum
	for m := range 24 * 60 {
		for pod := range 8 {
			x := poisson(rng, 150*bad(m, pod))
			day = append(day, analysis.MinuteSum{Minute: deployedAt.Add(time.Duration(m-24*60) * time.Minute), Pod: fmt.Sprint("pod-", pod), Bad: min(x, 150), Exposure: 150})
		}
	}
	window := analysis.DefaultWindow()
	window.Deadline = analysis.Duration(20 * time.Minute)
	d := analysis.Deployment{
		ID: "d", Release: analysis.Release{Service: "checkout", Version: "2", PreviousVersion: "1", Environment: "prod"},
		StartedAt: deployedAt, Steps: []analysis.Step{{Weight: .25}},
	}
	total := &analysis.Selector{Metric: "requests"}
	plan, err := analysis.NewPlan(analysis.PlanInput{
		Deployment: d,
		Policy: analysis.Policy{
			Name: "p", Window: window, AlphaRollback: .01, AlphaPromote: .05,
			Objectives: []analysis.Objective{{Name: "errors", Role: analysis.Critical, Target: .99, Signal: analysis.Signal{
				Name: "errors", Source: "prom", Unit: "1", Shape: analysis.ShapeRatio, Total: total, Bad: &analysis.Selector{Metric: "errors"},
			}}},
		},
		Cohorts: analysis.Cohorts{Baseline: analysis.Cohort{analysis.AttrVersion: "1"}, Canary: analysis.Cohort{analysis.AttrVersion: "2"}},
		Facts:   []analysis.Facts{{Spacing: 15 * time.Second, History: Learn(day, deployedAt, .25, "seed")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan, day
}

func healthy(int, int) float64 { return .005 }

func TestFalseAlarmsOfAQuietDay(t *testing.T) {
	alarms, windows := 0, 0
	for seed := range uint64(6) {
		plan, day := quietDay(t, seed, healthy)
		got, err := FalseAlarms(plan, [][]analysis.MinuteSum{day})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got.Windows); n < 70 || n > 72 {
			t.Errorf("%d windows of 20 minutes in a day", n)
		}
		for i, w := range got.Windows {
			if w.Start.Unix()%1200 != 0 || w.Start.Add(20*time.Minute).After(deployedAt) || i > 0 && !w.Start.After(got.Windows[i-1].Start) {
				t.Errorf("window %d begins at %v", i, w.Start)
			}
		}
		a, w, _, _, shown := got.Rate()
		alarms, windows = alarms+a, windows+w
		if !shown {
			t.Error("72 windows are enough to show a rate")
		}
	}
	if alarms > 9 { // 1 % of 432, and two standard errors
		t.Errorf("%d alarms in %d windows in which nothing was deployed", alarms, windows)
	}
	t.Logf("%d alarms in %d windows", alarms, windows)
}

// Where pods are ill by turns the service raises alarms of its own, and that is said.
func TestFalseAlarmsOfARestlessDay(t *testing.T) {
	plan, day := quietDay(t, 3, func(minute, pod int) float64 {
		if minute/20%8 == pod {
			return .2
		}
		return .005
	})
	plan.Objectives[0].History.Phi0 = [3]float64{1, 1, 1} // as a plan that does not know
	got, err := FalseAlarms(plan, [][]analysis.MinuteSum{day})
	if err != nil {
		t.Fatal(err)
	}
	if a, w, low, _, _ := got.Rate(); a < 8 || low < .01 {
		t.Errorf("%d alarms in %d windows, though a pod is ill in each", a, w)
	}
}

func TestFalseAlarmsSeeNoFutureAndRepeat(t *testing.T) {
	plan, day := quietDay(t, 1, healthy)
	first, err := FalseAlarms(plan, [][]analysis.MinuteSum{day})
	if err != nil {
		t.Fatal(err)
	}
	for m := range 60 {
		for pod := range 8 {
			day = append(day, analysis.MinuteSum{Minute: deployedAt.Add(time.Duration(m) * time.Minute), Pod: fmt.Sprint("pod-", pod), Bad: 150, Exposure: 150})
		}
	}
	again, err := FalseAlarms(plan, [][]analysis.MinuteSum{day})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, again) {
		t.Error("what came after the deployment changes what is said of the time before")
	}
}

// A window with an outage, or with a single pod, is no healthy time.
func TestFalseAlarmsLeaveOutOutages(t *testing.T) {
	plan, day := quietDay(t, 1, healthy)
	var broken []analysis.MinuteSum
	for _, s := range day {
		minute := int(s.Minute.Sub(deployedAt.Add(-24*time.Hour)) / time.Minute)
		if minute >= 600 && minute < 630 || minute >= 900 && s.Pod != "pod-0" {
			continue
		}
		broken = append(broken, s)
	}
	got, err := FalseAlarms(plan, [][]analysis.MinuteSum{broken})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range got.Windows {
		minute := int(w.Start.Sub(deployedAt.Add(-24*time.Hour)) / time.Minute)
		if minute+18 > 600 && minute < 628 || minute+18 > 900 {
			t.Errorf("the window from minute %d was played", minute)
		}
	}
	if len(got.Windows) < 35 {
		t.Errorf("only %d windows are left", len(got.Windows))
	}
	if none, err := FalseAlarms(plan, nil); err != nil || len(none.Windows) != 0 {
		t.Errorf("no history: %v, %v", none, err)
	}
}

// What is compared with the hour before a deployment was never tried on other hours: the
// rate of the day says nothing of it.
func TestFalseAlarmsOfNoTimeBefore(t *testing.T) {
	for _, with := range []analysis.Comparison{analysis.PreviousWindow, analysis.Both} {
		plan, day := quietDay(t, 1, func(minute, pod int) float64 {
			if minute < 12*60 {
				return .02 // a night that is four times as bad, for all pods
			}
			return .005
		})
		plan.Comparison = with
		plan.Objectives[0].History.PhiBefore = [3]float64{1, 1, 1}
		got, err := FalseAlarms(plan, [][]analysis.MinuteSum{day})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range got.Windows {
			if w.Alarm || w.MaxLogE > 5 {
				t.Fatalf("%s: the window at %v holds evidence of %v against an hour that came after it", with, w.Start, w.MaxLogE)
			}
		}
	}
}

// One minute that cannot be is a gap, and no reason to plan nothing.
func TestFalseAlarmsPassOverWhatCannotBe(t *testing.T) {
	plan, day := quietDay(t, 1, healthy)
	for i := range 8 {
		day[len(day)-1-i].Level = math.NaN()
	}
	got, err := FalseAlarms(plan, [][]analysis.MinuteSum{day})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Windows); n < 70 {
		t.Errorf("%d windows of 20 minutes in a day", n)
	}
}
