package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// levelsOf is a history of pods with AR(1) noise at a step, a shared load, and fixed
// differences between the pods.
func levelsOf(pods, rows int, step time.Duration, phi, sd, podSD float64) []analysis.MinuteSum {
	rng := rand.New(rand.NewPCG(21, 22))
	noise, offset, load := make([]float64, pods), make([]float64, pods), 0.0
	for i := range noise {
		noise[i], offset[i] = rng.NormFloat64(), podSD*rng.NormFloat64()
	}
	var sums []analysis.MinuteSum
	for r := rows; r > 0; r-- {
		load = .95*load + .3*rng.NormFloat64()
		for i := range noise {
			noise[i] = phi*noise[i] + math.Sqrt(1-phi*phi)*rng.NormFloat64()
			sums = append(sums, analysis.MinuteSum{
				Minute: levelStart.Add(-time.Duration(r) * step), Pod: fmt.Sprint("p", i),
				Level: 100 * math.Exp(.2*load+offset[i]+sd*noise[i]),
			})
		}
	}
	return sums
}

var levelStart = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

func gauge(change func(*analysis.Objective)) analysis.Objective {
	o := analysis.Objective{Name: "cpu", Signal: analysis.Signal{Unit: "s", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "cpu"}}}
	if change != nil {
		change(&o)
	}
	return o
}

func TestLearnLevel(t *testing.T) {
	const phi, sd, podSD = .9, .08, .05
	h := LearnLevel(levelsOf(10, 5760, 15*time.Second, phi, sd, podSD), levelStart, 15*time.Second, .1, "seed", gauge(nil))
	l := h.Level
	if !h.Calibrated || h.Minutes != 1440 || h.Pods != 10 || l.Pods != 10 || l.Step.D() != 15*time.Second || l.Scale != analysis.ScaleLog {
		t.Fatalf("%+v %+v", h, l)
	}
	// One of ten pods against the rest: variance sd^2 (1 + 1/9), of which prewhitening
	// leaves 1 - phi^2. What pods differ by for good is in neither.
	want := sd * math.Sqrt(1+1./9)
	if math.Abs(l.SD/want-1) > .1 {
		t.Errorf("sd %v, want %v", l.SD, want)
	}
	if f := l.Pairs; math.Abs(f.Phi-phi) > .02 || math.Abs(f.SS/f.N/(want*want*(1-phi*phi))-1) > .1 || f.N != 5759 || f.Kappa < 1 || f.Kappa > 1.5 || f.Winsor || f.Mean != 0 {
		t.Errorf("pairs %+v", f)
	}
	if !l.PodSDKnown || l.PodSD < .5*podSD || l.PodSD > 2*podSD {
		t.Errorf("pods differ by %v, want %v", l.PodSD, podSD)
	}
	if f := l.Before; f == nil || f.N != 479 || l.Control {
		t.Errorf("before %+v, want the 479 residuals of the last two hours", f)
	}
	if math.Abs(l.Typical/100-1) > .2 || math.Abs(l.Newest/l.Typical-1) > .5 || !(l.Floor > 0 && l.Floor < .1) {
		t.Errorf("typical %v, newest %v, floor %v", l.Typical, l.Newest, l.Floor)
	}
}

// What comes after the deployment is not looked at, nor what is no level; the order of
// the sums does not matter.
func TestLearnLevelSeesNothingAfter(t *testing.T) {
	sums := levelsOf(4, 400, time.Minute, .5, .1, 0)
	want := LearnLevel(sums, levelStart, time.Minute, .25, "seed", gauge(nil))
	more := append([]analysis.MinuteSum{
		{Minute: levelStart, Pod: "p0", Level: 1e6},
		{Minute: levelStart.Add(time.Minute), Pod: "new", Level: 1e6},
		{Minute: levelStart.Add(-time.Minute), Pod: "odd", Level: math.NaN()},
		{Minute: levelStart.Add(-time.Minute), Pod: "odd", Level: math.Inf(1)},
	}, sums...)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
	if got := LearnLevel(more, levelStart, time.Minute, .25, "seed", gauge(nil)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got.Level, want.Level)
	}
}

func TestLevelScales(t *testing.T) {
	at := func(levels ...float64) []analysis.MinuteSum {
		var sums []analysis.MinuteSum
		for r := range 200 {
			for pod := range 2 {
				sums = append(sums, analysis.MinuteSum{Minute: levelStart.Add(-time.Duration(200-r) * time.Minute), Pod: fmt.Sprint(pod), Level: levels[r%len(levels)]})
			}
		}
		return sums
	}
	share := func(o *analysis.Objective) {
		o.Signal.Unit, o.Signal.Better, o.Target = "%", analysis.BetterHigher, .99
	}
	for _, c := range []struct {
		name    string
		sums    []analysis.MinuteSum
		change  func(*analysis.Objective)
		scale   analysis.LevelScale
		typical float64
		least   float64 // variance of a residual: that of rounding
	}{
		{"positive", at(4, 6), nil, analysis.ScaleLog, 5, math.Pow(2./5, 2) / 12},
		{"can be zero", at(0, 10), nil, analysis.ScaleDifference, 5, 100. / 12},
		{"negative", at(-4, -6), nil, analysis.ScaleDifference, 5, 4. / 12},
		{"success rate in percent", at(99, 97), share, analysis.ScaleShare, .02, 4e-4 / 12},
		{"a leak", at(4, 6), func(o *analysis.Objective) { o.Leak = &analysis.Leak{} }, analysis.ScaleDifference, 5, 4. / 12},
		{"constant", at(5), nil, analysis.ScaleLog, 5, 1e-6 / 12},
		{"always zero", at(0), nil, analysis.ScaleDifference, 0, 1e-6 / 12},
	} {
		l := LearnLevel(c.sums, levelStart, time.Minute, .5, "seed", gauge(c.change)).Level
		if l.Scale != c.scale || math.Abs(l.Typical-c.typical) > 1e-9 {
			t.Errorf("%s: scale %s, typical %v, want %s and %v", c.name, l.Scale, l.Typical, c.scale, c.typical)
		}
		// The pods move alike: what is left is the rounding.
		if f := l.Pairs; f == nil || f.Phi != 0 || math.Abs(f.SS/(f.N-1)/c.least-1) > 1e-9 || l.PodSD != 0 || !l.PodSDKnown {
			t.Errorf("%s: %+v, want a variance of %v", c.name, f, c.least)
		}
	}
}

// Rows lie as far apart as the values do; gaps are no neighbours.
func TestLevelRowSpacing(t *testing.T) {
	h := LearnLevel(levelsOf(3, 200, 2*time.Minute, .5, .1, 0), levelStart, time.Minute, .3, "seed", gauge(nil))
	if h.Level.Step.D() != 2*time.Minute || h.Level.Pairs.N != 199 {
		t.Errorf("values every 2 minutes: rows every %v, %v residuals", h.Level.Step.D(), h.Level.Pairs.N)
	}
	sums := levelsOf(3, 200, time.Minute, .5, .1, 0)
	holes := sums[:0:0]
	for i, s := range sums {
		if i < 150 || i >= 180 { // ten minutes
			holes = append(holes, s)
		}
	}
	if n := LearnLevel(holes, levelStart, time.Minute, .3, "seed", gauge(nil)).Level.Pairs.N; n != 188 {
		t.Errorf("a gap of ten minutes: %v residuals, want 188", n)
	}
	// A coarser step takes the newest value of each pod.
	if l := LearnLevel(levelsOf(3, 800, 15*time.Second, .5, .1, 0), levelStart, time.Minute, .3, "seed", gauge(nil)).Level; l.Step.D() != time.Minute || l.Pairs.N != 199 {
		t.Errorf("15-s values in rows of a minute: %v, %v residuals", l.Step.D(), l.Pairs.N)
	}
}

func TestLevelHistoryTooShort(t *testing.T) {
	if h := LearnLevel(nil, levelStart, time.Minute, .1, "seed", gauge(nil)); h.Level != nil || h.Calibrated {
		t.Errorf("no history: %+v", h)
	}
	if l := LearnLevel(levelsOf(3, 30, time.Minute, .5, .1, 0), levelStart, time.Minute, .3, "seed", gauge(nil)).Level; l.Pairs != nil || l.Before != nil || !l.PodSDKnown {
		t.Errorf("30 rows: %+v", l)
	}
	h := LearnLevel(levelsOf(1, 300, time.Minute, .5, .1, 0), levelStart, time.Minute, .3, "seed", gauge(nil))
	if l := h.Level; h.Calibrated || l.Pairs != nil || l.PodSDKnown || l.Before == nil || l.Pods != 1 {
		t.Errorf("one pod: %+v", l)
	}
}

// A few large jumps must not make the noise look large: they are moved to the quantiles.
func TestLevelHeavyTails(t *testing.T) {
	sums := levelsOf(4, 2000, time.Minute, 0, .05, 0)
	for i := range sums {
		if i%1597 == 0 {
			sums[i].Level *= 20
		}
	}
	l := LearnLevel(sums, levelStart, time.Minute, .25, "seed", gauge(nil)).Level
	calm := LearnLevel(levelsOf(4, 2000, time.Minute, 0, .05, 0), levelStart, time.Minute, .25, "seed", gauge(nil)).Level
	if f := l.Pairs; !f.Winsor || !(f.Low < 0 && f.High > 0) || f.SS > 4*calm.Pairs.SS {
		t.Errorf("heavy tails: %+v; without: %+v", f, calm.Pairs)
	}
	if calm.Pairs.Winsor {
		t.Error("Gaussian noise was winsorised")
	}
}

// Relative to a control what both share is no noise.
func TestLevelControl(t *testing.T) {
	sums := levelsOf(1, 120, time.Minute, .5, .02, 0)
	var control []analysis.MinuteSum
	rng, load := rand.New(rand.NewPCG(21, 22)), 0.0
	_, _ = rng.NormFloat64(), rng.NormFloat64()
	for i := range sums { // the same load as that of levelsOf
		load = .95*load + .3*rng.NormFloat64()
		_ = rng.NormFloat64()
		control = append(control, analysis.MinuteSum{Minute: sums[i].Minute, Pod: "other", Level: 7 * math.Exp(.2*load)})
	}
	alone := LearnLevel(sums, levelStart, time.Minute, .5, "seed", gauge(nil)).Level
	beside := LearnLevel(sums, levelStart, time.Minute, .5, "seed", gauge(nil), control...).Level
	if !beside.Control || alone.Control || beside.Before.SS > .5*alone.Before.SS {
		t.Errorf("with a control the noise is %+v, without %+v", beside.Before, alone.Before)
	}
}
