package config

import (
	"fmt"
	"sort"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/promql"
)

// Print writes the effective policies: of every SLO what a comparison takes from it,
// with its SLI and its source resolved and its queries reduced, and every
// ReleaseValidation with its defaults spelled out. The text loads to the same
// policies again. A bound that depends on the baseline stays auto; a comment says
// what that means.
func (p Policies) Print() ([]byte, error) {
	var docs []*yaml.Node
	slos := names(p.slos)
	sort.Strings(slos)
	for _, name := range slos {
		docs = append(docs, p.slos[name].print(name, p.Sources))
	}
	for _, read := range p.policies {
		docs = append(docs, read.print(p.Sources))
	}
	if len(docs) == 0 {
		return nil, nil
	}
	return printed(docs...)
}

func (s *slo) print(name string, sources Sources) *yaml.Node {
	kind := sources[s.signal.Source].Kind
	var spec *yaml.Node
	target := flow("target", s.target)
	switch {
	case s.threshold:
		spec = mapping("thresholdMetric", printMetric(s.signal.Source, s.signal.Gauge, kind, false))
		target = flow("target", s.target, "op", string(s.op), "value", s.value)
	case s.signal.Gauge != nil:
		share := rawFailure
		if s.signal.Better == analysis.BetterHigher {
			share = rawSuccess
		}
		spec = mapping("ratioMetric", mapping("raw", printMetric(s.signal.Source, s.signal.Gauge, kind, false), "rawType", string(share)))
	default:
		ratio := []any{"counter", true}
		for _, part := range []struct {
			key      string
			selector *analysis.Selector
		}{{"good", s.signal.Good}, {"bad", s.signal.Bad}, {"total", s.signal.Total}} {
			if part.selector != nil {
				ratio = append(ratio, part.key, printMetric(s.signal.Source, part.selector, kind, true))
			}
		}
		spec = mapping("ratioMetric", mapping(ratio...))
	}
	of := []any{"service", s.service, "indicator", mapping("spec", spec)}
	if s.window != nil {
		of = append(of, "timeWindow", []*yaml.Node{s.window.print()})
	}
	of = append(of, "budgetingMethod", "Occurrences", "objectives", []*yaml.Node{target})
	return mapping("apiVersion", openSLO, "kind", kindSLO.name, "metadata", flow("name", name), "spec", mapping(of...))
}

func (w *timeWindow) print() *yaml.Node {
	pairs := []any{"duration", string(w.Duration), "isRolling", w.IsRolling}
	if w.Calendar != nil {
		pairs = append(pairs, "calendar", flow("startTime", w.Calendar.StartTime, "timeZone", w.Calendar.TimeZone))
	}
	return flow(pairs...)
}

// printMetric writes a metric of a source, and the field of a pushed one where a part
// of it is counted.
func printMetric(source string, s *analysis.Selector, kind SourceKind, counted bool) *yaml.Node {
	spec := flow("query", promql.Text(s))
	if kind == KindOTLP {
		pairs := []any{"metric", s.Metric}
		if counted {
			pairs = append(pairs, "field", string(s.Field))
		}
		var where []any
		for _, c := range s.Conditions {
			where = append(where, c.Name, flowList(c.Values))
		}
		if where != nil {
			pairs = append(pairs, "where", flow(where...))
		}
		spec = flow(pairs...)
	}
	return flow("metricSource", flow("metricSourceRef", source, "spec", spec))
}

func (p policy) print(sources Sources) *yaml.Node {
	match := []any{"service", p.service}
	for _, part := range []struct {
		key      string
		patterns []string
	}{{"environments", p.environments}, {"namespaces", p.namespaces}} {
		if len(part.patterns) > 0 {
			match = append(match, part.key, flowList(part.patterns))
		}
	}
	var objectives []*yaml.Node
	for i := 0; i < len(p.Objectives); i++ {
		clause := p.written[i].clause
		if clause == "" {
			objectives = append(objectives, printObjective(p.Objectives[i], p.written[i].slo))
			continue
		}
		first := i
		for i+1 < len(p.Objectives) && p.written[i+1].clause == clause {
			i++
		}
		objectives = append(objectives, p.printClause(clause, p.Objectives[first:i+1]))
	}
	w := p.Window
	cohorts := []any{
		"canary", flow("matchers", printMatchers(p.Canary, templates[0])),
		"baseline", flow("matchers", printMatchers(p.Baseline, templates[1]), "mode", string(cohortMode(p.Comparison).orConcurrent())),
	}
	if p.Control != nil {
		cohorts = append(cohorts, "control", flow("matchers", flow(pairsOf(p.Control)...)))
	}
	spec := []any{
		"match", flow(match...),
		"cohorts", mapping(cohorts...),
		"window", flow("warmup", w.Warmup.String(), "minBake", w.MinBake.String(), "deadline", w.Deadline.String(), "onUnderpowered", string(w.OnUnderpowered)),
	}
	if own := p.printSignals(sources); own != nil {
		spec = append(spec, "signals", own)
	}
	spec = append(spec, "objectives", objectives, "decision", flow("alphaRollback", p.AlphaRollback, "alphaPromote", p.AlphaPromote))
	if p.Costs != nil {
		spec = append(spec, "costs", printCosts(*p.Costs))
	}
	return mapping("apiVersion", ours, "kind", kindValidation.name, "metadata", flow("name", p.Name), "spec", mapping(spec...))
}

func printMatchers(matchers map[string]string, byDefault string) *yaml.Node {
	if matchers == nil {
		matchers = map[string]string{analysis.AttrVersion: byDefault}
	}
	return flow(pairsOf(matchers)...)
}

func pairsOf(m map[string]string) (pairs []any) {
	keys := names(m)
	sort.Strings(keys)
	for _, key := range keys {
		pairs = append(pairs, key, m[key])
	}
	return pairs
}

// printBound writes a bound in the form that needs no explanation, or auto and what
// that stands for.
func printBound(b *analysis.Bound, auto string) *yaml.Node {
	if b == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "auto", LineComment: "# " + auto}
	}
	pairs := []any{"ratio", b.Ratio}
	if b.Budget != 0 {
		pairs = append(pairs, "budget", printPercent(b.Budget))
	}
	return flow(pairs...)
}

// printPercent writes the shortest percent that is read as the share.
func printPercent(share float64) string {
	for digits := range 30 {
		text := strconv.FormatFloat(share*100, 'f', digits, 64) + "%"
		if read, err := parsePercent(text); err == nil && read == share {
			return text
		}
	}
	return strconv.FormatFloat(share*100, 'g', -1, 64) + "%"
}

func autoTolerance(o analysis.Objective) string {
	switch {
	case o.Target > 0 && o.Signal.Shape == analysis.ShapeLevel:
		return "{budget: 25%}"
	case o.Signal.Logs != nil:
		return "{ratio: 1.25}"
	case o.Target == 0:
		return "{ratio: 1.05}"
	case o.Margin != nil && o.Margin.Budget == 0:
		return "{ratio: 1.05}, as the margin has no budget"
	}
	return "{ratio: 1.05, budget: 25%}, or {ratio: 1.05} where the baseline spends half of its budget already"
}

func autoMargin(o analysis.Objective) string {
	switch {
	case o.Target > 0 && o.Signal.Shape == analysis.ShapeLevel:
		return "{budget: 50%}"
	case o.Signal.Shape != analysis.ShapeRatio:
		return "{ratio: 1.2}"
	case o.Signal.Logs != nil:
		return "{ratio: 1.5}"
	case o.Target == 0:
		return "{ratio: 1.25}"
	}
	return "{ratio: 1, budget: 50%} if the traffic can show it in 0.7 of the deadline, else what the baseline leaves of the budget"
}

// mapping makes a mapping of keys and values, in their order.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(pairs); i += 2 {
		value, made := pairs[i+1].(*yaml.Node)
		if list, is := pairs[i+1].([]*yaml.Node); is {
			value, made = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: list}, true
		}
		if !made {
			value = &yaml.Node{}
			if err := value.Encode(pairs[i+1]); err != nil {
				panic(fmt.Sprintf("%v cannot be written: %v", pairs[i], err)) // all are texts and numbers
			}
		}
		key := &yaml.Node{}
		key.SetString(fmt.Sprint(pairs[i]))
		n.Content = append(n.Content, key, value)
	}
	return n
}

// flow makes a mapping that is written on one line.
func flow(pairs ...any) *yaml.Node {
	n := mapping(pairs...)
	n.Style = yaml.FlowStyle
	return n
}

func flowList(values []string) *yaml.Node {
	n := &yaml.Node{}
	_ = n.Encode(values) // texts only
	n.Style = yaml.FlowStyle
	return n
}
