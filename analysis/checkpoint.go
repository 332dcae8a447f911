package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// stateRecord is a State as plain data. What follows from the plan is not in it.
type stateRecord struct {
	Steps      []Step
	First      Fold
	Seen       string
	Share      stats.Share
	Objectives []objectiveRecord
}

type objectiveRecord struct {
	Next        Fold
	Folds       int
	Unripe      int
	Missing     Code
	Why         string
	Skew        Duration
	Crowded     bool
	Coverage    [2]coverageRecord
	Identity    [2]armIdentity
	Recent      []recentRecord
	EnvL        []float64
	EnvLeft     int
	Accumulator []byte
}

// coverageRecord is an armCoverage without its maps, which gob writes in no fixed
// order.
type coverageRecord struct {
	Pods, Left                               []podRecord
	Counts                                   []podCountRecord
	Expected, Received, LastFold, Now, Usual int
	Exposure                                 float64
}

// podRecord is a pod and what is known of it.
type podRecord struct {
	Pod  string
	Seen podSeen
}

// podCountRecord is in how many folds so many pods reported.
type podCountRecord struct{ Pods, Folds int }

// recentRecord is a recentFold; gob leaves out fields that are not exported.
type recentRecord struct {
	XC, XB, NC, NB          float64
	End                     time.Time
	CanaryAlive, BaselineIn bool
}

// Snapshot returns the state as bytes for a checkpoint. Restoring it and folding
// on gives bit for bit what folding everything again would, and equal states give
// equal bytes.
func (s *State) Snapshot() ([]byte, error) {
	r := stateRecord{Steps: s.steps, First: s.first, Seen: s.seen, Share: s.share}
	for i := range s.objectives {
		o := &s.objectives[i]
		acc, err := o.acc.snapshot()
		if err != nil {
			return nil, fmt.Errorf("checkpoint of objective %q: %w", o.o.Name, err)
		}
		rec := objectiveRecord{
			Next: o.next, Folds: o.folds, Unripe: o.unripe, Missing: o.missing, Why: o.why, Skew: o.skew, Crowded: o.crowded, Identity: o.identity.Arms,
			EnvLeft: o.env.left, Accumulator: acc,
		}
		for a := range o.coverage {
			rec.Coverage[a] = o.coverage[a].record()
		}
		for _, f := range o.recent.Folds {
			rec.Recent = append(rec.Recent, recentRecord{f.xC, f.xB, f.nC, f.nB, f.End, f.CanaryAlive, f.BaselineIn})
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
	s.steps, s.first, s.seen, s.share = r.Steps, r.First, r.Seen, r.Share
	for i := range s.objectives {
		o, rec := &s.objectives[i], &r.Objectives[i]
		if err := o.acc.restore(rec.Accumulator); err != nil {
			return nil, fmt.Errorf("checkpoint of objective %q: %w", o.o.Name, err)
		}
		o.next, o.folds, o.identity.Arms = rec.Next, rec.Folds, rec.Identity
		o.unripe = rec.Unripe
		o.missing, o.why, o.skew, o.crowded = rec.Missing, rec.Why, rec.Skew, rec.Crowded
		o.next.Start, o.next.End = o.next.Start.UTC(), o.next.End.UTC()
		for a := range o.coverage {
			o.coverage[a] = rec.Coverage[a].restore(o.o)
		}
		for _, f := range rec.Recent {
			o.recent.add(recentFold{foldCounts{f.XC, f.XB, f.NC, f.NB}, f.End.UTC(), f.CanaryAlive, f.BaselineIn})
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

func (c *armCoverage) record() coverageRecord {
	r := coverageRecord{Expected: c.Expected, Received: c.Received, LastFold: c.LastFold, Now: c.Now, Usual: c.Usual, Exposure: c.Exposure}
	for _, pod := range slices.Sorted(maps.Keys(c.Pods)) {
		r.Pods = append(r.Pods, podRecord{pod, c.Pods[pod]})
	}
	for _, pod := range slices.Sorted(maps.Keys(c.Left)) {
		r.Left = append(r.Left, podRecord{pod, c.Left[pod]})
	}
	for _, pods := range slices.Sorted(maps.Keys(c.PodCount)) {
		r.Counts = append(r.Counts, podCountRecord{pods, c.PodCount[pods]})
	}
	return r
}

func (r *coverageRecord) restore(o *PlannedObjective) armCoverage {
	c := newArmCoverage(o)
	c.Expected, c.Received, c.LastFold, c.Now, c.Usual, c.Exposure = r.Expected, r.Received, r.LastFold, r.Now, r.Usual, r.Exposure
	for _, p := range r.Pods {
		c.Pods[p.Pod] = p.Seen
	}
	for _, p := range r.Left {
		c.Left[p.Pod] = p.Seen
	}
	for _, n := range r.Counts {
		c.PodCount[n.Pods] = n.Folds
	}
	return c
}
