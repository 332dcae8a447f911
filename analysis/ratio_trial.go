package analysis

import (
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// A trial holds the evidence of one comparison: of the canary with the baseline that
// runs beside it, or with the time before the deployment. Evidence is tempered by
// the overdispersion phi, which is known before the fold; harm is averaged over
// start times, and the one worst fold is remembered so that a single burst cannot
// roll back (statistics 1.1).
type trial struct {
	o          *PlannedObjective
	engine     engine
	dispersion *stats.Dispersion
	config     stats.DispersionConfig
	difference *differenceInterval // nil where people see a ratio
	side       *stats.Grid         // of the profile beside the tests; nil: there is none
	starts     startSlots
	logs       []float64 // scratch: one log e-value per used start
	trialState
	inc, ofCell []float64 // scratch: what the current fold and cell added
}

// trialState is the part of a trial that a checkpoint carries; the rest follows
// from the plan.
type trialState struct {
	Sums       []float64
	Base       stats.BaselineRate
	Dispersion stats.DispersionState
	Difference *stats.DifferenceCS
	Starts     startsTaken
	Used       []start // restarts taken, in order
	Worst      worstFold
	Strata     []stratum // where the plan names some
	Total      Counts
	EventFolds int       // folds with events that count for a rollback
	Expected   float64   // canary events if both arms were alike, of what the tests count
	AtBaseline float64   // bad canary events at the rates of the baseline, cell by cell
	Side       []float64 // profile of the ratio beside tests of something else; decides nothing
}

// worstFold is the fold with the largest tempered excess of canary events, and
// what it added.
type worstFold struct {
	Set    bool
	Excess float64
	Starts int       // restarts already taken before it: it counts in those and in the first
	L      []float64 // harm part
}

// newTrial returns a trial of o, tempered at first by the given dispersion.
func newTrial(p *Plan, o *PlannedObjective, priors stats.Priors) (*trial, error) {
	t := &trial{o: o, starts: newStartSlots(p)}
	var err error
	if t.engine, err = newEngine(o); err != nil {
		return nil, err
	}
	t.config = stats.DispersionConfig{Cadence: o.Cadence.D(), Priors: priors, PHist: o.surgeRate(), Common: o.Null == NullBernoulli}
	if t.dispersion, err = stats.NewDispersion(t.config); err != nil {
		return nil, err
	}
	if o.Null != NullRatio || o.CountGood {
		if t.difference, err = newDifferenceInterval(o); err != nil {
			return nil, err
		}
	}
	n := t.engine.size()
	t.Sums, t.inc = make([]float64, n), make([]float64, n)
	t.Worst.L = slices.Clone(t.engine.harmPart(t.Sums))
	if t.side = sideGrid(o); t.side != nil {
		t.Side = make([]float64, t.side.Len())
	}
	if len(o.Strata) > 0 {
		t.ofCell = make([]float64, n)
	}
	t.Base.PHist = o.rarerRate(o.BaseRate)
	t.Used, t.logs = make([]start, 0, t.starts.count()), make([]float64, 0, t.starts.count())
	return t, nil
}

// shareScratch lets t use the scratch of another trial, which is never folded at the
// same time.
func (t *trial) shareScratch(other *trial) {
	if len(t.inc) == len(other.inc) && len(t.ofCell) == len(other.ofCell) {
		t.inc, t.ofCell, t.logs = other.inc, other.ofCell, other.logs
	}
}

// surgeRate is the rate of history above which phi grows with the rate of now; 0
// where there is none: without history a guess must not scale anything, and of good
// events more is no surge.
func (o *PlannedObjective) surgeRate() float64 {
	rate, ok := o.History.Rate()
	if !ok || o.CountGood {
		return 0
	}
	return min(1, rate)
}

// fold takes in the cells of one fold.
func (t *trial) fold(f Fold, cells []cell) error {
	t.takeSnapshots(f)
	if err := t.add(cells, t.phi()); err != nil {
		return fmt.Errorf("objective %q, fold ending %s: %w", t.o.Name, f.End.Format(time.RFC3339), err)
	}
	events, both := false, false
	for i := range cells {
		raw := cells[i].foldCounts
		c := t.o.rarer(raw)
		if err := t.dispersion.AddCell(c.xC, c.xB, c.nC, c.nB); err != nil {
			return err
		}
		if raw.nC == 0 || raw.nB == 0 { // exposure in one arm only says nothing
			continue
		}
		both = true
		t.Total.CanaryBad += raw.xC
		t.Total.CanaryExposure += raw.nC
		t.Total.BaselineBad += raw.xB
		t.Total.BaselineExposure += raw.nB
		t.AtBaseline += float64(raw.xB / raw.nB * raw.nC)
		expected := float64((c.xC + c.xB) * (raw.nC / (raw.nC + raw.nB)))
		t.Expected += expected
		events = events || raw.xC > 0 && !t.o.CountGood || expected > 0 && t.o.CountGood
	}
	t.dispersion.CloseFold()
	if both {
		t.Total.Folds++
	}
	if events {
		t.EventFolds++
	}
	return nil
}

// maxPhi bounds phi: beyond it a fold counts for nothing anyway, and the kernel
// refuses numbers that no count can give.
const maxPhi = 1e9

// phi is the overdispersion of the next fold.
func (t *trial) phi() float64 { return min(t.dispersion.Phi(), maxPhi) }

// add updates the evidence and the worst fold.
func (t *trial) add(cells []cell, phi float64) error {
	clear(t.inc)
	excess := 0.0
	for i := range cells {
		c := t.o.rarer(cells[i].foldCounts)
		base, inc := &t.Base, t.inc
		var s *stratum
		if len(t.o.Strata) > 0 {
			s = t.stratumOf(cells[i].stratum)
			base, inc = &s.Base, t.ofCell
			clear(inc)
		}
		pB1 := base.P1()
		if err := t.engine.add(inc, c, phi, pB1); err != nil {
			return err
		}
		excess += t.engine.excess(c, phi, pB1)
		if t.difference != nil {
			t.difference.add(c, phi)
		}
		if t.side != nil {
			beside := stats.Profile{L: t.Side}
			if err := beside.Add(t.side, c.xC, c.xB, c.nC, c.nB, phi); err != nil {
				return err
			}
		}
		if err := base.Add(c.xC, c.xB, c.nC, c.nB); err != nil {
			return err
		}
		if s == nil {
			continue
		}
		addTo(s.Sums, t.engine.harmPart(inc))
		addTo(t.inc, inc)
		if c.nC > 0 && c.nB > 0 {
			s.Canary += cells[i].nC
		}
	}
	addTo(t.Sums, t.inc)
	if len(t.Used) > 0 {
		gain := t.engine.gain(t.inc)
		for i := range t.Used {
			t.Used[i].Bound += gain
		}
	}
	if excess > t.Worst.Excess || !t.Worst.Set && excess > 0 {
		t.Worst.Set, t.Worst.Excess, t.Worst.Starts = true, excess, len(t.Used)
		copy(t.Worst.L, t.engine.harmPart(t.inc))
	}
	return nil
}

func (t *trial) logSafety() float64 { return t.engine.logSafety(t.Sums) }

// minCanaryEvents and minEventFolds bound what may roll back: at least
// max(5, 5 phi) canary events over at least 3 folds with canary events. They can
// only lower the error rate (statistics 1.1).
const (
	minCanaryEvents = 5
	minEventFolds   = 3
)

// enoughEvents reports whether the evidence rests on enough events for a rollback.
// Of good events, which harm makes fewer, those count that the canary should have.
func (t *trial) enoughEvents(phi float64) bool {
	events := t.Total.CanaryBad
	if t.o.CountGood {
		events = t.Expected
	}
	return events >= max(minCanaryEvents, minCanaryEvents*phi) && t.EventFolds >= minEventFolds
}

// snapshot returns the state as of the last fold; its slices are t's own.
func (t *trial) snapshot() *trialState {
	if t.difference != nil {
		t.difference.drain()
		t.Difference = t.difference.cs
	}
	t.Starts = t.starts.startsTaken
	s := t.trialState
	s.Dispersion = t.dispersion.State() // not kept: it is as large as all the rest
	return &s
}

// restore continues from a snapshot of the same plan.
func (t *trial) restore(s *trialState) error {
	d, err := stats.RestoreDispersion(t.config, s.Dispersion)
	if err != nil {
		return err
	}
	if !s.fits(len(t.Sums), len(t.Worst.L)) || (t.difference != nil) != (s.Difference != nil) || len(s.Side) != len(t.Side) {
		return fmt.Errorf("checkpoint of objective %q belongs to another plan", t.o.Name)
	}
	if t.difference != nil {
		t.difference.cs = s.Difference
	}
	t.dispersion = d
	t.starts.startsTaken = s.Starts
	s.Used = append(make([]start, 0, t.starts.count()), s.Used...)
	t.trialState = *s
	t.trialState.Dispersion = stats.DispersionState{}
	return nil
}

// fits reports whether all sums have the given length, or that of their harm part.
func (s *trialState) fits(size, harm int) bool {
	ok := len(s.Sums) == size && len(s.Worst.L) == harm
	for i := range s.Used {
		ok = ok && len(s.Used[i].Sums) == harm
	}
	for i := range s.Strata {
		ok = ok && len(s.Strata[i].Sums) == harm
	}
	return ok
}
