package analysis

import "time"

// DifferenceKind says what differs between the arms.
type DifferenceKind string

const (
	DiffTemplate  DifferenceKind = "template"  // lines of a template
	DiffVolume    DifferenceKind = "volume"    // log lines per request, or the level in use
	DiffOperation DifferenceKind = "operation" // errors, duration or existence of an operation
	DiffEdge      DifferenceKind = "edge"      // calls of another service
	DiffVersions  DifferenceKind = "versions"  // old and new version calling each other
)

// A Difference is something that logs or traces show to differ between the arms. It
// weighs nothing: it names what is behind a verdict (statistics 10).
type Difference struct {
	Key      string         `json:"key"` // names it within the validation: stable over looks
	Kind     DifferenceKind `json:"kind"`
	What     string         `json:"what"` // one line for people
	Service  string         `json:"service,omitempty"`
	Template string         `json:"template,omitempty"` // its redacted text
	Severity Severity       `json:"severity,omitempty"`
	Edge     *Edge          `json:"edge,omitempty"`
	New      bool           `json:"new,omitempty"`   // not in history and not in the baseline
	Gone     bool           `json:"gone,omitempty"`  // of the baseline only
	Found    bool           `json:"found"`           // a finding; else seen, not yet evidence
	Muted    bool           `json:"muted,omitempty"` // or expected
	E        Figure         `json:"e"`               // evidence now; null: none is kept for its kind
	Baseline float64        `json:"baseline"`        // events of the arms
	Canary   float64        `json:"canary"`
	Ratio    Figure         `json:"ratio"`            // canary/baseline per request; null: unknown
	Pods     []string       `json:"pods,omitempty"`   // of the canary that show it, at most eight
	OfPods   int            `json:"ofPods,omitempty"` // pods of the canary that report
	Since    *time.Time     `json:"since,omitempty"`  // end of the first fold in which the canary showed it
	Example  *Line          `json:"example,omitempty"`
	TraceID  string         `json:"traceId,omitempty"`
}
