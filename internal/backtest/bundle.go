package backtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// An Answer is a verdict as far as cases are compared by it.
type Answer struct {
	Verdict    verdicts.Word `json:"verdict"`
	ReasonCode analysis.Code `json:"reasonCode"`
	Reason     string        `json:"reason"`
	AsOf       *time.Time    `json:"asOf"` // event time up to which telemetry was looked at
}

// AnswerOf returns what is compared of a verdict.
func AnswerOf(v verdicts.Verdict) Answer {
	word := v.Verdict
	if !v.Final {
		word = verdicts.Pending
	}
	return Answer{word, v.ReasonCode, v.Reason, v.AsOf}
}

// A Case is one past release, judged twice.
type Case struct {
	From       string                `json:"from"` // the file that it was read from
	Deployment analysis.DeploymentID `json:"deployment"`
	Service    string                `json:"service"`
	Version    string                `json:"version"`
	Policy     string                `json:"policy"` // it would be judged by
	Before     Answer                `json:"before"` // pending: there is none either
	After      *Answer               `json:"after"`  // null: cannot tell
	CannotTell []string              `json:"cannotTell,omitempty"`
	Notes      []string              `json:"notes,omitempty"`
	Truth      Truth                 `json:"truth,omitempty"` // as people labelled it
}

// Changes reports whether another verdict would have come out. That the evidence ends
// before there is one is no other verdict.
func (c Case) Changes() bool {
	return c.After != nil && c.After.Verdict != verdicts.Pending && c.After.Verdict != c.Before.Verdict
}

// Judge judges the release of a bundle again by the policy that policyOf has for it. An
// error is the bundle's: it cannot be read, or not judged by any policy. That is also
// what becomes of a panic over a bundle that a stranger made: the others are judged.
func Judge(b *bundle.Bundle, policyOf func(analysis.Release, string) validation.Policy) (c Case, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the judge failed over %s: %v", b.Manifest.Validation, p)
		}
	}()
	recorded, err := b.Plan()
	if err != nil {
		return c, err
	}
	d := recorded.Deployment
	policy := policyOf(d.Release, d.PolicyRef)
	c = Case{Deployment: d.ID, Service: d.Release.Service, Version: d.Release.Version, Policy: policy.Name, Before: AnswerOf(b.Verdict)}
	switch {
	case len(policy.Objectives) == 0 && recorded.Refused != analysis.NoObjectives:
		c.CannotTell = []string{fmt.Sprintf("no policy is called %q", policy.Name)}
		return c, nil
	case recorded.Refused == "" && !sameCohorts(policy.Policy, recorded):
		c.CannotTell = []string{"its cohorts select other pods: " + analysis.ErrCannotTell.Error()}
		return c, nil
	}
	replan, err := recorded.Replan(policy.Policy)
	if err != nil {
		return c, fmt.Errorf("policy %q: %w", policy.Name, err)
	}
	c.CannotTell, c.Notes = replan.CannotTell, replan.Notes
	if replan.Plan == nil {
		return c, nil
	}
	v, err := fold(b, replan)
	if err != nil {
		return c, err
	}
	after := AnswerOf(v)
	c.After = &after
	return c, nil
}

// fold lets the looks of a bundle be judged by another plan, up to its verdict or to the
// last look.
func fold(b *bundle.Bundle, replan analysis.Replan) (verdicts.Verdict, error) {
	judge, err := validation.NewJudge(replan.Plan)
	if err != nil {
		return verdicts.Verdict{}, err
	}
	unchanged := judge.Verdict().PlanDigest == b.Verdict.PlanDigest
	for line, err := range b.Lines() {
		if err != nil {
			return verdicts.Verdict{}, err
		}
		line = bytes.TrimSuffix(line, []byte{'\n'})
		var recorded analysis.Look
		if err := json.Unmarshal(line, &recorded); err != nil {
			return verdicts.Verdict{}, err
		}
		if recorded.End != nil && !unchanged && !byPeople(recorded.End.Code) {
			break
		}
		look, same := replan.Look(recorded)
		if !same {
			if line, err = json.Marshal(look); err != nil {
				return verdicts.Verdict{}, err
			}
		}
		v, err := judge.Look(line)
		if err != nil || v.Final {
			return v, err
		}
	}
	return judge.Verdict(), nil
}

// byPeople reports whether an end came from outside, whatever the plan: other ends follow
// from the plan that was judged by.
func byPeople(end analysis.Code) bool {
	return end == analysis.Superseded || end == analysis.Cancelled
}

// sameCohorts reports whether the policy selects the pods that the recorded plan did.
func sameCohorts(policy analysis.Policy, recorded *analysis.Plan) bool {
	chosen, _ := validation.Cohorts(policy, recorded.Deployment, nil)
	release := recorded.Deployment.Release
	for _, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary, analysis.Control} {
		want, got := maps.Clone(chosen.Of(arm)), recorded.Cohorts.Of(arm)
		if (want == nil) != (got == nil) {
			return false
		}
		for name, value := range map[string]string{
			analysis.AttrService: release.Service, analysis.AttrEnvironment: release.Environment, analysis.AttrNamespace: release.Namespace,
		} { // the telemetry of that time carried them, or it did not
			if _, has := want[name]; !has && got[name] == value && value != "" {
				want[name] = value
			}
		}
		if !maps.Equal(want, got) {
			return false
		}
	}
	return true
}
