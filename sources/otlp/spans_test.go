package otlp_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

// A testSpan is one span of a test. Times are seconds after the epoch of the tests.
type testSpan struct {
	service, version, pod string
	trace, id, parent     uint64
	name                  string
	kind                  ptrace.SpanKind
	start, end            float64
	failed                bool
	state                 string
	attributes            map[string]string
}

// requestOf is one request with a block for each span.
func requestOf(t testing.TB, spans ...testSpan) []byte {
	td := ptrace.NewTraces()
	blocks := map[string]ptrace.SpanSlice{}
	for _, s := range spans {
		key := s.service + "/" + s.version + "/" + s.pod
		into, known := blocks[key]
		if !known {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr(analysis.AttrService, s.service)
			rs.Resource().Attributes().PutStr(analysis.AttrVersion, s.version)
			rs.Resource().Attributes().PutStr(analysis.AttrPod, s.pod)
			into = rs.ScopeSpans().AppendEmpty().Spans()
			blocks[key] = into
		}
		span := into.AppendEmpty()
		var id [16]byte
		binary.BigEndian.PutUint64(id[8:], s.trace)
		if s.trace > 0 {
			span.SetTraceID(id)
		}
		span.SetSpanID(spanID(s.id))
		span.SetParentSpanID(spanID(s.parent))
		span.SetName(s.name)
		span.SetKind(s.kind)
		span.SetStartTimestamp(pcommonTime(at(s.start)))
		span.SetEndTimestamp(pcommonTime(at(s.end)))
		span.TraceState().FromRaw(s.state)
		if s.failed {
			span.Status().SetCode(ptrace.StatusCodeError)
		}
		for name, value := range s.attributes {
			span.Attributes().PutStr(name, value)
		}
	}
	data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func spanID(n uint64) (id pcommon.SpanID) { binary.BigEndian.PutUint64(id[:], n); return id }

func consumeSpans(t testing.TB, s *otlp.Source, requests ...[]byte) otlp.SpanOutcome {
	var last otlp.SpanOutcome
	for _, r := range requests {
		out, err := s.ConsumeSpans(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		last = out
	}
	return last
}

func spanSignal(event analysis.SpanEvent) analysis.Signal {
	s := analysis.Signal{Name: "spans", Source: "test", Unit: "1", Shape: analysis.ShapeRatio, Spans: &analysis.SpanSignal{Event: event}}
	switch event {
	case analysis.SpanDuration:
		s.Shape, s.Unit = analysis.ShapeDistribution, "s"
	case "":
		s.Shape = analysis.ShapeTopology
	}
	return s
}

func spanQuery(event analysis.SpanEvent, from, to float64, strata ...string) analysis.Query {
	q := analysis.Query{
		Signal: spanSignal(event), Fold: fold(from, to), Since: epoch, Strata: strata,
		Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"cart", "frontend"}}, {Name: analysis.AttrVersion, Values: []string{"1", "2"}}},
	}
	if event == "" {
		q.Spans = &analysis.SpanQuery{}
	}
	return q
}

// aTrace is a request of frontend that calls cart, whose second call fails, by itself.
func aTrace(n uint64, cart string, end float64) []testSpan {
	id := n * 100
	return []testSpan{
		{"frontend", "1", "f-1", n, id + 1, 0, "buy", ptrace.SpanKindServer, end - 0.5, end, false, "", nil},
		{"frontend", "1", "f-1", n, id + 2, id + 1, "POST", ptrace.SpanKindClient, end - 0.4, end - 0.1, true, "", map[string]string{"server.address": "cart.shop"}},
		{"cart", cart, "c-" + cart, n, id + 3, id + 2, "add", ptrace.SpanKindServer, end - 0.3, end - 0.2, true, "", nil},
	}
}

func TestSpansByHand(t *testing.T) {
	s := newSource(t)
	if err := s.Track([]analysis.Signal{spanSignal(analysis.SpanDuration)}); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(4) {
		consumeSpans(t, s, requestOf(t, aTrace(n+1, fmt.Sprint(1+n%2), 61+float64(n))...))
	}
	type row struct {
		pod, stratum  string
		bad, exposure float64
	}
	for _, c := range []struct {
		event  analysis.SpanEvent
		strata []string
		want   []row
	}{
		{analysis.SpanErrors, nil, []row{{"c-1", "", 2, 2}, {"c-2", "", 2, 2}, {"f-1", "", 0, 4}}},
		{analysis.SpanErrors, []string{"operation"}, []row{{"c-1", "add", 2, 2}, {"c-2", "add", 2, 2}, {"f-1", "buy", 0, 4}}},
		{analysis.SpanDuration, nil, []row{{"c-1", "", 0, 2}, {"c-2", "", 0, 2}, {"f-1", "", 0, 4}}},
		{analysis.SpanExclusive, []string{"operation"}, []row{{"c-1", "add", 2, 2}, {"c-2", "add", 2, 2}, {"f-1", "buy", 0, 4}}},
		{analysis.SpanCalls, []string{"call"}, []row{{"c-1", "", 0, 0}, {"c-2", "", 0, 0}, {"f-1", "cart add", 4, 4}}},
	} {
		answer := answerTo(t, s, spanQuery(c.event, 60, 75, c.strata...))
		var got []row
		for _, r := range answer.Rows {
			got = append(got, row{r.Pod, strings.Join(r.Stratum, "/"), r.Bad, r.Exposure})
			if r.Received != 1 {
				t.Errorf("%s: pod %s received %d", c.event, r.Pod, r.Received)
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s by %v: %v, want %v", c.event, c.strata, got, c.want)
		}
	}
	q := spanQuery(analysis.SpanDuration, 60, 75)
	q.Bounds = []float64{0.25, 0.5}
	for _, r := range answerTo(t, s, q).Rows {
		want := []float64{0, 0}
		if r.Pod == "f-1" {
			want[0] = 4
		}
		if !reflect.DeepEqual(r.Above, want) {
			t.Errorf("pod %s: above %v are %v, want %v", r.Pod, q.Bounds, r.Above, want)
		}
	}
	var edges []analysis.SpanRow
	for _, r := range answerTo(t, s, spanQuery("", 60, 75)).Spans {
		if r.Callee != "" {
			edges = append(edges, r)
		} else if r.Operation == "add" && (r.Calls != 2 || r.Errors != 2 || r.Exclusive != 2 || r.Sampled != 2 || r.Traces != 2) {
			t.Errorf("add: %+v", r.SpanCount)
		}
	}
	if len(edges) != 2 || edges[0].CalleeVersion != "1" || edges[1].CalleeVersion != "2" || edges[0].Calls != 2 || edges[1].Errors != 2 || edges[0].Operation != "buy" {
		t.Errorf("edges: %+v", edges)
	}
	operations, err := s.Operations(t.Context(), analysis.OperationQuery{Signal: spanSignal(""), From: at(0), To: at(100)})
	if want := []analysis.OperationCount{{Operation: "add", Spans: 4}, {Operation: "buy", Spans: 4}}; err != nil || !reflect.DeepEqual(operations, want) {
		t.Errorf("operations %v (%v), want %v", operations, err, want)
	}
}

// What an answer says depends neither on the order of requests nor on how spans are
// spread over them, nor on requests that come again, nor on what came later.
func TestSpanAnswersDoNotDependOnDelivery(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		var spans []testSpan
		for n := range uint64(5 + rng.IntN(60)) {
			spans = append(spans, aTrace(n+1, fmt.Sprint(1+rng.IntN(2)), 61+float64(rng.IntN(9000))/100)...)
		}
		for i := range spans {
			if rng.IntN(8) == 0 {
				spans[i].state = []string{"ot=th:8", "ot=th:c", "x=y,ot=th:0;rv:1"}[rng.IntN(3)]
			}
			spans[i].failed = rng.IntN(3) == 0
		}
		want := spanAnswers(rt, spanSource(t, [][]byte{requestOf(t, spans...)}), 150)

		shuffled := append([]testSpan(nil), spans...)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var requests [][]byte
		for len(shuffled) > 0 {
			n := 1 + rng.IntN(len(shuffled))
			requests = append(requests, requestOf(t, shuffled[:n]...))
			shuffled = shuffled[n:]
		}
		requests = append(requests, requests[rng.IntN(len(requests))])
		rng.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
		for i, got := range spanAnswers(rt, spanSource(t, requests), 150) {
			if !reflect.DeepEqual(got, want[i]) {
				rt.Fatalf("another delivery gives\n%+v\nnot\n%+v", got, want[i])
			}
		}

		var early []testSpan
		for _, s := range spans {
			if s.end <= 105 {
				early = append(early, s)
			}
		}
		cut := spanAnswers(rt, spanSource(t, [][]byte{requestOf(t, early...)}), 105)
		if !reflect.DeepEqual(cut, want[:len(cut)]) {
			rt.Fatalf("without the future\n%+v\nnot\n%+v", cut, want[:len(cut)])
		}
	})
}

func spanSource(t *testing.T, requests [][]byte) *otlp.Source {
	s := newSource(t)
	if err := s.Track([]analysis.Signal{spanSignal(analysis.SpanDuration), spanSignal(analysis.SpanExclusive)}); err != nil {
		t.Fatal(err)
	}
	consumeSpans(t, s, requests...)
	return s
}

func spanAnswers(t *rapid.T, s *otlp.Source, until float64) (out []analysis.Answer) {
	for from := 60.; from+15 <= until; from += 15 {
		for _, event := range []analysis.SpanEvent{analysis.SpanErrors, analysis.SpanDuration, analysis.SpanExclusive, analysis.SpanCalls, ""} {
			q := spanQuery(event, from, from+15)
			if event == analysis.SpanDuration {
				q.Bounds = []float64{0.25}
			}
			if event == analysis.SpanExclusive {
				q.Strata = []string{analysis.StratumOperation}
			}
			answer, err := s.Rows(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.Rows(t.Context(), q)
			if err != nil || !reflect.DeepEqual(answer, again) {
				t.Fatalf("asked again: %+v, not %+v (%v)", again, answer, err)
			}
			out = append(out, answer)
		}
	}
	return out
}

func TestLateSpansChangeNoAnswer(t *testing.T) {
	s := newSource(t)
	consumeSpans(t, s, requestOf(t, aTrace(1, "1", 62)...), requestOf(t, aTrace(2, "1", 80)...))
	var before []analysis.Answer
	for _, event := range []analysis.SpanEvent{analysis.SpanErrors, analysis.SpanExclusive, ""} {
		before = append(before, answerTo(t, s, spanQuery(event, 60, 75)))
	}
	late := append(aTrace(3, "1", 63), testSpan{service: "cart", version: "2", pod: "new", trace: 3, id: 9, name: "add", kind: ptrace.SpanKindServer, start: 61, end: 62})
	if out := consumeSpans(t, s, requestOf(t, late...)); out.Accepted != 0 || out.Dropped(otlp.DropLate) != 4 {
		t.Errorf("%d accepted, %d late", out.Accepted, out.Dropped(otlp.DropLate))
	}
	for i, event := range []analysis.SpanEvent{analysis.SpanErrors, analysis.SpanExclusive, ""} {
		if after := answerTo(t, s, spanQuery(event, 60, 75)); !reflect.DeepEqual(after, before[i]) {
			t.Errorf("%s: late spans changed the answer\n%+v to\n%+v", event, before[i], after)
		}
	}
	// Told in the fold that is open.
	if n := answerTo(t, s, spanQuery(analysis.SpanErrors, 75, 90)).NotRead.Late; n != 3 {
		t.Errorf("%v late spans told, want those 3 of known pods", n)
	}
}

// Effective numbers: ten spans that stand for 1 and ten that stand for 4, of which five
// failed. (10+40)^2/(10+160) = 14.7 requests, and 20/50 of them failed.
func TestHeadSampledSpansHaveWeights(t *testing.T) {
	s := newSource(t)
	var spans []testSpan
	for i := range uint64(20) {
		one := testSpan{service: "cart", version: "1", pod: "c", trace: i + 1, id: i + 1, name: "add", kind: ptrace.SpanKindServer, start: 61, end: 62}
		if i < 10 {
			one.state, one.failed = "rojo=1,ot=rv:1;th:c", i < 5
		}
		spans = append(spans, one)
	}
	consumeSpans(t, s, requestOf(t, spans...))
	rows := answerTo(t, s, spanQuery(analysis.SpanErrors, 60, 75)).Rows
	if len(rows) != 1 || !near(rows[0].Exposure, 2500./170) || !near(rows[0].Bad, 2500./170*20/50) {
		t.Errorf("rows %+v", rows)
	}
	if listed := answerTo(t, s, spanQuery("", 60, 75)).Spans; len(listed) != 1 || listed[0].Calls != 50 || listed[0].Errors != 20 {
		t.Errorf("listed %+v", listed)
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestTailSampledSpansAreRefused(t *testing.T) {
	marked := newSource(t)
	spans := aTrace(1, "1", 62)
	spans[0].attributes = map[string]string{"tailsampling.policy": "errors"}
	consumeSpans(t, marked, requestOf(t, spans...))
	configured := newSource(t, func(c *otlp.Config) { c.TailSampled = true })
	consumeSpans(t, configured, requestOf(t, aTrace(1, "1", 62)...))
	plain := newSource(t)
	consumeSpans(t, plain, requestOf(t, aTrace(1, "1", 62)...))
	for _, c := range []struct {
		name   string
		source *otlp.Source
		want   bool
	}{{"marked", marked, true}, {"configured", configured, true}, {"plain", plain, false}} {
		if why := answerTo(t, c.source, spanQuery(analysis.SpanExclusive, 60, 75)).Tail; (why != "") != c.want {
			t.Errorf("%s: tail-sampled because %q", c.name, why)
		}
	}
}

// Ten thousand names: 200 are kept, whichever came first, and no request is lost.
func TestOperationsAreCapped(t *testing.T) {
	var spans []testSpan
	for i := range uint64(10_000) {
		spans = append(spans, testSpan{service: "cart", version: "1", pod: "c", id: i + 1, name: fmt.Sprint("GET /", i), kind: ptrace.SpanKindServer, start: 61, end: 62})
	}
	answers := make([]analysis.Answer, 2)
	for i := range answers {
		s := newSource(t)
		consumeSpans(t, s, requestOf(t, spans[:5000]...), requestOf(t, spans[5000:]...))
		answers[i] = answerTo(t, s, spanQuery("", 60, 75))
		for a, b := 0, len(spans)-1; a < b; a, b = a+1, b-1 {
			spans[a], spans[b] = spans[b], spans[a]
		}
	}
	if !reflect.DeepEqual(answers[0].Spans, answers[1].Spans) {
		t.Error("another order keeps other names")
	}
	total := 0.
	for _, r := range answers[0].Spans {
		total += r.Calls
	}
	if n := len(answers[0].Spans); total != 10_000 || n != 201 {
		t.Errorf("%v calls of %d operations", total, n)
	}
	s := newSource(t)
	consumeSpans(t, s, requestOf(t, aTrace(1, "1", 62)...))
	q := spanQuery(analysis.SpanErrors, 60, 75, analysis.StratumOperation)
	q.Spans = &analysis.SpanQuery{Operations: []string{"buy"}}
	for _, r := range answerTo(t, s, q).Rows {
		if want := map[string]string{"f-1": "buy", "c-1": analysis.OtherOperation}[r.Pod]; r.Stratum[0] != want {
			t.Errorf("pod %s: operation %s, want %s", r.Pod, r.Stratum[0], want)
		}
	}
}

func TestExemplarsOfSpans(t *testing.T) {
	s := newSource(t)
	for n := range uint64(9) {
		spans := aTrace(n+1, "1", 62)
		if n > 0 {
			spans[1].failed, spans[2].failed = false, false
		}
		spans[0].start -= float64(n)
		spans[1].attributes["authorization"] = "x"
		consumeSpans(t, s, requestOf(t, spans...))
	}
	matches := []analysis.Match{{Name: analysis.AttrService, Values: []string{"frontend"}}}
	for kind, want := range map[analysis.ExemplarKind]uint64{analysis.ExemplarFailed: 1, analysis.ExemplarSlow: 9, analysis.ExemplarTypical: 5} {
		got, err := s.Exemplars(t.Context(), analysis.ExemplarQuery{Kind: kind, Matches: matches, From: at(60), To: at(75), Limit: 1})
		if err != nil || len(got) != 1 || got[0].TraceID != fmt.Sprintf("%032x", want) {
			t.Fatalf("%s: %+v (%v), want trace %d", kind, got, err, want)
		}
		e := got[0]
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(e.Body)
		if err != nil || td.SpanCount() != 3 || e.Spans != 3 || !reflect.DeepEqual(e.Services, []string{"cart", "frontend"}) || !strings.HasPrefix(e.Digest, "sha256:") || e.Truncated {
			t.Errorf("%s: %+v %s (%v)", kind, e, e.Body, err)
		}
		byID, err := s.Exemplars(t.Context(), analysis.ExemplarQuery{TraceID: e.TraceID})
		if err != nil || len(byID) != 1 || byID[0].Digest != e.Digest {
			t.Errorf("by its id: %+v (%v)", byID, err)
		}
		small, err := s.Exemplars(t.Context(), analysis.ExemplarQuery{TraceID: e.TraceID, MaxBytes: len(e.Body) - 1})
		if err != nil || len(small) != 1 || !small[0].Truncated || len(small[0].Body) >= len(e.Body) {
			t.Errorf("cut: %+v (%v)", small, err)
		}
	}
	for _, q := range []analysis.ExemplarQuery{{TraceID: "no id"}, {TraceID: strings.Repeat("f", 32)}, {Kind: analysis.ExemplarSlow, Matches: matches, From: at(75), To: at(90)}} {
		if got, err := s.Exemplars(t.Context(), q); err != nil || len(got) > 0 {
			t.Errorf("%+v: %+v (%v), want none", q, got, err)
		}
	}
}

// A backlog of spans is no silence: each minute is counted whole, though old ones are
// evicted between two of its requests.
func TestABacklogOfSpansIsNotEvictedOnItsWay(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	errors := spanSignal(analysis.SpanErrors)
	if err := source.Track([]analysis.Signal{errors}); err != nil {
		t.Fatal(err)
	}
	const minutes, each = 120, 12
	for i := range uint64(minutes * each) {
		consumeSpans(t, source, requestOf(t, testSpan{
			service: "cart", version: "1", pod: "c-1", trace: i + 1, id: i + 1, name: "add", kind: ptrace.SpanKindServer,
			start: 5 * float64(i), end: 5*float64(i) + 1,
		}))
		source.Evict(at(5 * 3600))
	}
	sums, err := source.History(t.Context(), analysis.HistoryQuery{
		Signal: errors, Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"cart"}}}, From: at(0), To: at(60 * minutes), Step: time.Minute,
	})
	if err != nil || len(sums) != minutes {
		t.Fatalf("%d minutes (%v), want %d", len(sums), err, minutes)
	}
	for _, s := range sums {
		if s.Exposure != each {
			t.Errorf("%v: %v requests, want %d", s.Minute, s.Exposure, each)
		}
	}
}
