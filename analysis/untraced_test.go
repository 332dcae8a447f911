package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// untracedRows are a fold in which a canary pod gets a ninth of the requests of the
// baseline's pod; each second of a pod holds one event at most.
func untracedRows(rng *rand.Rand, errorsPerSecond float64) []ArmRow {
	seconds := func(rate float64) float64 { return bernoulli(rng, 15, 1-math.Exp(-rate)) }
	return rows(seconds(errorsPerSecond), seconds(9*errorsPerSecond), 300, 2700)
}

// A healthy release whose lines carry no trace ids: as long as the lines are rare their
// seconds are counted, where they are not, nothing is. It is not rolled back.
func TestSecondsOfPodsThatAreCrowdedAreNotCounted(t *testing.T) {
	for _, c := range []struct {
		rate    float64 // of the canary, a second
		counted bool
	}{{.001, true}, {.01, true}, {.1, false}, {.3, false}} {
		s := testState(t, withStreams(severityObjective()))
		rng := rand.New(rand.NewPCG(4, 4))
		for range 230 {
			foldStream(t, s, Evidence{Objective: "logs_severity", Rows: untracedRows(rng, c.rate), Logs: &LogTally{NoTraces: true}})
		}
		f := s.Describe()[1]
		if s.Checks().Harm.State == Bad || f.ERollback > 10 {
			t.Errorf("%v lines a second: %+v", c.rate, f)
		}
		if counted := f.N.Folds > 150; counted != c.counted {
			t.Errorf("%v lines a second: %d folds are counted", c.rate, f.N.Folds)
		}
	}
}

// Lines that must appear are not tested without trace ids; with them they are.
func TestLinesThatMustAppearNeedTraceIDs(t *testing.T) {
	for _, untraced := range []bool{false, true} {
		s := mustAppearState(t, .3)
		for range 20 {
			foldStream(t, s, Evidence{Objective: "logs_must_appear", Rows: rows(290, 800, 300, 2700), Logs: &LogTally{NoTraces: untraced}})
		}
		f, w := s.Describe()[1], strings.Join(s.Warnings(), "\n")
		if (f.ERollback > 100) == untraced || (f.N.Folds == 0) != untraced || strings.Contains(w, "carry no trace ids") != untraced {
			t.Errorf("untraced %v: %+v\n%s", untraced, f, w)
		}
	}
}
