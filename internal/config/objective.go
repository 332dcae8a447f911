package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// objective is one clause of a ReleaseValidation: an SLO, a signal, logs or traces, its
// role, and perhaps bounds of its own.
type objective struct {
	SLORef    string `yaml:"sloRef"`
	Signal    string `yaml:"signal"`
	Source    string `yaml:"source"` // of a built-in signal; builtIn.source of the process if absent
	Role      role   `yaml:"role" need:"true"`
	Tolerance bound  `yaml:"tolerance"`
	Margin    bound  `yaml:"margin"`
	clauses   `yaml:",inline"`
	Logs      *logsClause   `yaml:"logs"`
	Traces    *tracesClause `yaml:"traces"`
	RawQuery  later         `yaml:"rawQuery" of:"any expression, compared as a level; name a ratio of counters by sloRef, or a gauge or histogram by spec.signals"`
}

const objectivesPath = "spec.objectives"

// objectives reads the objectives into out: first those about one signal, which lines
// may be held against, then, in the places where they are written, those about logs and
// traces.
func (o validationObject) objectives(d *document, s *set, out *policy) {
	own := o.signals(d, s)
	plain := make([]analysis.Objective, len(o.Spec.Objectives))
	places := make([]Written, len(o.Spec.Objectives))
	first := map[string]int{}
	critical := false
	for i, written := range o.Spec.Objectives {
		path, name := at(objectivesPath, i), written.clause()
		if name == "" {
			plain[i], places[i] = written.read(d, path, s, own, o.Spec.Cohorts.Baseline.Mode)
			name = plain[i].Name
		}
		if before, twice := first[name]; twice && name != "" {
			d.fail(path, "%s is %s already", name, at(objectivesPath, before))
		}
		first[name] = i
		critical = critical || plain[i].Role == analysis.Critical
	}
	for i, written := range o.Spec.Objectives {
		if written.clause() == "" {
			out.Objectives, out.written = append(out.Objectives, plain[i]), append(out.written, places[i])
			continue
		}
		read, written := written.streams(d, at(objectivesPath, i), s, plain, out)
		out.Objectives, out.written = append(out.Objectives, read...), append(out.written, written...)
	}
	if !critical {
		d.fail(objectivesPath, "has no critical objective: nothing could ever be promoted, since promote needs every critical objective shown safe and at least one")
	}
}

func (o objective) read(d *document, path string, s *set, own map[string]named, mode cohortMode) (analysis.Objective, Written) {
	w := Written{Objective: d.whereIs(path)}
	out := analysis.Objective{Role: analysis.Role(o.Role), Tolerance: o.Tolerance.pointer(), Margin: o.Margin.pointer()}
	known := false
	switch {
	case o.SLORef != "" && o.Signal != "":
		d.fail(join(path, "signal"), "sloRef and signal exclude each other")
	case o.SLORef != "":
		out.Name = o.SLORef
		promised, there := s.slos[o.SLORef]
		if !there {
			d.fail(join(path, "sloRef"), "no SLO is called %q%s", o.SLORef, legalList(o.SLORef, names(s.slos)))
			break
		}
		if o.Source != "" {
			d.fail(join(path, "source"), "an SLO names its source itself")
		}
		out.Signal, known = promised.signal, promised.sound
		if !promised.threshold {
			out.Target, out.SLOWindow = promised.target, promised.length()
		}
		w.Event, w.Total, w.slo = promised.written.Event, promised.written.Total, true
	case o.Signal != "" && own[o.Signal].signal.Name != "":
		out.Name = o.Signal
		out.Signal, known = own[o.Signal].signal, own[o.Signal].sound
		w.Event, w.Total = own[o.Signal].written.Event, own[o.Signal].written.Total
		if o.Source != "" {
			d.fail(join(path, "source"), "a signal of spec.signals names its source itself")
		}
	case o.Signal != "":
		out.Name = o.Signal
		out.Signal, known = o.builtin(d, path, s, names(own))
		w.Event = d.whereIs(join(path, "signal"))
		w.Total = w.Event
	default:
		d.fail(path, "needs sloRef, signal, logs or traces")
	}
	if known {
		o.clauses.read(d, path, mode, &out)
		if out.Leak != nil {
			out.Name += leakSuffix // beside the level of the same signal
		}
		o.checkBounds(d, path, out)
	}
	return out, w
}

const leakSuffix = "_leak"

// builtin finds the built-in signal that o names, in the words of its source; own are
// the other names that would have been legal.
func (o objective) builtin(d *document, path string, s *set, own []string) (analysis.Signal, bool) {
	source, about := o.Source, Metrics
	if ofSpans(o.Signal) {
		about = Spans
	}
	switch {
	case source != "":
		named, there := s.sources.find(d, join(path, "source"), source, about)
		if !there {
			return analysis.Signal{}, false
		}
		source = named.Name
	case about == Spans:
		source = OTLPSource
	default:
		source = s.builtIn
	}
	signal, known := findBuiltin(o.Signal, source)
	if known {
		return signal, true
	}
	hint := ""
	if _, isSLO := s.slos[o.Signal]; isSLO {
		hint = "; it is the name of an SLO, which sloRef refers to"
	}
	d.fail(join(path, "signal"), "unknown signal %q%s%s", o.Signal, legalList(o.Signal, append(builtinNames(), own...)), hint)
	return signal, false
}

// checkBounds reports bounds that mean nothing for the objective, or that leave
// no gap between what is tolerated and what is unsafe.
func (o objective) checkBounds(d *document, path string, out analysis.Objective) {
	for _, b := range []struct {
		key string
		bound
	}{{"tolerance", o.Tolerance}, {"margin", o.Margin}} {
		switch p := join(path, b.key); {
		case b.percent && out.Target > 0:
			share := (b.Ratio - 1) * 100
			d.fail(p, "%.4g%% of what? Write {budget: %.4g%%} for a share of the error budget, or {ratio: %.4g} for a multiple of the baseline", share, share, b.Ratio)
		case b.set && b.Budget != 0 && out.Target == 0:
			d.fail(join(p, "budget"), "a share of the error budget needs an SLO (sloRef)")
		case b.set && b.Ratio != 1 && out.Target > 0 && out.Signal.Shape == analysis.ShapeLevel:
			d.fail(join(p, "ratio"), "a ratio of gauges is compared by its difference, so that a multiple of the baseline means nothing; write {budget: 25%%}")
		}
	}
	if d.faulty(path) {
		return
	}
	where, hint := join(path, "margin"), ""
	if out.Margin == nil {
		where, hint = join(path, "tolerance"), "; that margin is the default, write a larger one beside the tolerance"
	}
	for _, err := range unjoin(out.Validate()) {
		d.fail(where, "%s%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("objective %q: ", out.Name)), hint)
	}
}

// unjoin returns the errors that errors.Join put together.
func unjoin(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
