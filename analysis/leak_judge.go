package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// leakJudge judges whether a level grows in the canary faster than in baseline pods of
// the same age (statistics 6): the slope of their difference, row by row, prewhitened
// by the AR(1) noise of history. Each row is the newest sample of a minute.
//
// Safety is no e-value of its own: a slope that would matter would have shown by the
// end of the bake. A baseline of older pods tells nothing, since caches fill.
type leakJudge struct {
	oneStratum
	noLateBreak
	plan *Plan
	o    *PlannedObjective
	phi  float64
	sign float64 // -1 where less is worse

	starts startSlots
	logs   []float64 // scratch
	barred Check
	leakState
}

// leakState is the part of a leak that a checkpoint carries.
type leakState struct {
	Set              bool // there is a row before
	X, Y             float64
	Start            float64           // X of the first row
	ShiftX, ShiftY   float64           // what is taken off X and Y: they stand still where other processes are compared
	Line             stats.SlopeSums   // of the prewhitened rows
	Begun            []stats.SlopeSums // at each restart
	Tracks           podTracks
	Born             time.Time // when the first canary process began
	Members          []member  // that are compared
	Rows             int       // folds with the same processes as before, of the same age in both arms
	CanaryNow, Other float64   // mean levels in the newest of them
	Fresh, Alive     bool      // the newest fold with a baseline had processes of that age; that with a canary too
	LogHarm          float64
}

// A member is a process whose level is compared.
type member struct {
	Arm   Arm
	Pod   string
	Start time.Time
}

func newLeak(p *Plan, o *PlannedObjective) (accumulator, error) {
	if o.Level == nil {
		return nil, fmt.Errorf("a leak needs a plan")
	}
	l := &leakJudge{plan: p, o: o, phi: assumedLeakAR, sign: 1, starts: newStartSlots(p)}
	if h := o.History.Level; h != nil && h.Pairs != nil {
		l.phi = h.Pairs.Phi
	}
	if o.Signal.Better == BetterHigher {
		l.sign = -1
	}
	l.Begun = make([]stats.SlopeSums, 0, l.starts.count())
	l.logs = make([]float64, 0, l.starts.count())
	l.Fresh, l.Alive = true, true
	l.barred = l.bar()
	return l, nil
}

func (l *leakJudge) step(at time.Time) { l.starts.step(at) }

func (l *leakJudge) fold(t *taken) error {
	for l.starts.due(t.Fold) {
		l.Begun = append(l.Begun, l.Line)
	}
	if l.Born.IsZero() {
		l.Born = l.earliest(t.Canary)
	}
	canary, baseline := l.sameAgeGroup(t.Canary), l.sameAgeGroup(t.Baseline)
	l.age(canary.pods > 0 || !measured(t.Canary) && l.Alive, baseline.pods > 0 || !measured(t.Baseline) && l.Fresh)
	y := l.sign * (canary.mean - baseline.mean)
	if canary.pods == 0 || baseline.pods == 0 || !usable(y) {
		l.Set = false
		return nil
	}
	x := t.End.Sub(l.plan.Deployment.StartedAt).Minutes()
	others := l.regroup(t)
	l.CanaryNow, l.Other = canary.mean, baseline.mean
	switch {
	case l.Rows == 0:
		l.Start = x
	case others: // they do not go on where the ones before were: no time passes for the slope, either
		l.ShiftX, l.ShiftY = x-l.X, y-l.Y
		l.Set = true
		return nil
	}
	x, y = x-l.ShiftX, y-l.ShiftY
	l.Rows++
	l.Tracks.add(x, t.Canary, l.sign, l.sameAge)
	if l.Set {
		if err := l.Line.Add(x-float64(l.phi*l.X), y-float64(l.phi*l.Y)); err != nil {
			return err
		}
	}
	l.Set, l.X, l.Y = true, x, y
	l.LogHarm = l.mixedHarm()
	return nil
}

// age notes whether either arm still has processes of the age that is compared.
func (l *leakJudge) age(alive, fresh bool) {
	if alive != l.Alive || fresh != l.Fresh {
		l.Alive, l.Fresh = alive, fresh
		l.barred = l.bar()
	}
}

// startOf is when the process of a row began; zero: unknown. That of the canary is
// taken to have begun with the deployment then.
func (l *leakJudge) startOf(r *ArmRow) time.Time {
	if r.PodStart.IsZero() && r.Arm == Canary {
		return l.plan.Deployment.StartedAt
	}
	return r.PodStart
}

// earliest is when the first process of the rows began; zero: there is none.
func (l *leakJudge) earliest(rows []ArmRow) (first time.Time) {
	for i := range rows {
		if start := l.startOf(&rows[i]); rows[i].Received > 0 && (first.IsZero() || start.Before(first)) {
			first = start
		}
	}
	return first
}

// sameAge reports whether a row tells the level of a process that began about when the
// canary did. One that began anew since has lost what it had gathered.
func (l *leakJudge) sameAge(r *ArmRow) bool {
	start := l.startOf(r)
	return r.Received > 0 && !start.IsZero() && start.Sub(l.Born).Abs() <= sameAge
}

// sameAgeGroup is the mean over the processes that are as old as the canary.
func (l *leakJudge) sameAgeGroup(rows []ArmRow) (g groupLevel) {
	sum := 0.0
	for i := range rows {
		if r := &rows[i]; l.sameAge(r) {
			sum += r.Level
			g.pods++
		}
	}
	g.mean = sum / float64(g.pods)
	return g
}

// regroup notes which processes are compared, and reports whether they are others than
// in the row before: the difference moves with them, which is no growth.
func (l *leakJudge) regroup(t *taken) (others bool) {
	n := 0
	for _, rows := range [...][]ArmRow{t.Baseline, t.Canary} {
		for i := range rows {
			r := &rows[i]
			if !l.sameAge(r) {
				continue
			}
			m := member{r.Arm, r.Pod, l.startOf(r)}
			switch {
			case n == len(l.Members):
				l.Members, others = append(l.Members, m), true
			case !m.is(l.Members[n]):
				l.Members[n], others = m, true
			}
			n++
		}
	}
	others = others || n < len(l.Members)
	l.Members = l.Members[:n]
	return others
}

// is reports whether two members are one process: sources compute when it began anew in
// each fold, to the second or so.
func (m member) is(other member) bool {
	return m.Arm == other.Arm && m.Pod == other.Pod && m.Start.Sub(other.Start).Abs() < time.Minute
}

// mixedHarm is the harm over all start times; 1 where too few pods grow by themselves.
func (l *leakJudge) mixedHarm() float64 {
	l.logs = l.logs[:0]
	for i := range l.Begun {
		l.logs = append(l.logs, l.logE(l.Line.Since(l.Begun[i])))
	}
	all := stats.LogStartMixture(l.logE(l.Line), l.logs, l.starts.count())
	if all > 0 && !l.Tracks.rise() {
		return 0
	}
	return all
}

// logE is the evidence that the slope is larger than allowed.
func (l *leakJudge) logE(line stats.SlopeSums) float64 {
	if line.N < minResiduals {
		return 0
	}
	slope, s, sigma := line.Fit()
	if !(sigma > 0) {
		return 0
	}
	return stats.LogTMean((slope-l.o.Level.Slope)*math.Sqrt(s)/sigma, line.N-2, s, &stats.SlopePrior)
}

func (l *leakJudge) evidence() evidence {
	e := evidence{logHarm: l.LogHarm, phi: 1, enoughEvents: l.Rows >= minLevelRows, Counts: Counts{Folds: l.Rows}, barred: l.barred}
	if l.baked() && l.LogHarm < math.Log(1/l.plan.AlphaHold) && l.flat() {
		e.logSafety = math.Log(1 / l.plan.AlphaPromote)
	}
	return e
}

// baked reports whether the pods were watched for as long as a critical slope needs to
// show, with no more than a tenth of the samples lost.
func (l *leakJudge) baked() bool {
	watched := l.watched()
	return watched >= float64(l.o.Level.Bake) && float64(l.Rows-1)*l.o.Cadence.D().Minutes() >= coverageNeeded*watched
}

// flat reports whether the slope is estimated below what is allowed and half of a
// critical one: by the end of the bake that is two and a half standard errors off
// either.
func (l *leakJudge) flat() bool {
	slope, _, _ := l.Line.Fit()
	return slope < l.o.Level.Slope+l.o.Level.Critical/2
}

// watched is for how many minutes the same processes were compared.
func (l *leakJudge) watched() float64 { return l.X - l.Start }

// bar says why a leak may not be taken for absent.
func (l *leakJudge) bar() Check {
	switch {
	case l.plan.Comparison == PreviousWindow:
		return Check{Undecided, NeedsFreshBaseline, l.o.Name + ": a leak is told from a cache that fills only by a baseline that started with the canary; the time before has none"}
	case !l.Fresh:
		return Check{Undecided, NeedsFreshBaseline, fmt.Sprintf("%s: no baseline pod is known to have started within %v of the canary's; a cache that fills would look like a leak", l.o.Name, sameAge)}
	case !l.Alive:
		return Check{Undecided, NeedsFreshBaseline, fmt.Sprintf("%s: every canary pod began anew after its first %v: what they had gathered is gone", l.o.Name, sameAge)}
	case l.o.History.Level == nil || l.o.History.Level.Pairs == nil:
		return Check{Undecided, NeedsHistory, l.o.Name + ": without history nothing tells how long a leak takes to show"}
	}
	return Check{}
}

func (l *leakJudge) harmWithoutWorst() float64 { return l.LogHarm }

func (l *leakJudge) counted() string {
	switch {
	case l.Rows == 0 && !l.Fresh:
		return "no baseline pods of the canary's age to compare with"
	case l.Rows == 0:
		return ""
	}
	out := fmt.Sprintf("%d samples over %.0f minutes", l.Rows, l.watched())
	if slope := l.Tracks.median(); !math.IsNaN(slope) {
		out += fmt.Sprintf("; canary pods grow by %s a minute at the median", amount(l.sign*slope, l.o.Signal.Unit))
	}
	return out
}

func (l *leakJudge) compared() string {
	if l.Rows == 0 {
		return "nothing measured yet"
	}
	slope, _, _ := l.interval()
	unit := l.o.Signal.Unit
	out := fmt.Sprintf("%s a minute more in the canary than in the baseline (now %s and %s)", amount(l.sign*slope, unit), amount(l.CanaryNow, unit), amount(l.Other, unit))
	if full := l.minutesToLimit(slope); !math.IsInf(full, 1) {
		out += fmt.Sprintf(", its limit is reached in about %s", inTime(full))
	}
	return out
}

// inTime writes minutes as people do.
func inTime(minutes float64) string {
	if minutes < 120 {
		return fmt.Sprintf("%.0f minutes", minutes)
	}
	return fmt.Sprintf("%.1f hours", minutes/60)
}

// minutesToLimit is when a slope uses up what is left; +Inf for never or no limit.
func (l *leakJudge) minutesToLimit(slope float64) float64 {
	left := l.sign * (l.o.Leak.Limit - l.CanaryNow)
	if l.o.Leak.Limit <= 0 || !(slope > 0) {
		return math.Inf(1)
	}
	return max(0, left/slope)
}

// interval is the slope of the difference with its confidence sequence.
func (l *leakJudge) interval() (slope, lo, hi float64) {
	slope, s, sigma := l.Line.Fit()
	half := math.Inf(1)
	if l.Line.N >= minResiduals && sigma > 0 {
		const level = 0.05
		half = sigma / math.Sqrt(s) * stats.TBar(math.Log(2/level), l.Line.N-2, s, &stats.SlopePrior)
	}
	return slope, slope - half, slope + half
}

// describe reports the slope a minute, in the signal's unit.
func (l *leakJudge) describe(f *Finding) {
	slope, lo, hi := l.interval()
	f.EffectKind, f.Effect, f.Low, f.High = "slope", Figure(l.sign*slope), Figure(l.sign*lo), Figure(l.sign*hi)
	if l.sign < 0 {
		f.Low, f.High = f.High, f.Low
	}
	f.Tolerance, f.Margin = Figure(l.sign*l.o.Level.Slope), Figure(l.sign*l.o.Level.Critical)
	f.MinutesToPromote, f.MinutesToDetectDouble = l.stillNeeded()
}

// stillNeeded is what is left of the bake; nothing is known of doubling.
func (l *leakJudge) stillNeeded() (promote, detect Figure) {
	return max(0, l.o.Level.Bake-Figure(l.watched())), Figure(math.NaN())
}

// leakRecord is a leak as plain data.
type leakRecord struct {
	State  leakState
	Starts startsTaken
}

func (l *leakJudge) snapshot() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(leakRecord{l.leakState, l.starts.startsTaken})
	return b.Bytes(), err
}

func (l *leakJudge) restore(data []byte) error {
	var r leakRecord
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&r); err != nil {
		return err
	}
	state := r.State
	state.Begun = append(make([]stats.SlopeSums, 0, l.starts.count()), state.Begun...)
	for i := range state.Tracks {
		t := &state.Tracks[i]
		t.X, t.Y = append(make([]float64, 0, maxPoints), t.X...), append(make([]float64, 0, maxPoints), t.Y...)
	}
	l.leakState, l.starts.startsTaken = state, r.Starts
	l.barred = l.bar()
	return nil
}
