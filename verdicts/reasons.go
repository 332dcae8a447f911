package verdicts

import (
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A Kind is a kind of answer that a reason code can come with.
type Kind uint8

const (
	AsPending Kind = 1 << iota
	AsHold
	AsRollback
	AsPromote
	AsWarning // in a finding, a check or the warnings: it changes no answer by itself

	waiting = AsPending | AsHold
)

// Has reports whether k includes all of other.
func (k Kind) Has(other Kind) bool { return k&other == other }

func (k Kind) String() string {
	var names []string
	for i, name := range []string{"pending", "hold", "rollback", "promote", "warning"} {
		if k>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// As returns the kind of answer that a verdict's word is.
func (w Word) As() Kind {
	switch w {
	case Promote:
		return AsPromote
	case Rollback:
		return AsRollback
	case Hold:
		return AsHold
	}
	return AsPending
}

// A Reason explains a code.
type Reason struct {
	Code analysis.Code
	Line string // what it means, where the look has nothing more exact to say
	With Kind   // the answers it comes with
	Do   string // what a user can do about it
}

// Reasons is the one table of reason codes. docs/reason-codes.md is printed from it.
var Reasons = []Reason{
	{
		analysis.AllSafe, "every critical objective is shown safe and the evidence is complete", AsPromote,
		"Promote.",
	},
	{
		analysis.HarmShown, "the canary is shown to be worse than its tolerance allows", AsRollback,
		"Roll back. `assay explain` names the objective; the bundle holds the evidence.",
	},
	{
		analysis.CanaryNotServing, "the canary's pods live but serve nothing of the traffic that they should", AsRollback,
		"Roll back. Look at readiness, at the port and at the routes of the new version.",
	},

	{
		analysis.Collecting, "nothing is wrong, more evidence is needed", AsPending,
		"Wait. `minutesToPromote` says how long; more weight on the canary makes it shorter.",
	},
	{
		analysis.MinBake, "shown safe, the bake is not over", waiting,
		"Wait. As a final hold: the deadline is too near for `window.minBake`; make it longer.",
	},
	{
		analysis.HarmSuspected, "there are signs of harm, not enough to roll back", waiting,
		"Do not increase the weight; reduce it if errors are dear. More evidence decides either way.",
	},
	{
		analysis.TooLittleData, "the deadline came before the evidence was enough", AsHold,
		"Give it a longer deadline, more weight or a wider margin; `assay plan` shows what each would buy.",
	},
	{
		analysis.Underpowered, "the traffic cannot decide any margin by the deadline", waiting | AsWarning,
		"Give the canary more weight, the window a longer deadline or the objective a wider margin; `assay plan` shows the figures.",
	},
	{
		analysis.LateBreak, "safe over the whole run, but the canary's newest counts lie beyond the margin", waiting,
		"Do not add weight; look at what changed in the last minutes.",
	},
	{
		analysis.TooFewEvents, "the evidence of harm rests on too few events or on a single fold", waiting,
		"Reduce the weight and wait: if it is harm, the next folds will show it.",
	},

	{
		analysis.IdentityUnproven, "telemetry does not show yet that both arms run what the event says", waiting,
		"Send `service.version` (or the image digest) with the telemetry, or name a cohort that selects on it.",
	},
	{
		analysis.IdentityMismatch, "telemetry shows another version than the event says", waiting,
		"Look whether the old build still runs, the labels are swapped or the event names the wrong version.",
	},
	{
		analysis.SelectorOverlap, "canary and baseline are the same pods", waiting,
		"Make the cohorts disjoint: comparing a release with itself always looks safe.",
	},

	{
		analysis.TelemetryOutage, "nothing is heard of either arm", waiting,
		"Look at the telemetry pipeline: collector, scrape targets, the data source. Nothing can be said of the release.",
	},
	{
		analysis.CanaryTelemetryMissing, "nothing at all is heard of the canary", waiting,
		"Look whether the canary's pods run and whether they are scraped or export. Silence alone is no harm.",
	},
	{
		analysis.BaselineTelemetryMissing, "nothing is heard of the baseline", waiting,
		"Look whether the baseline still runs and is scraped; there is nothing to compare with.",
	},
	{
		analysis.TelemetryPartial, "part of the telemetry that was expected did not come", waiting | AsWarning,
		"Look for pods that are not scraped and for warnings of the data source; coverage names the arm.",
	},
	{
		analysis.TelemetryStale, "the newest telemetry is too old", waiting,
		"Look at the lag of the telemetry pipeline and of the data source.",
	},
	{
		analysis.TooFewSamples, "too few samples have come yet to tell whether telemetry is complete", waiting,
		"Wait: a few folds are enough. If it stays, the pods live too short to be measured.",
	},
	{
		analysis.NothingSeen, "no telemetry matches what the event says", waiting,
		"Compare the event with what was seen: service, version, environment and namespace must be spelled alike.",
	},
	{
		analysis.SourceUnavailable, "a telemetry source does not answer", waiting | AsWarning,
		"Wait or mend the source. The folds are asked again, nothing is lost.",
	},
	{
		analysis.SourceRejected, "a telemetry source refuses the query", waiting,
		"Look at the credentials and the query; `assay check` asks the live source.",
	},
	{
		analysis.MisconfiguredQuery, "a query cannot mean what the objective needs", waiting,
		"Correct the objective that the reason names; `assay check` finds it beforehand.",
	},
	{
		analysis.NoConcurrentBaseline, "the baseline version has sent nothing since the start", waiting,
		"Keep the old version running beside the canary, or state what to compare with.",
	},
	{
		analysis.NoBaseline, "it is not known which version to compare with", waiting,
		"Name the baseline version in the event.",
	},
	{
		analysis.NoObjectives, "there is nothing to judge by", waiting,
		"Add an SLO or an objective for the service; three lines are enough.",
	},
	{
		analysis.NoTraffic, "too little traffic reaches the canary to judge it", waiting,
		"Send traffic to the canary, or declare its share so that silence can be told from harm.",
	},
	{
		analysis.TrafficShareOff, "the canary's share of traffic is not the declared one", waiting | AsWarning,
		"Look at the router. Blocks only beyond twice or under half of the declared share.",
	},
	{
		analysis.EnvironmentDegraded, "canary and baseline suffer alike, it may not be the release", waiting,
		"Mend the environment first. A release cannot be judged during an incident that hits both arms.",
	},
	{
		analysis.BaselineOverSLO, "the baseline missed its SLO already before the deployment", AsWarning,
		"The canary is judged against the baseline only. The SLO or the service needs attention of its own.",
	},
	{
		analysis.ClockSkew, "the clocks of source and Assay differ too much", waiting | AsWarning,
		"Mend the clock (NTP) of the host that the reason names.",
	},
	{
		analysis.LayoutChanged, "the histograms' buckets are not those of the time before the deployment", waiting,
		"Keep the bucket layout over a release, or deploy the new layout to both versions first.",
	},
	{
		analysis.NotTestable, "a quantile that must be shown safe cannot be judged from what was observed before the deployment", waiting | AsWarning,
		"Wait for more history, use buckets around the quantile (native or exponential histograms), or name other quantiles.",
	},
	{
		analysis.NeedsPods, "pods of one version differ too much for so few of them", waiting | AsWarning,
		"Run as many canary pods as the reason names.",
	},
	{
		analysis.WeakEvidence, "a gauge of shares says nothing of how many requests it rests on", waiting | AsWarning,
		"Give the counters behind the gauge, or acceptWeak: true where there are none.",
	},
	{
		analysis.BeforeAfterOnly, "the canary is compared with the time before only", waiting | AsWarning,
		"Keep a baseline running beside the canary, or say beforeAfter: {promote: true}: then whatever else changed meanwhile counts as the release's.",
	},
	{
		analysis.NeedsHistory, "there is no history of how the level varies when nothing is deployed", waiting | AsWarning,
		"Wait for history: at least 30 samples in a row of two pods before the deployment; 2 hours are better.",
	},
	{
		analysis.NeedsFreshBaseline, "the baseline's pods are older than the canary's: a cache that fills would look like a leak", waiting | AsWarning,
		"Start a baseline group together with the canary, of the same size.",
	},
	{
		analysis.Localised, "harm is shown, but rests on a single zone, node pool or operation", waiting,
		"Look at what the reason names: a bad node or zone looks like this, and so does a defect that only one operation meets.",
	},
	{
		analysis.NewErrorTemplate, "the canary writes new lines of ERROR or above, and the rate of requests with such lines is not shown within its margin", waiting,
		"Look at the line that the reason names. If it is meant, declare it (`expect` in the objective, or with the deployment) or mute it; more traffic shows the rate, too.",
	},
	{
		analysis.TailSampled, "spans that were kept for what they show tell no rates", waiting | AsWarning,
		"Send all spans, or sample them at the head, on the way to Assay; tail sampling belongs behind it.",
	},
	{
		analysis.ExemplarUnavailable, "a trace that a finding points at could not be had in time", AsWarning,
		"Nothing: no verdict rests on it. Look whether the trace store answers and keeps traces long enough.",
	},
	{
		analysis.GateClosed, "a gate is closed", waiting,
		"Open the gate, for instance by the approval that it asks for, or wait for the end of the freeze.",
	},
	{
		analysis.AnalyzerFault, "Assay itself failed at judging", waiting,
		"It says nothing of the release. Report it with the bundle and the log of that minute.",
	},
	{
		analysis.StoreFull, "Assay's disk is full", waiting,
		"Make space; it resumes by itself.",
	},
	{
		analysis.Uncalibrated, "there is too little history to know how the baseline varies", AsWarning,
		"Nothing: evidence is weighed more carefully until there are 2 hours of history and 2 pods.",
	},

	{
		analysis.Superseded, "a newer deployment of the service has started", AsHold,
		"Ask for the newer deployment.",
	},
	{
		analysis.Expired, "the deployment is too old to be judged live", AsHold,
		"Ask for it with `mode: retrospective`.",
	},
	{
		analysis.Cancelled, "the deployment was aborted or the validation was ended by a person", AsHold,
		"Nothing is asked of you.",
	},
	{
		analysis.Rejected, "the event was refused", AsHold,
		"Correct what the reason names and send the event again.",
	},
	{
		analysis.UnsupportedSchema, "the event is of a newer schema than this Assay knows", AsHold,
		"Upgrade Assay, then `assay dlq replay`.",
	},
	{
		analysis.NotSeen, "no event of this deployment has come yet", AsPending,
		"Wait; if it stays, look whether the deploy tool sends its events and spells the id alike.",
	},
	{
		analysis.AmbiguousDeployment, "the key fits more than one deployment", AsPending,
		"Ask with the validation id, or with environment, namespace, service and version.",
	},
	{
		analysis.NameTheDeployment, "this version was promoted before and may have been deployed again since", AsPending,
		"Ask with the deployment id, or with `?after=` the start of the deployment.",
	},
	{
		analysis.Planning, "accepted; the history of the baseline is being read", AsPending,
		"Wait; it takes 2 minutes at most.",
	},
}

// ReasonOf returns the row of a code and whether there is one.
func ReasonOf(code analysis.Code) (Reason, bool) {
	for _, r := range Reasons {
		if r.Code == code {
			return r, true
		}
	}
	return Reason{}, false
}

// lineOf is what a code says for itself.
func lineOf(code analysis.Code) string {
	if r, ok := ReasonOf(code); ok {
		return r.Line
	}
	return string(code)
}
