package topic

import (
	"encoding/json"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// The event that tells of a concluded validation (contracts 1.5). CDEvents allows
// custom types of this form.
const (
	Concluded = "dev.cdeventsx.assay-validation.concluded.0.1.0"
	schemaURI = "https://assay.dev/schemas/assay-validation.concluded.0.1.0.json"
	source    = "/assay"
	specCD    = "0.5.1"
	specCE    = "1.0"
)

type cdEvent struct {
	Context struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Timestamp   string `json:"timestamp"`
		SchemaURI   string `json:"schemaUri"`
		Links       []link `json:"links"`
	} `json:"context"`
	Subject struct {
		ID      string           `json:"id"`
		Source  string           `json:"source"`
		Type    string           `json:"type"`
		Content verdicts.Verdict `json:"content"`
	} `json:"subject"`
}

// link ties the verdict to the event that started the deployment.
type link struct {
	Type   string `json:"linkType"`
	Kind   string `json:"linkKind"`
	Target struct {
		ContextID string `json:"contextId"`
	} `json:"target"`
}

// Build returns the record of a final verdict on a deployment.
func Build(v verdicts.Verdict, d analysis.Deployment) (verdicts.Message, error) {
	issued := time.Time{}
	if v.IssuedAt != nil {
		issued = v.IssuedAt.UTC()
	}
	var e cdEvent
	e.Context.SpecVersion, e.Context.ID, e.Context.Source, e.Context.Type = specCD, v.ID(), source, Concluded
	e.Context.Timestamp, e.Context.SchemaURI = issued.Format(time.RFC3339Nano), schemaURI
	relation := link{Type: "RELATION", Kind: "TRIGGER"}
	relation.Target.ContextID = d.EventID
	e.Context.Links = []link{relation}
	e.Subject.ID, e.Subject.Source, e.Subject.Type, e.Subject.Content = string(v.ValidationID), source, "assay-validation", v
	payload, err := json.Marshal(e)
	if err != nil {
		return verdicts.Message{}, err
	}
	r := d.Release
	m := verdicts.Message{ID: v.ID(), Key: r.Environment + "/" + r.Namespace + "/" + r.Service, ContentType: "application/json", Payload: payload}
	for _, h := range [][2]string{
		{"ce_specversion", specCE},
		{"ce_id", v.ID()},
		{"ce_source", source},
		{"ce_type", Concluded},
		{"ce_subject", string(v.ValidationID)},
		{"ce_time", e.Context.Timestamp},
		{"ce_partitionkey", m.Key},
		{"ce_dataref", v.Bundle},
	} {
		m.Headers = append(m.Headers, verdicts.Header{Key: h[0], Value: []byte(h[1])})
	}
	return m, nil
}
