package validation

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// told is a past with a histogram and a level that never change, and remembers what it
// was asked.
type told struct {
	observed   float64 // in an hour
	failing    string  // the question that fails
	histories  []analysis.HistoryQuery
	histograms []analysis.DistributionQuery
}

var errAway = errors.New("away")

func (p *told) fails(op string) error {
	if op == p.failing {
		return errAway
	}
	return nil
}

func (p *told) Lag() time.Duration { return 7 * time.Second }

func (p *told) Spacing(context.Context, analysis.SpacingQuery) (time.Duration, error) {
	return 15 * time.Second, p.fails("spacing")
}

func (p *told) Distribution(_ context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	p.histograms = append(p.histograms, q)
	if err := p.fails("distribution"); err != nil {
		return analysis.Histogram{}, err
	}
	n := p.observed * q.To.Sub(q.From).Hours()
	return analysis.Histogram{Bounds: []float64{.05, .1, .2, .4, .8}, Counts: []float64{.3 * n, .4 * n, .2 * n, .07 * n, .025 * n, .005 * n}}, nil
}

func (p *told) HistoryStep(cadence time.Duration) time.Duration { return cadence }

func (p *told) History(_ context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	p.histories = append(p.histories, q)
	if err := p.fails("history"); err != nil {
		return nil, err
	}
	var sums []analysis.MinuteSum
	for i := range 4 * 60 {
		for _, pod := range []string{"a", "b", "c"} {
			sum := analysis.MinuteSum{Minute: q.To.Add(-4*time.Hour + time.Duration(i)*time.Minute), Pod: pod, Exposure: 100, Level: 100 + float64((i+len(pod))%7)}
			for range q.Bounds {
				sum.Above = append(sum.Above, 5)
			}
			sums = append(sums, sum)
		}
	}
	return sums, nil
}

func planInput(shape analysis.Shape) (analysis.Objective, analysis.PlanInput) {
	s := analysis.Signal{Name: "s", Source: "prom", Shape: shape}
	switch shape {
	case analysis.ShapeDistribution:
		s.Histogram = &analysis.Selector{Metric: "took_seconds"}
	case analysis.ShapeLevel:
		s.Gauge = &analysis.Selector{Metric: "resident_bytes"}
	default:
		s.Bad, s.Total = &analysis.Selector{Metric: "failed_total"}, &analysis.Selector{Metric: "requests_total"}
	}
	o := analysis.Objective{Name: "s", Role: analysis.Critical, Signal: s}
	cohort := func(version string) analysis.Cohort {
		return analysis.Cohort{analysis.AttrService: "checkout", analysis.AttrVersion: version}
	}
	return o, analysis.PlanInput{
		Deployment: analysis.Deployment{ID: "d", Attempt: 1, StartedAt: start, Release: analysis.Release{Service: "checkout", Version: "2", PreviousVersion: "1"}},
		Policy:     analysis.Policy{Name: "p", Objectives: []analysis.Objective{o}, Window: analysis.DefaultWindow(), AlphaRollback: .01, AlphaPromote: .05},
		Cohorts:    analysis.Cohorts{Baseline: cohort("1"), Canary: cohort("2"), Control: analysis.Cohort{analysis.AttrService: "search"}},
	}
}

// The thresholds of a distribution are chosen from the last hour where it observed
// enough, else from the last day, and history is asked for at them.
func TestRecallADistribution(t *testing.T) {
	for observed, windows := range map[float64][]time.Duration{5000: {time.Hour}, 1999: {time.Hour, 24 * time.Hour}} {
		past := &told{observed: observed}
		o, in := planInput(analysis.ShapeDistribution)
		recalled, err := Recall(t.Context(), past, o, in)
		if err != nil {
			t.Fatal(err)
		}
		var asked []time.Duration
		for _, q := range past.histograms {
			asked = append(asked, q.To.Sub(q.From))
			if !q.To.Equal(start) {
				t.Errorf("asked for what was observed up to %v, after the deployment", q.To)
			}
		}
		if !slices.Equal(asked, windows) {
			t.Errorf("%v observations an hour: asked for %v, want %v", observed, asked, windows)
		}
		in.Facts = []analysis.Facts{recalled.Facts(in)}
		plan, err := analysis.NewPlan(in)
		if err != nil {
			t.Fatal(err)
		}
		bounds := plan.Objectives[0].Latency.Bounds
		if len(bounds) == 0 || len(past.histories) != 1 || !slices.Equal(past.histories[0].Bounds, bounds) {
			t.Errorf("the plan counts above %v, history was asked for above %+v", bounds, past.histories)
		}
		if h := plan.Objectives[0].History; !h.Calibrated || h.Latency == nil || len(h.Latency.Above) != len(bounds) {
			t.Errorf("learned %+v", h)
		}
	}
}

// A level's history comes at the step that its source keeps. Its control is asked for
// only where the canary is compared with the time before.
func TestRecallALevel(t *testing.T) {
	for _, test := range []struct {
		comparison analysis.Comparison
		asked      []string // of whom
	}{
		{"", []string{"checkout 1"}},
		{analysis.Concurrent, []string{"checkout 1"}},
		{analysis.PreviousWindow, []string{"checkout 1", "search", "search", "checkout"}}, // and both over weeks, in which there were many versions
		{analysis.Both, []string{"checkout 1", "search"}},
	} {
		past := &told{}
		o, in := planInput(analysis.ShapeLevel)
		in.Policy.Comparison = test.comparison
		recalled, err := Recall(t.Context(), past, o, in)
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		for _, q := range past.histories {
			var whom []string
			for _, m := range q.Matches {
				whom = append(whom, m.Values...)
			}
			asked = append(asked, strings.Join(whom, " "))
			if days := q.To.Sub(q.From).Hours() / 24; !q.To.Equal(start) || !(days == 1 && q.Step == 15*time.Second || days >= 14 && q.Step == time.Minute) {
				t.Errorf("%q: asked for steps of %v from %v to %v", test.comparison, q.Step, q.From, q.To)
			}
		}
		if !slices.Equal(asked, test.asked) {
			t.Errorf("%q: asked about %v, want %v", test.comparison, asked, test.asked)
		}
		facts := recalled.Facts(in)
		if facts.Step != 15*time.Second || facts.History.Level == nil || facts.Lag != 7*time.Second || facts.Spacing != 15*time.Second {
			t.Errorf("%q: %+v", test.comparison, facts)
		}
	}
}

// What was told before an error is not lost.
func TestRecallInPart(t *testing.T) {
	for failing, want := range map[string]time.Duration{"spacing": 15 * time.Second, "distribution": 15 * time.Second, "history": 15 * time.Second} {
		o, in := planInput(analysis.ShapeDistribution)
		recalled, err := Recall(t.Context(), &told{observed: 5000, failing: failing}, o, in)
		facts := recalled.Facts(in)
		if !errors.Is(err, errAway) || facts.Spacing != want || facts.Lag != 7*time.Second || facts.History.Calibrated {
			t.Errorf("without %s: %+v, %v", failing, facts, err)
		}
		if known := facts.Distribution.Counts != nil; known != (failing == "history") {
			t.Errorf("without %s: distribution %+v", failing, facts.Distribution)
		}
	}
}

// The control is made of pods outside of the change: it takes service and environment
// from the release where it names none itself, and no version.
func TestControlCohort(t *testing.T) {
	d := analysis.Deployment{Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "2", PreviousVersion: "1"}}
	seen := []analysis.Seen{{Service: "checkout", Environment: "prod", Version: "1"}}
	for _, test := range []struct{ written, want map[string]string }{
		{nil, nil},
		{map[string]string{"region": "us"}, map[string]string{"region": "us", analysis.AttrService: "checkout", analysis.AttrEnvironment: "prod"}},
		{map[string]string{analysis.AttrService: "search", analysis.AttrVersion: "${baseline.version}"}, map[string]string{analysis.AttrService: "search", analysis.AttrVersion: "1", analysis.AttrEnvironment: "prod"}},
	} {
		cohorts, _ := Cohorts(analysis.Policy{Control: test.written}, d, seen)
		if !reflect.DeepEqual(cohorts.Control, analysis.Cohort(test.want)) {
			t.Errorf("%v: %v, want %v", test.written, cohorts.Control, test.want)
		}
	}
}
