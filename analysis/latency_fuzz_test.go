package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomHistogram draws any history that passes Validate: of every layout, sparse, with
// huge and tiny bounds, with a tail that ends at once or never.
func randomHistogram(rng *rand.Rand) Histogram {
	var h Histogram
	n := rng.IntN(12)
	at := math.Exp(20 * rng.NormFloat64())
	if rng.IntN(20) == 0 {
		at *= math.Exp(float64(600 - 1200*rng.IntN(2)))
	}
	schema := rng.IntN(12) - 2
	index := rng.IntN(200) - 100
	for range n {
		switch index += 1 + rng.IntN(3)*rng.IntN(30); {
		case rng.IntN(1000) == 0:
			at = -at
		default:
			at *= 1 + math.Exp(3*rng.NormFloat64()-1)
		}
		b := at
		if schema >= 0 && schema <= 8 {
			b = exponentialBound(schema, index)
		}
		h.Bounds = append(h.Bounds, b)
	}
	slices.Sort(h.Bounds)
	h.Bounds = slices.Compact(h.Bounds)
	switch {
	case schema >= 0 && schema <= 8 && rng.IntN(3) > 0:
		h.Schema = &schema
		if len(h.Bounds) > 0 && rng.IntN(3) == 0 {
			h.Zero = h.Bounds[0]
		}
	case rng.IntN(3) == 0:
		h.Exact = true
	}
	for range len(h.Bounds) + 1 {
		h.Counts = append(h.Counts, float64(rng.IntN(3))*math.Round(math.Exp(3+3*rng.NormFloat64())))
	}
	return h
}

// Whatever was observed before, a plan can be made, written down and judged by; whatever
// counts are possible, evidence is a number.
func TestAnyHistoryGivesAPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	tested := 0
	for i := range 3000 {
		h := randomHistogram(rng)
		if h.Validate() != nil {
			continue
		}
		in := testInput()
		judging(h)(&in)
		withHistory(&in)
		if rng.IntN(2) == 0 {
			in.Policy.Objectives[0].Quantiles = []float64{.001 + .998*rng.Float64(), .9}
		}
		p, err := NewPlan(in)
		if err != nil {
			t.Fatalf("%d: %+v: %v", i, h, err)
		}
		if _, err := p.Encode(); err != nil {
			t.Fatalf("%d: %+v: %v", i, h, err)
		}
		l := p.Objectives[0].Latency
		tested += len(l.Thresholds)
		for _, c := range l.Thresholds {
			b := l.Bounds[c.Baseline]
			if !(c.RhoR >= 1 && c.RhoP >= 1 && c.Share > 0 && c.Share <= 1) || c.Form != FormSlope && !(l.Bounds[c.Harm] >= 1.05*b*(1-1e-9) && l.Bounds[c.Safety] <= 1.2*b*(1+1e-9)) {
				t.Fatalf("%d: %+v of %+v", i, c, h)
			}
		}
		s, err := NewState(p)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			var rows []ArmRow
			for _, arm := range []Arm{Baseline, Canary} {
				left := math.Round(math.Exp(8 * rng.Float64()))
				r := slowRow(arm, "p", left)
				for range l.Bounds {
					left = math.Floor(left * rng.Float64())
					r.Above = append(r.Above, left)
				}
				rows = append(rows, r)
			}
			foldSlow(t, s, rows...)
		}
		f := s.Describe()[0]
		if math.IsNaN(float64(f.ERollback)) || math.IsNaN(float64(f.EPromote)) || math.IsInf(float64(f.ERollback), 0) || math.IsNaN(float64(f.Low)) || math.IsNaN(float64(f.High)) {
			t.Fatalf("%d: %+v of %+v", i, f, h)
		}
	}
	if tested < 2000 {
		t.Errorf("only %d thresholds were judged", tested)
	}
}

// Counts that cannot be are an error, and teach nothing.
func TestImpossibleSlowCounts(t *testing.T) {
	s := testState(t, judging(evenly(4000)), withHistory)
	n := len(s.plan.Objectives[0].Latency.Bounds)
	before, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for name, above := range map[string][]float64{
		"no number":      append([]float64{math.NaN()}, make([]float64, n-1)...),
		"more than all":  slices.Repeat([]float64{101}, n),
		"negative":       append(make([]float64, n-1), -1),
		"infinitely":     slices.Repeat([]float64{math.Inf(1)}, n),
		"rising counts":  append(make([]float64, n-1), 1),
		"beyond maximum": slices.Repeat([]float64{2 * maxCount}, n),
	} {
		r := slowRow(Canary, "c", 100, above...)
		if name == "beyond maximum" {
			r.Exposure = 2 * maxCount
		}
		fold, _ := s.Next(0)
		if err := s.Fold(&Evidence{Objective: "latency", Fold: fold, Rows: []ArmRow{slowRow(Baseline, "b", 100, make([]float64, n)...), r}}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	after, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) {
		t.Error("the state has changed")
	}
}
