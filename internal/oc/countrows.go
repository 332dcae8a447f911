package oc

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/peers"
)

// errorTable is settings E: failing requests.
const errorTable = "E"

// settingsE: 200 requests a second, a canary of 10%, 0.5% errors, one hour.
func settingsE() countWorld {
	return countWorld{rps: 200, share: .1, rate: .005, minutes: 60}
}

// with changes settings E.
func with(change func(*countWorld)) countWorld {
	w := settingsE()
	change(&w)
	return w
}

func constant(f float64) func(float64) float64 { return func(float64) float64 { return f } }

// during is a factor from one minute to another, 1 elsewhere.
func during(f, from, to float64) func(float64) float64 {
	return func(minute float64) float64 {
		if from <= minute && minute < to {
			return f
		}
		return 1
	}
}

// incidents hit both arms for five minutes, twice.
func incidents(minute float64) float64 {
	return during(6, 12, 17)(minute) * during(6, 40, 45)(minute)
}

// errorRows are the rows of settings E.
func errorRows() []Row {
	return append(healthyErrorRows(), badErrorRows()...)
}

func healthyErrorRows() []Row {
	slow := func(persist float64) noise { return noise{LogSD: .3, Persist: persist} }
	return []Row{
		countRow("independent errors", Healthy, settingsE()),
		countRow("true +5%, on the tolerance", Healthy, with(func(w *countWorld) { w.ratio = constant(1.05) })),
		countRow("shared incidents x6", Healthy, with(func(w *countWorld) { w.shared = incidents })),
		countRow("clusters, phi = 5", Healthy, with(func(w *countWorld) { w.cluster = 3 })),
		lenient(countRow("clusters, phi = 5, no history", Healthy, with(func(w *countWorld) { w.cluster, w.history = 3, none }))),
		countRow("pod frailty cv .5 a minute", Healthy, with(func(w *countWorld) { w.pod = noise{CV: .5} })),
		countRow("low traffic, 2.5 rps canary", Healthy, with(func(w *countWorld) { w.rps = 25 })),
		lenient(countRow("pods wander, .8 a minute", Healthy, with(func(w *countWorld) { w.pod = slow(.8) }))),
		lenient(countRow("pods wander, .97 a minute", Healthy, with(func(w *countWorld) { w.pod = slow(.97) }))),
		lenient(countRow("whole arms wander, .8 a minute", Healthy, with(func(w *countWorld) { w.pod, w.pods = slow(.8), 1 }))),
		lenient(countRow("whole arms wander, .97 a minute", Healthy, with(func(w *countWorld) { w.pod, w.pods = slow(.97), 1 }))),
		because("a history of pods that wander each by itself cannot show it",
			lenient(countRow("whole arms wander, history shows single pods, .97 a minute", Healthy, with(func(w *countWorld) { w.pod, w.together = slow(.97), true })))),
		countRow("ramp 1/5/25/50%, environment x5 half way", Healthy, with(func(w *countWorld) {
			w.steps, w.shared = []float64{.01, .05, .25, .5}, during(5, 30, 60)
		})),
		countRow("incident x10 with pod noise, SLO 99.5%", Healthy, incidentWithPodNoise(10)),
		countRow("incident x30 with pod noise, SLO 99.5%", Healthy, incidentWithPodNoise(30)),
		countRow("one pod against one, 20 rps each", Healthy, with(oneAgainstOne)),
		countRow("one pod against one, no dispersion learned", Healthy, with(func(w *countWorld) { oneAgainstOne(w); w.history = onePod })),
		countRow("SLO 98%, on the tolerance", Healthy, with(func(w *countWorld) {
			w.target, w.ratio = .98, constant((1.05*w.rate+.25*.02)/w.rate)
		})),
		countRow("SLO 98%, no change", Healthy, with(func(w *countWorld) { w.target = .98 })),
		manyRow("ten objectives", Healthy, 10, settingsE()),
		manyRow("twenty correlated objectives", Healthy, 20, with(func(w *countWorld) { w.pod = noise{LogSD: .2, Persist: .5} })),
	}
}

// lenient marks the two worlds that are known to be hardest: arms that wander
// independently, and clusters that no history shows.
func lenient(r Row) Row {
	r.Asked = .02
	return r
}

// because says what is known about a bar that the row misses.
func because(why string, r Row) Row {
	r.Why = why
	return r
}

// incidentWithPodNoise is an incident for both arms while each pod wanders: what is
// noise on a quiet day grows with the rate.
func incidentWithPodNoise(factor float64) countWorld {
	return with(func(w *countWorld) {
		w.minutes, w.target, w.rate = 20, .995, .002
		w.pod, w.shared = noise{LogSD: .2, Persist: .9}, during(factor, 2, 20)
	})
}

// oneAgainstOne has a single pod in each arm, for 20 minutes.
func oneAgainstOne(w *countWorld) {
	w.rps, w.share, w.pods, w.minutes = 40, .5, 1, 20
}

func badErrorRows() []Row {
	var rows []Row
	bad := func(name string, w countWorld) { rows = append(rows, countRow(name, Bad, w)) }
	asked := func(minutes float64) { rows[len(rows)-1].Asked = minutes }
	const oneFold = "the figure asked for is without the rule that no single fold may roll back (0.2 min) and without the restarts that find late onsets"
	for _, s := range []struct {
		name         string
		ratio, asked float64
	}{{"+10%", 1.1, 0}, {"+25%", 1.25, 36}, {"+50%", 1.5, 11.3}, {"+100%", 2, 3.6}, {"x5", 5, .4}} {
		bad(s.name, with(func(w *countWorld) { w.ratio = constant(s.ratio) }))
		asked(s.asked)
	}
	rows[len(rows)-1].Why = oneFold
	bad("x2 in clusters, phi = 5", with(func(w *countWorld) { w.ratio, w.cluster = constant(2), 3 }))
	bad("x2, pods wander, .97 a minute", with(func(w *countWorld) { w.ratio, w.pod = constant(2), noise{LogSD: .3, Persist: .97} }))
	bad("low traffic, x2", with(func(w *countWorld) { w.ratio, w.rps = constant(2), 25 }))
	asked(26)
	bad("low traffic, x5", with(func(w *countWorld) { w.ratio, w.rps = constant(5), 25 }))
	asked(2.8)
	rows[len(rows)-1].Why = oneFold
	bad("one pod against one, x2", with(func(w *countWorld) { oneAgainstOne(w); w.ratio = constant(2) }))
	bad("one pod against one, x2, no dispersion learned", with(func(w *countWorld) { oneAgainstOne(w); w.ratio, w.history = constant(2), onePod }))
	bad("SLO 98%, x5", with(func(w *countWorld) { w.ratio, w.target = constant(5), .98 }))
	inside := incidentWithPodNoise(10)
	inside.ratio = constant(5)
	bad("x5 inside an incident x10 with pod noise, SLO 99.5%", inside)
	const onset = 30
	delays := map[float64]float64{1.5: 19.5, 2: 5.2, 5: .5}
	for _, f := range []float64{1.5, 2, 5} {
		bad(fmt.Sprintf("late, x%v from minute 30 of 90", f), with(func(w *countWorld) {
			w.minutes, w.ratio = 90, during(f, onset, 90)
		}))
		rows[len(rows)-1].Onset = onset
		asked(delays[f])
	}
	rows[len(rows)-1].Why = oneFold
	for _, f := range []float64{2, 5} {
		rows = append(rows, manyRow(fmt.Sprintf("one of ten objectives x%v", f), Bad, 10, with(func(w *countWorld) { w.ratio = constant(f) })))
	}
	margin := func(name string, w countWorld) { rows = append(rows, countRow(name, OnMargin, w)) }
	margin("+25%, on the margin, 120 minutes", with(func(w *countWorld) { w.ratio, w.minutes = constant(1.25), 120 }))
	margin("SLO 98%, on the margin, 120 minutes", with(func(w *countWorld) {
		w.target, w.minutes, w.ratio = .98, 120, constant((w.rate+.5*.02)/w.rate)
	}))
	for i := range rows {
		if rows[i].Truth == Bad {
			rows[i].Share = powerShare
		}
	}
	return rows
}

// powerShare is how many fewer runs a figure of power needs than one of a rare error.
const powerShare = 4

// histories is how many simulated days a row's runs share: what is learned varies,
// and is not the same for all.
const histories = 16

// histories learns them.
func (w *countWorld) histories(seed uint64) ([]analysis.History, error) {
	share := w.weight(0)
	key := fmt.Sprint(errorTable, seed, w.rps, share, w.rate, w.pods, w.cluster, w.pod, w.drift, w.history) // together is of the deployment only
	return learnOnce(key, func() ([]analysis.History, error) {
		out := make([]analysis.History, histories)
		for d := range out {
			out[d] = w.learn(rand.New(rand.NewPCG(seed, streamOf(key, d))), fmt.Sprint("day ", d))
		}
		return out, nil
	})
}

func countRow(name string, truth Truth, w countWorld) Row {
	return Row{Table: errorTable, Name: name, Truth: truth, open: func(seed uint64) (runner, error) {
		return w.runner(name, seed, cadences, 1)
	}}
}

// manyRow judges several objectives at once; every second is too fine for them.
func manyRow(name string, truth Truth, objectives int, w countWorld) Row {
	return Row{Table: errorTable, Name: name, Truth: truth, Share: powerShare, open: func(seed uint64) (runner, error) {
		return w.runner(name, seed, cadences[1:], objectives)
	}}
}

// runner learns the histories and freezes the plans.
func (w countWorld) runner(name string, seed uint64, at []time.Duration, objectives int) (runner, error) {
	plans := make([][]*analysis.Plan, len(at))
	pool, err := w.histories(seed)
	if err != nil {
		return nil, fmt.Errorf("row %q: %w", name, err)
	}
	for _, h := range pool {
		for i, cadence := range at {
			p, err := w.countPlan(cadence, objectives, h)
			if err != nil {
				return nil, fmt.Errorf("row %q: %w", name, err)
			}
			plans[i] = append(plans[i], p)
		}
	}
	return func(run int, rng *rand.Rand) (map[string]outcome, error) {
		ticks := w.draw(rng, objectives)
		out := map[string]outcome{}
		for i, cadence := range at {
			o, err := judgeCounts(plans[i][run%len(pool)], w.ramp(), ticks)
			if err != nil {
				return nil, fmt.Errorf("row %q, run %d: %w", name, run, err)
			}
			out[assayAt(cadence)] = o
		}
		for _, t := range ticks {
			for judge, alarm := range peersOnCounts(t) {
				if o := out[judge]; alarm > 0 && (o.alarm == 0 || alarm < o.alarm) {
					out[judge] = outcome{alarm: alarm}
				} else {
					out[judge] = o
				}
			}
		}
		return out, nil
	}, nil
}

// The peers' settings on failing requests: a fixed limit of 1%, Argo's and
// Flagger's own defaults, and Kayenta from its fifth minute on.
const (
	errorLimit  = .01
	firstLook   = 5
	flaggerFail = 5
	zBar        = 2.326 // 1% one-sided
)

// peersOnCounts gives when each peer alarms, in seconds; 0 is never.
func peersOnCounts(ticks []counts) map[string]int {
	minutes := perMinute(ticks)
	canary, baseline := make([]float64, len(minutes)), make([]float64, len(minutes))
	looks := make([]peers.Counts, len(minutes))
	for i, c := range minutes {
		canary[i], baseline[i] = c.xC/c.nC, c.xB/c.nB
		looks[i] = peers.Counts{CanaryBad: c.xC, Canary: c.nC, BaselineBad: c.xB, Baseline: c.nB}
	}
	alarms := map[string]int{
		byKayenta:     peers.Netflix.Alarm(canary, baseline, 1, firstLook),
		byKayentaOnce: peers.Netflix.Alarm(canary, baseline, 1, len(minutes)),
		byArgo:        peers.Argo{Above: errorLimit, ErrorLimit: 4}.Alarm(canary),
		byFlagger:     peers.Flagger{Above: errorLimit, Threshold: flaggerFail}.Alarm(canary),
		byRatio:       peers.Ratio{Times: 1.5, Window: 5}.Alarm(canary, baseline),
		byZTest:       peers.ZTest{Z: zBar}.Alarm(looks),
	}
	for judge, minute := range alarms {
		alarms[judge] = 60 * minute
	}
	return alarms
}
