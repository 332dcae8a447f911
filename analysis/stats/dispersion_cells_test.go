package stats

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// The queue of cells gives back what was put in, to the bit, whether that is small or
// becomes too large or broken on the way, and grows as needed.
func TestRingKeepsEveryBit(t *testing.T) {
	for _, odd := range []float64{1, 1 << 24, 1<<24 + 1, 1e14, 1.0 / 3} {
		for odder := range 60 {
			rng := rand.New(rand.NewPCG(61, uint64(odder)))
			var r ring
			r.grow(4)
			var want []cell
			for fold := range 60 {
				for range 1 + rng.IntN(3) {
					c := cell{fold, float64(rng.IntN(5)), float64(rng.IntN(50)), float64(5 + rng.IntN(500)), float64(50 + rng.IntN(5000))}
					if fold == odder {
						c.nC = odd
					}
					const kept = 12
					r.push(c, fold-kept)
					want = append(want, c)
					for want[0].fold < fold-kept {
						want = want[1:]
					}
				}
				got := make([]cell, r.n)
				for i := range got {
					got[i] = r.at(i)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%v in fold %d: after fold %d %v, want %v", odd, odder, fold, got, want)
				}
			}
			if small := odd == 1 || odd == 1<<24; small != (r.wide == nil) {
				t.Fatalf("%v: kept wide %v", odd, r.wide != nil)
			}
		}
	}
}

// Counts that are no whole numbers go through a checkpoint to the bit.
func TestRestoringWideDispersion(t *testing.T) {
	c := DispersionConfig{Cadence: 30 * time.Second, PHist: .01}
	whole, err := NewDispersion(c)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(62, 1))
	again := whole
	for k := range 200 {
		xC, xB := rng.Float64()*3, float64(rng.IntN(30))
		for _, d := range []*Dispersion{whole, again}[:1+min(k/70, 1)] {
			if err := d.Add(xC, xB, 100, 900); err != nil {
				t.Fatal(err)
			}
		}
		if k == 69 {
			if again, err = RestoreDispersion(c, whole.State()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !reflect.DeepEqual(whole.State(), again.State()) || whole.Phi() != again.Phi() {
		t.Errorf("restored %v, want %v", again.State(), whole.State())
	}
}
