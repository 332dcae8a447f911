package dashboards

// internals is what the operators of Assay look at: is it able to judge?
func internals() Dashboard {
	return dashboard(
		"assay-internals", "Assay / Internals", "Whether Assay is able to judge: intake, the line, its sources, delivery, and the process.", nil,
		row{title: "Is it able to judge?", panels: []Panel{
			stat("Up", "1 if Prometheus reaches every Assay that is chosen.", unitNone, query{`min(up{@})`, "up"}).
				words(yesNo).limits("red", map[float64]string{1: "green"}),
			stat("Last advance", "How long ago the line was brought to the present without an error. It should be a second.", unitSeconds,
				query{`time() - min(assay_line_last_advance_timestamp_seconds{@})`, "ago"}).limits("green", map[float64]string{10: "orange", 60: "red"}),
			intakeWord(),
			stat("Store", "Whether the database answered the last scrape.", unitNone, query{`min(assay_store_up{@})`, "store"}).
				words(yesNo).limits("red", map[float64]string{1: "green"}),
			stat("Oldest undelivered verdict", "How long the oldest message has waited for its sink; 0 if none waits.", unitSeconds,
				query{`(time() - min(assay_outbox_oldest_timestamp_seconds{@})) or vector(0)`, "waits"}).limits("green", map[float64]string{60: "orange", 300: "red"}),
			stat("Errors", "Errors in the time shown that were, or will be, tried again.", unitShort,
				query{`sum(increase(assay_errors_total{@}[$__range]))`, "errors"}).limits("green", map[float64]string{1: "orange"}).whole(),
		}},
		row{title: "The line", panels: []Panel{
			graph("Duration of an advance", "Time that one advance of the line took: median and 99th percentile. Above a second, folds are late.", unitSeconds, 8,
				query{quantile(.5, "assay_advance_duration_seconds", "$__rate_interval", "instance, "), "{{instance}} median"},
				query{quantile(.99, "assay_advance_duration_seconds", "$__rate_interval", "instance, "), "{{instance}} p99"}),
			graph("Open validations", "Validations without a final verdict.", unitShort, 8,
				query{`sum by (instance) (assay_validations_open{@})`, "{{instance}}"}),
			graph("Errors by part", "Errors a second that will be tried again.", unitPerSec, 8,
				query{`sum by (part) (rate(assay_errors_total{@}[$__rate_interval]))`, "{{part}}"}),
		}},
		row{title: "Intake", panels: []Panel{
			graph("Deployment events", "Events a second, by the way they came and what became of them.", unitPerSec, 8,
				query{`sum by (via, result) (rate(assay_events_total{@}[$__rate_interval]))`, "{{via}} {{result}}"}),
			graph("Consumer lag", "Records of each assigned partition that were not read yet.", unitShort, 8,
				query{`sum by (topic, partition) (assay_consumer_lag_records{@})`, "{{topic}} {{partition}}"}),
			graph("Dead letters", "Events in each interval that were put aside, by reason.", unitShort, 8,
				query{`sum by (reason) (increase(assay_dlq_events_total{@}[$__rate_interval]))`, "{{reason}}"}),
			graph("Partitions that stand still", "Partitions that are not read until an operator says where to go on.", unitShort, 8,
				query{`sum by (topic) (assay_consumer_partition_stopped{@})`, "{{topic}}"}),
			graph("Trouble with the reading", "Records that were gone before they could be read, batches of a newer owner's partition, and new beginnings because nothing came.", unitShort, 8,
				query{`sum(increase(assay_consumer_lost_records_total{@}[$__rate_interval]))`, "lost records"},
				query{`sum(increase(assay_consumer_fenced_batches_total{@}[$__rate_interval]))`, "fenced batches"},
				query{`sum(increase(assay_consumer_rejoins_total{@}[$__rate_interval]))`, "begun anew"}),
			graph("Last fetch", "How long ago Kafka last answered a fetch. It answers twice a second when there is nothing.", unitSeconds, 8,
				query{`time() - min by (instance) (assay_intake_last_fetch_timestamp_seconds{@})`, "{{instance}}"}),
		}},
		row{title: "Telemetry", panels: []Panel{
			graph("Questions to the sources", "Questions a second: what validations asked, what was left after merging, and what was known already of the time before deployments.", unitPerSec, 8,
				query{`sum(rate(assay_backend_requests_unmerged_total{@}[$__rate_interval]))`, "asked by validations"},
				query{`sum(rate(assay_backend_requests_total{@}[$__rate_interval]))`, "put to sources"},
				query{`sum(rate(assay_backend_requests_shared_total{@}[$__rate_interval]))`, "known already"}),
			graph("Time of an answer", "Time that each source took for a question: 99th percentile.", unitSeconds, 8,
				query{quantile(.99, "assay_backend_request_duration_seconds", "$__rate_interval", "backend, "), "{{backend}}"}),
			graph("Questions without an answer", "Questions a second that a source did not answer, by what was wrong, and those that were not put to it because it is to be left alone. Folds wait for unavailable sources.", unitPerSec, 8,
				query{`histogram_count(sum by (backend, code) (rate(assay_backend_request_duration_seconds{@, code!="ok"}[$__rate_interval]))) or sum by (backend, code) (rate(assay_backend_request_duration_seconds_bucket{@, code!="ok", le="+Inf"}[$__rate_interval]))`, "{{backend}} {{code}}"},
				query{`sum by (backend) (rate(assay_backend_requests_refused_total{@}[$__rate_interval]))`, "{{backend}} not asked"}),
			graph("Places at the sources", "Questions under way, those that wait, and how many may be under way now. Failures halve the limit, answers raise it.", unitShort, 8,
				query{`sum by (backend) (assay_backend_in_flight{@})`, "{{backend}} under way"},
				query{`sum by (backend) (assay_backend_waiting{@})`, "{{backend}} waiting"},
				query{`sum by (backend) (assay_backend_limit{@})`, "{{backend}} limit"}),
			graph("OTLP points", "Data points a second that the receiver kept, and those that it did not, by reason.", unitPerSec, 8,
				query{`sum(rate(assay_otlp_points_total{@}[$__rate_interval]))`, "kept"},
				query{`sum by (reason) (rate(assay_otlp_dropped_points_total{@}[$__rate_interval]))`, "dropped: {{reason}}"}),
			graph("OTLP windows", "What the receiver holds: services, resources (pods, processes) and time series.", unitShort, 8,
				query{`sum(assay_otlp_services{@})`, "services"},
				query{`sum(assay_otlp_resources{@})`, "resources"},
				query{`sum(assay_otlp_series{@})`, "series"}),
		}},
		row{title: "Delivery and store", collapsed: true, panels: []Panel{
			graph("Outbox", "Messages that wait for their sink.", unitShort, 12,
				query{`sum by (sink) (assay_outbox_pending{@})`, "{{sink}}"}),
			graph("Dead letters that are kept", "Dead letters in the store, by reason, until their retention ends.", unitShort, 12,
				query{`sum by (reason) (assay_dlq_events_kept{@})`, "{{reason}}"}),
		}},
		row{title: "Process", collapsed: true, panels: []Panel{
			graph("CPU", "Cores in use.", unitNone, 8,
				query{`sum by (instance) (rate(process_cpu_seconds_total{@}[$__rate_interval]))`, "{{instance}}"}),
			graph("Memory", "Resident memory, and the part of it that is Go's heap in use.", unitBytes, 8,
				query{`sum by (instance) (process_resident_memory_bytes{@})`, "{{instance}} resident"},
				query{`sum by (instance) (go_memstats_heap_inuse_bytes{@})`, "{{instance}} heap"}),
			graph("Goroutines and files", "Goroutines and open file descriptors. Neither should grow for days.", unitShort, 8,
				query{`sum by (instance) (go_goroutines{@})`, "{{instance}} goroutines"},
				query{`sum by (instance) (process_open_fds{@})`, "{{instance}} files"}),
			graph("Garbage collection", "Share of time in which the program was stopped by the garbage collector.", unitShare, 12,
				query{`sum by (instance) (rate(go_gc_duration_seconds_sum{@}[$__rate_interval]))`, "{{instance}}"}),
			table("Versions", "Which version runs where.", unitNone, 12, query{`sum by (cluster, job, instance, version) (assay_build_info{@})`, "{{version}}"}),
		}},
	)
}

var yesNo = map[string]Mapped{"0": {Text: "no", Color: "red"}, "1": {Text: "yes", Color: "green", Index: 1}}

// intakeWord shows the state of intake as its word. Of several processes the words
// of all are shown.
func intakeWord() Panel {
	p := stat("Intake from Kafka", "The state of intake: ok, starting, down, or auth_failed, where a person has to act. Nothing where there is no Kafka.", unitNone,
		query{`max by (state) (assay_intake_state{@}) == 1`, "{{state}}"})
	p.Options["textMode"] = "name"
	for _, state := range []struct{ word, colour string }{{"auth_failed", "red"}, {"down", "red"}, {"starting", "orange"}} {
		p.override("byName", state.word, Property{"color", map[string]any{"mode": "fixed", "fixedColor": state.colour}})
	}
	return p
}
