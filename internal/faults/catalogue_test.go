package faults

import (
	"time"

	"github.com/release-assay/assay/analysis"
)

// A fault is one row of the catalogue. What is allowed is written as
// "word reason_code", alternatives separated by "|"; "same" is the verdict of the
// same shop without the fault, to the last figure, only later. An empty field: the
// fault is not played in that world.
type fault struct {
	id, name string // of reliability.md 3.2: F20; R3, R4 are of its section 2
	script   string // of internal/liar

	healthy string // allowed where both arms are alike
	harmful string // allowed where the canary fails twenty times as often

	push       bool          // OTLP instead of Prometheus
	pods       int           // of the canary; 0: one
	undeclared bool          // the event declares no share of traffic
	timeout    time.Duration // of the source, in life; for what must be waited for
	canary     map[string]string
	baseline   map[string]string

	pending  analysis.Code // must have been a reason on the way
	says     string        // must be in the reason of the final verdict
	warns    string        // must be the beginning of a warning of the final verdict
	whole    bool          // every sample that was expected was received
	obeyedTo int           // at most so many answers were wrong: the source was left alone
}

// byTrack selects the arms by what the deploy tool calls them, so that the version
// is observed.
func byTrack(f fault) fault {
	f.canary, f.baseline = map[string]string{"track": "canary"}, map[string]string{"track": "stable"}
	return f
}

// Allowed verdicts that are common.
const (
	same        = "same"
	outage      = "hold telemetry_outage"
	partial     = "hold telemetry_partial"
	noCanary    = "hold canary_telemetry_missing"
	noBaseline  = "hold baseline_telemetry_missing"
	badQuery    = "hold misconfigured_query"
	refused     = "hold source_rejected"
	overlap     = "hold selector_overlap"
	mismatch    = "hold identity_mismatch"
	unproven    = "hold identity_unproven"
	notServing  = "rollback canary_not_serving"
	noTraffic   = "hold no_traffic"
	degraded    = "hold environment_degraded"
	skewed      = "hold clock_skew"
	promote     = "promote all_safe"
	rollback    = "rollback harm_shown"
	orRollback  = " | " + rollback // harm was shown before the fault began
	shareIsOff  = "hold traffic_share_off"
	nothingHere = "hold no_concurrent_baseline"
)

// hasty is the timeout of a source whose server keeps it waiting.
const hasty = 250 * time.Millisecond

var catalogue = []fault{
	{id: "F20", name: "down for the whole run", script: `[{do: down}]`, healthy: outage, harmful: outage, pending: analysis.SourceUnavailable},
	{id: "F20", name: "down from the deployment on", script: `[{do: down, from: 0s}]`, healthy: outage, harmful: outage, pending: analysis.SourceUnavailable},
	{id: "F20", name: "down from the second minute on", script: `[{do: down, from: 2m}]`, healthy: outage},

	{id: "F21", name: "down for one interval", script: `[{do: down, from: 50s, to: 65s}]`, healthy: same, harmful: same},
	{id: "F21", name: "down for two intervals", script: `[{do: down, from: 50s, to: 80s}]`, healthy: same, harmful: same},
	{id: "F21", name: "down for three intervals", script: `[{do: down, from: 50s, to: 95s}]`, healthy: same, harmful: same, pending: analysis.SourceUnavailable},
	{id: "F21", name: "down while the plan is made", script: `[{do: down, to: 45s}]`, healthy: same, harmful: same, pending: analysis.SourceUnavailable},
	{id: "F21", name: "down nearly to the deadline", script: `[{do: down, from: 50s, to: 19m}]`, healthy: same, harmful: same},
	{id: "F21", name: "down beyond the deadline, back before the last fold closes", script: `[{do: down, from: 50s, to: 20m5s}]`, healthy: same, harmful: same},

	{id: "F22", name: "503 for the whole run", script: `[{do: status, status: 503}]`, healthy: outage, harmful: outage},
	{id: "F22", name: "500 for some intervals", script: `[{do: status, status: 500, from: 50s, to: 2m}]`, healthy: same, harmful: same},
	{id: "F22", name: "502 for some intervals", script: `[{do: status, status: 502, from: 50s, to: 2m}]`, healthy: same, harmful: same},
	{id: "F22", name: "503 every now and then", script: `[{do: status, status: 503, from: 50s, to: 55s}, {do: status, status: 503, from: 65s, to: 70s}, {do: status, status: 503, from: 80s, to: 90s}]`, healthy: same, harmful: same},
	{id: "F22", name: "429 with Retry-After", script: `[{do: status, status: 429, retryAfter: 60s, from: 50s, to: 4m50s}]`, healthy: same, harmful: same, obeyedTo: 5},
	{id: "F22", name: "503 with Retry-After", script: `[{do: status, status: 503, retryAfter: 2m, from: 50s, to: 4m50s}]`, healthy: same, harmful: same, obeyedTo: 3},
	{id: "F22", name: "no answer in time", script: `[{do: hang, from: 50s, to: 2m}]`, healthy: same, harmful: same, timeout: hasty},

	{id: "F23", name: "warnings for the whole run", script: `[{do: warnings, from: 0s}]`, healthy: partial, harmful: partial},
	{id: "F23", name: "warnings with every answer, and a pod is not in it", script: `[{do: warnings, from: 0s}, {do: silent, pod: checkout-1.4.9-1, from: 0s}]`, healthy: partial, harmful: partial},
	{id: "F23", name: "warnings from the second minute on", script: `[{do: warnings, from: 2m}]`, healthy: partial},
	{id: "F23", name: "a warning with one answer", script: `[{do: warnings, from: 65s, to: 75s}]`, healthy: promote, harmful: rollback},

	{id: "F24", name: "nothing is found", script: `[{do: empty, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "F24", name: "nothing is found any more", script: `[{do: empty, from: 2m}]`, healthy: outage},
	{id: "F24", name: "nothing is found once", script: `[{do: empty, from: 65s, to: 75s}]`, healthy: promote, harmful: rollback},
	{id: "F24", name: "NaN", script: `[{do: value, value: NaN, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "NaN"},
	{id: "F24", name: "NaN for the canary", script: `[{do: value, value: NaN, arm: canary, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "NaN"},
	{id: "F24", name: "NaN for the canary's errors", script: `[{do: value, value: NaN, arm: canary, metric: http_, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "NaN"},
	{id: "F24", name: "NaN once", script: `[{do: value, value: NaN, from: 65s, to: 75s}]`, healthy: promote, harmful: rollback},
	{id: "F24", name: "+Inf", script: `[{do: value, value: +Inf, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "+Inf"},
	{id: "F24", name: "-Inf", script: `[{do: value, value: -Inf, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "-Inf"},
	{id: "F24", name: "negative counters", script: `[{do: value, value: "-1", from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "-1"},
	{id: "F24", name: "staleness markers", script: `[{do: stale, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "NaN"},
	{id: "F24", name: "no traffic in either arm", script: `[{do: idle, from: 0s}]`, healthy: noTraffic, harmful: noTraffic},
	{id: "F24", name: "no traffic in either arm any more", script: `[{do: idle, from: 1m}]`, healthy: noTraffic, harmful: noTraffic + orRollback},
	{id: "F24", name: "no traffic in the canary any more, and no share declared", script: `[{do: idle, arm: canary, from: 1m}]`, undeclared: true, healthy: noTraffic, harmful: noTraffic + orRollback},

	{id: "F25", name: "every series twice", script: `[{do: twice, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "every series twice, from the beginning", script: `[{do: twice}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "a scalar", script: `[{do: scalar, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "a scalar, from the beginning", script: `[{do: scalar}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "a vector", script: `[{do: vector, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "a string", script: `[{do: string, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "two samples at one time", script: `[{do: repeated, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "samples in the wrong order", script: `[{do: unsorted, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "http_server_request"},
	{id: "F25", name: "a vector once", script: `[{do: vector, from: 65s, to: 75s}]`, healthy: promote, harmful: rollback},
	{id: "F25", name: "samples of the future", script: `[{do: future, by: 10m, from: 0s}]`, healthy: same, harmful: same},

	{id: "F26", name: "half an answer", script: `[{do: truncated, from: 50s, to: 2m}]`, healthy: same, harmful: same},
	{id: "F26", name: "half an answer, for the whole run", script: `[{do: truncated, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "F26", name: "a login page", script: `[{do: login, from: 50s, to: 2m}]`, healthy: same, harmful: same},
	{id: "F26", name: "a login page, for the whole run", script: `[{do: login, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "F26", name: "redirected to another host", script: `[{do: redirect, from: 0s}]`, healthy: refused, harmful: refused, says: "metrics.example.invalid"},
	{id: "F26", name: "401", script: `[{do: status, status: 401, from: 0s}]`, healthy: refused, harmful: refused, says: "401"},
	{id: "F26", name: "404, from the beginning", script: `[{do: status, status: 404}]`, healthy: refused, harmful: refused, says: "404"},
	{id: "F26", name: "a gzip bomb of 1 GiB", script: `[{do: bomb, bytes: 1073741824, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "limit of bytes"},
	{id: "F26", name: "a body of 1 GiB", script: `[{do: huge, bytes: 1073741824, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "limit of bytes"},
	{id: "F26", name: "one byte a second", script: `[{do: slow, from: 50s, to: 2m}]`, healthy: same, harmful: same, timeout: hasty},

	{id: "F27", name: "the canary's counters are reset", script: `[{do: reset, arm: canary, from: 1m}]`, healthy: promote, harmful: rollback, whole: true},
	{id: "F27", name: "all counters are reset", script: `[{do: reset, from: 1m}]`, healthy: promote, harmful: rollback, whole: true},
	{id: "F27", name: "the canary's pod is restarted", script: `[{do: restart, arm: canary, from: 62s}]`, healthy: promote, harmful: rollback, whole: true},
	{id: "F27", name: "the canary's pod is restarted again and again", script: `[{do: restart, arm: canary, from: 20s}, {do: restart, arm: canary, from: 50s}, {do: restart, arm: canary, from: 92s}, {do: restart, arm: canary, from: 3m}]`, healthy: promote, harmful: rollback, whole: true},
	{id: "F27", name: "all pods are restarted", script: `[{do: restart, from: 62s}]`, healthy: promote, harmful: rollback, whole: true},
	{id: "F27", name: "a scrape gap of one pod", script: `[{do: silent, pod: checkout-1.4.9-1, from: 1m, to: 90s}]`, healthy: promote, harmful: rollback},
	{id: "F27", name: "a scrape gap of all", script: `[{do: silent, from: 1m, to: 90s}]`, healthy: promote, harmful: rollback},
	{id: "F27", name: "a scrape gap of a minute and a half of the canary", script: `[{do: silent, arm: canary, from: 1m, to: 150s}]`, healthy: promote, harmful: rollback},
	{id: "F27", name: "a restart during a scrape gap", script: `[{do: restart, arm: canary, from: 70s}, {do: silent, arm: canary, from: 1m, to: 90s}]`, healthy: promote, harmful: rollback},

	{id: "F28", name: "samples are found 20 s late", script: `[{do: lag, by: 20s, from: 0s}]`, healthy: same, harmful: same},
	{id: "F28", name: "samples are found a minute late", script: `[{do: lag, by: 1m, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "F28", name: "samples are found two minutes late for a while", script: `[{do: lag, by: 2m, from: 65s, to: 90s}]`, healthy: promote, harmful: rollback},

	byTrack(fault{id: "F31", name: "nothing is wrong, the arms are told apart by their track", healthy: promote, harmful: rollback}),
	byTrack(fault{id: "F31", name: "the canary's pods carry both tracks", script: `[{do: double, arm: canary, label: track, value: stable}]`, healthy: overlap, harmful: overlap}),
	byTrack(fault{id: "F31", name: "all pods carry both tracks", script: `[{do: double, arm: canary, label: track, value: stable}, {do: double, arm: baseline, label: track, value: canary}]`, healthy: overlap, harmful: overlap}),
	{
		id: "F31", name: "the baseline's selector takes in the canary", healthy: overlap, harmful: overlap,
		canary: map[string]string{analysis.AttrVersion: "${canary.version}"}, baseline: map[string]string{analysis.AttrService: "checkout"},
	},

	byTrack(fault{id: "F32", name: "the canary still runs the old build", script: `[{do: relabel, arm: canary, label: service_version, value: 1.4.9}]`, healthy: mismatch, harmful: mismatch}),
	byTrack(fault{id: "F32", name: "the baseline is upgraded already", script: `[{do: relabel, arm: baseline, label: service_version, value: 1.5.0}]`, healthy: mismatch, harmful: mismatch}),
	byTrack(fault{id: "F32", name: "the tracks are swapped", script: `[{do: relabel, arm: canary, label: track, value: stable}, {do: relabel, arm: baseline, label: track, value: canary}]`, healthy: mismatch, harmful: mismatch}),
	byTrack(fault{id: "F32", name: "telemetry tells no version", script: `[{do: relabel, label: service_version}]`, healthy: unproven, harmful: unproven}),
	{id: "F32", name: "the versions are swapped, and select the arms", script: `[{do: relabel, arm: canary, label: service_version, value: 1.4.9}, {do: relabel, arm: baseline, label: service_version, value: 1.5.0}]`, healthy: shareIsOff, harmful: shareIsOff},

	{id: "F33", name: "the baseline is redeployed as a third version", script: `[{do: relabel, arm: baseline, label: service_version, value: 1.4.10, from: 1m}]`, healthy: noBaseline, harmful: noBaseline + orRollback},
	byTrack(fault{id: "F33", name: "the baseline is redeployed as a third version, told apart by track", script: `[{do: relabel, arm: baseline, label: service_version, value: 1.4.10, from: 1m}]`, healthy: mismatch, harmful: mismatch + orRollback}),
	{id: "F33", name: "the baseline is scaled to none", script: `[{do: silent, arm: baseline, from: 1m}]`, healthy: noBaseline, harmful: noBaseline + orRollback},

	{id: "F34", name: "(i) nothing is ever heard of the canary", script: `[{do: silent, arm: canary}]`, healthy: noCanary, harmful: noCanary},
	{id: "F34", name: "(i) nothing is heard of the canary any more", script: `[{do: silent, arm: canary, from: 2m}]`, healthy: noCanary},
	{id: "F34", name: "(ii) the canary's pods live and never serve", script: `[{do: idle, arm: canary}]`, healthy: notServing, harmful: notServing},
	{id: "F34", name: "(ii) the canary's pods live and serve no longer", script: `[{do: idle, arm: canary, from: 1m}]`, healthy: notServing, harmful: notServing + orRollback},
	{id: "F34", name: "(ii) the canary's request counters are absent, its pods live", script: `[{do: silent, arm: canary, metric: http_, from: 0s}]`, healthy: notServing, harmful: notServing},
	{id: "F34", name: "(ii) without a declared share that is no harm", script: `[{do: idle, arm: canary}]`, undeclared: true, healthy: noTraffic, harmful: noTraffic},

	{id: "F35", name: "both arms fail", script: `[{do: fail, share: 0.05, from: 0s}]`, healthy: degraded, harmful: degraded + orRollback},
	{id: "F35", name: "both arms fail from the second minute on", script: `[{do: fail, share: 0.05, from: 2m}]`, healthy: degraded},

	{id: "F36", name: "100,000 series", script: `[{do: explode, count: 100000, from: 65s, to: 85s}]`, healthy: promote, harmful: rollback},
	{id: "F36", name: "1,200 series", script: `[{do: explode, count: 1200, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "1000 series"},
	{id: "F36", name: "a label value of 1 MiB", script: `[{do: explode, count: 1, bytes: 1048576, from: 0s}]`, healthy: badQuery, harmful: badQuery, says: "limit of bytes"},

	{id: "F39", name: "the server's clock is 10 minutes ahead", script: `[{do: skew, by: 10m}]`, healthy: skewed, harmful: skewed},
	{id: "F39", name: "the server's clock is 10 minutes behind", script: `[{do: skew, by: -10m}]`, healthy: skewed, harmful: skewed},
	{id: "F39", name: "the server's clock is 45 s behind", script: `[{do: skew, by: -45s}]`, healthy: skewed, harmful: skewed},
	{id: "F39", name: "the server's clock is 12 s ahead", script: `[{do: skew, by: 12s}]`, healthy: promote, harmful: rollback, warns: "clock_skew"},
	{id: "F39", name: "the server's clock is 12 s behind", script: `[{do: skew, by: -12s}]`, healthy: promote, harmful: rollback, warns: "clock_skew"},
	{id: "F39", name: "the server's clock jumps for two intervals", script: `[{do: skew, by: 10m, from: 60s, to: 75s}]`, healthy: partial, harmful: partial + orRollback},

	{id: "R3", name: "both arms are silent", script: `[{do: silent, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "R3", name: "both arms fall silent, for longer than they were heard", script: `[{do: silent, from: 3m}]`, healthy: outage},
	{id: "R3", name: "the canary falls silent, for longer than it was heard", script: `[{do: silent, arm: canary, from: 3m}]`, healthy: noCanary},
	{id: "R3", name: "the baseline falls silent, for longer than it was heard", script: `[{do: silent, arm: baseline, from: 3m}]`, healthy: noBaseline},
	{id: "R3", name: "the baseline was never heard of since the deployment", script: `[{do: silent, arm: baseline, from: 0s}]`, healthy: nothingHere, harmful: nothingHere},
	{id: "R3", name: "one of two pods of the canary falls silent", pods: 2, script: `[{do: silent, pod: checkout-1.5.0-1, from: 2m}]`, healthy: partial},
	{id: "R3", name: "two of three pods of the canary fall silent", pods: 3, script: `[{do: silent, pod: checkout-1.5.0-1, from: 2m}, {do: silent, pod: checkout-1.5.0-2, from: 2m}]`, healthy: partial},
	{id: "R3", name: "three of four pods of the baseline fall silent", script: `[{do: silent, pod: checkout-1.4.9-1, from: 2m}, {do: silent, pod: checkout-1.4.9-2, from: 2m}, {do: silent, pod: checkout-1.4.9-3, from: 2m}]`, healthy: partial},
	{id: "R3", name: "an outage of both arms that outlasts the data before it, and ends", script: `[{do: silent, from: 1m, to: 12m}]`, healthy: partial, harmful: partial + orRollback},
	{id: "R3", name: "an outage of the canary that outlasts the data before it, and ends", script: `[{do: silent, arm: canary, from: 1m, to: 12m}]`, healthy: partial, harmful: partial + orRollback},
	{id: "R3", name: "an outage of the baseline that outlasts the data before it, and ends", script: `[{do: silent, arm: baseline, from: 1m, to: 12m}]`, healthy: partial, harmful: partial + orRollback},

	{id: "R4", name: "the baseline was over its SLO before", script: `[{do: fail, share: 0.02, from: -3h}]`, healthy: promote, harmful: rollback, warns: "baseline_over_slo"},

	{id: "R3", name: "pushed: both arms are silent", push: true, script: `[{do: silent, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "R3", name: "pushed: both arms fall silent, for longer than they were heard", push: true, script: `[{do: silent, from: 3m}]`, healthy: outage},
	{id: "R3", name: "pushed: the baseline falls silent, for longer than it was heard", push: true, script: `[{do: silent, arm: baseline, from: 3m}]`, healthy: noBaseline},
	{id: "R3", name: "pushed: one of two pods of the canary falls silent", push: true, pods: 2, script: `[{do: silent, pod: checkout-1.5.0-1, from: 2m}]`, healthy: partial},
	{id: "R3", name: "pushed: an outage of both arms that outlasts the data before it, and ends", push: true, script: `[{do: silent, from: 1m, to: 12m}]`, healthy: partial, harmful: partial + orRollback},
	{id: "F34", name: "pushed: (i) nothing is ever heard of the canary", push: true, script: `[{do: silent, arm: canary}]`, healthy: noCanary, harmful: noCanary},
	{id: "F34", name: "pushed: (i) nothing is heard of the canary any more", push: true, script: `[{do: silent, arm: canary, from: 3m}]`, healthy: noCanary},
	{id: "F28", name: "pushed: metrics come 20 s late", push: true, script: `[{do: late, by: 20s, from: 0s}]`, healthy: same, harmful: same},
	{id: "F28", name: "pushed: metrics come two minutes late", push: true, script: `[{do: late, by: 2m, from: 0s}]`, healthy: outage, harmful: outage},
	{id: "F29", name: "pushed: the pipeline stands still for a while, then delivers", push: true, script: `[{do: late, by: 30s, from: 60s, to: 80s}]`, healthy: same, harmful: same},
	{id: "F29", name: "pushed: the canary's metrics come out of order", push: true, script: `[{do: late, by: 20s, arm: canary, from: 75s, to: 90s}]`, healthy: same, harmful: same},
	{id: "F1", name: "pushed: every metric comes twice", push: true, script: `[{do: repeat, from: 0s}]`, healthy: same, harmful: same},
	{id: "F32", name: "pushed: the versions are swapped, and select the arms", push: true, script: `[{do: relabel, arm: canary, label: service.version, value: 1.4.9, from: 0s}, {do: relabel, arm: baseline, label: service.version, value: 1.5.0, from: 0s}]`, healthy: shareIsOff, harmful: shareIsOff},
}
