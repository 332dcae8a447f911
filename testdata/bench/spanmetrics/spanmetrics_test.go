package spanmetrics

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

const (
	spansEach = 10_000
	apart     = 100 * time.Millisecond // 100,000 spans a second
	batches   = 16
	round     = batches
	fold      = 15 * time.Second
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func requests(tb testing.TB, perResource int) (out [][]byte) {
	for i := range batches {
		out = append(out, request(tb, perResource, epoch.Add(time.Duration(i)*apart)))
	}
	return out
}

// request has spans of 10 attributes in resources of 6, in traces of about eight.
func request(tb testing.TB, perResource int, end time.Time) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(end.UnixNano())))
	td := ptrace.NewTraces()
	for n := 0; n < spansEach; n += perResource {
		rs := td.ResourceSpans().AppendEmpty()
		a := rs.Resource().Attributes()
		svc := n / perResource % 20
		a.PutStr("service.name", fmt.Sprintf("service-%d", svc))
		a.PutStr("service.namespace", "shop")
		a.PutStr("service.version", fmt.Sprintf("1.%d.0", n/perResource/20%2))
		a.PutStr("deployment.environment.name", "production")
		a.PutStr("k8s.pod.name", fmt.Sprintf("service-%d-7d9c6b5f4-%05d", svc, n/perResource/40%5))
		a.PutStr("telemetry.sdk.language", "go")
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
		for range perResource {
			s := ss.Spans().AppendEmpty()
			trace := uint64(end.UnixNano()) ^ uint64(rng.IntN(spansEach/8))*0x9e3779b97f4a7c15
			var id [16]byte
			var own, parent [8]byte
			binary.BigEndian.PutUint64(id[:8], trace*0xbf58476d1ce4e5b9)
			binary.BigEndian.PutUint64(id[8:], trace*0x94d049bb133111eb)
			binary.BigEndian.PutUint64(own[:], rng.Uint64())
			binary.BigEndian.PutUint64(parent[:], rng.Uint64())
			s.SetTraceID(id)
			s.SetSpanID(own)
			s.SetParentSpanID(parent)
			op := rng.IntN(20)
			s.SetName(fmt.Sprintf("GET /api/v1/resource-%d/{id}", op))
			s.SetKind([]ptrace.SpanKind{ptrace.SpanKindServer, ptrace.SpanKindClient, ptrace.SpanKindInternal}[rng.IntN(3)])
			at := end.Add(-time.Duration(rng.IntN(2000)) * time.Millisecond)
			s.SetEndTimestamp(pcommon.Timestamp(at.UnixNano()))
			s.SetStartTimestamp(pcommon.Timestamp(at.Add(-time.Duration(1e6 + rng.ExpFloat64()*3e7)).UnixNano()))
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

func assay(tb testing.TB) *otlp.Source {
	s, err := otlp.New(otlp.Config{Name: "otlp"})
	if err != nil {
		tb.Fatal(err)
	}
	signal := func(event analysis.SpanEvent, shape analysis.Shape) analysis.Signal {
		return analysis.Signal{Name: string(event), Source: "otlp", Unit: "1", Shape: shape, Spans: &analysis.SpanSignal{Event: event}}
	}
	if err := s.Track([]analysis.Signal{signal(analysis.SpanDuration, analysis.ShapeDistribution), signal(analysis.SpanExclusive, analysis.ShapeRatio)}); err != nil {
		tb.Fatal(err)
	}
	return s
}

func collector(tb testing.TB) connector.Traces {
	factory := spanmetricsconnector.NewFactory()
	c, err := factory.CreateTracesToMetrics(context.Background(), connectortest.NewNopSettings(factory.Type()), factory.CreateDefaultConfig(), consumertest.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Shutdown(context.Background()) })
	return c
}

// BenchmarkSpans alternates the three, so that all see the same machine. The source is
// never asked for whole traces and holds the sample of a shop in which nothing is under
// validation; or it is asked for those of a service, fold by fold.
func BenchmarkSpans(b *testing.B) {
	for _, perResource := range []int{1000, 50, 10} {
		for _, assembly := range []bool{false, true} {
			name := fmt.Sprintf("%d per resource", perResource)
			if assembly {
				name += " with assembly"
			}
			b.Run(name, func(b *testing.B) { compare(b, perResource, assembly) })
		}
	}
}

func compare(b *testing.B, perResource int, assembly bool) {
	source, theirs := assay(b), collector(b)
	all := requests(b, perResource)
	now, i := epoch, 0
	next := func() []byte {
		data := all[i%batches]
		later(data, batches*apart)
		now = now.Add(apart)
		i++
		return data
	}
	for range 700 { // a minute and more, after which the bound of the sample holds
		consume(b, source, next())
		if assembly && now.Equal(now.Truncate(fold)) {
			ask(b, source, now)
		}
	}
	var ours, spanmetrics, asked, walk []float64
	for b.Loop() {
		// Rounds of each side by themselves: what one leaves to the garbage collector
		// is no cost of the other.
		runtime.GC()
		prepared, before := make([][]byte, round), now
		for k := range prepared {
			prepared[k] = next()
		}
		ours = append(ours, timed(func() {
			for _, data := range prepared {
				consume(b, source, data)
			}
		}))
		walk = append(walk, timed(func() {
			for _, data := range prepared {
				visited += bareWalk(data)
			}
		}))
		if assembly && !now.Truncate(fold).Equal(before.Truncate(fold)) { // a fold is asked for once
			asked = append(asked, timed(func() { ask(b, source, now) }))
		}
		runtime.GC()
		spanmetrics = append(spanmetrics, timed(func() {
			for _, data := range prepared {
				td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(data)
				if err != nil {
					b.Fatal(err)
				}
				if err := theirs.ConsumeTraces(context.Background(), td); err != nil {
					b.Fatal(err)
				}
			}
		}))
	}
	each := best(ours)
	if len(asked) > 0 { // else there were too few rounds for a fold
		each += middle(asked) * float64(round*apart) / float64(fold)
	}
	b.ReportMetric(each/round/spansEach, "ns/span")
	b.ReportMetric(best(walk)/round/spansEach, "walk-ns/span")
	b.ReportMetric(best(spanmetrics)/each, "x-spanmetrics")
	b.ReportMetric(best(walk)/each, "x-bare-walk")
	b.ReportMetric(0, "ns/op")
}

func consume(b *testing.B, source *otlp.Source, data []byte) {
	if out, err := source.ConsumeSpans(context.Background(), data); err != nil || out.Accepted != spansEach {
		b.Fatal(out, err)
	}
}

var visited int

// ask asks for the newest fold that is closed, as all whole traces of a service.
func ask(b *testing.B, source *otlp.Source, now time.Time) {
	end := now.Add(-90 * time.Second).Truncate(fold)
	_, err := source.Rows(context.Background(), analysis.Query{
		Signal:  analysis.Signal{Name: "topology", Source: "otlp", Unit: "1", Shape: analysis.ShapeTopology, Spans: &analysis.SpanSignal{}},
		Spans:   &analysis.SpanQuery{},
		Matches: []analysis.Match{{Name: "service.name", Values: []string{"service-1"}}},
		Fold:    analysis.Fold{Start: end.Add(-fold), End: end},
	})
	if err != nil {
		b.Fatal(err)
	}
}

func timed(f func()) float64 {
	start := time.Now()
	f()
	return float64(time.Since(start).Nanoseconds())
}

// best is what a round takes that is little disturbed by others on the machine: one in
// ten is faster. What the garbage collector does in a round is part of it.
func best(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/10]
}

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// later moves the spans of a request, where they are, into other traces: a trace that
// went on for ever would be all that the sample holds.
func later(data []byte, by time.Duration) {
	spansIn(data, func(span []byte) {
		for i := 0; i < len(span); {
			tag, n := binary.Uvarint(span[i:])
			i += n
			switch tag & 7 {
			case 0:
				_, n = binary.Uvarint(span[i:])
				i += n
			case 1:
				if tag>>3 == 7 || tag>>3 == 8 {
					binary.LittleEndian.PutUint64(span[i:], binary.LittleEndian.Uint64(span[i:])+uint64(by))
				}
				i += 8
			case 2:
				size, n := binary.Uvarint(span[i:])
				i += n
				if tag>>3 == 1 && size == 16 {
					binary.LittleEndian.PutUint64(span[i:], binary.LittleEndian.Uint64(span[i:])+0x9e3779b97f4a7c15)
				}
				i += int(size)
			case 5:
				i += 4
			}
		}
	})
}

func spansIn(data []byte, visit func([]byte)) {
	each(data, 1, func(rs []byte) { each(rs, 2, func(ss []byte) { each(ss, 2, visit) }) })
}

// bareWalk visits every attribute's key and value, and the fields of spans.
func bareWalk(data []byte) (n int) {
	each(data, 1, func(rs []byte) {
		each(rs, 1, func(resource []byte) { each(resource, 1, func(kv []byte) { n += keyValue(kv) }) })
	})
	spansIn(data, func(span []byte) {
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
			case 1, 2, 4:
				id, _ := fc.Bytes()
				n += len(id)
			case 5:
				name, _ := fc.String()
				n += len(name)
			case 7, 8:
				v, _ := fc.Fixed64()
				n += int(v & 1)
			}
		}
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
