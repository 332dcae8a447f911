package verdicts

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
)

var start = time.Date(2026, 11, 3, 14, 0, 0, 0, time.UTC)

// A look is one combination of everything that a decision may depend on.
type look struct {
	states   [6]analysis.CheckState // harm, safety, coverage, identity, serving, environment
	bakeOver bool
	deadline bool
	closed   bool // a gate
	plan     uint8
}

const (
	harm = iota
	safety
	coverage
	identity
	serving
	environment
)

// The plans of the looks, by look.plan. The deadline is 14:30 in all of them.
var plans = func() (plans [3]*analysis.Plan) {
	for i := range plans {
		plans[i] = &analysis.Plan{
			Deployment: analysis.Deployment{StartedAt: start},
			Window:     analysis.Window{MinBake: analysis.Duration(10 * time.Minute), Deadline: analysis.Duration(30 * time.Minute)},
		}
	}
	plans[planRefused].Refused, plans[planRefused].RefusedReason = analysis.NoBaseline, "no version to compare with"
	plans[planTooWeak].Window.OnUnderpowered = analysis.HoldUnderpowered
	return plans
}()

var (
	oneGate   = []Gate{{Name: "first", Open: true}, {Name: "approved", Open: true}}
	oneClosed = []Gate{{Name: "first", Open: true}, {Name: "approved", Reason: "no approval yet"}}
)

// decide puts l before Decide, as a caller would.
func (l look) decide() Decision {
	checks := analysis.Checks{
		Harm: analysis.Check{State: l.states[harm]}, Safety: analysis.Check{State: l.states[safety]},
		Coverage: analysis.Check{State: l.states[coverage]}, Identity: analysis.Check{State: l.states[identity]},
		Serving: analysis.Check{State: l.states[serving]}, Environment: analysis.Check{State: l.states[environment]},
	}
	if l.plan == planTooWeak {
		checks.Safety.Code = analysis.Underpowered
	}
	asOf := start.Add(30 * time.Minute)
	if !l.deadline {
		asOf = asOf.Add(-1)
	}
	first := asOf.Add(-10 * time.Minute)
	if !l.bakeOver {
		first = first.Add(1)
	}
	checks.FirstExposure = analysis.Fold{Start: first.Add(-time.Minute), End: first}
	gates := oneGate
	if l.closed {
		gates = oneClosed
	}
	return Decide(plans[l.plan], checks, gates, asOf)
}

// eachLook calls f with every combination: eight states of harm, safety, coverage
// and identity, nine of serving and environment, and both ways of the rest.
func eachLook(f func(look)) { eachLookOf(analysis.CheckStates(), f) }

// eachLookOf is eachLook with some of the states only.
func eachLookOf(of []analysis.CheckState, f func(look)) {
	var l look
	var states func(check int)
	states = func(check int) {
		if check < len(l.states) {
			for _, s := range of {
				if s == analysis.NotRequired && check < serving {
					continue
				}
				l.states[check] = s
				states(check + 1)
			}
			return
		}
		for bits := range 8 {
			l.bakeOver, l.deadline, l.closed = bits&1 == 1, bits&2 == 2, bits&4 == 4
			for l.plan = range uint8(len(plans)) {
				f(l)
			}
		}
	}
	states(0)
}

// oracle says what reliability.md section 2 wants, in other words than the table:
// the word, and the check or other column that gives the reason.
func (l look) oracle() (Word, string) {
	s := l.states
	settled := func(check int) bool {
		return s[check] == analysis.Good || s[check] == analysis.NotRequired
	}
	wait := Pending
	if l.deadline {
		wait = Hold
	}
	if l.plan == planRefused {
		return wait, "refused"
	}
	shown := s[harm] == analysis.Bad || s[serving] == analysis.Bad
	if shown && s[identity] == analysis.Good {
		kind := "harm"
		if s[harm] != analysis.Bad {
			kind = "not serving"
		}
		if s[environment] == analysis.Bad {
			return wait, kind + ", vetoed"
		}
		return Rollback, kind
	}
	if l.plan == planTooWeak && s[safety] != analysis.Good {
		return Hold, "underpowered"
	}
	switch {
	case s[identity] != analysis.Good:
		return wait, "identity"
	case s[coverage] != analysis.Good:
		return wait, "coverage"
	case !settled(serving):
		return wait, "serving"
	case !settled(environment):
		return wait, "environment"
	case s[safety] != analysis.Good:
		return wait, "safety"
	case s[harm] != analysis.Good:
		return wait, "harm not ruled out"
	case l.closed:
		return wait, "gates"
	case !l.bakeOver:
		return wait, "bake"
	}
	return Promote, "all safe"
}

// TestDecideEveryCombination is the proof of reliability.md section 2: the table
// against the oracle, and the laws on their own.
func TestDecideEveryCombination(t *testing.T) {
	counts := map[Word]int{}
	faults := 0
	eachLook(func(l look) {
		if faults > 10 {
			return
		}
		d := l.decide()
		counts[d.Word]++
		if fault := l.fault(d); fault != "" {
			faults++
			t.Errorf("%+v: %+v: %s", l, d, fault)
		}
	})
	t.Logf("looks by verdict: %v", counts)
	for _, w := range []Word{Pending, Promote, Rollback, Hold} {
		if counts[w] == 0 {
			t.Errorf("no look ends in %v: the enumeration proves nothing about it", w)
		}
	}
}

// fault returns what is wrong with d as the answer to l, "" if nothing is.
func (l look) fault(d Decision) string {
	s := l.states
	settled := func(check int) bool { return s[check] == analysis.Good || s[check] == analysis.NotRequired }
	shown := s[harm] == analysis.Bad || s[serving] == analysis.Bad
	proven := s[harm] == analysis.Good && s[coverage] == analysis.Good && s[identity] == analysis.Good &&
		settled(serving) && settled(environment)

	if word, rule := l.oracle(); d.Word != word || d.Rule != rule {
		return "want " + word.String() + " by the rule " + rule
	}
	switch {
	case d.Word == Promote && !(proven && s[safety] == analysis.Good && l.bakeOver && !l.closed && l.plan != planRefused):
		return "promotes without proof"
	case d.Word == Rollback && (!shown || s[identity] != analysis.Good || s[environment] == analysis.Bad):
		return "rolls back without proof"
	case d.Final() != (d.Word == Promote || d.Word == Rollback || l.deadline || d.Rule == "underpowered"):
		return "is final when it should not be, or is not when it should"
	case (d.Advice == Reduce) != shown:
		return "reduces without harm, or not with it"
	case d.Advice == Increase && !(proven && !l.closed && l.plan != planRefused && d.Word != Hold):
		return "asks for more weight without proof"
	case proven && !l.closed && l.plan == planSound && d.Word != Hold && d.Advice != Increase:
		return "does not ask for more weight although all is well"
	}
	return wording(d)
}

// wording checks what holds for the text of every decision.
func wording(d Decision) string {
	r, known := ReasonOf(d.Code)
	switch {
	case !known:
		return "the code is not in the table of reasons"
	case !r.With.Has(d.Word.As()):
		return "the code does not come with this word"
	case d.Reason == "" || strings.ContainsAny(d.Reason, "\n\r\x1b"):
		return "the reason is not a line"
	case utf8.RuneCountInString(d.Reason) > MaxReason:
		return "the reason is too long"
	}
	return ""
}

// TestPromoteNeedsEveryCheck spoils each check of a promote in turn.
func TestPromoteNeedsEveryCheck(t *testing.T) {
	eachLook(func(l look) {
		if word, _ := l.oracle(); word != Promote { // as TestDecideEveryCombination proves
			return
		}
		for check := range l.states {
			for _, s := range analysis.CheckStates() {
				spoilt := l
				spoilt.states[check] = s
				mayPromote := s == analysis.Good || s == analysis.NotRequired && check >= serving
				if got := spoilt.decide().Word; (got == Promote) != mayPromote {
					t.Errorf("%+v with check %d %v: %v", l, check, s, got)
				}
			}
		}
	})
}

// TestMoreHarmIsNeverSofter turns harm and serving from good over undecided to
// bad, whatever the rest is: the word may only become harder, and so may the advice.
func TestMoreHarmIsNeverSofter(t *testing.T) {
	hardness := map[Word]int{Promote: 0, Pending: 1, Hold: 1, Rollback: 2}
	weight := map[Advice]int{Increase: 0, Keep: 1, Reduce: 2}
	states := []analysis.CheckState{analysis.Undecided, analysis.Good, analysis.Bad, analysis.Conflicting, analysis.NotRequired}
	eachLookOf(states, func(l look) {
		for _, check := range []int{harm, serving} {
			if l.states[check] != analysis.Good {
				continue
			}
			before := l.decide()
			for _, s := range []analysis.CheckState{analysis.Undecided, analysis.Bad} {
				worse := l
				worse.states[check] = s
				after := worse.decide()
				if hardness[after.Word] < hardness[before.Word] || weight[after.Advice] < weight[before.Advice] {
					t.Fatalf("%+v: check %d from good to %v: from %+v to %+v", l, check, s, before, after)
				}
				before = after
			}
		}
	})
}

// A state that no build knows fits nothing that acts.
func TestUnknownStateActsOnNothing(t *testing.T) {
	for check := range 6 {
		for _, s := range []analysis.CheckState{9, 15, 16, 255} {
			for _, harmState := range []analysis.CheckState{analysis.Good, analysis.Bad} {
				l := look{states: [6]analysis.CheckState{harmState, analysis.Good, analysis.Good, analysis.Good, analysis.Good, analysis.Good}, bakeOver: true}
				l.states[check] = s
				d := l.decide()
				if d.Word == Promote || d.Word == Rollback && (check == identity || check == environment || check == harm) || d.Advice == Increase && check != safety {
					t.Errorf("check %d in state %d: %+v", check, s, d)
				}
			}
		}
	}
}
