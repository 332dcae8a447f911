package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// service is a simulated fortnight and what follows, in logs of minute values: a daily
// season, shocks that it shares with its control, slow noise of its own (AR .95).
func service(rng *rand.Rand, minutes int) (y, c []float64) {
	own, other, shared := 0.0, 0.0, 0.0
	for t := range minutes {
		season := .3 * math.Sin(2*math.Pi*float64(t)/1440)
		own = .95*own + .02*rng.NormFloat64()
		other = .95*other + .02*rng.NormFloat64()
		shared = .95*shared + .05*rng.NormFloat64()
		y = append(y, season+shared+own+.03*rng.NormFloat64())
		c = append(c, season+shared+other+.03*rng.NormFloat64())
	}
	return y, c
}

const fortnight = 14 * 24 * 60

// after runs the looks behind the start and returns the smallest p-value.
func after(t *testing.T, y, c []float64, looks int) (p *Placebos, least float64) {
	t.Helper()
	var before []float64
	if c != nil {
		before = c[:fortnight]
	}
	p, err := NewPlacebos(y[:fortnight], before, nil, 1440, looks, .01)
	if err != nil {
		t.Fatal(err)
	}
	var s PlaceboSum
	least = 1
	for i := range looks {
		control := 0.0
		if c != nil {
			control = c[fortnight+i]
		}
		s.Add(p.Residual(i, y[fortnight+i], control))
		if s.Looked() {
			least = min(least, p.PUp(s.Up))
		}
	}
	return p, least
}

// At alpha .01 the placebo test alarms in about one of a hundred healthy releases, also
// where an incident of everybody begins with the release; an effect is found. Without a
// control the incident is blamed on the release.
func TestPlaceboCalibration(t *testing.T) {
	const runs, looks = 400, 60
	rng := rand.New(rand.NewPCG(7, 7))
	worlds := []struct {
		name             string
		effect, incident float64
		control          bool
		least, most      float64 // share of alarms
	}{
		{"nothing happens", 0, 0, true, 0, .025}, // .01 and three standard errors
		{"an incident of everybody", 0, .3, true, 0, .025},
		{"the same without a control", 0, .3, false, .1, 1},
		{"+50 %", math.Log(1.5), 0, true, .8, 1},
	}
	for _, w := range worlds {
		alarms := 0
		for range runs {
			y, c := service(rng, fortnight+looks)
			for i := fortnight; i < len(y); i++ {
				y[i] += w.effect + w.incident
				c[i] += w.incident
			}
			if !w.control {
				c = nil
			}
			if _, p := after(t, y, c, looks); p <= .01 {
				alarms++
			}
		}
		share := float64(alarms) / runs
		t.Logf("%s: %.3f", w.name, share)
		if share < w.least || share > w.most {
			t.Errorf("%s: alarms in %.3f of the runs, want %v to %v", w.name, share, w.least, w.most)
		}
	}
}

// Exchangeable starts: the p-value of one more placebo is at most u with probability at
// most u, and its e-value has a mean of at most 1. Counted over all ranks.
func TestPlaceboValuesAreValid(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	for range 50 {
		all := make([]float64, 200+rng.IntN(50))
		for i := range all {
			all[i] = rng.ExpFloat64() - .3
			if rng.IntN(10) == 0 {
				all[i] = 1 // ties
			}
		}
		mean, low := 0.0, 0
		for i := range all {
			p := Placebos{}
			for j, v := range all {
				if j != i {
					p.Up = append(p.Up, v)
				}
			}
			if p.PUp(all[i]) <= .05 {
				low++
			}
			mean += math.Exp(p.LogE(all[i])) / float64(len(all))
		}
		if share := float64(low) / float64(len(all)); share > .05 {
			t.Fatalf("p <= .05 in %v of the ranks", share)
		}
		if mean > 1+1e-9 {
			t.Fatalf("mean e-value %v", mean)
		}
	}
}

// Nothing after the start changes what is learned, and a start later in time with the
// same minutes before it learns the same.
func TestPlacebosKnowNoFuture(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	y, c := service(rng, fortnight+60)
	p, _ := after(t, y, c, 60)
	for i := fortnight; i < len(y); i++ {
		y[i], c[i] = 99, -99
	}
	q, err := NewPlacebos(y[:fortnight], c[:fortnight], nil, 1440, 60, .01)
	if err != nil {
		t.Fatal(err)
	}
	if p.PreMean != q.PreMean || len(p.Up) != len(q.Up) || p.Up[3] != q.Up[3] {
		t.Error("the time after the start was looked at")
	}
	if p.Correlation < MinCorrelation {
		t.Errorf("correlation %v: the control was not recognised", p.Correlation)
	}
}

func TestPlaceboEdges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	y, c := service(rng, fortnight)
	for _, test := range []struct {
		name   string
		y, c   []float64
		skip   []bool
		season int
		looks  int
		want   error
	}{
		{"a week", y[:7*1440], c[:7*1440], nil, 1440, 60, ErrHistory},
		{"lengths", y, c[1:], nil, 1440, 60, ErrShape},
		{"lengths of the skips", y, c, make([]bool, 3), 1440, 60, ErrShape},
		{"no looks", y, c, nil, 1440, 0, ErrParameter},
		{"a horizon beyond the season", y, c, nil, 30, 60, ErrParameter},
	} {
		if _, err := NewPlacebos(test.y, test.c, test.skip, test.season, test.looks, .01); err != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	all := make([]bool, fortnight)
	for i := range all {
		all[i] = true
	}
	if _, err := NewPlacebos(y, c, all, 1440, 60, .01); err != ErrHistory {
		t.Errorf("nothing but incidents: %v", err)
	}
	missing := make([]float64, fortnight)
	for i := range missing {
		missing[i] = math.NaN()
	}
	if _, err := NewPlacebos(missing, nil, nil, 1440, 60, .01); err != ErrHistory {
		t.Errorf("no value at all: %v", err)
	}
	constant := make([]float64, fortnight)
	p, err := NewPlacebos(constant, constant, nil, 1440, 60, .01)
	if err != nil {
		t.Fatal(err)
	}
	var s PlaceboSum
	for i := range 60 {
		s.Add(p.Residual(i, 0, 0))
	}
	if got := p.PUp(s.Up); got != 1 {
		t.Errorf("a constant that stays: p %v", got)
	}
	s.Add(math.NaN())
	s.Add(math.Inf(1))
	if s.N != 60 {
		t.Error("a missing minute was counted")
	}
}
