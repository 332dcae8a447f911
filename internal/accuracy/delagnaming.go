package accuracy

import (
	"fmt"
	"slices"
	"strings"
)

// A TraceLot is a release of the delag recording whose traces are listed.
type TraceLot struct {
	scenario *Scenario
	share    float64
	kind     int
}

// TraceLots are the releases of all scenarios of a folder: each with each share of delayed
// requests and each delay, drawn once.
func TraceLots(dir string) ([]TraceLot, error) {
	scenarios, err := ReadDelag(dir)
	if err != nil {
		return nil, err
	}
	var lots []TraceLot
	for _, share := range delagShares {
		for i := range scenarios {
			for kind := range 2 {
				lots = append(lots, TraceLot{&scenarios[i], share, kind})
			}
		}
	}
	return lots, nil
}

// A Naming is what the list of differences says about a release.
type Naming struct {
	share  float64
	Want   string   // the call that grew most by factor
	Listed []string // those that are named to take longer, the first first
}

// Judge draws the release and lists what its traces show.
func (l TraceLot) Judge() (Naming, error) {
	want, _ := l.scenario.Grown(l.kind)
	named, err := l.scenario.Draw(l.share, l.kind, 0).Named()
	return Naming{l.share, want, named}, err
}

// First reports whether the call that grew most is named, before all others.
func (n Naming) First() bool { return len(n.Listed) > 0 && n.Listed[0] == n.Want }

// namings counts releases of one share.
type namings struct{ n, first, listed, none int }

func count(all []Naming, share float64) (c namings) {
	for _, n := range all {
		if n.share != share {
			continue
		}
		c.n++
		if n.First() {
			c.first++
		}
		if slices.Contains(n.Listed, n.Want) {
			c.listed++
		}
		if len(n.Listed) == 0 {
			c.none++
		}
	}
	return c
}

// TraceSection tells how often the call that grew most is named.
func TraceSection(all []Naming) Section {
	var b strings.Builder
	fmt.Fprintln(&b, "| f | releases | named first | named | no call named |\n|---|---|---|---|---|")
	for _, share := range delagShares {
		c := count(all, share)
		first, listed := "–", "–"
		if share > 0 {
			first, listed = Share(c.first, c.n), Share(c.listed, c.n)
		}
		fmt.Fprintf(&b, "| %v | %d | %s | %s | %d |\n", share, c.n, first, listed, c.none)
	}
	return Section{
		Title: "The call behind it: delag-trainticket as traces",
		Text: fmt.Sprintf(`The same requests as traces: a root span for the whole request and a span for each of its calls, %d of the old and %d of the new version,
each scenario once with each delay. What is asked is not a verdict but whether the list of differences names the call whose mean
duration grows by the largest factor in the delayed requests. A delay also shows in every call around the slowed one,
with a smaller factor.`, oldRequests, newRequests),
		Found: b.String(),
		Notes: []string{`A call is listed from 1.2 times its duration and three standard errors on, so that fewer are named where a tenth of the requests is
slower: the mean of the call then grows by a tenth of its factor.`},
	}
}

// MissedNames returns what the traces should have named and did not.
func MissedNames(all []Naming) []string {
	var out []string
	for _, share := range delagShares {
		c := count(all, share)
		if share >= .5 && float64(c.first) < .95*float64(c.n) {
			out = append(out, fmt.Sprintf("delag as traces, f = %v: the call that grew most is named first in %d of %d, at least 95 %% expected", share, c.first, c.n))
		}
		if share == 0 && float64(c.n-c.none) > .01*float64(c.n) {
			out = append(out, fmt.Sprintf("delag as traces: %d of %d harmless releases name a slow call, at most 1 %% expected", c.n-c.none, c.n))
		}
	}
	return out
}
