package stats

import (
	"math"
	"testing"
)

// V12 of the statistics page.
func TestOnsetReference(t *testing.T) {
	got, err := Onset([]float64{1, 0, 2, 1, 5, 6, 4}, []float64{9, 11, 8, 10, 9, 10, 11}, .1)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range []float64{.009380, .017518, .152790, .127132, .663358, .028726, .000651, .000446} {
		if math.Abs(got[k]-want) > 1e-6 {
			t.Errorf("tick %d: %v, want %v", k, got[k], want)
		}
	}
}

func TestOnsetEdges(t *testing.T) {
	if got, err := Onset(nil, nil, .5); err != nil || len(got) != 1 || got[0] != 1 {
		t.Errorf("no ticks: %v, %v", got, err)
	}
	for _, q := range []float64{0, 1, -1, math.NaN()} {
		if _, err := Onset([]float64{1}, []float64{1}, q); err != ErrParameter {
			t.Errorf("share %v: %v", q, err)
		}
	}
	if _, err := Onset([]float64{1}, nil, .1); err != ErrShape {
		t.Error(err)
	}
	for _, x := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := Onset([]float64{x}, []float64{1}, .1); err != ErrCounts {
			t.Errorf("%v events: %v", x, err)
		}
	}
	huge, err := Onset([]float64{1e12, 9e14}, []float64{9e12, 1e14}, .1)
	if err != nil || math.Abs(huge[1]-1) > 1e-9 {
		t.Errorf("huge counts: %v, %v", huge, err)
	}
}
