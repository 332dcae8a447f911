package analysis

import "time"

// ExemplarKind says what a trace is an example of.
type ExemplarKind string

const (
	ExemplarFailed  ExemplarKind = "failed"
	ExemplarSlow    ExemplarKind = "slow"
	ExemplarTypical ExemplarKind = "typical"
	ExemplarNamed   ExemplarKind = "named" // by its id: of a log line
)

// An ExemplarQuery asks for whole traces that show what a finding says: one by its id,
// or some of a cohort and window.
type ExemplarQuery struct {
	TraceID   string       `json:"traceId,omitempty"` // set: this one, and nothing else matters but AsOf and MaxBytes
	Kind      ExemplarKind `json:"kind,omitempty"`
	Matches   []Match      `json:"matches,omitempty"`
	Operation string       `json:"operation,omitempty"` // "": any
	From      time.Time    `json:"from,omitzero"`
	To        time.Time    `json:"to,omitzero"` // no span that ends later is part of the answer
	Limit     int          `json:"limit,omitempty"`
	MaxBytes  int          `json:"maxBytes,omitempty"` // of all traces together; larger ones are cut and say so
}

// An Exemplar is a whole trace, fetched to be looked at. Nothing is decided by it.
type Exemplar struct {
	TraceID   string       `json:"traceId"`
	Kind      ExemplarKind `json:"kind"`
	Arm       Arm          `json:"arm,omitempty"`
	For       string       `json:"for,omitempty"` // key of the difference, or name of the objective, that it shows
	Source    string       `json:"source"`
	Spans     int          `json:"spans"`
	Services  []string     `json:"services,omitempty"` // sorted
	Errors    int          `json:"errors,omitempty"`   // spans with an error status
	Duration  Duration     `json:"duration,omitempty"` // of the longest span
	Digest    string       `json:"digest"`             // of Body: "sha256:" and hex digits
	Truncated bool         `json:"truncated,omitempty"`
	Missing   Code         `json:"missing,omitempty"` // exemplar_unavailable: it could not be had
	// Body is the trace as OTLP JSON, redacted. A look holds its digest only; the bundle
	// keeps it beside the looks.
	Body []byte `json:"-"`
}
