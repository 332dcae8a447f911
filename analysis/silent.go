package analysis

import (
	"fmt"
	"slices"
)

// A pod whose lines do not come writes no errors either, and would look better than it
// is: a canary whose log pipeline is broken, safe; a baseline whose is, a baseline that
// the canary is worse than. And a canary whose lines do not come has lost those that must
// appear. What a pod served in a fold therefore counts for a ratio of lines only where its
// lines are known to come: it wrote some before, and is not silent where it should not be
// (statistics 2.3). A fold must not be left out for what it shows: where the fold itself
// tells that a pod is silent, only what could show harm is left out for it, unless its last
// folds predict so many lines that their absence is no chance.

// spoken returns rows without the exposure of pods whose lines do not come.
func (o *objectiveState) spoken(rows []ArmRow) []ArmRow {
	if o.o.Signal.Logs == nil || o.o.Signal.Listed() {
		return rows
	}
	cloned := false
	for i := range rows {
		if !o.mutes(&rows[i]) {
			continue
		}
		if !cloned {
			rows, cloned = slices.Clone(rows), true
		}
		rows[i].Bad, rows[i].Exposure = 0, 0
	}
	return rows
}

// mutes reports whether what a pod served is not counted, since its lines do not come.
func (o *objectiveState) mutes(r *ArmRow) bool {
	if r.Arm < Baseline || r.Arm > Canary || r.Exposure == 0 {
		return false
	}
	p := o.coverage[r.Arm-Baseline].Pods[r.Pod].Spans
	appear := o.o.Signal.Logs.MustAppear != ""
	switch {
	case !p.Any:
		return true
	case r.Received > 0:
		return false
	case r.Arm == Canary:
		return appear || p.expected()
	}
	return !appear && p.Gap >= p.Longest // longer than ever
}

// silenced says whose lines do not come; "": nobody's.
func (o *objectiveState) silenced() string {
	if o.o.Signal.Logs == nil || o.o.Signal.Listed() || o.o.Signal.untested() {
		return ""
	}
	for arm, code := range [...]Code{BaselineTelemetryMissing, CanaryTelemetryMissing} {
		silent, pods := 0, 0
		for _, p := range o.coverage[arm].Pods {
			if p.Last != o.folds || p.Spans.N < staleAfter {
				continue
			}
			pods++
			if s := p.Spans; !s.Any || s.Gap >= staleAfter && s.Gap > s.Longest {
				silent++
			}
		}
		if silent > 0 {
			return fmt.Sprintf("%s: %s: no log line comes of %d of %d pods of the %s that serve: what they serve is not counted", code, o.o.Name, silent, pods, [...]string{"baseline", "canary"}[arm])
		}
	}
	return ""
}
