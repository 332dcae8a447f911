package analysis

import (
	"fmt"
	"time"
)

// A Method judges the signals of one shape. The rows are printed into the docs
// and name themselves in every plan.
type Method struct {
	Name        string
	Version     int
	Shape       Shape
	Assumptions string
	References  string

	// newAccumulator returns what folds the evidence of one planned objective.
	newAccumulator func(*Plan, *PlannedObjective) (accumulator, error)
}

// ID is the name and version of the method as plans and findings write it.
func (m Method) ID() string { return fmt.Sprintf("%s/%d", m.Name, m.Version) }

// Methods is the method table. A further statistical test is one more row, and
// its accumulator in a file of its own.
var Methods = []Method{
	{
		Name: "ratio", Version: 1, Shape: ShapeRatio,
		Assumptions:    "exposure does not react to the outcome inside a fold; outcomes of different requests are independent given the fold up to the overdispersion phi; routing does not depend on the propensity to fail",
		References:     "Lindon & Malek 2022 (conditional counts); Howard et al. 2021 (sub-Bernoulli mixtures); Vovk & Wang 2021 (averages of e-values); Shin, Ramdas & Rinaldo 2024 (start times)",
		newAccumulator: func(p *Plan, o *PlannedObjective) (accumulator, error) { return newRatio(p, o) },
	},
}

func methodFor(shape Shape) (Method, error) {
	for _, m := range Methods {
		if m.Shape == shape {
			return m, nil
		}
	}
	return Method{}, fmt.Errorf("no method judges signals of shape %q", shape)
}

// An accumulator holds the running evidence about one objective: what a row of
// the method table makes.
type accumulator interface {
	// fold takes in the totals of both arms in one closed fold, after taking the
	// snapshots of restarts that are due before it.
	fold(f Fold, c foldCounts) error
	// step fills the next ramp-step slot of the late-onset mixture.
	step(at time.Time)
	// evidence is what the folds so far say. It allocates nothing.
	evidence() evidence
	// harmWithoutWorst is ln E_R over all start times without the worst fold.
	harmWithoutWorst() float64
	// describe completes a finding with effect, interval and forecasts.
	describe(*Finding)
	// stillNeeded forecasts the minutes until safety, and until the harm of a
	// doubled rate, is shown.
	stillNeeded() (promote, detect Figure)
	// snapshot and restore carry the state over a restart of the process.
	snapshot() ([]byte, error)
	restore([]byte) error
}

// evidence is what one objective says as of its last fold.
type evidence struct {
	logHarm, logSafety float64 // ln E_R over all start times, ln E_P now
	phi                float64
	enoughEvents       bool // for a rollback: minEvents of statistics 1.1
	Counts
}

// foldCounts are the counts of both arms in one fold.
type foldCounts struct{ xC, xB, nC, nB float64 }
