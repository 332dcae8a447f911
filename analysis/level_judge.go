package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// levelJudge judges a level by the difference of the arms in each fold: what both
// share cancels (statistics 5.2). The rows are prewhitened by the AR(1) noise of
// history and held against tolerance and margin, both moved by what pods of one
// version differ by. Where the plan compares with the time before, the canary's own
// rows, relative to a control where there is one, are held against the mean of
// history (7.1).
type levelJudge struct {
	oneStratum
	plan *Plan
	o    *PlannedObjective
	h    *LevelHistory // nil: none

	starts startSlots
	pairs  *levelSeries // canary against baseline; nil where the plan compares with the time before alone
	before *levelSeries // canary against the time before; nil where it does not, or history is too short
	logs   []float64    // scratch
	spread float64      // by which a slow pod may differ from another: its quantile, times podSD
	barred Check        // why it may not promote, for the pods of the newest fold
	levelState
}

// levelState is the part of a level that a checkpoint carries beside its series.
type levelState struct {
	Rows            int     // folds that told something
	Canary, Other   int     // pods in the newest of them
	CanaryNow       float64 // mean levels in the newest of them
	OtherNow        float64
	Newest          [3]float64 // differences in the newest rows, oldest first
	Residuals       []float64  // of the comparison with the time before in standard deviations, for the onset
	Early           int        // of them: those of folds that end within earlyOnset
	First           time.Time  // end of the first fold of that comparison
	LogHarm, LogOwn float64    // as of the last fold; own: of the comparison with the time before
	HarmBefore      float64    // LogHarm as of the fold before
	Rough           bool       // LogHarm is no more than an upper bound, below the bar of a hold
}

// earlyOnset is how soon after the switch a shift must begin to be blamed on it where
// no control tells what else changed (statistics 7).
const earlyOnset = 3 * time.Minute

func newLevel(p *Plan, o *PlannedObjective) (accumulator, error) {
	if o.Level == nil || !(o.Level.Tolerance < o.Level.Margin) {
		return nil, fmt.Errorf("a level needs a tolerance below its margin")
	}
	l := &levelJudge{plan: p, o: o, h: o.History.Level, starts: newStartSlots(p)}
	slots := l.starts.count()
	l.logs = make([]float64, 0, slots)
	if p.Comparison != PreviousWindow {
		var fit *LevelFit
		if l.h != nil {
			fit = l.h.Pairs
		}
		s := newLevelSeries(fit, false, o.Cadence.D(), slots)
		l.pairs = &s
	}
	if p.Comparison == PreviousWindow || p.Comparison == Both {
		if l.h != nil && l.h.Before != nil {
			s := newLevelSeries(l.h.Before, true, o.Cadence.D(), slots)
			l.before = &s
			l.Residuals = make([]float64, 0, int(p.Window.Deadline.D()/o.Cadence.D())+1)
		}
	}
	l.spread = l.podQuantile() * l.podSD()
	l.barred = l.bar()
	return l, nil
}

func (l *levelJudge) step(at time.Time) { l.starts.step(at) }

func (l *levelJudge) fold(t *taken) error {
	var pairs levelSeries // as of the fold before
	if l.Rough {
		pairs = *l.pairs
	}
	for l.starts.due(t.Fold) {
		if l.pairs != nil {
			l.pairs.restart()
		}
		if l.before != nil {
			l.before.restart()
		}
	}
	adds := l.o.Signal.Adds()
	canary := groupOf(t.Canary, adds)
	if err := l.foldPairs(canary, groupOf(t.Baseline, adds)); err != nil {
		return err
	}
	if err := l.foldBefore(t.Fold, canary, groupOf(t.Control, adds)); err != nil {
		return err
	}
	l.HarmBefore = l.LogHarm
	if l.Rough && l.pairs.Spike {
		l.HarmBefore, l.logs = pairs.logHarm(stats.LogTMean, l.starts.count(), l.logs)
	}
	l.weigh()
	return nil
}

// weigh reads the harm evidence of the newest fold: exactly where a bound of it reaches
// the bar of a hold, which in a healthy canary it never does. Against the time before
// it is always asked exactly, since the answer depends on when the level moved.
func (l *levelJudge) weigh() {
	if l.before == nil && l.pairs != nil && l.plan.Comparison != Both {
		bound, logs := l.pairs.logHarm(stats.LogTMeanBound, l.starts.count(), l.logs)
		if l.logs = logs; bound < math.Log(1/l.plan.AlphaHold) {
			l.LogHarm, l.LogOwn, l.Rough = bound, 0, true
			return
		}
	}
	l.LogHarm, l.LogOwn = l.mixedHarm()
	l.Rough = false
}

// exactHarm is ln E_R over all start times.
func (l *levelJudge) exactHarm() float64 {
	if !l.Rough {
		return l.LogHarm
	}
	all, _ := l.mixedHarm()
	return all
}

func (l *levelJudge) foldPairs(canary, baseline groupLevel) error {
	if l.pairs == nil {
		return nil
	}
	x := l.onScale(canary) - l.onScale(baseline)
	if !usable(x) {
		l.pairs.gap()
		return nil
	}
	l.saw(x, canary, baseline.pods, baseline.mean)
	return l.pairs.add(x, l.bounds(canary.pods, baseline.pods))
}

// foldBefore takes in the canary's own level, less that of the control where history
// had one.
func (l *levelJudge) foldBefore(f Fold, canary, control groupLevel) error {
	if l.before == nil {
		return nil
	}
	x := l.onScale(canary)
	if l.h.Control {
		x -= l.onScale(control)
	}
	if !usable(x) {
		l.before.gap()
		return nil
	}
	fit := l.before.fit
	if l.pairs == nil {
		l.saw(x-fit.Mean/(1-fit.Phi), canary, l.h.Pods, l.h.Newest)
	}
	if l.First.IsZero() {
		l.First = f.End
	}
	// History is of the mean of all pods; that of fewer varies more, at most as much as
	// if each pod varied by itself.
	l.before.Wider = max(1, float64(l.h.Pods)/float64(canary.pods))
	if l.before.Set && len(l.Residuals) < cap(l.Residuals) {
		l.Residuals = append(l.Residuals, (x-float64(fit.Phi*l.before.X)-fit.Mean)/(fit.sd()*math.Sqrt(l.before.Wider)))
		if !f.End.After(l.plan.Deployment.StartedAt.Add(earlyOnset)) {
			l.Early = len(l.Residuals)
		}
	}
	return l.before.add(x, l.bounds(canary.pods, l.h.Pods))
}

func (l *levelJudge) onScale(g groupLevel) float64 {
	if g.pods == 0 {
		return math.NaN()
	}
	floor := 0.0
	if l.h != nil {
		floor = l.h.Floor
	}
	return l.o.OnScale(l.o.Level.Scale, g.mean, floor)
}

// usable reports whether a difference can be added to others.
func usable(x float64) bool { return math.Abs(x) < 1e100 } // false for NaN

func (l *levelJudge) saw(x float64, canary groupLevel, others int, mean float64) {
	l.Rows++
	if l.Canary != canary.pods || l.Other != others {
		l.Canary, l.Other = canary.pods, others
		l.barred = l.bar()
	}
	l.CanaryNow, l.OtherNow = canary.mean, mean
	l.Newest = [3]float64{l.Newest[1], l.Newest[2], x}
}

// bounds are tolerance and margin, moved by what a slow pod may add to a comparison of
// so many pods.
func (l *levelJudge) bounds(canary, other int) bounds {
	shift := float64(l.spread * math.Sqrt(1/float64(max(1, canary))+1/float64(max(1, other))))
	return bounds{l.o.Level.Tolerance + shift, l.o.Level.Margin - shift}
}

// podQuantile is how many standard deviations between pods both bounds are moved: more
// where few pods told of it, since two that happen to be alike say little. Simulated
// with pods that differ by 10 %, learned from two: 5 % false rollbacks without it.
func (l *levelJudge) podQuantile() float64 {
	if l.h == nil || l.h.PodSDPods < 2 || l.h.PodSDPods >= manyPods {
		return podQuantile
	}
	return podQuantile * stats.StudentQuantile(.95, float64(l.h.PodSDPods-1)) / stats.StudentQuantile(.95, manyPods-1)
}

// podSD is the spread between pods, assumed where history does not tell it.
func (l *levelJudge) podSD() float64 {
	switch {
	case l.h != nil && l.h.PodSDKnown:
		return l.h.PodSD
	case l.pairs == nil:
		return 0 // one pod before and after: what it may differ by is in no telemetry
	case l.o.Level.Scale == ScaleLog:
		return assumedPodSD
	case l.o.Level.Scale == ScaleDifference && l.h != nil:
		return assumedPodSD * l.h.Typical
	}
	return 0
}

// mixedHarm is the harm over all start times: of two comparisons the average, and that
// with the time before by itself.
func (l *levelJudge) mixedHarm() (all, own float64) {
	slots := l.starts.count()
	if l.before != nil {
		own, l.logs = l.before.logHarm(stats.LogTMean, slots, l.logs)
		if own > 0 && !l.mayBlame(own) {
			own = 0
		}
	}
	if l.pairs == nil {
		return own, own
	}
	all, l.logs = l.pairs.logHarm(stats.LogTMean, slots, l.logs)
	if l.plan.Comparison == Both { // with too short a history the other half counts as 1
		top := max(all, own, 0)
		all = top + math.Log((math.Exp(all-top)+math.Exp(own-top))/2)
	}
	return all, own
}

// mayBlame reports whether harm against the time before may be the release's: a
// control shows what else changed, or the level moved with the switch. It is asked
// only where the answer could matter.
func (l *levelJudge) mayBlame(logE float64) bool {
	if l.h.Control {
		return true
	}
	awaited := max(earlyOnset, l.plan.Window.Warmup.D()) + 2*l.o.Cadence.D()
	if logE < math.Log(1/l.plan.AlphaHold) || l.First.Sub(l.plan.Deployment.StartedAt) > awaited {
		return false // not asked yet, or nobody saw when the level moved
	}
	return stats.EarlyShift(l.Residuals, l.Early, l.before.fit.Phi, 1) >= .5
}

func (l *levelJudge) evidence() evidence {
	e := evidence{logHarm: l.LogHarm, rough: l.Rough, phi: 1, enoughEvents: l.Rows >= minLevelRows && l.lasting(l.o.Level.Tolerance), Counts: Counts{Folds: l.Rows}}
	s := l.promoting()
	if s != nil {
		e.logSafety = s.logSafety()
		if s.fit != nil {
			e.phi = s.fit.Kappa
		}
	}
	e.barred = l.barred
	return e
}

// promoting is the comparison that may promote: with the baseline beside the canary
// where there is one. Nil: none.
func (l *levelJudge) promoting() *levelSeries {
	if l.pairs != nil {
		return l.pairs
	}
	return l.before
}

// harmWithoutWorst is the harm without the newest row, where that is a spike: a
// prewhitened level speaks loudest in the row in which it moves, and takes it back in
// the next if it was a single sample.
func (l *levelJudge) harmWithoutWorst() float64 {
	for _, s := range []*levelSeries{l.pairs, l.before} {
		if s != nil && s.Spike {
			return min(l.HarmBefore, l.exactHarm())
		}
	}
	return l.exactHarm()
}

// lasting reports whether each of the newest rows lies beyond a bound: what is back in
// its place does no harm any more.
func (l *levelJudge) lasting(bound float64) bool {
	if l.Rows < len(l.Newest) {
		return false
	}
	for _, x := range l.Newest {
		if !(x > bound) {
			return false
		}
	}
	return true
}

// lateBreak reports whether each of the newest rows lies beyond the margin.
func (l *levelJudge) lateBreak(*recent) (Check, bool) {
	if !l.lasting(l.o.Level.Margin) {
		return Check{}, false
	}
	return Check{Undecided, LateBreak, fmt.Sprintf("%s: safe over the whole run, but in its last %d samples the canary is beyond its margin (%s)", l.o.Name, len(l.Newest), l.compared())}, true
}

func (l *levelJudge) counted() string {
	if l.Rows == 0 {
		return ""
	}
	return fmt.Sprintf("%d samples of %d canary pods and %d baseline pods", l.Rows, l.Canary, l.Other)
}

func (l *levelJudge) compared() string {
	if l.Rows == 0 {
		return "nothing measured yet"
	}
	beside := "in the baseline"
	if l.pairs == nil {
		beside = "before the deployment"
	}
	unit, overall := l.o.Signal.Unit, ""
	if s := l.promoting(); s != nil && l.o.Level.Scale == ScaleLog {
		if x, _ := s.estimate(.05); !math.IsNaN(x) { // the newest sample alone may say the opposite
			if l.o.Signal.Better == BetterHigher {
				x = -x
			}
			overall = fmt.Sprintf("%.3g times as much, ", math.Exp(x))
		}
	}
	return overall + fmt.Sprintf("now %s in the canary, %s %s", amount(l.CanaryNow, unit), amount(l.OtherNow, unit), beside)
}

// levelRecord is a level as plain data.
type levelRecord struct {
	State         levelState
	Starts        startsTaken
	Pairs, Before *seriesState
}

func (l *levelJudge) snapshot() ([]byte, error) {
	r := levelRecord{State: l.levelState, Starts: l.starts.startsTaken}
	if l.pairs != nil {
		r.Pairs = &l.pairs.seriesState
	}
	if l.before != nil {
		r.Before = &l.before.seriesState
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(r)
	return b.Bytes(), err
}

func (l *levelJudge) restore(data []byte) error {
	var r levelRecord
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&r); err != nil {
		return err
	}
	if (r.Pairs != nil) != (l.pairs != nil) || (r.Before != nil) != (l.before != nil) {
		return fmt.Errorf("checkpoint of objective %q belongs to another plan", l.o.Name)
	}
	slots := l.starts.count()
	for _, s := range []struct {
		to   *levelSeries
		from *seriesState
	}{{l.pairs, r.Pairs}, {l.before, r.Before}} {
		if s.from != nil {
			s.from.Starts = append(make([]stats.Moments, 0, slots), s.from.Starts...)
			s.to.seriesState = *s.from
		}
	}
	r.State.Residuals = append(make([]float64, 0, cap(l.Residuals)), r.State.Residuals...)
	l.levelState, l.starts.startsTaken = r.State, r.Starts
	l.barred = l.bar()
	return nil
}
