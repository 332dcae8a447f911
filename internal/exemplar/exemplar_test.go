package exemplar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/redact"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// A said is a span as a test writes it down.
type said struct {
	trace, id, parent byte
	service, version  string
	name              string
	start, took       time.Duration // start since noon
	failed            bool
	attributes        map[string]string
}

func traces(spans ...said) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, s := range spans {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", s.service)
		rs.Resource().Attributes().PutStr("service.version", s.version)
		sp := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		sp.SetTraceID(pcommon.TraceID{15: s.trace})
		sp.SetSpanID(pcommon.SpanID{7: s.id})
		if s.parent != 0 {
			sp.SetParentSpanID(pcommon.SpanID{7: s.parent})
		}
		sp.SetName(s.name)
		sp.SetStartTimestamp(pcommon.NewTimestampFromTime(noon.Add(s.start)))
		sp.SetEndTimestamp(pcommon.NewTimestampFromTime(noon.Add(s.start + s.took)))
		if s.failed {
			sp.Status().SetCode(ptrace.StatusCodeError)
		}
		for k, v := range s.attributes {
			sp.Attributes().PutStr(k, v)
		}
	}
	return td
}

func shown(t *testing.T, td ptrace.Traces, maxBytes int) analysis.Exemplar {
	t.Helper()
	out, err := Show("jaeger", analysis.ExemplarFailed, Split(td), maxBytes, nil)
	if err != nil || len(out) != 1 {
		t.Fatalf("%d exemplars, %v", len(out), err)
	}
	e := out[0]
	if sum := sha256.Sum256(e.Body); e.Digest != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Fatalf("the digest %s is not that of the body", e.Digest)
	}
	return e
}

// order is one trace of two services: 1 calls 2, which fails.
var order = []said{
	{trace: 9, id: 1, service: "checkout", version: "2", name: "POST /orders", took: 40 * time.Millisecond},
	{trace: 9, id: 2, parent: 1, service: "payment", version: "7", name: "charge", start: 10 * time.Millisecond, took: 25 * time.Millisecond, failed: true},
}

func TestShow(t *testing.T) {
	e := shown(t, traces(order...), 0)
	want := analysis.Exemplar{
		TraceID: strings.Repeat("0", 31) + "9", Kind: analysis.ExemplarFailed, Source: "jaeger", Spans: 2, Services: []string{"checkout", "payment"},
		Errors: 1, Duration: analysis.Duration(40 * time.Millisecond), Digest: e.Digest, Body: e.Body,
	}
	if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", e, want)
	}
	back, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(e.Body)
	if err != nil || back.SpanCount() != 2 || back.ResourceSpans().Len() != 2 {
		t.Errorf("the body is read as %d spans, %v: %s", back.SpanCount(), err, e.Body)
	}
}

// The same trace has the same digest, however the store orders spans, resources and
// attributes, and however often it tells a span.
func TestShowKnowsNoOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(rt, "spans")
		var spans []said
		for i := range n {
			spans = append(spans, said{
				trace: 1, id: byte(i + 1), service: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "service"), name: "x",
				start: time.Duration(rapid.IntRange(0, 3).Draw(rt, "start")), took: time.Duration(rapid.IntRange(0, 3).Draw(rt, "took")),
				failed: rapid.Bool().Draw(rt, "failed"), attributes: map[string]string{"a": "1", "b": "2", "c": "3"},
			})
		}
		first := shown(t, traces(spans...), 0)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		rng.Shuffle(n, func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
		again := shown(t, traces(append(spans, spans[0])...), 0)
		if first.Digest != again.Digest || again.Spans != n {
			rt.Fatalf("%s\n%s", first.Body, again.Body)
		}
	})
}

// A body fits, is read again, holds the errors first, and says that it was cut exactly
// when it lacks something.
func TestShowCuts(t *testing.T) {
	var spans []said
	for i := range 100 {
		spans = append(spans, said{
			trace: 1, id: byte(i + 1), service: "a", name: "x", took: time.Duration(i) * time.Millisecond, failed: i%50 == 3,
			attributes: map[string]string{"text": strings.Repeat("x", 50)},
		})
	}
	whole := len(shown(t, traces(spans...), 0).Body)
	for _, limit := range []int{1, 100, 700, 2000, whole - 1, whole} {
		e := shown(t, traces(spans...), limit)
		if len(e.Body) > limit || e.Truncated != (limit < whole) || e.Spans != 100 || e.Errors != 2 {
			t.Errorf("at most %d bytes: %d, truncated %v, %d spans, %d errors", limit, len(e.Body), e.Truncated, e.Spans, e.Errors)
		}
		if limit < 700 {
			continue
		}
		kept := Split(mustRead(t, e.Body))[0].spans
		failed := slices.IndexFunc(kept, span.failed)
		if failed < 0 {
			t.Errorf("at most %d bytes: no error is left of %d spans", limit, len(kept))
		}
	}
	long := slices.Clone(order[:1])
	long[0].attributes = map[string]string{"body": strings.Repeat("ü", maxText)}
	if e := shown(t, traces(long...), 0); !e.Truncated || len(e.Body) > 2*maxText || !json.Valid(e.Body) {
		t.Errorf("a long text: truncated %v, %d bytes", e.Truncated, len(e.Body))
	}
}

// What a small trace leaves over is for the next one; together they fit.
func TestShowSharesTheBytes(t *testing.T) {
	var spans []said
	for i := range 50 {
		spans = append(spans, said{trace: 2, id: byte(i + 1), service: "a", name: "x"})
	}
	td := traces(append(spans, said{trace: 1, id: 1, service: "a", name: "x"})...)
	const limit = 4000
	out, err := Show("s", analysis.ExemplarSlow, Split(td), limit, nil)
	if err != nil || len(out) != 2 {
		t.Fatalf("%d, %v", len(out), err)
	}
	small, large := len(out[0].Body), len(out[1].Body)
	if small+large > limit || large < limit*3/5 || out[0].Truncated || !out[1].Truncated {
		t.Errorf("bodies of %d and %d bytes, want at most %d together, and more than half for the second", small, large, limit)
	}
}

// No text of a trace that is a secret is shown, wherever it stands.
func TestShowRedacts(t *testing.T) {
	td := traces(order[0])
	rs := td.ResourceSpans().At(0)
	rs.Resource().Attributes().PutStr("owner", "SECRET1")
	s := rs.ScopeSpans().At(0).Spans().At(0)
	s.SetName("GET /SECRET1")
	s.Status().SetMessage("SECRET1 said no")
	s.Attributes().PutStr("SECRET1", "x")
	s.Attributes().PutEmptySlice("list").AppendEmpty().SetStr("SECRET1")
	s.Attributes().PutEmptyMap("map").PutEmptyMap("deep").PutStr("x", "a SECRET1")
	s.Attributes().PutEmptyBytes("bytes").FromRaw([]byte("SECRET1"))
	s.Attributes().PutStr("cut", strings.Repeat("x", maxText-4)+"SECRET1")
	s.Attributes().PutInt("number", 4711)
	e := s.Events().AppendEmpty()
	e.SetName("SECRET1")
	e.Attributes().PutStr("exception.message", "SECRET1")
	r, err := redact.New([]string{"SECRET1", "4711"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := Show("s", analysis.ExemplarNamed, Split(td), 0, r)
	if err != nil {
		t.Fatal(err)
	}
	if body := string(out[0].Body); strings.Contains(body, "SECR") || strings.Contains(body, "4711") || strings.Contains(body, "U0VDUkVUMQ") {
		t.Errorf("the body tells secrets: %s", body)
	}
}

// An attribute whose name says that it holds a secret holds one, whatever its value.
func TestShowRedactsByName(t *testing.T) {
	td := traces(order[0])
	a := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes()
	a.PutStr("password", "hunter2hunter2")
	a.PutStr("db.password", "hunter2hunter2")
	a.PutStr("plain", "hunter")
	body := string(shown(t, td, 0).Body)
	if strings.Contains(body, "hunter2") || !strings.Contains(body, `"hunter"`) {
		t.Errorf("the body tells the password, or hides what is none: %s", body)
	}
}

func TestUntil(t *testing.T) {
	tr := Split(traces(order...))[0]
	tr.Until(noon.Add(35 * time.Millisecond)) // the second ends then
	if len(tr.spans) != 1 || tr.spans[0].Name() != "charge" {
		t.Errorf("%d spans are left, want the one that ends at the instant", len(tr.spans))
	}
	tr.Until(noon.Add(35*time.Millisecond - 1))
	if !tr.Empty() {
		t.Error("a span that ends later is left")
	}
}

func TestCandidate(t *testing.T) {
	tr := Split(traces(order...))[0]
	match := func(name string, values ...string) analysis.Match { return analysis.Match{Name: name, Values: values} }
	window := analysis.ExemplarQuery{From: noon, To: noon.Add(time.Minute)}
	for _, c := range []struct {
		name   string
		change func(*analysis.ExemplarQuery)
		want   *Candidate
	}{
		{"all", func(*analysis.ExemplarQuery) {}, &Candidate{tr.ID, 40 * time.Millisecond, true}},
		{"the caller", func(q *analysis.ExemplarQuery) {
			q.Matches = []analysis.Match{match("service.name", "checkout"), match("service.version", "1", "2")}
		}, &Candidate{tr.ID, 40 * time.Millisecond, false}},
		{"the called one", func(q *analysis.ExemplarQuery) { q.Matches = []analysis.Match{match("service.name", "payment")} }, &Candidate{tr.ID, 25 * time.Millisecond, true}},
		{"the version of one and the name of another", func(q *analysis.ExemplarQuery) {
			q.Matches = []analysis.Match{match("service.name", "payment"), match("service.version", "2")}
		}, nil},
		{"operation", func(q *analysis.ExemplarQuery) { q.Operation = "charge" }, &Candidate{tr.ID, 25 * time.Millisecond, true}},
		{"another operation", func(q *analysis.ExemplarQuery) { q.Operation = "refund" }, nil},
		{"ended at the start", func(q *analysis.ExemplarQuery) { q.From = noon.Add(40 * time.Millisecond) }, nil},
		{"ends at the end", func(q *analysis.ExemplarQuery) { q.To = noon.Add(35 * time.Millisecond) }, &Candidate{tr.ID, 25 * time.Millisecond, true}},
	} {
		q := window
		c.change(&q)
		got, ok := tr.Candidate(q)
		if ok != (c.want != nil) || ok && got != *c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, ok, c.want)
		}
	}
	old := traces(order[0])
	old.ResourceSpans().At(0).Resource().Attributes().PutStr("deployment.environment", "prod")
	if _, ok := Split(old)[0].Candidate(analysis.ExemplarQuery{Matches: []analysis.Match{match(analysis.AttrEnvironment, "prod")}}); !ok {
		t.Error("the old name of the environment is not known")
	}
}

// Choose depends on no order, and on ids by their hash only.
func TestChoose(t *testing.T) {
	var all []Candidate
	for i := range 8 {
		all = append(all, Candidate{ID: fmt.Sprintf("%032x", i), Took: time.Duration(i) * time.Second, Failed: i == 2 || i == 5})
	}
	ids := func(of []Candidate) (out []int) {
		for _, c := range of {
			out = append(out, int(c.Took/time.Second))
		}
		return out
	}
	slow := ids(Choose(analysis.ExemplarSlow, all))
	if want := []int{7, 6, 5, 4, 3, 2, 1, 0}; !slices.Equal(slow, want) {
		t.Errorf("slow: %v, want %v", slow, want)
	}
	failed := Choose(analysis.ExemplarFailed, all)
	if len(failed) != 2 || hash(failed[0].ID) > hash(failed[1].ID) || !failed[0].Failed || !failed[1].Failed {
		t.Errorf("failed: %+v", failed)
	}
	typical := ids(Choose(analysis.ExemplarTypical, all)) // of 0 1 3 4 6 7 the middle
	slices.Sort(typical)
	if want := []int{1, 3, 4, 6}; !slices.Equal(typical, want) {
		t.Errorf("typical: %v, want %v", typical, want)
	}
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	for _, kind := range []analysis.ExemplarKind{analysis.ExemplarFailed, analysis.ExemplarSlow, analysis.ExemplarTypical} {
		if a, b := ids(Choose(kind, all)), ids(Choose(kind, append(reversed, all...))); !slices.Equal(a, b) {
			t.Errorf("%s: %v and %v", kind, a, b)
		}
	}
	if Choose(analysis.ExemplarFailed, nil) != nil {
		t.Error("something of nothing")
	}
}

func mustRead(t *testing.T, body []byte) ptrace.Traces {
	t.Helper()
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(body)
	if err != nil {
		t.Fatal(err)
	}
	return td
}
