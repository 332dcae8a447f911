package intake

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads a deployment event. It is pure: whether the event is too old, is an
// orphan or comes from somebody who may not send it is decided later, with a clock
// and a policy. It never panics; input on which it would is Poison.
func Decode(m Message, l Limits) (Decoded, *Rejection) {
	var e envelope
	return survive(&e, func() (Decoded, *Rejection) {
		var rejection *Rejection
		if e, rejection = open(m, l); rejection != nil {
			return Decoded{}, rejection
		}
		kind, known, rejection := kindOf(e.attributes["type"])
		if rejection != nil {
			return Decoded{}, rejection
		}
		c, rejection := readCDEvent(e)
		if rejection != nil {
			return Decoded{}, rejection
		}
		if !known {
			return Decoded{Outcome: Ignored, Type: c.Context.Type}, nil
		}
		event, rejection := deploymentEvent(kind, c, e, l)
		if rejection != nil {
			return Decoded{}, rejection
		}
		hash, err := contentHash(e.data)
		if err != nil {
			return Decoded{}, syntaxFault(err, e.dataAt)
		}
		return Decoded{Outcome: Accepted, Type: event.Type, Event: event, ContentHash: hash}, nil
	})
}

// survive turns a panic of read into a rejection, and names in every rejection the
// event that it is about, as far as e came to know it.
func survive(e *envelope, read func() (Decoded, *Rejection)) (d Decoded, rejection *Rejection) {
	defer func() {
		if p := recover(); p != nil {
			d, rejection = Decoded{}, &Rejection{Reason: Poison, Detail: fmt.Sprintf("the decoder panicked: %.200v", p)}
		}
		if rejection == nil {
			return
		}
		// Only what can stand in a log line and in a row.
		if checkText(e.source(), maxSource) == nil && checkID(e.id()) == nil {
			rejection.EventSource, rejection.EventID = e.source(), e.id()
		}
		if rejection.Reason == UnsupportedSchema {
			rejection.DeploymentID = deploymentOf(e.data)
		}
		rejection.Detail = clean(rejection.Detail)
	}()
	return read()
}

// clean keeps the text of an error on one line and bounded.
func clean(s string) string {
	if len(s) > 500 {
		s = s[:500] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// assayData is customData.assay, version 1. Members that it does not know are
// ignored: a newer producer may say more.
type assayData struct {
	DeploymentID string            `json:"deploymentId"`
	Namespace    string            `json:"namespace"`
	Mode         string            `json:"mode"`
	Strategy     string            `json:"strategy"`
	Phase        string            `json:"phase"`
	Step         *stepData         `json:"step"`
	Canary       armData           `json:"canary"`
	Baseline     armData           `json:"baseline"`
	StartedAt    string            `json:"startedAt"`
	Warmup       string            `json:"warmup"`
	MaxDuration  string            `json:"maxDuration"`
	PolicyRef    string            `json:"policyRef"`
	ChangeID     string            `json:"changeId"`
	ExpectLines  []string          `json:"expectLines"`
	CallbackURL  string            `json:"callbackUrl"`
	Labels       map[string]string `json:"labels"`
}

type stepData struct {
	Index  int      `json:"index"`
	Total  int      `json:"total"`
	Weight *float64 `json:"weight"`
}

type armData struct {
	Version  string            `json:"version"`
	Selector map[string]string `json:"selector"`
}

// readAssayData finds our part of the custom data; none is no fault.
func readAssayData(custom jsontext.Value, at string, slips bool) (assayData, *Rejection) {
	var a assayData
	if custom.Kind() != '{' {
		return a, nil // absent, or the base64 of something else
	}
	if slips {
		if rejection := findSlip(custom, at); rejection != nil {
			return a, rejection
		}
	}
	var outer struct {
		Assay jsontext.Value `json:"assay"`
	}
	if err := json.Unmarshal(custom, &outer, scanned); err != nil {
		return a, semanticFault(err, at)
	}
	at += ".assay"
	if outer.Assay == nil {
		return a, nil
	}
	if outer.Assay.Kind() != '{' {
		return a, &Rejection{Reason: Schema, Path: at, Detail: "must be an object, not " + kindName(outer.Assay.Kind())}
	}
	if path, found := findNull(outer.Assay); found {
		return a, &Rejection{Reason: Schema, Path: join(at, path), Detail: "null; leave the member out"}
	}
	if err := json.Unmarshal(outer.Assay, &a, scanned); err != nil {
		return a, semanticFault(err, at)
	}
	return a, nil
}

// findSlip refuses a name of ours in another case. Elsewhere in the custom data,
// and as the name of a label, it is somebody else's.
func findSlip(custom jsontext.Value, at string) *Rejection {
	refuse := func(path, name, meant string) *Rejection {
		return &Rejection{Reason: Schema, Path: path + "." + clip(name), Detail: "did you mean " + meant + "? Names are case-sensitive"}
	}
	if name, meant := misspelt(custom, "assay"); name != "" {
		return refuse(at, name, meant)
	}
	var outer struct {
		Assay jsontext.Value `json:"assay"`
	}
	if json.Unmarshal(custom, &outer, scanned) != nil || outer.Assay.Kind() != '{' {
		return nil // refused by who reads it
	}
	at += ".assay"
	if name, meant := misspelt(outer.Assay, "deploymentId", "namespace", "mode", "strategy", "phase", "step", "canary", "baseline",
		"startedAt", "warmup", "maxDuration", "policyRef", "changeId", "expectLines", "callbackUrl", "labels"); name != "" {
		return refuse(at, name, meant)
	}
	var objects map[string]jsontext.Value
	if json.Unmarshal(outer.Assay, &objects, scanned) != nil {
		return nil
	}
	for _, o := range []struct {
		name  string
		known []string
	}{{"step", []string{"index", "total", "weight"}}, {"canary", []string{"version", "selector"}}, {"baseline", []string{"version", "selector"}}} {
		if name, meant := misspelt(objects[o.name], o.known...); name != "" {
			return refuse(at+"."+o.name, name, meant)
		}
	}
	return nil
}
