package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// latency judges a distribution (statistics 4): at each threshold of the plan a trial
// compares how many observations are slow, tempered by the dispersion at that
// threshold. Harm is the average over thresholds; safety must be shown at every
// critical one.
type latency struct {
	plan   *Plan
	o      *PlannedObjective
	barred Check // why safety cannot be shown
	// before is a fold's share of the hour before the deployment, in place of the
	// baseline, where the canary is compared with that.
	before *latencyCell

	at    []latencyTrial
	cells []latencyCell // of the newest fold, sorted by stratum; reused
	place map[string]int

	harms, weights []float64 // ln E_R at each threshold, and its share
	lead           int       // the threshold with the most evidence of harm
}

// latencyTrial is the running evidence at one threshold.
type latencyTrial struct {
	*LatencyThreshold
	harm   *trial
	safety *stats.Profile // nil where the threshold is not critical
	grid   *stats.Grid    // of safety
	// logSafety is ln E_P as of the last evidence.
	logSafety float64
	recent    recent  // canary above its bound against the margin
	slow      float64 // observations of the canary above the baseline's bound
	cells     []cell  // scratch: what the trial compares
}

// latencyCell is what both arms counted of one stratum in one fold.
type latencyCell struct {
	stratum          string
	nC, nB           float64
	canary, baseline []float64 // above each bound of the plan
}

func newLatency(p *Plan, o *PlannedObjective) (*latency, error) {
	if o.Latency == nil {
		return nil, fmt.Errorf("the plan has no thresholds")
	}
	l := &latency{plan: p, o: o, barred: o.Latency.barred(o.Name), place: map[string]int{}}
	if p.Comparison == PreviousWindow {
		l.before = hourOfLatency(p, o)
		if l.barred.Code == "" {
			l.barred = barredBefore(o)
		}
	}
	for i := range o.Latency.Thresholds {
		t := latencyTrial{LatencyThreshold: &o.Latency.Thresholds[i]}
		if err := t.init(p, o); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name(), err)
		}
		if i > 0 {
			t.harm.shareScratch(l.at[0].harm)
		}
		l.at = append(l.at, t)
		l.weights = append(l.weights, t.Weight)
	}
	l.harms = make([]float64, len(l.at))
	return l, nil
}

// shiftedSafetySD is that of the safety prior where the canary is counted above a
// higher bound than the baseline: without a regression the true ratio lies far below 1.
const shiftedSafetySD = 0.5

func (t *latencyTrial) init(p *Plan, o *PlannedObjective) error {
	n := len(o.Latency.Bounds)
	if !(t.Baseline >= 0 && t.Baseline <= min(t.Harm, t.Safety) && max(t.Harm, t.Safety) < n) {
		return fmt.Errorf("bounds %d, %d and %d of %d", t.Baseline, t.Harm, t.Safety, n)
	}
	var err error
	if t.harm, err = newTrial(p, t.counts(p, o), t.Phi0); err != nil || !t.Critical {
		return err
	}
	config := stats.GridConfig{RhoP: t.RhoP, MaxLog: max(1, math.Log(t.RhoP)+.1)} // nothing above the margin tells of safety
	if t.Form != FormSlope {
		config.SafetySD = shiftedSafetySD
	}
	if t.grid, err = stats.NewGridConfig(config); err != nil {
		return err
	}
	t.safety, t.recent = stats.NewProfile(t.grid), newRecent(o.Cadence.D())
	return nil
}

// counts is the objective whose bad events are the slow observations at t.
func (t *LatencyThreshold) counts(p *Plan, o *PlannedObjective) *PlannedObjective {
	out := *o
	if p.Comparison == PreviousWindow { // history knows no strata
		out.Strata = nil
	}
	out.Null, out.BaseRate = NullRatio, t.Share
	out.ToleranceBound, out.MarginBound = Bound{Ratio: t.RhoR}, Bound{}
	if h := o.History.Latency; h != nil && len(h.Above) == len(o.Latency.Bounds) {
		out.History.Bad, out.History.Exposure = h.Above[t.Baseline], h.Exposure
	} else {
		out.History.Bad, out.History.Exposure = 0, 0
	}
	return &out
}

// hourOfLatency spreads the hour before the deployment evenly over the folds.
func hourOfLatency(p *Plan, o *PlannedObjective) *latencyCell {
	n := len(o.Latency.Bounds)
	hour := &latencyCell{baseline: make([]float64, n)}
	if h := o.History.Latency; h != nil && len(h.HourAbove) == n {
		folds := max(1, float64(p.Window.Deadline.D()/o.Cadence.D()))
		hour.nB = h.HourTotal / folds
		for i, above := range h.HourAbove {
			hour.baseline[i] = above / folds
		}
	}
	return hour
}

func (l *latency) step(at time.Time) {
	for i := range l.at {
		l.at[i].harm.step(at)
	}
}

func (l *latency) fold(t *taken) error {
	l.cut(t)
	for i := range l.at {
		if err := l.at[i].fold(t.Fold, l.cells); err != nil {
			return fmt.Errorf("%s: %w", l.at[i].name(), err)
		}
	}
	return nil
}

// cut adds the rows of both arms up, stratum by stratum. The time before has none.
func (l *latency) cut(t *taken) {
	l.cells = l.cells[:0]
	clear(l.place)
	for i := range t.Baseline {
		if r := &t.Baseline[i]; l.tells(r) {
			c := l.cell(r.Stratum)
			c.nB += r.Exposure
			addTo(c.baseline, r.Above)
		}
	}
	for i := range t.Canary {
		if r := &t.Canary[i]; l.tells(r) {
			stratum := r.Stratum
			if l.before != nil {
				stratum = ""
			}
			c := l.cell(stratum)
			c.nC += r.Exposure
			addTo(c.canary, r.Above)
		}
	}
	if l.before != nil && len(l.cells) > 0 {
		l.cells[0].nB = l.before.nB
		copy(l.cells[0].baseline, l.before.baseline)
	}
	slices.SortFunc(l.cells, func(a, b latencyCell) int { return strings.Compare(a.stratum, b.stratum) })
}

func addTo(sums, counts []float64) {
	counts = counts[:len(sums)]
	for j := range sums {
		sums[j] += counts[j]
	}
}

// tells reports whether a row counts above the plan's bounds.
func (l *latency) tells(r *ArmRow) bool {
	return len(r.Above) > 0 && len(r.Above) == len(l.o.Latency.Bounds)
}

// cell finds or begins the cell of a stratum.
func (l *latency) cell(stratum string) *latencyCell {
	if i, ok := l.place[stratum]; ok {
		return &l.cells[i]
	}
	i := len(l.cells)
	l.place[stratum] = i
	if i < cap(l.cells) {
		l.cells = l.cells[:i+1]
	} else {
		l.cells = append(l.cells, latencyCell{})
	}
	c := &l.cells[i]
	if c.canary == nil {
		n := len(l.o.Latency.Bounds)
		c.canary, c.baseline = make([]float64, n), make([]float64, n)
	}
	c.stratum, c.nC, c.nB = stratum, 0, 0
	clear(c.canary)
	clear(c.baseline)
	return c
}

// fold takes in the cells of one fold.
func (t *latencyTrial) fold(f Fold, cells []latencyCell) error {
	t.cells = t.cells[:0]
	phi := t.harm.phi()
	var margin foldCounts
	for i := range cells {
		c := &cells[i]
		slow := c.baseline[t.Baseline]
		t.cells = append(t.cells, cell{c.stratum, foldCounts{c.canary[t.Harm], slow, c.nC, c.nB}})
		if c.nC == 0 || c.nB == 0 { // exposure in one arm only says nothing
			continue
		}
		t.slow += c.canary[t.Baseline]
		if t.safety == nil {
			continue
		}
		if err := t.safety.Add(t.grid, c.canary[t.Safety], slow, c.nC, c.nB, phi); err != nil {
			return err
		}
		margin.xC += c.canary[t.Safety]
		margin.xB += slow
		margin.nC += c.nC
		margin.nB += c.nB
	}
	if t.safety != nil {
		t.recent.add(recentFold{foldCounts: margin, End: f.End})
	}
	return t.harm.fold(f, t.cells)
}

// total is what was counted in both arms above the baseline's bound.
func (t *latencyTrial) total() Counts {
	n := t.harm.Total
	n.CanaryBad = t.slow
	return n
}

func (l *latency) evidence() evidence {
	e := evidence{logSafety: l.logSafety(), phi: 1, barred: l.barred, before: l.before != nil}
	e.logHarm, e.rough = l.roughHarm(math.Log(1 / l.plan.AlphaHold))
	if t := l.shown(); t != nil {
		e.Counts, e.phi = t.total(), t.harm.phi()
	}
	if len(l.at) > 0 {
		t := l.at[l.lead].harm
		e.enoughEvents = t.enoughEvents(t.phi())
	}
	return e
}

// roughHarm is ln E_R averaged over thresholds (9), or, where that is below the bar,
// at least that.
func (l *latency) roughHarm(bar float64) (logE float64, rough bool) {
	for i := range l.at {
		var r bool
		l.harms[i], r = l.at[i].harm.roughHarm(bar)
		rough = rough || r
	}
	if rough && l.mean() >= bar {
		return l.exactHarm(), false
	}
	return l.mean(), rough
}

// exactHarm is ln E_R over all start times.
func (l *latency) exactHarm() float64 {
	for i := range l.at {
		l.harms[i] = l.at[i].harm.logHarm(false)
	}
	return l.mean()
}

// harmWithoutWorst leaves the worst fold of each threshold out of it.
func (l *latency) harmWithoutWorst() float64 {
	rest := make([]float64, len(l.at))
	for i := range l.at {
		rest[i] = l.at[i].harm.logHarm(l.at[i].harm.Worst.Set)
	}
	mean, err := stats.LogWeightedMean(rest, l.weights)
	if err != nil {
		return math.Inf(-1)
	}
	return mean
}

// mean is the average of the thresholds' evidence, of which it finds the largest; 1
// where nothing is judged.
func (l *latency) mean() float64 {
	if len(l.at) == 0 {
		return 0
	}
	l.lead = 0
	for i := range l.at {
		if l.harms[i]+math.Log(l.weights[i]) > l.harms[l.lead]+math.Log(l.weights[l.lead]) {
			l.lead = i
		}
	}
	mean, err := stats.LogWeightedMean(l.harms, l.weights)
	if err != nil { // no evidence is beyond arithmetic; if it were, nothing may follow from it
		return math.Inf(-1)
	}
	return mean
}

// logSafety is that of the critical threshold which is shown safe least: every one
// must be. Without a critical one nothing is.
func (l *latency) logSafety() float64 {
	least, critical := math.Inf(1), false
	for i := range l.at {
		if t := &l.at[i]; t.safety != nil {
			t.logSafety = t.safety.LogSafety(t.grid)
			least, critical = min(least, t.logSafety), true
		}
	}
	if !critical {
		return math.Inf(-1)
	}
	return least
}

func (l *latency) localised() string {
	if len(l.at) == 0 {
		return ""
	}
	return l.at[l.lead].harm.localised()
}

// thresholdRecord is what a checkpoint carries of a threshold.
type thresholdRecord struct {
	Harm   trialState
	Safety []float64
	Recent []recentRecord
	Slow   float64
}

func (l *latency) snapshot() ([]byte, error) {
	records := make([]thresholdRecord, len(l.at))
	for i := range l.at {
		t, r := &l.at[i], &records[i]
		r.Harm, r.Slow = *t.harm.snapshot(), t.slow
		if t.safety == nil {
			continue
		}
		r.Safety = t.safety.L
		for _, f := range t.recent.Folds {
			r.Recent = append(r.Recent, recentRecord{XC: f.xC, XB: f.xB, NC: f.nC, NB: f.nB, End: f.End})
		}
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(records)
	return b.Bytes(), err
}

func (l *latency) restore(data []byte) error {
	var records []thresholdRecord
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&records); err != nil {
		return err
	}
	if len(records) != len(l.at) {
		return fmt.Errorf("checkpoint of objective %q belongs to another plan", l.o.Name)
	}
	for i := range l.at {
		t, r := &l.at[i], &records[i]
		if err := t.harm.restore(&r.Harm); err != nil {
			return err
		}
		t.slow = r.Slow
		if t.safety == nil {
			continue
		}
		if len(r.Safety) != t.grid.Len() {
			return fmt.Errorf("checkpoint of objective %q belongs to another plan", l.o.Name)
		}
		copy(t.safety.L, r.Safety)
		for _, f := range r.Recent {
			t.recent.add(recentFold{foldCounts: foldCounts{f.XC, f.XB, f.NC, f.NB}, End: f.End.UTC()})
		}
	}
	return nil
}
