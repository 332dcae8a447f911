package stats

import (
	"math"
	"slices"
	"testing"
	"time"
)

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

const benchRestarts = 7

var sink float64

// BenchmarkBareLoop is what a fold and a look of one ratio objective with 7
// restarts cost at least: 133 log1p, and 83 exp (the points above a margin of
// 1.05 or below one of 1.25) for each of nine mixtures.
func BenchmarkBareLoop(b *testing.B) {
	g := NewGrid(1.05, 1.25)
	l := make([]float64, g.Len())
	above, below := g.Len()-g.harm-1, g.safety
	for b.Loop() {
		for j := range l {
			l[j] += math.Log1p(g.rm1[j] * .1)
		}
		s := 0.0
		for range benchRestarts + 1 {
			for j := range above {
				s += math.Exp(-.01 * float64(j))
			}
		}
		for j := range below {
			s += math.Exp(-.01 * float64(j))
		}
		sink = s
	}
}

// benchWorld is an objective after eight small folds, the first seven followed by
// a snapshot: all log-likelihoods stay within 40 nats, where no exp is skipped.
func benchWorld(b *testing.B) (*Grid, *Profile, *Dispersion, [][]float64) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	d, err := NewDispersion(DispersionConfig{Cadence: 5 * time.Second, PHist: .005})
	if err != nil {
		b.Fatal(err)
	}
	snapshots := make([][]float64, benchRestarts)
	for i := range snapshots {
		mustAdd(b, p, g, 1, 5, 100, 900, 3)
		snapshots[i] = slices.Clone(p.L)
	}
	return g, p, d, snapshots
}

// BenchmarkFoldAndLook is the same work done by the package: phi, the fold, the
// dispersion, both sides and 7 restarts, every mixture evaluated in full.
func BenchmarkFoldAndLook(b *testing.B) {
	g, p, d, snapshots := benchWorld(b)
	var restarts [benchRestarts]float64
	b.ReportAllocs()
	for b.Loop() {
		copy(p.L, snapshots[benchRestarts-1])
		_ = p.Add(g, 1, 5, 100, 900, d.Phi())
		_ = d.Add(1, 5, 100, 900)
		for i, s := range snapshots {
			restarts[i] = p.LogHarmSince(g, s)
		}
		sink = LogStartMixture(p.LogHarm(g), restarts[:], benchRestarts) + p.LogSafety(g)
	}
}

// BenchmarkFoldAndLookBounded is the ordinary look: restarts are evaluated only
// where their bound could reach a bar.
func BenchmarkFoldAndLookBounded(b *testing.B) {
	g, p, d, snapshots := benchWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		copy(p.L, snapshots[benchRestarts-1])
		_ = p.Add(g, 1, 5, 100, 900, d.Phi())
		_ = d.Add(1, 5, 100, 900)
		top := p.LogHarmBound(g, nil)
		for _, s := range snapshots {
			top = max(top, p.LogHarmBound(g, s))
		}
		sink = top + p.LogSafety(g)
	}
}

func BenchmarkProfileAdd(b *testing.B) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Add(g, 1, 5, 100, 900, 1.5)
	}
}

func BenchmarkProfileAddInto(b *testing.B) {
	g := NewGrid(1.05, 1.25)
	p, inc := NewProfile(g), make([]float64, g.Len())
	b.ReportAllocs()
	for b.Loop() {
		_ = p.AddInto(g, inc, 1, 5, 100, 900, 1.5)
	}
}

func BenchmarkProfileLogHarm(b *testing.B) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	mustAdd(b, p, g, 1, 5, 100, 900, 1)
	b.ReportAllocs()
	for b.Loop() {
		sink = p.LogHarm(g)
	}
}

func BenchmarkProfileInterval(b *testing.B) {
	g := NewGrid(1.05, 1.25)
	p := NewProfile(g)
	mustAdd(b, p, g, 180, 1080, 24000, 216000, 1)
	b.ReportAllocs()
	for b.Loop() {
		sink, _ = p.Interval(g, .05)
	}
}

func BenchmarkAffineAddBothSides(b *testing.B) {
	h, _ := NewAffine(Harm, 1.05, .0025)
	s, _ := NewAffine(Safety, 1, .005)
	b.ReportAllocs()
	for b.Loop() {
		_ = h.Add(1, 5, 100, 900, 1.5, .005)
		_ = s.Add(1, 5, 100, 900, 1.5, .005)
		sink = h.LogE() + s.LogE()
	}
}

func BenchmarkDispersionAdd(b *testing.B) {
	d, _ := NewDispersion(DispersionConfig{Cadence: 5 * time.Second, PHist: .005})
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Add(1, 5, 100, 900)
		sink = d.Phi()
	}
}

func BenchmarkDifferenceAdd(b *testing.B) {
	s, _ := NewDifferenceCS(.01, .005)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Add(1, 5, 100, 900, 1.5)
	}
}

// TestNoAllocations: nothing on the path of a fold allocates.
func TestNoAllocations(t *testing.T) {
	g := NewGrid(1.05, 1.25)
	p, inc := NewProfile(g), make([]float64, g.Len())
	d, _ := NewDispersion(DispersionConfig{Cadence: 5 * time.Second, PHist: .005})
	h, _ := NewAffine(Harm, 1.05, .0025)
	s, _ := NewAffine(Safety, 1, .005)
	cs, _ := NewDifferenceCS(.01, .005)
	rate := BaselineRate{PHist: .005}
	snapshot := slices.Clone(p.L)
	var sums, affineInc AffineSums
	restarts := []float64{0, 0}
	e, v := []float64{0, 1}, []float64{.7, .3}
	got := testing.AllocsPerRun(1000, func() {
		phi, pB1 := d.Phi(), rate.P1()
		_ = p.Add(g, 1, 5, 100, 900, phi)
		_ = p.AddInto(g, inc, 1, 5, 100, 900, phi)
		_ = p.Add(g, 5, 1, 1, 900, phi) // refused
		_ = h.AddInto(&affineInc, 1, 5, 100, 900, phi, pB1)
		_ = s.Add(1, 5, 100, 900, phi, pB1)
		_ = rate.Add(1, 5, 100, 900)
		_ = d.Add(1, 5, 100, 900)
		_ = cs.Add(1, 5, 100, 900, phi)
		restarts[0], restarts[1] = p.LogHarmSince(g, snapshot), p.LogHarmWithout(g, snapshot, inc)
		sink = LogStartMixture(p.LogHarm(g), restarts, 7) + p.LogSafety(g) + p.LogHarmBound(g, snapshot)
		sink += h.LogEWithout(&sums, &affineInc) + s.LogE() + h.Excess(1, 5, 100, 900, phi, pB1)
		sink += RatioExcess(1.05, 1, 5, 100, 900, phi)
		sink, _ = LogWeightedMean(e, v)
		sink, _ = p.Interval(g, .05)
	})
	if got != 0 {
		t.Errorf("%v allocations a fold, want 0", got)
	}
}
