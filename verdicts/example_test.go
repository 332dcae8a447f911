package verdicts_test

import (
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A canary whose errors are shown to exceed the tolerance is rolled back, but
// only if it is proven that the errors are the canary's.
func ExampleDecide() {
	start := time.Date(2026, 11, 3, 14, 0, 0, 0, time.UTC)
	plan := &analysis.Plan{Deployment: analysis.Deployment{StartedAt: start}, Window: analysis.DefaultWindow()}
	checks := analysis.Checks{
		Harm: analysis.Check{State: analysis.Bad, Reason: "errors 4.1 times the baseline's"},
	}
	for _, identity := range []analysis.CheckState{analysis.Undecided, analysis.Good} {
		checks.Identity.State = identity
		d := verdicts.Decide(plan, checks, nil, start.Add(4*time.Minute))
		fmt.Printf("%v (%s): %s; %s the weight\n", d.Word, d.Code, d.Reason, d.Advice)
	}
	// Output:
	// pending (identity_unproven): harm is shown, but telemetry does not show yet that both arms run what the event says; reduce the weight
	// rollback (harm_shown): errors 4.1 times the baseline's; reduce the weight
}
