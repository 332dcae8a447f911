package lab

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Zone is the attribute of the zone in which a pod runs.
const Zone = "cloud.availability_zone"

// Export plays the step that ends at the given instant and appends to metrics what
// the pods of the shop export then, as the semantic conventions say: cumulative
// histograms of request durations by status code, and what the process takes of memory
// and processors. While the scenario is silent the pods go on serving, and nothing is
// appended.
func (s *Shop) Export(metrics pmetric.Metrics, at time.Time) {
	s.play(at)
	if silent := s.scenario.silentFrom; silent > 0 && at.Sub(s.deployed) > silent {
		return
	}
	for _, svc := range s.services {
		for _, p := range svc.pods {
			resource := metrics.ResourceMetrics().AppendEmpty()
			s.describe(p, resource.Resource().Attributes())
			p.export(resource.ScopeMetrics().AppendEmpty(), at)
		}
	}
}

func (p *pod) export(scope pmetric.ScopeMetrics, at time.Time) {
	scope.Scope().SetName("lab")
	m := scope.Metrics().AppendEmpty()
	m.SetName("http.server.request.duration")
	m.SetUnit("s")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	point := func(status int64, count float64, took [15]float64) {
		if count == 0 {
			return // an SDK knows no series before its first event
		}
		d := h.DataPoints().AppendEmpty()
		d.SetStartTimestamp(pcommon.NewTimestampFromTime(p.started))
		d.SetTimestamp(pcommon.NewTimestampFromTime(at))
		d.Attributes().PutInt("http.response.status_code", status)
		d.SetCount(uint64(count))
		d.SetSum(count * medianDuration)
		d.ExplicitBounds().FromRaw(Bounds)
		counts := make([]uint64, len(took))
		for i, n := range took {
			counts[i] = uint64(n)
		}
		d.BucketCounts().FromRaw(counts)
	}
	point(200, p.ok, p.okTook)
	point(500, p.failed, p.failedTook)
	value := func(d pmetric.NumberDataPoint, v float64) {
		d.SetStartTimestamp(pcommon.NewTimestampFromTime(p.started))
		d.SetTimestamp(pcommon.NewTimestampFromTime(at))
		d.SetDoubleValue(v)
	}
	sum := func(name, unit string, monotonic bool, v float64) {
		m := scope.Metrics().AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		s := m.SetEmptySum()
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		s.SetIsMonotonic(monotonic)
		value(s.DataPoints().AppendEmpty(), v)
	}
	sum("process.cpu.time", "s", true, (p.ok+p.failed)*0.01+at.Sub(p.started).Seconds()*0.02)
	sum("process.memory.usage", "By", false, p.memory)
	utilization := scope.Metrics().AppendEmpty()
	utilization.SetName("process.cpu.utilization")
	utilization.SetUnit("1")
	value(utilization.SetEmptyGauge().DataPoints().AppendEmpty(), p.cpu)
}
