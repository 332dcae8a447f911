package analysis

// Code is the stable lower_snake word for a reason. Receivers may depend on it.
type Code string

// The reason codes. Their one table, with a line for people and the kind of
// answer each comes with, is verdicts.Reasons.
const (
	AllSafe          Code = "all_safe"
	HarmShown        Code = "harm_shown"
	CanaryNotServing Code = "canary_not_serving"

	Collecting    Code = "collecting"            // nothing is wrong, more evidence is needed
	MinBake       Code = "min_bake"              // shown safe, the bake is not over
	HarmSuspected Code = "harm_suspected"        // R has reached 1/alpha_hold, not the bar
	TooLittleData Code = "insufficient_evidence" // the deadline came first
	Underpowered  Code = "underpowered"          // traffic cannot decide any margin by the deadline
	LateBreak     Code = "late_break"            // shown safe over the run, but the newest counts lie beyond the margin
	TooFewEvents  Code = "too_few_events"        // R is at the bar, minEvents or the worst-fold rule is not met

	IdentityUnproven Code = "identity_unproven"
	IdentityMismatch Code = "identity_mismatch"
	SelectorOverlap  Code = "selector_overlap"

	TelemetryOutage          Code = "telemetry_outage"
	CanaryTelemetryMissing   Code = "canary_telemetry_missing"
	BaselineTelemetryMissing Code = "baseline_telemetry_missing"
	TelemetryPartial         Code = "telemetry_partial"
	TelemetryStale           Code = "telemetry_stale"
	TooFewSamples            Code = "too_few_samples"
	NothingSeen              Code = "nothing_seen" // nothing matches the event; the reason says what was seen
	SourceUnavailable        Code = "source_unavailable"
	SourceRejected           Code = "source_rejected"
	MisconfiguredQuery       Code = "misconfigured_query"
	NoConcurrentBaseline     Code = "no_concurrent_baseline"
	NoBaseline               Code = "no_baseline"
	NoObjectives             Code = "no_objectives"
	NoTraffic                Code = "no_traffic"
	TrafficShareOff          Code = "traffic_share_off"
	EnvironmentDegraded      Code = "environment_degraded"
	BaselineOverSLO          Code = "baseline_over_slo"
	ClockSkew                Code = "clock_skew"
	NeedsPods                Code = "needs_pods"           // pods of one version differ too much for so few of them
	WeakEvidence             Code = "weak_evidence"        // a gauge of shares tells of no number of requests
	BeforeAfterOnly          Code = "before_after_only"    // compared with the time before only, which promotes nothing by itself
	NeedsHistory             Code = "needs_history"        // nothing tells how a level varies when nothing is deployed
	NeedsFreshBaseline       Code = "needs_fresh_baseline" // a leak is told from a cache that fills only by baseline pods of the same age
	Localised                Code = "localised"            // harm is shown, but rests on one stratum
	LayoutChanged            Code = "layout_changed"       // the buckets of the histograms are not those of the plan
	NotTestable              Code = "not_testable"         // a quantile that must be shown safe cannot be told from what was observed before the deployment
	NewErrorTemplate         Code = "new_error_template"   // a new line of ERROR or above, and the severity rate is not shown within its margin
	TailSampled              Code = "tail_sampled"         // spans that were kept for what they show tell no rates
	ExemplarUnavailable      Code = "exemplar_unavailable" // a trace that a finding rests on could not be had in time
	GateClosed               Code = "gate_closed"
	AnalyzerFault            Code = "analyzer_fault"
	StoreFull                Code = "store_full"
	Uncalibrated             Code = "uncalibrated"

	Superseded          Code = "superseded"
	Expired             Code = "expired"
	Cancelled           Code = "cancelled"
	Rejected            Code = "rejected"
	UnsupportedSchema   Code = "unsupported_schema"
	NotSeen             Code = "not_seen"
	AmbiguousDeployment Code = "ambiguous_deployment"
	NameTheDeployment   Code = "name_the_deployment"
	Planning            Code = "planning" // accepted; history is being fetched
)
