package accuracy

import (
	"fmt"

	"github.com/release-assay/assay/analysis"
)

// The shares of delayed requests that a delag release may have, and how often each
// scenario is drawn with each of both delays.
var delagShares = []float64{0, .1, .2, .5, 1}

const delagSeeds = 2

// A DelagSection is a section whose cases the library judges.
type DelagSection struct {
	Section
	Lots []Lot
}

// A Lot is a release that is drawn when it is judged: all at once would not fit.
type Lot struct {
	scenario *Scenario
	share    float64
	kind     int
	seed     uint64
}

// A Pair is what Assay and the naive rule answer to one case.
type Pair struct{ Assay, Naive Answer }

// Judge draws the release and lets the library and the naive rule judge it.
func (l Lot) Judge() (Pair, error) {
	d := l.scenario.Draw(l.share, l.kind, l.seed)
	a, err := d.Judge()
	return Pair{a, RankTest(d)}, err
}

// NewDelagSection holds the releases of all scenarios in a folder.
func NewDelagSection(dir string) (DelagSection, error) {
	scenarios, err := ReadDelag(dir)
	if err != nil {
		return DelagSection{}, err
	}
	s := DelagSection{Section: Section{
		Title: "Request latencies: delag-trainticket",
		Text: fmt.Sprintf(`%d scenarios of a train-ticket application, of which each holds requests with two injected delays. Old version: %d clean requests; new
version: %d, a share f of them delayed, the rest clean. Each scenario is drawn %d times for each f and each delay. From all other
clean requests come the thresholds and, drawn over and over at the pace of the validation, three hours of history. The library
judges; the whole request and its 14 calls are critical objectives, each a distribution.`, len(scenarios), oldRequests, newRequests, delagSeeds),
		Rule: "one-sided rank test on the whole request at p < .01.",
		Notes: []string{
			fmt.Sprintf("No harmless release is promoted: %d requests of the canary, two of which are slower than the p99, cannot show that 15 latencies are all within 20 %%.", newRequests),
			`How much history there is decides the row f = 0.1. Dealt only once over the three hours, the clean requests hold 15 beyond the p99; so few
leave room for more dispersion than there is, evidence is divided by up to 1.7 instead of 1.1, and in a trial of 80 releases 47 were
rolled back. The requests of the recording are independent by its own account, which the longer history shows.`,
		},
	}}
	for _, share := range delagShares {
		for i := range scenarios {
			for seed := range uint64(delagSeeds) {
				for kind := range 2 {
					s.Lots = append(s.Lots, Lot{&scenarios[i], share, kind, seed})
				}
			}
		}
	}
	return s, nil
}

// Judged counts the answers.
func (s *DelagSection) Judged(answers []Pair) {
	for _, a := range answers {
		s.Table.Add(a.Assay)
		s.Naive.Add(a.Naive)
	}
}

// A RecordedSection is a section whose cases are judged from a server.
type RecordedSection struct {
	Section
	Cases []Recorded
}

// Judged counts the answers, which are in the order of the cases.
func (s *RecordedSection) Judged(answers []Answer) {
	for _, a := range answers {
		s.Table.Add(a)
	}
}

// BoutiqueSection holds the cases of the nezha-onlineboutique recording.
func BoutiqueSection(b Boutique) RecordedSection {
	s := RecordedSection{Section: Section{
		Title: "Before and after: nezha-onlineboutique",
		Text: fmt.Sprintf(`A shop of ten services, a point a minute, faults injected one at a time. The shop is deployed at each fault; its entry point is compared
with the hours before, of which the minutes that felt another fault are left out. Placebos
are deployments every %.0f minutes wherever no fault is nearer than %.0f. Read through a real Prometheus. A case ends where the
next fault begins: nothing is heard of the shop from then on.`, between.Minutes(), quiet.Minutes()),
		Rule: "the mean success rate of the three points after falls by half a per cent against the five before, or the mean latency (p95) grows by half.",
		Notes: []string{
			`Not all placebos are of quiet minutes: on the first day, from 06:28 on, four of five requests failed for three minutes; on the second,
from 14:40 on, the p95 went from half a second to almost a minute. Neither is in the list of faults, and both lie in a gap of its
schedule of one fault in eight minutes. A placebo that is rolled back there is counted against Assay all the same. Placebos three
minutes apart overlap, so that the interval is narrower than so few separate stretches allow.`,
			`An error share that is compared with the time before can show harm and never safety (before_after_only), so that nothing is promoted.
Faults of network and processor mostly do not reach the entry point within ten minutes.`,
		},
	}}
	for _, d := range b.Days {
		s.Cases = append(s.Cases, d.Recorded()...)
	}
	for _, c := range s.Cases {
		s.Naive.Add(MeanShift(c))
	}
	return s
}

// PetshopSection holds the cases of the petshop recording.
func PetshopSection(issues []Issue, quiet []Quiet) RecordedSection {
	s := RecordedSection{Section: Section{
		Title: "Few points: petshop",
		Text: `A demo shop of 41 components, a point in five minutes. Issues: two points before the deployment and three after, from which nothing can be
told with any confidence; the right answer is a hold that says so (the recording ends after the third point, hence
canary_telemetry_missing). Placebos: ten points of a quiet recording each, with up to six
hours before them. Read through a real Prometheus; what is compared is the entry point before and after.`,
		Rule: "the median of the three points after lies beyond the 99th percentile of the quiet recording of the same traffic, latency above or success below (there are two such recordings).",
	}}
	usual := map[string]Quiet{}
	for _, q := range quiet {
		usual[q.Traffic] = q
	}
	for i, issue := range issues {
		r := issue.Recorded(named("petshop-issue", i))
		s.Cases = append(s.Cases, r)
		if q, ok := usual[issue.Traffic]; ok {
			s.Naive.Add(BeyondUsual(r, q))
		}
	}
	for _, q := range quiet {
		for _, r := range q.Placebos() {
			s.Cases = append(s.Cases, r)
			s.Naive.Add(BeyondUsual(r, q))
		}
	}
	return s
}

// Missed returns what an independent trial reached on the same recordings and this
// run did not.
func Missed(delag, boutique, petshop Table) []string {
	var out []string
	atMost := func(what string, c Counts, share float64) {
		if float64(c.Rollback) > share*float64(c.Total()) {
			out = append(out, fmt.Sprintf("%s: %d of %d rolled back, at most %v expected", what, c.Rollback, c.Total(), share))
		}
	}
	atLeast := func(what string, c Counts, share float64) {
		if float64(c.Rollback) < share*float64(c.Total()) {
			out = append(out, fmt.Sprintf("%s: %d of %d rolled back, at least %.3g expected", what, c.Rollback, c.Total(), share))
		}
	}
	atMost("delag, harmless", delag.Sum(Harmless), .01)
	atLeast("delag, a tenth delayed", delag.Of(shareGroup(.1)).Counts, .8)
	atLeast("delag, a fifth delayed", delag.Of(shareGroup(.2)).Counts, .95)
	atLeast("boutique, code faults", boutique.Sum(Bad), 10./14)
	atMost("boutique, placebos", boutique.Sum(Harmless), .01)
	for _, r := range petshop.Rows {
		if held := r.Codes[analysis.CanaryTelemetryMissing]; r.Truth != Harmless && held != r.Total() {
			out = append(out, fmt.Sprintf("petshop, %s: %d of %d are not held for missing telemetry", r.Group, r.Total()-held, r.Total()))
		}
	}
	atMost("petshop, placebos", petshop.Sum(Harmless), .02)
	return out
}
