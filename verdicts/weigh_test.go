package verdicts

import (
	"testing"

	"github.com/release-assay/assay/analysis"
)

// Costs change the advice of what is pending, and nothing else of any decision.
func TestCostsOnlyAdvise(t *testing.T) {
	dear := []analysis.Finding{{}, {Cost: &analysis.Cost{ReduceWeight: true}}}
	cheap := []analysis.Finding{{Cost: &analysis.Cost{Waiting: 10, FalseRollback: 20}}}
	for _, word := range []Word{Pending, Promote, Rollback, Hold} {
		for _, advice := range []Advice{Increase, Keep, Reduce} {
			d := Decision{Word: word, Code: analysis.Collecting, Reason: "why", Advice: advice, Rule: "safety"}
			want := d
			if word == Pending {
				want.Advice = Reduce
			}
			if got := Weigh(d, dear); got != want {
				t.Errorf("%+v with costs: %+v", d, got)
			}
			for _, findings := range [][]analysis.Finding{nil, {{}}, cheap} {
				if got := Weigh(d, findings); got != d {
					t.Errorf("%+v without: %+v", d, got)
				}
			}
		}
	}
}
