package analysis

import "testing"

// seen folds one fold of rows into an identity check and returns it.
func seen(p *Plan, rows []ArmRow) Check {
	id := newIdentity(p)
	t, err := splitArms(rows)
	if err != nil {
		panic(err)
	}
	id.fold([2][]ArmRow{t.Baseline, t.Canary}, t.Control)
	return id.check()
}

func named(r ArmRow, version string) ArmRow {
	r.Version = version
	return r
}

func TestIdentity(t *testing.T) {
	b, c := row(Baseline, "b", 0, 900), row(Canary, "c", 0, 100)
	idle := ArmRow{Arm: Canary, Pod: "c", Fresh: true, Version: "1.5.0"}
	for _, test := range []struct {
		name  string
		rows  []ArmRow
		state CheckState
		code  Code
	}{
		{"nobody", nil, Missing, IdentityUnproven},
		{"the canary was not heard of", []ArmRow{b}, Missing, IdentityUnproven},
		{"both as the event says", []ArmRow{b, c}, Good, ""},
		{"no version observed in the canary", []ArmRow{b, named(c, "")}, Undecided, IdentityUnproven},
		{"no version observed in the baseline", []ArmRow{named(b, ""), c}, Undecided, IdentityUnproven},
		{"the canary runs the old version", []ArmRow{b, named(c, "1.4.9")}, Bad, IdentityMismatch},
		{"the baseline runs the new version", []ArmRow{named(b, "1.5.0"), c}, Bad, IdentityMismatch},
		{"one pod plays both arms", []ArmRow{b, named(row(Canary, "b", 0, 100), "1.5.0")}, Conflicting, SelectorOverlap},
		{"an arm without exposure is proven by its pods", []ArmRow{b, idle}, Good, ""},
		{"or not", []ArmRow{b, named(idle, "")}, Undecided, IdentityUnproven},
		{"a pod without any sample says nothing", []ArmRow{b, {Arm: Canary, Pod: "c", Version: "1.5.0"}}, Missing, IdentityUnproven},

		{"a pod without any sample does not overlap", []ArmRow{b, {Arm: Baseline, Pod: "c"}, c}, Good, ""},
		{"one that is fresh does", []ArmRow{b, {Arm: Baseline, Pod: "c", Fresh: true, Version: "1.4.9"}, c}, Conflicting, SelectorOverlap},
		{"so does one with a sample alone", []ArmRow{b, {Arm: Baseline, Pod: "c", Received: 1, Version: "1.4.9"}, c}, Conflicting, SelectorOverlap},

		// 90% of the exposure, not of the pods.
		{"90% proven", []ArmRow{b, row(Canary, "c", 0, 90), named(row(Canary, "d", 0, 10), "")}, Good, ""},
		{"89% proven", []ArmRow{b, row(Canary, "c", 0, 89), named(row(Canary, "d", 0, 11), "")}, Undecided, IdentityUnproven},
		{"10% wrong", []ArmRow{b, row(Canary, "c", 0, 90), named(row(Canary, "d", 0, 10), "1.4.9")}, Good, ""},
		{"11% wrong", []ArmRow{b, row(Canary, "c", 0, 89), named(row(Canary, "d", 0, 11), "1.4.9")}, Bad, IdentityMismatch},
		{"10% overlap", []ArmRow{b, row(Baseline, "x", 0, 100), row(Canary, "c", 0, 90), row(Canary, "x", 0, 10)}, Good, ""},
		{"11% overlap", []ArmRow{b, row(Baseline, "x", 0, 1), row(Canary, "c", 0, 89), row(Canary, "x", 0, 11)}, Conflicting, SelectorOverlap},
		{"11% overlap of the baseline", []ArmRow{row(Baseline, "b", 0, 89), row(Baseline, "x", 0, 11), row(Canary, "c", 0, 100), row(Canary, "x", 0, 1)}, Conflicting, SelectorOverlap},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := seen(testPlan(t), test.rows)
			if got.State != test.state || got.Code != test.code {
				t.Errorf("got %v %q (%s), want %v %q", got.State, got.Code, got.Reason, test.state, test.code)
			}
		})
	}
}

// Cohorts that select on the version prove it themselves; overlap is still seen.
func TestIdentityBySelector(t *testing.T) {
	both := func(in *PlanInput) {
		in.Cohorts = Cohorts{Baseline: Cohort{AttrVersion: "1.4.9"}, Canary: Cohort{AttrVersion: "1.5.0"}}
	}
	rows := []ArmRow{named(row(Baseline, "b", 0, 9), ""), named(row(Canary, "c", 0, 1), "")}
	if got := seen(testPlan(t, both), rows); got.State != Good || got.Reason != "by selector" {
		t.Errorf("%+v", got)
	}
	overlap := []ArmRow{named(row(Baseline, "b", 0, 9), ""), named(row(Canary, "b", 0, 1), "")}
	if got := seen(testPlan(t, both), overlap); got.State != Conflicting {
		t.Errorf("overlap: %+v", got)
	}
	for name, change := range map[string]func(*PlanInput){
		"the canary selects on another version":  func(in *PlanInput) { both(in); in.Cohorts.Canary = Cohort{AttrVersion: "1.5.1"} },
		"the baseline does not select on it":     func(in *PlanInput) { both(in); in.Cohorts.Baseline = Cohort{"track": "stable"} },
		"the previous version is not known":      func(in *PlanInput) { both(in); in.Deployment.Release.PreviousVersion = "" },
		"both select on something else entirely": func(in *PlanInput) { in.Cohorts = Cohorts{Baseline: Cohort{"a": "b"}, Canary: Cohort{"a": "c"}} },
	} {
		if p := testPlan(t, change); p.IdentityBySelector {
			t.Errorf("%s: by selector", name)
		}
	}
}

// A version that the event does not name is never the right one.
func TestUnknownPreviousVersionIsNeverProven(t *testing.T) {
	p := testPlan(t, func(in *PlanInput) { in.Deployment.Release.PreviousVersion = "" })
	if got := seen(p, []ArmRow{named(row(Baseline, "b", 0, 9), ""), row(Canary, "c", 0, 1)}); got.State != Undecided {
		t.Errorf("%+v", got)
	}
}

// A pod that changes arms between two folds plays one at a time.
func TestPodThatChangesArmsDoesNotOverlap(t *testing.T) {
	s := testState(t)
	foldRows(t, s, 0, []ArmRow{row(Baseline, "b", 0, 9), row(Baseline, "pod-0", 0, 9)})
	foldRows(t, s, 0, []ArmRow{row(Baseline, "b", 0, 9), row(Canary, "pod-0", 0, 9)})
	if got := s.Checks().Identity; got.State != Good {
		t.Errorf("%+v", got)
	}
}

// The worst critical objective decides; others only where none is critical.
func TestIdentityIsTheWorstOfTheCriticalObjectives(t *testing.T) {
	three := func(in *PlanInput) {
		for _, name := range []string{"second", "third"} {
			o := in.Policy.Objectives[0]
			o.Name = name
			in.Policy.Objectives = append(in.Policy.Objectives, o)
			in.Facts = append(in.Facts, in.Facts[0])
		}
	}
	s := testState(t, three, func(in *PlanInput) { in.Policy.Objectives[2].Role = Secondary })
	unproven := []ArmRow{row(Baseline, "b", 0, 9), named(row(Canary, "c", 0, 1), "")}
	foldRows(t, s, 0, rows(0, 0, 1, 9))
	if got := s.Checks().Identity; got.State != Good {
		t.Errorf("what was not heard of says nothing of who the others are: %+v", got)
	}
	foldRows(t, s, 1, rows(0, 0, 1, 9))
	foldRows(t, s, 2, unproven)
	if got := s.Checks().Identity; got.State != Good {
		t.Errorf("a secondary objective does not block: %+v", got)
	}
	for range 3 {
		foldRows(t, s, 1, unproven)
	}
	if got := s.Checks().Identity; got.State != Undecided {
		t.Errorf("the worst of two: %+v", got)
	}
}

// A control of the canary's own pods would take its harm off again.
func TestControlMustNotBeTheCanary(t *testing.T) {
	s := testState(t, compared(PreviousWindow), cadence60)
	other, same := ArmRow{Arm: Control, Pod: "x", Received: 1}, ArmRow{Arm: Control, Pod: "c", Received: 1}
	foldRows(t, s, 0, append(alone(60, 12_000), other))
	wantCheck(t, "others", s.Checks().Identity, Good, "")
	s = testState(t, compared(PreviousWindow), cadence60)
	foldRows(t, s, 0, append(alone(60, 12_000), same))
	wantCheck(t, "the canary itself", s.Checks().Identity, Conflicting, SelectorOverlap)
}
