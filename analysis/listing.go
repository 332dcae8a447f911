package analysis

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// What logs and traces list weighs nothing (statistics 10): new code writes new lines,
// and a release that only rewords one would otherwise be rolled back. Listing
// accumulators keep what was seen of templates and edges and tell it as differences.

// maxDifferences bounds the list of a verdict.
const maxDifferences = 40

// A lister is an accumulator that lists.
type lister interface {
	// tell returns what differs between the arms, in any order.
	tell(ofPods int) []telling
	// notRead adds up what was not counted.
	notRead() NotRead
	// listed says in a few words what was seen.
	listed() string
}

// A telling is a difference with its place in the list.
type telling struct {
	Difference
	class int     // how bad it is: see the classes below
	size  float64 // within its class, larger first
	// complete adds what only those get that are shown; nil: nothing is left to add.
	complete func(*Difference)
}

// The classes of unproven differences, worst first; those of lines are their severities.
const (
	classFatal    = 10 * int(SeverityFatal)
	classError    = 10 * int(SeverityError)
	classDuration = classWarn + 5
	classWarn     = 10 * int(SeverityWarn)
	classInfo     = 10 * int(SeverityInfo)
)

// listing is embedded by accumulators that weigh nothing.
type listing struct {
	oneStratum
	noLateBreak
}

func (listing) step(time.Time)            {}
func (listing) evidence() evidence        { return evidence{phi: 1} }
func (listing) harmWithoutWorst() float64 { return 0 }

func (listing) describe(f *Finding) {
	nan := Figure(math.NaN())
	f.EffectKind, f.Effect, f.Low, f.High, f.Tolerance, f.Margin = "ratio", nan, nan, nan, nan, nan
	f.MinutesToPromote, f.MinutesToDetectDouble = nan, nan
}

func (listing) stillNeeded() (promote, detect Figure) {
	return Figure(math.NaN()), Figure(math.NaN())
}

// requests are how many requests either arm served, in folds in which both did.
type requests struct{ Baseline, Canary float64 }

// add takes in a fold and reports whether both arms served in it.
func (r *requests) add(c foldCounts) bool {
	if !(c.nB > 0 && c.nC > 0) {
		return false
	}
	r.Baseline += c.nB
	r.Canary += c.nC
	return true
}

// ratio is the canary's rate of events over the baseline's; NaN where unknown, +Inf of
// events that the baseline has none of.
func (r requests) ratio(canary, baseline float64) float64 {
	return rate(canary, r.Canary) / rate(baseline, r.Baseline)
}

// surprise is how much better two rates explain counts than one, in nats: the log of the
// Poisson likelihood ratio. It measures how telling an unproven difference is, and is no
// evidence: it is neither corrected for looks nor for the length of the list.
func surprise(xC, xB, nC, nB float64) float64 {
	d := xC + xB
	if !(nC > 0 && nB > 0 && d > 0) {
		return 0
	}
	share := nC / (nC + nB)
	part := func(x, expected float64) float64 {
		if x <= 0 {
			return 0
		}
		return x * math.Log(x/expected)
	}
	return max(0, part(xC, d*share)+part(xB, d*(1-share)))
}

// longestQuote is how much of a text a sentence quotes.
const longestQuote = 120

// quote is the beginning of a text in quotation marks, on one line.
func quote(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "�")), " ")
	if runes := []rune(text); len(runes) > longestQuote {
		text = string(runes[:longestQuote-1]) + "…"
	}
	return "“" + text + "”"
}

// times says how many times as often something is.
func times(ratio float64) string {
	switch {
	case math.IsInf(ratio, 1), math.IsNaN(ratio):
		return ""
	case ratio >= 10:
		return fmt.Sprintf("%.0f times", ratio)
	}
	return fmt.Sprintf("%.2g times", ratio)
}
