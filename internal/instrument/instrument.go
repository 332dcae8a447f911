// Package instrument holds Assay's own metrics: the only list of their names
// (catalogue.go), from which docs/metrics.md is printed.
//
// Names begin with assay_ and use base units. No id and no version of a watched
// release is a label; assay_verdict_info and assay_verdict_timestamp_seconds tell
// dashboards what the newest verdict of each service is and hold one series per
// service and environment. Some counts are made here, as things happen; what other
// parts count themselves is read from them when somebody asks (parts.go) and kept
// nowhere twice. The package keeps its own registry and never the default one, on
// which libraries register things of theirs. It imports no other part: cmd
// translates.
package instrument

//go:generate go test -count=1 -run=^TestMetricsPage$ . -update

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the recorders of one process. They may be used concurrently.
type Metrics struct {
	registry *prometheus.Registry

	validations *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	open        prometheus.Gauge
	advance     prometheus.Observer
	advanced    prometheus.Gauge
	errors      *prometheus.CounterVec
	asked       *prometheus.HistogramVec

	info   *prometheus.GaugeVec
	issued *prometheus.GaugeVec
	mu     sync.Mutex
	newest map[place]prometheus.Labels

	posted posted
}

type place struct{ environment, namespace, service string }

// A Verdict is what the metrics keep of a final verdict.
type Verdict struct {
	Environment, Namespace, Service string

	Word, Reason string
	IssuedAt     time.Time
	Took         time.Duration // since the start of the deployment; 0: it was never compared
}

// New returns the metrics of a process of the given version.
func New(version string) *Metrics {
	advance := advanceDuration.histogram(.001, .003, .01, .03, .1, .3, 1, 3, 10)
	open, advanced, build := validationsOpen.gauge(), lastAdvance.gauge(), buildInfo.gauge()
	m := &Metrics{
		registry:    prometheus.NewRegistry(),
		validations: validationsTotal.counter(),
		duration:    timeToVerdict.histogram(30, 60, 120, 300, 600, 1200, 1800, 3600, 7200),
		open:        open.WithLabelValues(),
		advance:     advance.WithLabelValues(),
		advanced:    advanced.WithLabelValues(),
		errors:      errorsTotal.counter(),
		asked:       backendDuration.histogram(.003, .01, .03, .1, .3, 1, 3, 10, 30),
		info:        verdictInfo.gauge(),
		issued:      verdictTime.gauge(),
		newest:      map[place]prometheus.Labels{},
		posted:      posted{results: map[string]int64{}},
	}
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.validations, m.duration, open, advance, advanced, m.errors, m.asked, m.info, m.issued, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Gatherer is the registry, for tests and for collectors of other parts.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Expect makes a reason code of a verdict count from 0, so that its first time is
// an increase.
func (m *Metrics) Expect(word, reason string) {
	m.validations.WithLabelValues(word, reason)
	m.duration.WithLabelValues(word)
}

// ExpectErrors does the same for the parts whose errors are counted.
func (m *Metrics) ExpectErrors(parts ...string) {
	for _, part := range parts {
		m.errors.WithLabelValues(part)
	}
}

// ExpectAsked does the same for what may become of one kind of question to a source.
func (m *Metrics) ExpectAsked(backend, op string, codes ...string) {
	for _, code := range codes {
		m.asked.WithLabelValues(backend, op, code)
	}
}

// Final records a final verdict.
func (m *Metrics) Final(v Verdict) {
	m.validations.WithLabelValues(v.Word, v.Reason).Inc()
	if v.Took > 0 { // a release that was never compared has no time to its verdict
		m.duration.WithLabelValues(v.Word).Observe(v.Took.Seconds())
	}
	m.Newest(v)
}

// Newest sets the newest verdict of a service.
func (m *Metrics) Newest(v Verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := place{v.Environment, v.Namespace, v.Service}
	if old, ok := m.newest[p]; ok {
		m.info.Delete(old)
	}
	labels := prometheus.Labels{"environment": v.Environment, "namespace": v.Namespace, "service": v.Service, "verdict": v.Word, "reason": v.Reason}
	m.newest[p] = labels
	m.info.With(labels).Set(1)
	m.issued.WithLabelValues(v.Environment, v.Namespace, v.Service).Set(seconds(v.IssuedAt))
}

// Advanced records one advance of the line that ended at now, how long it took and
// how many validations are open. It is told of advances that failed too.
func (m *Metrics) Advanced(now time.Time, took time.Duration, open int, err error) {
	m.advance.Observe(took.Seconds())
	m.open.Set(float64(open))
	if err != nil {
		m.Failed("line")
		return
	}
	m.advanced.Set(seconds(now))
}

// Asked records a question that was put to a source: what was asked, what became of
// it, and how long that took.
func (m *Metrics) Asked(backend, op, code string, took time.Duration) {
	m.asked.WithLabelValues(backend, op, code).Observe(took.Seconds())
}

// Failed records an error of a part that will be tried again.
func (m *Metrics) Failed(part string) { m.errors.WithLabelValues(part).Inc() }

// seconds is an instant as metrics write it, 0 if it never was.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
