package lab

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
)

// Export plays the step that ends at the given instant and appends to metrics what
// the pods of the shop export then: cumulative request histograms by status code,
// as the semantic conventions for HTTP servers say. While the scenario is silent
// the pods go on serving, and nothing is appended.
func (s *Shop) Export(metrics pmetric.Metrics, at time.Time) {
	s.play(at)
	if silent := s.scenario.silentFrom; silent > 0 && at.Sub(s.deployed) > silent {
		return
	}
	for _, svc := range s.services {
		for _, p := range svc.pods {
			resource := metrics.ResourceMetrics().AppendEmpty()
			attributes := resource.Resource().Attributes()
			attributes.PutStr(analysis.AttrService, svc.name)
			attributes.PutStr(analysis.AttrVersion, p.version)
			attributes.PutStr(analysis.AttrEnvironment, s.scenario.Environment())
			attributes.PutStr(analysis.AttrPod, p.name)
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
	point := func(status int64, count float64) {
		if count == 0 {
			return // an SDK knows no series before its first event
		}
		d := h.DataPoints().AppendEmpty()
		d.SetStartTimestamp(pcommon.NewTimestampFromTime(p.started))
		d.SetTimestamp(pcommon.NewTimestampFromTime(at))
		d.Attributes().PutInt("http.response.status_code", status)
		d.SetCount(uint64(count))
		d.SetSum(count * 0.05)
	}
	point(200, p.ok)
	point(500, p.failed)
	cpu := scope.Metrics().AppendEmpty()
	cpu.SetName("process.cpu.time")
	cpu.SetUnit("s")
	sum := cpu.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.SetIsMonotonic(true)
	d := sum.DataPoints().AppendEmpty()
	d.SetStartTimestamp(pcommon.NewTimestampFromTime(p.started))
	d.SetTimestamp(pcommon.NewTimestampFromTime(at))
	d.SetDoubleValue((p.ok+p.failed)*0.01 + at.Sub(p.started).Seconds()*0.02)
}
