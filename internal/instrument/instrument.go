// Package instrument holds Assay's own metrics: the only list of their names.
//
// Names begin with assay_ and use base units. No id and no version of a watched
// release is a label, but for assay_verdict_info, which tells dashboards what the
// newest verdict of each service is and holds one series per service and
// environment. The package keeps its own registry and never the default one, on
// which libraries register things of theirs.
package instrument

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the recorders of one process.
type Metrics struct {
	registry *prometheus.Registry

	validations *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	open        prometheus.Gauge
	advance     prometheus.Histogram
	errors      *prometheus.CounterVec

	info   *prometheus.GaugeVec
	mu     sync.Mutex
	newest map[place]prometheus.Labels
}

type place struct{ environment, namespace, service string }

// New returns the metrics of a process of the given version.
func New(version string) *Metrics {
	m := &Metrics{
		registry:    prometheus.NewRegistry(),
		validations: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "assay_validations_total", Help: "Validations that ended, by final verdict and reason code."}, []string{"verdict", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "assay_time_to_verdict_seconds", Help: "Event time from the start of a deployment to its final verdict.",
			Buckets: []float64{30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}, NativeHistogramBucketFactor: 1.1,
		}, []string{"verdict"}),
		open:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "assay_validations_open", Help: "Validations without a final verdict."}),
		advance: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assay_advance_duration_seconds", Help: "Time that one advance of the line took.", NativeHistogramBucketFactor: 1.1}),
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "assay_errors_total", Help: "Errors that will be tried again, by part."}, []string{"part"}),
		info:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "assay_verdict_info", Help: "Always 1: the newest final verdict of each service."}, []string{"environment", "namespace", "service", "verdict", "reason"}),
		newest:  map[place]prometheus.Labels{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "assay_build_info", Help: "Always 1: the version of this process.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.validations, m.duration, m.open, m.advance, m.errors, m.info, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Gatherer is the registry, for tests and for collectors of other parts.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Register adds gauges and counters that other parts keep themselves.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Final records a final verdict.
func (m *Metrics) Final(environment, namespace, service, verdict, reason string, took time.Duration) {
	m.validations.WithLabelValues(verdict, reason).Inc()
	m.duration.WithLabelValues(verdict).Observe(took.Seconds())
	m.Newest(environment, namespace, service, verdict, reason)
}

// Newest sets the newest verdict of a service.
func (m *Metrics) Newest(environment, namespace, service, verdict, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := place{environment, namespace, service}
	if old, ok := m.newest[p]; ok {
		m.info.Delete(old)
	}
	labels := prometheus.Labels{"environment": environment, "namespace": namespace, "service": service, "verdict": verdict, "reason": reason}
	m.newest[p] = labels
	m.info.With(labels).Set(1)
}

// Advanced records one advance of the line and how many validations are open.
func (m *Metrics) Advanced(took time.Duration, open int) {
	m.advance.Observe(took.Seconds())
	m.open.Set(float64(open))
}

// Failed records an error of a part that will be tried again.
func (m *Metrics) Failed(part string) { m.errors.WithLabelValues(part).Inc() }
