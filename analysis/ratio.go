package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// minCanaryEvents and minEventFolds bound what may roll back: at least
// max(5, 5 phi) canary events over at least 3 folds with canary events. They can
// only lower the error rate (statistics 1.1).
const (
	minCanaryEvents = 5
	minEventFolds   = 3
)

// ratio judges a pair of counters: bad events among exposures (statistics 3).
// Either the ratio profile (null NullRatio) or the affine e-processes (NullAffine)
// hold the evidence; both are tempered by the overdispersion phi, which is known
// before the fold. Harm is averaged over start times (3.7), and the one worst fold
// is remembered so that a single burst cannot roll back (1.1).
type ratio struct {
	plan *Plan
	o    *PlannedObjective

	grid    *stats.Grid // NullRatio
	profile *stats.Profile
	harm    *stats.Affine // NullAffine
	safety  *stats.Affine

	dispersion *stats.Dispersion
	difference *stats.DifferenceCS // NullAffine: the interval that people see, brought up to date on demand
	backlog    []tempered          // folds that difference has not seen

	timed []time.Time // start times that are left, ascending
	slots int         // of the mixture, used or not
	logs  []float64   // scratch: one log e-value per used slot

	ratioState
	inc    []float64 // scratch: what the current fold added to the profile
	incAff stats.AffineSums
}

// ratioState is the part of a ratio that a checkpoint carries; the rest follows
// from the plan.
type ratioState struct {
	L            []float64
	Harm, Safety stats.AffineSums
	Base         stats.BaselineRate
	Dispersion   stats.DispersionState
	Difference   *stats.DifferenceCS
	Used         []start     // restarts taken, in order
	Ramp         []time.Time // ramp steps that wait for their fold
	RampSteps    int         // ramp steps that took a slot
	Worst        worstFold
	Total        Counts
	EventFolds   int // folds with canary events
}

// start is a snapshot from which a restarted test counts.
type start struct {
	At time.Time
	L  []float64
	A  stats.AffineSums
}

// worstFold is the fold with the largest tempered excess of canary events, and
// what it added.
type worstFold struct {
	Set    bool
	Excess float64
	Starts int // restarts already taken before it: it counts in those and in the first
	L      []float64
	A      stats.AffineSums
}

type tempered struct {
	foldCounts
	phi float64
}

func newRatio(p *Plan, o *PlannedObjective) (*ratio, error) {
	r := &ratio{plan: p, o: o}
	var err error
	if r.dispersion, err = stats.NewDispersion(r.dispersionConfig()); err != nil {
		return nil, err
	}
	switch o.Null {
	case NullRatio:
		r.grid, err = stats.NewGridConfig(stats.GridConfig{RhoR: o.ToleranceBound.Ratio, RhoP: o.MarginBound.Ratio})
		if err != nil {
			return nil, err
		}
		r.profile = stats.NewProfile(r.grid)
		r.inc = make([]float64, r.grid.Len())
		r.Worst.L = make([]float64, r.grid.Len())
	case NullAffine:
		budget := 1 - o.Target
		if r.harm, err = stats.NewAffine(stats.Harm, o.ToleranceBound.Ratio, o.ToleranceBound.Budget*budget); err != nil {
			return nil, err
		}
		if r.safety, err = stats.NewAffine(stats.Safety, o.MarginBound.Ratio, o.MarginBound.Budget*budget); err != nil {
			return nil, err
		}
		if r.difference, err = stats.NewDifferenceCS(min(budget, 0.25), o.BaseRate); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("null hypothesis %q is not known", o.Null)
	}
	r.Base.PHist = o.BaseRate
	r.timed = p.Restarts
	r.slots = len(p.Restarts) + rampSlots(p.Deployment)
	r.Used = make([]start, 0, r.slots)
	r.logs = make([]float64, 0, r.slots)
	r.backlog = make([]tempered, 0, backlogCap)
	return r, nil
}

// backlogCap bounds the folds that wait for somebody to ask for an interval.
const backlogCap = 64

func (r *ratio) dispersionConfig() stats.DispersionConfig {
	return stats.DispersionConfig{Cadence: r.o.Cadence.D(), Priors: stats.Priors(r.o.History.Phi0), PHist: min(1, r.historyRate())}
}

// historyRate is the rate that phi is scaled by; 0 without history, where a guess
// must not scale anything.
func (r *ratio) historyRate() float64 {
	if rate, ok := r.o.History.Rate(); ok {
		return rate
	}
	return 0
}

// rampSlots is step.total - 1 where the starting event declared it.
func rampSlots(d Deployment) int {
	if len(d.Steps) == 0 {
		return 0
	}
	return min(stats.MaxStartSlots, max(0, d.Steps[0].Total-1))
}

func (r *ratio) step(at time.Time) {
	if r.RampSteps < rampSlots(r.plan.Deployment) {
		r.RampSteps++
		r.Ramp = append(r.Ramp, at)
	}
}

func (r *ratio) fold(f Fold, c foldCounts) error {
	r.takeSnapshots(f)
	phi := r.phi()
	if err := r.add(c, phi); err != nil {
		return fmt.Errorf("objective %q, fold ending %s: %w", r.o.Name, f.End.Format(time.RFC3339), err)
	}
	if err := r.dispersion.Add(c.xC, c.xB, c.nC, c.nB); err != nil {
		return err
	}
	if c.nC > 0 && c.nB > 0 { // a fold with exposure in one arm only says nothing
		r.Total.Folds++
		r.Total.CanaryBad += c.xC
		r.Total.CanaryExposure += c.nC
		r.Total.BaselineBad += c.xB
		r.Total.BaselineExposure += c.nB
		if c.xC > 0 {
			r.EventFolds++
		}
	}
	return nil
}

// maxPhi bounds phi: beyond it a fold counts for nothing anyway, and the kernel
// refuses numbers that no count can give.
const maxPhi = 1e9

// phi is the overdispersion of the next fold.
func (r *ratio) phi() float64 { return min(r.dispersion.Phi(), maxPhi) }

// takeSnapshots starts the restarts that are due: those whose start time lies
// before the fold's end, from the state after the folds before it.
func (r *ratio) takeSnapshots(f Fold) {
	for {
		at, ramp, left := r.nextStart()
		if !left || !at.Before(f.End) {
			return
		}
		s := start{At: at}
		if r.profile != nil {
			s.L = append([]float64(nil), r.profile.L...)
		} else {
			s.A = r.harm.Sums
		}
		r.Used = append(r.Used, s)
		if ramp {
			r.Ramp = r.Ramp[1:]
		} else {
			r.timed = r.timed[1:]
		}
	}
}

func (r *ratio) nextStart() (at time.Time, ramp, left bool) {
	switch {
	case len(r.Ramp) > 0 && (len(r.timed) == 0 || r.Ramp[0].Before(r.timed[0])):
		return r.Ramp[0], true, true
	case len(r.timed) > 0:
		return r.timed[0], false, true
	}
	return time.Time{}, false, false
}

// add updates the evidence and the worst fold.
func (r *ratio) add(c foldCounts, phi float64) error {
	var excess float64
	if r.profile != nil {
		clear(r.inc)
		if err := r.profile.AddInto(r.grid, r.inc, c.xC, c.xB, c.nC, c.nB, phi); err != nil {
			return err
		}
		excess = stats.RatioExcess(r.grid.RhoR(), c.xC, c.xB, c.nC, c.nB, phi)
	} else {
		pB1 := r.Base.P1()
		r.incAff = stats.AffineSums{}
		if err := r.harm.AddInto(&r.incAff, c.xC, c.xB, c.nC, c.nB, phi, pB1); err != nil {
			return err
		}
		if err := r.safety.Add(c.xC, c.xB, c.nC, c.nB, phi, pB1); err != nil {
			return err
		}
		excess = r.harm.Excess(c.xC, c.xB, c.nC, c.nB, phi, pB1)
		if len(r.backlog) == cap(r.backlog) {
			r.drain()
		}
		r.backlog = append(r.backlog, tempered{c, phi})
	}
	if err := r.Base.Add(c.xC, c.xB, c.nC, c.nB); err != nil {
		return err
	}
	if excess > r.Worst.Excess || !r.Worst.Set && excess > 0 {
		r.Worst.Set, r.Worst.Excess, r.Worst.Starts = true, excess, len(r.Used)
		copy(r.Worst.L, r.inc)
		r.Worst.A = r.incAff
	}
	return nil
}

func (r *ratio) evidence() evidence {
	phi := r.phi()
	return evidence{
		logHarm: r.logHarm(false), logSafety: r.logSafety(), phi: phi, Counts: r.Total,
		enoughEvents: r.Total.CanaryBad >= max(minCanaryEvents, minCanaryEvents*phi) && r.EventFolds >= minEventFolds,
	}
}

func (r *ratio) harmWithoutWorst() float64 { return r.logHarm(r.Worst.Set) }

// logHarm is ln E_R averaged over start times, with or without the worst fold. A
// restart taken after the worst fold never saw it.
func (r *ratio) logHarm(withoutWorst bool) float64 {
	r.logs = r.logs[:0]
	for i := range r.Used {
		r.logs = append(r.logs, r.logHarmSince(&r.Used[i], withoutWorst && i < r.Worst.Starts))
	}
	return stats.LogStartMixture(r.logHarmSince(nil, withoutWorst), r.logs, r.slots)
}

func (r *ratio) logHarmSince(s *start, withoutWorst bool) float64 {
	if r.profile != nil {
		var since, inc []float64
		if s != nil {
			since = s.L
		}
		if withoutWorst {
			inc = r.Worst.L
		}
		return r.profile.LogHarmWithout(r.grid, since, inc)
	}
	var since, inc *stats.AffineSums
	if s != nil {
		since = &s.A
	}
	if withoutWorst {
		inc = &r.Worst.A
	}
	return r.harm.LogEWithout(since, inc)
}

func (r *ratio) logSafety() float64 {
	if r.profile != nil {
		return r.profile.LogSafety(r.grid)
	}
	return r.safety.LogE()
}

// drain brings the difference interval up to date.
func (r *ratio) drain() {
	for _, f := range r.backlog {
		_ = r.difference.Add(f.xC, f.xB, f.nC, f.nB, f.phi) // the same counts were accepted by add
	}
	r.backlog = r.backlog[:0]
}

// describe reports the effect with its interval on the scale of the null: a rate
// ratio, or a difference of rates where the bounds hold a share of the budget.
func (r *ratio) describe(f *Finding) {
	t := r.Total
	pC, pB := rate(t.CanaryBad, t.CanaryExposure), rate(t.BaselineBad, t.BaselineExposure)
	const level = 0.05
	if r.profile != nil {
		lo, hi := r.profile.Interval(r.grid, level)
		f.EffectKind, f.Effect, f.Low, f.High = "ratio", Figure(pC/pB), Figure(lo), Figure(hi)
		f.Tolerance, f.Margin = Figure(r.o.ToleranceBound.Ratio), Figure(r.o.MarginBound.Ratio)
	} else {
		r.drain()
		lo, hi := r.difference.Interval(level)
		at := pB
		if math.IsNaN(at) {
			at = r.o.BaseRate
		}
		f.EffectKind, f.Effect, f.Low, f.High = "difference", Figure(pC-pB), Figure(lo), Figure(hi)
		f.Tolerance, f.Margin = Figure(r.line(r.o.ToleranceBound, at)-at), Figure(r.line(r.o.MarginBound, at)-at)
	}
	f.MinutesToPromote, f.MinutesToDetectDouble = r.stillNeeded()
}

// line is the canary rate at which a bound lies for a baseline rate.
func (r *ratio) line(b Bound, pB float64) float64 {
	return float64(b.Ratio*pB) + float64(b.Budget*(1-r.o.Target))
}

// stillNeeded forecasts, from the traffic seen so far (or of history, before
// there is any), the minutes until a healthy canary is shown safe and until a
// doubled rate is shown harmful, given the evidence there already is.
func (r *ratio) stillNeeded() (promote, detect Figure) {
	nC, nB := r.exposurePerMinute()
	pB := rate(r.Total.BaselineBad, r.Total.BaselineExposure)
	if !(pB > 0) {
		pB = r.o.BaseRate
	}
	phi := r.phi()
	safety := stats.Demand{Alpha: r.plan.AlphaPromote, C: stats.LossSafety, Phi: phi, LogE: max(0, r.logSafety())}
	promote = Figure(minutesNeeded(r.o, stats.Safety, r.o.MarginBound, nC, nB, pB, pB, safety))
	if r.logSafety() >= math.Log(1/r.plan.AlphaPromote) {
		promote = 0
	}
	detect = Figure(math.NaN())
	if r.o.Weight > 0 {
		harm := stats.Demand{Alpha: r.plan.AlphaRollback * r.o.Weight, C: stats.LossHarm, Phi: phi, LogE: max(0, r.logHarm(false))}
		detect = Figure(minutesNeeded(r.o, stats.Harm, r.o.ToleranceBound, nC, nB, 2*pB, pB, harm))
	}
	return promote, detect
}

func (r *ratio) exposurePerMinute() (nC, nB float64) {
	if minutes := float64(r.Total.Folds) * r.o.Cadence.D().Minutes(); minutes > 0 {
		return r.Total.CanaryExposure / minutes, r.Total.BaselineExposure / minutes
	}
	return r.plan.Weight * r.o.rate(), (1 - r.plan.Weight) * r.o.rate()
}

func rate(x, n float64) float64 {
	if n <= 0 {
		return math.NaN()
	}
	return x / n
}

func (r *ratio) snapshot() ([]byte, error) {
	if r.difference != nil {
		r.drain()
		r.Difference = r.difference
		r.Harm, r.Safety = r.harm.Sums, r.safety.Sums
	} else {
		r.L = r.profile.L
	}
	r.ratioState.Dispersion = r.dispersion.State()
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(r.ratioState)
	return b.Bytes(), err
}

func (r *ratio) restore(data []byte) error {
	var s ratioState
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&s); err != nil {
		return err
	}
	d, err := stats.RestoreDispersion(r.dispersionConfig(), s.Dispersion)
	if err != nil {
		return err
	}
	switch {
	case r.profile != nil && len(s.L) == r.grid.Len():
		copy(r.profile.L, s.L)
	case r.profile == nil && s.Difference != nil:
		r.harm.Sums, r.safety.Sums, r.difference = s.Harm, s.Safety, s.Difference
	default:
		return fmt.Errorf("checkpoint of objective %q belongs to another plan", r.o.Name)
	}
	timed := r.plan.Restarts
	for len(timed) > 0 && countTimed(s.Used, timed) {
		timed = timed[1:]
	}
	r.timed, r.dispersion = timed, d
	s.Used = append(make([]start, 0, r.slots), s.Used...)
	if s.Worst.L == nil && r.grid != nil {
		s.Worst.L = make([]float64, r.grid.Len())
	}
	r.ratioState = s
	return nil
}

// countTimed reports whether the first of the timed starts was used already.
func countTimed(used []start, timed []time.Time) bool {
	for _, s := range used {
		if s.At.Equal(timed[0]) {
			return true
		}
	}
	return false
}
