package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

// stateRecord is a State as plain data. What follows from the plan is not in it.
type stateRecord struct {
	Steps      []Step
	First      Fold
	Seen       string
	Objectives []objectiveRecord
}

type objectiveRecord struct {
	Next        Fold
	Folds       int
	Missing     Code
	Coverage    [2]armCoverage
	Identity    [2]armIdentity
	Recent      []recentFold
	EnvL        []float64
	EnvLeft     int
	Accumulator []byte
}

// Snapshot returns the state as bytes for a checkpoint. Restoring it and folding
// on gives bit for bit what folding everything again would.
func (s *State) Snapshot() ([]byte, error) {
	r := stateRecord{Steps: s.steps, First: s.first, Seen: s.seen}
	for i := range s.objectives {
		o := &s.objectives[i]
		acc, err := o.acc.snapshot()
		if err != nil {
			return nil, fmt.Errorf("checkpoint of objective %q: %w", o.o.Name, err)
		}
		rec := objectiveRecord{
			Next: o.next, Folds: o.folds, Missing: o.missing, Coverage: o.coverage, Identity: o.identity.Arms,
			Recent: o.recent.Folds, EnvLeft: o.env.left, Accumulator: acc,
		}
		if o.env.profile != nil {
			rec.EnvL = o.env.profile.L
		}
		r.Objectives = append(r.Objectives, rec)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(r); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return b.Bytes(), nil
}

// RestoreState returns the state that a snapshot of the same plan holds.
func RestoreState(p *Plan, snapshot []byte) (*State, error) {
	var r stateRecord
	if err := gob.NewDecoder(bytes.NewReader(snapshot)).Decode(&r); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	s, err := NewState(p)
	if err != nil {
		return nil, err
	}
	if len(r.Objectives) != len(s.objectives) {
		return nil, fmt.Errorf("checkpoint of %d objectives for a plan of %d", len(r.Objectives), len(s.objectives))
	}
	s.steps, s.first, s.seen = r.Steps, r.First, r.Seen
	for i := range s.objectives {
		o, rec := &s.objectives[i], &r.Objectives[i]
		if err := o.acc.restore(rec.Accumulator); err != nil {
			return nil, fmt.Errorf("checkpoint of objective %q: %w", o.o.Name, err)
		}
		o.next, o.folds, o.identity.Arms = rec.Next, rec.Folds, rec.Identity
		o.missing = rec.Missing
		o.next.Start, o.next.End = o.next.Start.UTC(), o.next.End.UTC()
		for a := range o.coverage {
			restoreCoverage(&o.coverage[a], rec.Coverage[a])
		}
		for _, f := range rec.Recent {
			o.recent.add(f)
		}
		if o.env.profile != nil {
			if len(rec.EnvL) != len(o.env.profile.L) {
				return nil, fmt.Errorf("checkpoint of objective %q belongs to another plan", o.o.Name)
			}
			copy(o.env.profile.L, rec.EnvL)
			o.env.left = rec.EnvLeft
		}
		o.last = o.acc.evidence()
	}
	s.Assess()
	return s, nil
}

// restoreCoverage copies c; gob leaves out empty maps.
func restoreCoverage(dst *armCoverage, c armCoverage) {
	if c.Pods == nil {
		c.Pods = dst.Pods
	}
	if c.PodCount == nil {
		c.PodCount = dst.PodCount
	}
	*dst = c
}
