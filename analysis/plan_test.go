package analysis

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// A plan that is read back has the digest that it was frozen with: figures that
// are not known (null), times of other zones, empty and absent lists included.
func TestDigestSurvivesAReading(t *testing.T) {
	east := time.FixedZone("east", 5*3600+30*60)
	for name, change := range map[string]func(*PlanInput){
		"ordinary":   func(*PlanInput) {},
		"no history": func(in *PlanInput) { in.Facts[0].History = History{} },
		"affine":     withSLO,
		"weak":       func(in *PlanInput) { in.Facts[0].History.HourTotal = 7 },
		"refused":    func(in *PlanInput) { in.Refused = NoBaseline },
		"empty lists": func(in *PlanInput) {
			in.Warnings, in.Deployment.Steps, in.Deployment.Labels = []string{}, []Step{}, map[string]string{}
		},
		"another zone": func(in *PlanInput) {
			in.Deployment.StartedAt = in.Deployment.StartedAt.Add(123456789).In(east)
			in.Deployment.Steps = []Step{{Index: 1, Total: 3, Weight: 1. / 3, At: in.Deployment.StartedAt}}
		},
		"short": func(in *PlanInput) { in.Deployment.MaxDuration = Duration(5 * minute) },
		"cohorts and text": func(in *PlanInput) {
			in.Cohorts = Cohorts{Baseline: Cohort{"b": "<1>", "a": "ü\u2028"}, Canary: Cohort{AttrVersion: "1.5.0"}}
			in.Deployment.Labels = map[string]string{"z": "1", "a": "&"}
			in.Policy.Objectives[0].Margin = &Bound{1.3, 0}
		},
	} {
		p := testPlan(t, change)
		want, err := p.Digest()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.HasPrefix(want, "sha256:") || len(want) != 7+64 {
			t.Fatalf("%s: digest %q", name, want)
		}
		for range 3 {
			b, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.ContainsRune(b, '\n') {
				t.Fatalf("%s: the plan is more than one line", name)
			}
			p = new(Plan)
			if err := json.Unmarshal(b, p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, _ := p.Digest(); got != want {
				again, _ := p.Encode()
				t.Fatalf("%s: read back as\n%s\nwas\n%s", name, again, b)
			}
			if _, err := NewState(p); err != nil {
				t.Fatalf("%s: read back it has no state: %v", name, err)
			}
		}
	}
}

// A plan that was read back judges as the one that was made.
func TestReadPlanJudgesAlike(t *testing.T) {
	for _, change := range []func(*PlanInput){func(*PlanInput) {}, withSLO} {
		p := testPlan(t, change)
		b, _ := p.Encode()
		q := new(Plan)
		if err := json.Unmarshal(b, q); err != nil {
			t.Fatal(err)
		}
		one, _ := NewState(p)
		two, _ := NewState(q)
		rng := rand.New(rand.NewPCG(2, 3))
		for range 200 {
			r := rows(float64(rng.IntN(3)), float64(rng.IntN(12)), 100, 900)
			foldRows(t, one, 0, r)
			foldRows(t, two, 0, r)
		}
		if !bytes.Equal(snapshot(t, one), snapshot(t, two)) {
			t.Error("the states differ")
		}
	}
}

// Everything that decides is in the digest.
func TestDigestCoversWhatDecides(t *testing.T) {
	base, _ := testPlan(t).Digest()
	for name, change := range map[string]func(*PlanInput){
		"alpha":     func(in *PlanInput) { in.Policy.AlphaRollback = .011 },
		"promote":   func(in *PlanInput) { in.Policy.AlphaPromote = .051 },
		"bake":      func(in *PlanInput) { in.Policy.Window.MinBake++ },
		"deadline":  func(in *PlanInput) { in.Policy.Window.Deadline++ },
		"margin":    func(in *PlanInput) { in.Policy.Objectives[0].Margin = &Bound{1.2501, 0} },
		"tolerance": func(in *PlanInput) { in.Policy.Objectives[0].Tolerance = &Bound{1.0501, 0} },
		"target":    withSLO,
		"role":      func(in *PlanInput) { in.Policy.Objectives[0].Role = Secondary },
		"cadence":   cadence60,
		"history":   func(in *PlanInput) { in.Facts[0].History.Phi0[2] = 1.1 },
		"version":   func(in *PlanInput) { in.Deployment.Release.Version = "1.5.1" },
		"attempt":   func(in *PlanInput) { in.Deployment.Attempt = 2 },
		"start":     func(in *PlanInput) { in.Deployment.StartedAt = at(1) },
		"step":      declared(.1),
		"cohort":    func(in *PlanInput) { in.Cohorts.Canary = Cohort{"track": "canary"} },
		"signal":    func(in *PlanInput) { in.Policy.Objectives[0].Signal.Bad.Metric = "other" },
	} {
		if got, _ := testPlan(t, change).Digest(); got == base {
			t.Errorf("%s: the digest stays the same", name)
		}
	}
	if again, _ := testPlan(t).Digest(); again != base {
		t.Error("the same input gives another digest")
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0"},
		{1, "1"},
		{-2.5, "-2.5"},
		{1. / 3, "0.333333"},
		{2. / 3 * 1e7, "6.66667e+06"},
		{123456.5, "123456"},
		{123457.5, "123458"},
		{1e300, "1e+300"},
		{5e-324, "5e-324"},
		{math.NaN(), "null"},
		{math.Inf(1), "null"},
		{math.Inf(-1), "null"},
		{999999.7, "1e+06"},
	} {
		b, err := json.Marshal(Figure(c.v))
		if err != nil || string(b) != c.want {
			t.Errorf("%v is written %s (%v), want %s", c.v, b, err, c.want)
		}
		var back Figure
		if err := json.Unmarshal(b, &back); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if again, _ := json.Marshal(back); !bytes.Equal(again, b) {
			t.Errorf("%s is read back and written %s", b, again)
		}
	}
	var f Figure
	if err := json.Unmarshal([]byte(`"1"`), &f); err == nil {
		t.Error("text is read as a figure")
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 10_000 {
		v := math.Ldexp(rng.NormFloat64(), rng.IntN(600)-300)
		if r := Round6(v); math.Abs(r/v-1) > 5.1e-6 || Round6(r) != r {
			t.Fatalf("%v rounds to %v and then %v", v, r, Round6(r))
		}
	}
}

func TestDurationsAreWrittenForPeople(t *testing.T) {
	b, err := json.Marshal(map[string]Duration{"d": Duration(90 * time.Minute)})
	if err != nil || string(b) != `{"d":"1h30m0s"}` {
		t.Errorf("%s, %v", b, err)
	}
	var d Duration
	if err := d.UnmarshalText([]byte("15m")); err != nil || d.D() != 15*time.Minute {
		t.Errorf("%v, %v", d, err)
	}
	if err := d.UnmarshalText([]byte("15")); err == nil {
		t.Error("a number without unit is read")
	}
}

// A question is asked of both arms at once, and looks back far enough to know old
// pods.
func TestQuery(t *testing.T) {
	p := testPlan(t, func(in *PlanInput) {
		in.Cohorts = Cohorts{
			Baseline: Cohort{AttrService: "checkout", "track": "stable"},
			Canary:   Cohort{AttrService: "checkout", "track": "canary", "zone": "a"},
		}
	})
	fold := Fold{at(15), at(20)}
	q := p.Query(&p.Objectives[0], fold)
	want := []Match{{AttrService, []string{"checkout"}}, {"track", []string{"canary", "stable"}}, {"zone", []string{"a"}}}
	if !slices.EqualFunc(q.Matches, want, func(a, b Match) bool { return a.Name == b.Name && slices.Equal(a.Values, b.Values) }) {
		t.Errorf("matches %v, want %v", q.Matches, want)
	}
	if !slices.Equal(q.Observe, []string{AttrVersion}) || !q.AsOf().Equal(fold.End) || !q.Since.Equal(at(-600)) {
		t.Errorf("observes %v, as of %v, since %v", q.Observe, q.AsOf(), q.Since)
	}
	if m := p.BaselineMatches(); len(m) != 2 || m[1].Values[0] != "stable" {
		t.Errorf("baseline %v", m)
	}
	p = testPlan(t, func(in *PlanInput) {
		in.Cohorts = Cohorts{Baseline: Cohort{AttrVersion: "1.4.9"}, Canary: Cohort{AttrVersion: "1.5.0"}}
	})
	if q := p.Query(&p.Objectives[0], fold); len(q.Observe) != 0 {
		t.Errorf("the selector proves the version, yet %v is asked for", q.Observe)
	}
}

func TestDeclaredWeight(t *testing.T) {
	d := Deployment{Steps: []Step{{Weight: .05, At: at(0)}, {Weight: .2, At: at(60)}, {Weight: .5, At: at(120)}}}
	for _, c := range []struct {
		at, want float64
		declared bool
	}{{-1, 0, false}, {0, .05, true}, {59, .05, true}, {60, .2, true}, {1e4, .5, true}} {
		if got, declared := d.Weight(at(c.at)); got != c.want || declared != c.declared {
			t.Errorf("at %v s: %v (%v), want %v (%v)", c.at, got, declared, c.want, c.declared)
		}
	}
}

func TestValidationID(t *testing.T) {
	d := testInput().Deployment
	again := d
	if d.Validation() != again.Validation() {
		t.Error("the same attempt has two ids")
	}
	seen := map[ValidationID]string{d.Validation(): "as it is"}
	for name, change := range map[string]func(*Deployment){
		"attempt":     func(d *Deployment) { d.Attempt++ },
		"deployment":  func(d *Deployment) { d.ID += "x" },
		"service":     func(d *Deployment) { d.Release.Service += "x" },
		"namespace":   func(d *Deployment) { d.Release.Namespace += "x" },
		"environment": func(d *Deployment) { d.Release.Environment += "x" },
		"moved":       func(d *Deployment) { d.Release.Environment, d.Release.Namespace = "prods", "hop" },
	} {
		other := d
		change(&other)
		if was, ok := seen[other.Validation()]; ok {
			t.Errorf("%s and %s have one id", name, was)
		}
		seen[other.Validation()] = name
	}
}
