package otlp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdkresource "go.opentelemetry.io/otel/sdk/resource"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// The real SDK with its real exporters: what a service counted is what rows say.
func TestOpenTelemetrySDK(t *testing.T) {
	deltas := func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	exponential := func(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
		if kind == sdkmetric.InstrumentKindHistogram {
			return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
		}
		return sdkmetric.DefaultAggregationSelector(kind)
	}
	tests := []struct {
		name     string
		exporter func(ctx context.Context, source *otlp.Source) (sdkmetric.Exporter, error)
		deltas   bool
	}{
		{"grpc, cumulative", func(ctx context.Context, s *otlp.Source) (sdkmetric.Exporter, error) {
			return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(s.GRPCAddr()), otlpmetricgrpc.WithInsecure())
		}, false},
		{"grpc with gzip, delta, exponential histograms", func(ctx context.Context, s *otlp.Source) (sdkmetric.Exporter, error) {
			return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(s.GRPCAddr()), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithCompressor("gzip"),
				otlpmetricgrpc.WithTemporalitySelector(deltas), otlpmetricgrpc.WithAggregationSelector(exponential))
		}, true},
		{"http with gzip, cumulative, exponential histograms", func(ctx context.Context, s *otlp.Source) (sdkmetric.Exporter, error) {
			return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(s.HTTPAddr()), otlpmetrichttp.WithInsecure(),
				otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), otlpmetrichttp.WithAggregationSelector(exponential))
		}, false},
		{"http, delta", func(ctx context.Context, s *otlp.Source) (sdkmetric.Exporter, error) {
			return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(s.HTTPAddr()), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithTemporalitySelector(deltas))
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := running(t)
			slow := analysis.Signal{Name: "slow", Source: "otlp", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "app.duration"}}
			if err := source.Track([]analysis.Signal{slow}); err != nil {
				t.Fatal(err)
			}
			exporter, err := test.exporter(t.Context(), source)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			old, fresh := newApp(t, exporter, "1.0"), newApp(t, exporter, "2.0")
			old.serve(t, 100, 3)
			time.Sleep(150 * time.Millisecond) // exports closer than 100 ms are one reading
			middle := time.Now()
			old.serve(t, 50, 0)
			old.serve(t, 7, 2) // without a pause: both count, whatever they are aligned to
			fresh.serve(t, 20, 5)
			end := time.Now()

			row := func(signal analysis.Signal, version string, fold analysis.Fold) analysis.Row {
				t.Helper()
				answer := answerTo(t, source, analysis.Query{
					Signal: signal, Fold: fold, Since: begun.Add(-time.Minute), Bounds: sdkBounds[1:4],
					Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}, {Name: analysis.AttrVersion, Values: []string{version}}},
				})
				if len(answer.Rows) != 1 || len(answer.Warnings) != 0 {
					t.Fatalf("version %s: got %+v, want one row", version, answer)
				}
				return answer.Rows[0]
			}
			counters := errorsOfRequests()
			counters.Bad.Metric, counters.Total.Metric = "app.requests", "app.requests"
			durations := errorsOfRequests()
			durations.Bad = &analysis.Selector{Metric: "app.duration", Field: analysis.FieldCount, Conditions: counters.Bad.Conditions}
			durations.Total = &analysis.Selector{Metric: "app.duration", Field: analysis.FieldCount}
			for name, signal := range map[string]analysis.Signal{"counters": counters, "histograms": durations} {
				first := row(signal, "1.0", analysis.Fold{Start: begun.Add(-time.Second), End: middle})
				if first.New || first.Bad != 3 || first.Exposure != 103 {
					t.Errorf("%s: first fold: got %+v, want 3 of 103: the process started inside it", name, first)
				}
				second := row(signal, "1.0", analysis.Fold{Start: middle, End: end})
				if second.Bad != 2 || second.Exposure != 59 {
					t.Errorf("%s: second fold: got %+v, want 2 of 59", name, second)
				}
				newcomer := row(signal, "2.0", analysis.Fold{Start: middle, End: end})
				bad, exposure := newcomer.Counted(analysis.Canary, begun)
				if bad != 5 || exposure != 25 {
					t.Errorf("%s: canary: got %v of %v (%+v), want 5 of 25", name, bad, exposure, newcomer)
				}
				if !test.deltas && (newcomer.PodStart.Before(begun) || newcomer.PodStart.After(middle)) {
					t.Errorf("%s: the pod started at %v, want between %v and %v", name, newcomer.PodStart, begun, middle)
				}
			}
			for name, c := range map[string]struct {
				version string
				fold    analysis.Fold
				want    []float64
			}{
				"first":  {"1.0", analysis.Fold{Start: begun.Add(-time.Second), End: middle}, []float64{90, 77, 52}},
				"second": {"1.0", analysis.Fold{Start: middle, End: end}, []float64{37, 24, 0}},
				"canary": {"2.0", analysis.Fold{Start: middle, End: end}, []float64{12, 0, 0}},
			} {
				got := row(slow, c.version, c.fold)
				if above := got.CountedAbove(analysis.Canary, begun); !slices.Equal(above, c.want) {
					t.Errorf("%s: above %v: %v (%+v), want %v", name, sdkBounds[1:4], above, got, c.want)
				}
			}
			memory := analysis.Signal{Name: "memory", Source: "otlp", Unit: "By", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "app.memory"}}
			if got := row(memory, "1.0", analysis.Fold{Start: middle, End: end}); got.Level != 1000+100+3+50+7+2 || got.Received == 0 {
				t.Errorf("memory: %+v", got)
			}
			stats := source.Stats()
			if stats.Accepted == 0 || stats.Late != 0 || stats.Dropped[otlp.DropUnsupported] != 0 || stats.Services != 1 || stats.Resources != 2 {
				t.Errorf("got %+v, want everything kept of two resources", stats)
			}
		})
	}
}

// An app is an instrumented service.
type app struct {
	provider *sdkmetric.MeterProvider
	requests metric.Int64Counter
	duration metric.Float64Histogram
	memory   metric.Int64Gauge
	used     *int64
}

// sdkBounds are those of the explicit histograms. Exponential ones have them too.
var sdkBounds = []float64{0, 0.125, 0.25, 0.5, 1}

func newApp(t *testing.T, exporter sdkmetric.Exporter, version string) app {
	t.Helper()
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))),
		sdkmetric.WithResource(sdkresource.NewSchemaless(
			attribute.String(analysis.AttrService, "checkout"), attribute.String(analysis.AttrVersion, version), attribute.String(analysis.AttrInstance, "i-"+version),
			attribute.StringSlice("process.command_args", []string{"app", "--serve"}), attribute.Int("process.pid", 17),
		)),
	)
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	meter := provider.Meter("app")
	requests, err := meter.Int64Counter("app.requests")
	if err != nil {
		t.Fatal(err)
	}
	duration, err := meter.Float64Histogram("app.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(sdkBounds...))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := meter.Int64Gauge("app.memory", metric.WithUnit("By"))
	if err != nil {
		t.Fatal(err)
	}
	used := int64(1000)
	return app{provider, requests, duration, memory, &used}
}

// serve answers requests, ok of them well, and exports.
func (a app) serve(t *testing.T, ok, failed int) {
	t.Helper()
	for i := range ok + failed {
		status := 200
		if i >= ok {
			status = 503
		}
		set := metric.WithAttributes(attribute.Int("status", status))
		a.requests.Add(t.Context(), 1, set)
		a.duration.Record(t.Context(), 0.01*float64(i), set)
	}
	*a.used += int64(ok + failed)
	a.memory.Record(t.Context(), *a.used)
	if err := a.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
}
