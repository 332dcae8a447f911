package analysis

import "fmt"

// FindingState is what is shown about one objective. The zero value is the safe one.
type FindingState string

const (
	FindingUndecided FindingState = "undecided"
	FindingWithin    FindingState = "within"   // non-inferiority within the margin is shown
	FindingBreached  FindingState = "breached" // harm beyond the tolerance is shown
)

// What a finding compares the canary with: the baseline beside it, or the time before
// the deployment.
const (
	BesideBaseline = "concurrent"
	BeforeAfter    = "before_after"
)

// Counts are the totals that a finding rests on: those of the folds with exposure
// in both arms.
type Counts struct {
	Folds            int     `json:"folds"` // folds with exposure in both arms
	CanaryBad        float64 `json:"canaryBad"`
	CanaryExposure   float64 `json:"canaryExposure"`
	BaselineBad      float64 `json:"baselineBad"`
	BaselineExposure float64 `json:"baselineExposure"`
}

// counted says what was counted, "" where nothing was.
func (n Counts) counted() string { return n.countedAs("bad") }

// countedAs is counted where bad has another word.
func (n Counts) countedAs(bad string) string {
	if n.CanaryExposure == 0 && n.BaselineExposure == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f of %.0f %s in the canary, %.0f of %.0f in the baseline", n.CanaryBad, n.CanaryExposure, bad, n.BaselineBad, n.BaselineExposure)
}

// compared says which share was bad in each arm.
func (n Counts) compared() string { return n.comparedAs("bad") }

func (n Counts) comparedAs(bad string) string {
	return fmt.Sprintf("%s %s in the canary, %s in the baseline", percent(n.CanaryBad, n.CanaryExposure), bad, percent(n.BaselineBad, n.BaselineExposure))
}

// bad is what the bad events of a ratio are called.
func (o *PlannedObjective) bad() string {
	switch l, s := o.Signal.Logs, o.Signal.Spans; {
	case l != nil && l.MustAppear != "":
		return fmt.Sprintf("of the requests without %q", l.MustAppear)
	case l != nil:
		return fmt.Sprintf("of the requests with a line of %s or above", l.Severity)
	case s != nil && s.Event == SpanExclusive:
		return "of the requests failed by themselves, with no failed call"
	case s != nil && s.Event == SpanCalls:
		return "of the calls failed"
	}
	return "bad"
}

func percent(x, n float64) string {
	if n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%.3g%%", 100*x/n)
}

// A Finding is what is known about one objective now. Effect, Low and High are a
// rate ratio canary/baseline (ratio bounds; of a distribution that of a quantile) or a
// difference of rates (affine bounds), as EffectKind says; the interval is an anytime-valid confidence
// sequence.
type Finding struct {
	Objective  string       `json:"objective"`
	Role       Role         `json:"role"`
	Method     string       `json:"method"`
	State      FindingState `json:"state"`
	EffectKind string       `json:"effectKind"` // "ratio" or "difference"
	Effect     Figure       `json:"effect"`
	Low        Figure       `json:"low"`
	High       Figure       `json:"high"`
	Tolerance  Figure       `json:"tolerance"` // on the scale of Effect, at the baseline's rate
	Margin     Figure       `json:"margin"`
	ERollback  Figure       `json:"eRollback"`
	EPromote   Figure       `json:"ePromote"`
	// EAdjusted is ERollback adjusted for the number of objectives: those that reach
	// 1/alpha may be named together. Null: the objective has no share in a rollback.
	EAdjusted Figure `json:"eAdjusted"`
	N         Counts `json:"n"`
	Phi       Figure `json:"phi"`
	Code      Code   `json:"reasonCode"`
	Reason    string `json:"reason"`
	Strength  string `json:"strength"` // "exact" or "weak"
	Evidence  string `json:"evidence"` // BesideBaseline or BeforeAfter

	MinutesToPromote      Figure `json:"minutesToPromote"`      // still needed, null: never at this margin
	MinutesToDetectDouble Figure `json:"minutesToDetectDouble"` // still needed to see a doubled rate

	// Shown beside the evidence, which they are no part of; null where there is nothing
	// to say.
	Budget    *Budget    `json:"budget"`    // of a ratio with an SLO
	Posterior *Posterior `json:"posterior"` // of a ratio
	Cost      *Cost      `json:"cost"`      // of a ratio, where the policy says what mistakes cost
}
