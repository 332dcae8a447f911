package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// besides are what stands beside the evidence, with something in every field.
func besides() (*analysis.Budget, *analysis.Posterior, *analysis.Cost) {
	return &analysis.Budget{
			Attributable: 12, Total: 18, Size: 2.592e6, ShareOfBudget: 12 / 2.592e6, BurnRate: 1.5,
			ProjectedPerHour: analysis.Projection{Effect: .00139, Low: .0002, High: .0031}, Window: analysis.Duration(720 * time.Hour), WindowAssumed: true,
		},
		&analysis.Posterior{PBad: .24, ExpectedExcess: .647, Prior: analysis.ReleasePrior{PBad: .1, GoodSD: .05}},
		&analysis.Cost{
			Currency: "EUR", SoFar: 150, PerHour: analysis.Projection{Effect: 45000, Low: 6480, High: 100440},
			Waiting: 912.5, WaitMinutes: 23, FalseRollback: 380, ReduceWeight: true,
		}
}

// What is not known is left out, not written as a number.
func TestBesideTheEvidence(t *testing.T) {
	nan := analysis.Figure(math.NaN())
	b, p, c := besides()
	b.Size, b.ShareOfBudget, b.ProjectedPerHour.Low = nan, nan, nan
	c.PerHour.Effect, c.Waiting, c.Currency = nan, nan, "EUR\x1b[2J"
	for got, want := range map[string]string{
		budget(*b):                             "12 of 18 bad events in the canary are its own; with all traffic 0.139 % more of the budget an hour; burn rate 1.5",
		budget(analysis.Budget{BurnRate: nan}): "nothing of it is used by the canary yet",
		posterior(*p):                          "24 %, if 10 % of releases are; a bad one would fail 64.7 % more often. Nothing is decided by this",
		cost(*c):                               "150 EUR [2J so far",
		window(168 * time.Hour):                "7 days",
		window(90 * time.Minute):               "90 min",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	var none page
	none.beside(analysis.Finding{Posterior: &analysis.Posterior{PBad: nan}})
	if text := none.b.String(); strings.TrimSpace(text) != "" {
		t.Errorf("of nothing it writes %q", text)
	}
}
