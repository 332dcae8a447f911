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
	Leak        bool // of a level that must not grow
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
	methodDistribution,
	methodLevel,
	methodLeak,
	methodTemplates,
	methodTopology,
}

// methodFor returns the method that judges an objective: by the shape of its signal,
// and of a level whether it must not grow.
func methodFor(o *Objective) (Method, error) {
	for _, m := range Methods {
		if m.Shape == o.Signal.Shape && m.Leak == (o.Leak != nil) {
			return m, nil
		}
	}
	return Method{}, fmt.Errorf("no method judges signals of shape %q", o.Signal.Shape)
}

// An accumulator holds the running evidence about one objective: what a row of
// the method table makes.
type accumulator interface {
	// fold takes in one closed fold, after taking the snapshots of restarts that are
	// due before it. It keeps nothing of t.
	fold(t *taken) error
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
	// counted says in a few words what the evidence rests on, for the sentence of a
	// finding ("3 of 900 bad in the canary, 4 of 8100 in the baseline"); "" where
	// nothing was measured yet.
	counted() string
	// compared says in a few words how the arms compare, for the reason of a check
	// ("0.33% bad in the canary, 0.05% in the baseline").
	compared() string
	// localised names the stratum without which harm is not shown (statistics 8.1);
	// "" for none. It is asked only where harm is at the bar.
	localised() string
	// lateBreak reports whether the newest folds lie beyond the margin although the
	// run as a whole is shown safe. recent holds the counts of the last minutes.
	lateBreak(*recent) (Check, bool)
	// snapshot and restore carry the state over a restart of the process.
	snapshot() ([]byte, error)
	restore([]byte) error
}

// evidence is what one objective says as of its last fold.
type evidence struct {
	logHarm, logSafety float64 // ln E_R over all start times, ln E_P now
	// rough says that logHarm is no more than an upper bound, below the bar of a hold:
	// the accumulator then has exactHarm.
	rough        bool
	before       bool // harm rests on a comparison with the time before the deployment
	phi          float64
	enoughEvents bool // for a rollback: minEvents of statistics 1.1
	// barred says why safety cannot be shown, whatever logSafety is: its Code and
	// Reason (needs_pods, before_after_only). No Code: nothing is in its way.
	barred Check
	Counts
}

// An accumulator that is rough says what its harm evidence is exactly.
type rough interface {
	// exactHarm is ln E_R over all start times. It allocates nothing.
	exactHarm() float64
}

// oneStratum is embedded by accumulators whose evidence is not kept by stratum.
type oneStratum struct{}

func (oneStratum) localised() string { return "" }

// noLateBreak is embedded by accumulators whose newest folds alone tell nothing.
type noLateBreak struct{}

func (noLateBreak) lateBreak(*recent) (Check, bool) { return Check{}, false }

// foldCounts are the counts of both arms in one fold.
type foldCounts struct{ xC, xB, nC, nB float64 }

// taken is the evidence of one fold as accumulators get it: impossible rows are
// refused, pods that still warm up are left out where the method asks for it.
type taken struct {
	Fold
	Baseline, Canary, Control []ArmRow // sorted by pod
	foldCounts                         // of all strata
	// Logs and Spans are what the fold tells beside counts; nil: nothing, or nothing that
	// may be read. Of a fold whose counts are not complete Rows are left out, and what was
	// seen in it is still there.
	Logs  *LogTally
	Spans *SpanTally
}
