package otlp_test

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// heapAfter is how many bytes are live.
func heapAfter() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 500 services, 2 versions, 5 pods, 20 operations, 100,000 spans a second, each in the
// sample or not as its hash wants, durations kept: below 256 MiB, once the windows are full.
func TestSpanWindowsOfALargeShop(t *testing.T) {
	before := heapAfter()
	s := newSource(t)
	if err := s.Track([]analysis.Signal{spanSignal(analysis.SpanDuration), spanSignal(analysis.SpanErrors), spanSignal(analysis.SpanExclusive)}); err != nil {
		t.Fatal(err)
	}
	// One tick of 500,000 spans: of each pod 100, 5 of each operation. It is sent again
	// and again, later each time.
	var tick [][]byte
	n := uint64(0)
	for service := range 500 {
		td := ptrace.NewTraces()
		for pod := range 10 {
			rs := td.ResourceSpans().AppendEmpty()
			a := rs.Resource().Attributes()
			a.PutStr(analysis.AttrService, fmt.Sprint("service-", service))
			a.PutStr(analysis.AttrVersion, fmt.Sprint("v", pod%2))
			a.PutStr(analysis.AttrPod, fmt.Sprint("pod-", pod))
			spans := rs.ScopeSpans().AppendEmpty().Spans()
			for i := range 100 {
				n++
				span := spans.AppendEmpty()
				span.SetTraceID([16]byte{byte(n), byte(n >> 8), byte(n >> 16), 1, byte(i)})
				span.SetSpanID(spanID(n))
				span.SetName(fmt.Sprint("operation-", i%20))
				span.SetKind(ptrace.SpanKindServer)
				span.SetEndTimestamp(pcommonTime(at(float64(n%5000)/1000 + .001)))
				span.SetStartTimestamp(pcommonTime(at(float64(n%5000)/1000 - math.Exp(float64(n*7919%1000)/250-4))))
			}
		}
		data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		if err != nil {
			t.Fatal(err)
		}
		tick = append(tick, data)
	}
	own := heapAfter() - before
	ticks := 76 // a minute more than are kept
	if testing.Short() {
		ticks = 12
	}
	for range ticks {
		for i, data := range tick {
			if out := consumeSpans(t, s, data); out.Accepted != 1000 {
				t.Fatalf("%d accepted of 1000: %+v", out.Accepted, s.Stats().Spans)
			}
			tick[i] = shiftSpans(data, 5*time.Second)
		}
	}
	held := heapAfter() - before - own
	t.Logf("%.0f MiB held, %d traces of %.1f MiB", float64(held)/(1<<20), s.Stats().Whole, float64(s.Stats().Spans.Bytes)/(1<<20))
	if held > 256<<20 {
		t.Errorf("%d MiB held, want at most 256", held>>20)
	}
	runtime.KeepAlive(tick)
}

func TestHostileSpans(t *testing.T) {
	server := func(i uint64, end float64) testSpan {
		return testSpan{service: "cart", version: "1", pod: "c", trace: i%7 + 1, id: i + 1, name: "add", kind: ptrace.SpanKindServer, start: end - 1, end: end}
	}
	for _, c := range []struct {
		name  string
		send  int
		span  func(i uint64) testSpan
		check func(t *testing.T, s *otlp.Source)
	}{
		{"a million operations", 1_000_000, func(i uint64) testSpan {
			one := server(i, 62)
			one.name = fmt.Sprint("GET /orders/", i)
			return one
		}, func(t *testing.T, s *otlp.Source) {
			rows := answerTo(t, s, spanQuery("", 60, 75)).Spans
			total := 0.
			for _, r := range rows {
				total += r.Calls
			}
			if total != 1_000_000 || len(rows) > 201 || s.Stats().OtherSpans == 0 {
				t.Errorf("%v calls of %d operations", total, len(rows))
			}
		}},
		{"a million spans in a request", 1_000_000, func(i uint64) testSpan { return server(i, 62) }, func(t *testing.T, s *otlp.Source) {
			if rows := answerTo(t, s, spanQuery(analysis.SpanErrors, 60, 75)).Rows; len(rows) != 1 || rows[0].Exposure != 1_000_000 {
				t.Errorf("%+v", rows)
			}
		}},
		{"as many pods", 300_000, func(i uint64) testSpan {
			one := server(i, 62)
			one.pod = fmt.Sprint("pod-", i)
			return one
		}, func(t *testing.T, s *otlp.Source) {
			answer := answerTo(t, s, spanQuery(analysis.SpanErrors, 60, 75))
			if len(answer.Rows) != 0 || len(answer.Warnings) == 0 {
				t.Errorf("%d rows although spans were dropped", len(answer.Rows))
			}
			if n := s.Stats().Spans.Dropped[otlp.DropSeriesLimit]; n == 0 || s.Stats().Resources > 250_000 {
				t.Errorf("%d dropped, %d resources", n, s.Stats().Resources)
			}
		}},
		{"clocks of all times", 20_000, func(i uint64) testSpan { return server(i, 62+float64(i*i%100_000_000)) }, func(t *testing.T, s *otlp.Source) {
			s.Evict(epoch)
			answerTo(t, s, spanQuery(analysis.SpanExclusive, 60, 75))
		}},
		{"weights of all kinds", 20_000, func(i uint64) testSpan {
			one := server(i, 62)
			one.state = fmt.Sprintf("ot=th:%x", i*999_983%0xfffff)
			return one
		}, func(t *testing.T, s *otlp.Source) {
			if rows := answerTo(t, s, spanQuery(analysis.SpanErrors, 60, 75)).Rows; len(rows) != 1 || !(rows[0].Exposure > 0 && rows[0].Exposure <= 20_000) {
				t.Errorf("%+v", rows)
			}
		}},
		{"one endless trace", 300_000, func(i uint64) testSpan {
			one := server(i, 62+float64(i%2000)/10)
			one.trace, one.parent = 1, i*7919%300_000+1
			return one
		}, func(t *testing.T, s *otlp.Source) {
			answerTo(t, s, spanQuery(analysis.SpanExclusive, 60, 75))
			if n := s.Stats().Spans.Bytes; n > 64<<20 {
				t.Errorf("%d bytes held", n)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := heapAfter()
			s := newSource(t)
			if err := s.Track([]analysis.Signal{spanSignal(analysis.SpanDuration), spanSignal(analysis.SpanExclusive)}); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < c.send; i += 50_000 {
				var spans []testSpan
				for k := i; k < min(c.send, i+50_000); k++ {
					spans = append(spans, c.span(uint64(k)))
				}
				consumeSpans(t, s, requestOf(t, spans...))
			}
			if held := int64(heapAfter()) - int64(before); held > 600<<20 {
				t.Errorf("%d MiB held", held>>20)
			}
			c.check(t, s)
		})
	}
}

func TestSpansWithoutTimes(t *testing.T) {
	s := newSource(t)
	spans := aTrace(1, "1", 62)
	none := ptrace.NewTraces()
	none.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("x")
	data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(none)
	if err != nil {
		t.Fatal(err)
	}
	if out := consumeSpans(t, s, data); out.Accepted != 0 || out.Dropped(otlp.DropNoTime) != 1 {
		t.Errorf("%+v", out)
	}
	spans[2].start = 70 // ends before it began
	if out := consumeSpans(t, s, requestOf(t, spans...)); out.Accepted != 3 {
		t.Errorf("%+v", out)
	}
	for _, request := range [][]byte{{0xff}, requestOf(t, spans...)[:50]} {
		if out, err := s.ConsumeSpans(t.Context(), request); err == nil || out.Accepted != 0 {
			t.Errorf("malformed: %+v (%v)", out, err)
		}
	}
}
