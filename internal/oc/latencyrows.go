package oc

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/peers"
)

// latencyTable is settings L: durations of requests.
const latencyTable = "L"

// settingsL: 50 requests a second, a canary of 20%, median 100 ms, p99 404 ms.
func settingsL() latencyWorld {
	return latencyWorld{rps: 50, share: .2, minutes: 60, pods: 4, median: .1, sigma: .6}
}

// latencyTellings are what Assay judges; the first one stands for pushed spans.
var latencyTellings = []latencyTelling{
	{"spans, 5s", 5 * time.Second, ofSpans},
	{"schema 5, 15s", 15 * time.Second, ofSchema(5)},
	{"schema 5, 60s", time.Minute, ofSchema(5)},
	{"schema 3, 60s", time.Minute, ofSchema(3)},
	{"classic, 15s", 15 * time.Second, ofClassic},
	{"classic, 60s", time.Minute, ofClassic},
}

// The peers' limit on p99.
const p99Limit = .5

func latencyRows() []Row {
	var rows []Row
	add := func(name string, truth Truth, asked float64, change func(*latencyWorld)) {
		w := settingsL()
		change(&w)
		r := Row{Table: latencyTable, Name: name, Truth: truth, Asked: asked, open: func(seed uint64) (runner, error) { return w.runner(name, seed) }}
		r.Share = 2
		if truth == Bad {
			r.Share = 2 * powerShare
		}
		rows = append(rows, r)
	}
	slower := func(f float64) func(*latencyWorld) { return func(w *latencyWorld) { w.slower = f } }
	add("no change", Healthy, 0, func(*latencyWorld) {})
	add("true +5%, on the tolerance", Healthy, 0, slower(1.05))
	add("both arms slow down and recover", Healthy, 0, func(w *latencyWorld) { w.shared = noise{LogSD: .2, Persist: .95} })
	add("pod noise 5% a minute", Healthy, 0, func(w *latencyWorld) { w.pod = noise{LogSD: .05} })
	add("pods wander 5%, .9 a minute", Healthy, .02, func(w *latencyWorld) { w.pod = noise{LogSD: .05, Persist: .9} })
	add("+10%", Bad, 11.9+warmup.Minutes(), slower(1.10))
	add("+25%", Bad, .8+warmup.Minutes(), slower(1.25))
	add("+50%", Bad, .2+warmup.Minutes(), slower(1.5))
	add("+100%", Bad, .1+warmup.Minutes(), slower(2))
	add("5% of the requests x3", Bad, 2.9+warmup.Minutes(), func(w *latencyWorld) { w.tail = .05 })
	rows[len(rows)-1].Why = "the figure asked for is without the rule that no single fold may roll back (0.4 min)"
	add("+20%, on the margin", OnMargin, 0, slower(1.2))
	return rows
}

// runner learns the histories and freezes the plans.
func (w latencyWorld) runner(name string, seed uint64) (runner, error) {
	plans := make([][]*analysis.Plan, len(latencyTellings))
	pool, err := w.histories(seed)
	if err != nil {
		return nil, fmt.Errorf("row %q: %w", name, err)
	}
	for _, facts := range pool {
		for k := range latencyTellings {
			p, err := plan(release(w.share, 1), w.minutes, analysis.Concurrent, []analysis.Objective{latencyObjective()}, facts[k:k+1])
			if err != nil {
				return nil, fmt.Errorf("row %q: %w", name, err)
			}
			plans[k] = append(plans[k], p)
		}
	}
	return func(run int, rng *rand.Rand) (map[string]outcome, error) {
		canary, baseline := w.draw(rng)
		out := map[string]outcome{}
		for k, telling := range latencyTellings {
			o, err := judgeLatency(plans[k][run%len(pool)], canary, baseline)
			if err != nil {
				return nil, fmt.Errorf("row %q, run %d: %w", name, run, err)
			}
			out[byAssay+telling.name] = o
		}
		p95, p99 := canary.quantilesPerMinute(.95), canary.quantilesPerMinute(.99)
		out[byKayenta] = outcome{alarm: 60 * peers.Netflix.Alarm(p95, baseline.quantilesPerMinute(.95), 1, firstLook)}
		out[byArgo] = outcome{alarm: 60 * peers.Argo{Above: p99Limit, ErrorLimit: 4}.Alarm(p99)}
		out[byFlagger] = outcome{alarm: 60 * peers.Flagger{Above: p99Limit, Threshold: flaggerFail}.Alarm(p99)}
		return out, nil
	}, nil
}

// histories learns the simulated days that the runs share, as each telling reports
// them.
func (w *latencyWorld) histories(seed uint64) ([][]analysis.Facts, error) {
	key := fmt.Sprint(latencyTable, seed, w.rps, w.share, w.pods, w.median, w.sigma, w.shared, w.pod)
	return learnOnce(key, func() ([][]analysis.Facts, error) {
		out := make([][]analysis.Facts, histories/2)
		for d := range out {
			var err error
			if out[d], err = w.facts(rand.New(rand.NewPCG(seed, streamOf(key, d))), latencyTellings, fmt.Sprint("day ", d)); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}
