package otlp

import (
	"context"
	"net"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
)

// countPoints is how many data points a request holds.
func countPoints(md pmetric.Metrics) (n int) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeSum:
					n += m.Sum().DataPoints().Len()
				case pmetric.MetricTypeGauge:
					n += m.Gauge().DataPoints().Len()
				case pmetric.MetricTypeHistogram:
					n += m.Histogram().DataPoints().Len()
				case pmetric.MetricTypeExponentialHistogram:
					n += m.ExponentialHistogram().DataPoints().Len()
				case pmetric.MetricTypeSummary:
					n += m.Summary().DataPoints().Len()
				}
			}
		}
	}
	return n
}

// FuzzDecode decodes requests of both forms: what is let through to the decoder of
// others costs little, and every data point in it is counted exactly once, as accepted
// or as dropped for a reason.
func FuzzDecode(f *testing.F) {
	json := []byte(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},"scopeMetrics":[{"metrics":[{"name":"requests","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1","asInt":"5"},{"asDouble":"NaN"}]}},{"name":"h","summary":{"dataPoints":[{}]}}]}]}]}`)
	f.Add(json, true)
	req, err := decode(typeJSON, json)
	if err != nil {
		f.Fatal(err)
	}
	proto, err := req.MarshalProto()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(proto, false)
	f.Add([]byte(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":{"arrayValue":{"values":[{"kvlistValue":{"values":[]}}]}}}]}}]}`), true)
	f.Add([]byte("\x0a\xff\xff\xff\xff\x0f"), false)
	f.Add([]byte(`{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1000000000","startTimeUnixNano":"1","count":"3","explicitBounds":[0.5,1],"bucketCounts":["1","0","2"]}]}}]}]}]}`), true)
	f.Add([]byte(`{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[{"name":"h","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","startTimeUnixNano":"1","count":"3","scale":3,"zeroCount":"1","zeroThreshold":0.001,"positive":{"offset":-2147483648,"bucketCounts":["0","2"]}},{"timeUnixNano":"2000000000","startTimeUnixNano":"1","count":"7","scale":2,"positive":{"offset":-4,"bucketCounts":["3","4"]}}]}}]}]}]}`), true)
	slow := analysis.Signal{Name: "slow", Source: "otlp", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "h"}}
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		if len(body) > 1<<20 {
			return
		}
		contentType := typeProto
		if isJSON {
			contentType = typeJSON
		}
		fuzztest.Within(t, func() {
			req, err := decode(contentType, body)
			if err != nil {
				return
			}
			s, err := New(Config{MaxSeries: 100})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Track([]analysis.Signal{slow}); err != nil {
				t.Fatal(err)
			}
			outcome, err := s.Consume(t.Context(), req.Metrics())
			if err != nil {
				t.Fatal(err)
			}
			total := outcome.Accepted
			for _, why := range drops {
				total += outcome.Dropped(why)
			}
			if points := countPoints(req.Metrics()); total != points {
				t.Fatalf("%d data points, %d are accounted for: %+v", points, total, outcome)
			}
			if st := s.Stats(); st.Series > 100 || int(st.Accepted) != outcome.Accepted {
				t.Fatalf("%+v", st)
			}
			checkPossible(t, s, slow)
		})
	})
}

// checkPossible asks what is held of a histogram in the first minute of 1970: whatever
// was sent, no more lies above a bound than above a lower one, nor than there is.
func checkPossible(t *testing.T, s *Source, slow analysis.Signal) {
	start := instant(0)
	end := start.Add(time.Minute)
	answer, err := s.Rows(t.Context(), analysis.Query{Signal: slow, Fold: analysis.Fold{Start: start, End: end}, Bounds: []float64{0.25, 0.5, 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range answer.Rows {
		least := row.Exposure
		for _, above := range row.Above {
			if !(above >= 0 && above <= least) {
				t.Fatalf("%+v", row)
			}
			least = above
		}
	}
	h, err := s.Distribution(t.Context(), analysis.DistributionQuery{Signal: slow, From: start, To: end})
	if err == nil {
		err = h.Validate()
	}
	if err != nil {
		t.Fatalf("%+v: %v", h, err)
	}
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(mem.BufferSlice, any) error { return nil }

// FuzzGRPC sends anything as a request over gRPC to a server that lives through all of
// it: the answer is a success, or says that the request is wrong.
func FuzzGRPC(f *testing.F) {
	var _ encoding.CodecV2 = raw{}
	s, err := New(Config{MaxBytes: 1 << 20, MaxSeries: 100})
	if err != nil {
		f.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	server := s.GRPCServer()
	go server.Serve(listener)
	f.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	f.Add([]byte{})
	f.Add([]byte("\x0a\x02\x0a\x00"))
	f.Add([]byte("\x0a\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		fuzztest.Within(t, func() {
			err := conn.Invoke(ctx, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", body, new([]byte))
			switch code := status.Code(err); code {
			case codes.OK, codes.Internal, codes.InvalidArgument, codes.ResourceExhausted:
			default:
				t.Fatalf("%v: %v", code, err)
			}
		})
	})
}
