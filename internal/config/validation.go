package config

import (
	"cmp"
	"maps"
	"regexp"

	"github.com/release-assay/assay/analysis"
)

// validationObject is a ReleaseValidation: how releases of some services are
// compared.
type validationObject struct {
	header `yaml:",inline"`
	Spec   struct {
		Match struct {
			Service      string   `yaml:"service" need:"true"`
			Environments []string `yaml:"environments"`
			Namespaces   []string `yaml:"namespaces"`
		} `yaml:"match" need:"true"`
		Cohorts struct {
			Canary struct {
				Matchers map[string]string `yaml:"matchers" need:"true"`
			} `yaml:"canary"`
			Baseline struct {
				Matchers map[string]string `yaml:"matchers"`
				Mode     cohortMode        `yaml:"mode"`
			} `yaml:"baseline"`
			Control struct {
				Matchers map[string]string `yaml:"matchers" need:"true"`
			} `yaml:"control"`
		} `yaml:"cohorts"`
		Window     window      `yaml:"window"`
		Signals    []ownSignal `yaml:"signals"`
		Objectives []objective `yaml:"objectives" need:"true"`
		Decision   decision    `yaml:"decision"`
		Costs      *costs      `yaml:"costs"`
		Gates      later       `yaml:"gates"`
	} `yaml:"spec" need:"true"`
}

type window struct {
	Warmup         analysis.Duration `yaml:"warmup"`
	MinBake        analysis.Duration `yaml:"minBake"`
	Deadline       analysis.Duration `yaml:"deadline"`
	OnUnderpowered onUnderpowered    `yaml:"onUnderpowered"`
}

type decision struct {
	AlphaRollback float64 `yaml:"alphaRollback"`
	AlphaPromote  float64 `yaml:"alphaPromote"`
}

type cohortMode string

const (
	modeConcurrent     = cohortMode(analysis.Concurrent)
	modePreviousWindow = cohortMode(analysis.PreviousWindow)
	modeBoth           = cohortMode(analysis.Both)
)

func (cohortMode) legal() (now, later []string) {
	return []string{string(modeConcurrent), string(modePreviousWindow), string(modeBoth)}, nil
}

// orConcurrent is the mode that holds where none is written.
func (m cohortMode) orConcurrent() cohortMode { return cmp.Or(m, modeConcurrent) }

// comparison is the mode in the words of a plan, which leave out the default.
func (m cohortMode) comparison() analysis.Comparison {
	if m == modeConcurrent {
		return ""
	}
	return analysis.Comparison(m)
}

type onUnderpowered string

func (onUnderpowered) legal() (now, later []string) {
	return []string{string(analysis.WaitUnderpowered), string(analysis.HoldUnderpowered)}, nil
}

type role string

func (role) legal() (now, later []string) {
	return []string{string(analysis.Critical), string(analysis.Secondary), string(analysis.Advisory)}, nil
}

// A policy is a ReleaseValidation that was read.
type policy struct {
	match
	analysis.Policy
	written []Written // of each objective
	where   string
}

// readValidation reads a ReleaseValidation. The SLOs of the set were read before.
func readValidation(d *document, s *set) policy {
	o := validationObject{}
	byDefault := analysis.DefaultWindow()
	o.Spec.Window = window{byDefault.Warmup, byDefault.MinBake, byDefault.Deadline, onUnderpowered(byDefault.OnUnderpowered)}
	o.Spec.Decision = decision{analysis.DefaultAlphaRollback, analysis.DefaultAlphaPromote}
	d.decode(d.root, "", &o)

	o.Metadata.checkName(d)
	if o.Metadata.Name == BuiltinPolicyName {
		d.fail("metadata.name", "%q is the name of the plan that is used where no ReleaseValidation matches", BuiltinPolicyName)
	}
	out := policy{
		match: match{o.Spec.Match.Service, o.Spec.Match.Environments, o.Spec.Match.Namespaces},
		Policy: analysis.Policy{
			Name:          o.Metadata.Name,
			AlphaRollback: o.Spec.Decision.AlphaRollback,
			AlphaPromote:  o.Spec.Decision.AlphaPromote,
			Canary:        o.Spec.Cohorts.Canary.Matchers,
			Baseline:      o.Spec.Cohorts.Baseline.Matchers,
			Control:       o.Spec.Cohorts.Control.Matchers,
			Comparison:    o.Spec.Cohorts.Baseline.Mode.comparison(),
		},
		where: d.position("metadata.name"),
	}
	out.check(d)
	o.checkCohorts(d)
	out.Window = o.Spec.Window.read(d)
	o.Spec.Decision.check(d)
	out.Costs = o.Spec.Costs.read(d)
	o.objectives(d, s, &out)
	return out
}

// check holds the patterns of a match to what they may be.
func (m match) check(d *document) {
	if err := checkPattern(m.service); err != nil {
		d.fail("spec.match.service", "%v", err)
	}
	for path, patterns := range map[string][]string{"spec.match.environments": m.environments, "spec.match.namespaces": m.namespaces} {
		for i, p := range patterns {
			if err := checkPattern(p); err != nil {
				d.fail(at(path, i), "%v", err)
			}
		}
		if patterns != nil && len(patterns) == 0 {
			d.fail(path, "an empty list matches nothing; leave out the key to match everything")
		}
	}
}

// template finds what a matcher is bound to when a release is planned. Everything
// else in it is taken literally.
var template = regexp.MustCompile(`\$\{[^}]*\}?`)

var templates = []string{"${canary.version}", "${baseline.version}"}

func (o validationObject) checkCohorts(d *document) {
	canary, baseline, control := o.Spec.Cohorts.Canary.Matchers, o.Spec.Cohorts.Baseline.Matchers, o.Spec.Cohorts.Control.Matchers
	for path, matchers := range map[string]map[string]string{
		"spec.cohorts.canary.matchers": canary, "spec.cohorts.baseline.matchers": baseline, "spec.cohorts.control.matchers": control,
	} {
		if matchers != nil && len(matchers) == 0 {
			d.fail(path, "is empty, so that every pod of the service would play the arm; leave out the cohort to select by service.version")
		}
		for name, value := range matchers {
			if !attributeName.MatchString(name) {
				d.fail(join(path, name), "%s", badAttribute(name))
			}
			if value == "" {
				d.fail(join(path, name), "is empty, which no source can tell from an attribute that is not there")
			}
			for _, found := range template.FindAllString(value, -1) {
				if found != templates[0] && found != templates[1] {
					d.fail(join(path, name), "unknown template %s%s", found, legalList(found, templates))
				}
			}
		}
	}
	if len(canary) > 0 && maps.Equal(canary, baseline) {
		d.fail("spec.cohorts.baseline.matchers", "are those of the canary: both arms would be the same pods")
	}
	for arm, matchers := range map[string]map[string]string{"canary": canary, "baseline": baseline} {
		if len(control) > 0 && maps.Equal(control, matchers) {
			d.fail("spec.cohorts.control.matchers", "are those of the %s: the control is made of pods outside of the change", arm)
		}
	}
}

// read checks the bounds of a window against each other.
func (w window) read(d *document) analysis.Window {
	const path = "spec.window"
	switch {
	case w.Deadline <= 0:
		d.fail(join(path, "deadline"), "must be positive")
	case w.Warmup >= w.Deadline && !d.faulty(join(path, "deadline")):
		d.fail(join(path, "warmup"), "the warmup (%v) must be shorter than the deadline (%v)", w.Warmup, w.Deadline)
	case w.MinBake >= w.Deadline && !d.faulty(join(path, "deadline")):
		d.fail(join(path, "minBake"), "the bake (%v) must be shorter than the deadline (%v), or nothing could be promoted", w.MinBake, w.Deadline)
	}
	return analysis.Window{Warmup: w.Warmup, MinBake: w.MinBake, Deadline: w.Deadline, OnUnderpowered: analysis.OnUnderpowered(w.OnUnderpowered)}
}

func (c decision) check(d *document) {
	for path, alpha := range map[string]float64{"spec.decision.alphaRollback": c.AlphaRollback, "spec.decision.alphaPromote": c.AlphaPromote} {
		if !(alpha > 0 && alpha < 0.5) {
			d.fail(path, "%v is not in (0, 0.5)", alpha)
		}
	}
}
