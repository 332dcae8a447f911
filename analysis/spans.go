package analysis

import "time"

// SpanEvent is what spans are counted for.
type SpanEvent string

const (
	// SpanErrors: of the spans in which a service serves (kind server or consumer) those
	// with an error status. Every span counts.
	SpanErrors SpanEvent = "errors"
	// SpanDuration: how long they took, in seconds. Every span counts.
	SpanDuration SpanEvent = "duration"
	// SpanExclusive: of the same those with an error status and no errored child: the
	// error began here. Counted in whole traces of the sample.
	SpanExclusive SpanEvent = "exclusive"
	// SpanCalls: of the calls that a service makes (kind client or producer) those that
	// fail, by callee and operation. Counted in whole traces of the sample.
	SpanCalls SpanEvent = "calls"
)

// Sampled reports whether the event is counted in whole traces of the sample.
func (e SpanEvent) Sampled() bool { return e == SpanExclusive || e == SpanCalls }

// A SpanSignal is what spans say about requests (statistics 10.2). Of a topology
// Event is empty: operations and edges are listed.
type SpanSignal struct {
	Event SpanEvent `json:"event,omitempty"`
}

// Strata of spans: the operation that is served; the callee and its operation.
const (
	StratumOperation = "operation"
	StratumCall      = "call"
)

// OtherOperation is what operations beyond the cap of a plan are called.
const OtherOperation = "_other"

// A SpanQuery asks for the operations and edges of a fold beside the counts of its
// query.
type SpanQuery struct {
	// Operations are those that keep their names, by history frequency; all others are
	// OtherOperation, in both arms. Empty: all keep them, up to the source's own cap.
	Operations []string `json:"operations,omitempty"`
}

// An Edge names what is counted: an operation that Service serves (Callee empty), or
// its calls of another service.
type Edge struct {
	Service         string `json:"service"`
	Operation       string `json:"operation"`                 // that is served; of a call the one that made it
	Kind            string `json:"kind,omitempty"`            // of the span: server, client, producer, consumer, internal
	Callee          string `json:"callee,omitempty"`          // service that is called; its address where no span of it was seen
	CalleeVersion   string `json:"calleeVersion,omitempty"`   // as the called span's resource says
	CalleeOperation string `json:"calleeOperation,omitempty"` // as the called span, else the calling one, is named
}

// A SpanCount adds up spans. Of operations Calls, Errors and Seconds come from every
// span, the rest from whole traces of the sample; of edges all of it.
type SpanCount struct {
	Calls     float64 `json:"n,omitempty"`
	Errors    float64 `json:"err,omitempty"`
	Seconds   float64 `json:"s,omitempty"`       // how long they took, added up
	Traces    float64 `json:"traces,omitempty"`  // sampled traces with such a span
	Sampled   float64 `json:"sampled,omitempty"` // of the spans, those in whole traces
	Exclusive float64 `json:"excl,omitempty"`    // of these, those with an error status and no errored child
	Self      float64 `json:"self,omitempty"`    // seconds of these without their children
	Retries   float64 `json:"retries,omitempty"` // calls beyond the first of the same parent to the same callee and operation, after a failed one
}

// Add adds up counts.
func (c *SpanCount) Add(d SpanCount) {
	c.Calls += d.Calls
	c.Errors += d.Errors
	c.Seconds += d.Seconds
	c.Traces += d.Traces
	c.Sampled += d.Sampled
	c.Exclusive += d.Exclusive
	c.Self += d.Self
	c.Retries += d.Retries
}

// A SpanRow is what the spans of one pod say about one operation or edge in one fold.
type SpanRow struct {
	Values   []string `json:"values"`             // of the query's Matches, in their order
	Observed []string `json:"observed,omitempty"` // of the query's Observe, in their order
	Pod      string   `json:"pod"`
	Edge
	SpanCount
}

// An EdgeTally is what both arms did on one operation or edge in one fold.
type EdgeTally struct {
	Edge
	Baseline   SpanCount `json:"b,omitzero"`
	Canary     SpanCount `json:"c,omitzero"`
	CanaryPods int       `json:"cp,omitempty"` // with such a span
}

// A SpanTally is what the evidence of one fold says about operations and edges.
type SpanTally struct {
	Edges   []EdgeTally `json:"edges,omitempty"` // sorted by edge
	NotRead NotRead     `json:"notRead,omitzero"`
	// Tail says why the spans look tail-sampled, so that they tell no rates; "": they do
	// not.
	Tail string `json:"tail,omitempty"`
}

// A TracePlan is what a plan fixes about traces.
type TracePlan struct {
	Source     string   `json:"source"`
	Operations []string `json:"operations,omitempty"` // SpanQuery.Operations
	Mute       []string `json:"mute,omitempty"`       // operations that are not shown
}

// An OperationQuery asks which operations a service served in [From, To), the most
// frequent first.
type OperationQuery struct {
	Signal   Signal
	Matches  []Match
	From, To time.Time
}

// An OperationCount is how often an operation was served.
type OperationCount struct {
	Operation string
	Spans     float64
}
