package analysis_test

import (
	"fmt"
	"log"
	"time"

	"github.com/release-assay/assay/analysis"
)

// exampleRelease is a canary of a tenth of the traffic of a checkout service, which
// promises that 99.9% of the requests succeed and whose baseline fails one in
// 2,500, at 12,000 requests a minute.
func exampleRelease() analysis.PlanInput {
	start := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	return analysis.PlanInput{
		Deployment: analysis.Deployment{
			ID: "checkout-1.5.0", Attempt: 1, StartedAt: start,
			Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"},
			Steps:   []analysis.Step{{Index: 1, Total: 1, Weight: .1, At: start}},
		},
		Policy: analysis.Policy{
			Name: "checkout-prod",
			Objectives: []analysis.Objective{{
				Name: "availability", Role: analysis.Critical, Target: .999,
				Signal: analysis.Signal{
					Name: "requests", Source: "prometheus", Unit: "1", Shape: analysis.ShapeRatio,
					Bad: &analysis.Selector{Metric: "http_errors_total"}, Total: &analysis.Selector{Metric: "http_requests_total"},
				},
			}},
			Window:        analysis.DefaultWindow(),
			AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		},
		Facts: []analysis.Facts{{
			Spacing: 15 * time.Second,
			History: analysis.History{
				Calibrated: true, Minutes: 1440, Pods: 10, Phi0: [3]float64{1.1, 1.1, 1.1},
				Bad: 6912, Exposure: 17.28e6, BadHour: 288, HourTotal: 720_000, HourSpan: 60,
			},
		}},
	}
}

// A plan tells, before any data, what the traffic can show: which margin was
// chosen, how long a healthy canary will take to be shown safe within it, and how
// soon a doubled error rate would be found. (Here doubling costs little more than
// the quarter of the error budget that is tolerated, so it takes for ever to tell.)
func ExampleNewPlan() {
	plan, err := analysis.NewPlan(exampleRelease())
	if err != nil {
		log.Fatal(err)
	}
	o := plan.Objectives[0]
	fmt.Printf("tolerance: %v\n", o.ToleranceBound)
	fmt.Printf("margin:    %v (%s)\n", o.MarginBound, o.Rung)
	fmt.Printf("a healthy canary is shown safe in about %.0f min; the deadline is %v\n", float64(o.MinutesToPromote), plan.Window.Deadline)
	fmt.Printf("a doubled error rate is found in about %.0f min\n", float64(o.MinutesToDetectDouble))

	quiet := exampleRelease()
	quiet.Facts[0].History.HourTotal /= 20
	plan, err = analysis.NewPlan(quiet)
	if err != nil {
		log.Fatal(err)
	}
	o = plan.Objectives[0]
	fmt.Printf("with a twentieth of the traffic: %s, about %.0f min, underpowered: %v\n", o.Rung, float64(o.MinutesToPromote), o.Underpowered)
	// Output:
	// tolerance: 1.05 × baseline + 0.25 of the error budget
	// margin:    1 × baseline + 0.5 of the error budget (half_budget)
	// a healthy canary is shown safe in about 22 min; the deadline is 1h0m0s
	// a doubled error rate is found in about 591 min
	// with a twentieth of the traffic: keeps_slo, about 324 min, underpowered: true
}

// exampleFold is what both arms counted in one fold.
func exampleFold(s *analysis.State, canaryBad, baselineBad float64) {
	fold, _ := s.Next(0)
	err := s.Fold(&analysis.Evidence{Objective: "availability", Fold: fold, Rows: []analysis.ArmRow{
		{Arm: analysis.Baseline, Pod: "checkout-1", Bad: baselineBad, Exposure: 2700, Received: 1, Fresh: true, Version: "1.4.9"},
		{Arm: analysis.Canary, Pod: "checkout-2", Bad: canaryBad, Exposure: 300, Received: 1, Fresh: true, Version: "1.5.0"},
	}})
	if err != nil {
		log.Fatal(err)
	}
}

// The canary fails five times as often as the baseline. One look after every fold
// costs nothing: the harm evidence R may be read at any time, and reaches 100 in at
// most 1% of the deployments of an acceptable release.
func ExampleState_Assess() {
	plan, err := analysis.NewPlan(exampleRelease())
	if err != nil {
		log.Fatal(err)
	}
	state, err := analysis.NewState(plan)
	if err != nil {
		log.Fatal(err)
	}
	for fold := 1; ; fold++ {
		bad := 1.0 // one of 2,700
		if fold%10 == 0 {
			bad = 2
		}
		exampleFold(state, float64(fold%2), bad)
		state.Assess()
		harm := state.Checks().Harm
		if fold%20 == 0 || harm.State == analysis.Bad {
			fmt.Printf("minute %4.1f: R = %.3g, harm is %v (%s)\n", float64(fold)/4, state.Evidence(), harm.State, harm.Code)
		}
		if harm.State == analysis.Bad {
			break
		}
	}
	f := state.Describe()[0]
	fmt.Printf("the canary's rate is %.2f%% above the baseline's, 95%% interval %.2f%% to %.2f%%\n", 100*f.Effect, 100*f.Low, 100*f.High)
	fmt.Printf("acceptable would be %.3f%%, and %.3f%% is unacceptable\n", 100*f.Tolerance, 100*f.Margin)
	// Output:
	// minute  5.0: R = 2.4, harm is good ()
	// minute 10.0: R = 15.4, harm is undecided (harm_suspected)
	// minute 13.8: R = 122, harm is bad (harm_shown)
	// the canary's rate is 0.13% above the baseline's, 95% interval 0.04% to 0.28%
	// acceptable would be 0.027%, and 0.050% is unacceptable
}

// A healthy canary: safety is shown within the margin, and coverage, identity and
// serving are proven. What is missing is named by a check's reason.
func ExampleState_Checks() {
	plan, err := analysis.NewPlan(exampleRelease())
	if err != nil {
		log.Fatal(err)
	}
	state, err := analysis.NewState(plan)
	if err != nil {
		log.Fatal(err)
	}
	show := func(minute int) {
		state.Assess()
		c := state.Checks()
		fmt.Printf("minute %d: harm %v, safety %v, coverage %v, identity %v, serving %v, environment %v\n", minute,
			c.Harm.State, c.Safety.State, c.Coverage.State, c.Identity.State, c.Serving.State, c.Environment.State)
		if c.Safety.State != analysis.Good {
			fmt.Println("  safety:", c.Safety.Reason)
		}
	}
	for fold := 1; fold <= 4*30; fold++ {
		canaryBad := 0.0
		if fold%8 == 0 {
			canaryBad = 1
		}
		exampleFold(state, canaryBad, 1)
		switch fold {
		case 4, 4 * 30:
			show(fold / 4)
		}
	}
	// Both arms fall silent. Nothing that was shown is unlearnt, but what is not
	// heard of is not promoted.
	for range 3 {
		fold, _ := state.Next(0)
		if err := state.Fold(&analysis.Evidence{Objective: "availability", Fold: fold, Missing: analysis.SourceUnavailable}); err != nil {
			log.Fatal(err)
		}
	}
	show(31)
	fmt.Println("  coverage:", state.Checks().Coverage.Reason)
	// Output:
	// minute 1: harm good, safety undecided, coverage undecided, identity good, serving undecided, environment good
	//   safety: availability: safety evidence 1.67 of 20 (1200 canary requests); about 18.1 minutes still needed
	// minute 30: harm good, safety good, coverage good, identity good, serving good, environment good
	// minute 31: harm good, safety good, coverage stale, identity good, serving good, environment good
	//   coverage: availability: both arms are silent since 3 folds of 15s
}
