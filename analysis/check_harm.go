package analysis

import (
	"fmt"
	"math"

	"github.com/release-assay/assay/analysis/stats"
)

// Evidence returns R, the weighted average of the harm evidence.
func (s *State) Evidence() float64 {
	if s.rough {
		s.total, s.rough = s.exactTotal(), false
	}
	return math.Exp(min(s.total, 700))
}

// harm is good below 1/alpha_hold, bad at 1/alpha_R where enough events were seen
// over enough folds and the evidence does not rest on one fold.
func (s *State) harm() Check {
	r := s.Evidence()
	bar := math.Exp(s.logBar)
	switch {
	case s.leader < 0:
		return Check{Undecided, Collecting, "no objective can show harm"}
	case math.IsNaN(s.total):
		return Check{Errored, AnalyzerFault, "the harm evidence could not be computed"}
	case s.total < math.Log(1/s.plan.AlphaHold):
		return Check{State: Good, Reason: fmt.Sprintf("harm evidence %.3g of the %.0f that a rollback needs", r, bar)}
	}
	leader := &s.objectives[s.leader]
	switch {
	case s.total < s.logBar:
		return Check{Undecided, HarmSuspected, fmt.Sprintf("%s: harm evidence %.3g of the %.0f that a rollback needs", leader.o.Name, r, bar)}
	case leader.last.before && s.plan.Comparison == Both && s.environment().State == Conflicting:
		return Check{Undecided, EnvironmentDegraded, fmt.Sprintf("%s: worse than before the deployment, and so is the baseline beside the canary", leader.o.Name)}
	case !leader.last.enoughEvents:
		return Check{Undecided, TooFewEvents, fmt.Sprintf("%s: the harm evidence rests on too few events for a rollback (%s)", leader.o.Name, leader.acc.counted())}
	}
	logs := append([]float64(nil), s.logHarm...)
	logs[s.leader] = leader.acc.harmWithoutWorst()
	rest := math.Inf(-1)
	if v, err := stats.LogWeightedMean(logs, s.weights); err == nil {
		rest = v
	}
	if needed := min(minWithoutWorst, bar); rest < min(math.Log(minWithoutWorst), s.logBar) {
		return Check{Undecided, TooFewEvents, fmt.Sprintf("%s: without its worst fold the harm evidence is %.3g, a rollback needs %.0f", leader.o.Name, math.Exp(rest), needed)}
	}
	if stratum := leader.acc.localised(); stratum != "" {
		return Check{Undecided, Localised, fmt.Sprintf("%s: harm is shown (%s), but rests on %s alone: elsewhere the canary is as good as the baseline", leader.o.Name, leader.acc.compared(), stratum)}
	}
	return Check{Bad, HarmShown, fmt.Sprintf("%s: %s; the data are %.3g times harder to explain by an acceptable release", leader.o.Name, leader.acc.compared(), r)}
}
