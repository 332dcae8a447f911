package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
)

func newPlan(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "plan",
		Short: "How long a release of a service takes to decide, and at which weight",
		Long: `Plan forecasts a release before it is made: how many minutes it takes to show that a canary
is 10, 25, 50 or 100 % or five times worse, how long until a healthy one is promoted and at
which margin, the smallest weight with which a step of a ramp is long enough, and how many
healthy releases would be held. The numbers are those that a verdict begins with.

The traffic is what the flags say (--rps), or what the live sources say about the last hour
and day of the service that --service names, judged by the policy that matches it. Nothing
is changed. Each weight is forecast by itself, as if the canary kept it to the deadline.

Exit codes: 0 there is a forecast, 2 a mistake in flags or files or an unknown service,
6 a source wants other credentials, 1 no answer.`,
		Example: `  assay plan --rps 200 --error-rate 0.1% --slo 99.9% --weight 1%,5%,25% --step 10m
  assay plan --rps 20 --error-rate 0.5% --phi 3 --deadline 20m       # no SLO, no history
  assay plan --config assay.yaml --service checkout --environment prod --weight 10%
  assay plan --service checkout --server http://assay:8080 -o json   # what is pushed to that server`,
		Args: exactArgs(0, "no arguments"),
	}
	flags := addPlanFlags(c)
	output := addOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		question, err := flags.question()
		if err != nil {
			return usage(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
		}
		p := progressOf(s, flags.quiet)
		grounds, err := flags.grounds(c.Context(), p)
		p.end()
		if err != nil {
			return err
		}
		report, err := question.answer(grounds)
		if err != nil {
			return usage(err)
		}
		if err := report.show(s.out, string(*output)); err != nil {
			return internal(err)
		}
		return nil
	}
	return c
}

// planFlags are the flags of plan as they were written.
type planFlags struct {
	weights        []string
	step, deadline time.Duration
	effect         float64
	traffic        trafficFlags
	live           liveFlags
	service        string
	quiet          bool
	changed        func(flag string) bool
}

func addPlanFlags(c *cobra.Command) *planFlags {
	v := &planFlags{}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&v.service, "service", "", "service that is released (required to ask the live sources)")
	f.StringSliceVar(&v.weights, "weight", []string{"10%"}, "the canary's shares of the traffic, e.g. 10% or a ramp 1%,5%,25%")
	f.DurationVar(&v.step, "step", 10*time.Minute, "how long a ramp stays at a weight")
	f.Float64Var(&v.effect, "effect", analysis.CriticalEffect, "how many times as bad is what a step should show")
	f.DurationVar(&v.deadline, "deadline", 0, "hold if nothing is decided so long after the start (default: the policy's, without one 1h)")
	v.traffic.add(f)
	v.live.add(c)
	f.BoolVarP(&v.quiet, "quiet", "q", false, "no progress on stderr")
	v.changed = f.Changed
	return v
}

// A planQuestion is what plan is asked about whatever traffic there is.
type planQuestion struct {
	weights []float64
	step    time.Duration
	effect  float64
}

// mostWeights is how many columns a page of a hundred characters has room for.
const mostWeights = 6

// question reads the flags that do not depend on where the traffic is known from, and
// refuses those that contradict each other. It returns every fault, joined.
func (v *planFlags) question() (planQuestion, error) {
	q := planQuestion{step: v.step, effect: v.effect}
	var faults []error
	for _, text := range v.weights {
		w, err := parseShare(text)
		if err == nil && !(w > 0 && w < 1) {
			err = fmt.Errorf("--weight %q leaves one of the arms without traffic (legal: between 0 and 100%%)", text)
		}
		if err == nil && slices.Contains(q.weights, w) {
			err = fmt.Errorf("--weight %q is named twice", text)
		}
		faults = append(faults, err)
		q.weights = append(q.weights, w)
	}
	if n := len(v.weights); n < 1 || n > mostWeights {
		faults = append(faults, fmt.Errorf("--weight names %d weights (legal: 1 to %d)", n, mostWeights))
	}
	if v.step <= 0 {
		faults = append(faults, fmt.Errorf("--step %v must be positive", v.step))
	}
	if v.deadline < 0 || v.deadline == 0 && v.changed("deadline") {
		faults = append(faults, fmt.Errorf("--deadline %v must be positive", v.deadline))
	}
	if !(v.effect > 1 && v.effect <= 1000) {
		faults = append(faults, fmt.Errorf("--effect %v must be above 1, at most 1000: 2 is twice as bad", v.effect))
	}
	return q, errors.Join(append(faults, v.choose())...)
}

// choose refuses flags of both kinds, and none of either.
func (v *planFlags) choose() error {
	var described, asked []string
	for _, name := range trafficNames {
		if v.changed(name) {
			described = append(described, "--"+name)
		}
	}
	for _, name := range liveNames {
		if v.changed(name) {
			asked = append(asked, "--"+name)
		}
	}
	switch {
	case len(described) > 0 && len(asked) > 0:
		return fmt.Errorf("%s describes the traffic, %s asks the live sources about it: give one of them", described[0], asked[0])
	case len(described) > 0:
		return v.traffic.check()
	case v.service == "":
		return errors.New("which traffic? describe it (--rps 200 --error-rate 0.1%), or name the --service that the live sources are asked about (with --config or --server)")
	}
	return nil
}

// grounds finds out what the forecasts rest on.
func (v *planFlags) grounds(ctx context.Context, p *progress) (planGrounds, error) {
	if v.changed("rps") {
		return v.traffic.grounds(v.service, v.deadline), nil
	}
	return v.live.grounds(ctx, v.service, v.deadline, p)
}

// planGrounds are what a plan would be made from at any weight.
type planGrounds struct {
	in    analysis.PlanInput
	facts func(in analysis.PlanInput) []analysis.Facts // for the weight of in
}

// at forecasts one weight.
func (g planGrounds) at(weight float64, q planQuestion) (*analysis.Forecast, error) {
	in := g.in
	in.Deployment.Steps = []analysis.Step{{Weight: weight, At: in.Deployment.StartedAt}}
	in.Facts = g.facts(in)
	return analysis.NewForecast(in, analysis.Duration(q.step), q.effect)
}

// usualWeights are those among which the smallest that fits is looked for.
var usualWeights = []float64{.01, .02, .05, .1, .15, .2, .25, .3, .4, .5}

// answer forecasts every weight that is asked about, and finds the smallest that fits.
func (q planQuestion) answer(g planGrounds) (*planReport, error) {
	r := &planReport{
		Service: g.in.Deployment.Release.Service, Environment: g.in.Deployment.Release.Environment, Baseline: g.in.Deployment.Release.PreviousVersion,
		Policy: g.in.Policy.Name, Forecasts: []*analysis.Forecast{},
	}
	for _, w := range q.weights {
		f, err := g.at(w, q)
		if err != nil {
			return nil, err
		}
		r.Forecasts = append(r.Forecasts, f)
	}
	r.Step, r.Deadline = r.Forecasts[0].Step, r.Forecasts[0].Deadline
	for _, w := range usualWeights {
		f, err := g.at(w, q)
		if err != nil {
			return nil, err
		}
		if f.Fits {
			r.SmallestWeight, r.largest = analysis.Figure(w), nil
			return r, nil
		}
		r.largest = f
	}
	r.SmallestWeight = analysis.Figure(math.NaN())
	return r, nil
}
