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
		docs = append(docs, read.print(p.slos))
	}
	if len(docs) == 0 {
		return nil, nil
	}
	return printed(docs...)
}

func (s *slo) print(name string, sources Sources) *yaml.Node {
	ratio := []any{"counter", true}
	for _, part := range []struct {
		key      string
		selector *analysis.Selector
	}{{"good", s.signal.Good}, {"bad", s.signal.Bad}, {"total", s.signal.Total}} {
		if part.selector != nil {
			ratio = append(ratio, part.key, flow("metricSource", flow(
				"metricSourceRef", s.signal.Source, "spec", printSelector(part.selector, sources[s.signal.Source].Kind))))
		}
	}
	return mapping(
		"apiVersion", openSLO, "kind", kindSLO.name, "metadata", flow("name", name),
		"spec", mapping(
			"service", s.service,
			"indicator", mapping("spec", mapping("ratioMetric", mapping(ratio...))),
			"budgetingMethod", "Occurrences",
			"objectives", []*yaml.Node{flow("target", s.target)},
		))
}

func printSelector(s *analysis.Selector, kind SourceKind) *yaml.Node {
	if kind != KindOTLP {
		return flow("query", promql.Text(s))
	}
	pairs := []any{"metric", s.Metric, "field", string(s.Field)}
	var where []any
	for _, c := range s.Conditions {
		where = append(where, c.Name, flowList(c.Values))
	}
	if where != nil {
		pairs = append(pairs, "where", flow(where...))
	}
	return flow(pairs...)
}

func (p policy) print(slos map[string]*slo) *yaml.Node {
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
	for _, o := range p.Objectives {
		name := []any{"sloRef", o.Name}
		if _, isSLO := slos[o.Name]; !isSLO || o.Target == 0 {
			name = []any{"signal", o.Name, "source", o.Signal.Source}
		}
		objectives = append(objectives, mapping(append(name, "role", string(o.Role),
			"tolerance", printBound(o.Tolerance, autoTolerance(o)), "margin", printBound(o.Margin, autoMargin(o)))...))
	}
	w := p.Window
	return mapping(
		"apiVersion", ours, "kind", kindValidation.name, "metadata", flow("name", p.Name),
		"spec", mapping(
			"match", flow(match...),
			"cohorts", mapping(
				"canary", flow("matchers", printMatchers(p.Canary, templates[0])),
				"baseline", flow("matchers", printMatchers(p.Baseline, templates[1]), "mode", "concurrent")),
			"window", flow("warmup", w.Warmup.String(), "minBake", w.MinBake.String(), "deadline", w.Deadline.String(), "onUnderpowered", string(w.OnUnderpowered)),
			"objectives", objectives,
			"decision", flow("alphaRollback", p.AlphaRollback, "alphaPromote", p.AlphaPromote),
		))
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
	case o.Target == 0:
		return "{ratio: 1.05}"
	case o.Margin != nil && o.Margin.Budget == 0:
		return "{ratio: 1.05}, as the margin has no budget"
	}
	return "{ratio: 1.05, budget: 25%}, or {ratio: 1.05} where the baseline spends half of its budget already"
}

func autoMargin(o analysis.Objective) string {
	if o.Target == 0 {
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
