package oc

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
	"github.com/release-assay/assay/internal/peers"
)

// levelTable is settings G: a gauge.
const levelTable = "G"

// scrape is the spacing of the samples of a level.
const scrape = 15 * time.Second

const scrapesPerMinute = int(time.Minute / scrape)

// A levelWorld is a service whose pods hold a level: a load that all share, and noise
// of each pod.
type levelWorld struct {
	minutes  int
	baseline int     // pods
	higher   float64 // factor on the canary; 0: 1
	pod      noise   // of each pod, a scrape a step
	slow     noise   // a second component, a scrape a step
	podSD    float64 // between pods, for good, in logarithms
}

// settingsG: 15-s scrapes, shared load AR .95 and 20%, pod noise AR .9 and 8%, one
// canary pod against seven, one hour.
func settingsG() levelWorld {
	return levelWorld{minutes: 60, baseline: 7, pod: noise{LogSD: .08, Persist: .9}}
}

// sharedLoad is on all pods alike.
var sharedLoad = noise{LogSD: .2, Persist: .95}

// typicalLevel is what a pod holds without noise.
const typicalLevel = 100

// pods draws the levels of n pods for so many scrapes.
func (w *levelWorld) pods(rng *rand.Rand, n, scrapes int) [][]float64 {
	load := sharedLoad.wander(rng, scrapes)
	out := make([][]float64, n)
	for i := range out {
		out[i] = w.pod.wander(rng, scrapes)
		slow, offset := w.slow.wander(rng, scrapes), math.Exp(w.podSD*rng.NormFloat64())
		for t := range out[i] {
			out[i][t] *= typicalLevel * load[t] * slow[t] * offset
		}
	}
	return out
}

// draw simulates the deployment: the canary's pod first.
func (w *levelWorld) draw(rng *rand.Rand) [][]float64 {
	out := w.pods(rng, 1+w.baseline, w.minutes*scrapesPerMinute)
	for t := range out[0] {
		out[0][t] *= max(1, w.higher)
	}
	return out
}

// facts simulates a day of scrapes and learns from it, for rows of a cadence.
func (w *levelWorld) facts(rng *rand.Rand, cadence time.Duration, seed string) analysis.Facts {
	const scrapes = 24 * 60 * scrapesPerMinute
	levels := w.pods(rng, 1+w.baseline, scrapes)
	var sums []analysis.MinuteSum
	every := int(cadence / scrape)
	for t := every - 1; t < scrapes; t += every {
		at := deployedAt.Add(-time.Duration(scrapes-t+every-1) * scrape)
		for i := range levels {
			sums = append(sums, analysis.MinuteSum{Minute: at, Pod: podName(i), Level: levels[i][t]})
		}
	}
	h := history.LearnLevel(sums, deployedAt, cadence, w.share(), seed, levelObjective())
	return analysis.Facts{Spacing: cadence, Step: cadence, History: h}
}

func levelObjective() analysis.Objective {
	return analysis.Objective{
		Name: "cpu", Role: analysis.Critical,
		Signal: analysis.Signal{Name: "cpu", Source: "simulated", Unit: "s", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "process_cpu"}},
	}
}

// judgeLevels judges the newest scrape of each fold.
func judgeLevels(p *analysis.Plan, levels [][]float64) (outcome, error) {
	rows := make([]analysis.ArmRow, len(levels))
	for i := range rows {
		pod := (i + 1) % len(levels) // the baseline first
		rows[i] = analysis.ArmRow{Arm: analysis.Baseline, Pod: podName(pod), Received: 1, Fresh: true, Version: "1.4.9", PodStart: deployedAt.Add(-24 * time.Hour)}
		if pod == 0 {
			rows[i].Arm, rows[i].Pod, rows[i].Version, rows[i].PodStart = analysis.Canary, "canary", "1.5.0", deployedAt
		}
	}
	return judge(p, nil, func(_ int, fold analysis.Fold) []analysis.ArmRow {
		t := int(fold.End.Sub(deployedAt)/scrape) - 1
		for i := range rows {
			rows[i].Level = levels[(i+1)%len(levels)][t]
		}
		return rows
	})
}

func levelRows() []Row {
	var rows []Row
	add := func(name string, truth Truth, asked float64, change func(*levelWorld)) {
		w := settingsG()
		change(&w)
		r := Row{Table: levelTable, Name: name, Truth: truth, Asked: asked, open: func(seed uint64) (runner, error) { return w.runner(name, seed) }}
		if truth == Bad {
			r.Share = powerShare
		}
		rows = append(rows, r)
	}
	higher := func(f float64) func(*levelWorld) { return func(w *levelWorld) { w.higher = f } }
	add("no change", Healthy, 0, func(*levelWorld) {})
	add("true +5%, on the tolerance", Healthy, 0, higher(1.05))
	add("noise on two time scales", Healthy, 0, func(w *levelWorld) {
		w.pod, w.slow = noise{LogSD: .08 * math.Sqrt(.5), Persist: .9}, noise{LogSD: .08 * math.Sqrt(.5), Persist: .99}
	})
	add("pods differ by 5%", Healthy, 0, func(w *levelWorld) { w.podSD = .05 })
	add("+10%", Bad, 0, higher(1.10))
	add("+25%", Bad, 21+warmup.Minutes(), higher(1.25))
	add("+50%", Bad, 5.8+warmup.Minutes(), higher(1.5))
	add("+100%", Bad, 2+warmup.Minutes(), higher(2))
	add("+20%, on the margin", OnMargin, 0, higher(1.2))
	add("+20%, on the margin, pods differ by 5%", OnMargin, 0, func(w *levelWorld) { w.higher, w.podSD = 1.2, .05 })
	return rows
}

// share is the canary's part of the pods.
func (w *levelWorld) share() float64 { return 1 / float64(1+w.baseline) }

// histories learns the simulated days that the runs share.
func (w *levelWorld) histories(seed uint64, cadence time.Duration) ([]analysis.Facts, error) {
	key := fmt.Sprint(levelTable, seed, cadence, w.baseline, w.pod, w.slow, w.podSD)
	return learnOnce(key, func() ([]analysis.Facts, error) {
		out := make([]analysis.Facts, histories)
		for d := range out {
			out[d] = w.facts(rand.New(rand.NewPCG(seed, streamOf(key, d))), cadence, fmt.Sprint("day ", d))
		}
		return out, nil
	})
}

// levelLimit is the peers' fixed one: half as much again as usual.
const levelLimit = 1.5 * typicalLevel

// runner learns the histories and freezes the plans.
func (w levelWorld) runner(name string, seed uint64) (runner, error) {
	at := []time.Duration{scrape, time.Minute}
	plans := make([][]*analysis.Plan, len(at))
	for i, cadence := range at {
		pool, err := w.histories(seed, cadence)
		if err != nil {
			return nil, fmt.Errorf("row %q: %w", name, err)
		}
		for d := range pool {
			p, err := plan(release(w.share(), 1), w.minutes, analysis.Concurrent, []analysis.Objective{levelObjective()}, pool[d:d+1])
			if err != nil {
				return nil, fmt.Errorf("row %q: %w", name, err)
			}
			plans[i] = append(plans[i], p)
		}
	}
	return func(run int, rng *rand.Rand) (map[string]outcome, error) {
		levels := w.draw(rng)
		out := map[string]outcome{}
		for i, cadence := range at {
			o, err := judgeLevels(plans[i][run%len(plans[i])], levels)
			if err != nil {
				return nil, fmt.Errorf("row %q, run %d: %w", name, run, err)
			}
			out[assayAt(cadence)] = o
		}
		canary, baseline := levels[0], mean(levels[1:])
		minutes := len(canary) / scrapesPerMinute
		out[byKayenta] = outcome{alarm: 60 * peers.Netflix.Alarm(canary, baseline, scrapesPerMinute, firstLook)}
		out[byKayentaOnce] = outcome{alarm: 60 * peers.Netflix.Alarm(canary, baseline, scrapesPerMinute, minutes)}
		out[byRatio] = outcome{alarm: int(scrape.Seconds()) * peers.Ratio{Times: 1.2, Window: 5 * scrapesPerMinute}.Alarm(canary, baseline)}
		out[byArgo] = outcome{alarm: 60 * peers.Argo{Above: levelLimit, ErrorLimit: 4}.Alarm(everyMinute(canary))}
		out[byFlagger] = outcome{alarm: 60 * peers.Flagger{Above: levelLimit, Threshold: flaggerFail}.Alarm(everyMinute(canary))}
		return out, nil
	}, nil
}

// mean is that of several pods, scrape by scrape.
func mean(pods [][]float64) []float64 {
	out := make([]float64, len(pods[0]))
	for _, pod := range pods {
		for t, v := range pod {
			out[t] += v / float64(len(pods))
		}
	}
	return out
}

// everyMinute averages the scrapes of each minute.
func everyMinute(scrapes []float64) []float64 {
	out := make([]float64, len(scrapes)/scrapesPerMinute)
	for t, v := range scrapes {
		out[t/scrapesPerMinute] += v / float64(scrapesPerMinute)
	}
	return out
}
