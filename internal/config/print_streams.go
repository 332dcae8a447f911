package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// printClause writes an objective about logs or traces from the objectives that it
// stands for.
func (p policy) printClause(clause string, of []analysis.Objective) *yaml.Node {
	role, tested := analysis.Advisory, analysis.Objective{}
	for _, o := range of {
		if !o.Signal.Listed() {
			role, tested = o.Role, o
			break // the first one has the bounds
		}
	}
	says := p.printTraces()
	if clause == clauseLogs {
		says = p.printLogs(of)
	}
	pairs := []any{clause, says, "role", string(role)}
	if tested.Name != "" {
		pairs = append(pairs, "tolerance", printBound(tested.Tolerance, autoTolerance(tested)), "margin", printBound(tested.Margin, autoMargin(tested)))
	}
	return mapping(pairs...)
}

func (p policy) printLogs(of []analysis.Objective) *yaml.Node {
	pairs := []any{"source", p.Logs.Source}
	var mustAppear []string
	for _, o := range of {
		switch l := o.Signal.Logs; {
		case l.Severity != analysis.SeverityUnknown:
			pairs = append(pairs, "severity", l.Severity.String())
		case l.MustAppear != "":
			mustAppear = append(mustAppear, l.MustAppear)
		}
	}
	var masks []string
	if t := p.Logs.Templates; t != nil {
		masks = t.Masks
	}
	for _, list := range []struct {
		key   string
		texts []string
	}{{"mustAppear", mustAppear}, {"expect", p.Logs.Expect}, {"mute", p.Logs.Mute}, {"masks", masks}} {
		if list.texts != nil {
			pairs = append(pairs, list.key, flowList(list.texts))
		}
	}
	if p.Logs.Origin != "" {
		pairs = append(pairs, "requests", p.Logs.Origin)
	}
	if p.Logs.Share > 0 {
		pairs = append(pairs, "share", printPercent(p.Logs.Share))
	}
	return flow(pairs...)
}

func (p policy) printTraces() *yaml.Node {
	if p.Traces == nil {
		return flow()
	}
	pairs := []any{"source", p.Traces.Source}
	if p.Traces.Mute != nil {
		pairs = append(pairs, "mute", flowList(p.Traces.Mute))
	}
	return flow(pairs...)
}
