package analysis

// FindingState is what is shown about one objective. The zero value is the safe one.
type FindingState string

const (
	FindingUndecided FindingState = "undecided"
	FindingWithin    FindingState = "within"   // non-inferiority within the margin is shown
	FindingBreached  FindingState = "breached" // harm beyond the tolerance is shown
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

// A Finding is what is known about one objective now. Effect, Low and High are a
// rate ratio canary/baseline (ratio bounds) or a difference of rates (affine
// bounds), as EffectKind says; the interval is an anytime-valid confidence
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
	N          Counts       `json:"n"`
	Phi        Figure       `json:"phi"`
	Code       Code         `json:"reasonCode"`
	Reason     string       `json:"reason"`
	Strength   string       `json:"strength"` // "exact" or "weak"

	MinutesToPromote      Figure `json:"minutesToPromote"`      // still needed, null: never at this margin
	MinutesToDetectDouble Figure `json:"minutesToDetectDouble"` // still needed to see a doubled rate
}
