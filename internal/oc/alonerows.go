package oc

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/internal/peers"
)

// aloneTable has releases without a baseline beside the canary.
const aloneTable = "B"

// hour before the deployment, which is drawn with it: what wanders goes on wandering.
const hourBefore = 60

func aloneRows() []Row {
	var rows []Row
	add := func(name string, truth Truth, asked float64, change func(*countWorld)) {
		w := with(func(w *countWorld) {
			w.rps, w.share, w.minutes, w.alone = 20, 1, 20, true
			change(w)
		})
		r := Row{Table: aloneTable, Name: name, Truth: truth, Asked: asked, open: func(seed uint64) (runner, error) { return w.aloneRunner(name, seed) }}
		if truth == Bad {
			r.Share = powerShare
		}
		rows = append(rows, r)
	}
	drifting := noise{LogSD: .2, Persist: .97}
	add("steady", Healthy, 0, func(*countWorld) {})
	add("the service wanders, sd 20%, .97 a minute", Healthy, .02, func(w *countWorld) { w.drift = drifting })
	add("+50%", Bad, 0, func(w *countWorld) { w.ratio = constant(1.5) })
	add("x2", Bad, 0, func(w *countWorld) { w.ratio = constant(2) })
	add("x5", Bad, 0, func(w *countWorld) { w.ratio = constant(5) })
	add("x2, the service wanders", Bad, 0, func(w *countWorld) { w.ratio, w.drift = constant(2), drifting })
	return append(rows, aloneLevelRows()...)
}

// aloneRunner judges the time after the deployment against the hour before it.
func (w countWorld) aloneRunner(name string, seed uint64) (runner, error) {
	pool, err := w.histories(seed)
	if err != nil {
		return nil, fmt.Errorf("row %q: %w", name, err)
	}
	both := w
	both.minutes += hourBefore
	both.ratio = func(minute float64) float64 {
		if minute < hourBefore {
			return 1
		}
		return at(w.ratio, minute-hourBefore)
	}
	return func(run int, rng *rand.Rand) (map[string]outcome, error) {
		ticks := both.draw(rng, 1)[0]
		before, after := ticks[:hourBefore*ticksPerMinute], ticks[hourBefore*ticksPerMinute:]
		h := pool[run%len(pool)]
		h.BadHour, h.HourTotal, h.HourSpan = 0, 0, hourBefore
		for _, c := range before {
			h.BadHour += c.xC
			h.HourTotal += c.nC
		}
		out := map[string]outcome{}
		for _, cadence := range []time.Duration{scrape, time.Minute} {
			p, err := w.countPlan(cadence, 1, h)
			if err != nil {
				return nil, fmt.Errorf("row %q: %w", name, err)
			}
			o, err := judgeCounts(p, nil, [][]counts{after})
			if err != nil {
				return nil, fmt.Errorf("row %q, run %d: %w", name, run, err)
			}
			out[assayAt(cadence)] = o
		}
		now, then := ratesOf(after), ratesOf(before)
		out[byKayenta] = outcome{alarm: 60 * peers.Netflix.Alarm(now, then[len(then)-len(now):], 1, firstLook)}
		out[byArgo] = outcome{alarm: 60 * peers.Argo{Above: errorLimit, ErrorLimit: 4}.Alarm(now)}
		out[byFlagger] = outcome{alarm: 60 * peers.Flagger{Above: errorLimit, Threshold: flaggerFail}.Alarm(now)}
		return out, nil
	}, nil
}

// ratesOf are the canary's error rates of each minute.
func ratesOf(ticks []counts) []float64 {
	var out []float64
	for _, c := range perMinute(ticks) {
		out = append(out, c.xC/c.nC)
	}
	return out
}
