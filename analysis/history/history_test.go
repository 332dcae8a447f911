package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

var deployedAt = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// sums draws the history of so many pods over the minutes before the deployment.
func sums(minutes, pods int, perMinute float64, bad func(minute, pod int) float64) []analysis.MinuteSum {
	var out []analysis.MinuteSum
	for m := minutes; m > 0; m-- {
		for pod := range pods {
			out = append(out, analysis.MinuteSum{
				Minute: deployedAt.Add(-time.Duration(m) * time.Minute), Pod: fmt.Sprintf("pod-%02d", pod),
				Bad: min(perMinute, bad(m, pod)), Exposure: perMinute,
			})
		}
	}
	return out
}

func none(int, int) float64 { return 0 }

// poisson draws from Poisson(mean) for a mean up to a few hundred.
func poisson(rng *rand.Rand, mean float64) float64 {
	limit, prod, k := math.Exp(-mean), rng.Float64(), 0.0
	for prod > limit {
		prod *= rng.Float64()
		k++
	}
	return k
}

func TestTotals(t *testing.T) {
	in := []analysis.MinuteSum{
		{Minute: deployedAt.Add(-61 * time.Minute), Pod: "a", Bad: 1, Exposure: 10},
		{Minute: deployedAt.Add(-60 * time.Minute), Pod: "a", Bad: 2, Exposure: 20}, // the first of the last hour
		{Minute: deployedAt.Add(-60 * time.Minute), Pod: "b", Bad: 0, Exposure: 30},
		{Minute: deployedAt.Add(-1 * time.Minute), Pod: "c", Bad: 3, Exposure: 40},
		{Minute: deployedAt.Add(-3 * time.Minute), Pod: "f", Bad: 2, Exposure: 2},
		{Minute: deployedAt, Pod: "d", Bad: 50, Exposure: 50}, // the future
		{Minute: deployedAt.Add(time.Minute), Pod: "d", Bad: 50, Exposure: 50},
		{Minute: deployedAt.Add(-2 * time.Minute), Pod: "e", Bad: 9, Exposure: 8}, // impossible
		{Minute: deployedAt.Add(-2 * time.Minute), Pod: "e", Bad: -1, Exposure: 8},
		{Minute: deployedAt.Add(-2 * time.Minute), Pod: "e", Bad: math.NaN(), Exposure: 8},
		{Minute: deployedAt.Add(-2 * time.Minute), Pod: "e", Bad: 0, Exposure: math.NaN()},
		{Minute: deployedAt.Add(-2 * time.Minute), Pod: "e", Bad: 0, Exposure: math.Inf(1)},
	}
	got := Learn(in, deployedAt, .1, "seed")
	want := analysis.History{
		Minutes: 4, Pods: 4, Phi0: stats.NoHistory(), PhiBefore: stats.NoHistory(), Bad: 8, Exposure: 102, BadHour: 7, HourTotal: 92, HourSpan: 3,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestCalibrated(t *testing.T) {
	for _, c := range []struct {
		minutes, pods int
		want          bool
	}{{119, 2, false}, {120, 2, true}, {1440, 1, false}, {0, 0, false}} {
		got := Learn(sums(c.minutes, c.pods, 100, none), deployedAt, .1, "seed")
		if got.Calibrated != c.want || got.Minutes != c.minutes {
			t.Errorf("%d minutes of %d pods: calibrated %v, %d minutes", c.minutes, c.pods, got.Calibrated, got.Minutes)
		}
		if !c.want && got.Phi0 != stats.NoHistory() {
			t.Errorf("%d minutes of %d pods: phi %v, want 3", c.minutes, c.pods, got.Phi0)
		}
	}
	// Pods that went before the last hour do not count.
	old := sums(300, 2, 100, none)
	old = slices.DeleteFunc(old, func(s analysis.MinuteSum) bool {
		return s.Pod == "pod-01" && !s.Minute.Before(deployedAt.Add(-time.Hour))
	})
	if got := Learn(old, deployedAt, .1, "seed"); got.Calibrated || got.Pods != 1 {
		t.Errorf("one pod is left: %+v", got)
	}
}

// A calibrated history in which nothing ever failed knows nothing of dispersion.
func TestNothingEverFailed(t *testing.T) {
	got := Learn(sums(1440, 10, 1000, none), deployedAt, .1, "seed")
	if !got.Calibrated || got.Phi0 != stats.NoHistory() || got.Bad != 0 {
		t.Errorf("%+v", got)
	}
}

// phi of independent errors is near 1, of clusters of geometric size (mean 3) near
// 5, and slow wandering of single pods shows in the longer batches.
func TestDispersion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	independent := func(int, int) float64 { return poisson(rng, 6) }
	clustered := func(int, int) float64 {
		total := 0.0
		for range int(poisson(rng, 2)) {
			total += 1 + math.Floor(math.Log(1-rng.Float64())/math.Log(2./3))
		}
		return total
	}
	state := make([]float64, 10)
	wandering := func(_, pod int) float64 {
		state[pod] = .97*state[pod] + .24*.3*rng.NormFloat64() // log sd .3
		return poisson(rng, 20*math.Exp(state[pod]))
	}
	for _, c := range []struct {
		name      string
		bad       func(minute, pod int) float64
		low, high [3]float64
	}{
		{"independent", independent, [3]float64{1, 1, 1}, [3]float64{1.15, 1.3, 1.5}},
		{"clusters", clustered, [3]float64{4.2, 4.2, 4.2}, [3]float64{6, 6.5, 7.5}},
		{"wandering", wandering, [3]float64{2, 4, 8}, [3]float64{4, 14, 40}},
	} {
		got := Learn(sums(1440, 10, 1200, c.bad), deployedAt, .1, "seed").Phi0
		t.Logf("%s: phi %.2f", c.name, got)
		for b := range got {
			if got[b] < c.low[b] || got[b] > c.high[b] {
				t.Errorf("%s: phi %v, want %v to %v", c.name, got, c.low, c.high)
			}
		}
		if c.name == "wandering" && !(got[0] < got[1] && got[1] < got[2]) {
			t.Errorf("wandering: phi %v does not grow with the batch", got)
		}
	}
}

// Two pods that have two errors by turns: whichever plays the canary, it has twice
// its share or nothing. (8) by hand: rho^ follows the minutes so far, each minute
// has d = 2 and w = 1/2, and pairs of minutes even out.
func TestDispersionByHand(t *testing.T) {
	got := Learn(sums(120, 2, 100, func(m, pod int) float64 {
		if m%2 == pod {
			return 2
		}
		return 0
	}), deployedAt, .5, "seed").Phi0
	var xC, xB, squares, v float64
	for k := range 120 {
		x := 2 * float64(k%2)
		xC += x
		xB += 2 - x
		rho := (xC + 2) / (xB + 2)
		q := rho / (1 + rho)
		squares += (x - 2*q) * (x - 2*q)
		v += 2 * q * (1 - q)
	}
	k := 1 / (1./120 + 1/(2*v))
	if want := squares / v * (1 + math.Sqrt(2/k)); math.Abs(got[0]-want) > 1e-9 || math.Abs(want-2.3) > .1 {
		t.Errorf("phi %v at one minute, want %v", got[0], want)
	}
	if got[1] != 1 || got[2] != 1 {
		t.Errorf("phi %v at 5 and %v at 15 minutes, want 1: turns even out", got[1], got[2])
	}
}

func TestSizeOfPseudoCanaries(t *testing.T) {
	for _, c := range []struct {
		pods   int
		weight float64
		size   float64
	}{
		{10, .1, 1}, {10, .01, 1}, {10, .14, 1}, {10, .16, 2}, {10, .5, 5}, {10, .95, 9}, {10, 1, 9}, // somebody is left
		{2, .5, 1}, {2, .9, 1}, {3, .5, 2}, {1, .5, 1},
	} {
		var m oneMinute
		var rank []int32
		for i := range c.pods {
			m.pods = append(m.pods, analysis.MinuteSum{Pod: fmt.Sprint(i), Bad: 1, Exposure: math.Pow(2, float64(i))})
			m.ids = append(m.ids, int32(i))
			rank = append(rank, int32(c.pods-i)) // the last one comes first
		}
		row, _ := compare(&m, rank, c.weight, nil)
		if row.XC != c.size || row.XC+row.XB != float64(c.pods) {
			t.Errorf("%v of %d pods: %v are canaries, want %v", c.weight, c.pods, row.XC, c.size)
		}
		if last := math.Pow(2, float64(c.pods-1)); row.NC < last || c.pods > 1 && row.NB >= last {
			t.Errorf("%v of %d pods: the lowest rank is not among the canaries", c.weight, c.pods)
		}
	}
}

// The order of the sums and of equal calls does not matter; the seed does; the
// caller's slice is left alone.
func TestLearnIsAFunctionOfItsInput(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	in := sums(200, 6, 500, func(int, int) float64 { return poisson(rng, 4) })
	before := slices.Clone(in)
	want := Learn(in, deployedAt, .2, "seed")
	if !reflect.DeepEqual(in, before) {
		t.Error("the caller's slice was changed")
	}
	for range 3 {
		rng.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		if got := Learn(in, deployedAt, .2, "seed"); got != want {
			t.Fatalf("in another order %+v, want %+v", got, want)
		}
	}
	if got := Learn(in, deployedAt, .2, "other seed"); got.Phi0 == want.Phi0 {
		t.Error("another seed draws the same pseudo-canaries")
	} else if got.Bad != want.Bad || got.HourTotal != want.HourTotal {
		t.Error("another seed gives other totals")
	}
}

// Nothing at or after the deployment changes what was learned.
func TestLearnSeesNoFuture(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	in := sums(200, 4, 500, func(int, int) float64 { return poisson(rng, 4) })
	want := Learn(in, deployedAt, .2, "seed")
	for m := range 100 {
		in = append(in, analysis.MinuteSum{Minute: deployedAt.Add(time.Duration(m) * time.Minute), Pod: "pod-00", Bad: 400, Exposure: 500})
	}
	if got := Learn(in, deployedAt, .2, "seed"); got != want {
		t.Errorf("with the future %+v, want %+v", got, want)
	}
}

// A minute with a single pod, and pods that come and go, compare nothing and break
// nothing.
func TestPodsThatComeAndGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	in := sums(1440, 6, 1000, func(int, int) float64 { return poisson(rng, 5) })
	in = slices.DeleteFunc(in, func(s analysis.MinuteSum) bool {
		m := int(deployedAt.Sub(s.Minute) / time.Minute)
		return s.Pod != "pod-00" && (m%7 == 0 || m/200%2 == 0 && s.Pod > "pod-03")
	})
	got := Learn(in, deployedAt, .3, "seed")
	if !got.Calibrated || got.Phi0[0] < 1 || got.Phi0[0] > 1.3 || got.Phi0[2] > 1.8 {
		t.Errorf("%+v", got)
	}
}

// Different draws rank the pods differently, and evenly.
func TestHashIsEven(t *testing.T) {
	first := map[string]int{}
	const draws = 200
	for d := range draws {
		best, at := uint64(math.MaxUint64), ""
		for pod := range 8 {
			name := fmt.Sprintf("checkout-6d4cf56db6-%c", 'a'+pod)
			if h := hash("seed", byte(d), name); h < best {
				best, at = h, name
			}
		}
		first[at]++
	}
	for name, n := range first {
		if n < draws/8/3 || n > draws/8*3 {
			t.Errorf("%s plays the canary in %d of %d draws", name, n, draws)
		}
	}
	if len(first) != 8 {
		t.Errorf("%d of 8 pods ever play the canary", len(first))
	}
}

func ExampleLearn() {
	// A day of ten pods, each with 1,000 requests a minute, whose errors are
	// independent: the arms of an A/A comparison differ by no more than chance.
	rng := rand.New(rand.NewPCG(1, 1))
	day := sums(24*60, 10, 1000, func(int, int) float64 { return poisson(rng, 5) })
	h := Learn(day, deployedAt, .1, "0d5a3c")
	rate, _ := h.Rate()
	fmt.Printf("%d minutes of %d pods, calibrated: %v\n", h.Minutes, h.Pods, h.Calibrated)
	fmt.Printf("%.2f%% of the requests fail; %.0f requests a minute\n", 100*rate, h.HourTotal/h.HourSpan)
	fmt.Printf("dispersion at 1, 5 and 15 minutes: %.2f\n", h.Phi0)
	// Output:
	// 1440 minutes of 10 pods, calibrated: true
	// 0.50% of the requests fail; 10000 requests a minute
	// dispersion at 1, 5 and 15 minutes: [1.04 1.10 1.17]
}

// BenchmarkLearn is a day of 100 pods.
func BenchmarkLearn(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	day := sums(24*60, 100, 1000, func(int, int) float64 { return poisson(rng, 2) })
	for b.Loop() {
		Learn(day, deployedAt, .1, "seed")
	}
}
