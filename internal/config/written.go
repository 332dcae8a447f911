package config

import (
	"fmt"
	"path"

	"github.com/release-assay/assay/analysis"
)

// A Place is where something stands in a file.
type Place struct {
	File         string
	Line, Column int    // from 1; 0 where it stands in no file
	Path         string // of the field
}

// Fault is a mistake that was found out about what stands there.
func (p Place) Fault(format string, args ...any) Fault {
	return Fault{File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Message: fmt.Sprintf(format, args...)}
}

// whereIs returns the place of the field at path, or of the nearest parent.
func (d *document) whereIs(path string) Place {
	n := d.place(path)
	return Place{File: d.file, Line: n.Line, Column: n.Column, Path: path}
}

// Written says where an objective and its counters are written down.
type Written struct {
	Objective Place // in its ReleaseValidation
	Event     Place // the bad or the good counter; of a built-in signal, its name; of a histogram or gauge, that
	Total     Place
	slo       bool   // it names an SLO
	clause    string // logs or traces: it is a part of such an objective
}

// Written returns where an objective of a policy stands. Of the built-in plan,
// which stands nowhere, it is empty.
func (p Policies) Written(policy, objective string) Written {
	for _, read := range p.policies {
		if read.Name != policy {
			continue
		}
		for i, o := range read.Objectives {
			if o.Name == objective {
				return read.written[i]
			}
		}
	}
	return Written{}
}

// Match returns the patterns that a policy matches releases by. No environments are
// all of them.
func (p Policies) Match(policy string) (service string, environments []string) {
	for _, read := range p.policies {
		if read.Name == policy {
			return read.service, read.environments
		}
	}
	return "*", nil
}

// Covers reports whether telemetry that was seen may be of a release that a policy
// matches. What it does not carry may be anything.
func (p Policies) Covers(policy string, seen analysis.Seen) bool {
	for _, read := range p.policies {
		if read.Name == policy {
			return read.match.covers(seen)
		}
	}
	return true
}

func (m match) covers(seen analysis.Seen) bool {
	for _, part := range [3]struct {
		patterns []string
		value    string
	}{{[]string{m.service}, seen.Service}, {m.environments, seen.Environment}, {m.namespaces, seen.Namespace}} {
		fits := len(part.patterns) == 0 || part.value == ""
		for _, p := range part.patterns {
			ok, err := path.Match(p, part.value)
			fits = fits || ok && err == nil
		}
		if !fits {
			return false
		}
	}
	return true
}
