package verdicts

import (
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Decision is what the table below says about one look.
type Decision struct {
	Word   Word
	Code   analysis.Code
	Reason string // one line, at most MaxReason characters
	Advice Advice
	Rule   string // the row of the table that decided
}

// Final reports whether the decision ends the validation.
func (d Decision) Final() bool { return d.Word != Pending }

// The facts of a look, one for each column of the table. The six checks come
// with all nine states; the other four columns have names of their own.
const (
	ofPlan = iota
	ofHarm
	ofSafety
	ofCoverage
	ofIdentity
	ofServing
	ofEnvironment
	ofGates
	ofBake
	columns
)

type facts [columns]uint8

// What the plan, the gates and the bake can be.
const (
	planSound   = iota
	planRefused // no comparison is possible
	planTooWeak // underpowered, and the policy wants to be told at once
)

const (
	gatesOpen = iota
	gatesClosed
)

const (
	bakeOver = iota
	bakeNotOver
)

// A set holds the values of a column that a row accepts, one bit each. The empty
// set asks nothing.
type set uint16

func (s set) has(v uint8) bool { return s == 0 || s>>v&1 == 1 }

const (
	everyState set = 1<<9 - 1 // undecided to not_required

	good      set = 1 << analysis.Good
	bad       set = 1 << analysis.Bad
	settled       = good | 1<<analysis.NotRequired
	notGood       = everyState &^ good
	notBad        = everyState &^ bad
	unsettled     = everyState &^ settled

	sound   set = 1 << planSound
	refused set = 1 << planRefused
	tooWeak set = 1 << planTooWeak
	usable      = sound | tooWeak

	open   set = 1 << gatesOpen
	closed set = 1 << gatesClosed

	over    set = 1 << bakeOver
	notOver set = 1 << bakeNotOver
)

// A row decides if every fact is in its set. because names the column whose
// reason is given.
type row struct {
	rule    string
	word    Word
	because int
	when    [columns]set
}

// table is the whole decision: the first row that fits decides. The rows that
// act, promote and rollback, state everything that they need themselves, so that
// no order of the rows, and no row left out, could make them act on less; the
// rows between them only choose the reason. Where no row fits, the answer is
// pending.
var table = []row{
	{"refused", Pending, ofPlan, [columns]set{ofPlan: refused}},

	{"harm", Rollback, ofHarm, [columns]set{ofPlan: usable, ofHarm: bad, ofIdentity: good, ofEnvironment: notBad}},
	{"not serving", Rollback, ofServing, [columns]set{ofPlan: usable, ofServing: bad, ofIdentity: good, ofEnvironment: notBad}},
	{"harm, vetoed", Pending, ofEnvironment, [columns]set{ofHarm: bad, ofIdentity: good, ofEnvironment: bad}},
	{"not serving, vetoed", Pending, ofEnvironment, [columns]set{ofServing: bad, ofIdentity: good, ofEnvironment: bad}},

	{"underpowered", Hold, ofSafety, [columns]set{ofPlan: tooWeak}},

	{"identity", Pending, ofIdentity, [columns]set{ofIdentity: notGood}},
	{"coverage", Pending, ofCoverage, [columns]set{ofCoverage: notGood}},
	{"serving", Pending, ofServing, [columns]set{ofServing: unsettled}},
	{"environment", Pending, ofEnvironment, [columns]set{ofEnvironment: unsettled}},
	{"safety", Pending, ofSafety, [columns]set{ofSafety: notGood}},
	{"harm not ruled out", Pending, ofHarm, [columns]set{ofHarm: notGood}},
	{"gates", Pending, ofGates, [columns]set{ofGates: closed}},
	{"bake", Pending, ofBake, [columns]set{ofBake: notOver}},

	{"all safe", Promote, ofSafety, [columns]set{
		ofPlan: sound, ofHarm: good, ofSafety: good, ofCoverage: good, ofIdentity: good,
		ofServing: settled, ofEnvironment: settled, ofGates: open, ofBake: over,
	}},
}

// Decide answers for one look: the six checks, the user's gates, and asOf, the
// event time up to which all folds are closed. It is pure, and all that it reads
// of the plan is why it was refused, its window and its start.
//
// Pending becomes hold, with the same reason, once asOf has reached the plan's
// deadline. The zero value of every argument means "not proven".
func Decide(plan *analysis.Plan, checks analysis.Checks, gates []Gate, asOf time.Time) Decision {
	if plan == nil {
		return Decision{Code: analysis.Planning, Reason: lineOf(analysis.Planning), Advice: Keep, Rule: "no plan"}
	}
	f := factsOf(plan, checks, gates, asOf)
	r := firstRow(f)
	d := Decision{Word: r.word, Rule: r.rule}
	if d.Word == Pending && reached(asOf, plan.Deadline()) {
		d.Word = Hold
	}
	d.Code, d.Reason = reason(d.Word, r.because, plan, checks, gates)
	d.Advice = advise(d.Word, f, checks.Harm.Code)
	return d
}

func firstRow(f facts) row {
	for _, r := range table {
		if r.fits(f) {
			return r
		}
	}
	return row{rule: "none", word: Pending, because: ofIdentity}
}

func (r row) fits(f facts) bool {
	for column, accepted := range r.when {
		if !accepted.has(f[column]) {
			return false
		}
	}
	return true
}

func factsOf(plan *analysis.Plan, checks analysis.Checks, gates []Gate, asOf time.Time) facts {
	var f facts
	for i, c := range sixChecks(checks) {
		f[ofHarm+i] = uint8(c.State)
	}
	f[ofPlan] = planSound
	switch {
	case plan.Refused != "":
		f[ofPlan] = planRefused
	case plan.Window.OnUnderpowered == analysis.HoldUnderpowered &&
		checks.Safety.State != analysis.Good && checks.Safety.Code == analysis.Underpowered:
		f[ofPlan] = planTooWeak
	}
	f[ofGates] = gatesOpen
	for _, g := range gates {
		if !g.Open {
			f[ofGates] = gatesClosed
		}
	}
	f[ofBake] = bakeNotOver
	if first := checks.FirstExposure.End; !first.IsZero() && reached(asOf, first.Add(plan.Window.MinBake.D())) {
		f[ofBake] = bakeOver
	}
	return f
}

// reached reports whether asOf has come to t. While no fold is closed asOf is
// zero, and nothing is reached.
func reached(asOf, t time.Time) bool { return !asOf.IsZero() && !asOf.Before(t) }

// advise says what to do with the canary's weight meanwhile. Reduce needs signs
// of harm, increase that nothing but more evidence is wanted. A final hold asks
// for a person, not for more weight.
func advise(word Word, f facts, harm analysis.Code) Advice {
	suspected := f[ofHarm] == uint8(analysis.Undecided) && (harm == analysis.HarmSuspected || harm == analysis.TooFewEvents)
	if bad.has(f[ofHarm]) || bad.has(f[ofServing]) || suspected {
		return Reduce
	}
	if mayGrow.fits(f) && word != Hold {
		return Increase
	}
	return Keep
}

var mayGrow = row{when: [columns]set{
	ofPlan: sound, ofHarm: good, ofCoverage: good, ofIdentity: good,
	ofServing: settled, ofEnvironment: settled, ofGates: open,
}}

// sixChecks returns the checks in the order of their columns.
func sixChecks(c analysis.Checks) [6]analysis.Check {
	return [...]analysis.Check{c.Harm, c.Safety, c.Coverage, c.Identity, c.Serving, c.Environment}
}
