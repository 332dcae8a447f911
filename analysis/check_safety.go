package analysis

import (
	"fmt"
	"math"
	"strings"
)

// safety is good when every critical objective is shown within its margin now, none
// has broken of late and each is still measured: what was safe and serves nothing any
// more is not known to be safe. New lines of ERROR or above are looked at before. No
// critical objective proves nothing.
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
		if !(o.last.logSafety >= bar) || o.last.barred.Code != "" { // what is no number proves nothing
			open = append(open, o)
		}
	}
	switch {
	case critical == 0:
		return Check{Undecided, NoObjectives, "no critical objective could show safety"}
	case len(open) == 0:
		for i := range s.objectives {
			if o := &s.objectives[i]; o.o.Role == Critical {
				if c, broke := o.acc.lateBreak(&o.recent); broke {
					return c
				}
				if o.outdated() {
					return Check{Undecided, TelemetryStale, fmt.Sprintf("%s: safe so far, but in its last %d folds of %v there was nothing to compare: all pods of an arm have just begun", o.o.Name, staleAfter, o.o.Cadence.D())}
				}
				if o.canaryIdle() {
					return Check{Undecided, NoTraffic, fmt.Sprintf("%s: safe so far, but the canary served nothing in its last %d folds of %v", o.o.Name, staleAfter, o.o.Cadence.D())}
				}
			}
		}
		if c := s.newError(); c.State != Good {
			return c
		}
		return Check{Good, AllSafe, s.safeSentence()}
	}
	o := open[0]
	for _, c := range open {
		switch barred := c.last.barred; {
		case barred.Code != "":
			return Check{Undecided, barred.Code, barred.Reason}
		case c.o.Underpowered:
			o = c
		}
	}
	need, _ := o.acc.stillNeeded()
	switch {
	case o.o.Underpowered:
		return Check{Undecided, Underpowered, s.underpoweredSentence(o, need)}
	case o.o.countsExposure() && o.coverage[1].Exposure == 0 && s.coverage().State == Good:
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: the canary reports, but served nothing", o.o.Name)}
	case o.canaryIdle():
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: not shown safe, and the canary serves nothing any more", o.o.Name)}
	}
	seen := ""
	if o.o.countsExposure() {
		seen = fmt.Sprintf(" (%.0f canary requests)", o.last.CanaryExposure)
	}
	return Check{Undecided, Collecting, fmt.Sprintf("%s: safety evidence %.3g of %.0f%s%s",
		o.o.Name, math.Exp(min(o.last.logSafety, 700)), 1/s.plan.AlphaPromote, seen, stillNeeded(need))}
}

// outdated reports whether the evidence is of pods that are gone: pods that replace each
// other faster than they warm up keep coverage whole and are never compared.
func (o *objectiveState) outdated() bool { return o.unripe >= staleAfter }

// canaryIdle reports whether the canary serves nothing any more, of an objective
// that can tell.
func (o *objectiveState) canaryIdle() bool { return o.o.countsExposure() && o.recent.canaryIdle() }

func stillNeeded(m Figure) string {
	if v := float64(m); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return fmt.Sprintf("; about %.3g minutes still needed", math.Ceil(v*10)/10)
	}
	return ""
}

// underpoweredSentence says what would decide: minutes, weight or an SLO.
func (s *State) underpoweredSentence(o *objectiveState, need Figure) string {
	var b strings.Builder
	short := "too little traffic"
	if !o.o.countsExposure() {
		short = "too few samples"
	}
	fmt.Fprintf(&b, "%s: %s for its margin by the deadline", o.o.Name, short)
	if v := float64(need); !math.IsNaN(v) && !math.IsInf(v, 0) {
		fmt.Fprintf(&b, "; needs about %.0f minutes", math.Ceil(v))
		if w := float64(o.o.WeightNeeded); !math.IsNaN(w) {
			fmt.Fprintf(&b, " or %.0f%% weight", 100*w)
		}
	}
	if o.o.Target == 0 && o.o.Signal.Shape == ShapeRatio {
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
			rung := rungWords[o.o.Rung]
			if rung != "" {
				rung += "; "
			}
			parts = append(parts, fmt.Sprintf("%s within its margin (%s%s)", o.o.Name, rung, o.acc.compared()))
		}
	}
	return strings.Join(parts, ", ")
}

var rungWords = map[string]string{
	RungExplicit: "as configured", RungHalfBudget: "costs less than half of the error budget",
	RungKeepsSLO: "keeps its SLO", RungRatio: "no more than the ratio allowed",
}
