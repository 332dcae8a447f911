package dashboards

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Names of units as Grafana knows them.
const (
	unitShort   = "short"
	unitSeconds = "s"
	unitShare   = "percentunit"
	unitPerSec  = "ops"
	unitBytes   = "bytes"
	unitSince   = "dateTimeFromNow"
	unitNone    = "none"
)

var (
	prometheus = Datasource{"prometheus", "${datasource}"}
	lines      = Datasource{"loki", "${loki}"}

	// colours of the words of a verdict, the same in every panel.
	colours = map[string]string{"promote": "green", "rollback": "red", "hold": "orange", "pending": "blue"}
)

// matchers are what @ stands for in a query.
const matchers = `cluster=~"$cluster", job=~"$job", instance=~"$instance"`

// ofReleases are the matchers that pick releases.
const ofReleases = `environment=~"$environment", service=~"$service"`

func expression(text string) string { return strings.ReplaceAll(text, "@", matchers) }

// plain is the expression without the choices of a dashboard: a link cannot carry
// several of them.
func plain(text string) string {
	return strings.NewReplacer("{@}", "", "{@, ", "{").Replace(text)
}

// A query is an expression and what its series are called.
type query struct{ expr, legend string }

// quantile asks a histogram, whether the server scrapes native histograms or
// buckets; labels are kept, each with a comma behind it: "verdict, ".
func quantile(q float64, metric, interval, labels string) string {
	return fmt.Sprintf("histogram_quantile(%[1]g, sum by (%[5]s) (rate(%[2]s{@}[%[3]s]))) or histogram_quantile(%[1]g, sum by (%[4]sle) (rate(%[2]s_bucket{@}[%[3]s])))",
		q, metric, interval, labels, strings.TrimSuffix(labels, ", "))
}

func panel(kind, title, description, unit string, width int, queries ...query) Panel {
	source := prometheus
	p := Panel{
		Type: kind, Title: title, Description: description, Datasource: &source,
		GridPos:     GridPos{W: width, H: 8},
		FieldConfig: &FieldConfig{Defaults: Field{Unit: unit}, Overrides: []Override{}},
	}
	for i, q := range queries {
		p.Targets = append(p.Targets, Target{
			RefID: string(rune('A' + i)), Datasource: source, Expr: expression(q.expr), LegendFormat: q.legend, Range: true, Format: "time_series",
		})
	}
	return p
}

// stat is one number, now.
func stat(title, description, unit string, queries ...query) Panel {
	p := panel("stat", title, description, unit, 4, queries...)
	p.GridPos.H = 4
	for i := range p.Targets {
		p.Targets[i].Instant, p.Targets[i].Range = true, false
	}
	p.FieldConfig.Defaults.NoValue = "–"
	p.Options = map[string]any{
		"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p.limits("green", nil)
}

// graph is lines over time.
func graph(title, description, unit string, width int, queries ...query) Panel {
	p := panel("timeseries", title, description, unit, width, queries...)
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Custom = map[string]any{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}, "showLegend": true},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	if len(queries) > 0 {
		p.FieldConfig.Defaults.Links = []Link{explore("Explore this query", prometheus, plain(queries[0].expr))}
	}
	return p
}

// bars is what was counted in each interval, stacked.
func bars(title, description, unit string, width int, queries ...query) Panel {
	p := graph(title, description, unit, width, queries...)
	p.FieldConfig.Defaults.Custom = map[string]any{
		"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": map[string]any{"mode": "normal", "group": "A"},
	}
	return p
}

// ranking is one bar for each series, now.
func ranking(title, description, unit string, width int, queries ...query) Panel {
	p := panel("bargauge", title, description, unit, width, queries...)
	for i := range p.Targets {
		p.Targets[i].Instant, p.Targets[i].Range = true, false
	}
	p.Options = map[string]any{
		"displayMode": "basic", "orientation": "horizontal", "showUnfilled": true,
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}
	return p.limits("blue", nil)
}

// table is one line for each series, now, with labels as columns.
func table(title, description, unit string, width int, q query) Panel {
	p := panel("table", title, description, unit, width, q)
	p.Targets[0].Instant, p.Targets[0].Range, p.Targets[0].Format = true, false, "table"
	p.Options = map[string]any{"showHeader": true, "cellHeight": "sm"}
	return p
}

// limits colours values: below from the first step on, then as the pairs say.
func (p Panel) limits(below string, steps map[float64]string) Panel {
	t := &Thresholds{Mode: "absolute", Steps: []Step{{Color: below}}}
	for _, at := range sorted(steps) {
		t.Steps = append(t.Steps, Step{steps[at], &at})
	}
	p.FieldConfig.Defaults.Thresholds = t
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "thresholds"}
	return p
}

// coloured gives series that are called like a word of a verdict its colour.
func (p Panel) coloured() Panel {
	for _, word := range sorted(colours) {
		p.override("byName", word, Property{"color", map[string]any{"mode": "fixed", "fixedColor": colours[word]}})
	}
	return p
}

// words shows words for numbers.
func (p Panel) words(options map[string]Mapped) Panel {
	p.FieldConfig.Defaults.Mappings = []Mapping{{Type: "value", Options: options}}
	return p
}

func (p *Panel) override(matcher, options string, properties ...Property) {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, Override{Matcher{matcher, options}, properties})
}

// explore is a link to the same or another query in Grafana's Explore, over the
// time that is shown. Variables in the query are replaced by Grafana.
func explore(title string, source Datasource, expr string) Link {
	panes, err := json.Marshal(map[string]any{"assay": map[string]any{
		"datasource": source.UID,
		"queries":    []any{map[string]any{"refId": "A", "datasource": source, "expr": expr}},
		"range":      map[string]string{"from": "${__from}", "to": "${__to}"},
	}})
	if err != nil {
		panic(err) // strings only
	}
	// What Grafana replaces must stay readable to it.
	text := strings.NewReplacer("%24", "$", "%7B", "{", "%7D", "}", "+", "%20").Replace(url.QueryEscape(string(panes)))
	return Link{Title: title, URL: "/explore?schemaVersion=1&orgId=1&panes=" + text, TargetBlank: true}
}
