package dashboards

// releases is what the owners of services look at: which releases were judged, how,
// and how long it took.
func releases() Dashboard {
	variables := []Variable{
		choice("environment", "Environment", `label_values(assay_verdict_info{`+matchers+`}, environment)`),
		choice("service", "Service", `label_values(assay_verdict_info{`+matchers+`, environment=~"$environment"}, service)`),
	}
	return dashboard(
		"assay-releases", "Assay / Releases and verdicts", "Which releases were judged, with what verdict and why, and how long it took.", variables,
		row{title: "At a glance", panels: []Panel{
			stat("Open validations", "Deployments that have no final verdict yet.", unitShort, query{`sum(assay_validations_open{@})`, "open"}),
			counted("Promotes", "promote", "Final verdicts that let a release go on, in the time shown."),
			counted("Rollbacks", "rollback", "Final verdicts that harm was shown, in the time shown."),
			counted("Holds", "hold", "Final verdicts that it could not be told by the deadline, in the time shown. A hold is no fault of the release: its reason says what was missing."),
			stat("Hold rate", "Share of final verdicts that were holds, in the time shown. A high one means weak evidence: see the reasons below.", unitShare,
				query{`sum(increase(assay_validations_total{@, verdict="hold"}[$__range])) / sum(increase(assay_validations_total{@}[$__range]))`, "holds"},
			).limits("green", map[float64]string{.3: "orange", .5: "red"}),
			stat("Median time to verdict", "Event time from the start of a deployment to its final verdict; half were faster.", unitSeconds,
				query{quantile(.5, "assay_time_to_verdict_seconds", "$__range", ""), "median"}),
		}},
		row{title: "Verdicts", panels: []Panel{
			bars("Verdicts", "Final verdicts in each interval, by word.", unitShort, 12,
				query{`sum by (verdict) (increase(assay_validations_total{@}[$__rate_interval]))`, "{{verdict}}"}).coloured(),
			graph("Time to verdict", "Event time from the start of a deployment to its final verdict, by word: median and 90th percentile.", unitSeconds, 12,
				query{quantile(.5, "assay_time_to_verdict_seconds", "$__rate_interval", "verdict, "), "{{verdict}} median"},
				query{quantile(.9, "assay_time_to_verdict_seconds", "$__rate_interval", "verdict, "), "{{verdict}} p90"}),
			newestOfEach(),
			ranking("Reasons of holds", "Why releases were held in the time shown, the ten commonest reason codes. docs/reason-codes.md says what helps against each.", unitShort, 8,
				query{`topk(10, sum by (reason) (increase(assay_validations_total{@, verdict="hold"}[$__range])))`, "{{reason}}"}),
		}},
		row{title: "Events and delivery", collapsed: true, panels: []Panel{
			bars("Deployment events", "Events that told of deployments, by the way they came and what became of them.", unitShort, 8,
				query{`sum by (via, result) (increase(assay_events_total{@}[$__rate_interval]))`, "{{via}} {{result}}"}),
			graph("Queue lag", "Records of the deployments topic that were not read yet. A release waits here before anything is judged.", unitShort, 8,
				query{`sum by (topic) (assay_consumer_lag_records{@})`, "{{topic}}"}),
			graph("Verdicts not delivered yet", "Messages that wait for their sink. They are kept until it takes them.", unitShort, 8,
				query{`sum by (sink) (assay_outbox_pending{@})`, "{{sink}}"}),
		}},
	)
}

func counted(title, word, description string) Panel {
	return stat(title, description, unitShort, query{`sum(increase(assay_validations_total{@, verdict="` + word + `"}[$__range]))`, word}).limits(colours[word], nil).whole()
}

// whole rounds to whole numbers: increase extrapolates.
func (p Panel) whole() Panel {
	zero := 0
	p.FieldConfig.Defaults.Decimals = &zero
	return p
}

// newestOfEach is the table that answers "what became of my release?".
func newestOfEach() Panel {
	p := table("Newest verdict of each service", "The newest final verdict of each service and environment, with its reason code. The service links to its logs, the verdict to its history.", unitNone, 16,
		query{newest("1000 * ", `@, `+ofReleases), "{{service}}"})
	p.Transformations = []Transformation{{ID: "organize", Options: map[string]any{
		"excludeByName": map[string]bool{"Time": true, "__name__": true, "job": true, "instance": true, "cluster": true},
		"indexByName":   map[string]int{"environment": 0, "namespace": 1, "service": 2, "verdict": 3, "reason": 4, "Value": 5},
		"renameByName":  map[string]string{"Value": "issued"},
	}}}
	p.override("byName", "issued", Property{"unit", unitSince})
	p.override("byName", "verdict",
		Property{"mappings", []Mapping{{Type: "value", Options: map[string]Mapped{
			"promote": {Color: colours["promote"]}, "rollback": {Color: colours["rollback"], Index: 1}, "hold": {Color: colours["hold"], Index: 2},
		}}}},
		Property{"custom.cellOptions", map[string]any{"type": "color-text"}},
		Property{"links", []Link{explore("Verdicts of this service over time", prometheus, `assay_verdict_info{environment="${__data.fields.environment}", service="${__data.fields.service}"}`)}})
	p.override("byName", "service",
		Property{"links", []Link{explore("Logs of this service", Datasource{"loki", "${loki}"}, `{service_name="${__data.fields.service}"}`)}})
	return p
}
