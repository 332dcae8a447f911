package analysis

import "time"

// Phase is what a deployment event says about its deployment.
type Phase string

const (
	PhaseStarted  Phase = "started"
	PhaseStep     Phase = "step"
	PhaseFinished Phase = "finished"
	PhaseAborted  Phase = "aborted"
)

// An Event is a deployment event after decoding, whatever envelope brought it
// (package internal/intake). Source and ID together name the event; the same
// pair with other content is a conflict.
type Event struct {
	Source       string            `json:"source"`
	ID           string            `json:"id"`
	Type         string            `json:"type"`
	Time         time.Time         `json:"time"`
	Phase        Phase             `json:"phase"`
	DeploymentID DeploymentID      `json:"deploymentId,omitempty"` // empty: join by release (contracts: newest open validation of environment, namespace, service, artifact)
	ChainID      string            `json:"chainId,omitempty"`
	Release      Release           `json:"release"`
	Mode         Mode              `json:"mode"`
	Strategy     string            `json:"strategy,omitempty"`
	Step         *Step             `json:"step,omitempty"`
	StartedAt    time.Time         `json:"startedAt"` // the deployment's start; the event's own time unless it says otherwise
	Canary       map[string]string `json:"canary,omitempty"`
	Baseline     map[string]string `json:"baseline,omitempty"`
	Warmup       Duration          `json:"warmup,omitempty"`
	MaxDuration  Duration          `json:"maxDuration,omitempty"`
	PolicyRef    string            `json:"policyRef,omitempty"`
	ChangeID     string            `json:"changeId,omitempty"`
	ExpectLines  []string          `json:"expectLines,omitempty"` // texts of new log lines that the deployment declares
	CallbackURL  string            `json:"callbackUrl,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// Deployment returns the deployment that a starting event opens, as its given attempt.
func (e Event) Deployment(attempt int) Deployment {
	d := Deployment{
		ID: e.DeploymentID, Attempt: attempt, Release: e.Release, Mode: e.Mode, Strategy: e.Strategy,
		StartedAt: e.StartedAt, Canary: e.Canary, Baseline: e.Baseline, Warmup: e.Warmup, MaxDuration: e.MaxDuration,
		PolicyRef: e.PolicyRef, ChangeID: e.ChangeID, ExpectLines: e.ExpectLines, Labels: e.Labels, EventSource: e.Source, EventID: e.ID,
	}
	if e.Step != nil {
		d.Steps = []Step{*e.Step}
	}
	return d
}
