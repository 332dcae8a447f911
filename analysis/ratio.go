package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// ratio judges a pair of counters: bad events among exposures (statistics 3). The
// canary is tried against the baseline that runs beside it, against the time before
// the deployment, or against both: harm then is the average of the two, safety is
// shown by the first alone. Where the baseline beside became worse than that time too,
// the time before no longer says what the release did: it adds nothing to harm then.
type ratio struct {
	plan       *Plan
	o          *PlannedObjective
	concurrent *trial     // nil: no baseline runs beside the canary
	before     *trial     // nil: the time before is not compared with
	beside     *trial     // of the baseline against the time before, where it is both
	shared     bool       // beside shows that the baseline is worse than before too
	hour       foldCounts // of the time before, against one fold
	barred     Check
	cutter     cutter
	one        [1]cell // scratch: the only cell of a fold without strata
}

func newRatio(p *Plan, o *PlannedObjective) (*ratio, error) {
	r := &ratio{plan: p, o: o}
	var err error
	if p.Comparison != PreviousWindow {
		if r.concurrent, err = newTrial(p, o, stats.Priors(o.History.Phi0)); err != nil {
			return nil, err
		}
	}
	if p.beforeAfter() {
		if r.before, err = newBefore(p, o); err != nil {
			return nil, err
		}
		r.hour = hourShare(p, o)
	}
	if r.before != nil && r.concurrent != nil {
		if r.beside, err = newBefore(p, o); err != nil {
			return nil, err
		}
	}
	if r.concurrent == nil {
		r.barred = barredBefore(o)
	}
	if len(o.Strata) > 0 {
		r.cutter.at = map[string]int{}
		r.cutter.keepOperations(p, o)
	}
	return r, nil
}

func (r *ratio) step(at time.Time) {
	for _, t := range []*trial{r.concurrent, r.before, r.beside} {
		if t != nil {
			t.step(at)
		}
	}
}

func (r *ratio) fold(t *taken) error {
	if r.concurrent != nil {
		r.one[0] = cell{foldCounts: t.foldCounts}
		cells := r.one[:]
		if len(r.o.Strata) > 0 {
			cells = r.cutter.cut(t)
		}
		if err := r.concurrent.fold(t.Fold, cells); err != nil {
			return err
		}
	}
	if r.before != nil {
		if err := r.foldBefore(r.before, t.Fold, t.xC, t.nC); err != nil {
			return err
		}
	}
	if r.beside != nil {
		if err := r.foldBefore(r.beside, t.Fold, t.xB, t.nB); err != nil {
			return err
		}
		r.shared = r.worseBeside()
	}
	return nil
}

// foldBefore holds what an arm counted against the time before.
func (r *ratio) foldBefore(t *trial, f Fold, x, n float64) error {
	c := r.hour
	c.xC, c.nC = x, n
	r.one[0] = cell{foldCounts: c}
	return t.fold(f, r.one[:])
}

// worseBeside reports whether the baseline is shown worse than before too, by the test
// that the canary is held to.
func (r *ratio) worseBeside() bool {
	bar := math.Log(envConflict)
	logE, _ := r.beside.roughHarm(bar)
	return logE >= bar
}

// beforeHarm is what the comparison with the time before counts: no more than that
// beside the canary, where both arms are worse than before.
func (r *ratio) beforeHarm(before, concurrent float64) float64 {
	if r.shared {
		return min(before, concurrent)
	}
	return before
}

// main is the trial whose counts and effect people see.
func (r *ratio) main() *trial {
	if r.concurrent == nil || r.before != nil && r.concurrent.Total.Folds == 0 && r.before.Total.Folds > 0 {
		return r.before
	}
	return r.concurrent
}

// leading is the trial with the larger evidence of harm.
func (r *ratio) leading() *trial {
	switch {
	case r.before == nil:
		return r.concurrent
	case r.concurrent == nil || !r.shared && r.before.logHarm(false) > r.concurrent.logHarm(false):
		return r.before
	}
	return r.concurrent
}

func (r *ratio) evidence() evidence {
	t := r.main()
	phi := t.phi()
	e := evidence{phi: phi, Counts: t.Total, barred: r.barred, enoughEvents: t.enoughEvents(phi)}
	bar := math.Log(1 / r.plan.AlphaHold)
	switch {
	case r.before == nil:
		e.logHarm, e.rough = t.roughHarm(bar)
	case r.concurrent == nil:
		e.logHarm, e.rough = t.roughHarm(bar)
		e.before = true
	default:
		one, rough := r.concurrent.roughHarm(bar)
		two, rougher := r.before.roughHarm(bar)
		two = r.beforeHarm(two, one)
		e.logHarm, e.rough = average(one, two), rough || rougher
		if e.rough && e.logHarm >= bar {
			e.logHarm, e.rough = r.exactHarm(), false
		}
		e.before = two > one
		if lead := r.leading(); e.logHarm >= bar && lead != t {
			e.enoughEvents, e.before = lead.enoughEvents(lead.phi()), lead == r.before
		}
	}
	if r.concurrent != nil {
		e.logSafety = r.concurrent.logSafety()
	}
	return e
}

// exactHarm is ln E_R over all start times and both comparisons.
func (r *ratio) exactHarm() float64 {
	switch {
	case r.before == nil:
		return r.concurrent.logHarm(false)
	case r.concurrent == nil:
		return r.before.logHarm(false)
	}
	one := r.concurrent.logHarm(false)
	return average(one, r.beforeHarm(r.before.logHarm(false), one))
}

// average is the log of the weighted average of the two comparisons.
func average(concurrent, before float64) float64 {
	top := max(concurrent, before)
	return top + math.Log(float64((1-beforeShare)*math.Exp(concurrent-top))+float64(beforeShare*math.Exp(before-top)))
}

// harmWithoutWorst leaves out the worst fold of the comparison that leads.
func (r *ratio) harmWithoutWorst() float64 {
	lead := r.leading()
	rest := lead.logHarm(lead.Worst.Set)
	switch {
	case r.before == nil || r.concurrent == nil:
		return rest
	case lead == r.before:
		return average(r.concurrent.logHarm(false), rest)
	}
	return average(rest, r.beforeHarm(r.before.logHarm(false), rest))
}

func (r *ratio) counted() string {
	s := r.main().Total.countedAs(r.o.bad())
	if s != "" && r.main() == r.before {
		s += " of the time before"
	}
	return s
}

func (r *ratio) compared() string {
	s := r.main().Total.comparedAs(r.o.bad())
	if r.main() == r.before {
		s += " of the time before"
	}
	return s
}

func (r *ratio) localised() string {
	if r.o.ofCode() {
		return ""
	}
	return r.leading().localised()
}

func (r *ratio) lateBreak(recent *recent) (Check, bool) {
	return lateBreak(r.o, r.main().Total, recent)
}

// describe reports the effect with its interval on the scale of the null: a rate
// ratio, or a difference of rates of bad events where the bounds hold a share of the
// budget, outcomes are common, or good events are counted.
func (r *ratio) describe(f *Finding) {
	t := r.main()
	pB := rate(t.Total.BaselineBad, t.Total.BaselineExposure)
	pC := rate(t.Total.CanaryBad, t.Total.CanaryExposure)
	fair := pB // the baseline's rate where the canary was: strata differ
	if len(t.Strata) > 1 {
		fair = rate(t.AtBaseline, t.Total.CanaryExposure)
	}
	const level = 0.05
	if e, ok := t.engine.(*profileEngine); ok && t.difference == nil {
		lo, hi := e.interval(t.Sums, level)
		f.EffectKind, f.Effect, f.Low, f.High = "ratio", Figure(pC/fair), Figure(lo), Figure(hi)
		f.Tolerance, f.Margin = Figure(r.o.ToleranceBound.Ratio), Figure(r.o.MarginBound.Ratio)
	} else {
		t.difference.drain()
		lo, hi := t.difference.cs.Interval(level)
		at := fair
		if math.IsNaN(at) {
			at = r.o.BaseRate
		}
		f.EffectKind, f.Effect, f.Low, f.High = "difference", Figure(pC-fair), Figure(lo), Figure(hi)
		f.Tolerance, f.Margin = Figure(r.o.line(r.o.ToleranceBound, at)-at), Figure(r.o.line(r.o.MarginBound, at)-at)
	}
	f.MinutesToPromote, f.MinutesToDetectDouble = r.stillNeeded()
}

// stillNeeded forecasts, from the traffic seen so far (or of history, before
// there is any), the minutes until a healthy canary is shown safe and until a
// doubled rate is shown harmful, given the evidence there already is.
func (r *ratio) stillNeeded() (promote, detect Figure) {
	t := r.main()
	nC, nB := r.exposurePerMinute(t)
	pB := rate(t.Total.BaselineBad, t.Total.BaselineExposure)
	if !(pB > 0) {
		pB = r.o.BaseRate
	}
	phi := t.phi()
	promote, detect = Figure(math.NaN()), Figure(math.NaN())
	if logSafety := t.logSafety(); r.barred.Code == "" {
		safety := stats.Demand{Alpha: r.plan.AlphaPromote, C: stats.LossSafety, Phi: phi, LogE: max(0, logSafety)}
		promote = Figure(minutesNeeded(r.o, stats.Safety, r.o.MarginBound, nC, nB, pB, pB, safety))
		if logSafety >= math.Log(1/r.plan.AlphaPromote) {
			promote = 0
		}
	}
	if r.o.Weight > 0 {
		harm := stats.Demand{Alpha: r.plan.AlphaRollback * r.o.Weight, C: stats.LossHarm, Phi: phi, LogE: max(0, r.exactHarm())}
		detect = Figure(minutesNeeded(r.o, stats.Harm, r.o.ToleranceBound, nC, nB, r.o.doubled(pB), pB, harm))
	}
	return promote, detect
}

func (r *ratio) exposurePerMinute(t *trial) (nC, nB float64) {
	if minutes := float64(t.Total.Folds) * r.o.Cadence.D().Minutes(); minutes > 0 {
		return t.Total.CanaryExposure / minutes, t.Total.BaselineExposure / minutes
	}
	return r.plan.exposure(r.o, r.plan.Weight)
}

func rate(x, n float64) float64 {
	if n <= 0 {
		return math.NaN()
	}
	return x / n
}

// ratioRecord is what a checkpoint carries.
type ratioRecord struct{ Concurrent, Before, Beside *trialState }

func (r *ratio) snapshot() ([]byte, error) {
	var rec ratioRecord
	if r.concurrent != nil {
		rec.Concurrent = r.concurrent.snapshot()
	}
	if r.before != nil {
		rec.Before = r.before.snapshot()
	}
	if r.beside != nil {
		rec.Beside = r.beside.snapshot()
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(rec)
	return b.Bytes(), err
}

func (r *ratio) restore(data []byte) error {
	var rec ratioRecord
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&rec); err != nil {
		return err
	}
	if (r.concurrent != nil) != (rec.Concurrent != nil) || (r.before != nil) != (rec.Before != nil) || (r.beside != nil) != (rec.Beside != nil) {
		return fmt.Errorf("checkpoint of objective %q belongs to another plan", r.o.Name)
	}
	if r.concurrent != nil {
		if err := r.concurrent.restore(rec.Concurrent); err != nil {
			return err
		}
	}
	if r.before != nil {
		if err := r.before.restore(rec.Before); err != nil {
			return err
		}
	}
	if r.beside != nil {
		if err := r.beside.restore(rec.Beside); err != nil {
			return err
		}
		r.shared = r.worseBeside()
	}
	return nil
}
