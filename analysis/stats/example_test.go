package stats_test

import (
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// Five minutes of a canary that takes 10% of the traffic and fails three times as
// often as the baseline: evidence of harm, and none of safety.
func ExampleProfile() {
	g := stats.NewGrid(1.05, 1.25)
	p := stats.NewProfile(g)
	d, _ := stats.NewDispersion(stats.DispersionConfig{Cadence: 15 * time.Second, Priors: stats.Priors{1.2, 1.3, 1.4}})
	for range 20 {
		xC, xB, nC, nB := 3.0, 9.0, 150.0, 1350.0
		if err := p.Add(g, xC, xB, nC, nB, d.Phi()); err != nil {
			fmt.Println(err)
		}
		if err := d.Add(xC, xB, nC, nB); err != nil {
			fmt.Println(err)
		}
	}
	lo, hi := p.Interval(g, .05)
	fmt.Printf("harm proven at level .01: %v\n", p.LogHarm(g) >= math.Log(100))
	fmt.Printf("safety proven at level .05: %v\n", p.LogSafety(g) >= math.Log(20))
	fmt.Printf("the canary fails between %.2f and %.2f times as often\n", lo, hi)
	// Output:
	// harm proven at level .01: true
	// safety proven at level .05: false
	// the canary fails between 1.65 and 6.36 times as often
}

// A service with hardly any errors cannot show that its ratio is small; it can
// show that it stays within half of an error budget of 0.1%.
func ExampleAffine() {
	a, _ := stats.NewAffine(stats.Safety, 1, .5*.001)
	rate := stats.BaselineRate{PHist: stats.HistoryRate(1, 100_000, .001)}
	requests := 0
	for a.LogE() < math.Log(20) {
		if err := a.Add(0, 0, 500, 4500, 1, rate.P1()); err != nil {
			fmt.Println(err)
			return
		}
		_ = rate.Add(0, 0, 500, 4500)
		requests += 500
	}
	fmt.Printf("shown after %d canary requests without an error\n", requests)
	// Output:
	// shown after 7000 canary requests without an error
}

// How long until a doubled error rate is found, at 300 errors a minute and 2% of
// the traffic, and what is the least that ten minutes can find?
func ExampleMinutesRatio() {
	p := stats.RatioPlan{
		Side: stats.Harm, Events: 300, Weight: .02, Rho1: 2, Rho0: 1.05,
		Demand: stats.Demand{Alpha: .01, C: stats.LossHarm, Phi: 1},
	}
	t, _ := stats.MinutesRatio(p)
	rho, _ := stats.DetectableRatio(p, 10)
	fmt.Printf("%.1f minutes; a ratio of %.2f in ten\n", t, rho)
	// Output:
	// 3.6 minutes; a ratio of 1.59 in ten
}

// One objective of three has evidence of 300 to 1. The weighted average stands
// whatever the dependence between the objectives.
func ExampleLogWeightedMean() {
	e, _ := stats.LogWeightedMean([]float64{math.Log(300), 0, math.Log(.2)}, []float64{.7, .2, .1})
	fmt.Printf("%.2f\n", math.Exp(e))
	// Output:
	// 210.22
}
