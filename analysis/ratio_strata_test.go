package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func stratified(in *PlanInput) { in.Policy.Objectives[0].Strata = []string{"zone"} }

// inZone are rows of one pod an arm in a stratum.
func inZone(zone string, xC, xB, nC, nB float64) []ArmRow {
	out := rows(xC, xB, nC, nB)
	for i := range out {
		out[i].Stratum, out[i].Pod = zone, out[i].Pod+"-"+zone
	}
	return out
}

// zones sorts the rows of several strata as evidence has them.
func zones(all ...[]ArmRow) []ArmRow {
	out := slices.Concat(all...)
	slices.SortStableFunc(out, func(a, b ArmRow) int { return int(a.Arm) - int(b.Arm) })
	return out
}

// V15 of statistics 14, up to its one more grid point: strata in which the arms are
// alike are no evidence, pooled they would be.
func TestPublishedStrata(t *testing.T) {
	fold := zones(inZone("a", 30, 70, 3000, 7000), inZone("b", 2, 38, 500, 9500))
	for _, c := range []struct {
		name   string
		change func(*PlanInput)
		want   float64
	}{{"stratified", stratified, .38241}, {"pooled", func(*PlanInput) {}, 1.43729}} {
		s := testState(t, c.change)
		foldRows(t, s, 0, fold)
		e := trialOf(s).engine.logHarm(trialOf(s).Sums, nil, nil)
		if got := math.Exp(e); math.Abs(got-c.want) > 1e-3*c.want {
			t.Errorf("%s: E_R(1.05) %v, want about %v", c.name, got, c.want)
		}
	}
	s := testState(t, stratified)
	foldRows(t, s, 0, fold)
	if d := s.Describe()[0]; !near(float64(d.Effect), 1) {
		t.Errorf("effect %v, want 1: the arms are alike in every stratum", d.Effect)
	}
}

// eachNull are the worlds of the three tests.
var eachNull = []struct {
	name   string
	rate   float64
	change func(*PlanInput)
	null   Null
}{
	{"ratio", .005, func(*PlanInput) {}, NullRatio},
	{"affine", .005, withSLO, NullAffine},
	{"bernoulli", .4, func(*PlanInput) {}, NullBernoulli},
	{"bernoulli of good events", .7, func(*PlanInput) {}, NullBernoulli},
	{"ratio of good events", .95, func(*PlanInput) {}, NullRatio},
}

// someRows draws a fold of a stratum at the given rate of bad events.
func someRows(rng *rand.Rand, zone string, rate float64) []ArmRow {
	nC, nB := float64(100+rng.IntN(400)), float64(1000+rng.IntN(3000))
	x := func(n float64) float64 { return math.Floor(n * rate * (.7 + .4*rng.Float64()*min(1, (1-rate)/rate))) }
	return inZone(zone, x(nC), x(nB), nC, nB)
}

// One stratum is judged as none are, to the bit.
func TestOneStratumIsNone(t *testing.T) {
	for _, c := range eachNull {
		plain, one := testState(t, withRate(c.rate), c.change), testState(t, withRate(c.rate), c.change, stratified)
		rng := rand.New(rand.NewPCG(11, 1))
		for range 300 {
			r := someRows(rng, "a", c.rate)
			foldRows(t, plain, 0, r)
			foldRows(t, one, 0, r)
		}
		a, b := plain.Describe()[0], one.Describe()[0]
		if a.ERollback != b.ERollback || a.EPromote != b.EPromote || a.Phi != b.Phi || a.N != b.N || a.Effect != b.Effect || a.Low != b.Low {
			t.Errorf("%s: %+v\n%+v", c.name, a, b)
		}
		if o := plain.plan.Objectives[0]; o.Null != c.null {
			t.Fatalf("%s: null %s", c.name, o.Null)
		}
	}
}

// The sums of a stratified trial are those of its strata; cells with one arm only
// count nowhere, and in which order rows come does not matter.
func TestStrataAddUp(t *testing.T) {
	for _, c := range eachNull {
		s, shuffled := testState(t, withRate(c.rate), c.change, stratified), testState(t, withRate(c.rate), c.change, stratified)
		rng := rand.New(rand.NewPCG(12, 1))
		for range 100 {
			lonely := someRows(rng, "lonely", c.rate)[rng.IntN(2):][:1]
			fold := zones(someRows(rng, "b", c.rate), someRows(rng, "a", c.rate), someRows(rng, "c", c.rate), lonely)
			foldRows(t, s, 0, fold)
			rng.Shuffle(len(fold), func(i, j int) { fold[i], fold[j] = fold[j], fold[i] })
			foldRows(t, shuffled, 0, zones(fold))
		}
		r := trialOf(s)
		harm := r.engine.harmPart(r.Sums)
		sum := make([]float64, len(harm))
		for i := range r.Strata {
			addTo(sum, r.Strata[i].Sums)
			if name := r.Strata[i].Name; (name == "lonely") != (r.Strata[i].Canary == 0) {
				t.Errorf("%s: the canary's exposure in %q is %v", c.name, name, r.Strata[i].Canary)
			}
		}
		for j := range sum {
			if math.Abs(sum[j]-harm[j]) > 1e-9*(1+math.Abs(sum[j])) {
				t.Fatalf("%s: sum %d is %v, the strata's %v", c.name, j, harm[j], sum[j])
			}
		}
		a, b := s.Describe()[0], shuffled.Describe()[0]
		if a.ERollback != b.ERollback || a.EPromote != b.EPromote || a.Phi != b.Phi {
			t.Errorf("%s: rows in another order gave %+v instead of %+v", c.name, b, a)
		}
	}
}

// Harm in one stratum of three that is not severe as a whole is localised; harm in
// all of them, severe harm, and harm where there is no third stratum are not.
func TestLocalisedHarm(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      []string
		harmful map[string]float64
		want    Code
	}{
		{"a bad node", []string{"a", "b", "c"}, map[string]float64{"b": 6}, Localised},
		{"everywhere", []string{"a", "b", "c"}, map[string]float64{"a": 3, "b": 3, "c": 3}, HarmShown},
		{"severe", []string{"a", "b", "c"}, map[string]float64{"b": 20}, HarmShown},
		{"two strata", []string{"a", "b"}, map[string]float64{"b": 6}, HarmShown},
	} {
		for _, null := range eachNull[:2] {
			s := testState(t, withRate(null.rate), null.change, stratified, cadence60)
			for range 30 {
				var all [][]ArmRow
				for _, zone := range c.in {
					all = append(all, inZone(zone, 10*max(1, c.harmful[zone]), 90, 2000, 18000))
				}
				foldRows(t, s, 0, zones(all...))
			}
			got := s.Checks().Harm
			if got.Code != c.want || c.want == Localised && (got.State != Undecided || !strings.Contains(got.Reason, " b ")) {
				t.Errorf("%s, %s: %+v (ratio %.2f)", c.name, null.name, got, trialOf(s).dispersion.Ratio())
			}
		}
	}
}

// Pods that carry no stratum are one: harm that rests on them alone is localised.
func TestLocalisedHarmOfPodsWithoutAStratum(t *testing.T) {
	s := testState(t, stratified, cadence60)
	for range 30 {
		foldRows(t, s, 0, zones(inZone("", 60, 90, 2000, 18000), inZone("a", 10, 90, 2000, 18000), inZone("b", 10, 90, 2000, 18000)))
	}
	if got := s.Checks().Harm; got.Code != Localised || !strings.Contains(got.Reason, noStratum) {
		t.Errorf("%+v", got)
	}
}

// Common outcomes are localised like others.
func TestLocalisedHarmOfCommonOutcomes(t *testing.T) {
	for _, bad := range []float64{.4, .7} {
		s := testState(t, withRate(bad), stratified, cadence60)
		for range 20 {
			foldRows(t, s, 0, zones(inZone("a", 400*bad, 3600*bad, 400, 3600), inZone("b", 400*(bad+.2), 3600*bad, 400, 3600), inZone("c", 400*bad, 3600*bad, 400, 3600)))
		}
		if got := s.Checks().Harm; got.Code != Localised {
			t.Errorf("bad rate %v: %+v", bad, got)
		}
	}
}

// However many strata there are, all of them count; those beyond the bound are
// remembered as one.
func TestManyStrata(t *testing.T) {
	s := testState(t, stratified)
	for k := range 5 {
		var all [][]ArmRow
		for z := range 50 {
			all = append(all, inZone(fmt.Sprintf("z%02d", z), float64((z+k)%3), 5, 100, 900))
		}
		foldRows(t, s, 0, zones(all...))
	}
	r := trialOf(s)
	if len(r.Strata) != maxStrata || r.Strata[maxStrata-1].Name != otherStrata {
		t.Fatalf("%d strata, the last %q", len(r.Strata), r.Strata[len(r.Strata)-1].Name)
	}
	if want := float64(50 - maxStrata + 1); r.Strata[maxStrata-1].Canary != 5*100*want {
		t.Errorf("exposure of the others %v, want that of %v strata", r.Strata[maxStrata-1].Canary, want)
	}
	if r.Total.CanaryExposure != 5*50*100 {
		t.Errorf("exposure %v", r.Total.CanaryExposure)
	}
}

func TestRestoringStrata(t *testing.T) {
	for _, c := range eachNull {
		p := testPlan(t, withRate(c.rate), c.change, stratified, cadence60)
		sameAfterRestoring(t, p, func(rng *rand.Rand) []ArmRow {
			return zones(someRows(rng, "a", c.rate), someRows(rng, fmt.Sprint("z", rng.IntN(5)), c.rate))
		})
	}
}

// Strata in steady state leave nothing to collect.
func TestFoldingStrataAllocatesNothing(t *testing.T) {
	s := testState(t, stratified)
	fold := zones(inZone("a", 1, 4, 100, 900), inZone("b", 0, 5, 100, 900), inZone("c", 1, 3, 100, 900))
	e := Evidence{Objective: "errors", Rows: fold}
	look := func() {
		e.Fold = s.objectives[0].next
		if err := s.Fold(&e); err != nil {
			t.Fatal(err)
		}
		s.Assess()
	}
	for range 720 {
		look()
	}
	if got := testing.AllocsPerRun(200, look); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
