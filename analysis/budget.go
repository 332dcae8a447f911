package analysis

import "time"

// AssumedBudgetWindow is the window of an SLO that names none.
const AssumedBudgetWindow = 30 * 24 * time.Hour

// A Budget is what the canary costs the error budget of its SLO (statistics 12.1). It
// is shown and decides nothing.
type Budget struct {
	// Attributable are the bad events of the canary beyond those that it would have had
	// at the rates of the baseline, fold by fold; 0 where it had fewer.
	Attributable Figure `json:"attributable"`
	Total        Figure `json:"total"` // all bad events of the canary, of the folds with both arms
	// Size is how many bad events the SLO allows in its window at the traffic of the hour
	// before the deployment; null: that traffic is unknown.
	Size          Figure `json:"size"`
	ShareOfBudget Figure `json:"shareOfBudget"` // Attributable of Size
	// BurnRate is the canary's rate of bad events in multiples of that which uses up the
	// budget at the end of the window.
	BurnRate Figure `json:"burnRate"`
	// ProjectedPerHour is the share of the budget that the release would use in an hour
	// of all traffic beyond what the baseline uses.
	ProjectedPerHour Projection `json:"projectedPerHour"`
	Window           Duration   `json:"window"`
	WindowAssumed    bool       `json:"windowAssumed"` // the SLO names none
}

// A Projection is an estimate with the ends of the confidence sequence of its finding.
type Projection struct {
	Effect Figure `json:"effect"`
	Low    Figure `json:"low"`
	High   Figure `json:"high"`
}

func (p Projection) times(v float64) Projection {
	return Projection{Figure(float64(p.Effect) * v), Figure(float64(p.Low) * v), Figure(float64(p.High) * v)}
}

// budgetWindow is the window of the SLO of o, and whether it is assumed.
func (o *PlannedObjective) budgetWindow() (window time.Duration, assumed bool) {
	if o.SLOWindow <= 0 {
		return AssumedBudgetWindow, true
	}
	return o.SLOWindow.D(), false
}

// An accountant is an accumulator that says what the canary costs beyond what its evidence shows.
type accountant interface {
	// account completes a finding that describe filled in; left is the time to the
	// deadline. It decides nothing.
	account(f *Finding, left time.Duration)
}

func (r *ratio) account(f *Finding, left time.Duration) {
	t := r.main()
	excess := r.excess(f, t)
	if r.o.Target > 0 {
		f.Budget = r.budget(t, excess)
	}
	f.Posterior = t.posterior()
	if r.plan.Costs != nil {
		f.Cost = r.cost(t, f.Posterior, excess, left)
	}
}

// excess is how much the canary's rate of bad events lies above the baseline's. The
// interval of a ratio is one of the difference at the baseline's rate.
func (r *ratio) excess(f *Finding, t *trial) Projection {
	pC := rate(t.Total.CanaryBad, t.Total.CanaryExposure)
	fair := t.fairRate()
	p := Projection{Figure(pC - fair), f.Low, f.High}
	if f.EffectKind == "ratio" {
		p.Low, p.High = Figure(fair*(float64(f.Low)-1)), Figure(fair*(float64(f.High)-1))
	}
	return p
}

// fairRate is the baseline's rate of bad events where the canary was: folds and strata
// differ.
func (t *trial) fairRate() float64 { return rate(t.AtBaseline, t.Total.CanaryExposure) }

// attributable are the bad events of the canary beyond those at the baseline's rates.
// The sum over folds is cut at 0, not each fold: of rare events nearly every one lies
// above what its fold expects, so that by fold a healthy canary would be blamed for
// almost all that fails in it.
func (t *trial) attributable() float64 { return max(0, t.Total.CanaryBad-t.AtBaseline) }

func (r *ratio) budget(t *trial, excess Projection) *Budget {
	window, assumed := r.o.budgetWindow()
	allowed := 1 - r.o.Target // rate of bad events
	size := float64(allowed*r.o.rate()) * window.Minutes()
	attributable := t.attributable()
	return &Budget{
		Attributable: Figure(attributable), Total: Figure(t.Total.CanaryBad),
		Size: Figure(size), ShareOfBudget: Figure(attributable / size),
		BurnRate: Figure(rate(t.Total.CanaryBad, t.Total.CanaryExposure) / allowed),
		// The traffic of an hour cancels against that of the window.
		ProjectedPerHour: excess.times(1 / (allowed * window.Hours())),
		Window:           Duration(window), WindowAssumed: assumed,
	}
}
