package accuracy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// Single requests of the delag recording are traces, too: a root span that is the whole
// request and a span for each of its remote calls, as long as the row says. All calls
// begin with the request: the recording does not say when they were made, and none takes
// longer than the whole.

// rootOperation is what the whole request is called.
const rootOperation = "request"

// Spans are the request as the spans of one trace.
func (s Scenario) spans(request []float64, owner int32, end time.Time) []tracediff.Span {
	milliseconds := func(v float64) int64 { return int64(v * float64(time.Millisecond)) }
	start := end.UnixNano() - milliseconds(request[0])
	out := []tracediff.Span{{ID: spanID(0), Owner: owner, Kind: tracediff.Server, Start: start, End: end.UnixNano(), Name: rootOperation}}
	for i, call := range s.Calls[1:] {
		took := milliseconds(request[i+1])
		if took == 0 {
			continue // less than a millisecond, or not made
		}
		callee, _, _ := strings.Cut(call, "_")
		out = append(out, tracediff.Span{
			ID: spanID(i + 1), Parent: spanID(0), Owner: owner, Kind: tracediff.Client, Start: start, End: start + took, Name: call, Peer: callee,
		})
	}
	return out
}

func spanID(i int) (id [8]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(i)+1)
	return id
}

// Grown is the call whose mean grows by the largest factor in the requests with a delay.
func (s Scenario) Grown(kind int) (call string, factor float64) {
	for i, name := range s.Calls {
		if i == 0 {
			continue
		}
		if f := mean(column(s.Delayed[kind], i)) / mean(column(s.Clean, i)); f > factor {
			call, factor = name, f
		}
	}
	return call, factor
}

// Named lets the library list what the traces of a release show, and returns the calls
// that it names to take longer, the first first.
func (d Draw) Named() ([]string, error) {
	fail := func(err error) ([]string, error) { return nil, fmt.Errorf("%s: %w", d.Name, err) }
	release := analysis.Release{Environment: Environment, Service: d.Service, Version: VersionAfter, PreviousVersion: VersionBefore}
	cohort := func(version string) analysis.Cohort {
		return analysis.Cohort{analysis.AttrService: d.Service, analysis.AttrVersion: version}
	}
	plan, err := analysis.NewPlan(analysis.PlanInput{
		Deployment: analysis.Deployment{
			ID: analysis.DeploymentID(d.Name), Attempt: 1, Release: release, Mode: analysis.Retrospective, StartedAt: delagStart,
			Steps: []analysis.Step{{Index: 1, Total: 1, Weight: float64(newRequests) / (oldRequests + newRequests), At: delagStart}},
		},
		Policy: analysis.Policy{
			Name: "delag traces", Window: Window(delagSpacing), AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
			Objectives: []analysis.Objective{{Name: "traces", Role: analysis.Advisory, Signal: analysis.Signal{
				Name: "traces", Source: "recording", Unit: "1", Shape: analysis.ShapeTopology, Spans: &analysis.SpanSignal{},
			}}},
		},
		Cohorts: analysis.Cohorts{Baseline: cohort(VersionBefore), Canary: cohort(VersionAfter)},
		Facts:   []analysis.Facts{{Spacing: delagSpacing}},
	})
	if err != nil {
		return fail(err)
	}
	state, err := analysis.NewState(plan)
	if err != nil {
		return fail(err)
	}
	for k := range Deadline {
		fold, open := state.Next(0)
		if !open {
			break
		}
		if err := state.Fold(d.traced(&plan.Objectives[0], k, fold)); err != nil {
			return fail(err)
		}
	}
	var calls []string
	for _, diff := range state.Differences() {
		if diff.Kind == analysis.DiffEdge && diff.Edge != nil && diff.Ratio > 1 && strings.Contains(diff.What, "as long") {
			calls = append(calls, diff.Edge.CalleeOperation)
		}
	}
	return calls, nil
}

// traced is what the traces of both versions tell in the k-th fold.
func (d Draw) traced(o *analysis.PlannedObjective, k int, fold analysis.Fold) *analysis.Evidence {
	e := &analysis.Evidence{Objective: o.Name, Fold: fold, Source: "recording", Spans: &analysis.SpanTally{}}
	edges := map[analysis.Edge]*analysis.EdgeTally{}
	s := Scenario{Calls: d.Calls}
	for _, arm := range []struct {
		analysis.Arm
		version  string
		pods     int
		requests [][]float64
	}{{analysis.Baseline, VersionBefore, delagPods, d.Old}, {analysis.Canary, VersionAfter, delagCanaries, d.New}} {
		tally := tracediff.Tally{
			Owners: []tracediff.Owner{{Service: d.Service, Version: arm.version}}, From: fold.Start.UnixNano(), To: fold.End.UnixNano(),
		}
		rows := make([]analysis.ArmRow, arm.pods)
		for p := range rows {
			rows[p] = analysis.ArmRow{Arm: arm.Arm, Pod: podName(arm.version, p), PodStart: delagStart.Add(-delagPast), Received: 1, Fresh: true}
		}
		for i := k; i < len(arm.requests); i += Deadline {
			rows[(i/Deadline)%arm.pods].Exposure++
			tally.Add(s.spans(arm.requests[i], 0, fold.End))
		}
		e.Rows = append(e.Rows, rows...)
		for _, key := range tally.Keys() {
			t := edges[key.Edge]
			if t == nil {
				t = &analysis.EdgeTally{Edge: key.Edge}
				edges[key.Edge] = t
			}
			count := tally.Counts[key].SpanCount(true)
			if arm.Arm == analysis.Canary {
				t.Canary, t.CanaryPods = count, delagCanaries
			} else {
				t.Baseline = count
			}
		}
	}
	for _, t := range edges {
		e.Spans.Edges = append(e.Spans.Edges, *t)
	}
	sortEdges(e.Spans.Edges)
	return e
}

func sortEdges(edges []analysis.EdgeTally) {
	slices.SortFunc(edges, func(a, b analysis.EdgeTally) int { return tracediff.CompareEdges(a.Edge, b.Edge) })
}
