package validation

import (
	"context"
	"slices"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/verdicts"
)

const (
	// The bounded history that templates are learned from (statistics 10.1).
	sampleSlices = 20
	sampleLines  = 5000
	// namedOperations are those that keep their names, the most frequent ones.
	namedOperations = 200
)

// learnStreams asks what logs and traces were like before the deployment, where
// objectives are about them: templates of lines, and which operations keep their names.
// What cannot be told is said in a warning; with an error it may be told later.
func (r *Runner) learnStreams(ctx context.Context, in *analysis.PlanInput) error {
	matches, start := in.Cohorts.Baseline.Matches(), in.Deployment.StartedAt
	for _, o := range in.Policy.Objectives {
		switch {
		case o.Signal.Shape == analysis.ShapeTemplates && in.Policy.Logs != nil:
			p := in.Policy.Logs
			in.Logs = &analysis.LogPlan{Source: o.Signal.Source, Share: p.Share, Expect: slices.Clone(p.Expect), Mute: slices.Clone(p.Mute)}
			if in.Logs.Share == 0 {
				in.Logs.Share = 1
			}
			lines, err := r.Gatherer.SampleLines(ctx, analysis.LineSampleQuery{
				Signal: o.Signal, Matches: matches, From: start.Add(-history.Span), To: start, Slices: sampleSlices, Lines: sampleLines,
			})
			if err != nil {
				in.Warnings = append(in.Warnings, verdicts.Line("no templates could be learned from the lines before the deployment: "+err.Error()))
				return err
			}
			slot := r.working.begin(in.Deployment.Validation(), notALook)
			var masks []string
			if p.Templates != nil { // a policy knows no templates, but what to hide in them
				masks = p.Templates.Masks
			}
			in.Logs.Templates, err = logdiff.Learn(lines, masks)
			r.working.end(slot)
			if err != nil {
				return err
			}
		case o.Signal.Shape == analysis.ShapeTopology && in.Policy.Traces != nil:
			in.Traces = &analysis.TracePlan{Source: o.Signal.Source, Mute: slices.Clone(in.Policy.Traces.Mute)}
			served, err := r.Gatherer.Operations(ctx, analysis.OperationQuery{Signal: o.Signal, Matches: matches, From: start.Add(-history.Span), To: start})
			if err != nil {
				in.Warnings = append(in.Warnings, verdicts.Line("the operations before the deployment could not be told: "+err.Error()))
				return err
			}
			for _, s := range served[:min(len(served), namedOperations)] {
				in.Traces.Operations = append(in.Traces.Operations, s.Operation)
			}
			slices.Sort(in.Traces.Operations)
		}
	}
	return nil
}
