package otlp_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/VictoriaMetrics/easyproto"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// realisticSpans makes requests as a collector sends them: 10 attributes on a span, 6 on
// a resource, traces of about eight spans.
func realisticSpans(tb testing.TB, spans, perResource int, end time.Time) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(end.UnixNano())))
	td := ptrace.NewTraces()
	for n := 0; n < spans; n += perResource {
		rs := td.ResourceSpans().AppendEmpty()
		a := rs.Resource().Attributes()
		svc := n / perResource % 20
		a.PutStr(analysis.AttrService, fmt.Sprintf("service-%d", svc))
		a.PutStr(analysis.AttrNamespace, "shop")
		a.PutStr(analysis.AttrVersion, fmt.Sprintf("1.%d.0", n/perResource/20%2))
		a.PutStr(analysis.AttrEnvironment, "production")
		a.PutStr(analysis.AttrPod, fmt.Sprintf("service-%d-7d9c6b5f4-%05d", svc, n/perResource/40%5))
		a.PutStr("telemetry.sdk.language", "go")
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
		for i := 0; i < perResource; i++ {
			s := ss.Spans().AppendEmpty()
			var id [16]byte
			var sid, pid [8]byte
			trace := uint64(end.UnixNano()) ^ uint64(rng.IntN(max(1, spans/8)))*0x9e3779b97f4a7c15
			binary.BigEndian.PutUint64(id[:8], trace*0xbf58476d1ce4e5b9)
			binary.BigEndian.PutUint64(id[8:], trace*0x94d049bb133111eb)
			binary.BigEndian.PutUint64(sid[:], rng.Uint64())
			binary.BigEndian.PutUint64(pid[:], rng.Uint64())
			s.SetTraceID(id)
			s.SetSpanID(sid)
			s.SetParentSpanID(pid)
			op := rng.IntN(20)
			s.SetName(fmt.Sprintf("GET /api/v1/resource-%d/{id}", op))
			s.SetKind([]ptrace.SpanKind{ptrace.SpanKindServer, ptrace.SpanKindClient, ptrace.SpanKindInternal}[rng.IntN(3)])
			at := end.Add(-time.Duration(rng.IntN(2000)) * time.Millisecond)
			s.SetEndTimestamp(pcommonTime(at))
			s.SetStartTimestamp(pcommonTime(at.Add(-time.Duration(1e6 + rng.ExpFloat64()*3e7))))
			b := s.Attributes()
			b.PutStr("http.request.method", "GET")
			b.PutStr("url.path", fmt.Sprintf("/api/v1/resource-%d/%d", op, rng.IntN(1e6)))
			b.PutStr("url.scheme", "https")
			b.PutInt("http.response.status_code", 200)
			b.PutStr("server.address", "api.shop.example")
			b.PutInt("server.port", 8443)
			b.PutStr("client.address", "10.4.17.23")
			b.PutStr("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101")
			b.PutStr("network.protocol.version", "1.1")
			b.PutBool("cache.hit", rng.IntN(2) == 0)
			if rng.IntN(100) == 0 {
				s.Status().SetCode(ptrace.StatusCodeError)
			}
		}
	}
	data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

var spanSizes = []int{1000, 50, 10}

// 100,000 spans a second.
const (
	benchSpans   = 10_000
	benchApart   = 100 * time.Millisecond
	benchBatches = 16
)

// steadySource has its windows, so that requests are what is measured.
func steadySource(tb testing.TB, perResource int) (*otlp.Source, [][]byte) {
	s, err := otlp.New(otlp.Config{Name: "otlp"})
	if err != nil {
		tb.Fatal(err)
	}
	durations := analysis.Signal{Name: "d", Source: "otlp", Unit: "s", Shape: analysis.ShapeDistribution, Spans: &analysis.SpanSignal{Event: analysis.SpanDuration}}
	if err := s.Track([]analysis.Signal{durations}); err != nil {
		tb.Fatal(err)
	}
	end := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	var batches [][]byte
	for i := range benchBatches {
		batches = append(batches, realisticSpans(tb, benchSpans, perResource, end.Add(time.Duration(i)*benchApart)))
	}
	for range 40 { // a minute and more, after which the bound of the sample holds
		for _, b := range batches {
			if _, err := s.ConsumeSpans(context.Background(), b); err != nil {
				tb.Fatal(err)
			}
			nextSpans(b)
		}
	}
	return s, batches
}

// nextSpans moves the spans of a request on, into other traces: one that went on for ever
// would be all that the sample holds.
func nextSpans(data []byte) []byte {
	eachSpanField(data, func(number uint64, field []byte) {
		if number == 1 {
			binary.LittleEndian.PutUint64(field, binary.LittleEndian.Uint64(field)+0x9e3779b97f4a7c15)
		}
	})
	return shiftSpans(data, benchBatches*benchApart)
}

// TestSpanAllocations: in the steady state a span allocates nothing, but for those of the
// sample, of which whole traces are held, and the ticks that are packed now and then: of
// both together there is one allocation for 200 spans at most.
func TestSpanAllocations(t *testing.T) {
	for _, per := range []int{1000, 10} {
		s, batches := steadySource(t, per)
		n := 0
		allocations := testing.AllocsPerRun(3*len(batches), func() {
			if out, err := s.ConsumeSpans(context.Background(), nextSpans(batches[n%len(batches)])); err != nil || out.Accepted != benchSpans {
				t.Fatal(out, err)
			}
			n++
		})
		if allocations > benchSpans/200 {
			t.Errorf("%d spans per resource: %v allocations for %d spans", per, allocations, benchSpans)
		}
	}
}

func BenchmarkSpans(b *testing.B) {
	for _, per := range spanSizes {
		b.Run(fmt.Sprintf("%d per resource", per), func(b *testing.B) {
			s, batches := steadySource(b, per)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := nextSpans(batches[n%len(batches)])
				b.StartTimer()
				if out, err := s.ConsumeSpans(context.Background(), batch); err != nil || out.Accepted != benchSpans {
					b.Fatal(out, err)
				}
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/benchSpans, "ns/span")
		})
		b.Run(fmt.Sprintf("bare walk, %d per resource", per), func(b *testing.B) {
			data := realisticSpans(b, benchSpans, per, time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC))
			n := 0
			for b.Loop() {
				if bareWalk(data) == 0 {
					b.Fatal("nothing was walked")
				}
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/benchSpans, "ns/span")
		})
	}
}

// bareWalk visits every attribute's key and value and the fields of spans.
func bareWalk(data []byte) (n int) {
	each(data, 1, func(rs []byte) {
		each(rs, 1, func(resource []byte) { each(resource, 1, func(kv []byte) { n += keyValue(kv) }) })
		each(rs, 2, func(ss []byte) {
			each(ss, 2, func(span []byte) {
				var fc easyproto.FieldContext
				for src := span; len(src) > 0; {
					var err error
					if src, err = fc.NextField(src); err != nil {
						return
					}
					switch fc.FieldNum {
					case 9:
						if kv, ok := fc.MessageData(); ok {
							n += keyValue(kv)
						}
					case 5:
						name, _ := fc.String()
						n += len(name)
					case 7, 8:
						v, _ := fc.Fixed64()
						n += int(v & 1)
					}
				}
			})
		})
	})
	return n
}

func each(data []byte, number uint32, visit func([]byte)) {
	var fc easyproto.FieldContext
	for len(data) > 0 {
		var err error
		if data, err = fc.NextField(data); err != nil {
			return
		}
		if fc.FieldNum == number {
			if m, ok := fc.MessageData(); ok {
				visit(m)
			}
		}
	}
}

func keyValue(kv []byte) (n int) {
	var fc easyproto.FieldContext
	for len(kv) > 0 {
		var err error
		if kv, err = fc.NextField(kv); err != nil {
			return n
		}
		switch fc.FieldNum {
		case 1:
			key, _ := fc.String()
			n += len(key)
		case 2:
			value, _ := fc.MessageData()
			for len(value) > 0 {
				if value, err = fc.NextField(value); err != nil {
					return n
				}
				switch fc.FieldNum {
				case 1:
					text, _ := fc.String()
					n += len(text)
				case 3:
					v, _ := fc.Int64()
					n += int(v & 1)
				default:
					n++
				}
			}
		}
	}
	return n
}
