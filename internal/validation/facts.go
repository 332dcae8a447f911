package validation

import (
	"context"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
	"github.com/release-assay/assay/internal/gather"
)

// A Past answers what planning asks about the time before a deployment.
type Past interface {
	// Lag is how far the source is behind the moment that it describes, 0 where it does
	// not say.
	Lag() time.Duration
	Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error)
	History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error)
	Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error)
	// HistoryStep is what lies between two values of a level's history at a cadence.
	HistoryStep(cadence time.Duration) time.Duration
}

// recent is how long before the deployment thresholds and spacing are taken from.
const recent = time.Hour

// enoughObserved is how many observations of the last hour a distribution's thresholds
// are chosen from; below it the last day is asked for.
const enoughObserved = 2000

// A Recollection is what a source told about the time before a deployment, for one
// objective.
type Recollection struct {
	Spacing time.Duration // 0: unknown
	Sums    []analysis.MinuteSum

	objective analysis.Objective
	// Of a level that is compared with the time before: the control, and both over
	// weeks.
	control, longService, longControl []analysis.MinuteSum

	lag          time.Duration
	step         time.Duration // of a level's history
	distribution analysis.Histogram
	bounds       []float64 // of a distribution's history
}

// Recall asks for what the time before the deployment of in says about an objective.
// With an error it returns what was told until then.
func Recall(ctx context.Context, past Past, o analysis.Objective, in analysis.PlanInput) (Recollection, error) {
	matches, start := in.Cohorts.Baseline.Matches(), in.Deployment.StartedAt
	r := Recollection{objective: o, lag: past.Lag()}
	var err error
	if r.Spacing, err = past.Spacing(ctx, analysis.SpacingQuery{Signal: o.Signal, Matches: matches, From: start.Add(-recent), To: start}); err != nil {
		return r, err
	}
	switch o.Signal.Shape {
	case analysis.ShapeTemplates, analysis.ShapeTopology: // they are listed, and have a history of their own
		return r, nil
	case analysis.ShapeDistribution:
		if r.distribution, err = distribution(ctx, past, analysis.DistributionQuery{Signal: o.Signal, Matches: matches, From: start.Add(-recent), To: start}); err != nil {
			return r, err
		}
		r.bounds = analysis.LatencyBounds(o, r.distribution)
	case analysis.ShapeLevel:
		r.step = past.HistoryStep(analysis.CadenceOf(r.Spacing))
	}
	q := analysis.HistoryQuery{Signal: o.Signal, Matches: matches, From: start.Add(-history.Span), To: start, Bounds: r.bounds, Step: r.step}
	if r.Sums, err = past.History(ctx, q); err != nil {
		return r, err
	}
	if o.Signal.Shape == analysis.ShapeLevel && len(in.Cohorts.Control) > 0 {
		err = r.recallControl(ctx, past, q, in)
	}
	return r, err
}

// recallControl asks for the control of a level, where the canary is compared with the
// time before; where with nothing else, for weeks of both.
func (r *Recollection) recallControl(ctx context.Context, past Past, q analysis.HistoryQuery, in analysis.PlanInput) (err error) {
	comparison := in.Policy.Comparison
	if comparison != analysis.PreviousWindow && comparison != analysis.Both {
		return nil
	}
	service, control := q.Matches, in.Cohorts.Control.Matches()
	q.Matches = control
	if r.control, err = past.History(ctx, q); err != nil || comparison == analysis.Both || r.objective.Leak != nil {
		return err
	}
	q.From, q.Step = q.To.Add(-analysis.LongSpan), time.Minute
	if r.longControl, err = past.History(ctx, q); err != nil {
		return err
	}
	q.Matches = slices.DeleteFunc(slices.Clone(service), func(m analysis.Match) bool { return m.Name == analysis.AttrVersion }) // it had many in weeks
	if len(q.Matches) == 0 {
		return nil // everybody is no service
	}
	r.longService, err = past.History(ctx, q)
	return err
}

// Facts reduces what was told to what a plan is made from. It asks nobody.
func (r Recollection) Facts(in analysis.PlanInput) analysis.Facts {
	start, weight, seed := in.Deployment.StartedAt, analysis.PlannedWeight(in.Deployment), string(in.Deployment.Validation())
	facts := analysis.Facts{Spacing: r.Spacing, Lag: r.lag, Distribution: r.distribution, Step: r.step}
	if r.objective.Signal.Shape != analysis.ShapeLevel {
		facts.History = history.Learn(r.Sums, start, weight, seed)
		return facts
	}
	facts.History = history.LearnLevel(r.Sums, start, analysis.LevelCadence(r.Spacing, r.step), weight, seed, r.objective, r.control...)
	facts.History.Long = history.LearnLong(&r.objective, facts.History.Level, r.longService, r.longControl, start, in.Policy.Window.Deadline.D(), r.alpha(in))
	return facts
}

// alpha is the objective's share of the chance of a false rollback.
func (r Recollection) alpha(in analysis.PlanInput) float64 {
	for i, weight := range analysis.HarmWeights(in.Policy.Objectives) {
		if in.Policy.Objectives[i].Name == r.objective.Name {
			return in.Policy.AlphaRollback * weight
		}
	}
	return 0
}

// distribution asks for what thresholds are chosen from: the last hour, or the last day
// where that hour observed little.
func distribution(ctx context.Context, past Past, q analysis.DistributionQuery) (analysis.Histogram, error) {
	h, err := past.Distribution(ctx, q)
	if err != nil || h.Total() >= enoughObserved {
		return h, err
	}
	q.From = q.To.Add(-history.Span)
	return past.Distribution(ctx, q)
}

// facts asks for what the time before the deployment says about one objective, and
// returns the sums that it rests on too.
func (r *Runner) facts(ctx context.Context, o analysis.Objective, in analysis.PlanInput, unquiet []span) (analysis.Facts, []analysis.MinuteSum, error) {
	told, err := Recall(ctx, gathered{r.Gatherer, o.Signal.Source}, o, in)
	told = told.without(unquiet)
	slot := r.working.begin(in.Deployment.Validation(), notALook)
	defer r.working.end(slot)
	return told.Facts(in), told.Sums, err
}

// gathered is the past as one source tells it to all plans.
type gathered struct {
	*gather.Gatherer
	source string
}

func (g gathered) Lag() time.Duration { return g.Gatherer.Lag(g.source) }

func (g gathered) HistoryStep(cadence time.Duration) time.Duration {
	return g.Gatherer.HistoryStep(g.source, cadence)
}
