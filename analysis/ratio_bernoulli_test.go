package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// history of the given rate of bad events, at 12,000 requests a minute.
func historyOf(rate float64) History {
	h := knownHistory()
	h.Bad, h.BadHour = h.Exposure*rate-.5, h.HourTotal*rate
	return h
}

func withRate(rate float64) func(*PlanInput) {
	return func(in *PlanInput) { in.Facts[0].History = historyOf(rate) }
}

// Which test an objective gets, and which outcome it counts.
func TestTheRarerOutcomeIsCounted(t *testing.T) {
	for _, c := range []struct {
		name      string
		rate      float64
		change    func(*PlanInput)
		null      Null
		countGood bool
	}{
		{"rare errors", .005, func(*PlanInput) {}, NullRatio, false},
		{"a tenth", .0999, func(*PlanInput) {}, NullRatio, false},
		{"more than a tenth", .101, func(*PlanInput) {}, NullBernoulli, false},
		{"two fifths", .4, func(*PlanInput) {}, NullBernoulli, false},
		{"most are bad: a conversion of two fifths", .6, func(*PlanInput) {}, NullBernoulli, true},
		{"a conversion of 5 %", .95, func(*PlanInput) {}, NullRatio, true},
		{"rare errors with an SLO", .005, withSLO, NullAffine, false},
		{"common errors within an SLO of 60 %", .15, func(in *PlanInput) { in.Policy.Objectives[0].Target = .6 }, NullBernoulli, false},
		{"common errors beyond half their budget", .3, func(in *PlanInput) { in.Policy.Objectives[0].Target = .6 }, NullBernoulli, false},
		{"a conversion with bounds in budgets", .7, func(in *PlanInput) {
			in.Policy.Objectives[0].Target, in.Policy.Objectives[0].Margin = .2, &Bound{1, .2}
			in.Policy.Objectives[0].Tolerance = &Bound{1, .05}
		}, NullBernoulli, false},
	} {
		o := testPlan(t, withRate(c.rate), c.change).Objectives[0]
		if o.Null != c.null || o.CountGood != c.countGood {
			t.Errorf("%s: null %s, good counted: %v; want %s, %v", c.name, o.Null, o.CountGood, c.null, c.countGood)
		}
	}
}

// Of good events a ratio of 2 would allow to lose them all.
func TestAMarginOfAllGoodEventsIsRefused(t *testing.T) {
	in := testInput()
	withRate(.95)(&in)
	in.Policy.Objectives[0].Margin = &Bound{Ratio: 2}
	if _, err := NewPlan(in); err == nil || !strings.Contains(err.Error(), "use one below 2") {
		t.Errorf("error %v", err)
	}
}

// Where outcomes are common or good ones are counted, what people see is a
// difference of rates of bad events: above 0 is worse.
func TestEffectsOfCommonOutcomes(t *testing.T) {
	for _, c := range []struct {
		name              string
		bad, of           float64 // canary, of 1,000; baseline of 9,000
		tolerance, margin float64
	}{
		{"errors of 40 % against 50 %", 500, 3600, .02, .1},
		{"a conversion of 40 % against 30 %", 700, 5400, .02, .1},
		{"a conversion of 5 % against 2 %", 980, 8550, .0025, .0125},
	} {
		s := testState(t, withRate(c.of/9000), cadence60)
		for range 20 {
			foldRows(t, s, 0, rows(c.bad, c.of, 1000, 9000))
		}
		d := s.Describe()[0]
		want := c.bad/1000 - c.of/9000
		if d.EffectKind != "difference" || !near(float64(d.Effect), want) || !(float64(d.Low) > 0 && float64(d.Low) < want && float64(d.High) > want) {
			t.Errorf("%s: %+v", c.name, d)
		}
		if !near(float64(d.Tolerance), c.tolerance) || !near(float64(d.Margin), c.margin) {
			t.Errorf("%s: tolerance %v, margin %v, want %v, %v", c.name, d.Tolerance, d.Margin, c.tolerance, c.margin)
		}
		if d.State != FindingBreached || s.Checks().Harm.State != Bad {
			t.Errorf("%s: %s, harm %+v", c.name, d.State, s.Checks().Harm)
		}
		if d.N.CanaryBad != 20*c.bad {
			t.Errorf("%s: %v bad events in the canary, want those of the source", c.name, d.N.CanaryBad)
		}
	}
}

// A conversion that falls to nothing has no canary events to wait for: what it
// should have had counts (statistics 1.1).
func TestAConversionThatFallsToNothingRollsBack(t *testing.T) {
	for _, bad := range []float64{.6, .95} {
		s := testState(t, withRate(bad), cadence60)
		for range 3 {
			foldRows(t, s, 0, rows(200, 1800*bad, 200, 1800))
		}
		if c := s.Checks().Harm; c.State != Bad || c.Code != HarmShown {
			t.Errorf("bad rate %v: harm %+v", bad, c)
		}
	}
	s := testState(t, withRate(.95), cadence60)
	for range 3 { // 1.5 conversions expected
		foldRows(t, s, 0, rows(10, 85, 10, 90))
	}
	if trialOf(s).enoughEvents(1) {
		t.Error("too few expected conversions were enough")
	}
}

// A healthy canary is shown safe and a better one even sooner, whichever outcome is
// counted; a worse one is rolled back.
func TestCommonOutcomesAreDecided(t *testing.T) {
	for _, bad := range []float64{.15, .4, .6, .8, .95} {
		worse, better := bad*1.3, bad*.9
		if bad > .5 {
			worse, better = 1-(1-bad)*.7, 1-(1-bad)*1.1
		}
		for _, c := range []struct {
			canary float64
			want   FindingState
		}{{bad, FindingWithin}, {better, FindingWithin}, {worse, FindingBreached}} {
			s := testState(t, withRate(bad), cadence60)
			var f Finding
			for range 60 {
				foldRows(t, s, 0, rows(4000*c.canary, 16000*bad, 4000, 16000))
				if f = s.Assess()[0]; f.State != FindingUndecided {
					break
				}
			}
			if f.State != c.want {
				t.Errorf("baseline %v, canary %v: %s, want %s", bad, c.canary, f.State, c.want)
			}
		}
	}
}

// The evidence is (7), by definition: a mixture of products over the folds.
func TestBernoulliEvidenceFollowsItsDefinition(t *testing.T) {
	s := testState(t, withRate(.4), cadence60, func(in *PlanInput) { in.Policy.Window.Deadline = Duration(10 * minute) })
	rng := rand.New(rand.NewPCG(5, 1))
	var products [6]float64
	x, n := 1.0, 1/s.plan.Objectives[0].BaseRate
	for range 9 {
		phi := trialOf(s).phi()
		c := foldCounts{xC: float64(rng.IntN(90)), xB: float64(300 + rng.IntN(120)), nC: 100, nB: 900}
		foldRows(t, s, 0, rows(c.xC, c.xB, c.nC, c.nB))
		pB1 := x / n
		sum := 0.0
		for i, shift := range []float64{.02, .05, .1, .2, .4, .8} {
			logit := math.Log(1.05*pB1/(1-1.05*pB1)) + shift
			pC1 := 1 / (1 + math.Exp(-logit))
			pC0, pB0 := stats.Project(c.nC, c.nB, pC1, pB1, 1.05, 0)
			products[i] += (c.xC*math.Log(pC1/pC0) + (c.nC-c.xC)*math.Log((1-pC1)/(1-pC0)) +
				c.xB*math.Log(pB1/pB0) + (c.nB-c.xB)*math.Log((1-pB1)/(1-pB0))) / phi
			sum += math.Exp(products[i]) / 6
		}
		x, n = x+c.xB, n+c.nB
		if got := s.objectives[0].acc.(*ratio).exactHarm(); !near(got, math.Log(sum)) {
			t.Fatalf("ln E_R %v, want %v", got, math.Log(sum))
		}
	}
}

// The forecasts are those of the exact test, of the outcome that is counted.
func TestForecastsOfCommonOutcomes(t *testing.T) {
	o := testPlan(t, withRate(.4), declared(.1)).Objectives[0]
	want, err := stats.MinutesBernoulli(stats.AffinePlan{
		Side: stats.Safety, NC: 1200, NB: 10800, PC: .4, PB: .4, Rho0: 1.25,
		Demand: stats.Demand{Alpha: .05, C: stats.LossSafety, Phi: 1},
	})
	if err != nil || math.Abs(float64(o.MinutesToPromote)-want) > 1e-6*want {
		t.Errorf("minutes to promote %v, want %v (%v)", o.MinutesToPromote, want, err)
	}
	conversion := testPlan(t, withRate(.95), declared(.1)).Objectives[0]
	want, err = stats.MinutesRatio(stats.RatioPlan{
		Side: stats.Harm, Events: 12000 * .025, Weight: .9, Rho1: 2, Rho0: 1 / .95, // half of the conversions are lost
		Demand: stats.Demand{Alpha: .01, C: stats.LossHarm, Phi: 1},
	})
	if err != nil || math.Abs(float64(conversion.MinutesToDetectDouble)-want) > 1e-6*want {
		t.Errorf("minutes to detect %v, want %v (%v)", conversion.MinutesToDetectDouble, want, err)
	}
}

// A conversion that breaks of late is not promoted.
func TestLateBreakOfAConversion(t *testing.T) {
	s := testState(t, withRate(.95), cadence60)
	for range 30 {
		foldRows(t, s, 0, rows(1900, 17100, 2000, 18000))
	}
	if c := s.Checks().Safety; c.State != Good {
		t.Fatalf("safety %+v", c)
	}
	foldRows(t, s, 0, rows(1980, 17100, 2000, 18000))
	if c := s.Checks().Safety; c.State != Undecided || c.Code != LateBreak {
		t.Errorf("safety %+v, want a late break", c)
	}
}

// A checkpoint at every fold changes nothing, to the bit.
func TestRestoringCommonOutcomes(t *testing.T) {
	for _, bad := range []float64{.4, .6, .95} {
		p := testPlan(t, withRate(bad), func(in *PlanInput) { in.Facts[0].Spacing = 45 * time.Second })
		sameAfterRestoring(t, p, func(rng *rand.Rand) []ArmRow {
			return rows(math.Floor(1000*bad*(.9+.15*rng.Float64()*(1-bad))), math.Floor(9000*bad), 1000, 9000)
		})
	}
}

// sameAfterRestoring folds a plan to its deadline twice, once restored from a
// checkpoint after every fold.
func sameAfterRestoring(t *testing.T, p *Plan, draw func(*rand.Rand) []ArmRow) {
	t.Helper()
	straight, err := NewState(p)
	if err != nil {
		t.Fatal(err)
	}
	restored, _ := NewState(p)
	rng := rand.New(rand.NewPCG(6, 1))
	for k := 0; ; k++ {
		f, left := straight.Next(0)
		if !left {
			return
		}
		e := Evidence{Objective: "errors", Fold: f, Rows: draw(rng)}
		for _, s := range []*State{straight, restored} {
			if err := s.Fold(&e); err != nil {
				t.Fatal(err)
			}
			s.Assess()
		}
		snapshot, err := restored.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		want, err := straight.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if string(snapshot) != string(want) {
			t.Fatalf("fold %d: the snapshots differ", k)
		}
		if restored, err = RestoreState(p, snapshot); err != nil {
			t.Fatal(err)
		}
		a, b := straight.Describe()[0], restored.Describe()[0]
		if a.ERollback != b.ERollback || a.EPromote != b.EPromote || a.Phi != b.Phi || a.Low != b.Low || a.High != b.High {
			t.Fatalf("fold %d: %+v and %+v", k, a, b)
		}
	}
}
