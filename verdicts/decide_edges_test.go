package verdicts

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
)

func minutes(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }

// allGood is the checks of a canary that served its first request in the fold
// that ended at minute 1.
func allGood() analysis.Checks {
	g := analysis.Check{State: analysis.Good}
	return analysis.Checks{
		Harm: g, Safety: g, Coverage: g, Identity: g, Serving: g, Environment: g,
		FirstExposure: analysis.Fold{Start: minutes(0), End: minutes(1)},
	}
}

// TestZeroValues: what nobody has filled in is not proven.
func TestZeroValues(t *testing.T) {
	for _, c := range []struct {
		name   string
		plan   *analysis.Plan
		checks analysis.Checks
		asOf   time.Time
		word   Word
		code   analysis.Code
	}{
		{"no plan", nil, allGood(), minutes(20), Pending, analysis.Planning},
		{"nothing at all", nil, analysis.Checks{}, time.Time{}, Pending, analysis.Planning},
		{"empty plan, no fold closed", &analysis.Plan{}, analysis.Checks{}, time.Time{}, Pending, analysis.IdentityUnproven},
		{"zero checks", plans[planSound], analysis.Checks{}, minutes(1), Pending, analysis.IdentityUnproven},
		{"zero checks at the deadline", plans[planSound], analysis.Checks{}, minutes(30), Hold, analysis.IdentityUnproven},
		{"all good, no fold closed", plans[planSound], allGood(), time.Time{}, Pending, analysis.MinBake},
	} {
		d := Decide(c.plan, c.checks, nil, c.asOf)
		if d.Word != c.word || d.Code != c.code || d.Advice == Reduce {
			t.Errorf("%s: %+v; want %v, %s", c.name, d, c.word, c.code)
		}
		if d.Final() != (c.word == Hold) {
			t.Errorf("%s: final is %v", c.name, d.Final())
		}
	}
	if w := Word(200); w.String() != "pending" || w.As() != AsPending {
		t.Error("an unknown word is not pending")
	}
}

// TestBakeAndDeadline tells the instants apart to the nanosecond.
func TestBakeAndDeadline(t *testing.T) {
	noTraffic := allGood()
	noTraffic.FirstExposure = analysis.Fold{}
	waiting := allGood()
	waiting.Safety = analysis.Check{}
	for _, c := range []struct {
		name   string
		checks analysis.Checks
		asOf   time.Time
		word   Word
		code   analysis.Code
	}{
		{"one nanosecond before the bake ends", allGood(), minutes(11).Add(-1), Pending, analysis.MinBake},
		{"at the end of the bake", allGood(), minutes(11), Promote, analysis.AllSafe},
		{"after it", allGood(), minutes(12), Promote, analysis.AllSafe},
		{"at the deadline, all safe", allGood(), minutes(30), Promote, analysis.AllSafe},
		{"the canary never served", noTraffic, minutes(29), Pending, analysis.MinBake},
		{"the canary never served, at the deadline", noTraffic, minutes(30), Hold, analysis.MinBake},
		{"before the deadline", waiting, minutes(30).Add(-1), Pending, analysis.Collecting},
		{"at the deadline", waiting, minutes(30), Hold, analysis.TooLittleData},
		{"after the deadline", waiting, minutes(31), Hold, analysis.TooLittleData},
	} {
		d := Decide(plans[planSound], c.checks, nil, c.asOf)
		if d.Word != c.word || d.Code != c.code {
			t.Errorf("%s: %+v; want %v, %s", c.name, d, c.word, c.code)
		}
	}
}

// TestReasonIsTheChecks: a check's own code and reason are passed on, and the
// first that blocks speaks, in the order identity, coverage, serving,
// environment, safety, harm.
func TestReasonIsTheChecks(t *testing.T) {
	checks := allGood()
	order := []*analysis.Check{&checks.Harm, &checks.Safety, &checks.Environment, &checks.Serving, &checks.Coverage, &checks.Identity}
	codes := []analysis.Code{
		analysis.HarmSuspected, analysis.Underpowered, analysis.EnvironmentDegraded,
		analysis.NoTraffic, analysis.TelemetryStale, analysis.SelectorOverlap,
	}
	for i, check := range order {
		*check = analysis.Check{State: analysis.Conflicting, Code: codes[i], Reason: "because of " + string(codes[i])}
		for _, asOf := range []time.Time{minutes(20), minutes(40)} {
			d := Decide(plans[planSound], checks, oneClosed, asOf)
			if d.Code != codes[i] || d.Reason != "because of "+string(codes[i]) {
				t.Errorf("%+v; want the code and reason of %s", d, codes[i])
			}
		}
	}
}

func TestReasonsOfTheRest(t *testing.T) {
	d := Decide(plans[planSound], allGood(), oneClosed, minutes(20))
	if d.Code != analysis.GateClosed || d.Reason != "gate approved is closed: no approval yet" || d.Advice != Keep {
		t.Errorf("closed gate: %+v", d)
	}
	d = Decide(plans[planSound], allGood(), nil, minutes(5))
	if d.Code != analysis.MinBake || !strings.Contains(d.Reason, "14:11:00 UTC") || d.Advice != Increase {
		t.Errorf("bake: %+v", d)
	}
	d = Decide(plans[planRefused], allGood(), nil, minutes(20))
	if d.Code != analysis.NoBaseline || d.Reason != "no version to compare with" || d.Advice != Keep {
		t.Errorf("refused: %+v", d)
	}
	vetoed := allGood()
	vetoed.Harm = analysis.Check{State: analysis.Bad, Code: analysis.HarmShown, Reason: "errors doubled"}
	vetoed.Environment = analysis.Check{State: analysis.Bad, Code: analysis.EnvironmentDegraded, Reason: "three other services suffer too"}
	d = Decide(plans[planSound], vetoed, nil, minutes(20))
	if d.Word != Pending || d.Reason != "harm is shown, but three other services suffer too" || d.Advice != Reduce {
		t.Errorf("veto: %+v", d)
	}
}

// TestRollbackCodes: harm names the rollback where both are shown.
func TestRollbackCodes(t *testing.T) {
	badCheck := analysis.Check{State: analysis.Bad, Code: "some_code", Reason: "errors doubled"}
	for _, c := range []struct {
		harm, serving bool
		code          analysis.Code
	}{
		{true, false, analysis.HarmShown},
		{true, true, analysis.HarmShown},
		{false, true, analysis.CanaryNotServing},
	} {
		checks := allGood()
		if c.harm {
			checks.Harm = badCheck
		}
		if c.serving {
			checks.Serving = badCheck
		}
		d := Decide(plans[planSound], checks, oneClosed, minutes(2))
		if d.Word != Rollback || d.Code != c.code || d.Reason != "errors doubled" || d.Advice != Reduce {
			t.Errorf("%+v: %+v", c, d)
		}
	}
}

// TestUnderpoweredEndsAtOnce only where the policy says so, and neither hides
// harm nor a safety that was shown after all.
func TestUnderpoweredEndsAtOnce(t *testing.T) {
	weak := allGood()
	weak.Safety = analysis.Check{Code: analysis.Underpowered, Reason: "needs 300 min"}
	harmed := weak
	harmed.Harm.State = analysis.Bad
	shown := weak
	shown.Safety.State = analysis.Good
	early := analysis.Checks{Safety: weak.Safety}
	other := weak
	other.Safety.Code = analysis.Collecting
	for _, c := range []struct {
		name   string
		plan   *analysis.Plan
		checks analysis.Checks
		asOf   time.Time
		word   Word
	}{
		{"policy waits", plans[planSound], weak, minutes(20), Pending},
		{"policy holds", plans[planTooWeak], weak, minutes(20), Hold},
		{"policy holds before anything is known", plans[planTooWeak], early, time.Time{}, Hold},
		{"harm is shown", plans[planTooWeak], harmed, minutes(20), Rollback},
		{"safety is shown after all", plans[planTooWeak], shown, minutes(20), Pending},
		{"another code", plans[planTooWeak], other, minutes(20), Pending},
	} {
		d := Decide(c.plan, c.checks, nil, c.asOf)
		if c.name == "safety is shown after all" {
			if d.Word != Promote {
				t.Errorf("%s: %+v", c.name, d)
			}
			continue
		}
		if d.Word != c.word {
			t.Errorf("%s: %+v; want %v", c.name, d, c.word)
		}
		if d.Word == Hold && (d.Code != analysis.Underpowered || d.Reason != "needs 300 min") {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

// TestSuspicionReducesWeight: R has reached 1/alpha_hold.
func TestSuspicionReducesWeight(t *testing.T) {
	for code, want := range map[analysis.Code]Advice{
		"": Keep, analysis.Collecting: Keep, analysis.HarmSuspected: Reduce, analysis.TooFewEvents: Reduce,
	} {
		checks := allGood()
		checks.Harm = analysis.Check{Code: code}
		if d := Decide(plans[planSound], checks, nil, minutes(20)); d.Advice != want || d.Word != Pending {
			t.Errorf("harm undecided with code %q: %+v; want pending and %s", code, d, want)
		}
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		" a\nb\tc\r\n":           "a b c",
		"\x1b[31mred\x1b[0m":     "[31mred [0m",
		"a\u202eb\u2066c\u2028d": "a b c d",
		"bad \xff byte":          "bad \uFFFD byte",
		strings.Repeat("ä", 200): strings.Repeat("ä", 200),
		strings.Repeat("ä", 201): strings.Repeat("ä", 199) + "…",
	} {
		got := Line(in)
		if got != want {
			t.Errorf("Line(%q) = %q; want %q", in, got, want)
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > MaxReason {
			t.Errorf("Line(%q) = %q is too long or not UTF-8", in, got)
		}
	}
	checks := allGood()
	checks.Harm = analysis.Check{State: analysis.Bad}
	checks.Identity = analysis.Check{Reason: strings.Repeat("é", 400)}
	if d := Decide(plans[planSound], checks, nil, minutes(20)); utf8.RuneCountInString(d.Reason) != MaxReason {
		t.Errorf("a reason of %d characters", utf8.RuneCountInString(d.Reason))
	}
}
