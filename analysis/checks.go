package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// Checks reduces the state to the six checks. Call Assess first.
func (s *State) Checks() Checks {
	c := Checks{
		Harm: s.harm(), Safety: s.safety(), Coverage: s.coverage(), Identity: s.identityCheck(),
		Serving: s.serving(), Environment: s.environment(), FirstExposure: s.first,
	}
	if c.Coverage.State == Undecided && c.Safety.Code == Underpowered {
		// Too little traffic for any margin is said in the first minute, not when
		// enough samples have come to tell that they will not do.
		c.Coverage.Code, c.Coverage.Reason = c.Safety.Code, c.Safety.Reason
	}
	if c.Identity.State == Missing && c.Coverage.Code != "" {
		// Who was not heard of cannot be identified; why it was not heard of is what
		// people need to know.
		c.Identity.Code, c.Identity.Reason = c.Coverage.Code, c.Coverage.Reason
	}
	return c
}

// Evidence returns R, the weighted average of the harm evidence.
func (s *State) Evidence() float64 { return math.Exp(min(s.total, 700)) }

// harm is good below 1/alpha_hold, bad at 1/alpha_R where enough events were seen
// over enough folds and the evidence does not rest on one fold.
func (s *State) harm() Check {
	bar, r := 1/s.plan.AlphaRollback, s.Evidence()
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
	case s.total < math.Log(bar):
		return Check{Undecided, HarmSuspected, fmt.Sprintf("%s: harm evidence %.3g of the %.0f that a rollback needs", leader.o.Name, r, bar)}
	case !leader.last.enoughEvents:
		return Check{Undecided, TooFewEvents, fmt.Sprintf("%s: the harm evidence rests on %.0f bad events in the canary, too few for a rollback", leader.o.Name, leader.last.CanaryBad)}
	}
	logs := append([]float64(nil), s.logHarm...)
	logs[s.leader] = leader.acc.harmWithoutWorst()
	rest := math.Inf(-1)
	if v, err := stats.LogWeightedMean(logs, s.weights); err == nil {
		rest = v
	}
	if rest < math.Log(minWithoutWorst) {
		return Check{Undecided, TooFewEvents, fmt.Sprintf("%s: without its worst fold the harm evidence is %.3g, a rollback needs %d", leader.o.Name, math.Exp(rest), minWithoutWorst)}
	}
	return Check{Bad, HarmShown, s.harmSentence(s.leader, r)}
}

func (s *State) harmSentence(i int, r float64) string {
	o := &s.objectives[i]
	n := o.last.Counts
	return fmt.Sprintf("%s: %s bad in the canary, %s in the baseline; the data are %.3g times harder to explain by an acceptable release",
		o.o.Name, percent(n.CanaryBad, n.CanaryExposure), percent(n.BaselineBad, n.BaselineExposure), r)
}

func percent(x, n float64) string {
	if n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%.3g%%", 100*x/n)
}

// safety is good when every critical objective is shown within its margin now, none
// has broken of late and each is still measured: what was safe and serves nothing any
// more is not known to be safe. No critical objective proves nothing.
func (s *State) safety() Check {
	bar := math.Log(1 / s.plan.AlphaPromote)
	var open []*objectiveState
	critical := 0
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Role != Critical {
			continue
		}
		critical++
		if o.last.logSafety < bar {
			open = append(open, o)
		}
	}
	switch {
	case critical == 0:
		return Check{Undecided, NoObjectives, "no critical objective could show safety"}
	case len(open) == 0:
		for i := range s.objectives {
			if o := &s.objectives[i]; o.o.Role == Critical {
				if c, broke := o.lateBreak(); broke {
					return c
				}
				if o.recent.canaryIdle() {
					return Check{Undecided, NoTraffic, fmt.Sprintf("%s: safe so far, but the canary served nothing in its last %d folds of %v", o.o.Name, staleAfter, o.o.Cadence.D())}
				}
			}
		}
		return Check{Good, AllSafe, s.safeSentence()}
	}
	o := open[0]
	for _, c := range open {
		if c.o.Underpowered {
			o = c
		}
	}
	n := o.last.Counts
	need, _ := o.acc.stillNeeded()
	switch {
	case o.o.Underpowered:
		return Check{Undecided, Underpowered, s.underpoweredSentence(o, need)}
	case o.coverage[1].Exposure == 0 && s.coverage().State == Good:
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: the canary reports, but served nothing", o.o.Name)}
	case o.recent.canaryIdle():
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: not shown safe, and the canary serves nothing any more", o.o.Name)}
	}
	return Check{Undecided, Collecting, fmt.Sprintf("%s: safety evidence %.3g of %.0f (%.0f canary requests)%s",
		o.o.Name, math.Exp(min(o.last.logSafety, 700)), 1/s.plan.AlphaPromote, n.CanaryExposure, stillNeeded(need))}
}

func stillNeeded(m Figure) string {
	if v := float64(m); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return fmt.Sprintf("; about %.3g minutes still needed", math.Ceil(v*10)/10)
	}
	return ""
}

// underpoweredSentence says what would decide: minutes, weight or an SLO.
func (s *State) underpoweredSentence(o *objectiveState, need Figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: too little traffic for its margin by the deadline", o.o.Name)
	if v := float64(need); !math.IsNaN(v) && !math.IsInf(v, 0) {
		fmt.Fprintf(&b, "; needs about %.0f minutes", math.Ceil(v))
		if w := float64(o.o.WeightNeeded); !math.IsNaN(w) {
			fmt.Fprintf(&b, " or %.0f%% weight", 100*w)
		}
	}
	if o.o.Target == 0 {
		b.WriteString("; an SLO would decide sooner, e.g. target: " + suggestTarget(o.o.BaseRate))
	}
	return b.String()
}

// suggestTarget is the tightest usual target whose budget is at least twice the
// baseline's rate.
func suggestTarget(rate float64) string {
	for _, t := range []string{"0.9999", "0.9995", "0.999", "0.995", "0.99", "0.95"} {
		var v float64
		fmt.Sscan(t, &v)
		if 1-v >= 2*rate {
			return t
		}
	}
	return "0.9"
}

func (s *State) safeSentence() string {
	var parts []string
	for i := range s.objectives {
		if o := &s.objectives[i]; o.o.Role == Critical {
			parts = append(parts, fmt.Sprintf("%s within its margin (%s; %s bad in the canary, %s in the baseline)", o.o.Name, rungWords[o.o.Rung],
				percent(o.last.CanaryBad, o.last.CanaryExposure), percent(o.last.BaselineBad, o.last.BaselineExposure)))
		}
	}
	return strings.Join(parts, ", ")
}

var rungWords = map[string]string{
	RungExplicit: "as configured", RungHalfBudget: "costs less than half of the error budget",
	RungKeepsSLO: "keeps its SLO", RungRatio: "no more than the ratio allowed",
}

// coverage is the worst of the critical objectives.
func (s *State) coverage() Check {
	out := Check{Undecided, Collecting, "no fold is closed yet"}
	first := true
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Role != Critical {
			continue
		}
		c := Check{Undecided, Collecting, "no fold is closed yet"}
		if o.folds > 0 {
			c = coverageCheck(o.o, o.folds, &o.coverage, o.missing, s.seen)
		}
		c = o.because(c)
		if first {
			out, first = c, false
		} else {
			out = worse(out, c)
		}
	}
	return out
}

// because gives a coverage that is not good the reason that the newest fold taught
// nothing, where there is one that asking again does not mend, and tells a canary
// without requests from one without telemetry.
func (o *objectiveState) because(c Check) Check {
	if c.State == Good {
		return c
	}
	said := o.why
	if said != "" {
		said = ": " + said
	}
	switch o.missing {
	case SourceRejected:
		c.Code, c.Reason = o.missing, o.o.Name+": the question is refused"+said
	case MisconfiguredQuery:
		c.Code, c.Reason = o.missing, o.o.Name+": the answer cannot be meant"+said
	case ClockSkew:
		c.Code, c.Reason = o.missing, o.skewSentence()
	case TelemetryPartial:
		c.Code, c.Reason = o.missing, fmt.Sprintf("%s: %s says that its answer is partial%s", o.o.Name, o.o.Signal.Source, said)
	}
	if c.Code == CanaryTelemetryMissing && o.recent.canaryAlive() {
		c.Code, c.Reason = NoTraffic, o.o.Name+": the canary's pods report, but count no requests"
	}
	return c
}

// Uncovered reports whether some arm of some objective was never heard of, so
// that it is worth asking what was.
func (s *State) Uncovered() bool {
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.folds >= staleAfter && (o.coverage[0].Expected == 0 || o.coverage[1].Expected == 0) {
			return true
		}
	}
	return false
}

// Received returns expected and received pod-folds, pods now and exposure of an
// arm: the worst of the critical objectives.
func (s *State) Received(a Arm) (expected, received, pods int, exposure float64) {
	worst := math.Inf(1)
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Role != Critical {
			continue
		}
		c := &o.coverage[a-1]
		share := 0.0
		if c.Expected > 0 {
			share = float64(c.Received) / float64(c.Expected)
		}
		if share < worst {
			worst = share
			expected, received, pods, exposure = c.Expected, c.Received, c.Now, c.Exposure
		}
	}
	return expected, received, pods, exposure
}

// identityCheck is the worst of the critical objectives, of all where none is
// critical. An objective that may only roll back counts where it shows a wrong
// identity, and where it leads the evidence for a rollback. What was not heard of
// says nothing of who the others are; coverage blocks the promote.
func (s *State) identityCheck() Check {
	out := Check{State: Missing, Code: IdentityUnproven, Reason: "nothing was heard of either arm yet"}
	rank := map[CheckState]int{Missing: 1, Good: 2, Undecided: 3, Bad: 4, Conflicting: 5}
	best := 0
	for i := range s.objectives {
		o := &s.objectives[i]
		c := o.identity.check()
		if o.o.Role != Critical && s.hasCritical() {
			leads := i == s.leader && s.total >= math.Log(1/s.plan.AlphaRollback)
			wrong := c.State == Bad || c.State == Conflicting
			if o.o.Weight <= 0 || !leads && !wrong {
				continue
			}
		}
		if rank[c.State] > best {
			out, best = c, rank[c.State]
		}
	}
	return out
}

func (s *State) hasCritical() bool {
	for i := range s.objectives {
		if s.objectives[i].o.Role == Critical {
			return true
		}
	}
	return false
}

// weightAt returns the declared share of traffic in force at an instant.
func (s *State) weightAt(at time.Time) (float64, bool) {
	all := append(slices.Clip(s.plan.Deployment.Steps), s.steps...)
	return Deployment{Steps: all}.Weight(at)
}

// Weight returns the declared share, else the realised one of the last minutes,
// else NaN.
func (s *State) Weight() float64 {
	if w, declared := s.weightAt(s.AsOf()); declared {
		return w
	}
	for i := range s.objectives {
		if sum := s.objectives[i].recent.sum(); sum.nB+sum.nC > 0 {
			return sum.nC / (sum.nB + sum.nC)
		}
	}
	return math.NaN()
}

func (s *State) serving() Check {
	now := s.AsOf()
	out := Check{State: NotRequired}
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Role != Critical {
			continue
		}
		c := servingCheck(o.o, &o.recent, now, s.weightAt)
		if servingRank[c.State] > servingRank[out.State] {
			out = c
		}
	}
	return out
}

var servingRank = map[CheckState]int{NotRequired: 0, Good: 1, Undecided: 2, Conflicting: 3, Bad: 4}

func (s *State) environment() Check {
	out := Check{State: Undecided, Code: Collecting, Reason: "no objective tells of the environment"}
	rank := map[CheckState]int{NotRequired: 1, Good: 2, Conflicting: 3}
	best := 0
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Role != Critical {
			continue
		}
		if c := o.env.check(&o.recent); rank[c.State] > best {
			out, best = c, rank[c.State]
		}
	}
	return out
}

// Warnings lists what weakens the answer without deciding it.
func (s *State) Warnings() []string {
	out := append([]string{}, s.plan.Warnings...)
	if !s.plan.Calibrated && len(s.objectives) > 0 {
		out = append(out, string(Uncalibrated)+": less than 2 h of history or a single baseline pod; dispersion is assumed, not learned")
	}
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.BaselineOverSLO {
			out = append(out, fmt.Sprintf("%s: %s breached its SLO before the deployment already", BaselineOverSLO, o.o.Name))
		}
		if o.skew.D().Abs() > skewWarned {
			out = append(out, fmt.Sprintf("%s: %s", ClockSkew, o.skewSentence()))
		}
	}
	return out
}
