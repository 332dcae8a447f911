package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
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
			c = s.coverageOf(o)
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

func (s *State) coverageOf(o *objectiveState) Check {
	if s.plan.Comparison == PreviousWindow {
		return canaryCoverage(o.o, o.folds, &o.coverage[1], o.missing, s.seen)
	}
	return coverageCheck(o.o, o.folds, &o.coverage, o.missing, s.seen)
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
	case TailSampled:
		c.Code, c.Reason = o.missing, o.o.Name+": spans that were kept for what they show tell no rates"+said
	case LayoutChanged:
		c.Code, c.Reason = o.missing, o.o.Name+": the buckets of some pod are not those above whose bounds is counted"+said
	case TelemetryPartial:
		c.Code, c.Reason = o.missing, fmt.Sprintf("%s: %s says that its answer is partial%s", o.o.Name, o.o.Signal.Source, said)
	}
	if c.Code == CanaryTelemetryMissing && o.o.countsExposure() && o.recent.canaryAlive() {
		c.Code, c.Reason = NoTraffic, o.o.Name+": the canary's pods report, but count no requests"
	}
	return c
}

// Uncovered reports whether some arm of some objective was never heard of, so
// that it is worth asking what was.
func (s *State) Uncovered() bool {
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Signal.Listed() { // nothing to list is no silence
			continue
		}
		unheard := o.coverage[0].Expected == 0 && s.plan.Comparison != PreviousWindow || o.coverage[1].Expected == 0
		if o.folds >= staleAfter && unheard {
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
			leads := i == s.leader && s.total >= s.logBar
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
	if s.plan.Comparison == PreviousWindow {
		return out // there is nothing to have a share of
	}
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.Role != Critical {
			continue
		}
		c := servingCheck(o.o, &o.recent, now, s.weightAt)
		if other := s.servesBy(o); c.State == Bad && other != "" {
			c = Check{Undecided, CanaryTelemetryMissing, fmt.Sprintf("%s: no sample of the canary, which %s shows to serve", o.o.Name, other)}
		}
		if c.State == Bad && o.o.Signal.Spans != nil {
			c = Check{Undecided, CanaryTelemetryMissing, fmt.Sprintf("%s: no span of the canary, and spans that stay away do not show that nothing is served", o.o.Name)}
		}
		if servingRank[c.State] > servingRank[out.State] {
			out = c
		}
	}
	return out
}

// servesBy names an objective by which the canary serves, where o never got a sample of
// it: then o lacks its telemetry, say a metric that has another name now. "": none.
func (s *State) servesBy(o *objectiveState) string {
	if o.coverage[1].Expected > 0 {
		return ""
	}
	for i := range s.objectives {
		if by := &s.objectives[i]; by.recent.sum().nC > 0 {
			return by.o.Name
		}
	}
	return ""
}

// tail says why the newest spans of o tell no rates; "": they may.
func (o *objectiveState) tail() string {
	if o.missing == TailSampled {
		return cmp.Or(o.why, "the spans were kept for what they show")
	}
	if t, ok := o.acc.(*topology); ok {
		return t.Tail
	}
	return ""
}

var servingRank = map[CheckState]int{NotRequired: 0, Good: 1, Undecided: 2, Conflicting: 3, Bad: 4}

func (s *State) environment() Check {
	if s.plan.Comparison == PreviousWindow {
		return Check{State: NotRequired, Reason: "no baseline runs beside the canary that could tell of the environment"}
	}
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
	if w := s.shareWarning(); w != "" {
		out = append(out, w)
	}
	for i := range s.objectives {
		o := &s.objectives[i]
		if o.o.BaselineOverSLO {
			out = append(out, fmt.Sprintf("%s: %s breached its SLO before the deployment already", BaselineOverSLO, o.o.Name))
		}
		if barred := o.last.barred; barred.Code == NeedsPods && o.o.Role != Critical {
			out = append(out, fmt.Sprintf("%s: %s", NeedsPods, barred.Reason))
		}
		if tail := o.tail(); tail != "" {
			out = append(out, fmt.Sprintf("%s: %s: %s", TailSampled, o.o.Name, tail))
		}
		if why := o.uncounted(); why != "" {
			out = append(out, why)
		}
		if why := o.silenced(); why != "" {
			out = append(out, why)
		}
		if why := o.untold(); why != "" {
			out = append(out, why)
		}
		if o.skew.D().Abs() > skewWarned {
			out = append(out, fmt.Sprintf("%s: %s", ClockSkew, o.skewSentence()))
		}
	}
	return out
}

// untold says that the newest fold of an objective that need not be shown safe taught
// nothing: coverage waits for the critical ones only, and a promote without the others must
// say so (reliability F30). "": it taught something, or why not is said elsewhere.
func (o *objectiveState) untold() string {
	switch o.missing {
	case "", TailSampled, NotTestable, ClockSkew:
		return ""
	}
	if o.o.Role == Critical {
		return ""
	}
	text := fmt.Sprintf("%s: %s: nothing was learned from its newest fold", o.missing, o.o.Name)
	if o.why != "" {
		text += ": " + o.why
	}
	return text
}
