package analysis

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What log lines and spans need of a plan: they come with requests and not with the
// clock, so their cadence is the plan's choice; whole traces take time to assemble.

const (
	// StreamCadence is the shortest cadence of log lines and spans.
	StreamCadence = 15 * time.Second
	// StreamLateness is how long after its end a fold of lines or spans stays open.
	StreamLateness = 30 * time.Second
	// TraceLateness is the same where whole traces are counted.
	TraceLateness = 90 * time.Second
)

// cadence is that of the folds of s, given the median spacing of samples: of log lines
// that of the requests that they are held against.
func (s Signal) cadence(spacing time.Duration) time.Duration {
	if !s.ofStreams() {
		return CadenceOf(spacing)
	}
	if spacing <= StreamCadence {
		return StreamCadence
	}
	return CadenceOf(spacing)
}

// lateness is how long a fold of s stays open. Lines are not complete before the requests
// that they are held against.
func (s Signal) lateness(cadence, lag time.Duration) time.Duration {
	behind := max(0, lag-PullLag)
	switch {
	case s.Shape == ShapeTopology || s.Spans != nil && s.Spans.Event.Sampled():
		return TraceLateness + behind
	case s.Logs != nil && s.Logs.Requests != nil:
		return max(StreamLateness+behind, s.Logs.Requests.lateness(cadence, lag))
	case s.ofStreams():
		return StreamLateness + behind
	}
	return LatenessOf(cadence, lag)
}

// strata are those that o is asked by: what is exclusive to an operation, or fails in a
// call, is compared operation by operation and call by call.
func (o *Objective) strata() []string {
	if len(o.Strata) > 0 || o.Signal.Spans == nil {
		return o.Strata
	}
	switch o.Signal.Spans.Event {
	case SpanExclusive:
		return []string{StratumOperation}
	case SpanCalls:
		return []string{StratumCall}
	}
	return nil
}

// ofCode reports whether the strata of o are parts of the code rather than places: harm
// that rests on one operation is a defect that only this operation meets, and no excuse.
func (o *Objective) ofCode() bool {
	return len(o.Strata) > 0 && !slices.ContainsFunc(o.Strata, func(s string) bool { return s != StratumOperation && s != StratumCall })
}

// planStreams fixes what the plan says about logs and traces, where an objective is about
// them.
func (p *Plan) planStreams(in PlanInput) {
	if in.Logs == nil {
		in.Logs = in.Policy.Logs
	}
	if in.Traces == nil {
		in.Traces = in.Policy.Traces
	}
	for _, o := range in.Policy.Objectives {
		if o.Signal.Logs != nil && p.Logs == nil {
			p.Logs = planLogs(in, o.Signal)
			p.warnOfMuting()
		}
		if o.Signal.Logs != nil && o.Signal.Logs.Requests != nil && p.Logs.Origin == "" {
			p.Logs.Origin = o.Signal.Logs.Requests.Name
		}
		if s := o.Signal; s.Spans != nil && p.Traces == nil {
			p.Traces = &TracePlan{Source: s.Source}
			if in.Traces != nil {
				p.Traces.Operations, p.Traces.Mute = slices.Clone(in.Traces.Operations), distinct(in.Traces.Mute)
			}
		}
	}
}

func planLogs(in PlanInput, s Signal) *LogPlan {
	out := LogPlan{Source: s.Source}
	if in.Logs != nil {
		out.Templates, out.Share, out.Origin = in.Logs.Templates, in.Logs.Share, in.Logs.Origin
		out.Expect, out.Mute = distinct(in.Logs.Expect), distinct(in.Logs.Mute)
	}
	if !(out.Share > 0 && out.Share <= 1) {
		out.Share = 1
	}
	out.Expect = distinct(append(out.Expect, in.Deployment.ExpectLines...))
	return &out
}

// shortestMute is the length from which a text is thought to mean some lines and no others.
const shortestMute = 4

// warnOfMuting says where a declared text is so short that it may mean any line: new lines
// of ERROR that it means block no promote.
func (p *Plan) warnOfMuting() {
	for _, text := range slices.Concat(p.Logs.Expect, p.Logs.Mute) {
		if len(strings.TrimSpace(text)) < shortestMute {
			p.Warnings = append(slices.Clip(p.Warnings), fmt.Sprintf("logs: expected or muted is every line with %q, which may be any: new lines of error or above may not be looked at", text))
		}
	}
}

// distinct is a copy of texts without blank ones and repetitions, in their order.
func distinct(texts []string) []string {
	var out []string
	for _, t := range texts {
		if strings.TrimSpace(t) != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
