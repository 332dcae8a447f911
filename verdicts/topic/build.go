package topic

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
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
		Links       []link `json:"links,omitempty"`
	} `json:"context"`
	Subject struct {
		ID      string           `json:"id"`
		Source  string           `json:"source"`
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

var errPending = errors.New("a verdict without issuedAt is not final and not published")

// Build returns the record of a final verdict on a deployment. The verdict stands
// in it as it is served over HTTP, byte for byte. The same arguments give the same
// record.
func Build(v verdicts.Verdict, d analysis.Deployment) (verdicts.Message, error) {
	if !v.Final || v.IssuedAt == nil {
		return verdicts.Message{}, errPending
	}
	var e cdEvent
	e.Context.SpecVersion, e.Context.ID, e.Context.Source, e.Context.Type = specCD, v.ID(), source, Concluded
	e.Context.Timestamp, e.Context.SchemaURI = v.IssuedAt.UTC().Format(time.RFC3339Nano), schemaURI
	if d.EventID != "" { // a validation that was asked for over HTTP has no event
		relation := link{Type: "RELATION", Kind: "TRIGGER"}
		relation.Target.ContextID = d.EventID
		e.Context.Links = []link{relation}
	}
	e.Subject.ID, e.Subject.Source, e.Subject.Content = string(v.ValidationID), source, v
	payload, err := json.Marshal(e)
	if err != nil {
		return verdicts.Message{}, err
	}
	if len(payload) > kafka.MaxWrite {
		return verdicts.Message{}, fmt.Errorf("verdict %s: the record has %d bytes, at most %d are written", v.ID(), len(payload), kafka.MaxWrite)
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
		{"ce_sequence", strconv.Itoa(v.Seq)},
		{"ce_dataref", v.Bundle},
	} {
		if h[1] != "" {
			m.Headers = append(m.Headers, verdicts.Header{Key: h[0], Value: []byte(h[1])})
		}
	}
	return m, nil
}
