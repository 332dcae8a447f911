package intake

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

const (
	// SpecVersion is the version of CDEvents that Assay writes.
	SpecVersion = "0.5.1"
	stepSchema  = "https://assay.dev/schemas/assay-deployment.step.0.1.0.json"
	writes      = ".0.3.0" // the version of service events that Assay writes
)

// outgoing is a CDEvent as Assay writes it. It is not cdEvent, because what is
// absent must not be written.
type outgoing struct {
	Context struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		ChainID     string `json:"chainId,omitzero"`
		Source      string `json:"source"`
		Type        string `json:"type"`
		Timestamp   string `json:"timestamp"`
		SchemaURI   string `json:"schemaUri,omitzero"`
	} `json:"context"`
	Subject struct {
		ID      string `json:"id"`
		Content struct {
			Environment struct {
				ID string `json:"id"`
			} `json:"environment"`
			ArtifactID string `json:"artifactId,omitzero"`
		} `json:"content"`
	} `json:"subject"`
	CustomData struct {
		Assay outgoingAssay `json:"assay"`
	} `json:"customData"`
	CustomDataContentType string `json:"customDataContentType"`
}

type outgoingAssay struct {
	DeploymentID string            `json:"deploymentId,omitzero"`
	Namespace    string            `json:"namespace,omitzero"`
	Mode         string            `json:"mode,omitzero"`
	Strategy     string            `json:"strategy,omitzero"`
	Phase        string            `json:"phase,omitzero"`
	Step         *outgoingStep     `json:"step,omitzero"`
	Canary       outgoingArm       `json:"canary,omitzero"`
	Baseline     outgoingArm       `json:"baseline,omitzero"`
	StartedAt    string            `json:"startedAt,omitzero"`
	Warmup       string            `json:"warmup,omitzero"`
	MaxDuration  string            `json:"maxDuration,omitzero"`
	PolicyRef    string            `json:"policyRef,omitzero"`
	ChangeID     string            `json:"changeId,omitzero"`
	ExpectLines  []string          `json:"expectLines,omitempty"`
	CallbackURL  string            `json:"callbackUrl,omitzero"`
	Labels       map[string]string `json:"labels,omitempty"`
}

type outgoingStep struct {
	Index  int     `json:"index"`
	Total  int     `json:"total"`
	Weight float64 `json:"weight"`
}

type outgoingArm struct {
	Version  string            `json:"version,omitzero"`
	Selector map[string]string `json:"selector,omitempty"`
}

func (a outgoingArm) IsZero() bool { return a.Version == "" && len(a.Selector) == 0 }

// Encode writes an event as a CloudEvent in binary mode, ready for Kafka; HTTP
// turns it into a request. An empty Type is filled in from the phase. What Decode
// would refuse is an error, with the same words.
func Encode(e analysis.Event) (Message, error) {
	if e.Type == "" {
		switch e.Phase {
		case analysis.PhaseStep:
			e.Type = typeStep + "." + stepVersion
		case analysis.PhaseAborted:
			e.Type = typeRolledBack + writes
		default:
			e.Type = typeUpgraded + writes
		}
	}
	var c outgoing
	c.Context.SpecVersion = SpecVersion
	c.Context.ID, c.Context.Source, c.Context.Type, c.Context.ChainID = e.ID, e.Source, e.Type, e.ChainID
	c.Context.Timestamp = instant(e.Time)
	if strings.HasPrefix(e.Type, typeStep) {
		c.Context.SchemaURI = stepSchema
	}
	c.Subject.ID = e.Release.Service
	c.Subject.Content.Environment.ID = e.Release.Environment
	if r := e.Release; r.Version != "" || r.ArtifactDigest != "" {
		c.Subject.Content.ArtifactID = makePURL(r.Service, r.Version, r.ArtifactDigest)
	}
	a := &c.CustomData.Assay
	*a = outgoingAssay{
		DeploymentID: string(e.DeploymentID), Namespace: e.Release.Namespace, Mode: string(e.Mode), Strategy: e.Strategy, Phase: string(e.Phase),
		Canary:    outgoingArm{e.Release.Version, e.Canary},
		Baseline:  outgoingArm{e.Release.PreviousVersion, e.Baseline},
		PolicyRef: e.PolicyRef, ChangeID: e.ChangeID, ExpectLines: e.ExpectLines, CallbackURL: e.CallbackURL, Labels: e.Labels,
	}
	if s := e.Step; s != nil {
		a.Step = &outgoingStep{s.Index, s.Total, s.Weight}
	}
	if !e.StartedAt.IsZero() && !e.StartedAt.Equal(e.Time) {
		a.StartedAt = instant(e.StartedAt)
	}
	if e.Warmup != 0 {
		a.Warmup = e.Warmup.String()
	}
	if e.MaxDuration != 0 {
		a.MaxDuration = e.MaxDuration.String()
	}
	c.CustomDataContentType = "application/json"
	value, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return Message{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	m := Message{ContentType: "application/json", Key: []byte(Key(e.Release)), Value: value}
	for _, h := range [][2]string{
		{contentTypeHeader, m.ContentType},
		{"ce_specversion", "1.0"},
		{"ce_id", e.ID},
		{"ce_source", e.Source},
		{"ce_type", e.Type},
		{"ce_subject", e.Release.Service},
		{"ce_time", c.Context.Timestamp},
	} {
		m.Headers = append(m.Headers, store.Header{Key: h[0], Value: []byte(h[1])})
	}
	if _, rejection := Decode(m, DefaultLimits()); rejection != nil {
		return Message{}, fmt.Errorf("encode event: %w", rejection)
	}
	return m, nil
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Key is the key of events and verdicts of a service: it keeps them in order.
func Key(r analysis.Release) string {
	return r.Environment + "/" + r.Namespace + "/" + r.Service
}

// HTTP returns the message as a request in binary mode.
func (m Message) HTTP() (http.Header, []byte) {
	h := http.Header{}
	for _, kv := range m.Headers {
		name, ok := strings.CutPrefix(kv.Key, attributePrefix)
		if !ok {
			h.Set(kv.Key, string(kv.Value))
			continue
		}
		h.Set("ce-"+name, escapeHeader(kv.Value))
	}
	return h, bytes.Clone(m.Value)
}

// escapeHeader percent-encodes what the HTTP binding asks for.
func escapeHeader(v []byte) string {
	var b strings.Builder
	for _, c := range v {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			b.WriteString(url.PathEscape(string([]byte{c})))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
