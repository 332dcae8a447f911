package liar

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
)

// Names of the metrics, as Prometheus' OTLP receiver writes those of the shop.
const (
	Requests   = "http_server_request_duration_seconds_count"
	StatusCode = "http_response_status_code"
	starts     = "process_start_time_seconds"
	cpu        = "process_cpu_time_seconds_total"
	buckets    = "http_server_request_duration_seconds_bucket"
	metricName = "__name__"
)

// Track is a label that says what plays which part, whatever version it runs, as
// deploy tools set it: canary or stable.
const (
	Track       = "track"
	TrackCanary = "canary"
	TrackStable = "stable"
)

// A Sample is one reading, at a Unix time in milliseconds.
type Sample struct {
	T int64
	V float64
}

// A Series is one label combination. Arm and Pod say whose it truly is, whatever
// its labels say.
type Series struct {
	Labels   map[string]string
	Arm, Pod string
	Samples  []Sample // ascending
}

func (s *Series) metric() string { return s.Labels[metricName] }

// Telemetry is all that a shop exported: as pushes, and as the series of a server
// that has scraped every pod at its own moment. It is not changed any more, so that
// many servers may share it.
type Telemetry struct {
	Deployed    time.Time
	Environment string
	Pushes      []Push
	Series      []Series
}

// A Push is what the shop exports at one instant.
type Push struct {
	At      time.Time
	Metrics pmetric.Metrics
}

// Record plays a scenario from the beginning of its history until some time after
// its deployment.
func Record(scenario lab.Scenario, seed uint64, deployed time.Time, until time.Duration) *Telemetry {
	shop := lab.NewShop(scenario, seed, deployed)
	t := &Telemetry{Deployed: deployed, Environment: scenario.Environment()}
	scraped := scrapes{index: map[string]int{}}
	for at := shop.Start().Add(lab.Step); !at.After(deployed.Add(until)); at = at.Add(lab.Step) {
		m := pmetric.NewMetrics()
		shop.Export(m, at)
		m.MarkReadOnly()
		t.Pushes = append(t.Pushes, Push{at, m})
		scraped.add(m)
	}
	t.Series = scraped.series
	return t
}

// scrapes gathers series by their labels.
type scrapes struct {
	series []Series
	index  map[string]int
}

func (s *scrapes) add(m pmetric.Metrics) {
	for _, resource := range m.ResourceMetrics().All() {
		target := targetOf(resource.Resource().Attributes())
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				switch metric.Type() {
				case pmetric.MetricTypeHistogram:
					for _, p := range metric.Histogram().DataPoints().All() {
						code, _ := p.Attributes().Get("http.response.status_code")
						s.sample(target, Requests, map[string]string{StatusCode: code.AsString()}, p.Timestamp(), float64(p.Count()))
						s.buckets(target, code.AsString(), p)
					}
				case pmetric.MetricTypeSum:
					for _, p := range metric.Sum().DataPoints().All() {
						name := cpu
						if !metric.Sum().IsMonotonic() {
							name = "process_memory_usage_bytes"
						} else {
							s.sample(target, starts, nil, p.Timestamp(), float64(p.StartTimestamp().AsTime().UnixMilli())/1000)
						}
						s.sample(target, name, nil, p.Timestamp(), p.DoubleValue())
					}
				case pmetric.MetricTypeGauge:
					for _, p := range metric.Gauge().DataPoints().All() {
						s.sample(target, "process_cpu_utilization_ratio", nil, p.Timestamp(), p.DoubleValue())
					}
				}
			}
		}
	}
}

// buckets adds a histogram as Prometheus stores a classic one: each bucket holds those
// below it too.
func (s *scrapes) buckets(target target, code string, p pmetric.HistogramDataPoint) {
	below := 0.0
	for i, n := range p.BucketCounts().All() {
		below += float64(n)
		le := "+Inf"
		if i < p.ExplicitBounds().Len() {
			le = strconv.FormatFloat(p.ExplicitBounds().At(i), 'g', -1, 64)
		}
		s.sample(target, buckets, map[string]string{StatusCode: code, "le": le}, p.Timestamp(), below)
	}
}

// target is who is scraped at once.
type target struct {
	labels   map[string]string
	arm, pod string
	offset   int64 // of its scrapes within a step, in milliseconds
}

func targetOf(attributes pcommon.Map) target {
	get := func(name string) string { v, _ := attributes.Get(name); return v.AsString() }
	pod, version := get(analysis.AttrPod), get(analysis.AttrVersion)
	t := target{pod: pod, labels: map[string]string{
		"service_name": get(analysis.AttrService), "service_version": version, "deployment_environment_name": get(analysis.AttrEnvironment),
		"pod": pod, "instance": pod + ":8080", "job": "shop", Track: TrackStable,
	}}
	t.arm = armOf(get(analysis.AttrService), version)
	if t.arm == analysis.Canary.String() {
		t.labels[Track] = TrackCanary
	}
	h := fnv.New32a()
	h.Write([]byte(pod))
	t.offset = int64(h.Sum32()) % lab.Step.Milliseconds()
	return t
}

// armOf returns the arm that a release plays, "" for services that are not deployed.
func armOf(service, version string) string {
	switch {
	case service != lab.Service:
		return ""
	case version == lab.CanaryVersion:
		return analysis.Canary.String()
	}
	return analysis.Baseline.String()
}

func (s *scrapes) sample(t target, metric string, further map[string]string, at pcommon.Timestamp, value float64) {
	key := fmt.Sprint(t.pod, metric, further)
	i, known := s.index[key]
	if !known {
		labels := maps.Clone(t.labels)
		labels[metricName] = metric
		maps.Copy(labels, further)
		i = len(s.series)
		s.index[key] = i
		s.series = append(s.series, Series{Labels: labels, Arm: t.arm, Pod: t.pod})
	}
	s.series[i].Samples = append(s.series[i].Samples, Sample{at.AsTime().UnixMilli() + t.offset, value})
}

// since is how long after the deployment a sample was taken.
func (t *Telemetry) since(s Sample) time.Duration {
	return time.Duration(s.T-t.Deployed.UnixMilli()) * time.Millisecond
}

// clone returns series that may be changed; samples are shared until they are.
func clone(all []Series) []Series {
	out := slices.Clone(all)
	for i := range out {
		out[i].Labels = maps.Clone(out[i].Labels)
	}
	return out
}
