package torture

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// One seed is one plan; another seed, and another round, are another.
func TestPlanIsDrawnFromItsSeed(t *testing.T) {
	a := NewPlan(7, 3, 100)
	if !reflect.DeepEqual(a, NewPlan(7, 3, 100)) {
		t.Error("one seed gives two plans")
	}
	for _, other := range []Plan{NewPlan(8, 3, 100), NewPlan(7, 4, 100)} {
		if reflect.DeepEqual(a.Lives, other.Lives) {
			t.Errorf("seed %d round %d has the same lives", other.Seed, other.Round)
		}
	}
}

// A plan tries everything: every end, every step, every kind of move over both ways,
// and every expectation.
func TestPlanTriesEverything(t *testing.T) {
	seen := map[string]bool{}
	for round := range 3 {
		p := NewPlan(1, round, 100)
		for _, l := range p.Lives {
			seen[string(l.End)] = true
			seen["at "+l.Step] = true
		}
		for _, s := range p.Scripts {
			for _, m := range s.Moves {
				seen[fmt.Sprintf("%s %s %s", m.Do, m.Phase, m.Via)] = true
			}
			for _, d := range s.Deployments {
				for i, e := range d.Attempts {
					seen[fmt.Sprintf("%s attempt %d %s (%s)", d.Mode, i+1, e.Word, e.Code)] = true
				}
			}
		}
	}
	want := []string{
		string(Killed), string(Suicide), string(Stopped), string(Suspended),
		"tell started kafka", "tell started http", "tell step kafka", "tell step http", "tell finished http", "tell aborted kafka",
		"forge started kafka", "forge started http", "poison  kafka", "cancel  ", "restart started http",
		"live attempt 1 promote (all_safe)", "live attempt 1 rollback (harm_shown)", "live attempt 2 promote (all_safe)", "live attempt 1 hold (superseded)",
		"live attempt 1 hold (cancelled)", "retrospective attempt 1 promote (all_safe)", "retrospective attempt 1 rollback (harm_shown)",
	}
	for _, step := range Steps {
		want = append(want, "at "+step)
	}
	for _, w := range want {
		if !seen[w] {
			t.Errorf("no plan has %q", w)
		}
	}
}

// Every event of a script can be sent, is the same each time, and no two deployments
// have one name.
func TestScriptsAreWellFormed(t *testing.T) {
	ids, poison := map[analysis.DeploymentID]bool{}, map[string]bool{}
	for _, s := range NewPlan(5, 0, 100).Scripts {
		stage := s.Begin(&Fleet{}, time.Now())
		for _, d := range s.Deployments {
			if ids[d.ID] {
				t.Errorf("two deployments are called %s", d.ID)
			}
			ids[d.ID] = true
		}
		for _, m := range s.Moves {
			switch m.Do {
			case Tell, Forge, Restart:
				a, err := stage.Message(m)
				b, _ := stage.Message(m)
				if err != nil || !reflect.DeepEqual(a, b) {
					t.Errorf("%s: %+v cannot be sent twice: %v", s.Service, m, err)
				}
			case Poison:
				if text := s.PoisonOf(m); poison[text] {
					t.Errorf("two poisons are %q", text)
				} else {
					poison[text] = true
				}
			}
		}
		forged := slices.IndexFunc(s.Moves, func(m Move) bool { return m.Do == Forge })
		if forged >= 0 && stage.Event(s.Moves[forged]).ID != stage.Event(s.Moves[0]).ID {
			t.Errorf("%s: a forgery under a name of its own", s.Service)
		}
	}
}
