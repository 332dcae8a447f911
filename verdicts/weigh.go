package verdicts

import "github.com/release-assay/assay/analysis"

// Weigh advises to reduce the canary's weight while d is pending and some objective
// expects waiting at this weight to cost more than a false rollback. Costs reach
// nothing else: they are no argument of [Decide], and word, code and reason stay.
func Weigh(d Decision, findings []analysis.Finding) Decision {
	if d.Word != Pending {
		return d
	}
	for i := range findings {
		if c := findings[i].Cost; c != nil && c.ReduceWeight {
			d.Advice = Reduce
		}
	}
	return d
}
