package lab

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
)

// What the shop tells beside metrics. A frontend calls the checkout, which loads a cart
// and charges a payment; one request in traceEvery is traced and writes its lines of
// INFO, at the head and in both arms alike. Every failed request writes its line of
// ERROR.
const (
	// StreamSpan is how long before the deployment spans and lines begin.
	StreamSpan = 20 * time.Minute
	traceEvery = 50
)

// Operations of the shop.
const (
	buy       = "POST /buy"
	order     = "POST /orders"
	loadCart  = "GET /cart/{user}"
	charge    = "POST /charge"
	frontend  = "frontend"
	cart      = "cart"
	payment   = "payment"
	frontPods = 2
)

// Stream appends the spans and log records of the step that Export has played last. It
// does nothing before StreamSpan, and while the scenario is silent.
func (s *Shop) Stream(traces ptrace.Traces, logs plog.Logs, at time.Time) {
	silent := s.scenario.silentFrom > 0 && at.Sub(s.deployed) > s.scenario.silentFrom
	if silent || at.Before(s.deployed.Add(-StreamSpan)) {
		return
	}
	w := &wire{shop: s, rng: s.told, at: at, traces: traces, logs: logs, spans: map[*pod]ptrace.SpanSlice{}, records: map[*pod]plog.LogRecordSlice{}}
	for _, p := range s.services[0].pods {
		w.requests(p)
	}
}

// A wire is what goes out in one step.
type wire struct {
	shop    *Shop
	rng     *rand.Rand
	at      time.Time
	traces  ptrace.Traces
	logs    plog.Logs
	spans   map[*pod]ptrace.SpanSlice
	records map[*pod]plog.LogRecordSlice
}

// requests tells of what a pod of the checkout served in the step.
func (w *wire) requests(p *pod) {
	scenario := w.shop.scenario
	for range w.some(p.stepOK, 1./traceEvery) {
		w.request(p, w.id(), false)
	}
	for range int(p.stepFailed) {
		id := w.id()
		if w.rng.IntN(traceEvery) == 0 {
			w.request(p, id, true)
		}
		text := "storing order %d failed: upstream status %d"
		if p.canary && scenario.rewordedError {
			text = "could not store order %d (the upstream answered %d)"
		}
		w.line(p, w.moment(), plog.SeverityNumberError, id, fmt.Sprintf(text, w.number(), 500+w.rng.IntN(4)))
	}
	if p.canary {
		for range w.some(p.stepOK, scenario.canaryLines) {
			w.line(p, w.moment(), plog.SeverityNumberError, w.id(), fmt.Sprintf("ledger out of sync for order %d: balance is off by %d cents", w.number(), 1+w.rng.IntN(5000)))
		}
	}
	w.line(p, w.moment(), plog.SeverityNumberInfo, pcommon.TraceID{}, fmt.Sprintf("connection pool: %d of 64 in use", 8+w.rng.IntN(30)))
}

// some draws how many of n events are told of: as many as the share says, rounded at
// random, so that few events are not always none.
func (w *wire) some(n, share float64) int { return int(n*share + w.rng.Float64()) }

// request tells of a traced request: its spans in all services, its lines.
func (w *wire) request(p *pod, id pcommon.TraceID, failed bool) {
	end := w.moment()
	user, number, scenario := w.rng.IntN(9000)+1000, w.number(), w.shop.scenario
	took := time.Duration(float64(time.Second) * medianDuration * math.Exp(spreadDuration*w.rng.NormFloat64()))
	took = min(max(took, 8*time.Millisecond), 8*time.Second)
	start := end.Add(-took)
	front := w.shop.fronts[w.rng.IntN(len(w.shop.fronts))]

	root := w.span(front, id, pcommon.SpanID{}, buy, ptrace.SpanKindServer, start.Add(-4*time.Millisecond), end.Add(2*time.Millisecond), failed)
	called := w.span(front, id, root, order, ptrace.SpanKindClient, start.Add(-2*time.Millisecond), end.Add(time.Millisecond), failed)
	served := w.span(p, id, called, order, ptrace.SpanKindServer, start, end, failed)

	// The cart is asked first; what times out is asked again, and the cart knows of no
	// fault.
	part := took / 8
	from := start.Add(part)
	if p.canary && w.rng.Float64() < scenario.canaryTimeouts {
		w.call(p, id, served, cart, loadCart, from, part, true, false)
		from = from.Add(part)
	}
	w.call(p, id, served, cart, loadCart, from, part, false, false)
	// The payment answers a part of the canary's calls with errors; the canary falls back
	// to charging later, and its own answer is fine.
	refused := p.canary && w.rng.Float64() < scenario.neighbourErrors
	w.call(p, id, served, payment, charge, start.Add(4*part), 2*part, refused, refused)

	w.line(p, from, plog.SeverityNumberInfo, id, fmt.Sprintf("cart of user %d loaded: %d items", user, 1+w.rng.IntN(20)))
	if failed {
		return // its line of ERROR is written with those of all failed requests
	}
	text := "order %d stored for user %d in %d ms"
	if p.canary && scenario.rewordedInfo {
		text = "order %d of user %d has been persisted, it took %d ms"
	}
	w.line(p, end, plog.SeverityNumberInfo, id, fmt.Sprintf(text, number, user, took.Milliseconds()))
}

// call tells of a call of another service, by both of them.
func (w *wire) call(p *pod, id pcommon.TraceID, parent pcommon.SpanID, service, operation string, start time.Time, took time.Duration, failed, served bool) {
	called := w.span(p, id, parent, operation, ptrace.SpanKindClient, start, start.Add(took), failed)
	callee := w.shop.pod(service, w.rng)
	w.span(callee, id, called, operation, ptrace.SpanKindServer, start.Add(took/8), start.Add(took*7/8), served)
}

// pod picks a pod of a service.
func (s *Shop) pod(service string, rng *rand.Rand) *pod {
	for _, svc := range s.services {
		if svc.name == service {
			return svc.pods[rng.IntN(len(svc.pods))]
		}
	}
	panic("lab: no service " + service) // they are all in this package
}

func (w *wire) span(p *pod, id pcommon.TraceID, parent pcommon.SpanID, name string, kind ptrace.SpanKind, start, end time.Time, failed bool) pcommon.SpanID {
	spans, known := w.spans[p]
	if !known {
		resource := w.traces.ResourceSpans().AppendEmpty()
		w.shop.describe(p, resource.Resource().Attributes())
		scope := resource.ScopeSpans().AppendEmpty()
		scope.Scope().SetName("lab")
		spans = scope.Spans()
		w.spans[p] = spans
	}
	var own pcommon.SpanID
	binary.BigEndian.PutUint64(own[:], w.rng.Uint64()|1)
	span := spans.AppendEmpty()
	span.SetTraceID(id)
	span.SetSpanID(own)
	span.SetParentSpanID(parent)
	span.SetName(name)
	span.SetKind(kind)
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	status := int64(200)
	if failed {
		status = 500
		span.Status().SetCode(ptrace.StatusCodeError)
	}
	method, _, _ := strings.Cut(name, " ")
	span.Attributes().PutStr("http.request.method", method)
	span.Attributes().PutInt("http.response.status_code", status)
	return own
}

func (w *wire) line(p *pod, at time.Time, severity plog.SeverityNumber, id pcommon.TraceID, text string) {
	records, known := w.records[p]
	if !known {
		resource := w.logs.ResourceLogs().AppendEmpty()
		w.shop.describe(p, resource.Resource().Attributes())
		scope := resource.ScopeLogs().AppendEmpty()
		scope.Scope().SetName("lab")
		records = scope.LogRecords()
		w.records[p] = records
	}
	record := records.AppendEmpty()
	record.SetTimestamp(pcommon.NewTimestampFromTime(at))
	record.SetObservedTimestamp(pcommon.NewTimestampFromTime(w.at))
	record.SetSeverityNumber(severity)
	record.SetSeverityText(severity.String())
	record.SetTraceID(id)
	record.Body().SetStr(text)
}

// describe names the resource of a pod, as in its metrics.
func (s *Shop) describe(p *pod, attributes pcommon.Map) {
	attributes.PutStr(analysis.AttrService, p.service)
	attributes.PutStr(analysis.AttrVersion, p.version)
	attributes.PutStr(analysis.AttrEnvironment, s.scenario.Environment())
	attributes.PutStr(analysis.AttrPod, p.name)
	attributes.PutStr(Zone, p.zone)
}

// moment is an instant in the step, not so late that a span of the same request ends
// after it.
func (w *wire) moment() time.Time {
	return w.at.Add(-time.Duration((0.01 + 0.98*w.rng.Float64()) * float64(Step)))
}

func (w *wire) number() int { return 100_000 + w.rng.IntN(900_000) }

func (w *wire) id() pcommon.TraceID {
	var id pcommon.TraceID
	binary.BigEndian.PutUint64(id[:8], w.rng.Uint64()|1)
	binary.BigEndian.PutUint64(id[8:], w.rng.Uint64())
	return id
}
