package analysis

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A Release is what is being shipped: one version of one service to one
// environment. PreviousVersion is what the baseline runs; it is empty until it
// is resolved.
type Release struct {
	Environment     string `json:"environment"`
	Namespace       string `json:"namespace"`
	Service         string `json:"service"`
	Version         string `json:"version"`
	PreviousVersion string `json:"previousVersion"`
	ArtifactDigest  string `json:"artifactDigest"`
}

// DeploymentID names one rollout of a release. All events of the rollout share it.
type DeploymentID string

// ValidationID names one attempt at judging one deployment.
type ValidationID string

// Mode says how a deployment is judged. The zero value is the ordinary one.
type Mode string

const (
	Live          Mode = "live"          // judged while it happens; verdicts go to every sink
	Retrospective Mode = "retrospective" // the past, judged at full speed; served by validation id only
	Shadow        Mode = "shadow"        // judged like live, served by validation id only
)

// A Step is one ramp step of a progressive rollout.
type Step struct {
	Index  int       `json:"index"`
	Total  int       `json:"total"`
	Weight float64   `json:"weight"` // declared share of the canary's traffic, in [0,1]
	At     time.Time `json:"at"`
}

// A Deployment is one rollout of a release, as its starting event described it.
type Deployment struct {
	ID          DeploymentID      `json:"id"`
	Attempt     int               `json:"attempt"` // 1 + restarts after a final verdict
	Release     Release           `json:"release"`
	Mode        Mode              `json:"mode"`
	Strategy    string            `json:"strategy,omitempty"`
	StartedAt   time.Time         `json:"startedAt"`
	Steps       []Step            `json:"steps,omitempty"` // as declared so far, in order of arrival
	Canary      map[string]string `json:"canary,omitempty"`
	Baseline    map[string]string `json:"baseline,omitempty"`
	Warmup      Duration          `json:"warmup,omitempty"`
	MaxDuration Duration          `json:"maxDuration,omitempty"`
	PolicyRef   string            `json:"policyRef,omitempty"`
	ChangeID    string            `json:"changeId,omitempty"`
	ExpectLines []string          `json:"expectLines,omitempty"` // texts of new log lines that the deployment declares
	Labels      map[string]string `json:"labels,omitempty"`
	EventSource string            `json:"eventSource"` // CloudEvents source and id of the starting event
	EventID     string            `json:"eventId"`
}

// namespace of all ids that Assay derives; itself derived from the module path.
var idSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/release-assay/assay"))

// DeriveID returns the UUIDv5 of the given parts. Parts are joined by a byte
// that none of them can contain once intake has accepted them (NUL), so
// different parts never give the same id by accident of concatenation.
func DeriveID(parts ...string) string {
	return uuid.NewSHA1(idSpace, []byte(strings.Join(parts, "\x00"))).String()
}

// Validation returns the id of the attempt to judge d: the UUIDv5 of
// environment, namespace, service, deployment and attempt, so that replays and
// replicas agree on it.
func (d Deployment) Validation() ValidationID {
	r := d.Release
	return ValidationID(DeriveID(r.Environment, r.Namespace, r.Service, string(d.ID), strconv.Itoa(d.Attempt)))
}

// Weight returns the declared share of traffic in force at the given time, and
// whether one was declared at all.
func (d Deployment) Weight(at time.Time) (float64, bool) {
	var last *Step
	for i := range d.Steps { // in order of arrival, which need not be that of the steps
		if s := &d.Steps[i]; !s.At.After(at) && (last == nil || !s.At.Before(last.At)) {
			last = s
		}
	}
	if last == nil {
		return 0, false
	}
	return last.Weight, true
}
