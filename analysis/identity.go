package analysis

import (
	"fmt"
)

// identityNeeded is the share of each arm's exposure for which the identity must
// be proven (contracts 2.3).
const identityNeeded = 0.90

// armIdentity holds, for one arm, how much of what was counted is proven to come
// from the version that the event names. Where an arm has no exposure its pods
// with any fresh series count instead, one each and fold.
type armIdentity struct {
	Total   float64 // exposure
	Overlap float64 // of pods that play both arms
	Right   float64 // of pods that show the event's version
	Wrong   float64 // of pods that show another version
	Pods    armShares
	Other   string // a wrong version seen
}

// armShares are the same shares counted in pods.
type armShares struct{ Total, Overlap, Right, Wrong float64 }

// identity watches that the arms are who the event says they are: disjoint pods,
// and an attribute observed in telemetry that equals the event's value. The false
// promote that nobody tests for is a comparison of a version with itself.
type identity struct {
	Arms [2]armIdentity
	want [2]string
	// bySelector: the cohorts select on the version itself, which proves it.
	bySelector bool
	// declared: compared with the time before, so that the time of the switch says
	// who is who; only a version that contradicts it counts.
	declared bool
}

func newIdentity(p *Plan) identity {
	return identity{
		want:       [2]string{p.Deployment.Release.PreviousVersion, p.Deployment.Release.Version},
		bySelector: p.IdentityBySelector,
		declared:   p.Comparison == PreviousWindow,
	}
}

// fold takes in the rows of both arms of one fold, split by arm, and those of the
// control, whom nobody of the canary may be: its own harm would be taken off again.
func (id *identity) fold(arms [2][]ArmRow, control []ArmRow) {
	for i := range arms {
		a := &id.Arms[i]
		for j := range arms[i] {
			r := &arms[i][j]
			if r.Received == 0 && !r.Fresh {
				continue
			}
			a.Total += r.Exposure
			a.Pods.Total++
			if has(arms[1-i], r.Pod) || r.Arm == Canary && has(control, r.Pod) {
				a.Overlap += r.Exposure
				a.Pods.Overlap++
			}
			switch {
			case id.bySelector || r.Version == id.want[i] && id.want[i] != "":
				a.Right += r.Exposure
				a.Pods.Right++
			case r.Version != "":
				a.Wrong += r.Exposure
				a.Pods.Wrong++
				a.Other = r.Version
			}
		}
	}
}

func has(rows []ArmRow, pod string) bool {
	for i := range rows {
		if rows[i].Pod == pod && (rows[i].Received > 0 || rows[i].Fresh) {
			return true
		}
	}
	return false
}

func (id *identity) check() Check {
	heard := 0
	for i, arm := range []Arm{Baseline, Canary} {
		a := &id.Arms[i]
		s := a.Pods
		if a.Total > 0 {
			s = armShares{a.Total, a.Overlap, a.Right, a.Wrong}
		}
		switch {
		case s.Total == 0:
			continue
		case s.Overlap > (1-identityNeeded)*s.Total:
			return Check{Conflicting, SelectorOverlap, fmt.Sprintf("the same pods play both arms (%.0f%% of the %s): the comparison would be of a version with itself", 100*s.Overlap/s.Total, arm)}
		case s.Wrong > (1-identityNeeded)*s.Total:
			return Check{Bad, IdentityMismatch, fmt.Sprintf("the %s runs %q, the event says %q", arm, a.Other, id.want[i])}
		case s.Right < identityNeeded*s.Total && !id.declared:
			return Check{Undecided, IdentityUnproven, fmt.Sprintf("the %s's telemetry shows no %s for %.0f%% of its exposure", arm, AttrVersion, 100*(1-s.Right/s.Total))}
		}
		heard++
	}
	if heard < 2 && !id.declared || heard < 1 {
		return Check{Missing, IdentityUnproven, "not every arm was heard of yet"}
	}
	reason := ""
	switch {
	case id.declared:
		reason = "declared by the time of the switch"
	case id.bySelector:
		reason = "by selector"
	}
	return Check{State: Good, Reason: reason}
}
