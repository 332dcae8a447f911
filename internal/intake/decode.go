package intake

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/release-assay/assay/analysis"
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
		"startedAt", "warmup", "maxDuration", "policyRef", "changeId", "callbackUrl", "labels"); name != "" {
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

// deploymentEvent turns a CDEvent into the event of the house.
func deploymentEvent(kind string, c cdEvent, from envelope, l Limits) (analysis.Event, *Rejection) {
	at := from.dataAt
	var fault *Rejection
	schema := func(path, format string, args ...any) {
		if fault == nil {
			fault = &Rejection{Reason: Schema, Path: at + "." + path, Detail: fmt.Sprintf(format, args...)}
		}
	}
	check := func(path string, err error) {
		if err != nil {
			schema(path, "%v", err)
		}
	}
	optional := func(path, value string, checkValue func(string) error) {
		if value != "" {
			check(path, checkValue(value))
		}
	}
	name := func(s string) error { return checkName(s, nameOthers) }
	version := func(s string) error { return checkName(s, versionOthers) }
	text := func(limit int) func(string) error { return func(s string) error { return checkText(s, limit) } }

	if c.Subject.Type != "" && c.Subject.Type != "service" {
		schema("subject.type", "%q; the subject is a service", clip(c.Subject.Type))
	}
	var content serviceContent
	if c.Subject.Content == nil {
		schema("subject.content", "missing")
	} else if rejection := decode(c.Subject.Content, &content, at+".subject.content"); rejection != nil && fault == nil {
		fault = rejection
	}
	const custom = "customData.assay."
	a, rejection := readAssayData(c.CustomData, at+".customData", from.slips)
	if rejection != nil && fault == nil {
		fault = rejection
	}
	if fault != nil {
		return analysis.Event{}, fault
	}

	e := analysis.Event{
		Source: c.Context.Source, ID: c.Context.ID, Type: c.Context.Type, ChainID: c.Context.ChainID,
		Mode: analysis.Mode(a.Mode), Strategy: a.Strategy, DeploymentID: analysis.DeploymentID(a.DeploymentID),
		Canary: a.Canary.Selector, Baseline: a.Baseline.Selector,
		PolicyRef: a.PolicyRef, ChangeID: a.ChangeID, CallbackURL: a.CallbackURL, Labels: a.Labels,
	}
	var err error
	e.Time, err = parseTime(c.Context.Timestamp)
	check("context.timestamp", err)

	// Who is released, where.
	e.Release.Service = c.Subject.ID
	check("subject.id", name(c.Subject.ID))
	e.Release.Environment = content.Environment.ID
	check("subject.content.environment.id", name(content.Environment.ID))
	e.Release.Namespace = a.Namespace
	optional(custom+"namespace", a.Namespace, name)
	optional("subject.content.environment.source", content.Environment.Source, text(maxSource))

	// What. The version of the custom data is what telemetry is labelled with; the
	// artifact only tells what was asked for.
	var image artifact
	if content.ArtifactID != "" {
		optional("subject.content.artifactId", content.ArtifactID, text(maxSource))
		image, err = parsePURL(content.ArtifactID)
		check("subject.content.artifactId", err)
	} else if kind != typeStep {
		schema("subject.content.artifactId", "missing")
	}
	e.Release.ArtifactDigest = image.digest
	e.Release.Version, e.Release.PreviousVersion = a.Canary.Version, a.Baseline.Version
	optional(custom+"canary.version", a.Canary.Version, version)
	optional(custom+"baseline.version", a.Baseline.Version, version)
	if e.Release.Version == "" {
		e.Release.Version = image.version
		if e.Release.Version == "" {
			e.Release.Version = image.digest
		}
		optional("subject.content.artifactId", e.Release.Version, version)
	}
	if e.Release.Version == "" && kind != typeStep {
		schema("subject.content.artifactId", "names no version; give it one, or set customData.assay.canary.version")
	}

	// What happened.
	e.Phase, err = phaseOf(kind, a)
	check(custom+"phase", err)
	e.Step, err = stepOf(a.Step, e.Phase, e.Time)
	check(custom+"step", err)
	switch {
	case e.DeploymentID != "":
		check(custom+"deploymentId", checkID(a.DeploymentID))
	case e.Phase == analysis.PhaseStarted:
		e.DeploymentID = analysis.DeploymentID(e.ID)
	}
	e.StartedAt = e.Time
	if a.StartedAt != "" {
		e.StartedAt, err = parseTime(a.StartedAt)
		check(custom+"startedAt", err)
	}

	// How to judge it.
	if e.Mode == "" {
		e.Mode = analysis.Live
	}
	check(custom+"mode", oneOf(string(e.Mode), "live", "retrospective", "shadow"))
	if a.Strategy != "" {
		check(custom+"strategy", oneOf(a.Strategy, "canary", "bluegreen", "rolling", "featureflag"))
	}
	e.Warmup, err = durationOf(a.Warmup)
	check(custom+"warmup", err)
	e.MaxDuration, err = durationOf(a.MaxDuration)
	check(custom+"maxDuration", err)
	optional(custom+"policyRef", a.PolicyRef, text(maxID))
	optional(custom+"changeId", a.ChangeID, text(maxID))
	optional(custom+"callbackUrl", a.CallbackURL, checkCallback)
	labels := func(path string, m map[string]string) {
		if key, err := checkLabels(m, l); err != nil {
			schema(strings.TrimSuffix(custom+path+"."+key, "."), "%v", err)
		}
	}
	labels("labels", a.Labels)
	labels("canary.selector", a.Canary.Selector)
	labels("baseline.selector", a.Baseline.Selector)
	if fault != nil {
		return analysis.Event{}, fault
	}
	return e, nil
}

// phaseOf lets the type and the custom data not contradict each other.
func phaseOf(kind string, a assayData) (analysis.Phase, error) {
	switch kind {
	case typeStep:
		if a.Phase != "" && a.Phase != "step" {
			return "", fmt.Errorf("%q in a step event", clip(a.Phase))
		}
		return analysis.PhaseStep, nil
	case typeRolledBack:
		if a.Phase != "" && a.Phase != "aborted" {
			return "", fmt.Errorf("%q in a rolledback event", clip(a.Phase))
		}
		return analysis.PhaseAborted, nil
	}
	if a.Phase == "" {
		return analysis.PhaseStarted, nil
	}
	return analysis.Phase(a.Phase), oneOf(a.Phase, "started", "step", "finished", "aborted")
}

const maxSteps = 1000

func stepOf(s *stepData, phase analysis.Phase, at time.Time) (*analysis.Step, error) {
	if s == nil {
		if phase == analysis.PhaseStep {
			return nil, fmt.Errorf("missing: a step event tells its weight")
		}
		return nil, nil
	}
	if s.Weight == nil {
		return nil, fmt.Errorf("weight: missing")
	}
	if *s.Weight < 0 || *s.Weight > 1 {
		return nil, fmt.Errorf("weight: %g is not in 0 to 1; write 0.25 for 25 percent", *s.Weight)
	}
	if s.Index < 0 || s.Total < 0 || s.Total > maxSteps || s.Index > maxSteps || s.Total > 0 && s.Index > s.Total {
		return nil, fmt.Errorf("index %d of %d; legal are 0 to %d, the index at most the total", s.Index, s.Total, maxSteps)
	}
	return &analysis.Step{Index: s.Index, Total: s.Total, Weight: *s.Weight, At: at}, nil
}

const maxDuration = 30 * 24 * time.Hour

func durationOf(s string) (analysis.Duration, error) {
	if s == "" {
		return 0, nil
	}
	var d analysis.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("%q is no duration (write 90s, 15m, 1h)", clip(s))
	}
	if d < 0 || d.D() > maxDuration {
		return 0, fmt.Errorf("%s is not in 0 to %s", clip(s), analysis.Duration(maxDuration))
	}
	return d, nil
}

func oneOf(s string, legal ...string) error {
	for _, l := range legal {
		if s == l {
			return nil
		}
	}
	return fmt.Errorf("%q; legal are %s", clip(s), strings.Join(legal, ", "))
}
