package analysis

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// placeboJudge judges a level for which no baseline runs beside the canary, by two weeks
// of history and a control: what the service did against its control and against the day
// before is compared with what it did after starts at which nothing was started
// (statistics 7). Its p-value becomes all-or-nothing evidence: 1/alpha where it is at most
// alpha, alpha being the share of the error rate that the objective has.
// Before that it says nothing, which it counts as 0: the mean of such an e-value is at most 1,
// and no other turns a p-value into more at one bar.
type placeboJudge struct {
	oneStratum
	noLateBreak
	plan     *Plan
	o        *PlannedObjective
	placebos *stats.Placebos
	alpha    float64
	placeboState
}

// placeboState is the part that a checkpoint carries.
type placeboState struct {
	Effect    stats.PlaceboSum
	Harm      stats.PlaceboSum // of what lies beyond the tolerance
	CanaryNow float64
	Control   float64
	Pods      int
}

func newPlaceboJudge(p *Plan, o *PlannedObjective) (*placeboJudge, error) {
	if o.Level == nil || !(o.Level.Tolerance < o.Level.Margin) {
		return nil, fmt.Errorf("a level needs a tolerance below its margin")
	}
	return &placeboJudge{plan: p, o: o, placebos: o.History.Long.placebos(), alpha: p.AlphaRollback * o.Weight}, nil
}

// usesPlacebos reports whether a level is judged by a long history.
func usesPlacebos(p *Plan, o *PlannedObjective) bool {
	return p.Comparison == PreviousWindow && o.Leak == nil && o.History.Long != nil && o.History.Level != nil && o.Cadence.D() == time.Minute
}

func (*placeboJudge) step(time.Time) {}

func (j *placeboJudge) fold(t *taken) error {
	canary, control := groupOf(t.Canary, j.o.Signal.Adds()), groupOf(t.Control, j.o.Signal.Adds())
	if canary.pods > 0 {
		j.CanaryNow, j.Pods = canary.mean, canary.pods
	}
	if control.pods > 0 {
		j.Control = control.mean
	}
	i := int(t.Start.Sub(j.plan.Deployment.StartedAt.Truncate(time.Minute)) / time.Minute)
	r := j.placebos.Residual(i, j.onScale(canary), j.onScale(control))
	j.Effect.Add(r)
	j.Harm.Add(r - j.o.Level.Tolerance)
	return nil
}

func (j *placeboJudge) onScale(g groupLevel) float64 {
	if g.pods == 0 {
		return math.NaN()
	}
	return j.o.OnScale(j.o.Level.Scale, g.mean, j.o.History.Level.Floor)
}

func (j *placeboJudge) evidence() evidence {
	e := evidence{logHarm: j.logHarm(), phi: 1, before: true, enoughEvents: j.Effect.N >= minLevelRows, Counts: Counts{Folds: j.Effect.N}}
	if j.Effect.Looked() && j.pSafe() <= j.plan.AlphaPromote {
		e.logSafety = math.Log(1 / j.plan.AlphaPromote)
	}
	e.barred = j.bar()
	return e
}

// logHarm is the evidence that the service rose by more than the tolerance, beyond what
// it does when nothing is started.
func (j *placeboJudge) logHarm() float64 {
	if j.o.History.Long.Refused != "" || !j.Harm.Looked() || j.placebos.PUp(j.Harm.Up) > j.alpha {
		return math.Inf(-1)
	}
	return math.Log(1/j.alpha) + roundingOfLogs
}

// roundingOfLogs is more than what an average over objectives loses to rounding: an alarm
// must not miss the bar by that.
const roundingOfLogs = 1e-12

// pSafe is the p-value, at the newest look, against an effect of the margin or more.
func (j *placeboJudge) pSafe() float64 {
	return j.placebos.PDown(math.Sqrt(float64(j.Effect.N))*j.o.Level.Margin - j.Effect.Now())
}

// mde is the smallest effect that the whole window would show: twice what one placebo in
// a hundred reaches.
func (j *placeboJudge) mde() float64 {
	return 2 * j.placebos.Quantile(.99) / math.Sqrt(float64(j.placebos.Looks))
}

func (j *placeboJudge) bar() Check {
	switch {
	case j.o.History.Long.Refused != "":
		return Check{Undecided, BeforeAfterOnly, fmt.Sprintf("%s: compared with the time before only, and %s", j.o.Name, j.o.History.Long.Refused)}
	case !j.o.BeforeAfterPromote:
		return Check{Undecided, BeforeAfterOnly, j.o.Name + ": compared with the time before only, which may promote only with beforeAfter.promote"}
	case j.mde() > j.o.Level.Margin:
		return Check{Undecided, Underpowered, fmt.Sprintf("%s: the time before varies too much: an effect of the margin would not be seen (%.3g, seen would be %.3g)", j.o.Name, j.o.Level.Margin, j.mde())}
	}
	return Check{}
}

func (j *placeboJudge) harmWithoutWorst() float64 { return j.logHarm() }

func (j *placeboJudge) counted() string {
	if j.Effect.N == 0 {
		return ""
	}
	return fmt.Sprintf("%d minutes against %d placebo starts", j.Effect.N, len(j.placebos.Up))
}

func (j *placeboJudge) compared() string {
	if j.Effect.N == 0 {
		return "nothing measured yet"
	}
	return fmt.Sprintf("now %.4g in the canary, %.4g in the control; p %.2g of %d placebo starts", j.CanaryNow, j.Control, j.placebos.PUp(j.Effect.Up), len(j.placebos.Up))
}

func (j *placeboJudge) describe(f *Finding) {
	f.EffectKind, f.Evidence = "difference", BeforeAfter
	n := float64(j.Effect.N)
	mean, lo, hi := math.NaN(), math.Inf(-1), math.Inf(1)
	if n > 0 {
		down := stats.Placebos{Up: j.placebos.Down}
		mean = j.Effect.Sum / n
		lo, hi = mean-j.placebos.Quantile(.975)/math.Sqrt(n), mean+down.Quantile(.975)/math.Sqrt(n)
	}
	f.Effect, f.Low, f.High = Figure(mean), Figure(lo), Figure(hi)
	f.Tolerance, f.Margin = Figure(j.o.Level.Tolerance), Figure(j.o.Level.Margin)
	if j.o.Level.Scale == ScaleLog {
		f.EffectKind = "ratio"
		for _, v := range []*Figure{&f.Effect, &f.Low, &f.High, &f.Tolerance, &f.Margin} {
			*v = Figure(math.Exp(float64(*v)))
		}
	}
	f.MinutesToPromote, f.MinutesToDetectDouble = j.stillNeeded()
}

// stillNeeded forecasts from sqrt(k) effect reaching what the placebos reach; before
// the first look the warm-up counts.
func (j *placeboJudge) stillNeeded() (promote, detect Figure) {
	down := stats.Placebos{Up: j.placebos.Down}
	return j.minutesOf(down.Quantile(1-j.plan.AlphaPromote), j.o.Level.Margin), j.minutesToSee(2)
}

func (j *placeboJudge) minutesToSee(factor float64) Figure {
	farther := math.Log(factor)
	if j.o.Level.Scale != ScaleLog {
		farther = (factor - 1) * j.o.History.Level.Typical
	}
	return j.minutesOf(j.placebos.Quantile(1-j.alpha), farther-j.o.Level.Tolerance)
}

func (j *placeboJudge) minutesOf(needed, effect float64) Figure {
	if !(effect > 0) {
		return Figure(math.Inf(1))
	}
	m := (needed / effect) * (needed / effect)
	if j.Effect.N == 0 {
		m += j.plan.Window.Warmup.D().Minutes()
	}
	return Figure(max(0, m-float64(j.Effect.N)))
}

func (j *placeboJudge) snapshot() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(j.placeboState)
	return b.Bytes(), err
}

func (j *placeboJudge) restore(data []byte) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(&j.placeboState)
}
