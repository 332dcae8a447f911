package instrument

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is what a metric counts like.
type Kind string

const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// A Metric is one row of the list of metrics.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string
}

var (
	validationsTotal = Metric{"assay_validations_total", Counter, []string{"verdict", "reason"}, "Validations that ended, by final verdict and reason code."}
	timeToVerdict    = Metric{"assay_time_to_verdict_seconds", Histogram, []string{"verdict"}, "Time from the start of a deployment to its final verdict."}
	validationsOpen  = Metric{"assay_validations_open", Gauge, nil, "Validations without a final verdict."}
	verdictInfo      = Metric{"assay_verdict_info", Gauge, []string{"environment", "namespace", "service", "verdict", "reason"}, "Always 1: the newest final verdict of each service."}
	verdictTime      = Metric{"assay_verdict_timestamp_seconds", Gauge, []string{"environment", "namespace", "service"}, "When the newest final verdict of each service was issued."}

	advanceDuration = Metric{"assay_advance_duration_seconds", Histogram, nil, "Time that one advance of the line took."}
	lastAdvance     = Metric{"assay_line_last_advance_timestamp_seconds", Gauge, nil, "When the line was last brought to the present without an error."}
	errorsTotal     = Metric{"assay_errors_total", Counter, []string{"part"}, "Errors that will be tried again, by part."}
	buildInfo       = Metric{"assay_build_info", Gauge, []string{"version"}, "Always 1: the version of this process."}

	eventsTotal      = Metric{"assay_events_total", Counter, []string{"via", "result"}, "Deployment events, by the way they came and what became of them."}
	dlqTotal         = Metric{"assay_dlq_events_total", Counter, []string{"reason"}, "Events that intake put among the dead letters, by reason."}
	dlqKept          = Metric{"assay_dlq_events_kept", Gauge, []string{"reason"}, "Dead letters that the store keeps, by reason."}
	intakeState      = Metric{"assay_intake_state", Gauge, []string{"state"}, "1 for the state in which intake from Kafka is, 0 for the others."}
	intakeLastFetch  = Metric{"assay_intake_last_fetch_timestamp_seconds", Gauge, nil, "When Kafka last answered a fetch of any partition, 0 if never."}
	consumerLag      = Metric{"assay_consumer_lag_records", Gauge, []string{"topic", "partition"}, "Records of an assigned partition that were not read yet."}
	consumerStopped  = Metric{"assay_consumer_partition_stopped", Gauge, []string{"topic", "partition"}, "1 where a partition is not read until an operator says where to go on."}
	consumerGaps     = Metric{"assay_consumer_lost_records_total", Counter, nil, "Offsets that were gone from Kafka before they could be read."}
	consumerFenced   = Metric{"assay_consumer_fenced_batches_total", Counter, nil, "Batches discarded because their partition had a newer owner."}
	consumerRejoined = Metric{"assay_consumer_rejoins_total", Counter, nil, "Times the reading of the topic was begun anew because nothing came."}

	outboxPending = Metric{"assay_outbox_pending", Gauge, []string{"sink"}, "Messages that wait for their sink."}
	outboxOldest  = Metric{"assay_outbox_oldest_timestamp_seconds", Gauge, []string{"sink"}, "When the message was written that waits longest for its sink; absent where none waits."}
	storeUp       = Metric{"assay_store_up", Gauge, nil, "1 if the store answered this scrape, 0 if it did not."}

	backendWanted = Metric{"assay_backend_requests_unmerged_total", Counter, nil, "Questions that the validations asked of the sources, before they were merged."}
	backendIssued = Metric{"assay_backend_requests_total", Counter, nil, "Questions that were put to the sources after merging."}
	backendShared = Metric{"assay_backend_requests_shared_total", Counter, nil, "Questions about the time before a deployment that were answered already, or were being asked, and not put to a source again."}

	backendDuration = Metric{"assay_backend_request_duration_seconds", Histogram, []string{"backend", "op", "code"}, "Time that a source took for a question, by what was asked and what became of it: ok, unavailable, rejected or malformed."}
	backendRefused  = Metric{"assay_backend_requests_refused_total", Counter, []string{"backend"}, "Questions that were not put to a source because it is to be left alone for a while. They are asked later."}
	backendUnderWay = Metric{"assay_backend_in_flight", Gauge, []string{"backend"}, "Questions that a source is answering."}
	backendWaiting  = Metric{"assay_backend_waiting", Gauge, []string{"backend"}, "Questions that wait until a source may be asked."}
	backendLimit    = Metric{"assay_backend_limit", Gauge, []string{"backend"}, "How many questions a source may be asked at once now. Failures halve it, answers raise it."}
	backendOpen     = Metric{"assay_backend_breaker_open", Gauge, []string{"backend"}, "1 while a source has failed so often in a row that it is only probed, else 0."}

	otlpRequests  = Metric{"assay_otlp_requests_total", Counter, nil, "OTLP export requests received."}
	otlpAccepted  = Metric{"assay_otlp_points_total", Counter, nil, "OTLP data points that were kept."}
	otlpDropped   = Metric{"assay_otlp_dropped_points_total", Counter, []string{"reason"}, "OTLP data points that were not kept, by reason."}
	otlpItems     = Metric{"assay_otlp_items_total", Counter, []string{"signal"}, "OTLP spans and log records that were counted."}
	otlpLost      = Metric{"assay_otlp_dropped_items_total", Counter, []string{"signal", "reason"}, "OTLP spans and log records that were not counted, by reason."}
	otlpHeld      = Metric{"assay_otlp_held_bytes", Gauge, []string{"signal"}, "Memory that sampled traces, and texts and counts of log lines, take."}
	otlpServices  = Metric{"assay_otlp_services", Gauge, nil, "Services in the windows of the OTLP receiver."}
	otlpResources = Metric{"assay_otlp_resources", Gauge, nil, "Resources (pods, processes) in the windows of the OTLP receiver."}
	otlpSeries    = Metric{"assay_otlp_series", Gauge, nil, "Time series in the windows of the OTLP receiver."}

	otlpTopicRecords = Metric{"assay_otlp_topic_records_total", Counter, []string{"topic", "result"}, "Records of the OTLP topics in Kafka, by what became of them: taken, empty, refused, bad_batch (whole batches), or lost to the broker's retention."}
	otlpTopicLag     = Metric{"assay_otlp_topic_lag_records", Gauge, []string{"topic"}, "Records of an OTLP topic that are written and not yet read."}
)

// catalogue is the order of docs/metrics.md.
var catalogue = []Metric{
	validationsTotal, timeToVerdict, validationsOpen, verdictInfo, verdictTime,
	advanceDuration, lastAdvance, errorsTotal, buildInfo,
	eventsTotal, dlqTotal, dlqKept, intakeState, intakeLastFetch, consumerLag, consumerStopped, consumerGaps, consumerFenced, consumerRejoined,
	outboxPending, outboxOldest, storeUp,
	backendWanted, backendIssued, backendShared, backendDuration, backendRefused, backendUnderWay, backendWaiting, backendLimit, backendOpen,
	otlpRequests, otlpAccepted, otlpDropped, otlpItems, otlpLost, otlpHeld, otlpServices, otlpResources, otlpSeries, otlpTopicRecords, otlpTopicLag,
}

// Catalogue returns every metric of Assay's own. What the Go runtime and the
// process say of themselves (go_, process_) is served besides.
func Catalogue() []Metric { return slices.Clone(catalogue) }

// desc is what the client library calls the row.
func (m Metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) }

// value is the metric at one instant.
func (m Metric) value(v float64, labels ...string) prometheus.Metric {
	kind := prometheus.GaugeValue
	if m.Kind == Counter {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(m.desc(), kind, v, labels...)
}

func (m Metric) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

func (m Metric) gauge() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

// histogram has buckets of its own beside the native ones, for servers that are
// not told to take those.
func (m Metric) histogram(buckets ...float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: m.Name, Help: m.Help, Buckets: buckets, NativeHistogramBucketFactor: 1.1,
	}, m.Labels)
}
