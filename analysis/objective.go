package analysis

import (
	"errors"
	"fmt"
)

// Role says what an objective may do. The zero value may do nothing.
type Role string

const (
	Critical  Role = "critical"  // must be shown safe before promote; may roll back
	Secondary Role = "secondary" // may roll back through its weight; never blocks promote
	Advisory  Role = "advisory"  // reported only
)

// A Bound is the affine line p_canary = Ratio * p_baseline + Budget * (1 - SLO)
// that separates two verdicts. As tolerance it ends what is acceptable, as margin
// it begins what is unacceptable.
type Bound struct {
	Ratio  float64 `json:"ratio"`
	Budget float64 `json:"budget"` // share of the error budget rate 1-SLO
}

// An Objective is what the user promises about a signal and how a release is held
// to it. It comes from configuration; NewPlan turns it into a PlannedObjective.
type Objective struct {
	Name   string  `json:"name"`
	Role   Role    `json:"role"`
	Signal Signal  `json:"signal"`
	Target float64 `json:"target,omitempty"` // the SLO's target, e.g. 0.999; 0: none
	// SLOWindow is the time over which the SLO holds; 0: not named.
	SLOWindow Duration `json:"sloWindow,omitempty"`
	// Tolerance and Margin are set by the user, nil means the default
	// (statistics: with an SLO, 1.05 p + 0.25 budget and an automatic margin;
	// without, ratio 1.05 and 1.25; of log lines 1.25 and 1.5).
	Tolerance *Bound `json:"tolerance,omitempty"`
	Margin    *Bound `json:"margin,omitempty"`
	// Quantiles of a distribution that must be shown safe; none: .95 and .99.
	Quantiles []float64 `json:"quantiles,omitempty"`
	// Leak: the level must not grow towards a limit, rather than not lie higher.
	Leak *Leak `json:"leak,omitempty"`
	// Strata are attributes whose values are compared each by itself (zone, node
	// pool, operation).
	Strata []string `json:"strata,omitempty"`
	// AcceptWeak lets an objective promote whose evidence is a level of bad shares.
	AcceptWeak bool `json:"acceptWeak,omitempty"`
	// BeforeAfterPromote lets a level promote on a comparison with the time before.
	BeforeAfterPromote bool `json:"beforeAfterPromote,omitempty"`
}

// A Leak says how much may be used up and by when.
type Leak struct {
	Limit   float64  `json:"limit,omitempty"` // in the signal's unit; 0: unknown, any growth counts
	Horizon Duration `json:"horizon"`         // the limit must not be reached within it; 0: 24 h
}

// Validate returns every fault of o, joined.
func (o Objective) Validate() error {
	var errs []error
	switch o.Role {
	case Critical, Secondary, Advisory:
	default:
		errs = append(errs, fmt.Errorf("objective %q: role %q is not known (legal: critical, secondary, advisory)", o.Name, o.Role))
	}
	if !(o.Target >= 0 && o.Target < 1) {
		errs = append(errs, fmt.Errorf("objective %q: target %v is not in [0,1)", o.Name, o.Target))
	}
	if err := o.Signal.Validate(); err != nil {
		errs = append(errs, err)
	}
	for _, err := range []error{o.validateRole(), o.validateLevel(), o.validateLatency()} {
		if err != nil {
			errs = append(errs, fmt.Errorf("objective %q: %w", o.Name, err))
		}
	}
	if o.Target == 0 {
		for _, b := range []*Bound{o.Tolerance, o.Margin} {
			if b != nil && b.Budget != 0 {
				errs = append(errs, fmt.Errorf("objective %q: a share of the error budget needs an SLO", o.Name))
			}
		}
	}
	if t := o.Tolerance; t != nil && !(t.Ratio >= 1 && t.Budget >= 0) {
		errs = append(errs, fmt.Errorf("objective %q: tolerance ratio %v must be at least 1 and its budget share not negative", o.Name, t.Ratio))
	}
	if t, m := o.tolerance(), o.margin(); !t.below(m) {
		errs = append(errs, fmt.Errorf("objective %q: the tolerance (%v) must lie below the margin (%v): a canary between them may get either verdict", o.Name, t, m))
	}
	return errors.Join(errs...)
}

// margin is the narrowest that a plan may choose: the user's, else a default.
func (o Objective) margin() Bound {
	switch {
	case o.Margin != nil:
		return *o.Margin
	case o.Target > 0: // a ratio below this one is below ratioMargin, too
		return halfBudget
	case o.Signal.Shape == ShapeDistribution || o.Signal.Shape == ShapeLevel:
		return scaleMargin
	}
	_, margin := o.Signal.ratioBounds()
	return margin
}

// ratioBounds are the tolerance and the margin of a ratio of s without an SLO. How many
// lines a request writes is up to the code: there the tolerance is wider.
func (s Signal) ratioBounds() (tolerance, margin Bound) {
	if s.Logs != nil {
		return Bound{Ratio: 1.25}, Bound{Ratio: 1.5}
	}
	return Bound{Ratio: 1.05}, ratioMargin
}

// The default margins: half of the error budget, and without an SLO a ratio.
var (
	halfBudget  = Bound{1, 0.5}
	ratioMargin = Bound{Ratio: 1.25}
	scaleMargin = Bound{Ratio: 1.20} // of a distribution or a level
)

// below reports whether b lies below m at every baseline rate that an affine
// objective is judged at (below 5 budget rates, statistics 1).
func (b Bound) below(m Bound) bool {
	if b.Budget == 0 && m.Budget == 0 {
		return b.Ratio < m.Ratio
	}
	const rounding = 1e-9
	return b.Budget < m.Budget && b.Ratio*5+b.Budget <= m.Ratio*5+m.Budget+rounding
}

func (b Bound) String() string {
	if b.Budget == 0 {
		return fmt.Sprintf("%.4g × baseline", b.Ratio)
	}
	return fmt.Sprintf("%.4g × baseline + %.4g of the error budget", b.Ratio, b.Budget)
}

func (o Objective) tolerance() Bound {
	if o.Tolerance != nil {
		return *o.Tolerance
	}
	if o.Target > 0 && (o.Margin == nil || o.Margin.Budget != 0) {
		return Bound{1.05, 0.25}
	}
	tolerance, _ := o.Signal.ratioBounds()
	return tolerance
}
