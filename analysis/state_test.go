package analysis

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// twoCadences adds a critical objective "slow" with folds of 60 s.
func twoCadences(in *PlanInput) {
	o := in.Policy.Objectives[0]
	o.Name = "slow"
	in.Policy.Objectives = append(in.Policy.Objectives, o)
	in.Facts = append(in.Facts, Facts{Spacing: time.Minute, History: knownHistory()})
}

func TestTheFirstFoldContainsTheStart(t *testing.T) {
	for _, c := range []struct{ start, want float64 }{{0, 0}, {1, 0}, {4.999, 0}, {5, 5}} {
		s := testState(t, func(in *PlanInput) { in.Deployment.StartedAt = at(c.start) })
		f, left := s.Next(0)
		if want := (Fold{at(c.want), at(c.want + 5)}); f != want || !left {
			t.Errorf("started at %v s: first fold %v (%v), want %v", c.start, f, left, want)
		}
	}
}

// The last fold ends at the deadline, or before it where the grid has no end there.
func TestTheLastFold(t *testing.T) {
	for _, c := range []struct {
		start float64
		folds int
	}{{0, 60}, {1, 60}, {59, 60}} {
		s := testState(t, cadence60, func(in *PlanInput) { in.Deployment.StartedAt = at(c.start) })
		n := 0
		for ; ; n++ {
			if _, left := s.Next(0); !left {
				break
			}
			foldRows(t, s, 0, rows(0, 0, 100, 900))
		}
		if n != c.folds {
			t.Errorf("started at %v s: %d folds before the deadline, want %d", c.start, n, c.folds)
		}
		if got := s.AsOf(); !got.Equal(s.plan.Deadline()) {
			t.Errorf("started at %v s: as of %v after the last fold, want the deadline", c.start, got)
		}
	}
}

func TestAsOf(t *testing.T) {
	s := testState(t, twoCadences)
	want := func(what string, seconds float64) {
		t.Helper()
		if got := s.AsOf(); !got.Equal(at(seconds)) {
			t.Errorf("%s: as of %v, want %v", what, got, at(seconds))
		}
	}
	want("nothing is folded", 0)
	foldRows(t, s, 0, nil)
	want("5 s of the fast one", 5)
	for range 10 {
		foldRows(t, s, 0, nil)
	}
	want("55 s of the fast one", 55)
	foldRows(t, s, 0, nil)
	want("a minute of the fast one, none of the slow one", 55)
	for range 7 {
		foldRows(t, s, 0, nil)
	}
	want("the fast one runs ahead", 55)
	foldRows(t, s, 1, nil)
	want("a minute of both", 95)
	foldRows(t, s, 1, nil)
	want("the slow one runs ahead", 95)
}

// As of never goes back, and every fold that ends by then is folded.
func TestAsOfIsTheInstantUpToWhichAllIsFolded(t *testing.T) {
	s := testState(t, twoCadences)
	rng := rand.New(rand.NewPCG(1, 9))
	last := s.AsOf()
	for {
		i := rng.IntN(2)
		if _, left := s.Next(i); !left {
			i = 1 - i
		}
		if _, left := s.Next(i); !left {
			break
		}
		foldMissing(t, s, i, SourceUnavailable)
		got := s.AsOf()
		if got.Before(last) {
			t.Fatalf("as of went back from %v to %v", last, got)
		}
		last = got
		for j := range 2 {
			if f, left := s.Next(j); left && !f.End.After(got) {
				t.Fatalf("as of %v, but the fold %v of objective %d is not folded", got, f, j)
			}
		}
	}
	if !last.Equal(s.plan.Deadline()) {
		t.Errorf("as of %v at the end, want the deadline", last)
	}
}

func TestFirstExposure(t *testing.T) {
	s := testState(t, twoCadences)
	foldRows(t, s, 0, rows(0, 0, 0, 900))
	if got := s.Checks().FirstExposure; got != (Fold{}) {
		t.Errorf("before any canary request: %v", got)
	}
	foldRows(t, s, 0, rows(0, 0, 1, 900))
	foldRows(t, s, 0, rows(0, 0, 1, 900))
	if got, want := s.Checks().FirstExposure, (Fold{at(5), at(10)}); got != want {
		t.Errorf("first exposure %v, want %v", got, want)
	}
	foldRows(t, s, 1, rows(0, 0, 1, 900)) // ends later
	if got, want := s.Checks().FirstExposure, (Fold{at(5), at(10)}); got != want {
		t.Errorf("first exposure %v, want still %v", got, want)
	}
}

// The state after an error is the state before it, to the last bit.
func TestErrorsLeaveTheStateUnchanged(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	bad := func(arm Arm, x, n float64) []ArmRow {
		r := rows(1, 1, 10, 10)
		r[arm-1].Bad, r[arm-1].Exposure = x, n
		return r
	}
	noArm := rows(1, 1, 10, 10)
	noArm[0].Arm = 0
	negative := rows(1, 1, 10, 10)
	negative[1].Received = -1
	swapped := rows(1, 1, 10, 10)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	huge := append([]ArmRow{row(Baseline, "a", 1, 9e14)}, bad(Baseline, 1, 9e14)...)
	wrong := map[string]Evidence{
		"no rows of this objective": {Objective: "other", Rows: rows(1, 1, 10, 10)},
		"more bad than all":         {Rows: bad(Canary, 11, 10)},
		"NaN bad":                   {Rows: bad(Baseline, nan, 10)},
		"NaN exposure":              {Rows: bad(Canary, 1, nan)},
		"infinite":                  {Rows: bad(Canary, inf, inf)},
		"infinite exposure":         {Rows: bad(Baseline, 1, inf)},
		"negative bad":              {Rows: bad(Canary, -1, 10)},
		"negative exposure":         {Rows: bad(Canary, 0, -1)},
		"more than can be":          {Rows: bad(Baseline, 0, 1e16)},
		"more than can be together": {Rows: huge},
		"no arm":                    {Rows: noArm},
		"a negative sample count":   {Rows: negative},
		"canary before baseline":    {Rows: swapped},
		"the fold before":           {Rows: rows(1, 1, 10, 10), Fold: Fold{at(55), at(60)}},
		"the fold after the next":   {Rows: rows(1, 1, 10, 10), Fold: Fold{at(65), at(70)}},
		"a fold of another cadence": {Rows: rows(1, 1, 10, 10), Fold: Fold{at(60), at(75)}},
	}
	for _, null := range []func(*PlanInput){func(*PlanInput) {}, withSLO} {
		s := testState(t, null)
		for range 12 {
			foldRows(t, s, 0, rows(1, 9, 100, 900))
		}
		before, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for what, e := range wrong {
			if e.Objective == "" {
				e.Objective = "errors"
			}
			if e.Fold == (Fold{}) {
				e.Fold, _ = s.Next(0)
			}
			if err := s.Fold(&e); err == nil {
				t.Errorf("%s: no error", what)
			}
			after, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Errorf("%s: the state changed", what)
			}
		}
		foldRows(t, s, 0, rows(1, 9, 100, 900)) // and can be folded on
	}
}

// The largest counts that are accepted stay finite.
func TestHugeCounts(t *testing.T) {
	for _, null := range []func(*PlanInput){func(*PlanInput) {}, withSLO} {
		s := testState(t, null)
		for k := range 40 {
			r := rows(1e15, 0, 1e15, 1e15)
			if k%2 == 0 {
				r = rows(0, 1e15, 1, 1e15)
			}
			foldRows(t, s, 0, r)
			f := s.Describe()[0]
			for _, v := range []Figure{f.ERollback, f.EPromote, f.Phi} {
				if math.IsNaN(float64(v)) {
					t.Fatalf("fold %d: %+v", k, f)
				}
			}
			if got := s.Checks().Harm.State; got == Errored {
				t.Fatalf("fold %d: %v", k, s.Checks().Harm)
			}
		}
	}
}

// Missing and partial evidence advances the fold and proves nothing.
func TestMissingAndPartialEvidence(t *testing.T) {
	s := testState(t)
	for range 12 {
		foldRows(t, s, 0, rows(3, 9, 100, 900))
	}
	before := s.Assess()[0]
	first, _ := s.Next(0)
	for k, e := range []Evidence{
		{Missing: SourceUnavailable},
		{Missing: SourceRejected, Rows: rows(90, 0, 100, 900)},
		{Partial: true, Rows: rows(90, 0, 100, 900)},
		{Partial: true, Rows: []ArmRow{{Bad: math.NaN()}}},
	} {
		e.Objective = "errors"
		e.Fold, _ = s.Next(0)
		if err := s.Fold(&e); err != nil {
			t.Fatalf("%d: %v", k, err)
		}
		if after := s.Assess()[0]; !near(float64(after.ERollback), float64(before.ERollback)) || after.EPromote != before.EPromote || after.N != before.N {
			t.Errorf("%d: the evidence went from %+v to %+v", k, before, after)
		}
	}
	if f, _ := s.Next(0); !f.Start.Equal(first.Start.Add(20 * time.Second)) {
		t.Errorf("the next fold is %v", f)
	}
	if expected, received, _, _ := s.Received(Canary); expected != 16 || received != 12 {
		t.Errorf("%d of %d samples, want 12 of 16", received, expected)
	}
}

func TestStatesOfFindings(t *testing.T) {
	s := testState(t)
	for _, c := range []struct {
		harm, safety float64
		want         FindingState
		code         Code
	}{
		{1, 1, FindingUndecided, Collecting},
		{99.99, 19.99, FindingUndecided, Collecting},
		{100, 1, FindingBreached, HarmShown},
		{1, 20, FindingWithin, AllSafe},
		{100, 20, FindingBreached, HarmShown}, // harm outweighs
	} {
		say(s, 0, e(c.harm, c.safety), 0)
		f := s.Assess()[0]
		if f.State != c.want || f.Code != c.code || !near(float64(f.ERollback), c.harm) || !near(float64(f.EPromote), c.safety) {
			t.Errorf("E %v and %v: %+v", c.harm, c.safety, f)
		}
	}
	say(s, 0, evidence{logHarm: 5000, logSafety: math.Inf(-1)}, 0)
	if f := s.Assess()[0]; math.IsInf(float64(f.ERollback), 0) || f.EPromote != 0 {
		t.Errorf("beyond display: %+v", f)
	}
}

// R is the weighted average, and the leader has the largest weighted share.
func TestTheAverageAndItsLeader(t *testing.T) {
	s := testState(t, func(in *PlanInput) {
		for _, role := range []Role{Secondary, Advisory} {
			o := in.Policy.Objectives[0]
			o.Name, o.Role = string(role), role
			in.Policy.Objectives = append(in.Policy.Objectives, o)
			in.Facts = append(in.Facts, in.Facts[0])
		}
	})
	for _, c := range []struct {
		harm   [3]float64
		want   float64
		leader int
	}{
		{[3]float64{90, 9, 1e9}, 7./9*90 + 2./9*9, 0},
		{[3]float64{9, 90, 1e9}, 7./9*9 + 2./9*90, 1},
		{[3]float64{9, 31, 0}, 7./9*9 + 2./9*31, 0}, // 7 against 6.9
		{[3]float64{0, 0, 1e9}, 0, 0},
	} {
		for i := range 3 {
			say(s, i, e(c.harm[i], 1), 0)
		}
		if got := s.Evidence(); !near(got, c.want) {
			t.Errorf("%v: R %v, want %v", c.harm, got, c.want)
		}
		if s.leader != c.leader {
			t.Errorf("%v: leader %d, want %d", c.harm, s.leader, c.leader)
		}
	}
}

func TestSentences(t *testing.T) {
	s := testState(t)
	if got := s.Describe()[0].Reason; got != "errors: nothing counted yet" {
		t.Errorf("%q", got)
	}
	foldRows(t, s, 0, rows(0, 9, 100, 900))
	if got := s.Describe()[0].Reason; got != "errors: not decided yet (0 of 100 bad in the canary, 9 of 900 in the baseline)" {
		t.Errorf("%q", got)
	}
	for range 30 {
		foldRows(t, s, 0, rows(10, 9, 100, 900))
	}
	if got := s.Describe()[0].Reason; !strings.HasPrefix(got, "errors: harm beyond the tolerance is shown (300 of 3100 bad") {
		t.Errorf("%q", got)
	}
	s = testState(t, withSLO)
	for range 30 {
		foldRows(t, s, 0, rows(0, 9, 100, 900))
	}
	if got := s.Describe()[0].Reason; !strings.HasPrefix(got, "errors: shown within the margin (0 of 3000 bad") {
		t.Errorf("%q", got)
	}
}

// A plan of another version of a method is not judged by this one.
func TestPlanOfAnotherMethod(t *testing.T) {
	p := testPlan(t)
	p.Objectives[0].Method = "ratio/2"
	if _, err := NewState(p); err == nil {
		t.Error("no error")
	}
	p.Objectives[0].Method, p.Objectives[0].Null = "ratio/1", "none"
	if _, err := NewState(p); err == nil {
		t.Error("an unknown null hypothesis: no error")
	}
	p.Objectives[0].Signal.Shape = "level"
	if _, err := NewState(p); err == nil {
		t.Error("a shape without method: no error")
	}
}

func TestMethodTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Methods {
		if m.Name == "" || m.Version < 1 || m.Assumptions == "" || m.References == "" || m.newAccumulator == nil {
			t.Errorf("row %q is not complete", m.ID())
		}
		if seen[m.ID()] {
			t.Errorf("two rows are %q", m.ID())
		}
		seen[m.ID()] = true
	}
	if m, err := methodFor(&Objective{Signal: Signal{Shape: ShapeRatio}}); err != nil || m.ID() != "ratio/1" {
		t.Errorf("%v, %v", m.ID(), err)
	}
}

// A plan without objectives proves nothing, at any time.
func TestNothingIsProvenByDefault(t *testing.T) {
	s, err := NewState(&Plan{})
	if err != nil {
		t.Fatal(err)
	}
	s.Assess()
	c := s.Checks()
	for name, check := range map[CheckName]Check{Harm: c.Harm, Safety: c.Safety, Coverage: c.Coverage, Identity: c.Identity, Environment: c.Environment} {
		if check.State == Good || check.State == Bad || check.State == NotRequired {
			t.Errorf("%s of an empty plan: %+v", name, check)
		}
	}
	if w := s.Weight(); !math.IsNaN(w) {
		t.Errorf("weight %v", w)
	}
	var zero Checks
	if zero.Harm.State != Undecided || zero.Safety.State != Undecided {
		t.Errorf("%+v", zero)
	}
}

// FuzzFold: rows of any numbers are refused without a trace, or leave the state
// finite.
func FuzzFold(f *testing.F) {
	f.Add(1., 2., 3., 4., false)
	f.Add(0., 0., 0., 0., true)
	f.Add(math.NaN(), 1., 2., 3., false)
	f.Add(1e15, 1e15, 1e15, 1e15, true)
	f.Add(5e-324, .5, 5e-324, 1., false)
	f.Add(1., 0., 1e-300, 1e15, true)
	f.Fuzz(func(t *testing.T, xC, xB, nC, nB float64, slo bool) {
		change := func(*PlanInput) {}
		if slo {
			change = withSLO
		}
		s := testState(t, change)
		foldRows(t, s, 0, rows(1, 9, 100, 900))
		before, _ := s.Snapshot()
		next, _ := s.Next(0)
		for range 3 {
			err := s.Fold(&Evidence{Objective: "errors", Fold: next, Rows: rows(xC, xB, nC, nB)})
			if err != nil {
				if after, _ := s.Snapshot(); !bytes.Equal(before, after) {
					t.Fatalf("%v, and the state changed", err)
				}
				return
			}
			next, _ = s.Next(0)
			s.Assess()
			d := s.Describe()[0]
			if math.IsNaN(s.Evidence()) || math.IsNaN(float64(d.EPromote)) || math.IsNaN(float64(d.Phi)) || s.Checks().Harm.State == Errored {
				t.Fatalf("%+v", d)
			}
			before, _ = s.Snapshot()
		}
	})
}

// The bake counts from the first request that the canary served: that its pods have a
// level is no exposure, where some critical objective counts requests.
func TestLevelsDoNotBeginTheBakeOfAPlanThatCounts(t *testing.T) {
	level := func(in *PlanInput) {
		o := Objective{Name: "cpu", Role: Critical, Signal: Signal{Name: "cpu", Source: "prometheus", Unit: "1", Shape: ShapeLevel, Gauge: &Selector{Metric: "cpu"}}}
		in.Policy.Objectives = append(in.Policy.Objectives, o)
		in.Facts = append(in.Facts, Facts{Spacing: time.Minute})
	}
	s := testState(t, cadence60, level)
	for range 3 {
		foldRows(t, s, 0, rows(0, 5, 0, 900))
		foldRows(t, s, 1, rows(0, 0, 0, 0))
	}
	if got := s.Checks().FirstExposure; !got.End.IsZero() {
		t.Errorf("the bake begins at %v, before the first request", got.End)
	}
	want, _ := s.Next(0)
	foldRows(t, s, 0, rows(0, 5, 10, 900))
	if got := s.Checks().FirstExposure; got != want {
		t.Errorf("the bake begins at %v, want %v", got.End, want.End)
	}
	alone := testState(t, level, func(in *PlanInput) {
		in.Policy.Objectives, in.Facts = in.Policy.Objectives[1:], in.Facts[1:]
	})
	want, _ = alone.Next(0)
	foldRows(t, alone, 0, rows(0, 0, 0, 0))
	if got := alone.Checks().FirstExposure; got != want {
		t.Errorf("of levels alone the bake begins at %v, want %v", got.End, want.End)
	}
}
