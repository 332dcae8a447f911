package otlp_test

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
)

// The suite through every door, in both temporalities. There is no Unavailable: a
// source in the same process always answers.
func TestConformance(t *testing.T) {
	for _, door := range []struct {
		name string
		send sender
	}{{"grpc", overGRPC}, {"http-protobuf", overHTTPProto}, {"http-json", overHTTPJSON}, {"in process", inProcess}} {
		t.Run(door.name, func(t *testing.T) {
			t.Run("cumulative", func(t *testing.T) {
				sourcetest.Run(t, sourcetest.Harness{
					Open:         opener(door.send, pmetric.AggregationTemporalityCumulative),
					ReportsFresh: true, ReportsStart: true, ReportsObserved: true,
					Histograms: true, Exponential: true, Levels: true, Strata: true, Lines: true, Spans: true,
				})
			})
			t.Run("cumulative without starts", func(t *testing.T) {
				sourcetest.Run(t, sourcetest.Harness{
					Open:         opener(door.send, pmetric.AggregationTemporalityCumulative),
					ReportsFresh: true, ReportsObserved: true,
					Histograms: true, Exponential: true, Levels: true, Strata: true, Lines: true, Spans: true,
				})
			})
			t.Run("delta", func(t *testing.T) {
				sourcetest.Run(t, sourcetest.Harness{
					Open:         opener(door.send, pmetric.AggregationTemporalityDelta),
					ReportsFresh: true, ReportsObserved: true, Deltas: true,
					Histograms: true, Exponential: true, Levels: true, Strata: true, Lines: true, Spans: true,
				})
			})
		})
	}
}

func opener(send sender, temporality pmetric.AggregationTemporality) func(*testing.T, replay.Recording) sources.Source {
	return func(t *testing.T, rec replay.Recording) sources.Source {
		source := running(t)
		slow := analysis.Signal{Name: "duration", Source: "test", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "shop.duration"}}
		tracked := []analysis.Signal{slow}
		for _, event := range []analysis.SpanEvent{analysis.SpanErrors, analysis.SpanExclusive, analysis.SpanCalls} {
			tracked = append(tracked, spanSignal(event))
		}
		tracked = append(tracked, spanSignal(analysis.SpanDuration))
		if err := source.Track(tracked); err != nil {
			t.Fatal(err)
		}
		send(t, source, requestsOf(rec, temporality))
		sendLines(t, source, rec)
		sendSpans(t, source, rec)
		return source
	}
}
