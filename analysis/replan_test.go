package analysis_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// recordedPlan is the plan of in as a bundle keeps it.
func recordedPlan(t *testing.T, in analysis.PlanInput) *analysis.Plan {
	t.Helper()
	plan, err := analysis.NewPlan(in)
	if err != nil {
		t.Fatal(err)
	}
	var kept analysis.Plan
	if err := json.Unmarshal(encoded(t, plan), &kept); err != nil {
		t.Fatal(err)
	}
	return &kept
}

func encoded(t *testing.T, p *analysis.Plan) []byte {
	t.Helper()
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replannedWorlds are of every shape: ratios of every null, distributions, levels,
// a leak, strata.
func replannedWorlds(t *testing.T) map[string]analysis.PlanInput {
	t.Helper()
	worlds := map[string]analysis.PlanInput{}
	for _, cadence := range []time.Duration{5 * time.Second, time.Minute} {
		for _, comparison := range []analysis.Comparison{"", analysis.Both, analysis.PreviousWindow} {
			w := twentyObjectives(cadence)
			w.comparison, w.strata = comparison, 2
			in := w.input(t)
			in.Warnings = append(in.Warnings, "telemetry carries no namespace")
			in.Policy.Costs = &analysis.Costs{FailedEvent: 1, FalseRollback: 1000, Currency: "EUR"}
			worlds[cadence.String()+" "+string(comparison)] = in
		}
	}
	return worlds
}

// The law of replanning: a policy that did not change gives the plan that was recorded,
// byte for byte, and takes every look as it is.
func TestReplanOfTheSamePolicy(t *testing.T) {
	for name, in := range replannedWorlds(t) {
		kept := recordedPlan(t, in)
		kept.FalseAlarms = &analysis.FalseAlarms{Windows: []analysis.AAWindow{{Start: kept.Deployment.StartedAt.Add(-time.Hour), MaxLogE: .25}}}
		again, err := kept.Replan(in.Policy)
		if err != nil || again.Plan == nil || len(again.Notes) > 0 {
			t.Fatalf("%s: %+v, %v", name, again, err)
		}
		if got, want := encoded(t, again.Plan), encoded(t, kept); !bytes.Equal(got, want) {
			t.Errorf("%s: the plan is\n%s\nrecorded was\n%s", name, got, want)
		}
		look := analysis.Look{Evidence: []analysis.Evidence{{Objective: kept.Objectives[3].Name}, {Objective: kept.Objectives[0].Name}}}
		if _, same := again.Look(look); !same {
			t.Errorf("%s: the look was changed", name)
		}
	}
}

// What may change gives the plan that the deployment would have had: the same as if it had
// been planned by the changed policy at its time.
func TestReplanIsThePlanThatWouldHaveBeen(t *testing.T) {
	for change, f := range map[string]func(*analysis.Policy){
		"alphas": func(p *analysis.Policy) { p.AlphaRollback, p.AlphaPromote = .002, .01 },
		"roles": func(p *analysis.Policy) {
			p.Objectives[0].Role, p.Objectives[9].Role = analysis.Secondary, analysis.Advisory
		},
		"window":   func(p *analysis.Policy) { p.Window.Deadline, p.Window.Warmup = p.Window.Deadline/2, p.Window.Warmup*2 },
		"a target": func(p *analysis.Policy) { p.Objectives[0].Target = .99 },
		"no target": func(p *analysis.Policy) {
			p.Objectives[1].Target = 0
		},
		"bounds of ratios and levels": func(p *analysis.Policy) {
			for i := range p.Objectives {
				if o := &p.Objectives[i]; o.Signal.Shape != analysis.ShapeDistribution && o.Leak == nil {
					o.Tolerance, o.Margin = &analysis.Bound{Ratio: 1.1}, &analysis.Bound{Ratio: 1.5}
				}
			}
		},
		"a leak's limit": func(p *analysis.Policy) {
			for i := range p.Objectives {
				if o := &p.Objectives[i]; o.Leak != nil {
					o.Leak = &analysis.Leak{Limit: 2 * o.Leak.Limit, Horizon: analysis.Duration(time.Hour)}
				}
			}
		},
		"names": func(p *analysis.Policy) { p.Name, p.Objectives[0].Name = "stricter", "renamed" },
		"fewer": func(p *analysis.Policy) { p.Objectives = slices.Delete(slices.Clone(p.Objectives), 1, 8) },
	} {
		for name, in := range replannedWorlds(t) {
			kept := recordedPlan(t, in)
			in.Policy.Objectives = slices.Clone(in.Policy.Objectives)
			names := map[string]int{}
			for i, o := range in.Policy.Objectives {
				names[o.Name] = i
			}
			f(&in.Policy)
			facts := in.Facts
			in.Facts = nil
			for _, o := range in.Policy.Objectives {
				in.Facts = append(in.Facts, facts[names[o.Name]]) // the renamed one was the first
			}
			want, err := analysis.NewPlan(in)
			if err != nil {
				t.Fatal(err)
			}
			again, err := kept.Replan(in.Policy)
			if err != nil || again.Plan == nil {
				t.Fatalf("%s of %s: %+v, %v", change, name, again, err)
			}
			slices.Sort(again.Plan.Warnings)
			slices.Sort(want.Warnings)
			if got, want := encoded(t, again.Plan), encoded(t, want); !bytes.Equal(got, want) {
				t.Errorf("%s of %s: the plan is\n%s\nwanted\n%s", change, name, got, want)
			}
		}
	}
}

// What the recorded evidence does not answer is told, objective by objective, and never
// guessed.
func TestReplanCannotTell(t *testing.T) {
	w := twentyObjectives(5 * time.Second)
	w.leaks = 0 // whose evidence is that of the levels
	in := w.input(t)
	kept := recordedPlan(t, in)
	const latency, level = 8, 14
	for _, c := range []struct {
		change func(*analysis.Policy)
		want   string // of the reason; empty: it can be told
	}{
		{func(p *analysis.Policy) {
			p.Objectives[0].Signal.Total = &analysis.Selector{Metric: "other_total"}
		}, "ratio-0: its signal was not asked for"},
		{func(p *analysis.Policy) { p.Objectives[0].Strata = []string{"zone"} }, "ratio-0: its strata were"},
		{func(p *analysis.Policy) { p.Objectives[latency].Quantiles = []float64{.9} }, "its bounds follow from its quantiles"},
		{func(p *analysis.Policy) { p.Objectives[latency].Quantiles = []float64{.99, .95} }, ""},
		{func(p *analysis.Policy) { p.Objectives[latency].Margin = &analysis.Bound{Ratio: 1.7} }, "its bounds follow from its tolerance and margin"},
		{func(p *analysis.Policy) { p.Objectives[level].Leak = &analysis.Leak{} }, "a leak is learned from other history"},
		{func(p *analysis.Policy) { p.Comparison = analysis.PreviousWindow }, "the comparison was concurrent, not previous-window"},
		{func(p *analysis.Policy) { p.Comparison = analysis.Concurrent }, ""},
	} {
		policy := in.Policy
		policy.Objectives = slices.Clone(in.Policy.Objectives)
		c.change(&policy)
		again, err := kept.Replan(policy)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" && again.Plan == nil || c.want != "" && (again.Plan != nil || len(again.CannotTell) != 1 || !strings.Contains(again.CannotTell[0], c.want)) {
			t.Errorf("want %q: %q", c.want, again.CannotTell)
		}
	}
}

// An advisory objective without evidence changes no verdict: it is left out, and said to
// be.
func TestReplanWithoutAnAdvisoryObjective(t *testing.T) {
	w := twentyObjectives(5 * time.Second)
	in := w.input(t)
	kept := recordedPlan(t, in)
	extra := in.Policy.Objectives[0]
	extra.Name, extra.Role, extra.Signal.Total = "extra", analysis.Advisory, &analysis.Selector{Metric: "other_total"}
	in.Policy.Objectives = append(slices.Clone(in.Policy.Objectives), extra)
	again, err := kept.Replan(in.Policy)
	if err != nil || again.Plan == nil || len(again.Notes) != 1 || !strings.Contains(again.Notes[0], "extra, which is advisory, is left out") {
		t.Fatalf("%+v, %v", again, err)
	}
	if !bytes.Equal(encoded(t, again.Plan), encoded(t, kept)) {
		t.Errorf("the plan is another one")
	}
}

// Evidence goes to the objectives that it is for: by a new name, to two of them, or to
// none, and none of it comes from after the new deadline.
func TestReplannedLook(t *testing.T) {
	w := mixedWorld{cadence: 5 * time.Second, deadline: time.Hour, ratios: []ratioKind{plainRatio}, latencies: 1}
	in := w.input(t)
	kept := recordedPlan(t, in)
	ratio, latency := kept.Objectives[0].Name, kept.Objectives[1].Name
	one, two := in.Policy.Objectives[0], in.Policy.Objectives[0]
	one.Name, two.Name, two.Role = "one", "two", analysis.Secondary
	policy := in.Policy
	policy.Objectives, policy.Window.Deadline = []analysis.Objective{one, two}, analysis.Duration(30*time.Minute)
	again, err := kept.Replan(policy)
	if err != nil || again.Plan == nil {
		t.Fatalf("%+v, %v", again, err)
	}
	fold := func(after time.Duration) analysis.Fold {
		return analysis.FoldAt(kept.Deployment.StartedAt.Add(after), 5*time.Second)
	}
	now := kept.Deployment.StartedAt.Add(time.Hour)
	look, same := again.Look(analysis.Look{Now: now, Seen: "nothing", Evidence: []analysis.Evidence{
		{Objective: ratio, Fold: fold(29 * time.Minute)}, {Objective: latency, Fold: fold(29 * time.Minute)}, {Objective: ratio, Fold: fold(31 * time.Minute)},
	}})
	if same || !look.Now.Equal(now) || look.Seen != "nothing" {
		t.Errorf("the look is %+v", look)
	}
	var got []string
	for _, e := range look.Evidence {
		got = append(got, e.Objective)
	}
	if !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("evidence of %q", got)
	}
}

// A release that could not be compared has no evidence: it holds for the same reason,
// unless the reason was the policy.
func TestReplanOfARefusedPlan(t *testing.T) {
	w := twentyObjectives(5 * time.Second)
	in := w.input(t)
	for _, c := range []struct {
		code         analysis.Code
		policy, told bool
	}{
		{analysis.NoBaseline, true, true},
		{analysis.NothingSeen, true, true},
		{analysis.NoObjectives, true, false},
		{analysis.NoObjectives, false, true},
		{analysis.AnalyzerFault, true, false},
	} {
		refused := in
		refused.Refused, refused.RefusedReason = c.code, "because"
		kept := recordedPlan(t, refused)
		policy := in.Policy
		if !c.policy {
			policy.Objectives = nil
		}
		again, err := kept.Replan(policy)
		if err != nil || (again.Plan != nil) != c.told || (len(again.CannotTell) > 0) == c.told {
			t.Errorf("%s: %+v, %v", c.code, again, err)
			continue
		}
		if c.told && !bytes.Equal(encoded(t, again.Plan), encoded(t, kept)) {
			t.Errorf("%s: the plan is another one", c.code)
		}
	}
}
