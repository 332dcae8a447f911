package wire_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/VictoriaMetrics/easyproto"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/sources/otlp/wire"
)

// realistic is a request of spans as HTTP and database instrumentation sends them: 10
// attributes each, 6 on the resource.
func realistic(tb testing.TB, spans, perResource int) []byte {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	td := ptrace.NewTraces()
	var scope ptrace.ScopeSpans
	for i := range spans {
		if i%perResource == 0 {
			rs := td.ResourceSpans().AppendEmpty()
			a := rs.Resource().Attributes()
			a.PutStr("service.name", "checkout")
			a.PutStr("service.namespace", "shop")
			a.PutStr("service.version", "1.4.2")
			a.PutStr("deployment.environment.name", "production")
			a.PutStr("k8s.pod.name", fmt.Sprintf("checkout-6b8c%d-x%d", i%7, i%5))
			a.PutStr("service.instance.id", fmt.Sprintf("7f2c1a90-0000-4000-8000-%012d", i))
			scope = rs.ScopeSpans().AppendEmpty()
			scope.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
		}
		s := scope.Spans().AppendEmpty()
		var trace pcommon.TraceID
		var span pcommon.SpanID
		for j := range trace {
			trace[j] = byte(r.Uint32())
		}
		for j := range span {
			span[j] = byte(r.Uint32())
		}
		s.SetTraceID(trace)
		s.SetSpanID(span)
		s.SetParentSpanID(span)
		s.SetName("GET /api/orders/{id}")
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(pcommon.Timestamp(1_700_000_000_000_000_000 + r.Int64N(1e9)))
		s.SetEndTimestamp(pcommon.Timestamp(1_700_000_001_000_000_000 + r.Int64N(1e9)))
		a := s.Attributes()
		a.PutStr("http.request.method", "GET")
		a.PutStr("url.scheme", "https")
		a.PutStr("url.path", fmt.Sprintf("/api/orders/%d", r.IntN(100000)))
		a.PutStr("http.route", "/api/orders/{id}")
		a.PutInt("http.response.status_code", 200)
		a.PutStr("server.address", "checkout.shop.svc.cluster.local")
		a.PutInt("server.port", 8443)
		a.PutStr("client.address", "10.4.17.33")
		a.PutStr("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
		a.PutStr("network.protocol.version", "1.1")
	}
	b, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

type touch struct {
	spans, attributes int
	bytes             int
}

func (t *touch) Resource(r *wire.Resource) bool { t.attributes += len(r.Attributes()); return true }

func (t *touch) Span(s *wire.Span) {
	t.spans++
	attributes := s.Attributes()
	for i := range attributes {
		t.bytes += len(attributes[i].Key) + len(attributes[i].Value)
	}
}

// bare visits every key and value of an attribute with easyproto and does nothing else.
func bare(tb testing.TB, src []byte) (n int) {
	return bareEach(tb, src, 0, func(_ uint32, owner []byte) int {
		return bareEach(tb, owner, 0, func(number uint32, b []byte) int {
			switch number {
			case 1: // Resource
				return bareEach(tb, b, 1, func(_ uint32, kv []byte) int { return bareKeyValue(tb, kv) })
			case 2: // ScopeSpans
				return bareEach(tb, b, 2, func(_ uint32, span []byte) int { return bareSpan(tb, span) })
			}
			return 0
		})
	})
}

// bareEach adds up f of every message of that number, 0: of all.
func bareEach(tb testing.TB, src []byte, number uint32, f func(uint32, []byte) int) (n int) {
	var fc easyproto.FieldContext
	var err error
	for len(src) > 0 {
		if src, err = fc.NextField(src); err != nil {
			tb.Fatal(err)
		}
		if b, ok := fc.MessageData(); ok && (number == 0 || fc.FieldNum == number) {
			n += f(fc.FieldNum, b)
		}
	}
	return n
}

func bareSpan(tb testing.TB, src []byte) (n int) {
	var fc easyproto.FieldContext
	var err error
	for len(src) > 0 {
		if src, err = fc.NextField(src); err != nil {
			tb.Fatal(err)
		}
		switch fc.FieldNum {
		case 1, 2, 4, 5:
			b, _ := fc.Bytes()
			n += len(b)
		case 7, 8:
			t, _ := fc.Fixed64()
			n += int(t & 1)
		case 9:
			b, _ := fc.MessageData()
			n += bareKeyValue(tb, b)
		}
	}
	return n
}

func bareKeyValue(tb testing.TB, src []byte) (n int) {
	var fc easyproto.FieldContext
	var err error
	for len(src) > 0 {
		if src, err = fc.NextField(src); err != nil {
			tb.Fatal(err)
		}
		switch fc.FieldNum {
		case 1:
			b, _ := fc.Bytes()
			n += len(b)
		case 2:
			value, _ := fc.MessageData()
			var v easyproto.FieldContext
			for len(value) > 0 {
				if value, err = v.NextField(value); err != nil {
					tb.Fatal(err)
				}
				switch v.FieldNum {
				case 1:
					b, _ := v.Bytes()
					n += len(b)
				case 3:
					i, _ := v.Int64()
					n += int(i & 1)
				}
			}
		}
	}
	return n
}

var sizes = []int{1000, 50, 10}

func BenchmarkSpans(b *testing.B) {
	for _, per := range sizes {
		data := realistic(b, 1000, per)
		for name, run := range map[string]func(){
			"wire":           func() { _ = wire.Spans(data, new(touch)) },
			"wire-untouched": func() { _ = wire.Spans(data, spansOnly{}) },
			"bare":           func() { bare(b, data) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, per), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/span")
			})
		}
	}
}

type spansOnly struct{}

func (spansOnly) Resource(*wire.Resource) bool { return true }
func (spansOnly) Span(*wire.Span)              {}
