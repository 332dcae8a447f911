package oc

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
	"github.com/release-assay/assay/internal/peers"
)

// An aloneLevel is a gauge of a service that is replaced at once: one value a minute,
// noise of 10%, judged for half an hour against the time before.
type aloneLevel struct {
	persist float64 // of the noise, a minute a step
	higher  float64 // factor after the deployment; 0: 1
}

const aloneMinutes = 30

func aloneLevelRows() []Row {
	var rows []Row
	add := func(name string, truth Truth, w aloneLevel) {
		name = fmt.Sprintf("gauge, AR %g, %s", w.persist, name)
		r := Row{Table: aloneTable, Name: name, Truth: truth, open: func(seed uint64) (runner, error) { return w.runner(name, seed) }}
		if truth == Bad {
			r.Share = powerShare
		}
		rows = append(rows, r)
	}
	for _, persist := range []float64{.5, .9} {
		add("no change", Healthy, aloneLevel{persist, 1})
		add("+50%", Bad, aloneLevel{persist, 1.5})
		add("+25%, beyond the margin", OnMargin, aloneLevel{persist, 1.25})
	}
	return rows
}

// minutes draws the level of so many minutes.
func (w aloneLevel) minutes(rng *rand.Rand, n int) []float64 {
	out := noise{LogSD: .1, Persist: w.persist}.wander(rng, n)
	for i := range out {
		out[i] *= typicalLevel
	}
	return out
}

func (w aloneLevel) objective() analysis.Objective {
	o := levelObjective()
	o.BeforeAfterPromote = true
	return o
}

// runner learns each run's own hour before the deployment.
func (w aloneLevel) runner(name string, _ uint64) (runner, error) {
	return func(run int, rng *rand.Rand) (map[string]outcome, error) {
		levels := w.minutes(rng, hourBefore+aloneMinutes)
		before, after := levels[:hourBefore], levels[hourBefore:]
		var sums []analysis.MinuteSum
		for m, v := range before {
			sums = append(sums, analysis.MinuteSum{Minute: deployedAt.Add(-time.Duration(hourBefore-m) * time.Minute), Pod: podName(0), Level: v})
		}
		for m := range after {
			after[m] *= max(1, w.higher)
		}
		h := history.LearnLevel(sums, deployedAt, time.Minute, 1, fmt.Sprint("run ", run), w.objective())
		p, err := plan(release(1, 1), aloneMinutes, analysis.PreviousWindow, []analysis.Objective{w.objective()}, []analysis.Facts{{Spacing: time.Minute, Step: time.Minute, History: h}})
		if err != nil {
			return nil, fmt.Errorf("row %q: %w", name, err)
		}
		rows := []analysis.ArmRow{{Arm: analysis.Canary, Pod: "canary", Received: 1, Fresh: true, Version: "1.5.0", PodStart: deployedAt}}
		o, err := judge(p, nil, func(_ int, fold analysis.Fold) []analysis.ArmRow {
			rows[0].Level = after[int(fold.End.Sub(deployedAt)/time.Minute)-1]
			return rows
		})
		if err != nil {
			return nil, fmt.Errorf("row %q, run %d: %w", name, run, err)
		}
		return map[string]outcome{
			assayAt(time.Minute): o,
			byKayenta:            {alarm: 60 * peers.Netflix.Alarm(after, before[hourBefore-aloneMinutes:], 1, firstLook)},
			byArgo:               {alarm: 60 * peers.Argo{Above: levelLimit, ErrorLimit: 4}.Alarm(after)},
			byFlagger:            {alarm: 60 * peers.Flagger{Above: levelLimit, Threshold: flaggerFail}.Alarm(after)},
		}, nil
	}, nil
}
