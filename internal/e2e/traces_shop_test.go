package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkresource "go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A tracedShop serves requests as the OpenTelemetry SDK sees them: checkout, in two
// versions, calls payment. It sends to one receiver.
type tracedShop struct {
	t        testing.TB
	old      []trace.Tracer // of the pods of version 1.0
	fresh    trace.Tracer   // of the pod of version 2.0
	payment  trace.Tracer
	shutdown []func(context.Context) error
	random   *rand.Rand
}

// newTracedShop opens a shop whose spans go to an OTLP/gRPC receiver.
func newTracedShop(t testing.TB, receiver string) *tracedShop {
	t.Helper()
	conn, err := grpc.NewClient(receiver, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &tracedShop{t: t, random: rand.New(rand.NewPCG(1, 2))}
	tracer := func(service, version, pod string) trace.Tracer {
		provider := sdktrace.NewTracerProvider(
			sdktrace.WithResource(sdkresource.NewSchemaless(
				attribute.String("service.name", service), attribute.String("service.version", version),
				attribute.String("deployment.environment.name", "traced"), attribute.String("k8s.pod.name", pod),
			)),
			sdktrace.WithBatcher(spanExporter{ptraceotlp.NewGRPCClient(conn)}, sdktrace.WithBatchTimeout(200*time.Millisecond), sdktrace.WithMaxQueueSize(100_000)),
		)
		s.shutdown = append(s.shutdown, provider.Shutdown)
		return provider.Tracer("shop")
	}
	for i := range 3 {
		s.old = append(s.old, tracer("checkout", "1.0", fmt.Sprintf("checkout-1.0-%d", i)))
	}
	s.fresh = tracer("checkout", "2.0", "checkout-2.0-0")
	s.payment = tracer("payment", "7", "payment-7-0")
	return s
}

// close sends what is left.
func (s *tracedShop) close() {
	var errs []error
	for _, f := range s.shutdown {
		errs = append(errs, f(context.WithoutCancel(s.t.Context())))
	}
	if err := errors.Join(errs...); err != nil {
		s.t.Errorf("send the last spans: %v", err)
	}
}

// serve is n requests in the second that ends at an instant. The share fails in checkout,
// after payment answered well.
func (s *tracedShop) serve(tracer trace.Tracer, end time.Time, n int, failing float64) {
	for i := range n {
		start := end.Add(-time.Second + time.Duration(i)*time.Second/time.Duration(n+1))
		took := 20*time.Millisecond + time.Duration(s.random.IntN(30))*time.Millisecond
		ctx, order := tracer.Start(context.Background(), "POST /orders", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start),
			trace.WithAttributes(attribute.String("http.route", "/orders"), attribute.String("http.request.method", "POST"), attribute.String("user.email", "jane.doe@example.com")))
		ctx, call := tracer.Start(ctx, "charge", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(start.Add(2*time.Millisecond)))
		_, paid := s.payment.Start(ctx, "payment.Charge", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start.Add(3*time.Millisecond)))
		paid.End(trace.WithTimestamp(start.Add(10 * time.Millisecond)))
		call.End(trace.WithTimestamp(start.Add(11 * time.Millisecond)))
		if s.random.Float64() < failing {
			order.SetStatus(codes.Error, "the order was not stored")
		}
		order.End(trace.WithTimestamp(start.Add(took)))
	}
}

// A spanExporter hands the SDK's spans to an OTLP receiver.
type spanExporter struct{ client ptraceotlp.GRPCClient }

func (e spanExporter) Shutdown(context.Context) error { return nil }

func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	to := rs.ScopeSpans().AppendEmpty().Spans()
	put := func(m pcommon.Map, attributes []attribute.KeyValue) {
		for _, a := range attributes {
			m.PutStr(string(a.Key), a.Value.String())
		}
	}
	for i, s := range spans {
		if i == 0 {
			put(rs.Resource().Attributes(), s.Resource().Attributes())
		}
		sp := to.AppendEmpty()
		sp.SetTraceID(pcommon.TraceID(s.SpanContext().TraceID()))
		sp.SetSpanID(pcommon.SpanID(s.SpanContext().SpanID()))
		sp.SetParentSpanID(pcommon.SpanID(s.Parent().SpanID()))
		sp.SetName(s.Name())
		sp.SetKind(ptrace.SpanKind(s.SpanKind())) // the numbers are the same
		sp.SetStartTimestamp(pcommon.NewTimestampFromTime(s.StartTime()))
		sp.SetEndTimestamp(pcommon.NewTimestampFromTime(s.EndTime()))
		if s.Status().Code == codes.Error {
			sp.Status().SetCode(ptrace.StatusCodeError)
			sp.Status().SetMessage(s.Status().Description)
		}
		put(sp.Attributes(), s.Attributes())
	}
	_, err := e.client.Export(ctx, ptraceotlp.NewExportRequestFromTraces(td))
	return err
}
