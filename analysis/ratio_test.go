package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// E-values of a single fold at 1.05 and 1.25, from a few lines of another language
// that also give V3 of statistics 14 (which has 1.10 as one more grid point). With
// the start of the deployment and five unused restarts R = E/2 + 1/2; E_P has no
// restarts.
func TestPublishedEvidence(t *testing.T) {
	for _, c := range []struct {
		xC, xB, nC, nB float64
		harm, safety   float64
	}{
		{180, 1080, 24000, 216000, 1606.4082374, 0.0200488283},
		{3, 45, 100, 900, 0.4583159449, 1.6967416720},
		{900, 9000, 100_000, 900_000, 0.0489279505, 1.8321540350e20},
		{0, 0, 100, 900, 1, 1},
		{5, 0, 100, 0, 1, 1}, // exposure in one arm only says nothing
		{0, 5, 0, 100, 1, 1},
	} {
		s := testState(t)
		foldRows(t, s, 0, rows(c.xC, c.xB, c.nC, c.nB))
		f := s.Assess()[0]
		if want := .5*c.harm + .5; !about(float64(f.ERollback), want) {
			t.Errorf("%v: E_R %v, want %v", c, f.ERollback, want)
		}
		if !about(float64(f.EPromote), c.safety) {
			t.Errorf("%v: E_P %v, want %v", c, f.EPromote, c.safety)
		}
		if f.Phi != 1 {
			t.Errorf("%v: phi %v, want 1", c, f.Phi)
		}
	}
}

// V4 of statistics 14: the bet of an affine objective, through one fold. The
// mixture has six bets of weight 1/6 against boundary x e^g.
func TestPublishedAffineEvidence(t *testing.T) {
	// lambda* for (p_C1, p_B1) = (.012, .005) at rho0 = 1.1, delta = .001.
	if got := stats.Lambda(1.1, .001, 100, 900, .012, .005); !about(got, .70896450) {
		t.Fatalf("lambda* %v", got)
	}
	s := testState(t, withSLO)
	foldRows(t, s, 0, rows(3, 5, 100, 900))
	o := &s.plan.Objectives[0]
	want := 0.0
	for _, g := range []float64{.1, .2, .4, .8, 1.6, 3.2} {
		lam := stats.Lambda(1.05, .005, 100, 900, (1.05*o.BaseRate+.005)*math.Exp(g), o.BaseRate)
		want += math.Exp(3*math.Log1p(lam)+5*math.Log1p(-lam*1.05*100/900)-lam*100*.005) / 6
	}
	if got := float64(s.Assess()[0].ERollback); !near(got, .5*want+.5) {
		t.Errorf("E_R %v, want %v", got, .5*want+.5)
	}
}

// An oracle keeps every fold and computes the evidence from its definition, with
// a product over the folds for every start.
type oracle struct {
	plan  *Plan
	o     *PlannedObjective
	grid  *stats.Grid
	ramp  []time.Time // start times of ramp steps
	folds []oracleFold
}

type oracleFold struct {
	Fold
	foldCounts
	phi, pB1 float64
}

// add takes a fold in, with the phi that is used for it.
func (o *oracle) add(f Fold, c foldCounts, phi float64) {
	x, n := 1.0, 1/o.o.BaseRate
	for _, g := range o.folds {
		if g.nC > 0 && g.nB > 0 {
			x += g.xB
			n += g.nB
		}
	}
	o.folds = append(o.folds, oracleFold{f, c, phi, x / n})
}

// logE is the log e-value of the folds that end after the start, without one.
func (o *oracle) logE(after time.Time, without int) float64 {
	term := func(per func(f oracleFold) float64) float64 {
		sum := 0.0
		for k, f := range o.folds {
			if f.End.After(after) && k != without && f.nC > 0 && f.nB > 0 {
				sum += per(f) / f.phi
			}
		}
		return sum
	}
	e := 0.0
	if o.o.Null == NullRatio {
		w := func(f oracleFold) float64 { return f.nC / (f.nC + f.nB) }
		l := func(rho float64) float64 {
			return term(func(f oracleFold) float64 {
				return f.xC*math.Log(rho) - (f.xC+f.xB)*math.Log1p((rho-1)*w(f))
			})
		}
		null := l(o.o.ToleranceBound.Ratio)
		for j := range o.grid.Len() {
			if p := math.Exp(o.grid.LogHarmPrior(j)); p > 0 {
				e += p * math.Exp(l(o.grid.Rho(j))-null)
			}
		}
		return math.Log(e)
	}
	rho0, delta := o.o.ToleranceBound.Ratio, o.o.ToleranceBound.Budget*(1-o.o.Target)
	for _, g := range []float64{.1, .2, .4, .8, 1.6, 3.2} {
		e += math.Exp(term(func(f oracleFold) float64 {
			lam := stats.Lambda(rho0, delta, f.nC, f.nB, (rho0*f.pB1+delta)*math.Exp(g), f.pB1)
			return f.xC*math.Log1p(lam) + f.xB*math.Log1p(-lam*rho0*f.nC/f.nB) - lam*f.nC*delta
		})) / 6
	}
	return math.Log(e)
}

// harm is the log of the average over start times.
func (o *oracle) harm(without int) float64 {
	starts := append(append([]time.Time(nil), o.plan.Restarts...), o.ramp...)
	slots := float64(len(o.plan.Restarts) + rampSlots(o.plan.Deployment))
	if slots == 0 {
		return o.logE(time.Time{}, without)
	}
	sum, used := .5*math.Exp(o.logE(time.Time{}, without)), 0.0
	for _, s := range starts {
		if last := o.folds[len(o.folds)-1].End; s.Before(last) {
			sum += .5 / slots * math.Exp(o.logE(s, without))
			used++
		}
	}
	return math.Log(sum + .5/slots*(slots-used))
}

// worst is the index of the fold with the largest tempered excess, -1 for none.
func (o *oracle) worst() int {
	best, at := 0.0, -1
	for k, f := range o.folds {
		if f.nC == 0 || f.nB == 0 {
			continue
		}
		var allowed float64
		if o.o.Null == NullRatio {
			rho, w := o.o.ToleranceBound.Ratio, f.nC/(f.nC+f.nB)
			allowed = (f.xC + f.xB) * rho * w / (1 + (rho-1)*w)
		} else {
			allowed = f.nC * (o.o.ToleranceBound.Ratio*f.pB1 + o.o.ToleranceBound.Budget*(1-o.o.Target))
		}
		if x := (f.xC - allowed) / f.phi; x > best {
			best, at = x, k
		}
	}
	return at
}

// The accumulators agree with the definitions after every fold: restarts at their
// times, ramp steps in their slots, the worst fold taken out of the starts that
// saw it and of no other.
func TestEvidenceFollowsItsDefinition(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*PlanInput)
		steps  int
	}{
		{"ratio", func(*PlanInput) {}, 0},
		{"affine", withSLO, 0},
		{"ratio with ramp steps", declared(.1), 3},
		{"affine with ramp steps", func(in *PlanInput) { withSLO(in); declared(.1)(in) }, 5}, // two more than were announced
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testState(t, c.change, func(in *PlanInput) { in.Facts[0].Spacing = 45 * time.Second })
			p := s.plan
			r := trialOf(s)
			want := oracle{plan: p, o: &p.Objectives[0], grid: stats.NewGrid(1.05, 1.25)}
			rng := rand.New(rand.NewPCG(3, 1))
			for k := 0; ; k++ {
				f, left := s.Next(0)
				if !left {
					break
				}
				if k%13 == 7 && c.steps > 0 { // arrives with the look before this fold
					c.steps--
					step := f.Start.Add(10 * time.Second)
					s.Step(Step{At: step, Weight: .2})
					if len(want.ramp) < 3 {
						want.ramp = append(want.ramp, step)
					}
				}
				n := foldCounts{nC: float64(rng.IntN(3)) * 450, nB: float64(rng.IntN(3)+3) * 1000}
				n.xC, n.xB = float64(rng.IntN(2+k/10)), float64(rng.IntN(40))
				if n.nC == 0 {
					n.xC = 0
				}
				if k == 41 {
					n = foldCounts{xC: 25, xB: 30, nC: 900, nB: 4000} // a burst
				}
				want.add(f, n, r.phi())
				foldRows(t, s, 0, rows(n.xC, n.xB, n.nC, n.nB))
				if got := r.logHarm(false); !near(got, want.harm(-1)) {
					t.Fatalf("fold %d: ln E_R %v, want %v", k, got, want.harm(-1))
				}
				if got := s.objectives[0].last; got.logHarm < want.harm(-1)-1e-9 || got.rough && got.logHarm >= math.Log(10) || !got.rough && !near(got.logHarm, want.harm(-1)) {
					t.Fatalf("fold %d: ln E_R %+v, want %v", k, got, want.harm(-1))
				}
				if got := r.logHarm(r.Worst.Set); !near(got, want.harm(want.worst())) {
					t.Fatalf("fold %d: without the worst fold %v, want %v", k, got, want.harm(want.worst()))
				}
			}
			if k := want.worst(); k != 41 {
				t.Errorf("the worst fold is %d, want the burst", k)
			}
			if len(r.Used) != r.starts.count() {
				t.Errorf("%d restarts were taken, want all of %d", len(r.Used), r.starts.count())
			}
		})
	}
}

// A restart counts from the first fold that ends after its time: one whose time
// is the end of a fold has not seen that fold.
func TestRestartsAreTakenAtTheirTimes(t *testing.T) {
	s := testState(t, cadence60) // restarts at 10, 20, ... 50 min
	r := trialOf(s)
	for k := 1; k <= 60; k++ {
		foldRows(t, s, 0, rows(1, 9, 100, 900))
		if want := min(5, (k-1)/10); len(r.Used) != want { // the fold that ends at 11 min is the first to end after 10
			t.Fatalf("after %d min: %d restarts, want %d", k, len(r.Used), want)
		}
	}
}

// A restart is taken in missing folds too, and starts from what was known then.
func TestRestartsAreTakenInSilence(t *testing.T) {
	s := testState(t, cadence60)
	for range 10 {
		foldRows(t, s, 0, rows(1, 9, 100, 900))
	}
	before := s.Assess()[0]
	for range 25 {
		foldMissing(t, s, 0, SourceUnavailable)
	}
	after := s.Assess()[0]
	if n := len(trialOf(s).Used); n != 3 {
		t.Errorf("%d restarts, want 3", n)
	}
	if !near(float64(before.ERollback), float64(after.ERollback)) || before.EPromote != after.EPromote || before.N != after.N || before.Phi != after.Phi {
		t.Errorf("silence changed the evidence from %+v to %+v", before, after)
	}
}

func TestRampSlots(t *testing.T) {
	for _, c := range []struct{ total, want int }{{0, 0}, {1, 0}, {2, 1}, {5, 4}, {17, 16}, {18, 16}, {1000, 16}, {-3, 0}} {
		d := Deployment{Steps: []Step{{Total: c.total}, {Total: 9}}}
		if got := rampSlots(d); got != c.want {
			t.Errorf("%d steps in total: %d slots, want %d", c.total, got, c.want)
		}
	}
	if rampSlots(Deployment{}) != 0 {
		t.Error("a deployment without steps has ramp slots")
	}
}

// More steps than were announced fill no slot, late ones are taken with the next
// fold, and one without a time blocks nothing.
func TestUnexpectedRampSteps(t *testing.T) {
	s := testState(t, cadence60, declared(.1)) // 5 timed slots and 3 of the ramp
	r := trialOf(s)
	s.Step(Step{})
	for range 3 {
		foldRows(t, s, 0, rows(1, 9, 100, 900))
	}
	if len(r.Used) != 1 {
		t.Fatalf("%d restarts after a step without a time, want 1", len(r.Used))
	}
	for range 5 {
		s.Step(Step{At: at(30)}) // late
	}
	foldRows(t, s, 0, rows(1, 9, 100, 900))
	if len(r.Used) != 3 {
		t.Fatalf("%d restarts after two late steps more, want 3", len(r.Used))
	}
	for k := 5; k <= 60; k++ {
		foldRows(t, s, 0, rows(1, 9, 100, 900))
	}
	if len(r.Used) != 8 || s.Steps() != 6 {
		t.Errorf("%d restarts and %d steps at the deadline, want 8 and 6", len(r.Used), s.Steps())
	}
}

// A step after the last timed restart still has its slot.
func TestRampStepAfterTheLastTimedRestart(t *testing.T) {
	s := testState(t, cadence60, declared(.1))
	r := trialOf(s)
	for k := 1; k <= 60; k++ {
		if k == 55 {
			s.Step(Step{At: at(54*60 + 5)})
		}
		foldRows(t, s, 0, rows(1, 9, 100, 900))
	}
	if n := len(r.Used); n != 6 || len(r.starts.Ramp) != 0 {
		t.Errorf("%d restarts, want 6, the last at the step", n)
	}
}

// minEvents: at least max(5, 5 phi) canary events over at least three folds.
func TestMinEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		phi    float64
		events []float64
		want   bool
	}{
		{"five over three folds", 1, []float64{2, 2, 1}, true},
		{"four over three folds", 1, []float64{2, 1, 1}, false},
		{"five over two folds", 1, []float64{3, 0, 2}, false},
		{"ten, phi 2", 2, []float64{3, 3, 4}, true},
		{"nine, phi 2", 2, []float64{3, 3, 3}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testState(t, func(in *PlanInput) { in.Facts[0].History.Phi0 = [3]float64{c.phi, c.phi, c.phi} })
			for _, x := range c.events {
				foldRows(t, s, 0, rows(x, 0, 1000, 1000))
			}
			e := s.objectives[0].last
			if c.phi == 1 && e.phi > 1.0001 || c.phi == 2 && (e.phi < 1.8 || e.phi > 2) {
				t.Fatalf("phi is %v: the test needs about %v", e.phi, c.phi)
			}
			if e.enoughEvents != c.want {
				t.Errorf("enough events: %v (phi %v), want %v", e.enoughEvents, e.phi, c.want)
			}
		})
	}
}

// Events of folds in which the baseline counted nothing prove nothing.
func TestMinEventsCountFoldsWithBothArms(t *testing.T) {
	s := testState(t)
	for range 3 {
		foldRows(t, s, 0, rows(5, 0, 1000, 0))
		foldRows(t, s, 0, rows(0, 5, 0, 1000))
	}
	f := s.Assess()[0]
	if s.objectives[0].last.enoughEvents || f.N != (Counts{}) {
		t.Errorf("enough %v, counts %+v, want none", s.objectives[0].last.enoughEvents, f.N)
	}
}

// phi is predictable: what a fold is divided by follows from the folds before.
func TestPhiIsThatOfTheFoldsBefore(t *testing.T) {
	burst := func(s *State) { foldRows(t, s, 0, rows(60, 60, 1000, 9000)) }
	a, b := testState(t), testState(t)
	burst(a)
	foldRows(t, b, 0, rows(0, 0, 1000, 9000))
	burst(b)
	if x, y := a.objectives[0].last.logHarm, b.objectives[0].last.logHarm; !near(x, y) {
		t.Errorf("a burst counts %v in the first fold and %v after an empty one", x, y)
	}
	if a.objectives[0].last.phi <= 1.01 {
		t.Errorf("phi is %v after a burst", a.objectives[0].last.phi)
	}
}

// Forecasts of the traffic seen so far use the evidence there is.
func TestStillNeeded(t *testing.T) {
	s := testState(t, cadence60)
	for range 5 {
		foldRows(t, s, 0, rows(12, 108, 2400, 21600))
	}
	d := s.Describe()[0]
	phi, lnE := float64(d.Phi), s.objectives[0].last.logSafety
	q := func(rho float64) float64 { return rho * .1 / (1 + (rho-1)*.1) }
	kl := func(a, b float64) float64 { return a*math.Log(a/b) + (1-a)*math.Log((1-a)/(1-b)) }
	want := phi * (math.Log(20) + 1 - max(0, lnE)) / (24000 * .005 * kl(q(1), q(1.25)))
	if lnE <= 0 {
		t.Fatalf("ln E_P is %v: the test needs evidence of safety", lnE)
	}
	if !near(float64(d.MinutesToPromote), want) {
		t.Errorf("minutes to promote %v, want %v (12)", d.MinutesToPromote, want)
	}
	lnE = trialOf(s).logHarm(false)
	want = phi * (math.Log(100) + 2.5 - max(0, lnE)) / (24000 * .005 * (1 + .1) * kl(q(2), q(1.05)))
	if !near(float64(d.MinutesToDetectDouble), want) {
		t.Errorf("minutes to detect x2 %v, want %v (12)", d.MinutesToDetectDouble, want)
	}
	for s.objectives[0].last.logSafety < math.Log(20) {
		foldRows(t, s, 0, rows(12, 108, 2400, 21600))
	}
	if got := s.Describe()[0].MinutesToPromote; got != 0 {
		t.Errorf("minutes to promote %v at the bar, want 0", got)
	}
}

// A baseline without events is taken to fail as it did before.
func TestStillNeededWithoutEvents(t *testing.T) {
	s := testState(t, cadence60)
	foldRows(t, s, 0, rows(0, 0, 1200, 10800)) // the traffic of the hour before
	d, o := s.Describe()[0], s.plan.Objectives[0]
	if !near(float64(d.MinutesToPromote), float64(o.MinutesToPromote)) {
		t.Errorf("minutes to promote %v, the plan says %v", d.MinutesToPromote, o.MinutesToPromote)
	}
}

// Before there is data the forecast is that of the plan.
func TestStillNeededBeforeData(t *testing.T) {
	for _, change := range []func(*PlanInput){withSLO, func(*PlanInput) {}} {
		s := testState(t, change)
		d, o := s.Describe()[0], s.plan.Objectives[0]
		if !near(float64(d.MinutesToPromote), float64(o.MinutesToPromote)) || !near(float64(d.MinutesToDetectDouble), float64(o.MinutesToDetectDouble)) {
			t.Errorf("%s: %v and %v, the plan says %v and %v", o.Null, d.MinutesToPromote, d.MinutesToDetectDouble, o.MinutesToPromote, o.MinutesToDetectDouble)
		}
	}
}

func TestEffects(t *testing.T) {
	s := testState(t)
	foldRows(t, s, 0, rows(20, 90, 1000, 9000))
	d := s.Describe()[0]
	if d.EffectKind != "ratio" || !near(float64(d.Effect), 2) || !(d.Low < 2 && d.High > 2) || d.Tolerance != 1.05 || d.Margin != 1.25 {
		t.Errorf("ratio: %+v", d)
	}
	s = testState(t, withSLO)
	foldRows(t, s, 0, rows(20, 90, 1000, 9000))
	d = s.Describe()[0]
	// p_B = .01: the tolerance is .0005 + .005 above it, the margin .01.
	if d.EffectKind != "difference" || !near(float64(d.Effect), .01) || !(d.Low < .01 && d.High > .01) || !near(float64(d.Tolerance), .0055) || !near(float64(d.Margin), .01) {
		t.Errorf("difference: %+v", d)
	}
	s = testState(t, withSLO) // without data the lines are those of the baseline's history
	if d := s.Describe()[0]; !math.IsNaN(float64(d.Effect)) || !near(float64(d.Tolerance), .05*.005+.005) {
		t.Errorf("no data: %+v", d)
	}
}

// At a fixed phi, without restarts and worst fold, the order of the folds is
// irrelevant to a ratio. (An affine objective bets by the baseline so far.)
func TestOrderOfFoldsIsIrrelevant(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for range 30 {
		folds := someFolds(rng, 40)
		one := accumulated(t, NullRatio, folds, 1.7)
		rng.Shuffle(len(folds), func(i, j int) { folds[i], folds[j] = folds[j], folds[i] })
		two := accumulated(t, NullRatio, folds, 1.7)
		if a, b := one.exactHarm(), two.exactHarm(); !near(a, b) {
			t.Fatalf("ln E_R %v in one order, %v in another", a, b)
		}
		if a, b := one.concurrent.logSafety(), two.concurrent.logSafety(); !near(a, b) {
			t.Fatalf("ln E_P %v in one order, %v in another", a, b)
		}
	}
}

// At a fixed phi more bad events in the canary, in any fold, never lower the
// evidence of harm, never raise that of safety and never give a softer finding.
func TestMoreHarmIsNeverSofter(t *testing.T) {
	rank := map[FindingState]int{FindingWithin: 0, FindingUndecided: 1, FindingBreached: 2}
	rng := rand.New(rand.NewPCG(9, 1))
	changed := map[FindingState]bool{}
	for run := range 200 {
		null := []Null{NullRatio, NullAffine, NullBernoulli}[run%3]
		folds := someFolds(rng, 10+rng.IntN(60))
		a := accumulated(t, null, folds, 1.3)
		for range 1 + rng.IntN(8) {
			f := &folds[rng.IntN(len(folds))]
			f.xC = min(f.nC, f.xC+float64(1+rng.IntN(30)))
		}
		b := accumulated(t, null, folds, 1.3)
		before, after := a.evidence(), b.evidence()
		const rounding = 1e-9
		if after.logHarm < before.logHarm-rounding || after.logSafety > before.logSafety+rounding {
			t.Fatalf("%s: more harm took ln E_R from %v to %v and ln E_P from %v to %v", null, before.logHarm, after.logHarm, before.logSafety, after.logSafety)
		}
		x, y := stateOf(t, null, before), stateOf(t, null, after)
		if rank[y] < rank[x] {
			t.Fatalf("%s: more harm took the finding from %s to %s", null, x, y)
		}
		changed[x], changed[y] = true, true
	}
	if len(changed) != 3 {
		t.Errorf("only %v were seen", changed)
	}
}

func someFolds(rng *rand.Rand, n int) []foldCounts {
	bad := rng.Float64() * .02
	out := make([]foldCounts, n)
	for k := range out {
		c := foldCounts{nC: float64(rng.IntN(300)), nB: float64(rng.IntN(3000))}
		for range int(c.nC) {
			if rng.Float64() < bad {
				c.xC++
			}
		}
		c.xB = math.Floor(c.nB * .006 * (.5 + rng.Float64()))
		out[k] = c
	}
	return out
}

// trialOf is the comparison of the first objective with the concurrent baseline.
func trialOf(s *State) *trial { return s.objectives[0].acc.(*ratio).concurrent }

// accumulated folds at a fixed phi, without restarts.
func accumulated(t *testing.T, null Null, folds []foldCounts, phi float64) *ratio {
	t.Helper()
	p := planOf(t, null)
	r, err := newRatio(p, &p.Objectives[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range folds {
		if err := r.concurrent.add([]cell{{foldCounts: c}}, phi); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// planOf has the given null and a deadline too short for restarts.
func planOf(t *testing.T, null Null) *Plan {
	t.Helper()
	p := testPlan(t, func(in *PlanInput) {
		in.Policy.Window.Deadline = Duration(10 * minute)
		switch null {
		case NullAffine:
			withSLO(in)
		case NullBernoulli:
			withRate(.4)(in)
		}
	})
	if o := p.Objectives[0]; o.Null != null || len(p.Restarts) != 0 {
		t.Fatalf("%s with %d restarts", o.Null, len(p.Restarts))
	}
	return p
}

func stateOf(t *testing.T, null Null, e evidence) FindingState {
	t.Helper()
	s, err := NewState(planOf(t, null))
	if err != nil {
		t.Fatal(err)
	}
	say(s, 0, e, 0)
	return s.Assess()[0].State
}
