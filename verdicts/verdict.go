package verdicts

import (
	"strconv"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Word is the answer. The zero value is pending, on which nobody acts.
type Word uint8

const (
	Pending  Word = iota // still collecting, or held for a stated reason
	Promote              // every critical objective shown safe, evidence complete
	Rollback             // harm shown
	Hold                 // cannot tell; a person or the user's policy decides
)

var words = [...]string{"pending", "promote", "rollback", "hold"}

func (w Word) String() string {
	if int(w) < len(words) {
		return words[w]
	}
	return "pending"
}

// MarshalText implements encoding.TextMarshaler.
func (w Word) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is pending.
func (w *Word) UnmarshalText(text []byte) error {
	*w = Pending
	for i, name := range words {
		if name == string(text) {
			*w = Word(i)
		}
	}
	return nil
}

// Advice is what to do with the canary's weight between ramp steps. The zero
// value is keep.
type Advice string

const (
	Increase Advice = "increase"
	Keep     Advice = "keep"
	Reduce   Advice = "reduce"
)

// Schema names the layout of the verdict object.
const Schema = "assay.dev/verdict/v1"

// Coverage tells how much of what was expected was received, by arm; the worst
// critical objective.
type Coverage struct {
	Baseline ArmCoverage `json:"baseline"`
	Canary   ArmCoverage `json:"canary"`
}

// ArmCoverage is received of expected pod-folds, and the pods now.
type ArmCoverage struct {
	Expected int     `json:"expected"`
	Received int     `json:"received"`
	Pods     int     `json:"pods"`
	Exposure float64 `json:"exposure"`
}

// FalseAlarms tells how often the same test called healthy pods of the service harmful
// before: windows as long as this validation in which nothing was deployed. Low and High
// are the ends of a 95 % interval for the share; below 30 windows it is not calibrated.
type FalseAlarms struct {
	Alarms     int             `json:"alarms"`
	Windows    int             `json:"windows"`
	Low        analysis.Figure `json:"low"`
	High       analysis.Figure `json:"high"`
	Calibrated bool            `json:"calibrated"`
}

// A Gate is a user's condition that can only hold.
type Gate struct {
	Name   string `json:"name"`
	Open   bool   `json:"open"`
	Reason string `json:"reason"`
}

// A Verdict is the object that every receiver gets, the same over HTTP, on Kafka,
// in the CLI and in the bundle. Every key is always present.
type Verdict struct {
	Schema          string                `json:"schema"`
	ValidationID    analysis.ValidationID `json:"validationId"`
	DeploymentID    analysis.DeploymentID `json:"deploymentId"`
	Attempt         int                   `json:"attempt"`
	Environment     string                `json:"environment"`
	Namespace       string                `json:"namespace"`
	Service         string                `json:"service"`
	Version         string                `json:"version"`
	BaselineVersion string                `json:"baselineVersion"`
	ArtifactDigest  string                `json:"artifactDigest"`
	Mode            analysis.Mode         `json:"mode"`
	Verdict         Word                  `json:"verdict"`
	Final           bool                  `json:"final"`
	ReasonCode      analysis.Code         `json:"reasonCode"`
	Reason          string                `json:"reason"`   // at most 200 characters
	Advice          Advice                `json:"advice"`   // increase | keep | reduce
	Evidence        string                `json:"evidence"` // concurrent | before_after | none
	Calibrated      bool                  `json:"calibrated"`
	FalseAlarms     FalseAlarms           `json:"falseAlarms"`
	Weight          *analysis.Figure      `json:"weight"`    // declared or realised share; null: unknown
	StartedAt       *time.Time            `json:"startedAt"` // null while not seen
	AsOf            *time.Time            `json:"asOf"`      // event time up to which all folds are closed
	Deadline        *time.Time            `json:"deadline"`
	IssuedAt        *time.Time            `json:"issuedAt"` // the look's now; null while pending
	NotAfter        *time.Time            `json:"notAfter"` // a final verdict must not be acted on later
	// Minutes still needed; null: unknown or never at this margin.
	MinutesToPromote      analysis.Figure    `json:"minutesToPromote"`
	MinutesToDetectDouble analysis.Figure    `json:"minutesToDetectDouble"`
	Coverage              Coverage           `json:"coverage"`
	Checks                analysis.Checks    `json:"checks"`
	Findings              []analysis.Finding `json:"findings"`
	// What logs and traces show to differ, which weighs nothing, and what of them was
	// not read; traces that were fetched to be looked at.
	Differences    []analysis.Difference `json:"differences"`
	NotRead        analysis.NotRead      `json:"notRead"`
	Exemplars      []analysis.Exemplar   `json:"exemplars"`
	Gates          []Gate                `json:"gates"`
	Warnings       []string              `json:"warnings"`
	PlanDigest     string                `json:"planDigest"`
	EvidenceDigest string                `json:"evidenceDigest"`
	Bundle         string                `json:"bundle"` // name of the bundle file; empty until sealed or where nothing was looked at
	Seq            int                   `json:"seq"`    // orders the records of one validation
}

// ID returns the verdict's own id, the same on every delivery: the UUIDv5 of
// validation id and seq.
func (v Verdict) ID() string {
	return analysis.DeriveID("verdict", string(v.ValidationID), strconv.Itoa(v.Seq))
}
