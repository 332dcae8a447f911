package analysis

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// Costs are what mistakes cost, in any one currency.
type Costs struct {
	FailedEvent   float64 `json:"failedEvent"`        // of one bad event
	FalseRollback float64 `json:"falseRollback"`      // of rolling back a good release
	Currency      string  `json:"currency,omitempty"` // for display
}

// Validate returns every fault of c, joined.
func (c *Costs) Validate() error {
	if c == nil {
		return nil
	}
	var errs []error
	for _, cost := range []struct {
		name  string
		value float64
	}{{"failed event", c.FailedEvent}, {"false rollback", c.FalseRollback}} {
		if !(cost.value > 0) || math.IsInf(cost.value, 1) {
			errs = append(errs, fmt.Errorf("the cost of a %s, %v, must be positive", cost.name, cost.value))
		}
	}
	return errors.Join(errs...)
}

// A Cost is what the canary costs, in the currency of [Costs] (statistics 12.2).
type Cost struct {
	Currency string     `json:"currency"`
	SoFar    Figure     `json:"soFar"`   // of the attributable bad events
	PerHour  Projection `json:"perHour"` // of an hour of all traffic, beyond the baseline; null: traffic unknown
	// Waiting is what is expected to be lost until harm would be shown, at most until the
	// deadline, and FalseRollback what rolling back now is; either by the posterior.
	Waiting       Figure `json:"waiting"`
	WaitMinutes   Figure `json:"waitMinutes"` // for which Waiting is reckoned
	FalseRollback Figure `json:"falseRollback"`
	// ReduceWeight says that waiting at this weight is expected to cost more than a false
	// rollback. While nothing is decided it advises to drop the canary's weight to the
	// step before; it never promotes or rolls back.
	ReduceWeight bool `json:"reduceWeight"`
}

// cost weighs going on at the canary's traffic against rolling back now.
func (r *ratio) cost(t *trial, posterior *Posterior, excess Projection, left time.Duration) *Cost {
	c := r.plan.Costs
	out := &Cost{
		Currency: c.Currency, SoFar: Figure(c.FailedEvent * t.attributable()),
		PerHour: excess.times(c.FailedEvent * r.o.rate() * time.Hour.Minutes()),
		Waiting: Figure(math.NaN()), WaitMinutes: Figure(math.NaN()), FalseRollback: Figure(math.NaN()),
	}
	if posterior == nil {
		return out
	}
	pBad, worse := float64(posterior.PBad), float64(posterior.ExpectedExcess)
	nC, nB := r.exposurePerMinute(t)
	pB := t.fairRate()
	if !(pB > 0) {
		pB = r.o.BaseRate
	}
	wait := max(0, left.Minutes())
	if r.o.Weight > 0 {
		demand := stats.Demand{Alpha: r.plan.AlphaRollback * r.o.Weight, C: stats.LossHarm, Phi: t.phi(), LogE: max(0, r.exactHarm())}
		if m := minutesNeeded(r.o, stats.Harm, r.o.ToleranceBound, nC, nB, min(1, pB*(1+worse)), pB, demand); m < wait {
			wait = m
		}
	}
	out.WaitMinutes = Figure(wait)
	out.Waiting = Figure(c.FailedEvent * nC * wait * pB * pBad * worse)
	out.FalseRollback = Figure(c.FalseRollback * (1 - pBad))
	out.ReduceWeight = r.o.Weight > 0 && out.Waiting > out.FalseRollback
	return out
}
