package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// forecastOf is the forecast of testInput after changes, with a step of 10 minutes.
func forecastOf(t *testing.T, changes ...func(*PlanInput)) *Forecast {
	t.Helper()
	in := testInput()
	for _, change := range changes {
		change(&in)
	}
	f, err := NewForecast(in, Duration(10*minute), CriticalEffect)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// at1000 is the service of the table of statistics 11.1: 1000 requests a second.
func at1000(weight float64) func(*PlanInput) {
	return func(in *PlanInput) {
		in.Facts[0].History.HourTotal = 60 * 60_000
		in.Deployment.Steps = []Step{{Weight: weight}}
	}
}

// The table of statistics 11.1: 1000 requests a second, 0.5% errors, tolerance 1.05,
// rollback at .01, a ratio of 1.25 as the margin: minutes for x1.25, x1.5, x2, x5 and
// to promote, with the digits that the table has.
func TestForecastOfTheTable(t *testing.T) {
	for weight, want := range map[float64]string{
		.01: "133 28 7.1 0.63 50",
		.02: "68 14 3.6 0.32 25",
		.05: "28 5.9 1.5 0.14 11",
		.10: "15 3.2 0.8 0.07 6",
		.50: "6 1.2 0.3 0.03 2",
	} {
		o := forecastOf(t, at1000(weight)).Objectives[0]
		minutes := []Figure{o.Detect[1].Minutes, o.Detect[2].Minutes, o.Detect[3].Minutes, o.Detect[4].Minutes, o.Margins[0].Minutes}
		var got []string
		for i, cell := range strings.Fields(want) {
			_, decimals, _ := strings.Cut(cell, ".")
			got = append(got, fmt.Sprintf("%.*f", len(decimals), minutes[i]))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("weight %v: %v, the table has %s", weight, got, want)
		}
	}
}

// V18: 300 base events a minute, x1.5 at 2% in 14.268 min, promote at 10% in 5.600.
func TestForecastVectors(t *testing.T) {
	if m := forecastOf(t, at1000(.02)).Objectives[0].Detect[2]; m.Effect != 1.5 || math.Abs(float64(m.Minutes)-14.268) > .0005 {
		t.Errorf("%+v, want 14.268 minutes", m)
	}
	f := forecastOf(t, at1000(.1))
	if math.Abs(float64(f.MinutesToPromote)-5.6) > .0005 || f.MinutesToDetect != f.Objectives[0].Detect[3].Minutes || !f.Fits {
		t.Errorf("%+v, want a promote in 5.600 minutes", f)
	}
	if e := f.Objectives[0].Detect[0]; e.Effect != 1.1 || !(e.Minutes > f.Objectives[0].Detect[1].Minutes) {
		t.Errorf("+10%%: %+v", e)
	}
}

// A step fits where the critical effect shows within it and a promote is forecast
// within 0.7 of the deadline: at 1%, x2 takes 7.1 minutes and a promote 50.
func TestForecastFits(t *testing.T) {
	for _, c := range []struct {
		weight         float64
		step, deadline time.Duration
		effect         float64
		fits           bool
	}{
		{.02, 4 * minute, time.Hour, 2, true}, // 3.6 and 25 of 42
		{.02, 3 * minute, time.Hour, 2, false},
		{.02, 3 * minute, time.Hour, 3, true},
		{.02, 4 * minute, 35 * minute, 2, false}, // 25 of 24.5
		{.01, 8 * minute, time.Hour, 2, false},   // 50 of 42
		{.01, 8 * minute, 72 * minute, 2, true},
		{.01, 0, 72 * minute, 2, true}, // a step that lasts until the deadline
	} {
		in := testInput()
		at1000(c.weight)(&in)
		in.Policy.Window.Deadline = Duration(c.deadline)
		f, err := NewForecast(in, Duration(c.step), c.effect)
		if err != nil {
			t.Fatal(err)
		}
		if f.Fits != c.fits || f.Weight != c.weight || f.Deadline.D() != c.deadline || c.step > 0 && f.Step.D() != c.step || c.step == 0 && f.Step != f.Deadline {
			t.Errorf("%+v: %+v", c, f)
		}
	}
	for _, effect := range []float64{1, .5, math.NaN(), math.Inf(1)} {
		if f, err := NewForecast(testInput(), 0, effect); err == nil {
			t.Errorf("a critical effect of %v: %+v", effect, f)
		}
	}
	in := testInput()
	in.Policy.AlphaPromote = 0
	if _, err := NewForecast(in, 0, 2); err == nil || !strings.Contains(err.Error(), "alphaPromote") {
		t.Errorf("a faulty policy: %v", err)
	}
}

// Log-normal with the median at 0.6 T and the 80% quantile at 1.2 T, by the table of
// the normal distribution.
func TestHoldRate(t *testing.T) {
	for _, c := range []struct{ median, within, want float64 }{
		{6, 6, .5},
		{6, 12, .2},
		{6, 3, .8},
		{6, 24, .0461641}, // z = 2 x .8416212
		{6, 0, 1},
		{math.Inf(1), 60, 1},
		{0, 60, 0},
	} {
		if got := afterwards(c.median, c.within); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("median %v within %v: %.7f, want %v", c.median, c.within, got, c.want)
		}
	}
	if got := afterwards(math.NaN(), 60); !math.IsNaN(got) {
		t.Errorf("nothing is known: %v", got)
	}
	// T = 50 in an hour: z = ln 2 / ln 2 x .8416212.
	if f := forecastOf(t, at1000(.01), func(in *PlanInput) { in.Facts[0].History.HourTotal *= 49.6 / 50 }); math.Abs(float64(f.HoldRate)-.2) > .005 {
		t.Errorf("held %v, want a fifth", f.HoldRate)
	}
}

// Every critical objective must be shown safe; the others do not keep from promoting.
func TestHoldRateOfSeveral(t *testing.T) {
	one := forecastOf(t, at1000(.01))
	two := forecastOf(t, at1000(.01), addObjective("other", Critical), addObjective("side", Secondary))
	want := 1 - (1-one.HoldRate)*(1-one.HoldRate)
	if math.Abs(float64(two.HoldRate-want)) > 1e-12 || one.HoldRate <= .1 {
		t.Errorf("held %v, and of two %v; want %v", one.HoldRate, two.HoldRate, want)
	}
	if two.MinutesToPromote != one.MinutesToPromote || two.MinutesToDetect <= one.MinutesToDetect || len(two.Objectives) != 3 {
		t.Errorf("%+v", two)
	}
	none := forecastOf(t, func(in *PlanInput) { in.Policy.Objectives[0].Role = Advisory })
	if none.HoldRate != 1 || none.Fits || !strings.Contains(none.Why, "no objective is critical") {
		t.Errorf("nothing critical: %+v", none)
	}
	if why := none.Objectives[0].Detect[3].Why; !strings.HasPrefix(why, "advisory") {
		t.Errorf("advisory harm: %q", why)
	}
	bake := forecastOf(t, func(in *PlanInput) { in.Policy.Window.MinBake = in.Policy.Window.Deadline })
	if bake.HoldRate != 1 {
		t.Errorf("a bake until the deadline: held %v", bake.HoldRate)
	}
}

func addObjective(name string, role Role) func(*PlanInput) {
	return func(in *PlanInput) {
		o := in.Policy.Objectives[0]
		o.Name, o.Role = name, role
		in.Policy.Objectives, in.Facts = append(in.Policy.Objectives, o), append(in.Facts, in.Facts[0])
	}
}

// Both automatic margins are shown, the chosen one first.
func TestForecastOfBothRungs(t *testing.T) {
	for _, c := range []struct {
		hour         float64
		first, other string
	}{
		{720_000, RungHalfBudget, RungKeepsSLO},
		{720_0, RungKeepsSLO, RungHalfBudget},
	} {
		f := forecastOf(t, withSLO, func(in *PlanInput) { in.Facts[0].History.HourTotal = c.hour })
		m := f.Objectives[0].Margins
		if len(m) != 2 || m[0].Rung != c.first || m[1].Rung != c.other {
			t.Fatalf("%+v", m)
		}
		rate := c.hour / 60
		for _, m := range m {
			if want := minutesToSafety(1, .1*rate, .9*rate, .005, .005, 1, m.Margin.Budget*.02); math.Abs(float64(m.Minutes)/want-1) > 1e-4 {
				t.Errorf("%s: %v minutes, want %v", m.Rung, m.Minutes, want)
			}
		}
	}
	f := forecastOf(t, withSLO)
	if d := f.Objectives[0].Detect; !math.IsInf(float64(d[0].Minutes), 1) || d[0].Why != "within what is tolerated" || d[4].Why != "" {
		t.Errorf("+10%% of a quarter of the budget is tolerated: %+v", d)
	}
	// x2 of a quarter of the budget is tolerated as well: x4 loses the SLO.
	if c := f.Objectives[0].Critical; !near(float64(c.Effect), 4) || !(c.Minutes > f.Objectives[0].Detect[4].Minutes) || f.MinutesToDetect != c.Minutes || !f.Fits {
		t.Errorf("critical: %+v", c)
	}
}

// Where nothing is known, nothing is promised, and why is said.
func TestForecastOfTheUnknown(t *testing.T) {
	f := forecastOf(t, func(in *PlanInput) { in.Facts[0].History = History{} })
	o := f.Objectives[0]
	for what, v := range map[string]Figure{"promote": f.MinutesToPromote, "detect": f.MinutesToDetect, "held": f.HoldRate, "objective held": o.HoldRate, "x2": o.Detect[3].Minutes, "rate": o.PerMinute} {
		if !math.IsNaN(float64(v)) {
			t.Errorf("%s: %v of unknown traffic", what, v)
		}
	}
	if want := "the traffic is unknown: the baseline served nothing in the last hour"; f.Fits || o.Why != want || o.Detect[3].Why != want || f.Why != "errors: "+want {
		t.Errorf("%+v", f)
	}
	text, err := json.Marshal(f)
	if err != nil || !strings.Contains(string(text), `"holdRate":null`) || !strings.Contains(string(text), `{"effect":2,"minutes":null,"why":"the traffic`) {
		t.Errorf("%s, %v", text, err)
	}
	refused := forecastOf(t, func(in *PlanInput) { in.Refused, in.RefusedReason, in.Facts = NoBaseline, "none was heard of", nil })
	if refused.Why != "none was heard of" || refused.Fits || !math.IsNaN(float64(refused.HoldRate)) || len(refused.Objectives) != 0 {
		t.Errorf("%+v", refused)
	}
}

// Against the time before, counts never promote: every healthy canary is held.
func TestForecastOfBeforeAfter(t *testing.T) {
	f := forecastOf(t, func(in *PlanInput) { in.Policy.Comparison = PreviousWindow })
	if o := f.Objectives[0]; f.HoldRate != 1 || f.Fits || !math.IsInf(float64(f.MinutesToPromote), 1) || o.Why == "" || !known(o.Detect[4].Minutes) {
		t.Errorf("%+v", f)
	}
}

func TestForecastOfTooLittleTraffic(t *testing.T) {
	f := forecastOf(t, func(in *PlanInput) { in.Facts[0].History.HourTotal /= 2 })
	if o := f.Objectives[0]; !o.Underpowered || o.Why != "underpowered: too little traffic, it needs about 57 minutes or 15% weight" || f.Fits || f.Why != "errors: "+o.Why {
		t.Errorf("%+v", f)
	}
	held := forecastOf(t, func(in *PlanInput) {
		in.Facts[0].History.HourTotal /= 2
		in.Policy.Window.OnUnderpowered = HoldUnderpowered
	})
	if held.HoldRate != 1 {
		t.Errorf("held at once: %v", held.HoldRate)
	}
}

// Good events that are the rarer ones: an effect of 2 leaves half of them.
func TestForecastOfGoodEvents(t *testing.T) {
	f := forecastOf(t, func(in *PlanInput) { in.Facts[0].History.Bad = .97 * in.Facts[0].History.Exposure })
	d := f.Objectives[0].Detect
	for i := 1; i < len(d); i++ {
		if !known(d[i].Minutes) || d[i].Minutes >= d[i-1].Minutes {
			t.Errorf("%+v", d)
		}
	}
	common := forecastOf(t, func(in *PlanInput) { in.Facts[0].History.Bad = .4 * in.Facts[0].History.Exposure })
	if last := common.Objectives[0].Detect[4]; !math.IsNaN(float64(last.Minutes)) || last.Why != "no rate grows so much from 40%" {
		t.Errorf("five times 40%%: %+v", last)
	}
}

// What a forecast tells is what the first verdict tells: its findings and its reason.
func TestForecastIsTheFirstVerdict(t *testing.T) {
	for name, change := range map[string]func(*PlanInput){
		"ratio":        func(*PlanInput) {},
		"budget":       withSLO,
		"small weight": at1000(.01),
		"dispersed":    func(in *PlanInput) { in.Facts[0].History.Phi0 = [3]float64{1.1, 1.4, 1.2} },
		"no history":   func(in *PlanInput) { in.Facts[0].History.Calibrated = false },
		"common":       func(in *PlanInput) { in.Facts[0].History.Bad = .3 * in.Facts[0].History.Exposure },
		"two":          addObjective("other", Critical),
	} {
		in := testInput()
		change(&in)
		f, err := NewForecast(in, 0, CriticalEffect)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPlan(in)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewState(p)
		if err != nil {
			t.Fatal(err)
		}
		s.Assess()
		for i, finding := range s.Describe() {
			o, planned := f.Objectives[i], p.Objectives[i]
			double := o.Detect[slices.Index(ForecastEffects[:], 2)].Minutes
			if !near(float64(finding.MinutesToPromote), float64(o.Margins[0].Minutes)) || !near(float64(finding.MinutesToDetectDouble), float64(double)) ||
				planned.MinutesToPromote != o.Margins[0].Minutes || planned.MinutesToDetectDouble != double || planned.Rung != o.Margins[0].Rung {
				t.Errorf("%s: forecast %+v, plan %v and %v, first verdict %v and %v", name, o, planned.MinutesToPromote, planned.MinutesToDetectDouble, finding.MinutesToPromote, finding.MinutesToDetectDouble)
			}
		}
		want := fmt.Sprintf("about %.3g minutes still needed", math.Ceil(float64(f.MinutesToPromote)*10)/10)
		if f.Objectives[0].Underpowered {
			want = fmt.Sprintf("needs about %.0f minutes", math.Ceil(float64(f.MinutesToPromote)))
		}
		if got := s.Checks().Safety; !strings.Contains(got.Reason, want) {
			t.Errorf("%s: the first reason is %q, want %q in it", name, got.Reason, want)
		}
	}
}
