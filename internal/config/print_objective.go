package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// printObjective writes an objective with its bounds and the clauses that it has.
func printObjective(o analysis.Objective, slo bool) *yaml.Node {
	pairs := []any{"sloRef", o.Signal.Name}
	if !slo {
		pairs = []any{"signal", o.Signal.Name}
		if _, builtin := findBuiltin(o.Signal.Name, o.Signal.Source); builtin {
			pairs = append(pairs, "source", o.Signal.Source)
		}
	}
	pairs = append(pairs, "role", string(o.Role))
	if o.Leak == nil {
		pairs = append(pairs, "tolerance", printBound(o.Tolerance, autoTolerance(o)), "margin", printBound(o.Margin, autoMargin(o)))
	} else {
		pairs = append(pairs, "leak", printLeak(*o.Leak))
	}
	if o.Quantiles != nil {
		var quantiles []string
		for _, q := range o.Quantiles {
			quantiles = append(quantiles, quantile(q).String())
		}
		pairs = append(pairs, "quantiles", flowList(quantiles))
	}
	if o.Strata != nil {
		pairs = append(pairs, "strata", flowList(o.Strata))
	}
	if o.AcceptWeak {
		pairs = append(pairs, "acceptWeak", true)
	}
	if o.BeforeAfterPromote {
		pairs = append(pairs, "beforeAfter", flow("promote", true))
	}
	return mapping(pairs...)
}

func printLeak(l analysis.Leak) *yaml.Node {
	var pairs []any
	if l.Limit > 0 {
		pairs = append(pairs, "limit", l.Limit)
	}
	if l.Horizon > 0 {
		pairs = append(pairs, "horizon", l.Horizon.String())
	}
	return flow(pairs...)
}

// printSignals writes the signals of a policy that are its own, each once.
func (p policy) printSignals(sources Sources) []*yaml.Node {
	var out []*yaml.Node
	printed := map[string]bool{}
	for i, o := range p.Objectives {
		s := o.Signal
		if _, builtin := findBuiltin(s.Name, s.Source); builtin || p.written[i].slo || p.written[i].clause != "" || printed[s.Name] {
			continue
		}
		printed[s.Name] = true
		pairs := []any{"name", s.Name}
		if s.Unit != "" {
			pairs = append(pairs, "unit", s.Unit)
		}
		if s.Better == analysis.BetterHigher {
			pairs = append(pairs, "better", string(betterHigher))
		}
		kind := sources[s.Source].Kind
		if s.Histogram != nil {
			pairs = append(pairs, "histogram", printMetric(s.Source, s.Histogram, kind, false))
		} else {
			pairs = append(pairs, "gauge", printMetric(s.Source, s.Gauge, kind, false))
		}
		out = append(out, mapping(pairs...))
	}
	return out
}
