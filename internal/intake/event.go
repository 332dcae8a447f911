package intake

import (
	"fmt"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// deploymentEvent turns a CDEvent into the event of the house.
func deploymentEvent(kind string, c cdEvent, from envelope, l Limits) (analysis.Event, *Rejection) {
	r := reading{kind: kind, from: c, at: from.dataAt, limits: l}
	r.readMembers(from.slips)
	if r.fault != nil {
		return analysis.Event{}, r.fault
	}
	r.event = analysis.Event{
		Source: c.Context.Source, ID: c.Context.ID, Type: c.Context.Type, ChainID: c.Context.ChainID,
		Mode: analysis.Mode(r.custom.Mode), Strategy: r.custom.Strategy, DeploymentID: analysis.DeploymentID(r.custom.DeploymentID),
		Canary: r.custom.Canary.Selector, Baseline: r.custom.Baseline.Selector,
		PolicyRef: r.custom.PolicyRef, ChangeID: r.custom.ChangeID, ExpectLines: r.custom.ExpectLines, CallbackURL: r.custom.CallbackURL, Labels: r.custom.Labels,
	}
	r.readPlace()
	r.readVersions()
	r.readRollout()
	r.readJudging()
	if r.fault != nil {
		return analysis.Event{}, r.fault
	}
	return r.event, nil
}

// A reading is a CDEvent on its way to an event of the house. Its checks go on
// after a fault, and the first fault is the one that is told.
type reading struct {
	kind    string // the type without its version
	from    cdEvent
	content serviceContent
	custom  assayData
	at      string // where the CDEvent stands in the message
	limits  Limits

	event analysis.Event
	fault *Rejection
}

// customPath is where our part stands in a CDEvent.
const customPath = "customData.assay."

func (r *reading) refuse(path, format string, args ...any) {
	if r.fault == nil {
		r.fault = &Rejection{Reason: Schema, Path: r.at + "." + path, Detail: fmt.Sprintf(format, args...)}
	}
}

func (r *reading) check(path string, err error) {
	if err != nil {
		r.refuse(path, "%v", err)
	}
}

// name holds what is said of a member against the characters of a name, where
// anything is said.
func (r *reading) name(path, value, others string) {
	if value != "" {
		r.check(path, checkName(value, others))
	}
}

func (r *reading) text(path, value string, limit int) {
	if value != "" {
		r.check(path, checkText(value, limit))
	}
}

// readMembers decodes the content of the subject and our part of the custom data.
func (r *reading) readMembers(slips bool) {
	subject := r.from.Subject
	if subject.Type != "" && subject.Type != "service" {
		r.refuse("subject.type", "%q; the subject is a service", clip(subject.Type))
	}
	if subject.Content == nil {
		r.refuse("subject.content", "missing")
	} else if rejection := decode(subject.Content, &r.content, r.at+".subject.content"); rejection != nil && r.fault == nil {
		r.fault = rejection
	}
	var rejection *Rejection
	if r.custom, rejection = readAssayData(r.from.CustomData, r.at+".customData", slips); rejection != nil && r.fault == nil {
		r.fault = rejection
	}
}

// readPlace reads who is released, and where.
func (r *reading) readPlace() {
	var err error
	r.event.Time, err = parseTime(r.from.Context.Timestamp)
	r.check("context.timestamp", err)
	r.event.Release.Service = r.from.Subject.ID
	r.check("subject.id", checkName(r.from.Subject.ID, nameOthers))
	r.event.Release.Environment = r.content.Environment.ID
	r.check("subject.content.environment.id", checkName(r.content.Environment.ID, nameOthers))
	r.event.Release.Namespace = r.custom.Namespace
	r.name(customPath+"namespace", r.custom.Namespace, nameOthers)
	r.text("subject.content.environment.source", r.content.Environment.Source, maxSource)
}

// readVersions reads what is released, and instead of what. The version of the
// custom data is what telemetry is labelled with; the artifact only tells what was
// asked for.
func (r *reading) readVersions() {
	const path = "subject.content.artifactId"
	var image artifact
	if id := r.content.ArtifactID; id != "" {
		r.text(path, id, maxSource)
		var err error
		image, err = parsePURL(id)
		r.check(path, err)
	} else if r.kind != typeStep {
		r.refuse(path, "missing")
	}
	release := &r.event.Release
	release.ArtifactDigest = image.digest
	release.Version, release.PreviousVersion = r.custom.Canary.Version, r.custom.Baseline.Version
	r.name(customPath+"canary.version", release.Version, versionOthers)
	r.name(customPath+"baseline.version", release.PreviousVersion, versionOthers)
	if release.Version == "" {
		release.Version = image.version
		if release.Version == "" {
			release.Version = image.digest
		}
		r.name(path, release.Version, versionOthers)
	}
	if release.Version == "" && r.kind != typeStep {
		r.refuse(path, "names no version; give it one, or set customData.assay.canary.version")
	}
}

// readRollout reads what has happened to which deployment.
func (r *reading) readRollout() {
	e, custom := &r.event, r.custom
	var err error
	e.Phase, err = phaseOf(r.kind, custom)
	r.check(customPath+"phase", err)
	e.Step, err = stepOf(custom.Step, e.Phase, e.Time)
	r.check(customPath+"step", err)
	switch {
	case e.DeploymentID != "":
		r.check(customPath+"deploymentId", checkID(custom.DeploymentID))
	case e.Phase == analysis.PhaseStarted:
		e.DeploymentID = analysis.DeploymentID(e.ID)
	}
	e.StartedAt = e.Time
	if custom.StartedAt != "" {
		e.StartedAt, err = parseTime(custom.StartedAt)
		r.check(customPath+"startedAt", err)
	}
}

// readJudging reads how the deployment is to be judged.
func (r *reading) readJudging() {
	e, custom := &r.event, r.custom
	if e.Mode == "" {
		e.Mode = analysis.Live
	}
	r.check(customPath+"mode", oneOf(string(e.Mode), "live", "retrospective", "shadow"))
	if custom.Strategy != "" {
		r.check(customPath+"strategy", oneOf(custom.Strategy, "canary", "bluegreen", "rolling", "featureflag"))
	}
	var err error
	e.Warmup, err = durationOf(custom.Warmup)
	r.check(customPath+"warmup", err)
	e.MaxDuration, err = durationOf(custom.MaxDuration)
	r.check(customPath+"maxDuration", err)
	r.text(customPath+"policyRef", custom.PolicyRef, maxID)
	r.text(customPath+"changeId", custom.ChangeID, maxID)
	r.check(customPath+"expectLines", checkLines(custom.ExpectLines))
	if custom.CallbackURL != "" {
		r.check(customPath+"callbackUrl", checkCallback(custom.CallbackURL))
	}
	r.labels("labels", custom.Labels)
	r.labels("canary.selector", custom.Canary.Selector)
	r.labels("baseline.selector", custom.Baseline.Selector)
}

func (r *reading) labels(path string, m map[string]string) {
	if key, err := checkLabels(m, r.limits); err != nil {
		r.refuse(strings.TrimSuffix(customPath+path+"."+key, "."), "%v", err)
	}
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
