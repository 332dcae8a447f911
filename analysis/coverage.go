package analysis

import (
	"fmt"
	"time"
)

// The rules of coverage (statistics 2.3).
const (
	coverageNeeded = 0.90 // received / expected, in either arm
	minExpected    = 8    // below that many expected pod-folds coverage says nothing
	staleAfter     = 3    // cadences without a sample
)

// armCoverage counts, for one arm of one objective, what was expected and what
// came. A pod is expected once per fold from its first sample on. It stops being
// expected three cadences after its last one only if others of its arm report (it
// left); while a whole arm is silent its pods stay expected, so that an outage
// lowers the coverage of both arms and of a single one alike.
//
// Whether a pod left or its telemetry did, silence does not tell. A pod that came
// with the deployment and was not replaced is therefore missed as soon as it has
// been silent for longer than it was heard.
type armCoverage struct {
	Pods     map[string]podSeen // that are expected
	Left     map[string]podSeen // that came with the deployment, fell silent and were not replaced
	Expected int
	Received int
	LastFold int         // number of the last fold with any sample, 0: none
	Now      int         // pods that reported in the newest fold
	PodCount map[int]int // pods reporting -> folds, over folds with data
	Usual    int         // the largest median of them so far, so that an outage does not become the usual
	Exposure float64
	// bySpans: what is counted are spans or lines, which come with requests and not with
	// the clock.
	bySpans bool
}

// podSeen is what is known of a pod that reported.
type podSeen struct {
	Last  int       // number of the last fold with a sample
	Folds int       // with a sample
	Peers int       // pods of the arm that reported then, itself included
	Old   bool      // it ran before the deployment
	Born  time.Time // start of its first process that was heard of; zero: unknown
	Spans spansSeen // where spans are counted
}

func newArmCoverage(o *PlannedObjective) armCoverage {
	return armCoverage{bySpans: o.Signal.ofStreams(), Pods: map[string]podSeen{}, Left: map[string]podSeen{}, PodCount: map[int]int{}}
}

// fold takes in which pods reported in fold k (counted from 1). The rows are of
// this arm only.
func (c *armCoverage) fold(k int, rows []ArmRow, deployed time.Time) {
	if c.bySpans {
		c.foldSpans(k, rows, deployed)
		return
	}
	reporting := 0
	for i := range rows { // sorted by pod; one with several versions has several rows
		if rows[i].Received > 0 && !(i > 0 && rows[i-1].Pod == rows[i].Pod && rows[i-1].Received > 0) {
			reporting++
		}
	}
	for pod, p := range c.Pods {
		if k-p.Last > staleAfter && reporting > 0 && !reports(rows, pod) {
			delete(c.Pods, pod) // it left
			if !p.Old {
				c.Left[pod] = p
			}
		}
	}
	for i := range rows {
		if rows[i].Received > 0 {
			c.saw(&rows[i], k, reporting, deployed)
			c.Exposure += rows[i].Exposure
		}
	}
	for pod, p := range c.Left {
		if reporting >= p.Peers {
			delete(c.Left, pod) // it was replaced
		}
	}
	c.Expected += len(c.Pods)
	c.Received += reporting
	c.Now = reporting
	if reporting > 0 {
		c.LastFold = k
		c.PodCount[reporting]++
		if k >= staleAfter {
			c.Usual = max(c.Usual, c.medianPods())
		}
	}
}

// saw takes in a row with a sample. What a baseline pod of unknown start is: old.
func (c *armCoverage) saw(r *ArmRow, k, reporting int, deployed time.Time) {
	p, known := c.Pods[r.Pod]
	if !known {
		p, known = c.Left[r.Pod]
		delete(c.Left, r.Pod)
	}
	if !known {
		p.Born = r.PodStart.UTC()
		p.Old = r.PodStart.Before(deployed) && (r.Arm == Baseline || !r.PodStart.IsZero())
	}
	if p.Last != k { // a pod with several versions has several rows
		p.Folds++
	}
	p.Last, p.Peers = k, reporting
	c.Pods[r.Pod] = p
}

// lost returns a pod whose silence at the end of fold k outlasts what was heard of
// it, the first by name; "" where there is none.
func (c *armCoverage) lost(k int) string {
	first := ""
	for pod, p := range c.Left {
		if k-p.Last > p.Folds && (first == "" || pod < first) {
			first = pod
		}
	}
	return first
}

// ramp takes in a ramp step: where replicas make the weights, the baseline shrinks
// with its share of the traffic.
func (c *armCoverage) ramp(shareBefore, shareAfter float64) {
	if shareBefore > 0 && shareAfter < shareBefore {
		c.Usual = int(float64(c.Usual) * shareAfter / shareBefore)
		clear(c.PodCount)
	}
}

func reports(rows []ArmRow, pod string) bool {
	for i := range rows {
		if rows[i].Pod == pod && rows[i].Received > 0 {
			return true
		}
	}
	return false
}

// medianPods is the median number of reporting pods over folds with data.
func (c *armCoverage) medianPods() int {
	folds, most := 0, 0
	for pods, n := range c.PodCount {
		folds += n
		most = max(most, pods)
	}
	seen := 0
	for pods := 0; pods <= most; pods++ {
		if seen += c.PodCount[pods]; folds > 0 && 2*seen >= folds {
			return pods
		}
	}
	return 0
}

// silent reports whether the newest sample is older than three cadences at the
// end of fold k.
func (c *armCoverage) silent(k int) bool { return k-c.LastFold >= staleAfter }

// coverageCheck judges the coverage of one objective after k folds.
// missing says why the newest fold taught nothing, where it did not.
func coverageCheck(o *PlannedObjective, k int, arms *[2]armCoverage, missing Code, seen string) Check {
	b, c := &arms[0], &arms[1]
	nobody := seen
	if nobody == "" {
		nobody = "no release of the service was heard of"
	}
	switch {
	case b.Expected == 0 && c.Expected == 0 && missing == SourceUnavailable:
		return Check{Missing, TelemetryOutage, fmt.Sprintf("%s: %s has not answered since the deployment", o.Name, o.Signal.Source)}
	case b.Expected == 0 && c.Expected == 0 && o.History.HourTotal > 0:
		return Check{Missing, TelemetryOutage, fmt.Sprintf("%s: no sample of either version since the deployment, the baseline reported before; seen: %s", o.Name, nobody)}
	case b.Expected == 0 && c.Expected == 0:
		return Check{Missing, NothingSeen, fmt.Sprintf("%s: no sample of either version yet; seen: %s", o.Name, nobody)}
	case c.Expected == 0:
		return Check{Missing, CanaryTelemetryMissing, fmt.Sprintf("%s: no sample of the canary yet; seen: %s", o.Name, nobody)}
	case b.Expected == 0:
		return Check{Missing, NoConcurrentBaseline, fmt.Sprintf("%s: no sample of the baseline version since the deployment", o.Name)}
	case b.silent(k) && c.silent(k):
		return Check{Stale, TelemetryOutage, fmt.Sprintf("%s: both arms are silent since %d folds of %v", o.Name, k-max(b.LastFold, c.LastFold), o.Cadence.D())}
	case c.silent(k):
		return Check{Stale, CanaryTelemetryMissing, fmt.Sprintf("%s: the canary is silent since %d folds of %v, the baseline reports", o.Name, k-c.LastFold, o.Cadence.D())}
	case b.silent(k):
		return Check{Stale, BaselineTelemetryMissing, fmt.Sprintf("%s: the baseline is silent since %d folds of %v, the canary reports", o.Name, k-b.LastFold, o.Cadence.D())}
	}
	base, canary := enough(o, k, Baseline, b), enough(o, k, Canary, c)
	if base.State == Undecided || canary.State == Good {
		return base
	}
	if canary.State == Undecided || base.State == Good {
		return canary
	}
	return base
}

// canaryCoverage judges the coverage of one objective where the canary is compared
// with the time before: no baseline is expected.
func canaryCoverage(o *PlannedObjective, k int, c *armCoverage, missing Code, seen string) Check {
	switch {
	case c.Expected == 0 && missing == SourceUnavailable:
		return Check{Missing, TelemetryOutage, fmt.Sprintf("%s: %s has not answered since the deployment", o.Name, o.Signal.Source)}
	case c.Expected == 0 && seen == "":
		return Check{Missing, CanaryTelemetryMissing, fmt.Sprintf("%s: no sample of the canary yet", o.Name)}
	case c.Expected == 0:
		return Check{Missing, CanaryTelemetryMissing, fmt.Sprintf("%s: no sample of the canary yet; seen: %s", o.Name, seen)}
	case c.silent(k):
		return Check{Stale, CanaryTelemetryMissing, fmt.Sprintf("%s: the canary is silent since %d folds of %v", o.Name, k-c.LastFold, o.Cadence.D())}
	}
	return enough(o, k, Canary, c)
}

// enough judges whether what was heard of an arm is complete.
func enough(o *PlannedObjective, k int, a Arm, v *armCoverage) Check {
	if v.Expected < minExpected {
		return Check{Undecided, TooFewSamples, fmt.Sprintf("%s: %d of at least %d samples of the %s expected so far", o.Name, v.Expected, minExpected, a)}
	}
	if got := float64(v.Received) / float64(v.Expected); got < coverageNeeded {
		return Check{Partial, TelemetryPartial, fmt.Sprintf("%s: %.0f%% of the %s's samples came (%d of %d), %.0f%% are needed", o.Name, 100*got, a, v.Received, v.Expected, 100*coverageNeeded)}
	}
	if usual := max(v.Usual, v.medianPods()); 2*v.Now < usual {
		return Check{Partial, TelemetryPartial, fmt.Sprintf("%s: %d pods of the %s report, usually %d do", o.Name, v.Now, a, usual)}
	}
	if pod := v.lost(k); pod != "" {
		return Check{Partial, TelemetryPartial, fmt.Sprintf("%s: pod %s of the %s fell silent after %d samples and was not replaced", o.Name, pod, a, v.Left[pod].Folds)}
	}
	return Check{State: Good}
}

// worse orders coverage states from proven to least known, so that the worst of
// several objectives can be told.
func worse(a, b Check) Check {
	rank := map[CheckState]int{Good: 0, Undecided: 1, Partial: 2, Stale: 3, Missing: 4}
	if rank[b.State] > rank[a.State] {
		return b
	}
	return a
}
