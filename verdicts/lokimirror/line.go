package lokimirror

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// maxFindings is how many findings of a verdict have lines of their own.
const maxFindings = 20

// own are the labels that this package gives.
var own = map[string]bool{"app": true, "kind": true, "service": true, "namespace": true, "environment": true, "verdict": true}

// A line is one line with its labels.
type line struct {
	labels model.LabelSet
	at     time.Time
	text   string
}

// A body is what a line says: Text for people, the rest for whoever looks further.
type body struct {
	Text         string                `json:"text"`
	Version      string                `json:"version"`
	Baseline     string                `json:"baselineVersion"`
	ReasonCode   analysis.Code         `json:"reasonCode,omitempty"`
	Objective    string                `json:"objective,omitempty"`
	Difference   string                `json:"difference,omitempty"`
	ValidationID analysis.ValidationID `json:"validationId"`
	DeploymentID analysis.DeploymentID `json:"deploymentId"`
	StartedAt    *time.Time            `json:"startedAt,omitempty"`
	Bundle       string                `json:"bundle,omitempty"`
}

// linesOf are the lines about a final verdict: one of its own, and one for each finding
// of harm and each difference that was found.
func linesOf(v verdicts.Verdict) []line {
	if !v.Final || v.IssuedAt == nil {
		return nil
	}
	common := body{Version: v.Version, Baseline: v.BaselineVersion, ValidationID: v.ValidationID, DeploymentID: v.DeploymentID}
	whole := common
	whole.Text = fmt.Sprintf("%s %s %s: %s", v.Verdict, v.Service, v.Version, v.Reason)
	whole.ReasonCode, whole.StartedAt, whole.Bundle = v.ReasonCode, v.StartedAt, v.Bundle
	lines := []line{lineOf(v, "verdict", whole)}
	for _, f := range v.Findings {
		if f.State != analysis.FindingBreached || len(lines) > maxFindings {
			continue
		}
		b := common
		b.Text, b.ReasonCode, b.Objective = fmt.Sprintf("%s %s: %s", v.Service, v.Version, f.Reason), f.Code, f.Objective
		lines = append(lines, lineOf(v, "finding", b))
	}
	for _, d := range v.Differences {
		if !d.Found || d.Muted || len(lines) > maxFindings {
			continue
		}
		b := common
		b.Text, b.Difference = fmt.Sprintf("%s %s: %s", v.Service, v.Version, d.What), d.Key
		lines = append(lines, lineOf(v, "finding", b))
	}
	return lines
}

func lineOf(v verdicts.Verdict, kind string, b body) line {
	text, err := json.Marshal(b)
	if err != nil { // strings and a time: it cannot fail
		text = []byte(b.Text)
	}
	labels := model.LabelSet{"app": "assay", "kind": model.LabelValue(kind), "verdict": model.LabelValue(v.Verdict.String())}
	for name, value := range map[model.LabelName]string{"service": v.Service, "namespace": v.Namespace, "environment": v.Environment} {
		if value != "" {
			labels[name] = model.LabelValue(value)
		}
	}
	return line{labels, v.IssuedAt.UTC(), string(text)}
}
