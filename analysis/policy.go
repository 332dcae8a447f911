package analysis

// OnUnderpowered says what to do where traffic can decide no margin.
type OnUnderpowered string

const (
	WaitUnderpowered OnUnderpowered = "wait" // look until the deadline (default)
	HoldUnderpowered OnUnderpowered = "hold" // end at once
)

// Window bounds a validation in event time.
type Window struct {
	Warmup         Duration       `json:"warmup"`
	MinBake        Duration       `json:"minBake"`
	Deadline       Duration       `json:"deadline"`
	OnUnderpowered OnUnderpowered `json:"onUnderpowered"`
}

// DefaultWindow is the window of a policy that names none.
func DefaultWindow() Window {
	return Window{Warmup: Duration(3 * minute), MinBake: Duration(10 * minute), Deadline: Duration(60 * minute), OnUnderpowered: WaitUnderpowered}
}

// Comparison says what the canary is compared with.
type Comparison string

const (
	Concurrent     Comparison = "concurrent"      // the baseline running beside it (default)
	PreviousWindow Comparison = "previous-window" // the time before the deployment
	Both           Comparison = "both"            // rolls back on either, promotes on the concurrent one
)

// Policy is how releases of some services are compared: what a user writes as
// ReleaseValidation, or the built-in plan.
type Policy struct {
	Name          string      `json:"name"`
	Objectives    []Objective `json:"objectives"`
	Window        Window      `json:"window"`
	AlphaRollback float64     `json:"alphaRollback"`
	AlphaPromote  float64     `json:"alphaPromote"`
	// Cohort templates: attribute name to literal, where ${canary.version} and
	// ${baseline.version} are bound to the resolved versions. Nil means
	// service.version of the arm.
	Canary     map[string]string `json:"canary,omitempty"`
	Baseline   map[string]string `json:"baseline,omitempty"`
	Control    map[string]string `json:"control,omitempty"`    // nil: none
	Comparison Comparison        `json:"comparison,omitempty"` // "": concurrent
	Costs      *Costs            `json:"costs,omitempty"`      // nil: nothing is advised by costs
	// Logs and Traces are what the policy says about lines and spans, before anything is
	// learned of them. Nil: no objective is about them.
	Logs    *LogPlan   `json:"logs,omitempty"`
	Traces  *TracePlan `json:"traces,omitempty"`
	BuiltIn bool       `json:"builtIn,omitempty"`
}

// DefaultAlphas are the error rates of a policy that names none: of a false
// rollback and of a false promote, per deployment.
const (
	DefaultAlphaRollback = 0.01
	DefaultAlphaPromote  = 0.05
	AlphaHold            = 0.10
)
