package dashboards

// All returns the dashboards by the name of their file in json/.
func All() map[string]Dashboard {
	return map[string]Dashboard{"assay-releases.json": releases(), "assay-internals.json": internals()}
}

// tag joins the dashboards to each other.
const tag = "assay"

// dashboard is what all of them share.
func dashboard(uid, title, description string, variables []Variable, rows ...row) Dashboard {
	return Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{tag}, GraphTooltip: 1, Refresh: "30s",
		SchemaVersion: 39, Time: TimeRange{"now-6h", "now"}, Timezone: "browser",
		Links:       []Link{{Title: "Assay", Type: "dashboards", Tags: []string{tag}, AsDropdown: true, IncludeVars: true, KeepTime: true}},
		Annotations: Annotations{List: []Annotation{issued(), mirrored()}},
		Templating:  Templating{List: append(everywhere(), variables...)},
		Panels:      layout(rows...),
	}
}

// everywhere are the variables of every dashboard. All is any value or none, so that
// an installation without a label "cluster" is matched too.
func everywhere() []Variable {
	return []Variable{
		source("datasource", "Metrics", "prometheus"),
		source("loki", "Logs", "loki"),
		choice("cluster", "Cluster", `label_values(assay_build_info, cluster)`),
		choice("job", "Job", `label_values(assay_build_info{cluster=~"$cluster"}, job)`),
		choice("instance", "Instance", `label_values(assay_build_info{cluster=~"$cluster", job=~"$job"}, instance)`),
	}
}

// source is a variable that chooses a data source.
func source(name, label, kind string) Variable {
	return Variable{Name: name, Label: label, Type: "datasource", Query: kind, Refresh: 1}
}

// choice is a variable that chooses values of a label; at first all.
func choice(name, label, query string) Variable {
	from := prometheus
	return Variable{
		Name: name, Label: label, Type: "query", Query: VariableQuery{query, "A"}, Definition: query, Datasource: &from,
		Current: &Current{"All", "$__all"}, IncludeAll: true, AllValue: ".*", Multi: true, Refresh: 2, Sort: 1,
	}
}

// issued marks when a verdict was issued. The value is the time, so that the same
// word twice is two marks; the label of the metric is the word.
func issued() Annotation {
	return Annotation{
		Name: "Verdicts", Datasource: prometheus, Enable: true, IconColor: "purple", Step: "60s", UseValueForTime: true,
		Expr:        expression(newest("1000 * ", "@")),
		TitleFormat: "{{verdict}}: {{service}} in {{environment}}", TextFormat: "{{reason}}", TagKeys: "service,environment,verdict",
	}
}

// mirrored marks what was found wrong in a release, from the lines that a sink of type
// loki writes. It is off until somebody has such a sink and turns it on.
func mirrored() Annotation {
	return Annotation{
		Name: "Findings", Datasource: lines, IconColor: "red", Step: "60s",
		Expr:        `{app="assay", kind="finding"} | json | line_format "{{.text}}"`,
		TitleFormat: "{{verdict}}: {{service}} in {{environment}}", TagKeys: "service,environment,verdict",
	}
}

// newest is the newest verdict of each service with the time when it was issued as
// its value.
func newest(times, matchers string) string {
	return times + `assay_verdict_timestamp_seconds{` + matchers + `} * on (cluster, job, instance, environment, namespace, service) group_right () assay_verdict_info{` + matchers + `}`
}
