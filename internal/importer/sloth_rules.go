package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rules is a file of Prometheus rules; of a rule only what an import reads.
type rules struct {
	Groups []struct {
		Rules []struct {
			Record string            `yaml:"record"`
			Alert  string            `yaml:"alert"`
			Expr   text              `yaml:"expr"`
			Labels map[string]string `yaml:"labels"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

const (
	slothShare  = "slo:sli_error:ratio_rate"
	slothTarget = "slo:objective:ratio"
)

var vector = regexp.MustCompile(`^\s*vector\(([0-9.eE+-]+)\)\s*$`)

// slothRules reads back service levels from the recording rules that sloth generated:
// the error share over the shortest window, and the objective.
func slothRules(n *yaml.Node) (slothSpec, error) {
	var file rules
	if err := n.Decode(&file); err != nil {
		return slothSpec{}, err
	}
	out := slothSpec{Version: slothVersion}
	at := map[string]int{}
	for _, g := range file.Groups {
		for _, rule := range g.Rules {
			id, name := rule.Labels["sloth_id"], rule.Labels["sloth_slo"]
			share := strings.HasPrefix(rule.Record, slothShare)
			if id == "" || name == "" || !share && rule.Record != slothTarget {
				continue
			}
			if service := rule.Labels["sloth_service"]; out.Service.Value == "" {
				out.Service = text{service, rule.Expr.Line}
			} else if service != out.Service.Value {
				return slothSpec{}, fmt.Errorf("has rules of several services (%s, %s): import one file for each", out.Service.Value, service)
			}
			k, known := at[id]
			if !known {
				k = len(out.SLOs)
				at[id] = k
				out.SLOs = append(out.SLOs, slothService{Name: text{name, rule.Expr.Line}})
			}
			o := &out.SLOs[k]
			if !share {
				m := vector.FindStringSubmatch(rule.Expr.Value)
				if m == nil {
					return slothSpec{}, fmt.Errorf("line %d: the objective of %s is no vector(number)", rule.Expr.Line, name)
				}
				target, err := strconv.ParseFloat(m[1], 64)
				if err != nil {
					return slothSpec{}, fmt.Errorf("line %d: %w", rule.Expr.Line, err)
				}
				o.Objective = target * 100
			} else if o.SLI.Raw == nil {
				o.SLI.Raw = &struct {
					Share text `yaml:"error_ratio_query"`
				}{rule.Expr}
			}
		}
	}
	if len(out.SLOs) == 0 {
		return slothSpec{}, fmt.Errorf("has no rule that sloth generated (%s*)", slothShare)
	}
	return out, nil
}
