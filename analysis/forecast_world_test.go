package analysis_test

import (
	"math"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// The hold rate that a forecast tells is how often simulated healthy canaries are held.
// The tolerance covers 3 standard errors of 200 runs (.1) and, with clusters, that what
// history tells of them varies from one service's day to the next.
func TestHoldRateIsWhatHappens(t *testing.T) {
	slow(t)
	sparse := settingsBudget
	sparse.rps, sparse.cadence = 4, 15*time.Second
	for _, c := range []struct {
		name      string
		w         setting
		draw      drawer
		pool      []analysis.History
		deadlines []time.Duration
		tolerance float64
	}{
		{"ratio", settingsE, poisson, poissonHistories(), []time.Duration{12 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour}, .1},
		{"clusters", settingsE, clustered, clusteredHistories(), []time.Duration{30 * time.Minute, time.Hour}, .15},
		{"budget, little traffic", sparse, poisson, sparse.histories(poisson), []time.Duration{20 * time.Minute, 40 * time.Minute, time.Hour}, .1},
	} {
		for _, deadline := range c.deadlines {
			w := c.w
			w.deadline = deadline
			mean := 0.0
			for _, h := range c.pool {
				f, err := analysis.NewForecast(w.input(h), 0, analysis.CriticalEffect)
				if err != nil {
					t.Fatal(err)
				}
				mean += float64(f.HoldRate) / float64(len(c.pool))
			}
			held := 1 - share(w.simulate(t, 200, c.pool, c.draw, w.times(1), ended), promoted)
			t.Logf("%s, %v: forecast %.3f, simulated %.3f", c.name, deadline, mean, held)
			if !(math.Abs(mean-held) <= c.tolerance) {
				t.Errorf("%s, %v: forecast %.3f, simulated %.3f", c.name, deadline, mean, held)
			}
		}
	}
}

// A forecast tells what the first verdict does, of every shape: a canary that may not be
// promoted takes forever.
func TestForecastOfEveryShape(t *testing.T) {
	for _, comparison := range []analysis.Comparison{analysis.Concurrent, analysis.Both, analysis.PreviousWindow} {
		w := twentyObjectives(time.Minute)
		w.comparison = comparison
		in := w.input(t)
		for i, o := range in.Policy.Objectives {
			if o.Signal.Shape == analysis.ShapeDistribution {
				in.Facts[i].History.HourTotal, in.Facts[i].History.HourSpan = 4e5, 60
			}
		}
		f, err := analysis.NewForecast(in, 0, analysis.CriticalEffect)
		if err != nil {
			t.Fatal(err)
		}
		p, err := analysis.NewPlan(in)
		if err != nil {
			t.Fatal(err)
		}
		s := newState(t, p)
		s.Assess()
		same := func(a, b analysis.Figure) bool {
			return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b)) || math.Abs(float64(a/b-1)) < 1e-9
		}
		told := map[analysis.Shape]int{}
		for i, finding := range s.Describe() {
			o, planned := f.Objectives[i], p.Objectives[i]
			never := math.IsInf(float64(o.Margins[0].Minutes), 1)
			if !same(finding.MinutesToPromote, o.Margins[0].Minutes) && !never || !same(finding.MinutesToDetectDouble, o.Detect[3].Minutes) ||
				!same(planned.MinutesToPromote, finding.MinutesToPromote) && !never || !same(planned.MinutesToDetectDouble, finding.MinutesToDetectDouble) {
				t.Errorf("%s, %s: forecast %v and %v, plan %v and %v, first verdict %v and %v", comparison, o.Name, o.Margins[0].Minutes, o.Detect[3].Minutes,
					planned.MinutesToPromote, planned.MinutesToDetectDouble, finding.MinutesToPromote, finding.MinutesToDetectDouble)
			}
			if never && o.Why == "" {
				t.Errorf("%s, %s: promotes in %v, because %q", comparison, o.Name, o.Margins[0].Minutes, o.Why)
			}
			for j := 1; j < len(o.Detect); j++ {
				if o.Detect[j].Minutes > o.Detect[j-1].Minutes {
					t.Errorf("%s, %s: more harm takes longer: %+v", comparison, o.Name, o.Detect)
				}
			}
			if m := float64(o.Detect[4].Minutes); m > 0 && !math.IsInf(m, 0) {
				told[o.Shape]++
			}
		}
		if len(told) != 3 {
			t.Errorf("%s: effects are foreseen of %v", comparison, told)
		}
	}
}

// Until the first row of a level the warm-up is still to come; counts begin at once.
func TestForecastCountsTheWarmup(t *testing.T) {
	forecast := func(warmup time.Duration) *analysis.Forecast {
		in := twentyObjectives(time.Minute).input(t)
		in.Policy.Window.Warmup = analysis.Duration(warmup)
		f, err := analysis.NewForecast(in, 0, analysis.CriticalEffect)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	at, later := forecast(0), forecast(7*time.Minute)
	for i, o := range at.Objectives {
		want := analysis.Figure(0)
		if o.Shape == analysis.ShapeLevel {
			want = 7
		}
		if got := later.Objectives[i].Detect[4].Minutes - o.Detect[4].Minutes; math.Abs(float64(got-want)) > 1e-9 {
			t.Errorf("%s: %v minutes later, want %v", o.Name, got, want)
		}
	}
}
