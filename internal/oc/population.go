package oc

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// populationTable is the population of services of statistics 11.4.
const populationTable = "P"

// populationCadence is that of a dense scrape.
const populationCadence = 15 * time.Second

// A circumstance is how a service releases.
type circumstance struct {
	minutes int
	weight  float64
	history historyKind
	healthy float64 // bar: the share of healthy canaries promoted by the two rungs
}

var circumstances = []circumstance{
	{20, .10, aDay, .41},
	{20, .10, onePod, .24},
	{20, .25, aDay, .57},
	{60, .10, aDay, .61},
	{60, .25, aDay, .74},
}

func (c circumstance) String() string {
	phi := "dispersion learned"
	if c.history != aDay {
		phi = "not learned"
	}
	return fmt.Sprintf("%d min, %.0f%%, %s", c.minutes, 100*c.weight, phi)
}

// severities are the ratios of the canary's rate to the baseline's; 0 is on the
// margin that the plan chose.
var severities = []float64{1, 1.5, 2, 5, 20, 0}

func severityName(f float64) string {
	switch f {
	case 0:
		return "on the margin"
	case 1:
		return "healthy"
	}
	return fmt.Sprintf("x%g", f)
}

// populationJudge names a judge of the population in the work file.
func populationJudge(judge string, c circumstance, severity float64) string {
	return judge + ": " + c.String() + ", " + severityName(severity)
}

// peersCircumstance is the one in which the peers judge, too.
var peersCircumstance = circumstances[3]

func populationRows() []Row {
	return []Row{{Table: populationTable, Name: "services", open: func(uint64) (runner, error) { return runPopulation, nil }}}
}

// service draws one: traffic and error rate are lognormal, and the SLO is the
// tightest usual one whose budget is twice the error rate.
func service(rng *rand.Rand) countWorld {
	w := countWorld{rps: 20 * math.Exp(1.5*rng.NormFloat64()), rate: 1, cluster: 1.1}
	for w.rate > .005 {
		w.rate = .001 * math.Exp(1.2*rng.NormFloat64())
	}
	for _, budget := range []float64{.0001, .0005, .001, .005, .01} {
		if budget >= 2*w.rate {
			w.target = 1 - budget
			break
		}
	}
	return w
}

// runPopulation lets one service release in every circumstance and severity.
func runPopulation(run int, rng *rand.Rand) (map[string]outcome, error) {
	base := service(rng)
	out := map[string]outcome{}
	learned := map[string]analysis.History{}
	for _, c := range circumstances {
		w := base
		w.minutes, w.share, w.history = c.minutes, c.weight, c.history
		key := fmt.Sprint(c.weight, c.history)
		if _, known := learned[key]; !known {
			learned[key] = w.learn(rand.New(rand.NewPCG(rng.Uint64(), 1)), fmt.Sprint("service ", run))
		}
		p, err := w.countPlan(populationCadence, 1, learned[key])
		if err != nil {
			return nil, fmt.Errorf("service %d: %w", run, err)
		}
		for _, s := range severities {
			w.ratio = constant(s)
			if s == 0 {
				m := p.Objectives[0].MarginBound
				w.ratio = constant((m.Ratio*w.rate + m.Budget*(1-w.target)) / w.rate)
			}
			ticks := w.draw(rng, 1)
			o, err := judgeCounts(p, nil, ticks)
			if err != nil {
				return nil, fmt.Errorf("service %d: %w", run, err)
			}
			out[populationJudge("assay", c, s)] = o
			if c == peersCircumstance && s > 0 {
				for judge, alarm := range peersOnCounts(ticks[0]) {
					out[populationJudge(judge, c, s)] = outcome{alarm: alarm}
				}
			}
		}
	}
	return out, nil
}

// population prints what becomes of healthy and bad canaries.
func (p printer) population(b *strings.Builder) {
	rows := p.of(populationTable, Healthy)
	if len(rows) == 0 {
		return
	}
	all := p.file.of(rows[0], p.runs)
	b.WriteString(populationIntro)
	tableLine(b, []string{"deadline, weight, history", "services", "healthy: promoted", "rolled back", "held", "x1.5: promoted / rolled back", "x2", "x5", "x20", "on the margin: promoted"})
	tableLine(b, slices.Repeat([]string{"---"}, 10))
	for _, c := range circumstances {
		healthy := all[populationJudge("assay", c, 1)]
		good, bad := promotes(healthy), ends(healthy)
		held := figure{hits: good.runs - good.hits - bad.hits, runs: good.runs}
		line := []string{c.String(), fmt.Sprint(len(healthy)), good.withInterval(), bad.withInterval(), held.String()}
		for _, s := range severities[1:5] {
			o := all[populationJudge("assay", c, s)]
			line = append(line, fmt.Sprintf("%s / %s", promotes(o), ends(o)))
		}
		tableLine(b, append(line, promotes(all[populationJudge("assay", c, 0)]).withInterval()))
	}
	fmt.Fprintf(b, "\nThe same for the peers, %s: the share rolled back by the deadline; whatever they do not roll back they promote.\n\n", peersCircumstance)
	tableLine(b, []string{"judge", "healthy", "x1.5", "x2", "x5", "x20"})
	tableLine(b, []string{"---", "---", "---", "---", "---", "---"})
	for _, c := range []column{{"assay", "Assay"}, kayenta, kayentaOnce, argo, flagger, ratio, zTest} {
		line := []string{c.head}
		for _, s := range severities[:5] {
			line = append(line, alarms(all[populationJudge(c.judge, peersCircumstance, s)], 0).String())
		}
		tableLine(b, line)
	}
	b.WriteString("\n")
}

const populationIntro = `## A population of services

Requests a second: lognormal, median 20, sd 1.5. Error rate: lognormal, median 0.1%, sd 1.2, those above 0.5% drawn again. SLO:
the tightest of 99, 99.5, 99.9, 99.95 and 99.99% whose budget is at least twice the error rate. Failures come in clusters with
phi = 1.2. One critical objective, minBake 10 min, cadence 15 s, margin auto. A release ends with the first answer; what gets
none by the deadline is held. Where the error rate is far below the budget, x1.5, x2 and even x5 cost less than the margin:
promoting those is right. "On the margin" is the rate at which a promote begins to be wrong.

`
